"""The names a plan is made of, with their constants: losses, optimizers, schedules.

Only names, defaults and ranges stand here, with the formulas in words; the engines and
`thalweg.core.plan` hold what they do.
"""

from dataclasses import dataclass
from typing import Any

from thalweg.core.registry import (
    AT_LEAST_1,
    CLOSED_SHARE,
    NONNEGATIVE,
    OPEN_SHARE,
    POSITIVE,
    SHARE,
    choose,
    tabulate,
)

_BETAS = {"beta_1": 0.9, "beta_2": 0.999}
_ADAM = {**_BETAS, "epsilon": 1e-8}
_MOMENTUM = {"momentum": (0.9, CLOSED_SHARE), "rate_in_velocity": False}
_FREE = {"beta_1": (0.9, OPEN_SHARE)}

OPTIMIZERS = tabulate(
    {
        "sgd": {},
        "momentum": _MOMENTUM,
        "nesterov": _MOMENTUM,
        "adagrad": {"initial_accumulator": 0.0, "epsilon": 1e-7},
        "rmsprop": {"decay": 0.9, "epsilon": 1e-8, "centered": False},
        "adadelta": {"rho": 0.9, "epsilon": 1e-6},
        "adam": {**_ADAM, "uncorrected_epsilon": False},
        "amsgrad": _ADAM,
        "adamw": {**_ADAM, "weight_decay": 0.01},
        "nadam": _ADAM,
        "radam": {**_ADAM, "threshold": 5.0},
        "adamax": _ADAM,
        "lion": {"beta_1": 0.9, "beta_2": 0.99},
        "lamb": {**_ADAM, "epsilon": 1e-6},
        "lars": {"momentum": 0.9, "trust": 0.001, "epsilon": (0.0, NONNEGATIVE)},
        "adafactor": {"decay": (0.8, OPEN_SHARE), "clipping": 1.0, "epsilon": 1e-30},
        "muon": {"momentum": 0.95, **_BETAS},
        "schedule_free_sgd": _FREE,
        "schedule_free_adamw": {**_FREE, "beta_2": 0.999, "epsilon": 1e-8},
        "adabelief": {**_ADAM, "epsilon": 1e-16},
        "yogi": {**_ADAM, "epsilon": 1e-3},
        "novograd": {"beta_1": 0.9, "beta_2": 0.25, "epsilon": 1e-6},
        "adan": {"beta_1": 0.98, "beta_2": 0.92, "beta_3": 0.99, "epsilon": 1e-8},
        "rprop": {"shrink": 0.5, "grow": 1.2, "smallest": 1e-6, "largest": 50.0},
        "sign_sgd": {},
        "sm3": {"momentum": 0.9},
        "lbfgs_on_device": {"memory": 10, "max_line_search": 20},
        "prodigy": _ADAM,
    },
    **dict.fromkeys(("beta_1", "beta_2", "beta_3", "momentum", "decay", "rho"), SHARE),
    **dict.fromkeys(("initial_accumulator", "weight_decay"), NONNEGATIVE),
    **dict.fromkeys(("epsilon", "threshold", "trust", "clipping"), POSITIVE),
    **dict.fromkeys(("memory", "max_line_search"), AT_LEAST_1),
    shrink=OPEN_SHARE, grow="(1, inf)", smallest=POSITIVE, largest=POSITIVE,
)  # fmt: skip
"""Update rules by name, with optax's formulas and scikit-learn's spelling of their
constants. ``rate_in_velocity`` multiplies gradients by the rate as they enter the
velocity (v ← μv - εg: scikit-learn's and Sutskever's form) and not as they leave it;
the two differ only while the rate changes. ``lbfgs_on_device`` is optax's L-BFGS with
zoom line search: a full-batch method whose every step stays on the device.
``uncorrected_epsilon`` adds ε to √v before the bias correction, as scikit-learn and
Kingma & Ba (2015), section 2, do."""

_SIMPLEX = {"ftol": 1e-4, "xtol": 1e-4, "max_evaluations": 15000}
_RADII = {"initial_radius": 1.0, "max_radius": 1000.0, "eta": 0.15, "gtol": 1e-4}
_UNSET = (-1.0, "[-1, inf)")

