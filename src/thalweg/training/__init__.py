"""Train a network: any plan on any engine."""

from thalweg.training.checkpoint import Kept, Part, open_checkpoint
from thalweg.training.class_weight import class_weights
from thalweg.training.data import as_rows, as_weights
from thalweg.training.fit import fit, predict
from thalweg.training.full_batch import n_trained
from thalweg.training.identity import identify
from thalweg.training.inspect import descend, look_inside, train_steps
from thalweg.training.loop import check_plan, train
from thalweg.training.lr_finder import RateFinding, find_rate
from thalweg.training.monitor import (
    Callback,
    EarlyStopping,
    MeasuredScore,
    Scoring,
    TrainingMonitor,
)
from thalweg.training.multihost import fit_over_hosts
from thalweg.training.parallel import make_ray_known, run_all
from thalweg.training.phases import train_phases
from thalweg.training.population import fit_population
from thalweg.training.side_by_side import train_side_by_side
from thalweg.training.signals import kept_from_outside
from thalweg.training.starts import describe_start, head
from thalweg.training.tables import at_hand, collected

__all__ = [
    "Callback",
    "EarlyStopping",
    "Kept",
    "MeasuredScore",
    "Part",
    "RateFinding",
    "Scoring",
    "TrainingMonitor",
    "as_rows",
    "as_weights",
    "at_hand",
    "check_plan",
    "class_weights",
    "collected",
    "descend",
    "describe_start",
    "find_rate",
    "fit",
    "fit_over_hosts",
    "fit_population",
    "head",
    "identify",
    "kept_from_outside",
    "look_inside",
    "make_ray_known",
    "n_trained",
    "open_checkpoint",
    "predict",
    "run_all",
    "train",
    "train_phases",
    "train_side_by_side",
    "train_steps",
]
