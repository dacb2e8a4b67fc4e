"""Every update rule against optax, and against the formula that its authors publish.

A rule is run by an engine for twelve steps of a small regression, with a rate that
changes at every step and batches that make the gradient's sign change. The same
gradients, computed by `references`, are then given to optax itself, and the whole run
is repeated with the published formula. Both start from constants that are not the
defaults, so that none is forgotten on the way.

Tolerances: float64 throughout. A step is a few operations an entry, each rounded at
1e-16; ratios m/√v of young moments and twelve steps multiply that by less than 1e4.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from tests.helpers import draw_data, draw_parameters, each_engine
from tests.reference import networks as references
from thalweg import engines
from thalweg.core.networks import Dense, DenseNetwork
from thalweg.core.optimizers import OPTIMIZERS
from thalweg.core.plan import Plan
from thalweg.core.types import Array, Parameters
from thalweg.engines.jax import ENGINE as xla

NETWORK = DenseNetwork(3, (Dense(2, "identity"),))
N_ROWS, BATCH, EPOCHS = 9, 3, 4
N_STEPS = EPOCHS * (N_ROWS // BATCH)
RATE = 0.05
RATES = RATE * np.linspace(0.5, 1.5, N_STEPS)[::-1] ** 2

Make = Callable[[Any, int], optax.GradientTransformation]


@dataclass(frozen=True)
class Case:
    """A rule: its constants here, and optax's call for a rate at update t (from 1)."""

    name: str
    make: Make
    constants: dict[str, Any] = field(default_factory=dict)
    rtol: float = 1e-10

    @property
    def plan(self) -> Plan:
        return Plan(
            loss="log_cosh",
            optimizer=(self.name, self.constants),
            learning_rate=RATE,
            batch_size=BATCH,
            epochs=EPOCHS,
            l2=0.1,
        )

    def __str__(self) -> str:
        flags = [k for k, v in self.constants.items() if v is True]
        return " ".join([self.name, *flags])


_B = {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3}
_O: dict[str, Any] = {"b1": 0.8, "b2": 0.95, "eps": 1e-3}


def _in_velocity(nesterov: bool) -> Make:
    def make(rate: Any, t: int) -> optax.GradientTransformation:
        return optax.chain(optax.scale(-rate), optax.trace(0.7, nesterov))

    return make


def _kingma(rate: Any, t: int) -> optax.GradientTransformation:
    # m̂/(√v̂ + ε′) with ε′ = ε/√(1−β₂ᵗ) is the form that adds ε to the raw √v.
    return optax.adam(rate, b1=0.8, b2=0.95, eps=1e-3 / (1 - 0.95**t) ** 0.5)


def _rprop(rate: Any, t: int) -> optax.GradientTransformation:
    # optax 0.2.8 hands out the update of the step before (its pull request 1725 tells
    # of it); this step's is in its state.
    late = optax.rprop(RATE, 0.4, 1.5, 1e-3, 0.2)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        _, state = late.update(updates, state, params)
        return jax.tree.map(lambda u: -u, state[0].prev_updates), state

    return optax.GradientTransformation(late.init, update)


