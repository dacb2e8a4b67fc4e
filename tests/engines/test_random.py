"""The generator of dropout and noise: the published vectors, and what it promises.

Every engine must draw these bits. The test vectors are those of the Random123 library
(Salmon et al., 2011), file ``kat_vectors``, for ``threefry 2x32 20``. The statistical
tests draw a fixed 2¹⁶ words: a mean of n draws has a standard error of σ/√n, and four
of them are allowed.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers import draw_parameters, each_engine
from tests.reference import networks as references
from thalweg import engines
from thalweg.core.data import Data
from thalweg.core.networks import Dense, DenseNetwork
from thalweg.core.plan import Plan
from thalweg.engines.jax import random

VECTORS = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]

SEEDS = st.integers(0, 2**32 - 1)
N = 1 << 16


@pytest.mark.parametrize(("key", "counter", "expected"), VECTORS)
def test_reference_draws_the_published_vectors(
    key: Any, counter: Any, expected: Any
) -> None:
    column = [np.array([[a], [b]], np.uint32) for a, b in (key, counter)]
    np.testing.assert_array_equal(references.threefry(*column).ravel(), expected)


def test_words_of_a_counter_of_zero() -> None:
    """The one published vector that a layer's first pair can be."""
    first, second = random.words(jnp.uint32(0), jnp.uint32(0), 0, 1)
    assert (int(first[0]), int(second[0])) == VECTORS[0][2]


@settings(max_examples=20)
@given(seed=SEEDS, step=SEEDS, layer=st.integers(0, 40))
def test_words_are_the_references(seed: int, step: int, layer: int) -> None:
    pairs = random.words(jnp.uint32(seed), jnp.uint32(step), layer, 5)
    expected = references.words(seed, step, layer, 10).reshape(5, 2).T
    np.testing.assert_array_equal(np.array(pairs), expected)


@pytest.mark.parametrize("shape", [(4, 3), (3, 5), (1, 1), (7, 1)])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.999])
def test_dropout_is_the_references(shape: tuple[int, int], rate: float) -> None:
    """Odd sizes too, whose last pair is half used."""
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    stream = (jnp.uint32(7), jnp.uint32(2))
    found = random.dropout(
        jnp.asarray(x),
        jnp.float32(rate),
        jnp.asarray(random.threshold(rate)),
        stream,
        1,
    )
    expected = x * references.dropout(7, 2, 1, shape, rate)
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # a few roundings of 6e-8


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(rate: float) -> None:
    factors = references.dropout(3, 0, 1, (N // 64, 64), rate)
    assert set(np.unique(factors)) == {0.0, 1 / (1 - rate)}
    dropped = (factors == 0).mean()
    assert abs(dropped - rate) < 4 * np.sqrt(rate * (1 - rate) / N)
    assert abs(factors.mean() - 1) < 4 * np.sqrt(rate / (1 - rate) / N)


def test_masks_differ_between_steps_layers_and_seeds() -> None:
    """Two independent masks at 1/2 agree in half of the elements."""
    base = references.dropout(1, 1, 1, N, 0.5) > 0
    for other in ((2, 1, 1), (1, 2, 1), (1, 1, 2)):
        agree = (base == (references.dropout(*other, N, 0.5) > 0)).mean()
        assert abs(agree - 0.5) < 4 * np.sqrt(0.25 / N)


def test_threshold_is_the_floor_in_double_precision() -> None:
    assert random.threshold(0.0) == 0
    assert random.threshold(0.5) == 2**31
    assert random.threshold(0.1) == 429496729  # ⌊429496729.6⌋
    assert random.threshold(1 - 2**-33) == 2**32 - 1


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(64, 3), (5, 1)])
def test_gaussian_noise_is_the_references(dtype: Any, shape: tuple[int, int]) -> None:
    with jax.enable_x64(dtype == np.float64):
        x, std = jnp.zeros(shape, dtype), jnp.asarray(0.5, dtype)
        found = random.add_gaussian(x, std, (jnp.uint32(9), jnp.uint32(4)))
        assert found.dtype == dtype
    # float32 rounds a at 6e-8 and √(−2 ln a) near a = 1 takes the root of that.
    atol = 1e-12 if dtype == np.float64 else 5e-4
    expected = 0.5 * references.gaussian(9, 4, shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def test_gaussian_moments() -> None:
    """Mean 0, variance 1, skewness 0, kurtosis 3, and no tie between neighbors."""
    z = references.gaussian(5, 0, (N,))
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - moment) < 4 * np.sqrt(spread / N)
    assert abs((z[::2] * z[1::2]).mean()) < 4 / np.sqrt(N / 2)


@pytest.mark.slow
@each_engine
@pytest.mark.parametrize("n_rows", [5, 21])
def test_masks_do_not_depend_on_padding(engine: engines.Engine, n_rows: int) -> None:
    """One step of descent from outputs of 1 shows the mask in the bias's gradient.

    The hidden layer gives 1 everywhere, so the output layer's weights move by the sums
    of the rows' mask; 21 rows are padded by the JAX engine, 5 are not.
    """
    network = DenseNetwork(
        2, (Dense(4, "identity", dropout=0.4), Dense(1, "identity")), input_noise=0.0
    )
    parameters = draw_parameters(network)
    parameters[0]["weights"][:] = 0.0
    parameters[0]["bias"][:] = 1.0
    rng = np.random.default_rng(0)
    X, weights = rng.standard_normal((n_rows, 2)), rng.uniform(0.5, 2, n_rows)
    data = Data(X, np.full((n_rows, 1), -100.0), weights)
    plan = Plan(loss="absolute", optimizer="sgd", batch_size=None)
    session = engine.session(network, plan, data, parameters, 11, None, None)
    session.advance(None, np.ones(1), np.ones(1))
    moved = parameters[1]["weights"] - session.parameters()[1]["weights"]
    mask = references.dropout(11, 0, 1, (n_rows, 4), 0.4)
    expected = (weights / weights.sum()) @ mask
    np.testing.assert_allclose(moved[:, 0], expected, rtol=1e-12)
