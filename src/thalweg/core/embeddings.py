"""Learned features of input columns, which a network's first layer reads.

An `Embedding` turns each of its columns into `units` numbers, by parameters that are
trained with the network. The formulas, for one column x, with Θ trained::

    categories   the row of a table (levels + 1, units) whose number is x; the last one
                 for whatever is no whole number from 0 to levels - 1
    periodic     relu(W [sin(2π f x), cos(2π f x)] + b), with frequencies f
    piecewise    W e + b, where e_t is the share of the t-th piece that x has passed:
                 (x - start of the piece) / width, clipped to (0, 1)

Θ is W, b, f, and the pieces: where the first one starts, and the logarithms of their
widths. ``periodic`` is PLR of Gorishniy et al. (2022), "On embeddings for numerical
features", section 3.3; ``piecewise`` is the encoding of section 3.2 with a linear layer
behind it, and its pieces are learned here. As there, the first piece goes on below its
start and the last one above its end.

The parameters lie beside those of the first layer, under the names that `shapes` gives.
Penalties and weight decay act on those called ``weights``, tables of categories among
them, as on the matrices of layers; not on biases, frequencies and pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from thalweg.core.checks import check_whole
from thalweg.core.registry import Choice, ChoiceField, Spec, shown, tabulate
from thalweg.core.serialization import Record
from thalweg.core.types import Array

EMBEDDINGS = tabulate(
    {
        "categories": {"levels": None},
        "periodic": {"frequencies": 16, "scale": 0.1},
        "piecewise": {"pieces": 8},
    },
    # Whole numbers from 2**24 on are not all floats.
    levels="[1, 16777216]", frequencies="[1, inf)", pieces="[1, inf)",
    scale="(0, inf)",
)  # fmt: skip
"""Kinds of embeddings by name. ``levels`` is the number of categories, ``scale`` the
standard deviation of the initial frequencies."""

_WIDEST = 2.0  # pieces begin between -2 and 2, where standardized numbers are


@dataclass(frozen=True)
class Embedding(Record):
    """Input columns that are embedded in the same way, as data.

    Parameters
    ----------
    columns : int or sequence of int
        Numbers of the columns, from 0. Each has parameters of its own.
    kind : str or (str, dict)
        One of `EMBEDDINGS`: ``("categories", {"levels": 5})``,
        ``("periodic", {"frequencies": 16, "scale": 0.1})`` or
        ``("piecewise", {"pieces": 8})``.
    units : int
        How many features each column becomes.
    edges : array-like of shape (pieces + 1,) or (n_columns, pieces + 1), optional
        Where the pieces of ``piecewise`` begin and end before training, such as
        quantiles; equal pieces from -2 to 2 if None. They do not count for equality.

    Raises
    ------
    ValueError, TypeError
        Naming the parameter, what it got and what is allowed.

    Examples
    --------
    >>> import thalweg as tw
    >>> embedding = tw.Embedding(0, ("categories", {"levels": 5}), units=3)
    >>> layers = [tw.Dense(16), tw.Dense(1, "identity")]
    >>> network = tw.DenseNetwork(4, layers, embedding=embedding)
    >>> network.widths  # three columns as they are, and three learned features
    (6, 16, 1)
    """

    columns: tuple[int, ...]
    kind: ChoiceField[Spec, Choice] = ChoiceField("periodic", EMBEDDINGS)
    units: int = 8
    edges: tuple[tuple[float, ...], ...] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        given: Any = self.columns
        single = isinstance(given, str) or not isinstance(given, Sequence | np.ndarray)
        listed: list[Any] = [given] if single else list(given)
        for column in listed:
            check_whole("columns", column, "[0, inf)", owner="Embedding")
        columns = tuple(int(column) for column in listed)
        if not columns or len(set(columns)) < len(columns):
            raise ValueError(
                f"Embedding got columns={shown(given)}; it must name at least one "
                "column, and each only once."
            )
        object.__setattr__(self, "columns", columns)
        check_whole("units", self.units, "[1, inf)", owner="Embedding")
        object.__setattr__(self, "units", int(self.units))
        if callable(self.kind.name):
            raise TypeError("Embedding takes kind by name only, not as a function.")
        for name in ("levels", "frequencies", "pieces"):
            if name in dict(self.kind.constants):
                if self.kind[name] is None:
                    raise ValueError(
                        "Embedding got kind='categories' without the number of them. "
                        'Give it, such as kind=("categories", {"levels": 5}).'
                    )
                check_whole(name, self.kind[name], "[1, inf)", owner="Embedding")
        if self.edges is not None:
            object.__setattr__(self, "edges", self._checked_edges())

    def _checked_edges(self) -> tuple[tuple[float, ...], ...]:
        if self.kind.name != "piecewise":
            raise ValueError(
                f"Embedding got edges with kind={self.kind.label!r}, which has no "
                "pieces. Leave edges out, or use kind='piecewise'."
            )
        shape = len(self.columns), self.count("pieces") + 1
        try:
            edges = np.broadcast_to(np.asarray(self.edges, float), shape)
        except (TypeError, ValueError):
            edges = np.full(shape, np.nan)
        if not (np.isfinite(edges).all() and (np.diff(edges, axis=1) > 0).all()):
            raise ValueError(
                f"Embedding got edges={shown(self.edges)}; for {shape[0]} column(s) of "
                f"{shape[1] - 1} piece(s) they must be finite numbers of shape {shape} "
                f"or ({shape[1]},) that grow from each to the next."
            )
        return tuple(tuple(map(float, row)) for row in edges)

    def count(self, constant: str) -> int:
        """Return a constant that is a whole number."""
        return int(self.kind[constant] or 0)

    @property
    def width(self) -> int:
        """How many features all columns become."""
        return len(self.columns) * self.units

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of each parameter; the columns' own follow each other."""
        n, units = len(self.columns), self.units
        if self.kind.name == "categories":
            return {"weights": (n * (self.count("levels") + 1), units)}
        if self.kind.name == "periodic":
            k = self.count("frequencies")
            own = {"frequencies": (n * k,), "weights": (n * 2 * k, units)}
        else:
            k = self.count("pieces")
            own = {"starts": (n,), "log_widths": (n * k,), "weights": (n * k, units)}
        return {**own, "bias": (n * units,)}

    def draw(self, rng: np.random.RandomState) -> dict[str, Array]:
        """Draw the initial parameters, in float64 and in the order of `shapes`.

        Weights and biases are uniform on ±1/√n, where n is the number of units of a
        table, and of the features that go in otherwise.
        """
        shapes = self.shapes().items()
        return {name: self._draw(name, shape, rng) for name, shape in shapes}

    def _draw(
        self, name: str, shape: tuple[int, ...], rng: np.random.RandomState
    ) -> Array:
        if name == "frequencies":
            return float(self.kind["scale"] or 0.0) * rng.standard_normal(shape)
        if name in ("starts", "log_widths"):
            edges = self._first_edges()
            return edges[:, 0] if name == "starts" else np.log(np.diff(edges)).ravel()
        if self.kind.name == "categories":
            n = self.units
        else:
            n = self.shapes()["weights"][0] // len(self.columns)
        return rng.uniform(-(n**-0.5), n**-0.5, shape)

    def _first_edges(self) -> Array:
        if self.edges is not None:
            return np.array(self.edges)
        equal = np.linspace(-_WIDEST, _WIDEST, self.count("pieces") + 1)
        return np.tile(equal, (len(self.columns), 1))

    def __str__(self) -> str:
        n = len(self.columns)
        columns = f"column {self.columns[0]}" if n == 1 else f"{n} columns"
        return f"{columns} as {self.units} {self.kind.label} feature(s) each"


