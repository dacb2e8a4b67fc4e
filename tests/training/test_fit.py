"""Whole trainings: against the slow network, against published numbers, and their ends.

Trajectories are float64 and a few dozen steps long; rounding of 1e-16 grows by the
conditioning of a step, below ten, but far less than that at every step: 1e-9 leaves
room and is far below what a wrong term would do. A bias before batch normalization has
no gradient but rounding, which Adam divides by ε: there ε is 1e-3.
"""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sklearn.utils
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    make_moons,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

import thalweg as tw
from tests.helpers import draw_parameters
from tests.reference import networks as references
from thalweg.core.data import Data
from thalweg.core.history import EpochRecord, Run, StopReason
from thalweg.core.networks import Dense, DenseNetwork
from thalweg.core.plan import Plan, rate_factors, steps_per_epoch
from thalweg.core.schedules import SCHEDULES
from thalweg.core.types import Array, Parameters
from thalweg.training.data import split
from thalweg.training.fit import fit, predict
from thalweg.training.lr_finder import find_rate

N_ROWS = 24
NETWORK = DenseNetwork.from_sizes((2, 4, 3), activation="tanh")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N_ROWS, 2))
Y = RNG.integers(0, 3, N_ROWS)
BASE: dict[str, Any] = {
    "loss": "cross_entropy",
    "batch_size": 8,
    "learning_rate": 0.05,
    "random_state": 0,
}


def run(**settings: Any) -> Run:
    """One small float64 training; what is not said is the same for all of them."""
    settings = {**BASE, **settings}
    network = settings.pop("network", NETWORK)
    rows, target = settings.pop("X", X), settings.pop("y", Y)
    return fit(network, rows, target, **settings)


def assert_same_bits(one: Parameters, other: Parameters) -> None:
    references.assert_close(one, other, rtol=0, atol=0)


# ---------------------------------------------------------------- trajectories


def hidden(**settings: Any) -> DenseNetwork:
    layers = (Dense(4, **{"activation": "tanh", **settings}), Dense(3, "identity"))
    return DenseNetwork(2, layers)


TRAJECTORIES: dict[str, dict[str, Any]] = {
    "adam": {"optimizer": "adam", "l2": 0.3},
    "momentum": {
        "optimizer": ("momentum", {"rate_in_velocity": True}),
        "schedule": "cosine", "warmup": 4, "l1": 0.2,
    },
    "nesterov, scikit-learn's penalty, in order": {
        "optimizer": "nesterov", "l2": 0.5, "penalty_scale": "batch",
        "shuffle": False, "batch_size": 10,
    },
    "full batch": {"optimizer": "rmsprop", "batch_size": None, "l2": 0.1},
    "dropout and noise": {
        "network": DenseNetwork(
            2, (Dense(4, "tanh", dropout=0.3), Dense(3, "identity", dropout=0.1)), 0.2
        ),
    },
    "batch norm, last batch smaller": {
        "network": hidden(normalization="batch"), "batch_size": 10,
        "optimizer": ("adam", {"epsilon": 1e-3}),
    },
    "everything about layers": {
        "network": DenseNetwork(
            2,
            (
                Dense(4, "tanh", normalization="layer", constraint="unit_norm"),
                Dense(4, "silu", residual=1, constraint=("max_norm", {"limit": 0.8})),
                Dense(4, "gelu", shares=1, normalization="batch"),
                Dense(4, "tanh", frozen=True, normalization="batch"),
                Dense(3, "identity", constraint="non_negative"),
            ),
        ),
        "optimizer": ("adamw", {"weight_decay": 0.2, "epsilon": 1e-3}),
        "layer_rates": (1, 0.5, 2, 1, 0.1),
    },
    "exponential average": {"average": ("ema", {"decay": 0.8})},
    "mean of the second half, accumulating": {
        "average": "polyak", "accumulate": 2, "optimizer": "sgd",
    },
    "clipping": {
        "clip_norm": 0.2, "clip_value": 0.1, "optimizer": "sgd", "learning_rate": 1.0,
    },
    "smoothed labels, weighted rows": {
        "loss": ("cross_entropy", {"label_smoothing": 0.2}),
        "sample_weight": RNG.uniform(0.2, 2, N_ROWS), "weight_decay": 0.1, "l2": 0.2,
    },
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAJECTORIES)
def test_trajectory(name: str) -> None:
    """Weights and every column of the history, over four shuffled epochs."""
    settings = {**BASE, "epochs": 4, **TRAJECTORIES[name]}
    network = settings.pop("network", NETWORK)
    weights = settings.pop("sample_weight", np.ones(N_ROWS))
    plan = Plan.of(**{k: v for k, v in settings.items() if k != "random_state"})
    first = draw_parameters(network)
    found = fit(
        network, X, Y, plan=plan, sample_weight=weights, parameters=first,
        random_state=5,
    )  # fmt: skip

    rng = np.random.RandomState(5)
    noisy = network.input_noise or any(layer.dropout for layer in network.layers)
    seed = rng.randint(2**32, dtype=np.uint32) if noisy else 0
    order, orders = np.arange(N_ROWS), []
    for _ in range(4):
        if plan.shuffle and plan.batch_size is not None:
            order = sklearn.utils.shuffle(order, random_state=rng)
        orders.append(order)
    count = 4 * steps_per_epoch(plan, N_ROWS)
    rates = plan.rate * rate_factors(plan, 0, count, N_ROWS)
    data = Data(X, Y.astype(np.int32), weights)
    expected = references.train(
        network, plan, data, first, np.array(orders), rates, seed=int(seed)
    )
    references.assert_close(found.parameters, expected.parameters, rtol=1e-9, atol=1e-9)
    for column in ("loss", "gradient_norm", "update_ratio"):
        np.testing.assert_allclose(
            getattr(found.history, column), getattr(expected, column), rtol=1e-9
        )
    np.testing.assert_allclose(found.history.rate, rates.reshape(4, -1)[:, -1])
    assert found.stop_reason is StopReason.MAX_EPOCHS
    assert found.why == "All 4 epochs were done."


