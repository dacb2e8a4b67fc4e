# Types of what `_dense.pyx`, the binding of the C kernel, offers to Python.

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
# fan_in, units, activation, its constant; normalization, epsilon, momentum; constraint,
# limit; residual, owner, transposed, frozen; dropout, threshold, rate; and the offsets
# of weights, bias, scale, shift, mean and variance.
_Layer: TypeAlias = tuple[
    int, int, int, float,
    int, float, float,
    int, float,
    int, int, bool, bool,
    float, int, float,
    int, int, int, int, int, int,
]  # fmt: skip

def take_blas(capsule_s: object, capsule_d: object) -> None: ...
def use_level(level: str | None = None) -> str: ...

class Description:
    def __init__(
        self,
        layers: list[_Layer],
        numbers: dict[str, float | list[float] | list[bool]],
        is_double: bool,
    ) -> None: ...
    def workers(self, n_rows: int, available: int) -> int: ...
    def wants_blas(self, n_rows: int) -> bool: ...

class Table:
    def __init__(
        self,
        X: _Floats,
        y: NDArray[np.int32] | _Floats | None,
        weights: _Floats | None,
        indices: NDArray[np.int32] | None = None,
        indptr: NDArray[np.int64] | None = None,
        width: int = 0,
        codes: NDArray[np.uint16] | None = None,
        groups: NDArray[np.int64] | None = None,
    ) -> None: ...
    @property
    def n_rows(self) -> int: ...

class Training:
    def __init__(
        self, description: Description, table: Table, parameters: _Floats
    ) -> None: ...
    def cancel(self) -> None: ...
    def advance(
        self,
        orders: NDArray[np.int32] | None,
        rates: NDArray[np.float64],
        mixes: NDArray[np.float64],
        columns: NDArray[np.float64],
        counts: tuple[int, int, int, int],
        stop: tuple[int, float, float, int] | None,
        workers: int,
    ) -> tuple[int, bool]: ...
    def adapt(self, decay: float, dropout: NDArray[np.float64]) -> None: ...
    def copy(self, parameters: _Floats) -> None: ...
    def copy_stepped(self, parameters: _Floats) -> None: ...
    def set_average(self, trained: _Floats) -> None: ...
    def remember(self) -> tuple[int, int, bytes]: ...
    def recall(self, steps_done: int, updates_done: int, remembered: bytes) -> None: ...

class Cost:
    def __init__(self, description: Description, table: Table) -> None: ...
    def __call__(
        self, parameters: _Floats, gradient: _Floats | None, workers: int
    ) -> float: ...
    def settle(self, parameters: _Floats) -> None: ...

def outputs(
    description: Description,
    table: Table,
    parameters: _Floats,
    results: list[_Floats | None],
    block: int,
    workers: int,
) -> None: ...
def row_losses(
    description: Description, table: Table, given: _Floats, result: _Floats
) -> None: ...
def elementary(
    which: str,  # "exp", "tanh", "log", "log1p" or "expm1"
    x: _Floats,
    result: _Floats,
) -> None: ...
def threefry(key0: int, key1: int, first: int, second: int) -> tuple[int, int]: ...
