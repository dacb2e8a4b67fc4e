"""`thalweg predict`: predict the target of each row, part by part.

A table is read, predicted and written in parts, so that memory does not grow with it.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from thalweg.cli.options import File, Names, option, output
from thalweg.cli.printing import plain, show_lines, warn
from thalweg.cli.reading import AS_FOUND, ReadingOptions, TablePaths, reads_table

if TYPE_CHECKING:
    from thalweg.core import Frame
    from thalweg.estimators import FittedTable

ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="The file that `thalweg fit` wrote.")
]
_ROWS = 100_000  # of one part
_SCORED = 1_000_000  # rows that are scored, at most


@reads_table()
def predict(
    model: ModelFile,
    tables: TablePaths,
    output: Annotated[
        File, output("A .csv or .parquet file. [default: CSV to standard output]")
    ] = None,
    reading: ReadingOptions = AS_FOUND,
    keep: Annotated[
        Names,
        option(
            "Column to write beside the predictions. Repeat the option for more "
            "columns.",
            "--keep",
            of="COLUMN",
        ),
    ] = None,
    keep_all: Annotated[
        bool, option("Write all columns beside the predictions.", "--keep-all")
    ] = False,
    interval: Annotated[
        float | None,
        option(
            "Probability, e.g. 0.9, with which an interval holds the true value: adds "
            "the columns lower and upper, or for classes the column set.",
            of="PROBABILITY",
        ),
    ] = None,
    raw: Annotated[
        bool,
        option(
            "Write texts that begin with =, +, - or @ as they are. Without it they get "
            "an apostrophe in a CSV, so that no spreadsheet takes them for a formula.",
            "--raw",
        ),
    ] = False,
) -> None:
    """Predict the target of each row with a model that `thalweg fit` wrote.

    Writes a table with one prediction for each row and, for classes, the probability of
    each class. The order of the columns does not matter. If the target is among the
    columns, the predictions are scored. A warning names the columns whose values are
    unlike those that the model was fitted on.

    For example:

    - `thalweg predict flowers.thalweg new.csv`

    - `thalweg predict houses.thalweg new.csv --output prices.parquet --keep address`

    - `thalweg predict houses.thalweg new.csv --interval 0.9`
    """
    from thalweg.cli.options import prepare
    from thalweg.cli.parts import write_parts
    from thalweg.core import check_names
    from thalweg.estimators import DriftWatch, check_level

    prepare(output, read=[model, *tables])
    fitted = load_table_model(model)
    if interval is not None:
        interval = check_level("--interval", interval, "thalweg predict")
    parts = table_parts(tables, reading)
    first = next(parts)
    names = [str(name) for name in first.columns]
    check_names("column of the table", keep or (), names, owner="--keep")
    kept = names if keep_all else list(dict.fromkeys(keep or ()))
    known = {column.name for column in fitted.columns_}
    target = fitted.target_name_
    unused = [n for n in names if n not in known and n not in kept and n != target]
    if unused:
        warn(f"Columns not used: {', '.join(unused)}.")
    watch, scored = DriftWatch(fitted.columns_), _Scored(fitted)

    def predicted() -> "Iterator[Frame]":
        for part in chain([first], parts):
            found, outputs = predictions(fitted, part, interval)
            watch.see(fitted.aligned(part))
            scored.see(part, outputs)
            taken = {f"{n}_" if n in found.columns else n: part[n] for n in kept}
            found = found.set_axis(part.index)
            yield found.assign(**taken)[[*taken, *found.columns]]

    write_parts(predicted(), output, formulas=raw)
    for sentence in watch.sentences():
        warn(sentence)
    scored.show()


def load_table_model(path: Path) -> "FittedTable":
    """Read a model that predicts the rows of a table.

    Raises
    ------
    ValueError
        If the file holds a model of another kind.
    """
    from thalweg.estimators import load_fitted_table

    return load_fitted_table(path)


def table_parts(tables: Sequence[Path], reading: ReadingOptions) -> "Iterator[Frame]":
    """Yield the rows of a table in parts, and tell what was assumed of its files."""
    from thalweg.io import iter_table

    told: set[str] = set()
    for part in iter_table(tables, rows=_ROWS, **reading.file):
        for note in part.attrs.get("notes", ()):
            if note not in told:
                warn(f"Note: {note}")
        told.update(part.attrs.get("notes", ()))
        yield part


def predictions(
    model: "FittedTable", frame: "Frame", interval: float | None = None
) -> tuple["Frame", Any]:
    """Return a table of predictions, and the outputs that they come from."""
    import pandas as pd

    from thalweg.estimators import ClassSet

    if interval is None:
        outputs, found = model.outputs(frame), None
    else:
        found, outputs = model.outputs_with_interval(frame, interval)
    columns: dict[str, Any] = {"prediction": model.decide(outputs)}
    if found is not None:
        if isinstance(found, ClassSet):
            names = [str(label) for label in model.classes_.tolist()]
            columns["set"] = [
                " | ".join(name for name, kept in zip(names, row, strict=True) if kept)
                for row in found.included
            ]
        else:
            columns |= {"lower": found.lower, "upper": found.upper}
    if model.classifies:
        named = zip(model.classes_, outputs.T, strict=True)
        columns |= {f"probability_{label}": share for label, share in named}
    return pd.DataFrame(columns), outputs


class _Scored:
    """The targets that a table turns out to hold, and what was predicted for them."""

    def __init__(self, model: "FittedTable") -> None:
        self._model, self._name = model, model.target_name_
        self._targets: list[Any] = []
        self._outputs: list[Any] = []
        self._count = 0

    def see(self, part: "Frame", outputs: Any) -> None:
        """Remember the targets of a part, if it has any."""
        if self._name is None or self._name not in part.columns:
            return
        if self._count < _SCORED:
            self._targets.append(part[self._name])
            self._outputs.append(outputs)
            self._count += len(part)

    def show(self) -> None:
        """Print the scores to standard error, if there are targets."""
        if not self._targets:
            return
        import numpy as np
        import pandas as pd

        from thalweg.cli.printing import shown
        from thalweg.estimators import lacks_target

        target = pd.concat(self._targets, ignore_index=True)
        kept = ~lacks_target(target).to_numpy(bool)
        if not kept.any():
            return
        outputs = np.concatenate(self._outputs)[kept]
        try:
            metrics = self._model.score_outputs(target[kept], outputs)
        except ValueError as error:
            warn(f"The predictions are not scored: {plain(error)}")
            return
        told = ", ".join(map(shown, metrics))
        text = f"{told}, on {int(kept.sum())} rows of the table"
        show_lines({"Score": text}, stderr=True)
