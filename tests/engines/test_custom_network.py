"""Networks of the user's own: pairs of pure functions, trained like any other.

What they compute is held against `DenseNetwork` on the same engine, which has tests of
its own, and against a step written in NumPy where only they can do it.
"""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg as tw
from thalweg.engines.jax import custom_network
from thalweg.training.inspect import look_inside

RNG = np.random.RandomState(0)
X = RNG.randn(23, 3)
Y = np.sin(X.sum(1, keepdims=True))
DENSE = tw.DenseNetwork.from_sizes((3, 4, 1), activation="tanh")
FIRST = DENSE.draw(1)
PICTURES = RNG.rand(20, 6, 6, 1).astype(np.float32)
CLASSES = RNG.randint(3, size=20)


def layers(params: Any, X: Any) -> Any:
    """Compute the same network as DENSE, of the same parameters."""
    hidden = jnp.tanh(X @ params[0]["weights"] + params[0]["bias"])
    return hidden @ params[1]["weights"] + params[1]["bias"]


def convolution(params: Any, X: Any) -> Any:
    names = ("NHWC", "HWIO", "NHWC")
    X = jax.lax.conv_general_dilated(
        X, params["kernel"], (1, 1), "VALID", dimension_numbers=names
    )
    return jax.nn.relu(X).mean((1, 2))


def kernels(seed: int) -> Any:
    return {"kernel": np.random.RandomState(seed).randn(3, 3, 1, 3)}


