"""Compare variants of a training on the same rows with the same seeds."""

from thalweg.comparison.compare import compare, judge_steps
from thalweg.comparison.plot import ComparisonDisplay, DifferenceDisplay, SweepDisplay
from thalweg.comparison.result import Comparison

__all__ = [
    "Comparison",
    "ComparisonDisplay",
    "DifferenceDisplay",
    "SweepDisplay",
    "compare",
    "judge_steps",
]
