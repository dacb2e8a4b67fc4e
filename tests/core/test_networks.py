"""Networks as data: their checks, their JSON, and the weights that they begin with.

The moments of n draws scatter by σ/√n (the mean) and σ/√(2n) (the deviation); four of
these are allowed, with fixed seeds.
"""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neural_network import MLPClassifier, MLPRegressor

from thalweg.core.initializers import INITIALIZERS, as_random_state
from thalweg.core.networks import (
    ACTIVATIONS,
    CONSTRAINTS,
    NORMALIZATIONS,
    Dense,
    DenseNetwork,
    without_noise,
)
from thalweg.core.types import Array

FAN_IN, FAN_OUT = 150, 100
N = FAN_IN * FAN_OUT


def drawn(init: Any, activation: str = "tanh", seed: int = 0) -> Array:
    layer = Dense(FAN_OUT, activation, init=init)
    return DenseNetwork(FAN_IN, (layer,)).draw(seed)[0]["weights"]


MEAN_FAN = (FAN_IN + FAN_OUT) / 2
# Initializer -> standard deviation, as published; a uniform draw reaches √3 of it.
NORMALS: dict[str, tuple[Any, float]] = {
    "normal": (("normal", {"std": 0.3}), 0.3),
    "glorot_normal": ("glorot_normal", MEAN_FAN**-0.5),
    "xavier_normal": (("xavier_normal", {"gain": 2.0}), 2 * MEAN_FAN**-0.5),
    "xavier": ("xavier", FAN_IN**-0.5),
    "he_normal": ("he_normal", (2 / FAN_IN) ** 0.5),
    "lecun_normal": ("lecun_normal", FAN_IN**-0.5),
}
UNIFORMS: dict[str, tuple[Any, float]] = {
    "uniform": (("uniform", {"limit": 0.3}), 0.3 / 3**0.5),
    "glorot_uniform": ("glorot_uniform", MEAN_FAN**-0.5),
    "xavier_uniform": (("xavier_uniform", {"gain": 2.0}), 2 * MEAN_FAN**-0.5),
    "he_uniform": ("he_uniform", (2 / FAN_IN) ** 0.5),
    "lecun_uniform": ("lecun_uniform", FAN_IN**-0.5),
    "sklearn": ("sklearn", MEAN_FAN**-0.5),
}
OTHERS = {"auto", "zeros", "constant", "orthogonal"}


def test_every_initializer_is_tested() -> None:
    assert set(NORMALS) | set(UNIFORMS) | OTHERS == set(INITIALIZERS)


@pytest.mark.parametrize("name", [*NORMALS, *UNIFORMS])
def test_moments(name: str) -> None:
    init, std = {**NORMALS, **UNIFORMS}[name]
    weights = drawn(init)
    assert abs(weights.mean()) < 4 * std / N**0.5
    assert abs(weights.std() - std) < 4 * std / (2 * N) ** 0.5
    # The fourth moment tells a normal (3) from a uniform (1.8) distribution.
    kurtosis = 3.0 if name in NORMALS else 1.8
    assert abs((weights**4).mean() / std**4 - kurtosis) < 4 * (96 / N) ** 0.5


@pytest.mark.parametrize("name", UNIFORMS)
def test_uniform_bounds(name: str) -> None:
    init, std = UNIFORMS[name]
    limit, largest = 3**0.5 * std, np.abs(drawn(init)).max()
    assert 0.999 * limit < largest <= limit


@pytest.mark.parametrize(
    ("activation", "same"),
    [
        *((name, "he_normal") for name in ("relu", "leaky_relu", "elu", "gelu")),
        *((name, "he_normal") for name in ("silu", "mish", "softplus", "relu6")),
        ("hard_silu", "he_normal"),
        ("selu", "lecun_normal"),
        *((name, "glorot_uniform") for name in ("tanh", "logistic", "identity")),
        *((name, "glorot_uniform") for name in ("softsign", "hard_tanh")),
    ],
)
def test_auto_follows_the_activation(activation: str, same: str) -> None:
    np.testing.assert_array_equal(drawn("auto", activation), drawn(same, activation))


def test_constants() -> None:
    assert (drawn("zeros") == 0).all()
    assert (drawn(("constant", {"value": 0.7})) == 0.7).all()


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (4, 1)])
def test_orthogonal_keeps_lengths(shape: tuple[int, int]) -> None:
    layer = Dense(shape[1], init=("orthogonal", {"gain": 2.0}))
    w = DenseNetwork(shape[0], (layer,)).draw(1)[0]["weights"] / 2
    assert w.shape == shape
    small = w.T @ w if shape[0] >= shape[1] else w @ w.T
    # Householder's factor is orthogonal to a few roundings of 1e-16.
    np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-14)


