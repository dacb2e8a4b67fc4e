"""Train a network, and predict with it: what most users call.

`fit` turns whatever it is given into one prepared source of rows (`source.py`), draws
the first parameters, and lets the source train while a `TrainingMonitor` records and
judges the epochs. There is one path for arrays, streams and the models of others.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from thalweg import engines
from thalweg.core import (
    DenseNetwork,
    FitRequest,
    Network,
    NetworkAdapter,
    Plan,
    Run,
    Start,
    as_callbacks,
    as_random_state,
    link,
    phases,
    shown,
)
from thalweg.display import usual_progress
from thalweg.io import PathLike
from thalweg.training.checkpoint import Kept, Part, open_checkpoint
from thalweg.training.data import as_rows
from thalweg.training.identity import identify
from thalweg.training.loop import check_network, check_plan
from thalweg.training.monitor import Callback, Scoring, TrainingMonitor
from thalweg.training.signals import kept_from_outside
from thalweg.training.source import Source, prepare
from thalweg.training.starts import describe_start


def fit(
    network: DenseNetwork | Network,
    X: Any,
    y: Any = None,
    *,
    plan: Plan | None = None,
    sample_weight: ArrayLike | str | None = None,
    class_weight: Mapping[int, float] | str | None = None,
    validation: float | tuple[Any, ...] | None = None,
    scoring: Scoring | None = None,
    parameters: Any = None,
    random_state: int | np.random.RandomState | None = None,
    callbacks: Sequence[Callback] = (),
    engine: str = "auto",
    checkpoint: PathLike | Kept | None = None,
    checkpoint_every: int | float | str | None = None,
    resume: bool | str = "auto",
    **settings: Any,
) -> Run:
    """Train a network.

    Parameters
    ----------
    network : DenseNetwork or Network
    X : array-like of shape (n_rows, n_inputs)
        Finite numbers. float32 and float64 are computed in their own type, everything
        else in float32, unless the plan's ``dtype`` says otherwise. For a `Network` an
        array of any shape, or several in a tuple or dict; whole numbers stay such.
        Data larger than memory: the path of Parquet (or a pyarrow dataset), where `y`
        and `sample_weight` name columns; or, without `y`, an iterable of batches
        ``(X, y)`` or ``(X, y, sample_weight)``, each an update, or a callable that
        returns one for each epoch.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Class numbers from 0 for cross-entropy, focal and hinge loss (or, for the first
        two, a row of probabilities for each row of X); numbers for the other losses.
        For a `Network` with a loss of your own, whatever that takes.
    plan : Plan, optional
        How to train. `settings` are put into it.
    sample_weight : array-like of shape (n_rows,), optional
        Non-negative weight of each row in the loss.
    class_weight : dict of int to float or "balanced", optional
        Further weight of the rows of each class: of class numbers, of 0 and 1 of a
        binary loss, or of one-hot rows. "balanced" gives each class the same total
        weight.
    validation : float or tuple, optional
        Share of the rows to hold out (stratified for class numbers), or
        ``(X_val, y_val)`` or ``(X_val, y_val, sample_weight)``.
    scoring : callable, optional
        ``(predict, X_val, y_val) -> float``, greater is better, called after each
        epoch. Without one, the score is accuracy for class numbers, R² otherwise.
    parameters : tuple of dict, or what `Network.init` returns, optional
        Initial weights, as ``network.draw()`` gives them; drawn if None.
    random_state : int, RandomState or None
        Source of the initial weights, the split, the order of rows and the noise.
    callbacks : sequence of callable
        Each is given the `EpochRecord` after each epoch; True stops training.
    engine : {"auto", "jax"}
        What computes.
    checkpoint : path-like, optional
        File in which the training is kept, so that the same call again goes on from
        there: after a kill, a crash or an interruption. After the end it holds the
        result, which the same call again returns. See ``docs/long-jobs.md``.
    checkpoint_every : int, float or str, optional
        How often it is written: a whole number of epochs (5), seconds (60.0), or a
        text ("10 min", "5 epochs"). By default every 30 seconds.
    resume : {"auto", True, False}
        Whether to go on from the file: if it is there, in any case (an error if it is
        not there), or never, which starts anew and replaces it.
    **settings
        Fields of `Plan`, such as ``optimizer="adam"`` or ``epochs=20``. A list of
        optimizers, ``["adam", "lbfgs"]``, trains in phases; ``epochs`` may then be a
        list too. For a Keras model also keywords of its own ``fit``, such as
        ``validation_split``; see `from_keras`.

    Returns
    -------
    Run
        Weights, history, and why training stopped. Interrupting from the keyboard
        returns the weights so far; with a checkpoint, those after the current epoch.

    Raises
    ------
    ValueError, TypeError
        Naming the parameter or column, what it got and what is allowed. A checkpoint
        of another network, plan or data is refused, naming what differs.
    OSError
        If the checkpoint cannot be written where it is asked for.
    SystemExit
        With code 143 after SIGTERM, if there is a checkpoint; it has been written.

    Examples
    --------
    >>> import numpy as np
    >>> import thalweg as tw
    >>> X = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    >>> network = tw.DenseNetwork.from_sizes((2, 8, 2), activation="tanh")
    >>> run = tw.fit(
    ...     network,
    ...     X,
    ...     [0, 1, 1, 0],
    ...     loss="cross_entropy",
    ...     epochs=200,
    ...     learning_rate=0.05,
    ...     random_state=0,
    ... )
    >>> tw.predict(run, X).argmax(axis=1)
    array([0, 1, 1, 0])
    """
    return make_ready(
        network,
        X,
        y,
        plan=plan,
        sample_weight=sample_weight,
        class_weight=class_weight,
        validation=validation,
        scoring=scoring,
        parameters=parameters,
        random_state=random_state,
        callbacks=callbacks,
        shows=True,
        engine=engine,
        kept=open_checkpoint(checkpoint, checkpoint_every, resume),
        **settings,
    ).run()


@dataclass(frozen=True, eq=False)
class Training:
    """A training with all that it needs, checked and drawn; `run` does it."""

    source: Source
    first: Any
    rng: np.random.RandomState
    monitor: TrainingMonitor
    engine: str
    adapter: NetworkAdapter | None
    start: Start
    part: Part | None = None

    def run(self) -> Run:
        """Train, and let the adapter have the trained parameters."""
        with kept_from_outside(self.part and self.part.file):
            given = self.first, self.rng, self.monitor, self.engine, self.part
            with self.monitor.watched(self.start) as watching:
                watching.result = self._finish(self.source.train(*given))
                return watching.result

    def _finish(self, run: Run) -> Run:
        if self.adapter is None:
            return run
        return self.adapter.finish(run, self.monitor.subject)


def make_ready(
    network: DenseNetwork | Network,
    X: Any,
    y: Any = None,
    *,
    plan: Plan | None = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    validation: Any = None,
    scoring: Scoring | None = None,
    parameters: Any = None,
    random_state: Any = None,
    callbacks: Sequence[Callback] = (),
    shows: bool = False,
    engine: str = "auto",
    kept: Kept | None = None,
    part_name: str = "fit",
    **settings: Any,
) -> Training:
    """Check what `fit` was given, and draw what a training begins with."""
    started = time.perf_counter()
    adapter = check_network(network).adapter
    rng = as_random_state(random_state)
    part = None if kept is None else kept.part(part_name)
    if part is not None:
        part.begin_at(rng, fixed=isinstance(random_state, int | np.integer))
    asked = FitRequest(
        network, settings, X, y, plan, sample_weight, class_weight, validation,
        scoring, parameters, callbacks, rng,
    )  # fmt: skip
    if adapter is not None:  # it makes ours of its library's callbacks
        asked = adapter.prepare(asked)
    callbacks = as_callbacks(asked.callbacks, owner="fit")
    if shows:
        callbacks = (*callbacks, *usual_progress(callbacks))
    network = asked.network
    plans = [check_plan(network, phase) for phase in phases(asked.plan, asked.settings)]
    given = asked.X, asked.y, asked.sample_weight, asked.class_weight
    source = prepare(network, plans, *given)
    trainer, _ = engines.pick(engine, network, plans[0])
    first = trainer.initial_parameters(network, asked.parameters, rng, source.dtype)
    source, held_out = source.hold_out(asked.validation, rng)
    begins = None if adapter is None else adapter.begin
    monitor = TrainingMonitor(
        plans[0], held_out, asked.scoring, callbacks, started, begins=begins
    )
    if part is not None:
        phased, data = source.identity()
        given = network, phased, data, held_out, first, engine
        identify(part, *given, warm=parameters is not None)
    start = describe_start(monitor, network, plans, getattr(source, "data", None), X)
    return Training(source, first, rng, monitor, engine, adapter, start, part)


def predict(run: Run, X: Any) -> Any:
    """Predict with a trained network.

    Parameters
    ----------
    run : Run
    X : array-like of shape (n_rows, n_inputs)

    Returns
    -------
    ndarray of shape (n_rows, n_outputs)
        Probabilities of the classes after cross-entropy and focal loss, of each label
        after binary cross-entropy, means after Poisson loss, and the outputs
        themselves after the others; in the dtype of the run's weights. Of a `Network`,
        whatever shape it gives.
    """
    if not isinstance(run, Run):
        raise TypeError(
            f"predict got run={shown(run)}; it must be the Run that thalweg.fit "
            "returned. An estimator has a predict method of its own."
        )
    adapter = getattr(run.network, "adapter", None)
    if adapter is not None:
        return adapter.predict(run, X)
    engine, _ = engines.pick("auto", run.network, run.plan)
    rows = as_rows(run.network, X, engine.floating_type(run.parameters))
    outputs = engine.outputs(run.network, run.parameters, rows)
    raw = isinstance(run.network, DenseNetwork) and run.network.raw_outputs
    return outputs if raw else link(run.plan.loss)(outputs)
