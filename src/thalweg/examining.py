"""The command ``thalweg diagnose``: what is wrong with a table or a model."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from thalweg.asking import (
    FiguresPath,
    Ignore,
    NoHeader,
    TablePath,
    Target,
    divide,
    prepare,
)
from thalweg.findings import Diagnosis


def examine(model: Any, X: Any, y: Any) -> Diagnosis:
    """Look at a fitted model without any trials."""
    from thalweg import doctor

    return doctor.diagnose(model, X, y, trials=False)


def diagnose(
    table: TablePath,
    target: Target,
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What `thalweg fit` wrote; or data alone."),
    ] = None,
    trials: Annotated[bool, typer.Option(help="Whether remedies are tried.")] = True,
    budget: Annotated[float, typer.Option(help="Seconds for trials.")] = 60.0,
    output: FiguresPath = None,
    no_header: NoHeader = False,
    ignore: Ignore = None,
) -> None:
    """Say what is wrong with a table or a model, and try the remedies.

    Each remedy is tried on the same rows from the same seeds, beside a random change.

    For example:

    - `thalweg diagnose flowers.csv --target species`

    - `thalweg diagnose flowers.csv -t species --model flowers.thalweg --no-trials`
    """
    from thalweg import doctor
    from thalweg.columns import is_missing
    from thalweg.tables import read_table
    from thalweg.tabular import load

    prepare(output)
    frame = read_table(table, header=not no_header)
    X, y = divide(frame, target, ignore or [], [])
    known = ~is_missing(y)
    given = (model and load(model), X[known], y[known])
    found = doctor.diagnose(*given, trials=trials, budget=budget)
    Console(highlight=False, markup=False, emoji=False).print(str(found))
    if output:
        output.write_text(json.dumps(found.to_json()))
