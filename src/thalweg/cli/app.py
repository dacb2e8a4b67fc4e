"""The command: train on a table, hand over the model, predict with it.

Each command reads like a page: what was seen, what was done, how good it is, where it
went. Bad input ends in one sentence on standard error and exit code 2; a defect of
thalweg itself shows its traceback and ends in 1.
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
    FiguresPath,
    File,
    Hidden,
    Ignore,
    ModelPath,
    Names,
    NoHeader,
    Seed,
    TablePath,
    Target,
    Task,
    as_numbers,
    choose,
    option,
    output,
    prepare,
    read_columns,
    widths,
)

# All else is imported by the command that needs it: --help should not wait.
if TYPE_CHECKING:
    from thalweg.core import EpochRecord, Frame, Plan, Series
    from thalweg.estimators import Classifier, Column, Evaluation, Regressor

app = typer.Typer(
    help="Train neural networks on tables, and predict with them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_MOST_SHOWN = 20  # columns of a table
_COMPARED = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "lbfgs")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit with its code: 0 done, 2 bad input, 1 failure."""
    try:
        # What was asked for goes along, for a report to quote.
        app(arguments, prog_name="thalweg", obj=arguments or sys.argv[1:])
    except (ValueError, OSError) as error:
        print(f"thalweg: {error}", file=sys.stderr)
        sys.exit(2)