@pytest.mark.parametrize("engine", ["native", "jax"])
@pytest.mark.parametrize("schedule", [*SCHEDULES, lambda update: 1 / (2 + update)])
def test_accumulated_batches_are_one_update_of_a_schedule(
    engine: str, schedule: Any
) -> None:
    """Three batches of four rows are one of twelve, at each rate of each schedule."""
    own = {"schedule": schedule, "warmup": 3, "shuffle": False, "patience": 9}
    own |= {"random_state": 0, "engine": engine, "epochs": 3, "optimizer": "sgd"}
    data = NETWORK, X[:24], Y[:24].astype(np.int32)
    single = tw.fit(*data, loss="cross_entropy", batch_size=12, **own)
    several = tw.fit(*data, loss="cross_entropy", batch_size=4, accumulate=3, **own)
    np.testing.assert_allclose(several.history.rate, single.history.rate, rtol=1e-12)
    references.assert_close(several.parameters, single.parameters, rtol=1e-5, atol=1e-6)


MOONS = [
    "0.432387", "0.081007", "0.075384", "0.073729", "0.072895", "0.072376", "0.072013",
    "0.071742", "0.071530", "0.071357", "0.071214", "0.071092", "0.070986", "0.070894",
    "0.070812", "0.070739", "0.070673", "0.070613", "0.070559", "0.070509",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "published"),
    [
        (("inverse_time", {"decay": 0.01}), MOONS),
        ("constant", ["0.432387", "0.068947"]),
    ],
    ids=["annealed", "constant"],
)
def test_published_moons(schedule: Any, published: list[str]) -> None:
    """Every published loss, taken after update t, to its six digits.

    The publication descends the sum over 200 rows at 0.01, which is the mean at 2.
    """
    rows, classes = make_moons(200, noise=0.20, random_state=0)
    network = DenseNetwork.from_sizes((2, 3, 2), activation="tanh", init="xavier")
    epochs = 1000 * (len(published) - 1) + 2
    found = fit(
        network, rows, classes, loss="cross_entropy", optimizer="sgd", l2=0.01,
        learning_rate=2.0, schedule=schedule, batch_size=None, epochs=epochs,
        random_state=0,
    )  # fmt: skip
    # The loss of an epoch is taken before its update: after update t is epoch t + 2.
    losses = found.history.loss[1::1000]
    assert [f"{loss:.6f}" for loss in losses] == published


# ------------------------------------------------------------------ early ends


def scripted(values: list[float]) -> Any:
    """A scorer that gives these values, one an epoch."""
    left = iter(values)
    return lambda predict, X_val, y_val: next(left)


def watched(scores: list[float], **settings: Any) -> Run:
    return run(
        validation=(X[:8], Y[:8]), scoring=scripted(scores), epochs=len(scores),
        **settings,
    )  # fmt: skip


SCORES = [0.1, 0.5, 0.4, 0.6, 0.60001, 0.3, 0.2, 0.9]


@pytest.mark.slow
def test_early_stopping_counts_and_restores_the_best() -> None:
    """Epoch 5 is the best although it does not improve by tol; 7 is one too many."""
    found = watched(SCORES, patience=2)
    assert found.stop_reason is StopReason.EARLY_STOPPING
    assert len(found.history) == 7
    assert found.best_epoch == 5
    assert found.why == (
        "The validation score had not improved by more than 0.0001 for 2 epochs; its "
        "best was at epoch 5."
    )
    np.testing.assert_array_equal(found.history.validation_score, SCORES[:7])
    assert_same_bits(found.parameters, run(epochs=5, callbacks=[no]).parameters)


def test_best_weights_can_be_left_alone() -> None:
    found = watched(SCORES, patience=2, restore_best=False)
    assert found.best_epoch == 7
    assert_same_bits(found.parameters, run(epochs=7, callbacks=[no]).parameters)


def test_loss_can_be_monitored_beside_a_score() -> None:
    found = watched([0.9] * 5, monitor="loss")
    expected = np.argmin(found.history.validation_loss) + 1
    assert found.best_epoch == expected