FULL_BATCH = tabulate(
    {
        "lbfgs": {
            "max_corrections": 10, "ftol": 2.220446049250313e-09, "gtol": 1e-5,
            "max_evaluations": 15000, "max_line_search": 20,
        },
        "cg": {"gtol": 1e-5},
        "bfgs": {"gtol": 1e-5},
        "tnc": {
            "ftol": _UNSET, "gtol": _UNSET, "xtol": _UNSET, "max_evaluations": 15000,
        },
        "newton-cg": {"xtol": 1e-5},
        "trust-ncg": _RADII,
        "trust-krylov": {"gtol": 1e-5},
        "trust-exact": _RADII,
        "dogleg": _RADII,
        "levenberg-marquardt": {"damping": 1e-3, "gtol": 1e-6, "xtol": 1e-10},
        "powell": _SIMPLEX,
        "nelder-mead": {**_SIMPLEX, "adaptive": True},
    },
    **dict.fromkeys(("ftol", "gtol", "xtol"), NONNEGATIVE),
    **dict.fromkeys(("initial_radius", "max_radius", "damping"), POSITIVE),
    **dict.fromkeys(("max_corrections", "max_evaluations"), AT_LEAST_1),
    eta="[0, 0.25)", max_line_search=AT_LEAST_1,
)  # fmt: skip
"""Full-batch methods by name, with SciPy's own defaults. An epoch is an iteration.
Nelder-Mead is ``adaptive`` (Gao & Han, 2012), unlike SciPy's: otherwise it stalls with
a dozen weights, at 0.25 where 0.09 can be had (softmax regression of iris).
``levenberg-marquardt`` is ours, for small networks (see
`thalweg.optimize.levenberg_marquardt`)."""

ALIASES = {
    "l-bfgs": "lbfgs",
    "l-bfgs-b": "lbfgs",
    "fmin_l_bfgs_b": "lbfgs",
    "fmin_cg": "cg",
    "fmin_bfgs": "bfgs",
    "fmin_tnc": "tnc",
    "fmin_ncg": "newton-cg",
    "fmin_powell": "powell",
    "fmin": "nelder-mead",
    "lm": "levenberg-marquardt",
    "trainlm": "levenberg-marquardt",
    "levenberg_marquardt": "levenberg-marquardt",
}
"""Other spellings of full-batch methods."""

DEFAULT_RATES = {
    "sgd": 0.1,
    "momentum": 0.01,
    "nesterov": 0.01,
    "adagrad": 0.01,
    "adadelta": 1.0,
    "lion": 1e-4,
    "lars": 1.0,
    "muon": 0.02,
    "schedule_free_sgd": 1.0,
    "prodigy": 1.0,
    "sm3": 0.1,
    "rprop": 0.01,
}
"""Learning rate where none is given; 0.001 for the others."""


ON_DEVICE = "lbfgs_on_device"
"""The full-batch method that an engine runs as a step."""


def optimizer_name(spec: Any) -> str:
    """Return an optimizer's name as the tables spell it; "" for a transformation."""
    name = canonical(spec)
    name = name[0] if isinstance(name, tuple | list) and name else name
    return name if isinstance(name, str) else ""


def choose_optimizer(spec: Any) -> Any:
    """Return the choice that an optimizer given in any way stands for."""
    if hasattr(spec, "init") and hasattr(spec, "update"):
        return choose("optimizer", _Transformation(spec), OPTIMIZERS, owner="Plan")
    if isinstance(spec, str | tuple | list) or hasattr(spec, "constants"):
        known = {**OPTIMIZERS, **FULL_BATCH}
        return choose("optimizer", canonical(spec), known, owner="Plan")
    raise TypeError(
        f"Plan got optimizer={spec!r}; it must be a name, a pair (name, "
        "{constant: value}) or an optax.GradientTransformation."
    )


def canonical(spec: Any) -> Any:
    """Return an optimizer's choice with its name as the tables spell it."""
    if isinstance(spec, str):
        return ALIASES.get(spec.lower(), spec.lower())
    if isinstance(spec, tuple | list) and spec and isinstance(spec[0], str):
        return (canonical(spec[0]), *spec[1:])
    return spec


@dataclass(frozen=True)
class _Transformation:
    """An optax transformation, callable so that a Choice can hold it."""

    transformation: Any

    def __call__(self) -> Any:
        return self.transformation
