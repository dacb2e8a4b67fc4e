"""The form of a posted program: what was posted, and what its user has in hand.

A case is one file. It holds `POST`, a record of the public question, and
`program(seed, cured)`, which builds the program as its user had it, or with the
accepted answer applied. Record and answer were written before any rule of the doctor
was changed for them, by someone other than who writes the rules.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

Kind = Literal["keras", "sklearn", "hand", "data", "history"]


@dataclass(frozen=True)
class Post:
    """A public question, its accepted answer, and what counts as naming the cause.

    `source` names the question in words: its title, or its topic where many have asked
    it. `named_by` lists findings in plain words: a
    diagnosis that says any one of them has named the cause. `margin` is by how much
    the cured program beats the faulty one on test rows, at least, for each seed;
    `floor` is what the cured program reaches at least.
    """

    source: str
    kind: Kind
    fault: str
    remedy: str
    named_by: tuple[str, ...]
    margin: float = 0.1
    floor: float = 0.8
    score: str = "accuracy"


@dataclass(frozen=True)
class Tutorial:
    """A sound program in the fashion of a public tutorial, and what it reaches."""

    source: str
    kind: Kind
    floor: float
    score: str = "accuracy"


@dataclass
class Program:
    """What a user has in hand, and how to train and score it.

    Attributes
    ----------
    model
        A compiled Keras model, an estimator of scikit-learn, a pair of cost and
        gradient, or None for data or a history alone.
    rate
        The score on test rows, given in the user's own units, of a trained model (or
        of the weights, for a cost). It also rates a treated model.
    X, y, X_val, y_val
        The training data, and the validation data if the user has any.
    fit
        The user's keyword arguments of `fit`, or of SciPy's `minimize` for a cost.
    x0
        The first weights of a cost.
    history
        A Keras History after `train`; for a history alone, what the user kept.
    probe
        For data alone: a sound network that shows whether the data can be learned.
    """

    rate: Callable[[Any], float]
    model: Any = None
    X: Any = None
    y: Any = None
    X_val: Any = None
    y_val: Any = None
    fit: Mapping[str, Any] = field(default_factory=dict)
    x0: NDArray[Any] | None = None
    history: Any = None
    probe: Any = None

    def train(self) -> Any:
        """Train as the user does; return what `rate` takes."""
        if isinstance(self.model, tuple):
            from scipy.optimize import minimize

            cost, gradient = self.model
            return minimize(cost, self.x0, jac=gradient, **self.fit).x
        if self.model is None:
            return None if self.probe is None else self.probe.fit(self.X, self.y)
        if hasattr(self.model, "compile"):
            given = dict(self.fit)
            if self.X_val is not None:
                given["validation_data"] = (self.X_val, self.y_val)
            self.history = self.model.fit(self.X, self.y, verbose=0, **given)
            return self.model
        return self.model.fit(self.X, self.y, **self.fit)


@dataclass(frozen=True)
class Case:
    """A file of a half: its record, the faulty program and the cured twin.

    A tutorial has no faulty program: `fixed` builds it as it is.
    """

    name: str
    post: Post | Tutorial
    build: Callable[..., Program]

    def faulty(self, seed: int) -> Program:
        """Return the program as it was posted, untrained."""
        return self._built(seed, cured=False)

    def fixed(self, seed: int) -> Program:
        """Return the program with the accepted answer applied, untrained."""
        return self._built(seed, cured=True)

    def _built(self, seed: int, cured: bool) -> Program:
        if self.post.kind == "keras":
            import keras

            keras.utils.set_random_seed(seed)
        sound = isinstance(self.post, Tutorial)
        return self.build(seed) if sound else self.build(seed, cured)


def load(folder: Path) -> list[Case]:
    """Read every case of a folder, by name."""
    cases = []
    for path in sorted(folder.glob("[a-z]*.py")):
        spec = importlib.util.spec_from_file_location(f"posted_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        record = module.POST if hasattr(module, "POST") else module.TUTORIAL
        cases.append(Case(path.stem, record, module.program))
    return cases
