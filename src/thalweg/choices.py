"""The names a plan is made of, with their constants: losses, optimizers, schedules.

Only names, defaults and ranges stand here, with the formulas in words; the engines and
`thalweg.plan` hold what they do.
"""

from thalweg.lookup import Constant, Interval

_POSITIVE = Interval("(0, inf)")
_NONNEGATIVE = Interval("[0, inf)")
_SHARE = Interval("[0, 1)")
_CLOSED_SHARE = Interval("[0, 1]")
_OPEN_SHARE = Interval("(0, 1)")

_SCALE = {"scale": Constant(1.0, _POSITIVE)}

LOSSES: dict[str, dict[str, Constant]] = {
    "cross_entropy": {
        "label_smoothing": Constant(0.0, _SHARE),
        "clipped": Constant(False),
    },
    "binary_cross_entropy": {
        "label_smoothing": Constant(0.0, _SHARE),
        "clipped": Constant(False),
        **_SCALE,
    },
    "squared": {"averaged": Constant(False), **_SCALE},
    "absolute": _SCALE,
    "huber": {"delta": Constant(1.0, _POSITIVE), **_SCALE},
    "log_cosh": _SCALE,
    "quantile": {"quantile": Constant(0.5, _OPEN_SHARE)},
    "poisson": {},
    "hinge": {},
    "focal": {"gamma": Constant(2.0, _NONNEGATIVE)},
}
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

_ADAM = {
    "beta_1": Constant(0.9, _SHARE),
    "beta_2": Constant(0.999, _SHARE),
    "epsilon": Constant(1e-8, _POSITIVE),
}

OPTIMIZERS: dict[str, dict[str, Constant]] = {
    "sgd": {},
    "momentum": {
        "momentum": Constant(0.9, _CLOSED_SHARE),
        "rate_in_velocity": Constant(False),
    },
    "nesterov": {
        "momentum": Constant(0.9, _CLOSED_SHARE),
        "rate_in_velocity": Constant(False),
    },
    "adagrad": {
        "initial_accumulator": Constant(0.0, _NONNEGATIVE),
        "epsilon": Constant(1e-7, _POSITIVE),
    },
    "rmsprop": {
        "decay": Constant(0.9, _SHARE),
        "epsilon": Constant(1e-8, _POSITIVE),
        "centered": Constant(False),
    },
    "adadelta": {
        "rho": Constant(0.9, _SHARE),
        "epsilon": Constant(1e-6, _POSITIVE),
    },
    "adam": {**_ADAM, "uncorrected_epsilon": Constant(False)},
    "amsgrad": _ADAM,
    "adamw": {**_ADAM, "weight_decay": Constant(0.01, _NONNEGATIVE)},
    "nadam": _ADAM,
    "radam": {**_ADAM, "threshold": Constant(5.0, _POSITIVE)},
    "adamax": _ADAM,
    "lion": {"beta_1": Constant(0.9, _SHARE), "beta_2": Constant(0.99, _SHARE)},
    "lamb": {**_ADAM, "epsilon": Constant(1e-6, _POSITIVE)},
    "lars": {
        "momentum": Constant(0.9, _SHARE),
        "trust": Constant(0.001, _POSITIVE),
        "epsilon": Constant(0.0, _NONNEGATIVE),
    },
    "adafactor": {
        "decay": Constant(0.8, _OPEN_SHARE),
        "clipping": Constant(1.0, _POSITIVE),
        "epsilon": Constant(1e-30, _POSITIVE),
    },
    "muon": {
        "momentum": Constant(0.95, _SHARE),
        "beta_1": Constant(0.9, _SHARE),
        "beta_2": Constant(0.999, _SHARE),
    },
    "schedule_free_sgd": {"beta_1": Constant(0.9, _OPEN_SHARE)},
    "schedule_free_adamw": {
        "beta_1": Constant(0.9, _OPEN_SHARE),
        "beta_2": Constant(0.999, _SHARE),
        "epsilon": Constant(1e-8, _POSITIVE),
    },
    "adabelief": {**_ADAM, "epsilon": Constant(1e-16, _POSITIVE)},
    "yogi": {**_ADAM, "epsilon": Constant(1e-3, _POSITIVE)},
    "novograd": {
        "beta_1": Constant(0.9, _SHARE),
        "beta_2": Constant(0.25, _SHARE),
        "epsilon": Constant(1e-6, _POSITIVE),
    },
    "adan": {
        "beta_1": Constant(0.98, _SHARE),
        "beta_2": Constant(0.92, _SHARE),
        "beta_3": Constant(0.99, _SHARE),
        "epsilon": Constant(1e-8, _POSITIVE),
    },
    "rprop": {
        "shrink": Constant(0.5, _OPEN_SHARE),
        "grow": Constant(1.2, Interval("(1, inf)")),
        "smallest": Constant(1e-6, _POSITIVE),
        "largest": Constant(50.0, _POSITIVE),
    },
    "sign_sgd": {},
    "sm3": {"momentum": Constant(0.9, _SHARE)},
    "lbfgs_on_device": {
        "memory": Constant(10, Interval("[1, inf)")),
        "max_line_search": Constant(20, Interval("[1, inf)")),
    },
    "prodigy": {
        "beta_1": Constant(0.9, _SHARE),
        "beta_2": Constant(0.999, _SHARE),
        "epsilon": Constant(1e-8, _POSITIVE),
    },
}
"""Update rules by name, with optax's formulas and scikit-learn's spelling of their
constants. ``rate_in_velocity`` multiplies gradients by the rate as they enter the
velocity (v ← μv - εg: scikit-learn's and Sutskever's form) and not as they leave it;
the two differ only while the rate changes. ``lbfgs_on_device`` is optax's L-BFGS with
zoom line search: a full-batch method whose every step stays on the device.
``uncorrected_epsilon`` adds ε to √v before the bias correction, as scikit-learn and
Kingma & Ba (2015), section 2, do."""

