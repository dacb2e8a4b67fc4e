"""The names a plan is made of, with their constants: losses, optimizers, schedules.

Only names, defaults and ranges stand here, with the formulas in words; the engines and
`thalweg.plan` hold what they do.
"""

from thalweg.lookup import tabulate

_POSITIVE, _NONNEGATIVE, _AT_LEAST_1 = "(0, inf)", "[0, inf)", "[1, inf)"
_SHARE, _CLOSED_SHARE, _OPEN_SHARE = "[0, 1)", "[0, 1]", "(0, 1)"

LOSSES = tabulate(
    {
        "cross_entropy": {"label_smoothing": 0.0, "clipped": False},
        "binary_cross_entropy": {
            "label_smoothing": 0.0, "clipped": False, "scale": 1.0,
        },
        "squared": {"averaged": False, "scale": 1.0},
        "absolute": {"scale": 1.0},
        "huber": {"delta": 1.0, "scale": 1.0},
        "log_cosh": {"scale": 1.0},
        "quantile": {"quantile": 0.5},
        "poisson": {},
        "hinge": {},
        "focal": {"gamma": 2.0},
    },
    label_smoothing=_SHARE, scale=_POSITIVE, delta=_POSITIVE, quantile=_OPEN_SHARE,
    gamma=_NONNEGATIVE,
)  # fmt: skip
"""Losses by name, z the output and y the target of one row, summed over outputs:
``cross_entropy`` -Σ y log softmax(z); ``binary_cross_entropy`` the same for sigmoid(z);
``squared`` ½(z-y)²; ``absolute`` |z-y|; ``huber`` (Huber, 1964); ``log_cosh``
log cosh(z-y); ``quantile`` the pinball loss (Koenker & Bassett, 1978); ``poisson`` half
the deviance of a mean exp(z), exp(z) - y - y z + y log y; ``hinge``
max(0, 1 + max_{j≠y} z_j - z_y) (Crammer & Singer, 2001); ``focal`` (1-p)^gamma times
cross-entropy (Lin et al., 2017). Those that are a sum over outputs are multiplied by
``scale``: 2/n makes ``squared`` the mean squared error of n outputs, 1/n another mean.

Two constants are there for scikit-learn's sake, and change the value of a loss but not
its gradient: ``clipped`` takes the logarithms of probabilities clipped to [ε, 1-ε], ε
the dtype's own; ``averaged`` divides by the number of outputs."""

CLASSIFYING = ("cross_entropy", "focal", "hinge")
"""Losses whose target is a class number, or one row of class probabilities."""

_BETAS = {"beta_1": 0.9, "beta_2": 0.999}
_ADAM = {**_BETAS, "epsilon": 1e-8}
_MOMENTUM = {"momentum": (0.9, _CLOSED_SHARE), "rate_in_velocity": False}
_FREE = {"beta_1": (0.9, _OPEN_SHARE)}

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
        "lars": {"momentum": 0.9, "trust": 0.001, "epsilon": (0.0, _NONNEGATIVE)},
        "adafactor": {"decay": (0.8, _OPEN_SHARE), "clipping": 1.0, "epsilon": 1e-30},
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
    **dict.fromkeys(("beta_1", "beta_2", "beta_3", "momentum", "decay", "rho"), _SHARE),
    **dict.fromkeys(("initial_accumulator", "weight_decay"), _NONNEGATIVE),
    **dict.fromkeys(("epsilon", "threshold", "trust", "clipping"), _POSITIVE),
    **dict.fromkeys(("memory", "max_line_search"), _AT_LEAST_1),
    shrink=_OPEN_SHARE, grow="(1, inf)", smallest=_POSITIVE, largest=_POSITIVE,
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
    **dict.fromkeys(("ftol", "gtol", "xtol"), _NONNEGATIVE),
    **dict.fromkeys(("initial_radius", "max_radius", "damping"), _POSITIVE),
    **dict.fromkeys(("max_corrections", "max_evaluations"), _AT_LEAST_1),
    eta="[0, 0.25)", max_line_search=_AT_LEAST_1,
)  # fmt: skip
"""Full-batch methods by name, with SciPy's own defaults. An epoch is an iteration.
Nelder-Mead is ``adaptive`` (Gao & Han, 2012), unlike SciPy's: otherwise it stalls with
a dozen weights, at 0.25 where 0.09 can be had (softmax regression of iris).
``levenberg-marquardt`` is ours, for small networks (see `thalweg.levenberg`)."""

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

_PACE = {"floor": (1e-6, _NONNEGATIVE)}

SCHEDULES = tabulate(
    {
        "constant": {},
        "inverse_scaling": {"power": 0.5},
        "invscaling": {"power": (0.5, "(-inf, inf)"), "rows_before": 0.0},
        "inverse_time": {"decay": 0.01},
        "linear": {"floor": 0.0},
        "step": {"every": 10, "factor": 0.5},
        "exponential": {"factor": 0.95},
        "cosine": {"floor": 0.0},
        "cosine_restarts": {"period": 10, "growth": 2.0, "floor": 0.0},
        "one_cycle": {"peak": 0.3, "start": 0.04, "end": 1e-4},
        "plateau": {"factor": (0.5, _OPEN_SHARE), "patience": 5, **_PACE},
        "adaptive": {"factor": (0.2, _OPEN_SHARE), **_PACE},
    },
    **dict.fromkeys(("every", "period", "growth"), _AT_LEAST_1),
    **dict.fromkeys(("power", "rows_before", "decay", "end", "patience"), _NONNEGATIVE),
    floor=_CLOSED_SHARE, factor=_POSITIVE, start=_POSITIVE, peak=_OPEN_SHARE,
)  # fmt: skip
"""Schedules by name. ``power``, ``decay`` count updates; ``every``, ``period`` and the
``factor`` of ``exponential`` count epochs; ``floor``, ``start`` and ``end`` are shares
of the learning rate, except in the two that watch the loss, where ``floor`` is a rate.
``invscaling`` is scikit-learn's: it counts rows, those of earlier fits
(``rows_before``) too, and changes between epochs.
``plateau`` cuts the rate when the monitored value has stopped improving; ``adaptive``,
scikit-learn's, cuts it where training would have stopped."""

AVERAGES = tabulate(
    {"none": {}, "ema": {"decay": 0.999}, "polyak": {"start": 0.5}},
    decay=_SHARE,
    start=_SHARE,
)
"""Averages of the weights over updates: ``ema`` exponential, without the pull of the
first weights; ``polyak`` the plain mean from the share ``start`` of the epochs on
(Polyak & Juditsky, 1992; stochastic weight averaging, Izmailov et al., 2018)."""
