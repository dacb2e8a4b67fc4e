"""Update rules on JAX: optax's, under scikit-learn's spelling of their constants.

Each entry of `RULES` makes an `optax.GradientTransformation` whose updates include the
learning rate and its sign. Rates and constants may be tracers: the transformation is
made anew inside each compiled program, so another value never compiles another one.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from thalweg.core import Choice, Number


def rule(
    optimizer: Choice, numbers: dict[str, Any], rate: Any, base: Any = 1.0
) -> optax.GradientTransformation:
    """Make the transformation of `optimizer`, with `numbers` over its constants.

    A transformation with a method ``at_factor`` has a learning rate of its own, which
    it multiplies by the share of `rate` in `base`, the plan's.
    """
    if hasattr(_own(optimizer), "at_factor"):
        return _own(optimizer).at_factor(rate / base)
    if callable(optimizer.name):
        return optax.chain(optimizer.name(), optax.scale(rate))
    constants: dict[str, Number] = {**dict(optimizer.constants), **numbers}
    return RULES[optimizer.name](rate, **constants)


def evaluated(optimizer: Choice, state: Any, parameters: Any) -> Any:
    """Weights to validate and to return: schedule-free rules train others."""
    if str(optimizer.name).startswith("schedule_free"):
        return contrib.schedule_free_eval_params(state, parameters)
    return parameters


def scaled(optimizer: Choice, state: Any, value: Any) -> Any:
    """Scale a loss as a rule for small floating types asks for."""
    scale = getattr(_own(optimizer), "scale_loss", None)
    return scale(state, value) if scale else value


def skips(optimizer: Choice) -> bool:
    """Whether the rule itself leaves out steps whose gradient is not finite."""
    return getattr(_own(optimizer), "skips_nonfinite", False)


def constrains(optimizer: Choice) -> bool:
    """Whether the rule itself puts weights back where their constraints allow."""
    return getattr(_own(optimizer), "constrains", False)


def _own(optimizer: Choice) -> Any:
    """Return the user's transformation, if that is the optimizer."""
    return getattr(optimizer.name, "transformation", None)


def searched(optimizer: Choice, state: Any) -> tuple[jax.Array, jax.Array] | None:
    """Return the evaluations of the last step, and whether its line search failed.

    A search has failed where no step that it tried met both of Wolfe's conditions.
    None for rules that search nothing.
    """
    if optimizer.name != "lbfgs_on_device":
        return None
    info: Any = optax.tree.get(state, "info")
    failed = jnp.maximum(info.decrease_error, info.curvature_error) > 0
    return 1.0 + info.num_linesearch_steps, failed


_NAMES = {
    "beta_1": "b1", "beta_2": "b2", "beta_3": "b3", "epsilon": "eps",
    "initial_accumulator": "initial_accumulator_value", "trust": "trust_coefficient",
}  # fmt: skip
"""optax's names of our constants, where they differ."""


def _optax(make: Callable[..., Any], **more: Any) -> Callable[..., Any]:
    """Make a rule of one of optax's: `more` are names of its own, or constants."""

    def build(rate: Any, **constants: Any) -> Any:
        fixed = {k: v for k, v in more.items() if k not in constants}
        names = {**_NAMES, **more}
        return make(rate, **{names.get(k, k): v for k, v in constants.items()}, **fixed)

    return build


class _Velocity(NamedTuple):
    velocity: Any


def _momentum(
    rate: Any, momentum: Any, rate_in_velocity: bool, nesterov: bool = False
) -> Any:
    if not rate_in_velocity:
        return optax.sgd(rate, momentum=momentum, nesterov=nesterov)

    # Sutskever et al. (2013), eqs. 1 to 4, as scikit-learn has it.
    def advance(velocity: Any, gradients: Any) -> Any:
        return jax.tree.map(lambda v, g: momentum * v - rate * g, velocity, gradients)

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        velocity = advance(state.velocity, updates)
        moved = advance(velocity, updates) if nesterov else velocity
        return moved, _Velocity(velocity)

    def init(params: Any) -> Any:
        return _Velocity(jax.tree.map(jnp.zeros_like, params))

    return optax.GradientTransformation(init, update)