def test_nan_scores_are_no_improvement() -> None:
    found = watched([0.1, np.nan, np.nan, np.nan, 1.0], patience=2)
    assert (found.best_epoch, len(found.history)) == (1, 4)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_convergence_counts_as_sklearn_does() -> None:
    """A rate too small to improve anything: the first epoch, patience, one more."""
    found = run(optimizer="sgd", learning_rate=1e-300, patience=3, epochs=50)
    settings: dict[str, Any] = {"solver": "sgd", "batch_size": 8, "max_iter": 50}
    theirs = MLPClassifier(
        (4,), learning_rate_init=1e-300, n_iter_no_change=3, **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(X, Y)
    assert len(found.history) == theirs.n_iter_ == 5
    assert found.stop_reason is StopReason.CONVERGED
    assert "0.0001 for 3 epochs" in found.why


def test_plateau_cuts_the_rate_down_to_its_floor() -> None:
    schedule = ("plateau", {"factor": 0.5, "patience": 1, "floor": 0.02})
    found = watched([0.5, 0.5, 0.5, 0.5, 0.5, 0.6, 0.5, 0.5, 0.5], schedule=schedule)
    # Cut after the second epoch without improvement; 0.0125 is below the floor.
    expected = [0.05] * 3 + [0.025] * 2 + [0.02] * 4
    np.testing.assert_allclose(found.history.rate, expected, rtol=1e-12)


def test_adaptive_cuts_where_training_would_have_stopped() -> None:
    schedule = ("adaptive", {"factor": 0.2, "floor": 0.003})
    found = watched([0.5] * 20, schedule=schedule, patience=1)
    expected = [0.05] * 3 + [0.01] * 2 + [0.002] * 2
    np.testing.assert_allclose(found.history.rate, expected, rtol=1e-12)
    assert found.stop_reason is StopReason.RATE_EXHAUSTED
    assert "0.002" in found.why


def no(record: EpochRecord) -> None:
    """A callback that only makes the loop go epoch by epoch."""


YES = [True, np.True_, np.array(True), 1, np.float64(0.5), "stop", [0]]
NO = [None, False, np.False_, 0, 0.0, "", [], np.ones(3)]


@pytest.mark.parametrize("yes", YES, ids=repr)
def test_callbacks_see_every_epoch_and_any_true_stops(yes: Any) -> None:
    seen: list[EpochRecord] = []

    def third(record: EpochRecord) -> Any:
        seen.append(record)
        return yes if record.epoch == 3 else NO[record.epoch]

    nothing = [lambda record, each=each: each for each in NO]
    found = run(epochs=9, callbacks=[*nothing, third])
    assert found.stop_reason is StopReason.CALLBACK
    assert [record.epoch for record in seen] == [1, 2, 3]
    for record, kept in zip(seen, found.history, strict=True):
        assert (record.loss, record.rate, record.seconds) == (
            kept.loss, kept.rate, kept.seconds,
        )  # fmt: skip
    assert (np.diff(found.history.seconds) > 0).all()


def test_a_watched_run_is_the_run() -> None:
    assert_same_bits(run(epochs=5, callbacks=[no]).parameters, run(epochs=5).parameters)


@pytest.mark.parametrize("scores", [None, [0.1, 0.9, 0.3, 0.4, 0.5]])
def test_interrupting_keeps_the_weights(scores: list[float] | None) -> None:
    """The best ones where there is validation, and the last ones where not."""

    def interrupt(record: EpochRecord) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt

    if scores is None:
        found, epochs = run(epochs=9, callbacks=[interrupt]), 3
    else:
        found, epochs = watched(scores, callbacks=[interrupt]), 2
    assert found.stop_reason is StopReason.INTERRUPTED
    assert "Interrupted" in found.why
    assert found.best_epoch == epochs
    assert len(found.history) == 3
    assert_same_bits(found.parameters, run(epochs=epochs, callbacks=[no]).parameters)


def test_time_budget() -> None:
    found = run(epochs=10**6, max_time=1e-9)
    assert found.stop_reason is StopReason.TIME_BUDGET
    assert len(found.history) == 1
    assert "1e-09 s" in found.why


# ------------------------------------------------------------ what is not finite


@pytest.mark.slow
@pytest.mark.parametrize("watching", [True, False], ids=["watched", "in one call"])
def test_divergence_stops_at_once_and_says_where(watching: bool) -> None:
    """A rate of 1e120 sends the weights there; a product of three is infinite."""
    network = DenseNetwork.from_sizes((2, 4, 4, 3), activation="identity")
    found = run(
        network=network, loss="squared", y=np.eye(3)[Y], optimizer="sgd",
        learning_rate=1e120, batch_size=None, epochs=50,
        callbacks=[no] if watching else [],
    )  # fmt: skip
    assert found.stop_reason is StopReason.NONFINITE
    assert len(found.history) == 2
    assert "in epoch 2, in the output of layer 2;" in found.why
    assert "1e+120" in found.why
    for own in found.parameters:
        assert all(np.isfinite(values).all() for values in own.values())
    assert np.isfinite(found.history.loss[:-1]).all()


BROKEN: dict[str, tuple[DenseNetwork, str]] = {
    "first layer": (
        DenseNetwork(2, (Dense(2, init=np.full((2, 2), 1e308)), Dense(3, "identity"))),
        "the output of layer 0",
    ),
    "second layer": (
        DenseNetwork(
            2,
            (
                Dense(2, init=np.full((2, 2), 1e200)),
                Dense(3, "identity", init=np.full((2, 3), 1e200)),
            ),
        ),
        "the output of layer 1",
    ),
    "loss": (
        DenseNetwork(2, (Dense(3, "identity", init=np.full((2, 3), 1e200)),)),
        "the loss",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN)
def test_the_layer_at_fault_is_named(name: str) -> None:
    network, where = BROKEN[name]
    rows = np.abs(X) + 10
    found = run(network=network, X=rows, y=np.eye(3)[Y], loss="squared", epochs=3)
    assert found.stop_reason is StopReason.NONFINITE
    assert f"in epoch 1, in {where};" in found.why
    assert_same_bits(found.parameters, network.draw(0))


def test_a_run_that_breaks_keeps_its_best() -> None:
    """Validation had a best epoch before the rate was raised to the skies."""

    def schedule(step: int) -> float:
        return 1.0 if step < 9 else 1e300

    found = run(
        loss="squared", y=np.eye(3)[Y], schedule=schedule, optimizer="sgd",
        validation=(X[:8], np.eye(3)[Y[:8]]), epochs=9,
    )  # fmt: skip
    assert found.stop_reason is StopReason.NONFINITE
    assert found.best_epoch <= 3
    for own in found.parameters:
        assert all(np.isfinite(values).all() for values in own.values())


# ------------------------------------------------------- programs and their types


@pytest.fixture
def compilations() -> Iterator[list[str]]:
    """The names of the programs that XLA compiles while the test runs."""
    seen: list[str] = []
    listening = True

    def listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if listening and event == "/jax/core/compile/backend_compile_duration":
            seen.append(str(kwargs))

    # JAX has no public way to take one listener off: it is only told to be quiet.
    jax.monitoring.register_event_duration_secs_listener(listen)
    yield seen
    listening = False


NOISY = DenseNetwork(2, (Dense(4, "tanh", dropout=0.2), Dense(3, "identity")), 0.1)
COUNTED: dict[str, Any] = {
    "optimizer": "adam", "l2": 0.1, "l1": 0.1, "clip_norm": 1.0, "epochs": 3,
    "engine": "jax", "network": NOISY, "batch_size": 8, "patience": 5,
}  # fmt: skip

CHANGES: dict[str, dict[str, Any]] = {
    "rate": {"learning_rate": 0.123},
    "penalties": {"l2": 0.7, "l1": 0.9},
    "constants of the rule": {"optimizer": ("adam", {"beta_1": 0.5, "epsilon": 1e-4})},
    "schedule": {"schedule": ("exponential", {"factor": 0.5}), "warmup": 2},
    "clipping": {"clip_norm": 0.3},
    "dropout and noise": {
        "network": DenseNetwork(
            2, (Dense(4, "tanh", dropout=0.4), Dense(3, "identity")), 0.3
        ),
    },
    "first weights": {
        "network": DenseNetwork(
            2,
            (
                Dense(4, "tanh", dropout=0.2, init="normal"),
                Dense(3, "identity", init="zeros"),
            ),
            0.1,
        ),
    },
    "label smoothing": {"loss": ("cross_entropy", {"label_smoothing": 0.1})},
    "patience, tolerance, epochs": {"patience": 2, "tol": 0.5, "epochs": 4},
    "decay": {"weight_decay": 0.1},
    "random state": {"random_state": 9},
}


@pytest.mark.slow
def test_numbers_never_recompile(compilations: list[str]) -> None:
    """Any other number, and a fold of a slightly different size, finds its program."""
    rows = np.random.default_rng(1).standard_normal((200, 2))
    classes = np.random.default_rng(1).integers(0, 3, 200)

    def fold(n: int, **change: Any) -> None:
        held = (rows[n - 199 :], classes[n - 199 :])
        settings = {**COUNTED, **change}
        run(X=rows[:n], y=classes[:n], validation=held, **settings)

    fold(160)
    assert len(compilations) > 0, "the listener hears nothing"
    for name, change in CHANGES.items():
        compilations.clear()
        fold(160, **change)
        assert compilations == [], f"another {name} compiled again"
    compilations.clear()
    fold(159)
    assert compilations == [], "a fold with one row less compiled again"
    fold(160, optimizer="nadam")
    assert len(compilations) > 0, "another rule must compile"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_are_kept_and_jax_is_left_alone(dtype: Any) -> None:
    assert not jax.config.read("jax_enable_x64")
    found = run(X=X.astype(dtype), epochs=2)
    assert not jax.config.read("jax_enable_x64")
    assert jnp.zeros(1).dtype == np.float32
    assert all(v.dtype == dtype for own in found.parameters for v in own.values())
    assert predict(found, X).dtype == dtype


@pytest.mark.parametrize(
    ("rows", "asked", "kept"),
    [
        (X.astype(np.float32), "float64", np.float64),
        (X, "float32", np.float32),
        (np.arange(48).reshape(24, 2) % 5, None, np.float32),
        (X.tolist(), None, np.float64),
    ],
)
def test_types_as_asked(rows: Any, asked: str | None, kept: Any) -> None:
    found = run(X=rows, dtype=asked, epochs=1)
    assert found.parameters[0]["weights"].dtype == kept


# ------------------------------------------------------------------- randomness


@pytest.mark.slow
def test_the_same_state_gives_the_same_bits() -> None:
    settings: dict[str, Any] = {"network": NOISY, "validation": 0.25, "epochs": 3}
    one, again = run(**settings), run(**settings)
    assert_same_bits(one.parameters, again.parameters)
    np.testing.assert_array_equal(one.history.loss, again.history.loss)
    other = run(**{**settings, "random_state": 1})
    assert (one.parameters[0]["weights"] != other.parameters[0]["weights"]).all()
    state = run(**{**settings, "random_state": np.random.RandomState(0)})
    assert_same_bits(one.parameters, state.parameters)


@pytest.mark.slow
def test_noise_differs_where_only_the_seed_does() -> None:
    """The first weights and the order given: only dropout is left to chance."""
    settings: dict[str, Any] = {
        "network": NOISY, "parameters": NOISY.draw(0), "shuffle": False, "epochs": 1,
    }  # fmt: skip
    one, other = (run(**{**settings, "random_state": s}) for s in (0, 1))
    assert one.history.loss[0] != other.history.loss[0]


# ---------------------------------------------------------------------- weights


@pytest.mark.slow
def test_weights_are_repeated_rows() -> None:
    """In the objective, its penalty and the step of a full batch."""
    counts = np.random.default_rng(2).integers(0, 3, N_ROWS)
    settings: dict[str, Any] = {"batch_size": None, "l2": 0.5, "epochs": 5}
    weighted = run(sample_weight=counts, **settings)
    repeated = run(X=np.repeat(X, counts, 0), y=np.repeat(Y, counts), **settings)
    references.assert_close(
        weighted.parameters, repeated.parameters, rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(weighted.history.loss, repeated.history.loss)


def test_class_weights_are_weights_of_rows() -> None:
    counts = np.bincount(Y)
    cases: list[tuple[Any, Array]] = [
        ({0: 2.0, 2: 0.5}, np.array([2.0, 1.0, 0.5])[Y]),
        ("balanced", (N_ROWS / (3 * counts))[Y]),
    ]
    for class_weight, weights in cases:
        one = run(class_weight=class_weight, epochs=2)
        other = run(sample_weight=weights, epochs=2)
        assert_same_bits(one.parameters, other.parameters)
    both = run(class_weight={0: 2.0}, sample_weight=np.full(N_ROWS, 3.0), epochs=2)
    product = run(sample_weight=3 * np.array([2.0, 1, 1])[Y], epochs=2)
    assert_same_bits(both.parameters, product.parameters)


@pytest.mark.parametrize("y", [Y > 0, (Y > 0)[:, None], 1.0 * (Y > 0)])
@pytest.mark.parametrize("key", [1, 1.0, True, np.True_, np.int8(1), np.float32(1)])
def test_class_weights_of_a_binary_loss(y: Any, key: Any) -> None:
    network = DenseNetwork.from_sizes((X.shape[1], 1))
    own = {"loss": "binary_cross_entropy", "network": network, "epochs": 2, "y": y}
    by_class = run(class_weight={key: 5.0}, **own)
    by_row = run(sample_weight=np.where(Y > 0, 5.0, 1.0), **own)
    assert_same_bits(by_class.parameters, by_row.parameters)


def test_class_weights_of_one_hot_rows() -> None:
    by_class = run(class_weight={2: 5.0}, y=np.eye(3)[Y], epochs=2)
    by_row = run(sample_weight=np.where(Y == 2, 5.0, 1.0), y=np.eye(3)[Y], epochs=2)
    assert_same_bits(by_class.parameters, by_row.parameters)


def test_a_batch_need_not_have_rows_of_each_weighted_class() -> None:
    first = np.flatnonzero(Y == 0)
    batches = [(X[first], Y[first]), (X, Y)]
    fit(NETWORK, batches, loss="cross_entropy", class_weight={2: 5.0}, epochs=1)


# ------------------------------------------------------------------- validation


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.3])
def test_split_is_stratified(share: float) -> None:
    """Each class within one row of its share, and no row on both sides."""
    classes = np.repeat([0, 1, 2], [30, 60, 10]).astype(np.int32)
    numbered = np.arange(100.0)
    data = Data(numbered[:, None], classes, numbered + 1)
    rng = np.random.RandomState(0)
    kept, held = split(NETWORK, Plan(loss="cross_entropy"), data, share, rng)
    assert held is not None
    assert len(held.X) == round(share * 100)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([kept.X, held.X]), axis=0), data.X
    )
    for side in (kept, held):
        np.testing.assert_array_equal(side.y, classes[side.X[:, 0].astype(int)])
        np.testing.assert_array_equal(side.weights, side.X[:, 0] + 1)
    expected = np.array([30, 60, 10]) * share
    assert (np.abs(np.bincount(held.y, minlength=3) - expected) < 1).all()