def as_embeddings(given: Any, n_inputs: int) -> tuple[Embedding, ...]:
    """Return the embeddings of a network, checked against its inputs.

    Raises
    ------
    ValueError, TypeError
        If one names a column that is not there, or that another one has.
    """
    several: Any = [given] if isinstance(given, Embedding) else given
    found = list(several) if isinstance(several, list | tuple) else [several]
    if not all(isinstance(each, Embedding) for each in found):
        raise TypeError(
            f"DenseNetwork got embedding={shown(given)}; it must be a "
            "thalweg.Embedding or a sequence of them."
        )
    taken: set[int] = set()
    for each in found:
        beyond = [column for column in each.columns if column >= n_inputs]
        if beyond:
            raise ValueError(
                f"DenseNetwork got an embedding of column {beyond[0]}, and has "
                f"{n_inputs} inputs; columns are numbered from 0 to {n_inputs - 1}."
            )
        twice = taken & set(each.columns)
        if twice:
            raise ValueError(
                f"DenseNetwork got two embeddings of column {min(twice)}; a column "
                "can have one."
            )
        taken |= set(each.columns)
    return tuple(found)


def parameter_name(number: int, name: str) -> str:
    """Return the name of a parameter of an embedding beside the first layer's own."""
    return f"embedding_{number}_{name}"


def is_trained(name: str) -> bool:
    """Whether a parameter of a layer is trained: all but running statistics are."""
    return name not in ("mean", "variance")