CASES = [
    Case("sgd", lambda rate, t: optax.sgd(rate)),
    Case("momentum", lambda rate, t: optax.sgd(rate, 0.7), {"momentum": 0.7}),
    Case("momentum", _in_velocity(False), {"momentum": 0.7, "rate_in_velocity": True}),
    Case("nesterov", lambda rate, t: optax.sgd(rate, 0.7, True), {"momentum": 0.7}),
    Case("nesterov", _in_velocity(True), {"momentum": 0.7, "rate_in_velocity": True}),
    Case(
        "adagrad",
        lambda rate, t: optax.adagrad(rate, 0.2, 1e-3),
        {"initial_accumulator": 0.2, "epsilon": 1e-3},
    ),
    Case(
        "rmsprop",
        lambda rate, t: optax.rmsprop(rate, decay=0.7, eps=1e-3),
        {"decay": 0.7, "epsilon": 1e-3},
    ),
    Case(
        "rmsprop",
        lambda rate, t: optax.rmsprop(rate, decay=0.7, eps=1e-3, centered=True),
        {"decay": 0.7, "epsilon": 1e-3, "centered": True},
    ),
    Case(
        "adadelta",
        lambda rate, t: optax.adadelta(rate, rho=0.7, eps=1e-3),
        {"rho": 0.7, "epsilon": 1e-3},
    ),
    Case("adam", lambda rate, t: optax.adam(rate, **_O), _B),
    Case("adam", _kingma, {**_B, "uncorrected_epsilon": True}),
    Case("amsgrad", lambda rate, t: optax.amsgrad(rate, **_O), _B),
    Case(
        "adamw",
        lambda rate, t: optax.adamw(
            rate,
            **_O,
            weight_decay=0.3,
            mask=lambda tree: jax.tree.map(lambda leaf: leaf.ndim == 2, tree),
        ),
        {**_B, "weight_decay": 0.3},
    ),
    Case("nadam", lambda rate, t: optax.nadam(rate, **_O), _B),
    Case(
        "radam",
        lambda rate, t: optax.radam(rate, **_O, threshold=4.5),
        {**_B, "threshold": 4.5},
    ),
    Case("adamax", lambda rate, t: optax.adamax(rate, **_O), _B),
    Case(
        "lion",
        lambda rate, t: optax.lion(rate, b1=0.8, b2=0.95, weight_decay=0.0),
        {"beta_1": 0.8, "beta_2": 0.95},
    ),
    Case("lamb", lambda rate, t: optax.lamb(rate, **_O), _B),
    Case(
        "lars",
        lambda rate, t: optax.lars(rate, momentum=0.7, trust_coefficient=0.2, eps=1e-3),
        {"momentum": 0.7, "trust": 0.2, "epsilon": 1e-3},
    ),
    Case(
        "adafactor",
        lambda rate, t: optax.adafactor(
            rate,
            decay_rate=0.7,
            clipping_threshold=0.9,
            eps=1e-6,
            multiply_by_parameter_scale=False,
        ),
        {"decay": 0.7, "clipping": 0.9, "epsilon": 1e-6},
        rtol=1e-6,  # optax raises the step's number to a power in float32
    ),
    Case(
        "muon",
        lambda rate, t: contrib.muon(rate, beta=0.7, adam_b1=0.8, adam_b2=0.95),
        {"momentum": 0.7, "beta_1": 0.8, "beta_2": 0.95},
    ),
    Case(
        "schedule_free_sgd",
        lambda rate, t: contrib.schedule_free_sgd(rate, b1=0.8),
        {"beta_1": 0.8},
    ),
    Case(
        "schedule_free_adamw",
        lambda rate, t: contrib.schedule_free_adamw(rate, **_O),
        _B,
    ),
    Case("adabelief", lambda rate, t: optax.adabelief(rate, **_O), _B),
    Case("yogi", lambda rate, t: optax.yogi(rate, **_O), _B),
    Case("novograd", lambda rate, t: optax.novograd(rate, **_O), _B),
    Case(
        "adan",
        lambda rate, t: optax.adan(rate, b1=0.8, b2=0.95, b3=0.9, eps=1e-3),
        {**_B, "beta_3": 0.9},
    ),
    Case(
        "rprop",
        _rprop,
        {"shrink": 0.4, "grow": 1.5, "smallest": 1e-3, "largest": 0.2},
    ),
    Case("sign_sgd", lambda rate, t: optax.sign_sgd(rate)),
    Case("sm3", lambda rate, t: optax.sm3(rate, 0.7), {"momentum": 0.7}),
    Case(
        "prodigy",
        lambda rate, t: contrib.prodigy(rate, betas=(0.8, 0.95), eps=1e-3),
        _B,
    ),
]

each_case = pytest.mark.parametrize("case", CASES, ids=str)


def orders() -> Array:
    rng = np.random.default_rng(0)
    return np.array([rng.permutation(N_ROWS) for _ in range(EPOCHS)], np.int32)


def engine_weights(engine: engines.Engine, plan: Plan) -> Parameters:
    """Weights after the run; the averages of the schedule-free rules."""
    data = draw_data(NETWORK, plan, N_ROWS)
    session = engine.session(
        NETWORK, plan, data, draw_parameters(NETWORK), 0, None, None
    )
    sums = session.advance(orders(), RATES, np.ones(N_STEPS))
    assert sums.finite
    return session.parameters()


def optax_weights(case: Case) -> Parameters:
    """The same run: gradients of the reference, updates of optax."""
    data = draw_data(NETWORK, case.plan, N_ROWS)
    parameters: Any = draw_parameters(NETWORK)
    batches = orders().reshape(N_STEPS, BATCH)

    @jax.jit
    def move(gradient: Any, state: Any, parameters: Any, rate: Any, t: Any) -> Any:
        return case.make(rate, t).update(gradient, state, parameters)

    with jax.enable_x64(True):
        state = case.make(RATE, 1).init(parameters)
        for t, (rows, rate) in enumerate(zip(batches, RATES, strict=True), start=1):
            batch = type(data)(data.X[rows], data.y[rows], data.weights[rows])
            _, gradient, _ = references.cost_and_gradient(
                NETWORK, case.plan, parameters, batch, (0, t), data.weights.sum()
            )
            update, state = move(gradient, state, parameters, rate, t)
            parameters = jax.tree.map(lambda w, u: np.array(w + u), parameters, update)
        if case.name.startswith("schedule_free"):
            parameters = contrib.schedule_free_eval_params(state, parameters)
        return jax.tree.map(np.array, parameters)