@pytest.mark.slow
def test_split_of_a_fit_holds_out_its_share() -> None:
    seen: list[Array] = []

    def look(predict: Any, X_val: Array, y_val: Array) -> float:
        seen.append(X_val)
        return 0.0

    run(validation=0.25, scoring=look, epochs=1)
    assert len(seen[0]) == 6
    assert {tuple(row) for row in seen[0]} <= {tuple(row) for row in X}


def test_held_out_rows_teach_nothing() -> None:
    """Their targets may be anything: the weights are those of the other rows."""
    held = (X[:8], Y[:8])
    wrong = (X[:8], (Y[:8] + 1) % 3)
    settings: dict[str, Any] = {"epochs": 3, "restore_best": False}
    one, other = (run(validation=v, **settings) for v in (held, wrong))
    assert_same_bits(one.parameters, other.parameters)
    assert (one.history.validation_loss != other.history.validation_loss).all()


@pytest.mark.slow
def test_validation_is_the_weighted_loss_and_accuracy() -> None:
    weights = np.random.default_rng(3).uniform(0.1, 2, 8)
    found = run(
        validation=(X[:8], Y[:8], weights), l2=3.0, epochs=2, restore_best=False
    )
    outputs = references.forward(NETWORK, found.parameters, X[:8]).outputs
    losses, _ = references.row_losses(found.plan.loss, outputs, Y[:8])
    last = found.history[-1]
    np.testing.assert_allclose(
        last.validation_loss, np.average(losses, weights=weights), rtol=1e-10
    )
    right = np.average(outputs.argmax(axis=1) == Y[:8], weights=weights)
    np.testing.assert_allclose(last.validation_score, right, rtol=1e-12)


