"""Vocabulary: what networks, plans, data and histories are, checked and frozen.

Only NumPy and SciPy are imported here; nothing trains.
"""

from thalweg.core.checks import (
    as_callbacks,
    check_flag,
    check_jobs,
    check_whole,
    naming,
)
from thalweg.core.compact_rows import CompactRows, Features, Ladder, OneHot
from thalweg.core.cpu import available_cpus, cpus_are_shared, share_cpus
from thalweg.core.data import Data
from thalweg.core.embeddings import (
    EMBEDDINGS,
    Embedding,
    is_trained,
    parameter_name,
)
from thalweg.core.history import EpochRecord, EpochSums, History, Run, StopReason
from thalweg.core.imports import need
from thalweg.core.initializers import INITIALIZERS, as_random_state
from thalweg.core.layer_values import LayerValues, Paths
from thalweg.core.losses import (
    CLASSIFYING,
    LOSSES,
    link,
    logistic,
    softmax,
    with_complement,
)
from thalweg.core.metrics import accuracy, default_score, r2, wilson
from thalweg.core.networks import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    CONSTRAINTS,
    NORMALIZATIONS,
    Dense,
    DenseNetwork,
    FitRequest,
    Network,
    NetworkAdapter,
    with_dropout,
    without_noise,
)
from thalweg.core.optimizers import (
    ALIASES,
    FULL_BATCH,
    ON_DEVICE,
    OPTIMIZERS,
    canonical,
    optimizer_name,
)
from thalweg.core.plan import (
    Plan,
    batch_rows,
    mixing_factors,
    phases,
    rate_factors,
    steps_per_epoch,
    strength_factors,
)
from thalweg.core.pytree import DenseLeaves, Part, PyTree, each_array
from thalweg.core.registry import (
    Choice,
    Interval,
    Number,
    Spec,
    check_names,
    check_number,
    check_word,
    find,
    nearest,
    plain_number,
    shown,
)
from thalweg.core.schedules import AVERAGES, SCHEDULES
from thalweg.core.serialization import Record
from thalweg.core.short_repr import html_repr, short_repr
from thalweg.core.splits import folds, hold_out
from thalweg.core.types import Array, Frame, Parameters, Series

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_ALIASES",
    "ALIASES",
    "AVERAGES",
    "CLASSIFYING",
    "CONSTRAINTS",
    "EMBEDDINGS",
    "FULL_BATCH",
    "INITIALIZERS",
    "LOSSES",
    "NORMALIZATIONS",
    "ON_DEVICE",
    "OPTIMIZERS",
    "SCHEDULES",
    "Array",
    "Choice",
    "CompactRows",
    "Data",
    "Dense",
    "DenseLeaves",
    "DenseNetwork",
    "Embedding",
    "EpochRecord",
    "EpochSums",
    "Features",
    "FitRequest",
    "Frame",
    "History",
    "Interval",
    "Ladder",
    "LayerValues",
    "Network",
    "NetworkAdapter",
    "Number",
    "OneHot",
    "Parameters",
    "Part",
    "Paths",
    "Plan",
    "PyTree",
    "Record",
    "Run",
    "Series",
    "Spec",
    "StopReason",
    "accuracy",
    "as_callbacks",
    "as_random_state",
    "available_cpus",
    "batch_rows",
    "canonical",
    "check_flag",
    "check_jobs",
    "check_names",
    "check_number",
    "check_whole",
    "check_word",
    "cpus_are_shared",
    "default_score",
    "each_array",
    "find",
    "folds",
    "hold_out",
    "html_repr",
    "is_trained",
    "link",
    "logistic",
    "mixing_factors",
    "naming",
    "nearest",
    "need",
    "optimizer_name",
    "parameter_name",
    "phases",
    "plain_number",
    "r2",
    "rate_factors",
    "share_cpus",
    "short_repr",
    "shown",
    "softmax",
    "steps_per_epoch",
    "strength_factors",
    "wilson",
    "with_complement",
    "with_dropout",
    "without_noise",
]
