"""Pictures of records, as Displays in scikit-learn's style.

A Display is made from a record (``from_run``, ``from_comparison``, ...) and drawn by
``plot(ax=...)``, which returns it with `ax_` and `figure_` set. Nothing is computed
here but what is drawn, and nothing recorded is changed.
"""

from thalweg.comparison import ComparisonDisplay, DifferenceDisplay, SweepDisplay
from thalweg.display import new_figure
from thalweg.plots.layers import LayersDisplay, WeightsDisplay
from thalweg.plots.planes import BoundaryDisplay, PathsDisplay
from thalweg.plots.training import TrainingDisplay
from thalweg.tuning import SearchDisplay

__all__ = [
    "BoundaryDisplay",
    "ComparisonDisplay",
    "DifferenceDisplay",
    "LayersDisplay",
    "PathsDisplay",
    "SearchDisplay",
    "SweepDisplay",
    "TrainingDisplay",
    "WeightsDisplay",
    "new_figure",
]
