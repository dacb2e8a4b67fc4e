"""Each parameter of each public callable takes what it documents, or names itself.

The table is made from the signatures: every parameter is given None, NaN, an infinity,
a text, a list, True and a huge number in turn, beside arguments that are right. A call
either works, or raises ValueError or TypeError with the name of the parameter in the
message. What the type of a parameter excludes must raise.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import neural_network

import thalweg as tw

X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.arange(12) % 2
NETWORK = tw.DenseNetwork.from_sizes((2, 3, 2))
END = {"callbacks": (lambda record: True,)}  # after one epoch, however many were asked
BAD: dict[str, Any] = {
    "None": None,
    "NaN": float("nan"),
    "inf": float("inf"),
    "text": "nonsense",
    "list": [1, "a"],
    "True": True,
    "huge": 10**400,
    "negative": -3,
}
# Records that the library makes and a user only reads.
RECORDS = {
    "Comparison", "Diagnosis", "EpochRecord", "GradientCheck", "History", "Run",
    "SearchResult", "StopReason",
}  # fmt: skip
SLOW = (
    "compare", "diagnose", "search", "minimize", "from_keras", "KerasClassifier",
    "KerasRegressor",
)  # fmt: skip
# Other names of a parameter in messages: data are named by what is wrong in them.
ALIASES = {
    "X": "X|Parquet",  # a text is the path of a table
    "y": "y|target|class|label",
    "members": "members|member",
    "variants": "variants|variant|optimizer",
    "output_activation": "activation",
    "scoring": "scoring|scorer",
    "random_state": "random_state|seed",
    "model": "model|Keras",
    "subject": "diagnose got",
    "nested": "nested|cv",
    "y_val": "y_val|y|validation",
    "X_val": "X_val|X|validation",
    "sizes": "sizes|n_inputs|units",
    "path": "path|file|folder",
    "hidden": "hidden|sizes|units",
    "run": "run",
    "x0": "x0|gradient",
    "args": "args|argument",
    "classes": "classes|class",
    "sample_weight": "sample_weight|weight",
    "missing": "missing|target",  # [1, 2] leaves out the rows of the target's class 1
}


@dataclass
class Callee:
    """A callable, arguments that are right, and what is done with what it returns."""

    call: Callable[..., Any]
    given: dict[str, Any] = field(default_factory=dict)
    then: Callable[[Any], Any] = lambda made: made
    only: tuple[str, ...] = ()
    more: tuple[str, ...] = ()  # names of settings behind **settings

    def names(self) -> list[str]:
        found = [
            name
            for name, each in inspect.signature(self.call).parameters.items()
            if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
            and name != "self"
        ]
        return [*(self.only or found), *self.more]


def run() -> Any:
    return tw.fit(NETWORK, X, Y, loss="cross_entropy", epochs=1, random_state=0)


def callees(folder: Path) -> dict[str, Callee]:
    fit = {"X": X, "y": Y}
    mlp: dict[str, Any] = {"hidden_layer_sizes": (2,), "max_iter": 1, **END}
    table: dict[str, Any] = {"hidden_layer_sizes": (2,), "max_epochs": 1, **END}
    trained = run()
    made = {
        "MLPClassifier": tw.MLPClassifier(**mlp).fit(X, Y),
        "MLPRegressor": tw.MLPRegressor(**mlp).fit(X, Y),
        "Classifier": tw.Classifier(**table).fit(X, Y),
        "Regressor": tw.Regressor(**table).fit(X, Y),
        "Ensemble": tw.Ensemble(tw.Classifier(**table), 2).fit(X, Y),
        "HiddenFeatures": tw.HiddenFeatures(tw.MLPClassifier(**mlp)).fit(X, Y),
    }
    shared = {"X": X, "y": Y, "loss": "cross_entropy", "epochs": 1}
    found: dict[str, Callee] = {
        "Dense": Callee(tw.Dense, {"units": 3}),
        "Embedding": Callee(tw.Embedding, {"columns": 0}),
        "DenseNetwork": Callee(
            tw.DenseNetwork, {"n_inputs": 2, "layers": (tw.Dense(1),)}
        ),
        "DenseNetwork.from_sizes": Callee(
            tw.DenseNetwork.from_sizes,
            {"sizes": (2, 3, 1)},
            more=("activation", "dropout"),
        ),
        "DenseNetwork.draw": Callee(NETWORK.draw),
        "Plan": Callee(tw.Plan),
        "Plan.of": Callee(tw.Plan.of),
        "Doctor": Callee(tw.Doctor),
        "fit": Callee(
            tw.fit, {"network": NETWORK, **shared, **END}, more=("epochs", "loss")
        ),
        "predict": Callee(tw.predict, {"run": trained, "X": X}),
        "find_rate": Callee(
            tw.find_rate,
            {
                "network": NETWORK,
                "n_steps": 10,
                "X": X,
                "y": Y,
                "loss": "cross_entropy",
            },
        ),
        "fit_population": Callee(
            tw.fit_population,
            {
                "network": NETWORK,
                **shared,
                "members": [{"random_state": 0}],
                "n_jobs": 1,
            },
        ),
        "compare": Callee(
            tw.compare,
            {
                "variants": ["sgd", "adam"],
                "X": X,
                "y": Y,
                "hidden": (2,),
                "seeds": 2,
                "epochs": 1,
                "n_jobs": 1,
            },
        ),
        "diagnose": Callee(
            tw.diagnose,
            {"subject": tw.MLPClassifier(**mlp), "X": X, "y": Y, "trials": False},
        ),
        "search": Callee(
            tw.search,
            {
                "estimator": tw.MLPClassifier(**mlp),
                "space": {"alpha": (1e-3, 1.0)},
                "X": X,
                "y": Y,
                "n_trials": 1,
                "repeats": 0,
                "refit": False,
                "n_jobs": 1,
                "sampler": "random",
            },
        ),
        "minimize": Callee(tw.minimize, {"fun": lambda w: w @ w, "x0": np.ones(2)}),
        "check_gradient": Callee(
            tw.check_gradient,
            {"fun": lambda w: w @ w, "jac": lambda w: 2 * w, "x0": np.ones(2)},
        ),
        "load": Callee(tw.load, {"path": folder / "run"}),
        "save": Callee(tw.save, {"model": trained, "path": folder / "saved"}),
        "from_keras": Callee(tw.from_keras, {"model": None}),
        "Ensemble": Callee(
            tw.Ensemble,
            {"estimator": tw.MLPClassifier(**mlp), "n_members": 1, "n_jobs": 1},
            lambda made: made.fit(X, Y),
        ),
        "HiddenFeatures": Callee(
            tw.HiddenFeatures,
            {"estimator": tw.MLPClassifier(**mlp)},
            lambda made: made.fit(X, Y),
        ),
    }
    keras: dict[str, Any] = {"epochs": 1, **END}
    found["KerasClassifier"] = Callee(
        tw.KerasClassifier, keras, lambda made: made.fit(X, Y)
    )
    found["KerasRegressor"] = Callee(
        tw.KerasRegressor, keras, lambda made: made.fit(X, Y)
    )
    found["Network"] = Callee(
        tw.Network, {"init": lambda seed: 0.0, "apply": lambda p, x: x[:, :1] * p}
    )
    for name, own in {
        "MLPClassifier": mlp, "MLPRegressor": mlp, "Classifier": table,
        "Regressor": table,
    }.items():  # fmt: skip
        kind = getattr(tw, name)
        found[name] = Callee(kind, own, lambda made: made.fit(X, Y))
        found[f"{name}.fit"] = Callee(kind(**own).fit, dict(fit))
    for name, model in made.items():
        for method in (
            "predict", "predict_proba", "predict_log_proba", "transform", "encode",
            "activations", "disagreement", "score", "partial_fit", "initialize",
        ):  # fmt: skip
            if hasattr(model, method):
                bound = getattr(model, method)
                if bound.__func__.__module__.startswith("sklearn"):
                    continue  # a mixin's, with scikit-learn's messages
                needs = inspect.signature(bound).parameters
                given = {key: fit[key] for key in fit if key in needs}
                found[f"{name}.{method}"] = Callee(bound, given)
    return found


# scikit-learn takes True for a number, and so do the estimators with its names.
SKLEARN = inspect.signature(neural_network.MLPClassifier).parameters


def excluded(callee: Callee, name: str) -> set[str]:
    """Return the bad values that the type of a parameter excludes."""
    parameter = inspect.signature(callee.call).parameters.get(name)
    if parameter is None or parameter.annotation is parameter.empty:
        return set()
    text = str(parameter.annotation).replace("<class '", "").replace("'>", "")
    parts = {part.strip() for part in text.split("|")}
    if not parts & {"int", "float"} or not parts <= {"int", "float", "None", "bool"}:
        return {"NaN", "list", "huge", "text", "inf"} if parts == {"bool"} else set()
    found = {"NaN", "text", "list"}
    found |= set() if "None" in parts else {"None"}
    drop_in = callee.call in (tw.MLPClassifier, tw.MLPRegressor) and name in SKLEARN
    return found if "bool" in parts or drop_in else found | {"True"}


def failures(name: str, callee: Callee) -> Iterator[str]:
    """Call it with each bad value; yield what is neither right nor a good error."""
    for parameter in callee.names():
        must = excluded(callee, parameter)
        for kind, value in BAD.items():
            arguments = {**callee.given, parameter: value}
            place = f"{name}({parameter}={kind})"
            Path(BAD["text"]).unlink(missing_ok=True)  # the call before may write it
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    callee.then(callee.call(**arguments))
            except (ValueError, TypeError) as error:
                expected = ALIASES.get(parameter, re.escape(parameter))
                if not re.search(rf"\b({expected})", str(error)):
                    yield f"{place}: {type(error).__name__}: {error}"
            except OSError as error:  # of a file, which it names
                if parameter != "path" and str(value) not in str(error):
                    yield f"{place}: {type(error).__name__}: {error}"
            except Exception as error:
                yield f"{place}: {type(error).__name__}: {error}"
            else:
                if kind in must:
                    yield f"{place} was accepted"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Callee]:
    monkeypatch.chdir(tmp_path)  # a text is the name of a file for some
    tw.save(run(), tmp_path / "run")
    return callees(tmp_path)


def test_each_parameter_is_right_or_named(table: dict[str, Callee]) -> None:
    quick = {name: each for name, each in table.items() if name not in SLOW}
    wrong = [line for name, each in quick.items() for line in failures(name, each)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize("name", SLOW)
def test_each_parameter_is_right_or_named_slowly(
    name: str, table: dict[str, Callee]
) -> None:
    wrong = [*failures(name, table[name])]
    assert not wrong, "\n".join(wrong)


def test_every_public_callable_is_in_the_table(table: dict[str, Callee]) -> None:
    # It needs several processes; the checks of its arguments are those of `fit`.
    others = RECORDS | {"fit_over_hosts"}
    # SciPy's own functions, with its parameters and its messages.
    others |= {name for name in tw.__all__ if name.startswith("fmin")}
    others |= {"least_squares", "check_grad", "approx_fprime"}
    assert set(tw.__all__) == others | {name.partition(".")[0] for name in table}
