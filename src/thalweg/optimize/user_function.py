"""A user's cost and gradient, called with x in its own structure and seen as flat.

Small slips of shape are repaired and noted. Larger ones raise `ShapeError`, which says
what was returned, what is needed, and where to look.

What a function is does not matter, only that it can be called: a lambda, a bound
method, a `functools.partial`, a compiled function or any object with ``__call__``.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from thalweg.core import Array, Part, PyTree

ONE_HOT_HINT = (
    "If the labels are class numbers, turn them into one-hot rows: np.eye(n)[labels]."
)
_BIAS_COLUMN_HINT = (
    "Look for a bias column that was not dropped (or was dropped twice) in the "
    "backward pass, or for an array that was left out."
)


class ShapeError(ValueError):
    """A cost or gradient that cannot be computed, or whose shape cannot be repaired.

    Parameters
    ----------
    message : str
    where : str
        The array that is wrong, if it is one.
    cause : {"shape", "transpose"}
    """

    def __init__(self, message: str, where: str = "", cause: str = "shape") -> None:
        super().__init__(message)
        self.where, self.cause = where, cause


class _LastCall(NamedTuple):
    point: bytes
    value: tuple[float, Any]


class UserFunction:
    """The cost and the gradient that a user wrote.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> cost``, or ``-> (cost, gradient)`` if `jac` is True.
    jac : callable, True or None
        ``jac(x, *args) -> gradient``, in the structure of x or flat.
    tree : PyTree
        The structure of x.
    args : tuple
        Further arguments.

    Attributes
    ----------
    notes : list of str
        What was repaired so far, each once.
    is_single : bool
        Whether a cost was computed in float32 or less.
    gradient_is_single : bool
        Whether a gradient was computed in float32 or less.
    cost_type : type
        What the cost function returned last.
    first_gradient : tuple of (bytes, ndarray) or None
        The first gradient, and where it was computed.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        jac: Any,
        tree: PyTree,
        args: tuple[Any, ...] = (),
    ) -> None:
        self.fun, self.jac, self.tree, self.args = fun, jac, tree, args
        self.has_gradient = jac is True or callable(jac)
        self.notes: list[str] = []
        self.is_single = self.gradient_is_single = False
        self.cost_type: type = float
        self.first_gradient: tuple[bytes, Array] | None = None
        self._last: _LastCall | None = None
        self._flat_shape = (tree.size,) if tree.is_flat else None

    def cost(self, x: Array) -> float:
        """Compute the cost at the flat vector `x`."""
        return self._call(x)[0]

    def gradient(self, x: Array) -> Array:
        """Compute the gradient at the flat vector `x`: flat as well, and a copy."""
        if self.jac is True:
            return self._call(x)[1].copy()
        gradient = self.flatten_gradient(self.jac(self.tree.unpack(x), *self.args))
        if self.first_gradient is None:
            self.first_gradient = x.tobytes(), gradient.copy()
        return gradient

    def recompute_cost(self, x: Array) -> float:
        """Compute the cost at `x` once more, even if it is remembered."""
        self._last = None
        return self.cost(x)

    def complex_cost(self, x: Array) -> complex:
        """Compute the cost at a complex vector, for complex-step differences.

        Raises
        ------
        ShapeError
            If the function drops the imaginary part.
        """
        value = np.asarray(self.fun(self.tree.unpack(x), *self.args))
        if value.size != 1 or value.dtype.kind != "c":
            raise ShapeError(
                "the cost at a complex x is not one complex number (it has shape "
                f"{value.shape} and type {value.dtype}), so jac='cs' cannot "
                "differentiate it. Use jac='2-point' or '3-point', or compute the cost "
                "with functions that keep complex numbers."
            )
        return complex(value.item())

    def _call(self, x: Array) -> tuple[float, Any]:
        """Call the cost function; a second call at the same x uses the first result.

        The gradient that may come with it is a copy: the function may write into the
        same array at its next call.
        """
        point = x.tobytes()
        if self._last is None or self._last.point != point:
            value = self.fun(self.tree.unpack(x), *self.args)
            cost, gradient = self.split(value) if self.jac is True else (value, None)
            self.cost_type = type(cost)
            self._last = _LastCall(point, (self.check_cost(cost), gradient))
        return self._last.value

    def split(self, value: Any) -> tuple[Any, Array]:
        """Split what a function of jac=True returned, with a copy of the gradient.

        Raises
        ------
        ShapeError
            If it is not (cost, gradient), or the gradient does not fit.
        """
        is_sequence = isinstance(value, tuple | list) or np.ndim(value) == 1
        if not is_sequence or len(value) < 2:
            raise ShapeError(
                "jac=True says that the cost function returns (cost, gradient), but it "
                f"returned {type(value).__name__}. Return both, or pass a function as "
                "jac."
            )
        return value[0], self.flatten_gradient(value[1])

    def check_cost(self, value: Any) -> float:
        """Turn what the cost function returned into a number.

        Raises
        ------
        ShapeError
            If it is not one real number.
        """
        if value is None:
            raise ShapeError("the cost is None. Return it from the cost function.")
        if self.jac is not True and isinstance(value, tuple):
            raise ShapeError(
                "the cost function returned a tuple. If that is (cost, gradient), "
                "pass jac=True; if not, return the cost alone."
            )
        array = _as_array(value)
        if array.size == 1 and array.dtype.kind == "O":
            array = _as_real(array, "cost")
        if array.size != 1 or array.dtype.kind not in "fiub":
            raise ShapeError(
                f"the cost is not one real number: it has shape {array.shape} and type "
                f"{array.dtype}. The user-provided objective function must return a "
                "scalar value. Sum or average the losses of the rows. If an (n, 1) "
                "array is subtracted from an (n,) array, the difference is (n, n): "
                f"give both the same shape. {ONE_HOT_HINT}"
            )
        if array.ndim:
            self._note(
                f"The cost has shape {array.shape} and was used as a number. Return "
                "cost.item()."
            )
        if array.dtype in (np.float32, np.float16):
            self.is_single = True
            self._note(
                f"The cost is computed in {array.dtype}. Rounding makes line searches "
                "stop early and finite differences vanish. Compute it in float64: "
                "X.astype(float)."
            )
        return float(array.reshape(-1)[0])

    def flatten_gradient(self, value: Any) -> Array:
        """Turn what the gradient function returned into a flat float64 copy.

        Raises
        ------
        ShapeError
            If it does not fit x.
        """
        if (
            type(value) is np.ndarray
            and value.shape == self._flat_shape
            and value.dtype == float
        ):
            return value.copy()
        if value is None:
            raise ShapeError(
                "the gradient is None. Return it from the gradient function."
            )
        is_structure = isinstance(value, Mapping) or not self.tree.is_flat
        if hasattr(value, "dtype") or not is_structure:
            return self._flatten_array(_as_array(value))
        return self._flatten_structure(value)

    def _flatten_array(self, array: Array) -> Array:
        """Flatten a gradient that is one array."""
        if array.dtype in (np.float32, np.float16):
            self.gradient_is_single = True
        if array.dtype.kind == "O":
            array = _as_real(array, "gradient")
        if array.dtype.kind not in "fiub":
            raise ShapeError(
                f"the gradient has type {array.dtype}; it must hold real numbers."
            )
        if array.size != self.tree.size:
            raise self._wrong_total(array.size)
        part, *others = self.tree.parts
        if not others:
            _check_not_transposed(part, array)
        if array.ndim != 1:
            whole = Part("x", (self.tree.size,), 0) if others else part
            self._note_shape(array, whole)
        return np.array(array, float).ravel()

    def _flatten_structure(self, value: Any) -> Array:
        """Flatten a gradient in the structure of x."""
        arrays = []
        try:
            for part, array in self.tree.pairs(value):
                if array.size != part.stop - part.start:
                    raise _wrong_size(part, array)
                _check_not_transposed(part, array)
                self._note_shape(array, part)
                arrays.append(array.ravel())
        except ShapeError:
            raise
        except ValueError as error:
            raise ShapeError(f"the gradient does not match x0: {error}") from None
        return np.concatenate(arrays)

    def _note_shape(self, array: Array, part: Part) -> None:
        if array.shape != part.shape:
            self._note(
                f"The gradient of {part.name} has shape {array.shape} and was reshaped "
                f"to {part.shape}. SciPy's line search would have failed on it "
                '("shapes not aligned"). Return gradient.ravel().'
            )

    def _wrong_total(self, found: int) -> ShapeError:
        needed = self.tree.size
        counts = f"the gradient has {found} entries, but there are {needed} weights"
        if found % needed == 0 and found > needed:
            return ShapeError(
                f"{counts}: it looks like one row of {needed} for each of "
                f"{found // needed} samples. Sum or average it over the rows."
            )
        part = self.tree.part_at(min(found, needed - 1))
        place = ""
        if len(self.tree.parts) > 1:
            place = f" (it ends within {part.name}, which has shape {part.shape})"
        excess = f"{abs(found - needed)} too {'many' if found > needed else 'few'}"
        return ShapeError(f"{counts}: {excess}{place}. {_BIAS_COLUMN_HINT}", part.name)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _as_array(value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError:
        raise ShapeError(
            f"a {type(value).__name__} of arrays of different shapes was returned, "
            "where one array is needed. Concatenate their ravel()s, or give x0 the "
            "same structure."
        ) from None


def _as_real(array: Array, name: str) -> Array:
    """Turn objects that are numbers, such as fractions, into float64."""
    try:
        return np.asarray(array, float)
    except (TypeError, ValueError):
        raise ShapeError(
            f"the {name} has type {array.dtype}; it must hold real numbers."
        ) from None


def _check_not_transposed(part: Part, array: Array) -> None:
    if part.rank == 2 and array.shape == part.shape[::-1] != part.shape:
        raise ShapeError(
            f"the gradient of {part.name} has shape {array.shape}, but the array has "
            f"shape {part.shape}: the gradient is transposed. Return its .T.",
            part.name,
            "transpose",
        )


def _wrong_size(part: Part, array: Array) -> ShapeError:
    return ShapeError(
        f"the gradient of {part.name} has shape {array.shape}, but the array has shape "
        f"{part.shape}. {_BIAS_COLUMN_HINT}",
        part.name,
    )