SETTINGS: list[dict[str, Any]] = [
    {"optimizer": "adam", "l1": 0.1, "clip_norm": 0.5, "penalty_scale": "batch"},
    {"optimizer": "adamw", "accumulate": 2, "average": "ema", "schedule": "cosine"},
    {"optimizer": "newton-cg", "l2": 0.1},
    {"optimizer": "lm", "l2": 0.1},
    {"optimizer": "lbfgs_on_device"},
    {"optimizer": ["adam", "lbfgs"]},
    {"optimizer": "lbfgs", "bounds": (-0.5, 0.5)},
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: str(s["optimizer"]))
def test_trains_as_the_same_layers_do(settings: dict[str, Any]):
    network = tw.Network(lambda seed: FIRST, layers)
    common: dict[str, Any] = {"epochs": 4, "random_state": 0, **settings}
    if settings["optimizer"] in ("adam", "adamw"):
        common["batch_size"] = 5  # the last batch has three rows
    mine = tw.fit(network, X, Y, parameters=FIRST, **common)
    theirs = tw.fit(DENSE, X, Y, parameters=FIRST, engine="jax", **common)
    # The same sums in another order; a few hundred steps of rounding at 1e-16.
    np.testing.assert_allclose(mine.history.loss, theirs.history.loss, rtol=1e-9)
    for got, wanted in zip(mine.parameters, theirs.parameters, strict=True):
        for name in wanted:
            np.testing.assert_allclose(got[name], wanted[name], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(tw.predict(mine, X), tw.predict(theirs, X), rtol=1e-7)
    assert "dense networks alone" in mine.engine
    assert mine.stop_reason == theirs.stop_reason


@pytest.mark.slow
def test_validation_and_early_stopping_are_the_same():
    common: dict[str, Any] = {
        "epochs": 50, "patience": 3, "validation": 0.3, "random_state": 0,
        "learning_rate": 0.1, "batch_size": 4,
    }  # fmt: skip
    network = tw.Network(lambda seed: FIRST, layers)
    mine = tw.fit(network, X, Y, parameters=FIRST, **common)
    theirs = tw.fit(DENSE, X, Y, parameters=FIRST, engine="jax", **common)
    assert mine.why == theirs.why
    for name in ("validation_loss", "validation_score"):
        got, wanted = (getattr(run.history, name) for run in (mine, theirs))
        np.testing.assert_allclose(got, wanted, rtol=1e-9)


@pytest.mark.slow
def test_no_row_is_met_that_was_not_given():
    # Each output holds the mean of its batch, which one padded row would change; the
    # state counts steps and rows.
    def apply(params: Any, X: Any, state: Any) -> Any:
        outputs = X @ params["w"] + X.mean()
        return outputs, {"steps": state["steps"] + 1, "rows": state["rows"] + len(X)}

    start = {"steps": np.int32(0), "rows": np.int32(0)}
    network = tw.Network(lambda seed: ({"w": np.zeros((3, 1))}, start), apply)
    run = tw.fit(
        network, X, Y, optimizer="sgd", learning_rate=0.1, batch_size=5, epochs=2,
        shuffle=False,
    )  # fmt: skip
    w, losses = np.zeros((3, 1)), []
    for _ in range(2):
        total = 0.0
        for first in range(0, 23, 5):
            rows, target = X[first : first + 5], Y[first : first + 5]
            error = rows @ w + rows.mean() - target
            total += 0.5 * (error**2).sum()
            w = w - 0.1 * rows.T @ error / len(rows)
        losses.append(total / 23)
    np.testing.assert_allclose(run.parameters[0]["w"], w, rtol=1e-12)
    np.testing.assert_allclose(run.history.loss, losses, rtol=1e-12)
    assert run.parameters[1]["steps"] == 10
    assert run.parameters[1]["rows"] == 46
    assert "the 3 rows left" in run.engine


@pytest.mark.slow
def test_what_apply_names_it_gets():
    def apply(params: Any, X: Any, *, training: bool, key: Any) -> Any:
        assert (key is not None) == training
        noise = jax.random.normal(key, X.shape) if training else 0.0
        return (X + noise) @ params

    network = tw.Network(lambda seed: np.full((3, 1), 0.1), apply)
    runs = [tw.fit(network, X, Y, epochs=3, random_state=s) for s in (0, 0, 1)]
    losses = [run.history.loss for run in runs]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert (losses[0] != losses[2]).all()
    first = tw.fit(network, X, Y, epochs=1, learning_rate=1e-12)
    np.testing.assert_allclose(tw.predict(first, X), X @ np.full((3, 1), 0.1))
    with pytest.raises(ValueError, match="changes at every evaluation"):
        tw.fit(network, X, Y, optimizer="lbfgs")


@pytest.mark.slow
def test_added_losses_constraints_and_settling():
    def apply(params: Any, X: Any, state: Any) -> Any:
        return X @ params, 0.5 * state + 0.5 * X.mean(0), (params**2).sum()

    network = tw.Network(
        lambda seed: (np.ones((3, 1)), np.zeros(3)),
        apply,
        project=lambda params: jnp.maximum(params, 0),
        settle=lambda params, state, X: X.mean(0),
        adds_loss=True,
    )
    run = tw.fit(network, X, Y, optimizer="lbfgs")
    # The minimum of mean(½(Xw - y)²) + w², solved.
    best = np.linalg.solve(X.T @ X / 23 + 2 * np.eye(3), X.T @ Y / 23)
    np.testing.assert_allclose(run.parameters[0], best, atol=1e-4)
    np.testing.assert_allclose(run.parameters[1], X.mean(0), rtol=1e-12)
    run = tw.fit(network, X, -Y, epochs=50, learning_rate=0.1)
    assert (run.parameters[0] >= 0).all()
    assert (run.parameters[0] == 0).any()
    with pytest.raises(ValueError, match="adds a loss"):
        tw.fit(network, X, Y, optimizer="lm")


@pytest.mark.slow
def test_convolutions_make_one_step_a_call_on_a_cpu():
    network, looped = (tw.Network(kernels, convolution) for _ in range(2))
    looped.programs["convolves"] = False
    common: dict[str, Any] = {
        "loss": "cross_entropy", "epochs": 3, "batch_size": 8, "random_state": 0,
    }  # fmt: skip
    mine, theirs = (tw.fit(n, PICTURES, CLASSES, **common) for n in (network, looped))
    if jax.default_backend() == "cpu":
        assert "one step a call" in mine.engine
    assert "one step a call" not in theirs.engine
    # float32, six steps: another program may add in another order.
    np.testing.assert_allclose(mine.history.loss, theirs.history.loss, rtol=1e-5)
    got, wanted = mine.parameters["kernel"], theirs.parameters["kernel"]
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
    assert got.dtype == np.float32


@pytest.mark.slow
def test_several_inputs_and_outputs():
    tokens = np.arange(12) % 5

    def apply(params: Any, X: Any) -> Any:
        assert X["token"].dtype == jnp.int32
        both = params["table"][X["token"]] + X["number"]
        return {"sum": both.sum(1), "parts": both}

    def loss(outputs: Any, y: Any) -> Any:
        parts = ((outputs["parts"] - y["parts"]) ** 2).sum(1)
        return (outputs["sum"] - y["sum"]) ** 2 + parts

    numbers = np.linspace(0, 1, 24).reshape(12, 2)
    table = np.random.RandomState(0).randn(5, 2)
    inputs = {"token": tokens, "number": numbers}
    target = table[tokens] + numbers
    y = {"sum": target.sum(1), "parts": target}
    network = tw.Network(lambda seed: {"table": np.zeros((5, 2))}, apply)
    # Not every split leaves a row of each token to train on; this one does.
    run = tw.fit(
        network, inputs, y, loss=loss, optimizer="lbfgs", validation=0.25,
        random_state=0,
    )  # fmt: skip
    np.testing.assert_allclose(run.parameters["table"], table, atol=1e-4)
    found = tw.predict(run, inputs)
    assert found["parts"].shape == (12, 2)
    np.testing.assert_allclose(found["sum"], y["sum"], atol=1e-4)


@pytest.mark.slow
def test_one_type_throughout():
    network = tw.Network(lambda seed: FIRST, layers)
    for dtype in (np.float32, np.float64):
        run = tw.fit(network, X.astype(dtype), Y, epochs=2)
        leaves = jax.tree.leaves(run.parameters)
        assert {leaf.dtype for leaf in leaves} == {np.dtype(dtype)}
        assert tw.predict(run, X).dtype == dtype


@pytest.mark.slow
def test_compares_and_finds_rates():
    network = tw.Network(lambda seed: DENSE.draw(seed), layers)
    found = tw.compare(
        {"mine": {"network": network}, "slow": {"network": network, "optimizer": "sgd",
         "learning_rate": 1e-6}},
        X, Y, seeds=2, epochs=30, learning_rate=0.05,
    )  # fmt: skip
    means = {name: row["mean"] for name, row in found.summary().items()}
    assert means["mine"] > means["slow"]
    assert {trial.n_parameters for trial in found.trials} == {21}
    assert 1e-6 < tw.find_rate(network, X, Y, random_state=0).suggestion < 10


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_traced():
    network = tw.Network(lambda seed: {"w": np.zeros((3, 1))}, lambda p, X: X @ p["w"])
    root = lambda outputs, y: jnp.sqrt(jnp.abs(outputs[:, 0]))  # its slope at 0 is inf
    run = tw.fit(network, X, Y, loss=root, epochs=3)
    assert run.stop_reason is tw.StopReason.NONFINITE
    assert "the gradient of params['w']" in run.why
    assert (run.parameters["w"] == 0).all()


def with_state(params: Any, X: Any, state: Any) -> Any:
    return X @ params, {"count": state["count"] * 1.5}


ANY: Any = "init"
BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no function": (lambda: tw.Network(ANY, layers), {}, "it must be a function"),
    "not trained": (
        lambda: tw.Network(lambda seed: {"n": np.arange(3)}, layers),
        {}, r"params\['n'\] is of type int64, which cannot be trained",
    ),
    "no array": (
        lambda: tw.Network(lambda seed: {"act": jnp.tanh}, layers),
        {}, r"the weights hold .* at \['act'\]",
    ),
    "no pair": (
        lambda: tw.Network(lambda seed: {"w": np.ones(3)}, with_state),
        {}, r"must return \(params, state\)",
    ),
    "another state": (
        lambda: tw.Network(
            lambda seed: (np.ones((3, 1)), {"count": np.int32(1)}), with_state
        ),
        {}, r"the state has float64 of shape \(\) at \['count'\], where .*int32",
    ),
    "a shape": (
        lambda: tw.Network(lambda seed: np.ones((4, 1)), lambda p, X: X @ p),
        {}, r"the network does not take X of shape \(23, 3\).*4",
    ),
    "rows lost": (
        lambda: tw.Network(lambda seed: np.ones((3, 1)), lambda p, X: (X @ p)[:2]),
        {}, r"\(2, 1\) for 23 rows; their first axis",
    ),
    "targets": (
        lambda: tw.Network(lambda seed: np.ones((3, 2)), lambda p, X: X @ p),
        {}, r"y has shape \(23, 1\); for loss='squared' and outputs of shape \(23, 2\)",
    ),
    "too many classes": (
        lambda: tw.Network(lambda seed: np.ones((3, 2)), lambda p, X: X @ p),
        {"loss": "cross_entropy", "y": np.arange(23)}, "class numbers up to 22",
    ),
    "several outputs": (
        lambda: tw.Network(lambda seed: np.ones((3, 1)), lambda p, X: (X @ p, X @ p)),
        {}, r"takes one output; the network gives several, of shapes",
    ),
    "a loss of batches": (
        lambda: tw.Network(lambda seed: np.ones((3, 1)), lambda p, X: X @ p),
        {"loss": lambda outputs, y: ((outputs - y) ** 2).mean()},
        "it must give one number for each",
    ),
    "a loss of another shape": (
        lambda: tw.Network(lambda seed: np.ones((3, 1)), lambda p, X: X @ p),
        {"loss": lambda outputs, y: outputs["left"]}, "does not fit outputs of shape",
    ),
    "other weights": (
        lambda: tw.Network(lambda seed: {"w": np.ones((3, 1))}, layers),
        {"parameters": {"w": np.ones((2, 1))}},
        r"parameters has .* shape \(2, 1\) at \['w'\], where init returns",
    ),
    "layer rates": (
        lambda: tw.Network(lambda seed: FIRST, layers),
        {"layer_rates": (1.0, 0.5)}, "optax.partition",
    ),
    "the kernel": (
        lambda: tw.Network(lambda seed: FIRST, layers),
        {"engine": "native"}, "native cannot: it trains dense networks alone",
    ),
    "ragged inputs": (
        lambda: tw.Network(lambda seed: FIRST, lambda p, X: X["a"]),
        {"X": {"a": X, "b": X[:5]}}, r"X\['b'\] has shape \(5, 3\), X has 23 rows",
    ),
    "missing values": (
        lambda: tw.Network(lambda seed: FIRST, lambda p, X: X["a"]),
        {"X": {"a": np.where(X > 2, np.nan, X)}}, r"X\['a'\] holds nan in row",
    ),
    "rows that mix": (
        lambda: tw.Network(
            lambda seed: np.ones((3, 1)), lambda p, X: (X - X.mean(0)) @ p
        ),
        {"optimizer": "lm"}, "whose rows depend on each other",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str):
    make, settings, sentence = BAD[name]
    given = {"X": X, "y": Y, "epochs": 1, **settings}
    with pytest.raises((ValueError, TypeError), match=sentence):
        tw.fit(make(), given.pop("X"), given.pop("y"), **given)


@pytest.mark.slow
def test_what_needs_layers_says_so(tmp_path: Path):
    run = tw.fit(tw.Network(lambda seed: FIRST, layers), X, Y, epochs=1)
    with pytest.raises(ValueError, match=r"save run\.parameters"):
        tw.save(run, tmp_path / "own.thalweg")
    with pytest.raises(TypeError, match="Give a DenseNetwork"):
        look_inside(run, X)


@pytest.mark.parametrize("size", [5, 7, 30])
def test_parts_hold_each_row_once_and_in_order(size: int):
    orders = np.arange(42).reshape(2, 21)
    parts = list(custom_network.parts(orders, size))
    assert np.concatenate([rows.ravel() for _, rows, _ in parts]).tolist() == [
        *range(42)
    ]
    steps = [step for _, _, each in parts for step in range(each.start, each.stop)]
    assert steps == [*range(2 * -(-21 // size))]
    assert all(
        rows.shape[1] % size == 0 or rows.shape[1] < size for _, rows, _ in parts
    )


BLOCKS = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "networks.md").read_text(),
    re.DOTALL,
)


# Keras 3.15 reads its own variables in a way that NumPy 2 warns of.
@pytest.mark.keras
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")
@pytest.mark.parametrize("number", range(1, len(BLOCKS)))
def test_what_the_docs_show_works(number: int):
    shown: dict[str, Any] = {"__name__": "docs"}
    for block in (BLOCKS[0], "import jax, keras", BLOCKS[number]):
        exec(block, shown)
    history = shown["clf"].history_ if "clf" in shown else shown["run"].history
    assert np.isfinite(history.loss).all()
