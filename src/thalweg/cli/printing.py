"""What the commands print: the columns of a table, a training, a score.

Lines begin with a title in a column of its own. Nothing that a table holds reaches the
terminal as it is: control characters are shown as their codes.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import TextWrapper
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from thalweg.core import EpochRecord, Series, Start
    from thalweg.estimators import Column, Evaluation, Metric

_MAX_COLUMNS_SHOWN = 20
_INDENT = 13
_MAX_BASELINES = 4


def console(*, stderr: bool = False) -> Console:
    """Return a console that shows texts as they are."""
    return Console(highlight=False, markup=False, emoji=False, stderr=stderr)


def plain(text: object) -> str:
    """Return a text without control characters: they are shown as their codes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def crop(text: str, width: int) -> str:
    """Return a text of at most `width` letters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def show_lines(lines: dict[str, str], *, stderr: bool = False) -> None:
    """Print texts, each behind its title and wrapped."""
    to = console(stderr=stderr)
    wrapper = TextWrapper(
        to.width, subsequent_indent=" " * _INDENT, break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip
    for title, text in lines.items():
        wrapper.initial_indent = f"{title:11}  "
        # "95 %" stays on one line.
        kept = plain(text).replace("95 %", "95\u00a0%")
        to.print(wrapper.fill(kept).replace("\u00a0", " "))


def show_table(
    path: Path, n_rows: int, columns: "Sequence[Column]", y: "Series", why: str
) -> None:
    """Print what each column of the table holds."""
    to = console()
    left = f" ({len(y) - n_rows} more have no target)" if n_rows < len(y) else ""
    to.print(plain(f"{path.name}: {n_rows} rows{left}, {len(columns)} columns"))
    to.print(plain(f"Target {y.name}: {why}"))
    width = min(24, max(6, *(len(plain(column.name)) for column in columns)))
    to.print(f"\n{'column':{width}}  {'type':8}  missing  values", style="bold")
    for column in columns[:_MAX_COLUMNS_SHOWN]:
        name = crop(plain(column.name), width)
        line = f"{name:{width}}  {column.kind:8}  {column.missing:7}  {column.detail}"
        to.print(crop(plain(line), to.width))
    kinds = Counter(column.kind for column in columns[_MAX_COLUMNS_SHOWN:])
    if kinds:
        rest = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        to.print(f"and {kinds.total()} more: {rest}")


def score_lines(evaluation: "Evaluation") -> dict[str, str]:
    """Return the score, the baselines and all that belongs to them, by their titles."""
    first, *others = evaluation.metrics
    lines = {
        "Score": f"{shown(first)} on {evaluation.n_rows} rows, {evaluation.method}",
        "Baselines": f"{_baselines(evaluation)} on the same rows",
    }
    if evaluation.verdict:
        lines = {"Verdict": evaluation.verdict, **lines}
    if others:
        lines["More"] = ", ".join(map(shown, others))
    if evaluation.threshold is not None:
        lines["Threshold"] = (
            f"{evaluation.positive} is predicted where its probability is at least "
            f"{evaluation.threshold:.4g}"
        )
    if evaluation.class_weight:
        lines["Weights"] = f"of the classes: {evaluation.class_weight}"
    if evaluation.notes:
        lines["Note"] = " ".join(evaluation.notes)
    return lines


def shown(metric: "Metric") -> str:
    """Return a metric, its value and its interval as a text."""
    low, high = metric.interval
    note = f", {metric.note}" if metric.note else ""
    values = [_number(each) for each in (metric.value, low, high)]
    return f"{metric.label} {values[0]} (95 %: {values[1]} to {values[2]}{note})"


def _baselines(evaluation: "Evaluation") -> str:
    sign = 1 if evaluation.metrics[0].greater_is_better else -1
    pairs = list(evaluation.baselines.items())[:_MAX_BASELINES]
    return ", ".join(f"{name} {_number(sign * value)}" for name, value in pairs)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.6g}"


@contextmanager
def live_line(
    model: Any, callbacks: Sequence[Any] = ()
) -> Iterator[Callable[[str], None]]:
    """Show each epoch in one line that changes; only on a terminal.

    Yields a function to call with the name of each network before it is trained. The
    callbacks watch the model meanwhile, too.
    """
    to = console()
    shows = to.is_terminal and not to.is_dumb_terminal
    columns = (
        BarColumn(6), TextColumn("{task.description}"),
        TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Progress(*columns, console=to, transient=True, disable=not shows) as progress:
        bar = progress.add_task("preparing data", total=None)
        current = ""

        def announce(network: str) -> None:
            nonlocal current
            current = network
            progress.reset(bar, description=network, total=None)

        class Show:
            """Shows each epoch."""

            def begin(self, start: "Start") -> None:
                progress.update(bar, total=start.total, completed=0)

            def __call__(self, epoch: "EpochRecord") -> None:
                line = f"{current}  {_describe_epoch(epoch, progress.tasks[0].total)}"
                progress.update(bar, completed=epoch.epoch, description=line)

        if "callbacks" in model.get_params():
            shown = (Show(),) if shows else ()
            model.set_params(callbacks=(*callbacks, *shown))
        yield announce
        if "callbacks" in model.get_params():
            model.set_params(callbacks=())


def _describe_epoch(epoch: "EpochRecord", total: float | None) -> str:
    validated = not math.isnan(epoch.validation_score)
    score = f"score {epoch.validation_score:.3f}  " if validated else ""
    of = f"/{total:g}" if total else ""
    return (
        f"epoch {epoch.epoch}{of}  loss {epoch.loss:.4f}  {score}"
        f"gradient {epoch.gradient_norm:.2g}  rate {epoch.rate:.2g}"
    )


def warn(text: str) -> None:
    """Print a sentence to standard error."""
    print(plain(text), file=sys.stderr)


def plain_lines(text: str) -> str:
    """Return lines without control characters."""
    return "\n".join(map(plain, text.split("\n")))
