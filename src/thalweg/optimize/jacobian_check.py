"""Whether a hand-written Jacobian belongs to its residuals, and if not, what is wrong.

Random directions decide: the residuals are differenced along them and compared with the
product of the Jacobian. If they disagree, columns are differenced one by one, and the
entries are compared.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from thalweg.core import Array
from thalweg.optimize.argument_numbers import common_factors, spell
from thalweg.optimize.feasible_region import FeasibleRegion
from thalweg.optimize.finite_differences import WRONG
from thalweg.optimize.gradient_check import GradientCheck

_STEPS = (1e-5, 1e-6, 1e-4, 1e-3)
_N_DIRECTIONS, _MOST_COLUMNS = 3, 60
_ENTRY_WRONG = 1e-4
"""Error of an entry, relative to the size of its column, that is a mistake."""


def examine_jacobian(
    fun: Callable[[Array], Any],
    jac: Callable[[Array], Any],
    x0: Array,
    region: FeasibleRegion,
    args: tuple[Any, ...] = (),
) -> GradientCheck:
    """Check a Jacobian near the flat vector `x0`, inside the region."""
    rng = np.random.default_rng(0)
    units = np.maximum(np.abs(x0), 0.1)
    x = region.inside(region.clip(x0) + 0.1 * units * rng.standard_normal(len(x0)),
                      0.05 * units)  # fmt: skip
    if region.is_bounded:
        units = np.minimum(units, region.room(x))
    with np.errstate(all="ignore"):
        residuals = _residuals(fun, x)
        if not np.isfinite(residuals).all():
            x, residuals = x0, _residuals(fun, x0)
        jacobian = jac(x)
        shape = np.shape(jacobian) if not hasattr(jacobian, "shape") else jacobian.shape
        wanted = len(residuals), len(x)
        if len(shape) < 2:
            shape = np.atleast_2d(np.asarray(jacobian)).shape
        if tuple(shape) != wanted:
            return _wrong_shape(tuple(shape), wanted)
        if not (issparse(jacobian) or isinstance(jacobian, LinearOperator)):
            jacobian = np.atleast_2d(np.asarray(jacobian, float))
        differences = _Differences(fun, x, units, residuals)
        errors = [
            differences.disagreement(jacobian, rng.standard_normal(len(x)))
            for _ in range(_N_DIRECTIONS)
        ]
        known = [error for error in errors if np.isfinite(error)]
        if not known:
            return GradientCheck(
                False, "inconclusive", "", np.nan,
                "It could not be told whether Jacobian and residuals agree: the "
                "finite differences are inconclusive along every direction.", np.inf,
            )  # fmt: skip
        if max(known) <= WRONG:
            message = f"Jacobian and residuals agree on {len(known)} directions."
            return GradientCheck(True, "", "", np.nan, message, max(known))
        return _explain(differences, jacobian, max(known), args, rng)


class _Differences:
    """Central differences of the residuals around a point."""

    def __init__(
        self, fun: Callable[[Array], Any], x: Array, units: Array, residuals: Array
    ) -> None:
        self.fun, self.x, self.units, self.residuals = fun, x, units, residuals
        self.step = _STEPS[0]

    def along(self, direction: Array, step: float) -> Array:
        """Difference the residuals along `direction`, in units."""
        move = step * self.units * direction
        both = _residuals(self.fun, self.x + move), _residuals(self.fun, self.x - move)
        return (both[0] - both[1]) / (2 * step)

    def disagreement(self, jacobian: Any, direction: Array) -> float:
        """Return the least relative error over the steps; NaN if it is noise."""
        expected = np.asarray(jacobian @ (self.units * direction)).ravel()
        errors, slopes = [], []
        for step in _STEPS:
            slopes.append(self.along(direction, step))
            scale = max(np.linalg.norm(expected), np.linalg.norm(slopes[-1]), 1e-300)
            errors.append(float(np.linalg.norm(slopes[-1] - expected) / scale))
            if errors[-1] < 1e-6:
                self.step = step
                return errors[-1]
        best = int(np.nanargmin(errors)) if np.isfinite(errors).any() else 0
        apart = [
            np.linalg.norm(a - b) / max(np.linalg.norm(a), 1e-300)
            for a, b in pairwise(slopes)
        ]
        noise = float(np.min(apart))
        if not np.isfinite(noise) or noise > 0.1 * errors[best]:
            return errors[best] if errors[best] <= WRONG else np.nan
        return errors[best]


def _explain(
    differences: _Differences, jacobian: Any, error: float, args: tuple[Any, ...],
    rng: np.random.Generator,
) -> GradientCheck:  # fmt: skip
    """Compare the entries, and name the mistake."""
    free = np.flatnonzero(differences.units > 0)
    columns = np.sort(rng.permutation(free)[:_MOST_COLUMNS])
    n = len(differences.x)
    basis = np.zeros((n, len(columns)))
    basis[columns, np.arange(len(columns))] = 1.0
    numeric = np.stack(
        [
            differences.along(basis[:, k], differences.step) / differences.units[j]
            for k, j in enumerate(columns)
        ],
        axis=1,
    )
    analytic = np.asarray(jacobian @ basis)
    size = np.maximum(np.abs(numeric).max(axis=0), np.abs(analytic).max(axis=0))
    is_wrong = np.abs(numeric - analytic) > _ENTRY_WRONG * np.maximum(size, 1e-300)
    if not is_wrong.any():
        message = "Jacobian and residuals differ by less than an entry can tell."
        return GradientCheck(True, "", "", np.nan, message, error)
    where = _where(is_wrong, columns, numeric.shape[0])
    wrong_n, wrong_a = numeric[is_wrong], analytic[is_wrong]
    square = float(wrong_a @ wrong_a)
    share = float(wrong_a @ wrong_n) / square if square else 0.0
    fits = share and np.allclose(wrong_n, share * wrong_a, rtol=1e-3, atol=0)
    if not wrong_a.any():
        message = f"{where} is 0, but the residuals depend on it"
        return _fault("wrong-derivative", where, 0.0, message, error)
    if (
        len(columns) == n == numeric.shape[0]
        and np.abs(numeric - analytic.T).max() <= 1e-3 * np.abs(numeric).max()
    ):
        message = "the Jacobian is transposed: entry [i, j] must be the derivative of "\
            "residual i by variable j. Return its .T"  # fmt: skip
        return _fault("transpose", "the Jacobian", np.nan, message, error)
    if fits and (is_wrong.sum() > 1 or abs(1 / share) > 1e-3):
        factor = 1 / share
        said = spell(abs(factor), common_factors(args))
        if factor < 0:
            also = "" if np.isclose(factor, -1, rtol=1e-3) else f", {said} times it"
            message = (
                f"{where} has the wrong sign{also}. Look whether the residuals are "
                "model - data, or data - model"
            )
            return _fault("sign", where, factor, message, error)
        message = f"{where} is {said} times what the residuals imply"
        return _fault("factor", where, factor, message, error)
    i, k = np.argwhere(is_wrong)[0]
    message = (
        f"{where} is not the derivative of the residuals: entry [{i}, {columns[k]}] is "
        f"{analytic[i, k]:.6g}, and finite differences give {numeric[i, k]:.6g}"
    )
    return _fault("wrong-derivative", where, np.nan, message, error)


def _where(is_wrong: Array, columns: Array, n_rows: int) -> str:
    rows_with, columns_with = is_wrong.any(axis=1), is_wrong.any(axis=0)
    if is_wrong.sum() == 1:
        i, k = np.argwhere(is_wrong)[0]
        return f"entry [{i}, {columns[k]}] of the Jacobian"
    if columns_with.sum() == 1 and len(columns) > 1:
        return f"column {columns[columns_with][0]} of the Jacobian"
    if rows_with.sum() == 1 and n_rows > 1:
        return f"row {np.flatnonzero(rows_with)[0]} of the Jacobian"
    if columns_with.mean() > 0.9 and rows_with.mean() > 0.5:
        return "the Jacobian"
    some = ", ".join(map(str, columns[columns_with][:4]))
    more = ", …" if columns_with.sum() > 4 else ""
    return f"columns {some}{more} of the Jacobian"


def _fault(
    cause: str, where: str, factor: float, message: str, error: float
) -> GradientCheck:
    text = f"{message[0].upper()}{message[1:]}."
    return GradientCheck(False, cause, where, float(f"{factor:.6g}"), text, error)


def _wrong_shape(found: tuple[int, ...], wanted: tuple[int, int]) -> GradientCheck:
    if found == wanted[::-1]:
        message = (
            f"the Jacobian has shape {found}, but there are {wanted[0]} residuals of "
            f"{wanted[1]} variables: it is transposed. Return its .T"
        )
        return _fault("transpose", "the Jacobian", np.nan, message, np.inf)
    message = (
        f"the Jacobian has shape {found}; it must be {wanted}: a row for each residual "
        "and a column for each variable"
    )
    return _fault("shape", "the Jacobian", np.nan, message, np.inf)


def _residuals(fun: Callable[[Array], Any], x: Array) -> Array:
    return np.array(fun(x), float).ravel()