@app.command(no_args_is_help=True)
def fit(
    context: typer.Context,
    table: TablePath,
    target: Target,
    task: Task = "auto",
    output: ModelPath = None,
    report: Annotated[File, option("A page about it, as HTML.", of="FILE")] = None,
    no_header: NoHeader = False,
    ignore: Ignore = None,
    category: Annotated[
        Names, option("Its numbers are codes. Repeatable.", "--category", of="COLUMN")
    ] = None,
    hidden: Hidden = "128,64",
    activation: Annotated[str, option("Such as relu, tanh, gelu.")] = "relu",
    dropout: Annotated[
        float | None, option("Share of units dropped. [default: 0.1]")
    ] = None,
    optimizer: Annotated[
        str, option("Such as adam, sgd, lbfgs; or adam,lbfgs in turn.")
    ] = "adam",
    learning_rate: Annotated[
        float | None, option("[default: the optimizer's usual one]")
    ] = None,
    schedule: Annotated[
        str, option("Such as constant, cosine, one_cycle.")
    ] = "constant",
    epochs: Annotated[int | None, option("At most. [default: by size]")] = None,
    batch_size: Annotated[
        int | None, option("Rows of one update. [default: by size]")
    ] = None,
    l2: Annotated[float, option("Penalty on the weights.")] = 1.0,
    patience: Annotated[int, option("Epochs without gain before stopping.")] = 10,
    seed: Seed = 0,
    time: Annotated[float | None, option("Seconds to train, in all.")] = None,
    dtype: Annotated[
        Literal["float32", "float64"], option("What is computed in.")
    ] = "float32",
) -> None:
    """Train a network on a table and write it to a file.

    Takes numbers, texts, dates, booleans and missing values as they come. One row of
    five is held out to measure the result; with fewer than 200 rows, cross-validation
    does. The last line says where the model went.

    For example:

    - `thalweg fit flowers.csv --target species`

    - `thalweg fit houses.csv.gz -t price --task regression --hidden 256,128`

    - `thalweg fit plants.csv -t yield --ignore name --optimizer sgd --time 60`

    - `thalweg fit flowers.csv -t species --report flowers.html`
    """
    from thalweg import report as page
    from thalweg.diagnosis import diagnose
    from thalweg.estimators import n_networks
    from thalweg.report import summarize

    prepare(output, report)
    if report:
        page.check()
    X, y = read_columns(table, no_header, target, ignore, category)
    model, why, known = _choose(table, task, X, y)
    model.set_params(
        hidden_layer_sizes=widths(hidden),
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
    evaluation, output = _train(model, X, y, table, output, closely=report is not None)
    found = diagnose(model, X[known], y[known], trials=False)
    if report:
        told = {"path": table, "task": why, "command": context.obj, "diagnosis": found}
        page.write(summarize(model, evaluation, X, y, **told), report)
    fitted = model.score(X[known], y[known])
    _show_result(model, evaluation, fitted, output, report)
    _console().print(f"\n{found}")


@app.command(no_args_is_help=True)
def predict(
    model: Annotated[Path, typer.Argument(help="What `thalweg fit` wrote.")],
    table: TablePath,
    output: Annotated[File, output("A .csv or .parquet file.")] = None,
    no_header: NoHeader = False,
) -> None:
    """Predict each row of a table with a model that `thalweg fit` wrote.

    Writes a table of one prediction a row, and the probability of each class, as CSV
    to standard output or to a file. Columns may stand in any order.

    For example:

    - `thalweg predict flowers.thalweg new.csv`

    - `thalweg predict houses.thalweg new.csv --output prices.parquet`
    """
    from thalweg.core import Run
    from thalweg.estimators import load
    from thalweg.io import read_table, write_table

    prepare(output)
    fitted = load(model)
    if isinstance(fitted, Run):
        raise ValueError(
            f"{model} holds the run of a network, which knows nothing of tables. Use "
            "it from Python: thalweg.predict(thalweg.load(path), X)."
        )
    frame = read_table(table, header=not no_header)
    predictions = _predictions(fitted, frame)
    known = {column.name for column in fitted.columns_}
    unknown = [name for name in frame.columns if name not in known]
    if unknown:
        print(f"Not used: {', '.join(unknown)}.", file=sys.stderr)
    write_table(predictions, output or sys.stdout)


@app.command(no_args_is_help=True)
def diagnose(
    table: TablePath,
    target: Target,
    model: Annotated[
        File, option("What `thalweg fit` wrote; or data alone.", of="FILE")
    ] = None,
    trials: Annotated[bool, option("Whether remedies are tried.")] = True,
    budget: Annotated[float, option("Seconds for trials.")] = 60.0,
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
    from thalweg.diagnosis import diagnose
    from thalweg.estimators import is_missing, load

    prepare(output)
    X, y = read_columns(table, no_header, target, ignore)
    known = ~is_missing(y)
    given = (model and load(model), X[known], y[known])
    found = diagnose(*given, trials=trials, budget=budget)
    _console().print(str(found))
    _hand_over(found, output)


@app.command(no_args_is_help=True)
def compare(
    table: TablePath,
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    target: Target = "",
    optimizers: Annotated[
        Names, option(f"[default: {' '.join(_COMPARED)}]", "--optimizers", of="NAME...")
    ] = None,
    task: Task = "auto",
    hidden: Hidden = "100",
    epochs: Annotated[int, option("Or iterations.")] = 20,
    seeds: Annotated[int, option("Networks of each optimizer.")] = 5,
    by: Annotated[
        Literal["score", "loss", "training loss"],
        option("score, loss or 'training loss'.", of="METRIC"),
    ] = "score",
    output: FiguresPath = None,
    plot: Annotated[File, option("The curves, as PNG, SVG or PDF.", of="FILE")] = None,
    no_header: NoHeader = False,
    ignore: Ignore = None,
) -> None:
    """Train the same network with several optimizers, and say which is better.

    All meet the same rows in the same order from the same weights; one row of five is
    held out to score them. Differences are judged over the seeds.

    For example:

    - `thalweg compare flowers.csv --target species --optimizers sgd adam lbfgs`

    - `thalweg compare houses.csv -t price --seeds 10 --plot curves.png`
    """
    from thalweg.comparison import compare as train_and_compare

    if not target:
        raise ValueError("--target is missing. Name the column to predict.")
    prepare(output, plot)
    inputs, answers = as_numbers(*read_columns(table, no_header, target, ignore), task)
    names = [*(optimizers or ([] if more else _COMPARED)), *(more or [])]
    found = train_and_compare(
        [name for part in names for name in part.split(",") if name],
        inputs,
        answers,
        hidden=widths(hidden),
        epochs=epochs,
        seeds=seeds,
        by=by,
    )
    _console().print(str(found), soft_wrap=True)
    _hand_over(found, output, plot)


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
    trials: Annotated[int, option("Settings to try, at most.")] = 100,
    time: Annotated[
        str | None, option("To search for, such as 90s, 10m or 2h.")
    ] = None,
    storage: Annotated[
        File, option("A .db or .journal file to go on from, if broken off.")
    ] = None,
    sampler: Annotated[str, option("tpe, random or cmaes.")] = "tpe",
    pruner: Annotated[str, option("median, halving, hyperband or none.")] = "median",
    output: ModelPath = None,
    trace: Annotated[File, option("All trials.", "--json", of="FILE")] = None,
    plot: Annotated[File, option("The course, as PNG or SVG.", of="FILE")] = None,
    no_header: NoHeader = False,
    ignore: Ignore = None,
    seed: Seed = 0,
) -> None:
    """Search for the best network for a table, and train it.

    Widths, activation, optimizer, rate, schedule, batches, dropout and penalties are
    tried; hopeless networks are given up early. One row of five is held out from the
    search, to measure the result. Ctrl-C ends it with the best so far.

    For example:

    - `thalweg search flowers.csv --target species --trials 50`

    - `thalweg search houses.csv -t price --time 10m --storage study.db`
    """
    from thalweg.cli import live_table
    from thalweg.tuning import PRUNERS

    prepare(output, trace, plot)
    X, y = read_columns(table, no_header, target, ignore)
    model, _, known = _choose(table, task, X, y)
    found = live_table.search_table(
        _console(),
        model.set_params(random_state=seed),
        X[known],
        y[known],
        trials=trials,
        timeout=live_table.seconds(time),
        storage=storage,
        sampler=live_table.choice("--sampler", sampler, ("tpe", "random", "cmaes")),
        pruner=live_table.choice("--pruner", pruner, (*PRUNERS, "none")),
        random_state=seed,
    )
    _console().print(f"\n{found}", soft_wrap=True)
    _hand_over(found, trace, plot)
    best = found.best_estimator
    evaluation, output = _train(best, X, y, table, output)
    _show_result(best, evaluation, best.score(X[known], y[known]), output, None)


def _console() -> Console:
    return Console(highlight=False, markup=False, emoji=False)


def _choose(
    table: Path, task: str, X: "Frame", y: "Series"
) -> tuple["Classifier | Regressor", str, "Series"]:
    """Choose a model, say what was seen; return it, why it, and what rows to use."""
    from thalweg.estimators import as_frame, is_missing, study

    known = ~is_missing(y)
    model, why = choose(task, y)
    _show_table(table, int(known.sum()), study(as_frame(X)), y, why)
    return model, why, known


def _train(
    model: "Classifier | Regressor", X: "Frame", y: "Series", table: Path, output: File,
    *, closely: bool = False,
) -> tuple["Evaluation", Path]:  # fmt: skip
    """Train, measure and save a model; return what was measured, and the file."""
    from thalweg.estimators import evaluate

    with _watch(model) as announce:
        evaluation = evaluate(model, X, y, announce, closely=closely)
    output = output or Path(table.name.split(".")[0] + ".thalweg")
    model.save(output)
    return evaluation, output


def _hand_over(found: Any, output: File, plot: File = None) -> None:
    """Write all figures as JSON, and draw them, where asked to."""
    if output:
        output.write_text(json.dumps(found.to_json()))
    if plot:
        from thalweg import plots

        figure, axes = plots.new_figure()
        found.plot(ax=axes[0, 0])
        figure.savefig(plot)


@contextmanager
def _watch(model: "Classifier | Regressor") -> Iterator[Callable[[str], None]]:
    """Show each epoch in a live line, on a terminal only.

    Gives the function that announces the next network.
    """
    console = _console()
    columns = (BarColumn(6), TextColumn("{task.description}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        bar = progress.add_task("preparing", total=None)
        which = [""]

        def announce(network: str) -> None:
            which[0] = network
            progress.reset(bar, description=network)

        def show(epoch: "EpochRecord") -> None:
            line = f"{which[0]}  {_live(epoch)}"
            progress.update(bar, completed=epoch.epoch, description=line)

        model.set_params(callbacks=(show,) if console.is_terminal else ())
        yield announce
        model.set_params(callbacks=())


def _live(epoch: "EpochRecord") -> str:
    validated = not math.isnan(epoch.validation_score)
    score = f"score {epoch.validation_score:.3f}  " if validated else ""
    return (
        f"epoch {epoch.epoch}  loss {epoch.loss:.4f}  {score}"
        f"gradient {epoch.gradient_norm:.2g}  rate {epoch.rate:.2g}"
    )


def _show_table(
    path: Path, n_rows: int, columns: "Sequence[Column]", y: "Series", why: str
) -> None:
    """Say what was seen in the table."""
    console = _console()
    left = f" ({len(y) - n_rows} more have no target)" if n_rows < len(y) else ""
    console.print(f"{path.name}: {n_rows} rows{left}, {len(columns)} columns")
    console.print(f"Target {y.name}: {why}")
    width = min(24, max(6, *(len(column.name) for column in columns)))
    console.print(f"\n{'column':{width}}  {'holds':8}  missing  what", style="bold")
    for column in columns[:_MOST_SHOWN]:
        name = _crop(column.name, width)
        line = f"{name:{width}}  {column.kind:8}  {column.missing:7}  {column.detail}"
        console.print(_crop(line, console.width))
    kinds = Counter(column.kind for column in columns[_MOST_SHOWN:])
    if kinds:
        rest = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        console.print(f"and {kinds.total()} more: {rest}")


def _show_result(
    model: "Classifier | Regressor", evaluation: "Evaluation", fitted: float,
    output: Path, report: Path | None,
) -> None:  # fmt: skip
    """Say what was trained, how good it is, why it stopped and where it went."""
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
        "Whole table": f"{evaluation.metric} {fitted:.3f}, rows trained on included",
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