_TOLERANCE = Constant(1e-5, _NONNEGATIVE)
_EVALUATIONS = Constant(15000, Interval("[1, inf)"))
_RADII = {
    "initial_radius": Constant(1.0, _POSITIVE),
    "max_radius": Constant(1000.0, _POSITIVE),
    "eta": Constant(0.15, Interval("[0, 0.25)")),
    "gtol": Constant(1e-4, _NONNEGATIVE),
}

FULL_BATCH: dict[str, dict[str, Constant]] = {
    "lbfgs": {
        "max_corrections": Constant(10, Interval("[1, inf)")),
        "ftol": Constant(2.220446049250313e-09, _NONNEGATIVE),
        "gtol": _TOLERANCE,
        "max_evaluations": _EVALUATIONS,
        "max_line_search": Constant(20, Interval("[1, inf)")),
    },
    "cg": {"gtol": _TOLERANCE},
    "bfgs": {"gtol": _TOLERANCE},
    "tnc": {
        "ftol": Constant(-1.0, Interval("[-1, inf)")),
        "gtol": Constant(-1.0, Interval("[-1, inf)")),
        "xtol": Constant(-1.0, Interval("[-1, inf)")),
        "max_evaluations": _EVALUATIONS,
    },
    "newton-cg": {"xtol": _TOLERANCE},
    "trust-ncg": _RADII,
    "trust-krylov": {"gtol": _TOLERANCE},
    "trust-exact": _RADII,
    "dogleg": _RADII,
    "levenberg-marquardt": {
        "damping": Constant(1e-3, _POSITIVE),
        "gtol": Constant(1e-6, _NONNEGATIVE),
        "xtol": Constant(1e-10, _NONNEGATIVE),
    },
    "powell": {
        "ftol": Constant(1e-4, _NONNEGATIVE),
        "xtol": Constant(1e-4, _NONNEGATIVE),
        "max_evaluations": _EVALUATIONS,
    },
    "nelder-mead": {
        "ftol": Constant(1e-4, _NONNEGATIVE),
        "xtol": Constant(1e-4, _NONNEGATIVE),
        "max_evaluations": _EVALUATIONS,
        "adaptive": Constant(True),
    },
}
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

SCHEDULES: dict[str, dict[str, Constant]] = {
    "constant": {},
    "inverse_scaling": {"power": Constant(0.5, _NONNEGATIVE)},
    "invscaling": {"power": Constant(0.5, Interval("(-inf, inf)"))},
    "inverse_time": {"decay": Constant(0.01, _NONNEGATIVE)},
    "linear": {"floor": Constant(0.0, _CLOSED_SHARE)},
    "step": {
        "every": Constant(10, Interval("[1, inf)")),
        "factor": Constant(0.5, _POSITIVE),
    },
    "exponential": {"factor": Constant(0.95, _POSITIVE)},
    "cosine": {"floor": Constant(0.0, _CLOSED_SHARE)},
    "cosine_restarts": {
        "period": Constant(10, Interval("[1, inf)")),
        "growth": Constant(2.0, Interval("[1, inf)")),
        "floor": Constant(0.0, _CLOSED_SHARE),
    },
    "one_cycle": {
        "peak": Constant(0.3, _OPEN_SHARE),
        "start": Constant(0.04, _POSITIVE),
        "end": Constant(1e-4, _NONNEGATIVE),
    },
    "plateau": {
        "factor": Constant(0.5, _OPEN_SHARE),
        "patience": Constant(5, Interval("[0, inf)")),
        "floor": Constant(1e-6, _NONNEGATIVE),
    },
    "adaptive": {
        "factor": Constant(0.2, _OPEN_SHARE),
        "floor": Constant(1e-6, _NONNEGATIVE),
    },
}
"""Schedules by name. ``power``, ``decay`` count updates; ``every``, ``period`` and the
``factor`` of ``exponential`` count epochs; ``floor``, ``start`` and ``end`` are shares
of the learning rate, except in the two that watch the loss, where ``floor`` is a rate.
``invscaling`` is scikit-learn's: it counts rows and changes between epochs.
``plateau`` cuts the rate when the monitored value has stopped improving; ``adaptive``,
scikit-learn's, cuts it where training would have stopped."""

AVERAGES: dict[str, dict[str, Constant]] = {
    "none": {},
    "ema": {"decay": Constant(0.999, _SHARE)},
    "polyak": {"start": Constant(0.5, _SHARE)},
}
"""Averages of the weights over updates: ``ema`` exponential, without the pull of the
first weights; ``polyak`` the plain mean from the share ``start`` of the epochs on
(Polyak & Juditsky, 1992; stochastic weight averaging, Izmailov et al., 2018)."""
