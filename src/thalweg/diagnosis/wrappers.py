"""Estimators of scikit-learn around a network: which one they hold, and how."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A network within another estimator.

    Parameters
    ----------
    inner : estimator
        The network, or a Pipeline that ends in it; fitted where it was fitted on all
        rows.
    parameter : str
        Name of the outer estimator's parameter that holds it.
    target : callable
        Maps y as given to what `inner` learns.
    rewrap : callable
        Puts another estimator in the place of `inner`.
    """

    inner: Any
    parameter: str
    target: Callable[[Any], Any]
    rewrap: Callable[[Any], Any]


def unwrapped(subject: Any) -> Wrapped | None:
    """Return what a meta-estimator holds; None if it is none."""
    from sklearn.compose import TransformedTargetRegressor

    if isinstance(subject, TransformedTargetRegressor):
        return _of_target(subject)
    if not isinstance(subject, BaseEstimator) or isinstance(subject, Pipeline):
        return None
    for name in ("estimator", "regressor", "classifier", "base_estimator"):
        inner = getattr(subject, name, None)
        if isinstance(inner, BaseEstimator) and not _is_own(subject):
            best = getattr(subject, "best_estimator_", None)
            return Wrapped(best if best is not None else inner, name, _same,
                           partial(_with, subject, name))  # fmt: skip
    named = getattr(subject, "estimators", None)
    if isinstance(named, list) and named and isinstance(named[0], tuple):
        return _of_several(subject, named)
    return None


def _is_own(subject: Any) -> bool:
    """Whether it is an ensemble of thalweg, which the doctor reads itself."""
    return type(subject).__module__.startswith("thalweg.")


def _same(y: Any) -> Any:
    return y


def _with(subject: Any, name: str, new: Any) -> Any:
    """Return a copy that holds another estimator; a search finds its parameters."""
    copy: Any = clone(subject)
    old = getattr(subject, name)
    if isinstance(new, Pipeline) and not isinstance(old, Pipeline):
        inner = new.steps[-1][0]
        for grid in ("param_grid", "param_distributions"):
            if hasattr(copy, grid):
                copy.set_params(**{grid: _prefixed(getattr(copy, grid), inner)})
    return copy.set_params(**{name: new})


def _prefixed(grid: Any, step: str) -> Any:
    if isinstance(grid, list):
        return [_prefixed(each, step) for each in grid]
    return {f"{step}__{name}": values for name, values in grid.items()}


def _of_target(subject: Any) -> Wrapped:
    fitted = getattr(subject, "regressor_", None)
    inner = fitted if fitted is not None else subject.regressor

    def target(y: Any) -> Any:
        values = np.asarray(y, float)
        made: Any = clone(subject)
        columns = values.reshape(len(values), -1)
        known = getattr(subject, "transformer_", None)
        if known is None:
            made._fit_transformer(columns)
            known = made.transformer_
        found = known.transform(columns)
        return found.ravel() if values.ndim == 1 else found

    return Wrapped(inner, "regressor", target,
                   lambda new: _with(subject, "regressor", new))  # fmt: skip


def _of_several(subject: Any, named: list[Any]) -> Wrapped | None:
    """Take the first network of a stack or a vote."""
    for name, each in named:
        last = each[-1] if isinstance(each, Pipeline) else each
        network = "MLP" in type(last).__name__ or "Keras" in type(last).__name__ or (
            type(last).__module__.startswith("thalweg."))  # fmt: skip
        if network:
            fitted = getattr(subject, "named_estimators_", {})
            inner = fitted.get(name, each) if hasattr(fitted, "get") else each

            def rewrap(new: Any, name: str = name) -> Any:
                copy: Any = clone(subject)
                return copy.set_params(**{name: new})

            return Wrapped(inner, name, _same, rewrap)
    return None