@pytest.mark.slow
def test_score_of_numbers_is_r2() -> None:
    y = X @ np.array([[1.0, 0, 2], [0, 1, 1]]) + 1
    found = run(
        loss="squared", y=y, validation=(X[:8], y[:8]), epochs=3, restore_best=False
    )
    expected = r2_score(y[:8], predict(found, X[:8]))
    np.testing.assert_allclose(found.history.validation_score[-1], expected, rtol=1e-9)


def test_the_scorer_is_given_predictions() -> None:
    """Probabilities for a classifier: what `predict` gives."""
    given: list[Array] = []

    def score(ask: Any, X_val: Array, y_val: Array) -> float:
        given.append(ask(X_val))
        return 0.0

    found = run(validation=(X[:8], Y[:8]), scoring=score, epochs=1, restore_best=False)
    np.testing.assert_allclose(given[0], predict(found, X[:8]), rtol=1e-12)
    np.testing.assert_allclose(given[0].sum(axis=1), 1)


# -------------------------------------------------------------------- bad input

GAPPED = X.copy()
GAPPED[5, 1] = np.nan
INFINITE = X.copy()
INFINITE[7, 0] = -np.inf

ERRORS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "missing value": ({"X": GAPPED}, ["X holds nan", "row 5, column 1"]),
    "infinite value": ({"X": INFINITE}, ["X holds -inf", "row 7, column 0"]),
    "too large for float32": (
        {"X": X * 1e300, "dtype": "float32"}, ["X holds", "row 0, column 0"],
    ),
    "text": ({"X": [["a", "b"]] * N_ROWS}, ["X is not", "numbers", "'a'"]),
    "ragged rows": ({"X": [[1.0], [1.0, 2.0]]}, ["X is not a rectangular array"]),
    "columns": ({"X": X[:, :1]}, ["X has shape (24, 1)", "(n_rows, 2)"]),
    "one dimension": ({"X": X[:, 0]}, ["X has shape (24,)", "(n_rows, 2)"]),
    "no rows": ({"X": X[:0], "y": Y[:0]}, ["X has no rows"]),
    "lengths": ({"y": Y[:5]}, ["y has shape (5,)", "24 rows"]),
    "scalar target": ({"y": 3}, ["y has shape ()", "24 rows"]),
    "a class too many": ({"y": Y + 1}, ["y holds", "from 0 to 2"]),
    "negative class": ({"y": Y - 1}, ["y holds", "from 0 to 2"]),
    "classes as text": (
        {"y": np.array(["a", "b", "c"])[Y]}, ["y holds '", "np.unique"],
    ),
    "classes as floats": ({"y": Y + 0.5}, ["y holds", "whole"]),
    "target is missing": (
        {"y": np.where(Y == 0, np.nan, 1.0)[:, None] * [1, 1, 1], "loss": "squared"},
        ["y holds nan", "column 0"],
    ),
    "target too narrow": (
        {"y": Y, "loss": "squared"}, ["y has shape (24,)", "(24, 3)"],
    ),
    "weights negative": (
        {"sample_weight": -np.ones(N_ROWS)}, ["sample_weight holds -1.0"],
    ),
    "weights missing": ({"sample_weight": GAPPED[:, 1]}, ["sample_weight holds"]),
    "weights too few": ({"sample_weight": [1.0]}, ["sample_weight has shape (1,)"]),
    "weights all zero": ({"sample_weight": np.zeros(N_ROWS)}, ["zero for every row"]),
    "class weight": (
        {"class_weight": "even"}, ["class_weight is 'even'", "'balanced'"],
    ),
    "class weight of numbers": (
        {"class_weight": "balanced", "loss": "squared", "y": np.eye(3)[Y]},
        ["class_weight with loss='squared'", "no classes"],
    ),
    "class weight of labels of several kinds": (
        {"class_weight": "balanced", "loss": "binary_cross_entropy",
         "y": np.eye(3)[Y] + np.eye(3)[::-1][Y] > 0},
        ["class_weight needs y to hold class numbers"],
    ),
    "weight of an unknown class": (
        {"class_weight": {0: 1.0, "1": 2.0}}, ["the class '1'", "0 to 2"],
    ),
    "weight of a third class of two": (
        {"class_weight": {2: 2.0}, "loss": "binary_cross_entropy",
         "network": DenseNetwork.from_sizes((X.shape[1], 1)), "y": Y > 0},
        ["the class 2", "0 to 1"],
    ),
    "validation share": ({"validation": 1.5}, ["validation=1.5", "(0, 1)"]),
    "validation leaves nothing": (
        {"validation": 0.001}, ["validation=0.001", "24 rows"],
    ),
    "validation of three rows": (
        {"validation": 3}, ["validation=3", "share in (0, 1)"],
    ),
    "validation columns": ({"validation": (X[:, :1], Y)}, ["(24, 1)", "(n_rows, 2)"]),
    "rate": ({"learning_rate": -0.1}, ["learning_rate=-0.1", "(0, inf)"]),
    "optimizer": ({"optimizer": "adamm"}, ["optimizer='adamm'", "mean 'adam'?"]),
    "setting": ({"epoch": 3}, ["'epoch'", "mean 'epochs'?"]),
    "engine": ({"engine": "tpu"}, ["engine='tpu'", "Options: auto"]),
    "layer rates": ({"layer_rates": (1,)}, ["layer_rates with 1 factors", "2 layers"]),
    "random state": ({"random_state": -1}, ["random_state is -1"]),
    "first weights": ({"parameters": NETWORK.draw(0)[:1]}, ["parameters has 1 layers"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_bad_input_is_named_with_the_way_out(name: str) -> None:
    settings, words = ERRORS[name]
    with pytest.raises(ValueError) as caught:
        run(**settings)
    message = str(caught.value)
    assert [word for word in words if word not in message] == []


def test_a_network_is_needed() -> None:
    with pytest.raises(TypeError, match=r"network=\(2, 4, 3\).*from_sizes"):
        run(network=(2, 4, 3))


# ---------------------------------------------------------------- the users' own


@pytest.mark.slow
def test_a_transformation_of_the_users_is_the_rule() -> None:
    theirs = optax.chain(optax.clip(0.05), optax.adam(0.05))
    one = run(optimizer=theirs, learning_rate=None, epochs=3)
    other = run(optimizer="adam", clip_value=0.05, epochs=3)
    references.assert_close(one.parameters, other.parameters, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_functions_of_the_users_are_loss_and_activation() -> None:
    network = DenseNetwork(2, (Dense(4, jnp.tanh), Dense(3, "identity")))
    y = np.eye(3)[Y]
    one = run(
        network=network, y=y, epochs=3,
        loss=lambda z, y: -(y * jax.nn.log_softmax(z)).sum(axis=1),
    )  # fmt: skip
    other = run(y=y, epochs=3)
    references.assert_close(one.parameters, other.parameters, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_padding_does_no_harm_to_functions_of_the_users() -> None:
    """Logarithms of targets, and a root without a slope at zero: 21 rows are padded."""
    network = DenseNetwork(
        2, (Dense(3, lambda z: jnp.sqrt(jnp.abs(z))), Dense(1, "identity"))
    )
    y = np.exp(X[:21, :1])
    found = run(
        network=network, X=X[:21], y=y, batch_size=None, epochs=3, optimizer="sgd",
        loss=lambda z, y: ((z - jnp.log(y)) ** 2).sum(axis=1),
    )  # fmt: skip
    assert found.stop_reason is StopReason.MAX_EPOCHS
    assert np.isfinite(found.history.loss).all()


def test_training_goes_on_from_given_weights() -> None:
    first = tuple({k: v + 0.5 for k, v in own.items()} for own in NETWORK.draw(3))
    found = run(parameters=first, epochs=1, learning_rate=1e-300, optimizer="sgd")
    assert_same_bits(found.parameters, first)
    assert found.parameters[0]["weights"] is not first[0]["weights"]


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "poisson"])
def test_predictions_pass_through_the_link(loss: str) -> None:
    found = replace(run(epochs=1), plan=Plan(loss=loss))
    outputs = references.forward(NETWORK, found.parameters, X).outputs
    links = {
        "cross_entropy": np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True),
        "binary_cross_entropy": 1 / (1 + np.exp(-outputs)),
        "poisson": np.exp(outputs),
    }
    np.testing.assert_allclose(predict(found, X), links[loss], rtol=1e-9)


# ------------------------------------------------------------------- it does learn


@pytest.fixture(scope="module")
def digits() -> tuple[Array, Array, Array, Array]:
    rows, classes = load_digits(return_X_y=True)
    scaled = (rows / 16).astype(np.float32)
    parts: Any = train_test_split(scaled, classes, random_state=0, stratify=classes)
    return parts[0], parts[2], parts[1], parts[3]


def accuracy(found: Run, rows: Array, classes: Array) -> float:
    return float((predict(found, rows).argmax(axis=1) == classes).mean())


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 4])
def test_digits_are_learned(
    digits: tuple[Array, Array, Array, Array], depth: int
) -> None:
    """Better than a linear model; the issue's network for MNIST is the deep one."""
    X_train, y_train, X_test, y_test = digits
    network = DenseNetwork.from_sizes((64, *(100,) * depth, 10))
    found = fit(
        network, X_train, y_train, loss="cross_entropy", batch_size=128, epochs=40,
        random_state=0,
    )  # fmt: skip
    linear = LogisticRegression(max_iter=500).fit(X_train, y_train)
    assert accuracy(found, X_test, y_test) >= max(0.95, linear.score(X_test, y_test))