def test_orthogonal_draws_have_no_preferred_sign() -> None:
    """Without Mezzadri's correction the first entry would always be negative."""
    layer = Dense(3, init="orthogonal")
    firsts = [
        DenseNetwork(3, (layer,)).draw(seed)[0]["weights"][0, 0] for seed in range(64)
    ]
    positive = float(np.mean(np.array(firsts) > 0))
    assert abs(positive - 0.5) < 4 * (0.25 / 64) ** 0.5


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu", "identity"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_sklearns_draws_bit_for_bit(activation: str, outputs: int) -> None:
    """With a rate of 1e-300 its first step moves no weight by a bit."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 3)), rng.standard_normal((12, outputs))
    theirs = MLPRegressor(
        hidden_layer_sizes=(4, 5), activation=activation, solver="sgd",
        learning_rate_init=1e-300, max_iter=1, random_state=42,
    ).fit(X, y if outputs > 1 else y[:, 0])  # fmt: skip
    init = ("sklearn", {"factor": 2.0 if activation == "logistic" else 6.0})
    network = DenseNetwork.from_sizes((3, 4, 5, outputs), init=init, bias_init=init)
    for own, coefs, intercepts in zip(
        network.draw(42), theirs.coefs_, theirs.intercepts_, strict=True
    ):
        np.testing.assert_array_equal(own["weights"], coefs)
        np.testing.assert_array_equal(own["bias"], intercepts)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_sklearns_classifier_draws_too() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, 3)), rng.integers(0, 3, 12)
    theirs = MLPClassifier(
        (4,), solver="sgd", learning_rate_init=1e-300, max_iter=1, random_state=7
    ).fit(X, y)
    network = DenseNetwork.from_sizes(
        (3, 4, 3), activation="relu", init="sklearn", bias_init="sklearn"
    )
    state = np.random.RandomState(7)
    for own, coefs in zip(network.draw(state), theirs.coefs_, strict=True):
        np.testing.assert_array_equal(own["weights"], coefs)


def test_one_generator_draws_everything_in_order() -> None:
    """The same draws as NumPy's, a layer's weights before its bias."""
    network = DenseNetwork.from_sizes((2, 3, 2), init="xavier", bias_init="normal")
    rng = np.random.RandomState(5)
    expected = [
        rng.standard_normal((2, 3)) / 2**0.5,
        0.01 * rng.standard_normal(3),
        rng.standard_normal((3, 2)) / 3**0.5,
        0.01 * rng.standard_normal(2),
    ]
    found = [own[name] for own in network.draw(5) for name in ("weights", "bias")]
    for mine, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-15)  # √2 divides or multiplies


def test_the_users_own_weights() -> None:
    w, b = np.arange(6.0).reshape(3, 2), np.array([7.0, 8.0])
    given_ = Dense(2, init=w, bias_init=lambda rng, i, o: b + i * 100 + o * 10)
    (own,) = DenseNetwork(3, (given_,)).draw(0)
    np.testing.assert_array_equal(own["weights"], w)
    np.testing.assert_array_equal(own["bias"], b + 320)
    own["weights"][0, 0] = 99
    assert w[0, 0] == 0, "the draw must be a copy"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_repeat_and_dtypes_round_the_same_draw(dtype: Any) -> None:
    network = DenseNetwork.from_sizes((3, 4, 2), normalization="batch")
    first, again = network.draw(3, dtype), network.draw(3)
    other = network.draw(4)
    for one, two, three in zip(first, again, other, strict=True):
        for name in one:
            assert one[name].dtype == dtype
            np.testing.assert_array_equal(one[name], two[name].astype(dtype))
        assert (two["weights"] != three["weights"]).all()


def test_normalization_begins_as_the_identity() -> None:
    own = DenseNetwork.from_sizes((3, 4, 2), normalization="batch").draw(0)[0]
    assert list(own) == ["weights", "bias", "scale", "shift", "mean", "variance"]
    for name, value in {"scale": 1, "shift": 0, "mean": 0, "variance": 1}.items():
        np.testing.assert_array_equal(own[name], np.full(4, value))


TIED = DenseNetwork(
    3,
    (
        Dense(5, "tanh", normalization="layer", dropout=0.25),
        Dense(3, ("elu", {"alpha": 0.5}), shares=0, transposed=True, frozen=True),
        Dense(3, residual=1, constraint=("max_norm", {"limit": 2.0})),
        Dense(2, "identity", normalization=("batch", {"momentum": 0.5})),
    ),
    input_noise=0.5,
)


def test_shapes_and_counts() -> None:
    assert TIED.shapes() == (
        {"weights": (3, 5), "bias": (5,), "scale": (5,), "shift": (5,)},
        {"bias": (3,)},
        {"weights": (3, 3), "bias": (3,)},
        {
            "weights": (3, 2), "bias": (2,), "scale": (2,), "shift": (2,),
            "mean": (2,), "variance": (2,),
        },
    )  # fmt: skip
    assert TIED.n_parameters == 15 + 15 + 3 + 9 + 3 + 6 + 6
    assert TIED.widths == (3, 5, 3, 3, 2)
    assert TIED.n_outputs == 2


@given(
    st.lists(st.integers(1, 6), min_size=2, max_size=5),
    st.sampled_from(sorted(NORMALIZATIONS)),
    st.sampled_from(sorted(INITIALIZERS)),
)
def test_draws_have_the_shapes_that_are_promised(
    sizes: list[int], normalization: str, init: str
) -> None:
    network = DenseNetwork.from_sizes(sizes, normalization=normalization, init=init)
    parameters = network.draw(0)
    network.check(parameters)
    counted = sum(
        v.size for own in parameters for k, v in own.items()
        if k not in ("mean", "variance")
    )  # fmt: skip
    assert network.n_parameters == counted
    assert all(np.isfinite(v).all() for own in parameters for v in own.values())


@pytest.mark.parametrize("network", [TIED, DenseNetwork.from_sizes((2, 3, 1))], ids=str)
def test_json_round_trip(network: DenseNetwork) -> None:
    read = DenseNetwork.from_json(json.loads(json.dumps(network.to_json())))
    assert read == network
    assert read.shapes() == network.shapes()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_json_round_trip_of_layers(activation: str, constraint: str) -> None:
    network = DenseNetwork(2, (Dense(3, activation, constraint=constraint),))
    assert DenseNetwork.from_json(json.loads(json.dumps(network.to_json()))) == network


def test_first_weights_are_not_written() -> None:
    network = DenseNetwork(2, (Dense(3, init=np.ones((2, 3)), bias_init=np.ones(3)),))
    assert DenseNetwork.from_json(network.to_json()).draw(0)[0]["weights"].sum() == 0


def test_a_function_is_not_written() -> None:
    network = DenseNetwork(2, (Dense(3, lambda z: z),))
    with pytest.raises(ValueError, match="cannot be written to a file"):
        network.to_json()


def test_networks_are_values() -> None:
    """Equal and hashable without their first weights, so that programs are shared."""
    one = DenseNetwork(2, (Dense(3, init=np.ones((2, 3))),))
    other = DenseNetwork(2, (Dense(3, init="zeros"),))
    assert one == other
    assert hash(one) == hash(other)
    assert one != DenseNetwork(2, (Dense(3, "tanh"),))


def test_from_sizes_gives_hidden_settings_to_hidden_layers() -> None:
    network = DenseNetwork.from_sizes(
        (2, 4, 4, 1), activation="tanh", dropout=0.5, normalization="batch",
        init="zeros", constraint="unit_norm", output_activation="logistic",
        input_noise=0.1,
    )  # fmt: skip
    hidden = Dense(
        4, "tanh", "zeros", dropout=0.5, normalization="batch", constraint="unit_norm"
    )
    output = Dense(1, "logistic", "zeros", constraint="unit_norm")
    assert network == DenseNetwork(2, (hidden, hidden, output), 0.1)
    assert (network.draw(0)[2]["weights"] == 0).all()


def test_without_noise_changes_nothing_else() -> None:
    quiet = without_noise(TIED)
    assert quiet.input_noise == 0
    assert [layer.dropout for layer in quiet.layers] == [0] * 4
    assert quiet.shapes() == TIED.shapes()


def test_a_network_reads_like_one() -> None:
    assert str(TIED) == (
        "3 → 5 (tanh, layer norm, dropout 0.25) → 3 (elu) → 3 (relu) → "
        "2 (identity, batch norm); 57 parameters"
    )


def layer(**settings: Any) -> Any:
    return lambda: Dense(**{"units": 3, **settings})


def stack(*layers: Dense) -> Any:
    return lambda: DenseNetwork(3, layers)


ERRORS: list[tuple[Any, list[str]]] = [
    (layer(units=0), ["units is 0", "at least 1"]),
    (layer(units=2.0), ["units is 2.0", "whole number"]),
    (layer(units=True), ["units is True", "whole number"]),
    (layer(residual=-1), ["residual is -1", "at least 0"]),
    (layer(dropout=1.0), ["dropout=1.0", "[0, 1)"]),
    (layer(dropout=-0.1), ["dropout=-0.1", "[0, 1)"]),
    (layer(dropout=np.nan), ["dropout=nan", "[0, 1)"]),
    (layer(activation="rleu"), ["Dense", "activation='rleu'", "mean 'relu'?"]),
    (layer(activation=("elu", {"alfa": 1})), ["'alfa'", "mean 'alpha'?"]),
    (layer(init="he"), ["init='he'", "Options:", "he_normal"]),
    (layer(bias_init="ones"), ["bias_init='ones'", "Options:", "zeros"]),
    (layer(init=("normal", {"std": -1.0})), ["std=-1.0", "[0, inf)"]),
    (layer(normalization="bach"), ["normalization='bach'", "mean 'batch'?"]),
    (layer(constraint="maxnorm"), ["constraint='maxnorm'", "mean 'max_norm'?"]),
    (lambda: DenseNetwork(0, (Dense(1),)), ["n_inputs is 0", "at least 1"]),
    (lambda: DenseNetwork(1, ()), ["no layers", "Dense(1, 'identity')"]),
    (lambda: DenseNetwork(1, (Dense(1),), -1.0), ["input_noise=-1.0", "[0, inf)"]),
    (lambda: DenseNetwork.from_sizes((3,)), ["sizes=(3,)", "at least two"]),
    (stack(Dense(4, residual=1)), ["layer 0", "residual=1", "3 wide", "(4)"]),
    (stack(Dense(3, residual=2)), ["layer 0", "residual=2", "before the input"]),
    (stack(Dense(3, shares=0)), ["layer 0", "shares=0", "earlier layer"]),
    (stack(Dense(3), Dense(3, shares=-1)), ["layer 1", "shares=-1", "0 to 0"]),
    (
        stack(Dense(3), Dense(3, shares=0), Dense(3, shares=1)),
        ["layer 2", "layer 1", "Share those of layer 0"],
    ),
    (stack(Dense(4), Dense(3, shares=0)), ["layer 1", "(4, 3)", "(3, 4)"]),
    (
        stack(Dense(4), Dense(4, shares=0, transposed=True)),
        ["layer 1", "(4, 4)", "transposed", "(4, 3)"],
    ),
    (
        lambda: DenseNetwork(3, (Dense(2, init=np.ones((2, 3))),)).draw(0),
        ["weights of layer 0", "(2, 3)", "(3, 2)"],
    ),
    (
        lambda: DenseNetwork(3, (Dense(2, bias_init=np.ones(3)),)).draw(0),
        ["bias of layer 0", "(3,)", "(2,)"],
    ),
    (lambda: TIED.check(()), ["0 layers", "4", "network.draw()"]),
    (
        lambda: DenseNetwork(3, (Dense(2),)).check(({"weights": np.ones((3, 3))},)),
        ["layer 0", "(3, 3)", "(3, 2)", "network.draw()"],
    ),
    (lambda: as_random_state(-1), ["random_state is -1", "[0, 2**32)"]),
    (
        lambda: as_random_state(2**32),
        ["random_state is 4294967296", "[0, 2**32)"],
    ),
]


@pytest.mark.parametrize(
    ("make", "words"), ERRORS, ids=[str(each[1])[:50] for each in ERRORS]
)
def test_errors_name_parameter_value_and_what_is_allowed(
    make: Any, words: list[str]
) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    message = str(caught.value)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize("name", ["normalization", "constraint"])
def test_structure_is_no_function(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} by name only"):
        Dense(**{"units": 3, name: lambda z: z})


def test_random_states() -> None:
    state = np.random.RandomState(3)
    assert as_random_state(state) is state
    expected = np.random.RandomState(3).uniform()
    assert as_random_state(3).uniform() == expected
    assert as_random_state(None).uniform() != as_random_state(None).uniform()


@pytest.mark.parametrize("value", ["0", 1.5, True and 1.0, (1,)])
def test_what_is_no_random_state(value: Any) -> None:
    with pytest.raises(ValueError, match="random_state is"):
        as_random_state(value)