def test_every_optimizer_has_a_case() -> None:
    assert {case.name for case in CASES} == set(OPTIMIZERS) - {"lbfgs_on_device"}
    for name in {case.name for case in CASES}:
        constants = OPTIMIZERS[name]
        tried = {key for case in CASES if case.name == name for key in case.constants}
        assert tried == set(constants), f"constants of {name} that no case changes"


def test_every_rule_with_a_formula_is_published_here() -> None:
    without = {
        "adafactor", "muon", "prodigy", "schedule_free_sgd", "schedule_free_adamw",
        "lbfgs_on_device",
    }  # fmt: skip
    assert set(references.PUBLISHED) == set(OPTIMIZERS) - without


@pytest.mark.slow
@each_engine
@each_case
def test_rule_is_optax_and_the_published_one(
    engine: engines.Engine, case: Case
) -> None:
    if refusal := engine.refusal(NETWORK, case.plan):
        pytest.skip(refusal)
    found = engine_weights(engine, case.plan)
    references.assert_close(found, optax_weights(case), rtol=case.rtol, atol=1e-12)
    if case.name in references.PUBLISHED:
        data = draw_data(NETWORK, case.plan, N_ROWS)
        expected = references.train(
            NETWORK, case.plan, data, draw_parameters(NETWORK), orders(), RATES
        )
        references.assert_close(found, expected.parameters, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_lbfgs_on_device_is_optaxs() -> None:
    """It searches along its line, so it is given the objective, written out here."""
    constants = {"memory": 4, "max_line_search": 7}
    plan = Plan(loss="log_cosh", optimizer=("lbfgs_on_device", constants), l2=0.1)
    data = draw_data(NETWORK, plan, N_ROWS)
    parameters: Any = draw_parameters(NETWORK)
    session = xla.session(NETWORK, plan, data, parameters, 0, None, None)
    session.advance(None, np.ones(6), np.ones(6))

    def objective(parameters: Any) -> jax.Array:
        (own,) = parameters
        error = data.X @ own["weights"] + own["bias"] - data.y
        losses = jnp.log(jnp.cosh(error)).sum(axis=1)
        total = data.weights.sum()
        return (data.weights @ losses + 0.05 * (own["weights"] ** 2).sum()) / total

    search = optax.scale_by_zoom_linesearch(7, initial_guess_strategy="one")
    rule = optax.lbfgs(None, memory_size=4, linesearch=search)

    @jax.jit
    def step(parameters: Any, state: Any) -> Any:
        value, gradient = jax.value_and_grad(objective)(parameters)
        update, state = rule.update(
            gradient, state, parameters, value=value, grad=gradient, value_fn=objective
        )
        return optax.apply_updates(parameters, update), state

    with jax.enable_x64(True):
        state = rule.init(parameters)
        for _ in range(6):
            parameters, state = step(parameters, state)
    # Six steps of a method that amplifies rounding; a wrong constant shows at 1e-3.
    references.assert_close(session.parameters(), parameters, rtol=1e-7, atol=1e-8)


SKLEARN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "adam": (
        "AdamOptimizer",
        {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
        {**_B, "uncorrected_epsilon": True},
    ),
    "momentum": (
        "SGDOptimizer",
        {"momentum": 0.7, "nesterov": False},
        {"momentum": 0.7, "rate_in_velocity": True},
    ),
    "nesterov": (
        "SGDOptimizer",
        {"momentum": 0.7, "nesterov": True},
        {"momentum": 0.7, "rate_in_velocity": True},
    ),
}


@pytest.mark.parametrize("name", SKLEARN)
def test_formula_is_sklearns(name: str) -> None:
    """The reference takes scikit-learn's own steps, its rate changing as it goes."""
    theirs = importlib.import_module("sklearn.neural_network._stochastic_optimizers")
    kind, settings, constants = SKLEARN[name]
    rng = np.random.default_rng(0)
    weights, mine = [rng.standard_normal((3, 2))], rng.standard_normal((3, 2))
    mine, state = weights[0].copy(), {}
    optimizer = getattr(theirs, kind)(weights, RATE, **settings)
    choice = dict(Plan(optimizer=(name, constants)).optimizer.constants)
    for t in range(1, 11):
        gradient = rng.standard_normal((3, 2))
        if name != "adam":
            optimizer.learning_rate = RATE / t
        rate = RATE if name == "adam" else RATE / t
        optimizer.update_params(weights, [gradient])
        mine += references.PUBLISHED[name](state, gradient, mine, rate, t, choice)
        np.testing.assert_allclose(mine, weights[0], rtol=1e-12, atol=1e-14)