def _nesterov(rate: Any, momentum: Any, rate_in_velocity: bool) -> Any:
    return _momentum(rate, momentum, rate_in_velocity, nesterov=True)


def _adam(
    rate: Any, beta_1: Any, beta_2: Any, epsilon: Any, uncorrected_epsilon: bool
) -> Any:
    if not uncorrected_epsilon:
        return optax.adam(rate, b1=beta_1, b2=beta_2, eps=epsilon)
    plain = optax.scale_by_adam(b1=beta_1, b2=beta_2, eps=epsilon)

    # Kingma & Ba (2015), the efficient form at the end of section 2.
    def update(updates: Any, state: Any, params: Any = None) -> Any:
        _, state = plain.update(updates, state)
        t = state.count
        corrected = rate * jnp.sqrt(1 - beta_2**t) / (1 - beta_1**t)

        def step(m: Any, v: Any) -> Any:
            return -corrected * m / (jnp.sqrt(v) + epsilon)

        return jax.tree.map(step, state.mu, state.nu), state

    return optax.GradientTransformation(plain.init, update)


def _adamw(rate: Any, weight_decay: Any, **constants: Any) -> Any:
    # The decay itself is the plan's, so that it spares biases under every rule.
    return _optax(optax.adam)(rate, **constants)


def _rprop(rate: Any, shrink: Any, grow: Any, smallest: Any, largest: Any) -> Any:
    inner = optax.scale_by_rprop(
        rate,
        eta_minus=shrink,
        eta_plus=grow,
        min_step_size=smallest,
        max_step_size=largest,
    )

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        _, state = inner.update(updates, state)
        # optax 0.2.8 gives out the update of the step before; this is the step's own.
        return jax.tree.map(jnp.negative, state.prev_updates), state

    return optax.GradientTransformation(inner.init, update)


def _prodigy(rate: Any, beta_1: Any, beta_2: Any, epsilon: Any) -> Any:
    return contrib.prodigy(rate, betas=(beta_1, beta_2), eps=epsilon)


def _lbfgs(rate: Any, memory: Any, max_line_search: Any) -> Any:
    search = optax.scale_by_zoom_linesearch(
        max_linesearch_steps=max_line_search, initial_guess_strategy="one"
    )
    return optax.lbfgs(None, memory_size=memory, linesearch=search)


RULES: dict[str, Callable[..., Any]] = {
    "sgd": _optax(optax.sgd),
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _optax(optax.adagrad),
    "rmsprop": _optax(optax.rmsprop),
    "adadelta": _optax(optax.adadelta),
    "adam": _adam,
    "amsgrad": _optax(optax.amsgrad),
    "adamw": _adamw,
    "nadam": _optax(optax.nadam),
    "radam": _optax(optax.radam),
    "adamax": _optax(optax.adamax),
    "lion": _optax(optax.lion, weight_decay=0.0),
    "lamb": _optax(optax.lamb),
    "lars": _optax(optax.lars),
    "adafactor": _optax(
        optax.adafactor,
        decay="decay_rate",
        clipping="clipping_threshold",
        multiply_by_parameter_scale=False,
    ),
    "muon": _optax(contrib.muon, momentum="beta", beta_1="adam_b1", beta_2="adam_b2"),
    "schedule_free_sgd": _optax(contrib.schedule_free_sgd),
    "schedule_free_adamw": _optax(contrib.schedule_free_adamw),
    "adabelief": _optax(optax.adabelief),
    "yogi": _optax(optax.yogi),
    "novograd": _optax(optax.novograd),
    "adan": _optax(optax.adan),
    "rprop": _rprop,
    "sign_sgd": _optax(optax.sign_sgd),
    "sm3": _optax(optax.sm3),
    "lbfgs_on_device": _lbfgs,
    "prodigy": _prodigy,
}
