"""Predictions that are written part by part, safe for spreadsheets and terminals."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thalweg.core import Frame

_TYPED = ".parquet", ".pq", ".jsonl", ".ndjson"
"""Formats in which a text is no formula."""
_FORMULA = "=+-@\t\r"
"""What a text begins with that a spreadsheet takes for a formula."""


def write_parts(
    parts: "Iterable[Frame]", output: Path | None, *, formulas: bool = False
) -> None:
    """Write parts of a table as one file, which appears when it is complete.

    Parameters
    ----------
    parts : iterable of DataFrame
    output : Path or None
        As for `thalweg.io.TableWriter`; None is CSV to standard output.
    formulas : bool
        Whether a text of a CSV may begin as a formula of a spreadsheet does.
    """
    from thalweg.io import TableWriter

    suffixes = output.suffixes if output else []
    typed = any(each.lower() in _TYPED for each in suffixes)
    terminal = output is None and sys.stdout.isatty()
    with TableWriter(output or sys.stdout) as writer:
        for part in parts:
            frame = part if formulas or typed else quote_formulas(part)
            writer.append(_printable(frame) if terminal else frame)


def quote_formulas(frame: "Frame") -> "Frame":
    """Put an apostrophe before each text that a spreadsheet would compute.

    Numbers, also those that are written as texts, stay as they are.
    """
    import pandas as pd

    changed: dict[Any, Any] = {}
    for name in frame.columns:
        values = frame[name]
        if not _holds_texts(values):
            continue
        text = values.astype("string")
        risky = text.str.startswith(tuple(_FORMULA)).fillna(False).astype(bool)
        risky &= pd.Series(pd.to_numeric(text, errors="coerce")).isna()
        if risky.any():
            changed[name] = values.astype(object).where(~risky, "'" + text)
    risky_names = [n for n in frame.columns if str(n).startswith(tuple(_FORMULA))]
    names = {name: f"'{name}" for name in risky_names}
    return frame.assign(**changed).rename(columns=names) if changed or names else frame


def _holds_texts(values: Any) -> bool:
    return values.dtype.kind in "OTUS" or hasattr(values, "cat") or (
        str(values.dtype).startswith(("str", "large_string"))
    )  # fmt: skip


def _printable(frame: "Frame") -> "Frame":
    """Show control characters as their codes: a terminal would obey them."""
    from thalweg.cli.printing import plain

    texts = [name for name in frame.columns if _holds_texts(frame[name])]
    shown = {n: frame[n].map(plain, na_action="ignore").astype(object) for n in texts}
    names = {name: plain(name) for name in frame.columns}
    return frame.assign(**shown).rename(columns=names)
