"""The command `thalweg`: train on a table, predict, diagnose, compare and search.

Each subcommand prints what it found in the table, what it did, how good the result is
and which files it wrote. Bad input ends with one sentence on standard error and exit
code 2. A bug in thalweg shows its traceback and ends with exit code 1.
"""

import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import TextWrapper
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from thalweg.cli.options import (
    File,
    Hidden,
    Ignore,
    ModelChoice,
    ModelPath,
    Names,
    NoHeader,
    ResultsPath,
    Seed,
    TablePath,
    Target,
    Task,
    choose_model,
    encode_table,
    model_output,
    option,
    output,
    parse_widths,
    prepare,
    read_columns,
)

# Everything else is imported by the command that needs it, so that --help is quick.
if TYPE_CHECKING:
    from thalweg.core import EpochRecord, Frame, Plan, Series
    from thalweg.estimators import Classifier, Column, Evaluation, Regressor

app = typer.Typer(
    help="Train neural networks on tables, predict, and find out why training fails.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_MAX_COLUMNS_SHOWN = 20
_COMPARED = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "lbfgs")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: with 0 when done, 2 on bad input, 1 on a bug."""
    try:
        # `obj` is the command line, which a report quotes.
        app(arguments, prog_name="thalweg", obj=arguments or sys.argv[1:])
    except (ValueError, OSError) as error:
        print(f"thalweg: {error}", file=sys.stderr)
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


@app.command(no_args_is_help=True)
def fit(
    context: typer.Context,
    table: TablePath,
    target: Target,
    task: Task = "auto",
    output: ModelPath = None,
    report: Annotated[
        File, option("File to write a report to, as HTML.", of="FILE")
    ] = None,
    no_header: NoHeader = False,
    ignore: Ignore = None,
    category: Annotated[
        Names,
        option(
            "Column whose numbers are codes of categories. Repeat the option for more "
            "columns.",
            "--category",
            of="COLUMN",
        ),
    ] = None,
    hidden: Hidden = "128,64",
    activation: Annotated[
        str,
        option("Activation of the hidden layers, e.g. relu, tanh, gelu.", of="NAME"),
    ] = "relu",
    dropout: Annotated[
        float | None,
        option(
            "Share of the units that each update leaves out. [default: 0.1]", of="SHARE"
        ),
    ] = None,
    optimizer: Annotated[
        str,
        option(
            "Optimizer, e.g. adam, sgd or lbfgs; adam,lbfgs uses one after the other.",
            of="NAME",
        ),
    ] = "adam",
    learning_rate: Annotated[
        float | None,
        option("Learning rate. [default: the optimizer's usual one]", of="RATE"),
    ] = None,
    schedule: Annotated[
        str,
        option(
            "How the learning rate changes, e.g. constant, cosine, one_cycle.",
            of="NAME",
        ),
    ] = "constant",
    epochs: Annotated[
        int | None,
        option("Maximum number of epochs. [default: by the number of rows]", of="N"),
    ] = None,
    batch_size: Annotated[
        int | None,
        option("Rows in a batch. [default: by the number of rows]", of="N"),
    ] = None,
    l2: Annotated[
        float, option("Strength of the L2 penalty on the weights.", of="STRENGTH")
    ] = 1.0,
    patience: Annotated[
        int,
        option("Epochs without improvement after which training stops.", of="N"),
    ] = 10,
    seed: Seed = 0,
    time: Annotated[
        float | None, option("Time limit for all training, in seconds.", of="SECONDS")
    ] = None,
    dtype: Annotated[
        Literal["float32", "float64"],
        option("Precision of the computation: float32 or float64.", of="DTYPE"),
    ] = "float32",
) -> None:
    """Train a network on a table and write the model to a file.

    The columns may hold numbers, texts, dates, booleans and missing values. The score
    is measured on one fifth of the rows, which training does not use. With fewer than
    200 rows it is measured by cross-validation.

    For example:

    - `thalweg fit flowers.csv --target species`

    - `thalweg fit houses.csv.gz -t price --task regression --hidden 256,128`

    - `thalweg fit plants.csv -t yield --ignore name --optimizer sgd --time 60`

    - `thalweg fit flowers.csv -t species --report flowers.html`
    """
    from thalweg import report as report_page
    from thalweg.diagnosis import diagnose
    from thalweg.estimators import n_networks
    from thalweg.report import summarize

    output = model_output(output, table)
    prepare(output, report, read=[table])
    if report:
        report_page.check()
    X, y = read_columns(table, no_header, target, ignore, category)
    choice, known = _choose_model(table, task, X, y)
    model = choice.model
    model.set_params(
        hidden_layer_sizes=parse_widths(hidden),
        activation=activation,
        dropout=dropout,
        optimizer=optimizer.split(",") if "," in optimizer else optimizer,
        learning_rate=learning_rate,
        schedule=schedule,
        max_epochs=epochs,
        batch_size=batch_size,
        l2=l2,
        patience=patience,
        random_state=seed,
        max_time=time and time / n_networks(int(known.sum())),
        dtype=dtype,
    )
    evaluation = _train(model, X, y, output, closely=report is not None)
    found = diagnose(model, X[known], y[known], trials=False)
    if report:
        summary = summarize(
            model,
            evaluation,
            X,
            y,
            path=table,
            task=choice.reason,
            command=context.obj,
            diagnosis=found,
        )
        report_page.write(summary, report)
    fitted = model.score(X[known], y[known])
    _show_result(model, evaluation, fitted, output, report)
    _console().print(f"\n{found}")


@app.command(no_args_is_help=True)
def predict(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="The file that `thalweg fit` wrote."),
    ],
    table: TablePath,
    output: Annotated[
        File, output("A .csv or .parquet file. [default: CSV to standard output]")
    ] = None,
    no_header: NoHeader = False,
) -> None:
    """Predict the target of each row with a model that `thalweg fit` wrote.

    Writes a table with one prediction for each row and, for classes, the probability of
    each class. The order of the columns does not matter.

    For example:

    - `thalweg predict flowers.thalweg new.csv`

    - `thalweg predict houses.thalweg new.csv --output prices.parquet`
    """
    from thalweg.core import Run
    from thalweg.estimators import load
    from thalweg.io import read_table, write_table

    prepare(output, read=[model, table])
    fitted = load(model)
    if isinstance(fitted, Run):
        raise ValueError(
            f"{model} holds a network without the description of a table. Predict with "
            "it in Python: thalweg.predict(thalweg.load(path), X)."
        )
    frame = read_table(table, header=not no_header)
    predictions = _predictions(fitted, frame)
    known = {column.name for column in fitted.columns_}
    unknown = [name for name in frame.columns if name not in known]
    if unknown:
        print(f"Columns not used: {', '.join(unknown)}.", file=sys.stderr)
    write_table(predictions, output or sys.stdout)


@app.command(no_args_is_help=True)
def diagnose(
    table: TablePath,
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
    no_header: NoHeader = False,
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
    from thalweg.estimators import is_missing, load

    prepare(output, read=[table, model])
    X, y = read_columns(table, no_header, target, ignore)
    known = ~is_missing(y)
    given = (model and load(model), X[known], y[known])
    found = diagnose(*given, trials=trials, budget=budget)
    _console().print(str(found))
    _write_results(found, output)


@app.command(no_args_is_help=True)
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
    no_header: NoHeader = False,
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
    X, y = read_columns(table, no_header, target, ignore)
    inputs, encoded = encode_table(X, y, task)
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
    _console().print(str(found), soft_wrap=True)
    _write_results(found, output, plot)


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
def search(
    table: TablePath,
    target: Target,
    task: Task = "auto",
    trials: Annotated[int, option("Maximum number of settings to try.", of="N")] = 100,
    time: Annotated[
        str | None,
        option("Time limit of the search, e.g. 90s, 10m or 2h.", of="TIME"),
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
    no_header: NoHeader = False,
    ignore: Ignore = None,
    seed: Seed = 0,
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

    output = model_output(output, table)
    prepare(output, trace, picture=plot, read=[table])
    X, y = read_columns(table, no_header, target, ignore)
    choice, known = _choose_model(table, task, X, y)
    found = live_table.search_table(
        _console(),
        choice.model.set_params(random_state=seed),
        X[known],
        y[known],
        trials=trials,
        timeout=live_table.parse_duration(time),
        storage=storage,
        sampler=live_table.check_choice(
            "--sampler", sampler, ("tpe", "random", "cmaes")
        ),
        pruner=live_table.check_choice("--pruner", pruner, (*PRUNERS, "none")),
        random_state=seed,
    )
    _console().print(f"\n{found}", soft_wrap=True)
    _write_results(found, trace, plot)
    best = found.best_estimator
    evaluation = _train(best, X, y, output)
    _show_result(best, evaluation, best.score(X[known], y[known]), output, None)


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _choose_model(
    table: Path, task: str, X: "Frame", y: "Series"
) -> tuple[ModelChoice, "Series"]:
    """Choose a model and describe the table; return also which rows have a target."""
    from thalweg.estimators import as_frame, is_missing, study

    known = ~is_missing(y)
    choice = choose_model(task, y)
    _show_table(table, int(known.sum()), study(as_frame(X)), y, choice.reason)
    return choice, known


def _train(
    model: "Classifier | Regressor", X: "Frame", y: "Series", output: Path,
    *, closely: bool = False,
) -> "Evaluation":  # fmt: skip
    """Train, evaluate and save a model; return the evaluation."""
    from thalweg.estimators import evaluate

    with _live_line(model) as announce:
        evaluation = evaluate(model, X, y, announce, closely=closely)
    model.save(output)
    return evaluation


def _write_results(found: Any, output: File, plot: File = None) -> None:
    """Write what was found as JSON, and draw it, if a file for it was given."""
    from thalweg.io import atomic_write

    if output:
        with atomic_write(output) as draft:
            draft.write_text(json.dumps(found.to_json()), encoding="utf-8")
    if plot:
        from thalweg import plots

        figure, axes = plots.new_figure()
        found.plot(ax=axes[0, 0])
        with atomic_write(plot) as draft:
            figure.savefig(draft)


@contextmanager
def _live_line(model: "Classifier | Regressor") -> Iterator[Callable[[str], None]]:
    """Show each epoch in one line that changes; only on a terminal.

    Yields a function to call with the name of each network before it is trained.
    """
    console = _console()
    columns = (BarColumn(6), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("preparing data", total=None)
        current = ""

        def announce(network: str) -> None:
            nonlocal current
            current = network
            progress.reset(bar, description=network)

        def show(epoch: "EpochRecord") -> None:
            line = f"{current}  {_describe_epoch(epoch)}"
            progress.update(bar, completed=epoch.epoch, description=line)

        model.set_params(callbacks=(show,) if console.is_terminal else ())
        yield announce
        model.set_params(callbacks=())


def _describe_epoch(epoch: "EpochRecord") -> str:
    validated = not math.isnan(epoch.validation_score)
    score = f"score {epoch.validation_score:.3f}  " if validated else ""
    return (
        f"epoch {epoch.epoch}  loss {epoch.loss:.4f}  {score}"
        f"gradient {epoch.gradient_norm:.2g}  rate {epoch.rate:.2g}"
    )


def _show_table(
    path: Path, n_rows: int, columns: "Sequence[Column]", y: "Series", why: str
) -> None:
    """Print what each column of the table holds."""
    console = _console()
    left = f" ({len(y) - n_rows} more have no target)" if n_rows < len(y) else ""
    console.print(f"{path.name}: {n_rows} rows{left}, {len(columns)} columns")
    console.print(f"Target {y.name}: {why}")
    width = min(24, max(6, *(len(column.name) for column in columns)))
    console.print(f"\n{'column':{width}}  {'type':8}  missing  values", style="bold")
    for column in columns[:_MAX_COLUMNS_SHOWN]:
        name = _crop(column.name, width)
        line = f"{name:{width}}  {column.kind:8}  {column.missing:7}  {column.detail}"
        console.print(_crop(line, console.width))
    kinds = Counter(column.kind for column in columns[_MAX_COLUMNS_SHOWN:])
    if kinds:
        rest = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        console.print(f"and {kinds.total()} more: {rest}")


def _show_result(
    model: "Classifier | Regressor", evaluation: "Evaluation", fitted: float,
    output: Path, report: Path | None,
) -> None:  # fmt: skip
    """Print what was trained, its score, why training stopped, and the files."""
    console = _console()
    run, (low, high) = model.run_, evaluation.interval
    plan, history = run.plan, run.history
    others = ", ".join(f"{k} {v:.3f}" for k, v in evaluation.baselines.items())
    lines = {
        "Network": str(run.network),
        "Training": f"{_method(model)}, {plan.loss.label}; {len(history)} epochs in "
        f"{history.seconds[-1]:.1f} s on {run.engine}",
        "Stopped": run.why,
        "Score": f"{evaluation.metric} {evaluation.score:.3f} (95 %: {low:.3f} to "
        f"{high:.3f}) on {evaluation.n_rows} rows, {evaluation.method}",
        "Baselines": f"{others} on the same rows",
        "Whole table": f"{evaluation.metric} {fitted:.3f}, training rows included",
        **({"Report": str(report)} if report else {}),
        "Model": str(output),
    }
    console.print()
    wrapper = TextWrapper(
        console.width, subsequent_indent=" " * 13, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip
    for title, text in lines.items():
        wrapper.initial_indent = f"{title:11}  "
        console.print(wrapper.fill(text))


def _method(model: "Classifier | Regressor") -> str:
    plan: Plan = model.run_.plan
    if isinstance(model.optimizer, list):
        return ", then ".join(model.optimizer)
    if plan.full_batch or plan.on_device:
        return f"{plan.optimizer.label} on all rows"
    return f"{plan.optimizer.label}, rate {plan.rate:g}, batches of {plan.batch_size}"


def _crop(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _predictions(model: "Classifier | Regressor", frame: "Frame") -> "Frame":
    import pandas as pd

    from thalweg.estimators import Classifier

    columns = {"prediction": model.predict(frame)}
    if isinstance(model, Classifier):
        shares = model.predict_proba(frame).T
        named = zip(model.classes_, shares, strict=True)
        columns |= {f"probability_{label}": share for label, share in named}
    return pd.DataFrame(columns)