def _sine() -> Any:
    rows = np.linspace(-3, 3, 300)[:, None]
    return rows, np.sin(rows[:, 0]) + 0.1 * np.cos(1e4 * rows[:, 0]), "squared"


def _diabetes() -> Any:
    rows, y = load_diabetes(return_X_y=True)
    return scale(rows), scale(y), "squared"


def _cancer() -> Any:
    rows, y = load_breast_cancer(return_X_y=True)
    return scale(rows), y, "cross_entropy"


def _digits() -> Any:
    rows, y = load_digits(return_X_y=True)
    return rows / 16, y, "cross_entropy"


RATED = {"sine": _sine, "diabetes": _diabetes, "cancer": _cancer, "digits": _digits}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_found_rate_trains(
    digits: tuple[Array, Array, Array, Array], optimizer: str
) -> None:
    X_train, y_train, X_test, y_test = digits
    network = DenseNetwork.from_sizes((64, 32, 10))
    # No batch of three rows at the end of an epoch, whose step would decide.
    plan = Plan(loss="cross_entropy", optimizer=optimizer, batch_size=50, epochs=10)
    found = find_rate(network, X_train, y_train, plan=plan, random_state=0)
    assert 1e-6 <= found.suggestion < found.largest <= 10
    assert len(found.rates) == len(found.losses)
    assert np.isfinite(found.losses).all()
    np.testing.assert_allclose(np.diff(np.log(found.rates), 2), 0, atol=1e-9)
    trained = fit(
        network, X_train, y_train, plan=plan, learning_rate=found.suggestion,
        random_state=0,
    )  # fmt: skip
    assert accuracy(trained, X_test, y_test) > 0.9


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        (X, {"highest": 1e-3}, "still falls at the highest rate"),
        (X, {"highest": 1e-9, "lowest": 1e-10, "batch_size": 4}, "did not fall by"),
        (1e200 * X, {}, "is not finite after update"),
    ],
)
def test_find_rate_says_that_a_suggestion_is_at_an_end(
    rows: Any, settings: dict[str, Any], words: str
) -> None:
    y = np.sin(3 * X[:, :1])
    network = DenseNetwork.from_sizes((X.shape[1], 9, 1))
    given = {"n_steps": 50, "random_state": 0, "loss": "squared", **settings}
    with pytest.warns(UserWarning, match=words):
        found = find_rate(network, rows, y, **given)
    assert words in found.note


