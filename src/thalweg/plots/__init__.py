"""Plots of results, as displays in the style of scikit-learn.

A display is made from a result with ``from_run``, ``from_comparison`` and so on. Its
``plot(ax=...)`` draws, sets `ax_` and `figure_`, and returns the display. It never
changes the result.
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
