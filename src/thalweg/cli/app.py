"""The command `thalweg`: train on a table, predict, diagnose, compare and search.

Each subcommand prints what it found in the table, what it did, how good the result is
and which files it wrote. Bad input ends with one sentence on standard error and exit
code 2. A bug in thalweg shows its traceback and ends with exit code 1.
"""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from thalweg.cli import printing
from thalweg.cli.evaluate import evaluate
from thalweg.cli.fit import fit
from thalweg.cli.options import (
    File,
    Hidden,
    Ignore,
    ModelPath,
    Names,
    ResultsPath,
    Seed,
    Target,
    Task,
    encode_table,
    model_output,
    option,
    parse_widths,
    prepare,
    read_columns,
)
from thalweg.cli.predict import predict
from thalweg.cli.reading import (
    AS_FOUND,
    ReadingOptions,
    TablePath,
    TablePaths,
    reads_table,
)
from thalweg.cli.results import write_results
from thalweg.cli.serve import serve
from thalweg.cli.splitting import (
    Group,
    KeepSplitColumns,
    Metric,
    TimeColumn,
    divide_columns,
    time_or_column,
)
from thalweg.cli.training import describe_table, show_result, train

# Everything else is imported by the command that needs it, so that --help is quick.
app = typer.Typer(
    help="Train neural networks on tables, predict, and find out why training fails.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMPARED = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "lbfgs")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: with 0 when done, 2 on bad input, 1 on a bug."""
    # The table of columns, which is printed, says it.
    warnings.filterwarnings("ignore", message=".*left out of training")
    try:
        # `obj` is the command line, which a report quotes.
        app(arguments, prog_name="thalweg", obj=arguments or sys.argv[1:])
    except (ValueError, OSError) as error:
        printing.warn(f"thalweg: {error}")
        sys.exit(2)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"thalweg {version('thalweg')}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version of thalweg and exit.",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Train neural networks on tables, predict, and find out why training fails."""


for command in (fit, predict, evaluate, serve):
    app.command(no_args_is_help=True)(command)


@app.command(no_args_is_help=True)
@reads_table()
def diagnose(
    tables: TablePaths,
    target: Target,
    model: Annotated[
        File,
        option(
            "Model to examine, which `thalweg fit` wrote. Without it only the table is "
            "examined.",
            of="FILE",
        ),
    ] = None,
    trials: Annotated[
        bool, option("Whether to test each remedy by training with it.")
    ] = True,
    budget: Annotated[
        float, option("Time limit for the tests of remedies, in seconds.", of="SECONDS")
    ] = 60.0,
    output: ResultsPath = None,
    reading: ReadingOptions = AS_FOUND,
    ignore: Ignore = None,
) -> None:
    """Find out what is wrong with a table or a model, and test the remedies.

    Trains with and without each remedy, on the same rows with the same seeds, and with
    a random change of the same size for comparison.

    For example:

    - `thalweg diagnose flowers.csv --target species`

    - `thalweg diagnose flowers.csv -t species --model flowers.thalweg --no-trials`
    """
    from thalweg.diagnosis import diagnose
    from thalweg.estimators import lacks_target, load

    prepare(output, read=[*tables, model])
    X, y = read_columns(tables, reading, target, ignore)
    known = ~lacks_target(y)
    given = (model and load(model), X[known], y[known])
    found = diagnose(*given, trials=trials, budget=budget)
    printing.console().print(str(found))
    write_results(found, output)


@app.command(no_args_is_help=True)
@reads_table(columns=True)
def compare(
    table: TablePath,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    target: Target = "",
    optimizers: Annotated[
        Names,
        option(
            f"Optimizers to compare. [default: {' '.join(_COMPARED)}]",
            "--optimizers",
            of="NAME...",
        ),
    ] = None,
    task: Task = "auto",
    hidden: Hidden = "100",
    epochs: Annotated[
        int, option("Epochs of each training, or iterations.", of="N")
    ] = 20,
    seeds: Annotated[
        int, option("Networks to train with each optimizer, one for each seed.", of="N")
    ] = 5,
    by: Annotated[
        Literal["score", "loss", "training loss"],
        option(
            "What decides: the validation score, the validation loss or the training "
            "loss (score, loss or 'training loss').",
            of="METRIC",
        ),
    ] = "score",
    output: ResultsPath = None,
    plot: Annotated[
        File,
        option("File to draw the training curves in: PNG, SVG or PDF.", of="FILE"),
    ] = None,
    reading: ReadingOptions = AS_FOUND,
    ignore: Ignore = None,
) -> None:
    """Train the same network with several optimizers, and find out which is better.

    All start from the same weights and see the same rows in the same order. One fifth
    of the rows are validation data. Confidence intervals over the seeds say which
    differences are larger than chance.

    For example:

    - `thalweg compare flowers.csv --target species --optimizers sgd adam lbfgs`

    - `thalweg compare houses.csv -t price --seeds 10 --plot curves.png`
    """
    from thalweg.comparison import compare as train_and_compare

    if not target:
        raise ValueError("--target is missing. Name the column to predict.")
    prepare(output, picture=plot, read=[table])
    X, y = read_columns([table], reading, target, ignore)
    inputs, encoded = encode_table(X, y, task, reading)
    names = [*(optimizers or ([] if more else _COMPARED)), *(more or [])]
    found = train_and_compare(
        [name for part in names for name in part.split(",") if name],
        inputs,
        encoded,
        hidden=parse_widths(hidden),
        epochs=epochs,
        seeds=seeds,
        by=by,
    )
    printing.console().print(str(found), soft_wrap=True)
    write_results(found, output, plot)


@app.command(no_args_is_help=True)
def gallery(
    out: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder for the pictures.")
    ],
    mnist: Annotated[
        File,
        option(
            "Folder with the four files of MNIST, to draw pictures about images from. "
            "[default: scikit-learn's small digits]",
            of="FOLDER",
        ),
    ] = None,
) -> None:
    """Draw the examples: optimizers, initializations, overfitting, ensembles, ...

    Runs each example of thalweg that draws, and prints the name of each picture when it
    is finished. This takes some minutes.

    For example:

    - `thalweg gallery pictures`

    - `thalweg gallery pictures --mnist data/mnist`
    """
    from thalweg.cli.gallery import draw_gallery

    prepare()
    for picture in draw_gallery(out, mnist):
        print(f"{picture.path}  {picture.caption}", flush=True)


@app.command(no_args_is_help=True)
@reads_table(columns=True)
def search(
    tables: TablePaths,
    target: Target,
    task: Task = "auto",
    trials: Annotated[int, option("Maximum number of settings to try.", of="N")] = 100,
    time: Annotated[
        str | None,
        option(
            "Time limit of the search, e.g. 90s, 10m or 2h. The name of a column is "
            "taken as --time-column.",
            of="TIME",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        option(
            "A .db or .journal file that keeps the trials, or the URL of a server, "
            "e.g. postgresql://host/name. A search that was interrupted resumes from "
            "it.",
            of="FILE",
        ),
    ] = None,
    sampler: Annotated[
        str, option("How settings are chosen: tpe, random or cmaes.", of="NAME")
    ] = "tpe",
    pruner: Annotated[
        str,
        option(
            "How poor trials are stopped early: median, halving, hyperband or none.",
            of="NAME",
        ),
    ] = "median",
    output: ModelPath = None,
    trace: Annotated[
        File, option("File to write all trials to, as JSON.", "--json", of="FILE")
    ] = None,
    plot: Annotated[
        File,
        option("File to draw the scores of the trials in: PNG, SVG or PDF.", of="FILE"),
    ] = None,
    reading: ReadingOptions = AS_FOUND,
    ignore: Ignore = None,
    seed: Seed = 0,
    metric: Metric = None,
    group: Group = None,
    time_column: TimeColumn = None,
    keep_split_columns: KeepSplitColumns = False,
) -> None:
    """Search for the best settings of a network for a table, and train it.

    Tries widths, activations, optimizers, learning rates, schedules, batch sizes,
    dropout and penalties, and stops poor trials early. The score is measured on one
    fifth of the rows, which the search does not use. Ctrl-C ends the search; the best
    settings so far are then used.

    For example:

    - `thalweg search flowers.csv --target species --trials 50`

    - `thalweg search houses.csv -t price --time 10m --storage study.db`
    """
    from thalweg.cli import live_table
    from thalweg.tuning import PRUNERS

    output = model_output(output, tables)
    prepare(output, trace, picture=plot, read=tables)
    X, y = read_columns(tables, reading, target, ignore)
    seconds, time_column = time_or_column(time, time_column, X.columns)
    divided = divide_columns(X, group, time_column, keep_split_columns)
    X = divided.X
    choice, known, X = describe_table(tables, task, X, y, reading)
    found = live_table.search_table(
        printing.console(),
        choice.model.set_params(random_state=seed, scoring=metric),
        X[known],
        y[known],
        **divided.of(known),
        trials=trials,
        timeout=seconds,
        storage=storage,
        sampler=live_table.check_choice(
            "--sampler", sampler, ("tpe", "random", "cmaes")
        ),
        pruner=live_table.check_choice("--pruner", pruner, (*PRUNERS, "none")),
        random_state=seed,
    )
    printing.console().print(f"\n{found}", soft_wrap=True)
    write_results(found, trace, plot)
    best = found.best_estimator
    best, evaluation = train(
        best, "network", X, y, output, closely=False, refit=True,
        divided=divided.of(slice(None)),
    )  # fmt: skip
    show_result(best, evaluation, X[known], y[known], output, refitted=True)
