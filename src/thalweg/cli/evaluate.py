"""`thalweg evaluate`: score a model on a table that holds the target."""

from typing import Annotated

import typer

from thalweg.cli.options import (
    File,
    ResultsPath,
    option,
    prepare,
    read_whole,
)
from thalweg.cli.predict import ModelFile
from thalweg.cli.printing import crop, plain, score_lines, show_lines, warn
from thalweg.cli.reading import (
    AS_FOUND,
    ReadingOptions,
    TablePaths,
    one_name,
    reads_table,
)
from thalweg.cli.results import write_results
from thalweg.cli.splitting import Metric

_MOST_CLASSES = 20


@reads_table()
def evaluate(
    context: typer.Context,
    model: ModelFile,
    tables: TablePaths,
    target: Annotated[
        str | None,
        option(
            "Column that holds the target. [default: as when the model was fitted]",
            "--target",
            "-t",
            of="COLUMN",
        ),
    ] = None,
    metric: Metric = None,
    output: ResultsPath = None,
    report: Annotated[
        File, option("File to write a report to, as HTML.", of="FILE")
    ] = None,
    reading: ReadingOptions = AS_FOUND,
) -> None:
    """Score a model on a table that holds the target: all metrics, with intervals.

    The score of rows that the model was fitted on is too good. Give a table of other
    rows.

    For example:

    - `thalweg evaluate flowers.thalweg new.csv`

    - `thalweg evaluate houses.thalweg new.csv --metric mean_absolute_error -o new.json`
    """
    from thalweg.core import check_names
    from thalweg.estimators import DriftWatch, load, score_model

    prepare(output, report, read=[model, *tables])
    if report:
        from thalweg import report as report_page

        report_page.check()
    fitted = load(model)
    if not hasattr(fitted, "target_"):
        kind = type(fitted).__name__
        raise ValueError(
            f"{model} holds a {kind}, which has no description of a table. Give a "
            "model that `thalweg fit` wrote, a Classifier or a Regressor."
        )
    frame = read_whole(tables, reading)
    name = target or fitted.target_name_
    if name is None:
        raise ValueError(
            f"--target is missing: {model} does not say what it predicts. Name the "
            "column that holds the target."
        )
    names = list(map(str, frame.columns))
    check_names("column of the table", [name], names, owner="--target")
    X, y = frame.drop(columns=[name]), frame[name]
    found = score_model(fitted, X, y, metric)
    show_lines(score_lines(found))
    _show_classes(found)
    watch = DriftWatch(fitted.columns_)
    watch.see(fitted.aligned(X))
    for sentence in watch.sentences():
        warn(sentence)
    write_results(found, output)
    if report:
        from thalweg import report as report_page

        summary = report_page.summarize(
            fitted, found, X, y, path=one_name(tables),
            task=f"scored with {model.name}", command=context.obj,
        )  # fmt: skip
        report_page.write(summary, report)
        show_lines({"Report": str(report)})


def _show_classes(found: object) -> None:
    """Print precision, recall and F1 of each class, and the confusion matrix."""
    classes = getattr(found, "classes", ())
    confusion = getattr(found, "confusion", None)
    if not classes:
        return
    names = [crop(plain(each.label), 24) for each in classes[:_MOST_CLASSES]]
    width = max(5, *map(len, names))
    print(f"\n{'class':{width}}  {'rows':>6}  precision  recall     F1  (95 %)")
    for name, each in zip(names, classes, strict=False):
        low, high = each.interval
        print(
            f"{name:{width}}  {each.n_rows:6}  {each.precision:9.3f}  "
            f"{each.recall:6.3f}  {each.f1:5.3f}  ({low:.3f} to {high:.3f})"
        )
    if len(classes) > _MOST_CLASSES:
        print(f"and {len(classes) - _MOST_CLASSES} more classes")
    if confusion is not None and len(confusion.labels) <= 10:
        cells = [[str(n) for n in row] for row in confusion.counts]
        labels = [crop(plain(label), 12) for label in confusion.labels]
        wide = max(len(text) for row in (labels, *cells) for text in row)
        print(f"\n{'true, predicted':>{wide}}")
        print(" " * wide, *(f"{label:>{wide}}" for label in labels))
        for label, row in zip(labels, cells, strict=True):
            print(f"{label:>{wide}}", *(f"{cell:>{wide}}" for cell in row))
