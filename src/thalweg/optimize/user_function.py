"""A user's own cost and gradient, called with x as they hold it and seen as flat.

Small slips of shape are put right, and noted; larger ones raise `ShapeError`, which
says what was returned, what was needed, and where to look.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.core import Array, Part, PyTree

ONE_HOT = (
    "If the labels are class numbers, turn them into one-hot rows: np.eye(n)[labels]."
)
_BIAS_COLUMN = (
    "a bias column that was not dropped (or was dropped twice) on the way back, or an "
    "array left out"
)


class ShapeError(ValueError):
    """A cost or gradient whose shape is beyond repair, or that cannot be computed."""

    def __init__(self, message: str, where: str = "", cause: str = "shape") -> None:
        super().__init__(message)
        self.where, self.cause = where, cause


class UserFunction:
    """The two functions as a user wrote them.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> cost``, or ``-> (cost, gradient)`` if `jac` is True.
    jac : callable, True or None
        ``jac(x, *args) -> gradient``, in the structure of x or flat.
    packing : PyTree
        The structure of x.
    args : tuple
        Further arguments.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        jac: Any,
        packing: PyTree,
        args: tuple[Any, ...] = (),
    ) -> None:
        self.fun, self.jac, self.packing, self.args = fun, jac, packing, args
        self.notes: dict[str, None] = {}  # a set that keeps its order
        self.single = False
        self._last: tuple[Array, Any] | None = None

    def cost(self, x: Array) -> float:
        """Cost at the flat vector `x`."""
        value = self._call(x)
        return self._as_cost(value[0] if self.jac is True else value)

    def gradient(self, x: Array) -> Array:
        """Gradient at the flat vector `x`, flat too, and a copy."""
        if self.jac is True:
            return self._as_gradient(self._call(x)[1])
        return self._as_gradient(self.jac(self.packing.unpack(x), *self.args))

    def again(self, x: Array) -> float:
        """Cost at `x`, computed once more even if it is known."""
        self._last = None
        return self.cost(x)

    def _call(self, x: Array) -> Any:
        """Call the cost; a second call at the same place is answered from memory."""
        if self._last is None or not np.array_equal(self._last[0], x):
            self._last = (x.copy(), self.fun(self.packing.unpack(x), *self.args))
        value = self._last[1]
        if self.jac is True and not (
            isinstance(value, tuple | list) and len(value) > 1
        ):
            raise ShapeError(
                "jac=True says that the cost function returns (cost, gradient); it "
                f"returned {type(value).__name__}. Return both, or give jac a function."
            )
        return value

    def _as_cost(self, value: Any) -> float:
        if value is None:
            raise ShapeError("the cost is None. Let the cost function return it.")
        if self.jac is not True and isinstance(value, tuple):
            raise ShapeError(
                "the cost function returned a tuple. If that is (cost, gradient), "
                "say jac=True; if not, return the cost alone."
            )
        array = _as_array(value)
        if array.size != 1 or array.dtype.kind not in "fiub":
            raise ShapeError(
                f"the cost is not one real number: it has shape {array.shape} and type "
                f"{array.dtype}. Sum or average the losses of the rows; if an (n, 1) "
                "array met an (n,) array, their difference is (n, n): make the shapes "
                f"equal. {ONE_HOT}"
            )
        if array.ndim:
            self._note(
                f"The cost has shape {array.shape} and was taken as a number; SciPy "
                "would refuse it from NumPy 2.4 on. Return cost.item()."
            )
        if array.dtype in (np.float32, np.float16):
            self._note_precision(array.dtype)
        return float(array.reshape(-1)[0])

    def _note_precision(self, dtype: Any) -> None:
        self.single = True
        self._note(
            f"The cost is computed in {dtype}: its last digits are noise, on which "
            "line searches give up early and finite differences vanish. Compute it in "
            "float64: X.astype(float)."
        )

    def _as_gradient(self, value: Any) -> Array:
        if value is None:
            raise ShapeError(
                "the gradient is None. Let the gradient function return its result."
            )
        flat = hasattr(value, "dtype") or (
            self.packing.is_flat and not isinstance(value, dict)
        )
        return self._flatten(_as_array(value)) if flat else self._gather(value)

    def _flatten(self, array: Array) -> Array:
        """Take a gradient that is one array."""
        if array.dtype.kind not in "fiub":
            raise ShapeError(f"the gradient's type is {array.dtype}, not real numbers.")
        if array.size != self.packing.size:
            raise self._miscount(array)
        part, *others = self.packing.parts
        if not others:
            self._check_turned(part, array)
        if array.ndim != 1:
            whole = ("x", (self.packing.size,)) if others else (part.name, part.shape)
            self._note_shape(array, *whole)
        return np.array(array, float).ravel()

    def _gather(self, value: Any) -> Array:
        """Take a gradient in the structure of x."""
        arrays = []
        try:
            for part, array in self.packing.pairs(value):
                if array.size != part.stop - part.start:
                    raise _wrong_size(part, array)
                self._check_turned(part, array)
                self._note_shape(array, part.name, part.shape)
                arrays.append(array.ravel())
        except ShapeError:
            raise
        except ValueError as error:
            raise ShapeError(f"the gradient does not match x0: {error}") from None
        return np.concatenate(arrays)

    def _check_turned(self, part: Part, array: Array) -> None:
        turned = part.rank == 2 and array.shape == part.shape[::-1] != part.shape
        if turned:
            raise ShapeError(
                f"the gradient of {part.name} has shape {array.shape}, and the array "
                f"itself {part.shape}: it is transposed. Return its .T.",
                part.name,
                "transpose",
            )

    def _note_shape(self, array: Array, name: str, shape: tuple[int, ...]) -> None:
        if array.shape != shape:
            self._note(
                f"The gradient of {name} has shape {array.shape} and was taken as "
                f"{shape}; SciPy's line search would have failed on it (\"shapes not "
                'aligned"). Return gradient.ravel().'
            )

    def _miscount(self, array: Array) -> ShapeError:
        found, needed = array.size, self.packing.size
        told = f"the gradient has {found} entries, but there are {needed} weights"
        if found % needed == 0 and found > needed:
            return ShapeError(
                f"{told}: one row of {needed} for each of {found // needed} samples? "
                "Sum or average it over the rows."
            )
        place = self.packing.part_at(min(found, needed - 1))
        at = ""
        if len(self.packing.parts) > 1:
            at = f" (the count breaks off in {place.name}, shape {place.shape})"
        apart = f"{abs(found - needed)} too {'many' if found > needed else 'few'}"
        return ShapeError(f"{told}, {apart}{at}. Look for {_BIAS_COLUMN}.", place.name)

    def _note(self, text: str) -> None:
        self.notes[text] = None


def _as_array(value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError:
        raise ShapeError(
            f"a {type(value).__name__} of arrays of different shapes was returned, "
            "where one array is needed. Concatenate their ravel()s, or give x0 the "
            "same structure."
        ) from None


def _wrong_size(part: Part, array: Array) -> ShapeError:
    return ShapeError(
        f"the gradient of {part.name} has shape {array.shape}, and the array itself "
        f"{part.shape}. Look for {_BIAS_COLUMN}.",
        part.name,
    )