@pytest.mark.parametrize("name", ["sine", "diabetes", "cancer", "digits"])
def test_found_rates_of_any_seed_are_near_the_best(name: str) -> None:
    """Within a factor of 30 of the rate of the lowest loss, for each of 20 seeds."""
    rows, y, loss = RATED[name]()
    n_outputs = 1 if loss == "squared" else int(y.max()) + 1
    network = DenseNetwork.from_sizes((rows.shape[1], 32, n_outputs))
    found = [
        find_rate(network, rows, y, loss=loss, random_state=seed).suggestion
        for seed in range(20)
    ]

    def last_loss(rate: float) -> float:
        own: dict[str, Any] = {"loss": loss, "epochs": 10, "random_state": 0}
        return fit(network, rows, y, learning_rate=rate, **own).history.loss[-1]

    best = min(10.0 ** np.arange(-6, 2), key=last_loss)
    assert max(found) / 30 < best < min(found) * 30


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"lowest": 0}, "lowest=0"),
        ({"lowest": 1.0, "highest": 0.1}, "highest=0.1"),
        ({"n_steps": 5}, "n_steps=5"),
    ],
)
def test_find_rate_says_what_it_needs(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"find_rate got.*{words}.*at least 10 steps"):
        find_rate(NETWORK, X, Y, loss="cross_entropy", **settings)


def test_public_names_are_these() -> None:
    assert (tw.fit, tw.find_rate) == (fit, find_rate)
