"""Search for hyperparameters: spaces, samplers, pruners, and what was found."""

from thalweg.tuning.plot import SearchDisplay
from thalweg.tuning.result import SearchResult, SearchTrial
from thalweg.tuning.samplers import PRUNERS
from thalweg.tuning.search import search

__all__ = [
    "PRUNERS",
    "SearchDisplay",
    "SearchResult",
    "SearchTrial",
    "search",
]
