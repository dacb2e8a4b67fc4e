"""Columns of dates.

A date becomes a number of days, encoded as numbers are, and the sines and cosines of
the year, the week and the day.
"""

from dataclasses import replace

import numpy as np

from thalweg.core import Array, Features, Series
from thalweg.estimators.tabular.columns.column import Column
from thalweg.estimators.tabular.columns.scale import fill, measure, spread
from thalweg.estimators.tabular.columns.values import check_read, texts

DATE_FORMATS = (
    "ISO8601", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y",
    "%d-%m-%Y", "%m-%d-%Y", "%d-%b-%Y", "%d %b %Y", "%d %B %Y", "%B %d, %Y",
    "%b %d, %Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S",
)  # fmt: skip
"""The formats of dates that are recognized: the first that fits the whole column."""

_PERIODS = (365.2425, 7.0, 1.0)  # days


def study(name: str, values: Series) -> Column:
    """Learn how to encode a column of dates."""
    layout = find_layout(texts(values).dropna()) if _is_text(values) else ""
    days = as_days(name, layout, values)
    return replace(measure(name, "date", days, as_day), layout=layout)


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of dates."""
    days = as_days(column.name, column.layout, values)
    angles = [2 * np.pi * days / period for period in _PERIODS]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return [*spread(column, days), *fill(days, waves, mark=False)]


def as_days(name: str, layout: str, values: Series) -> Array:
    """Return days since 1970, NaN where the date is missing."""
    import pandas as pd

    known = texts(values) if _is_text(values) else values
    moments = _moments(known, layout)
    check_read(name, f"dates like {_example(layout)}", known, moments.isna())
    since = moments - pd.Timestamp(0, tz="UTC")
    return (since / pd.Timedelta(days=1)).to_numpy(float)


def as_day(days: float) -> str:
    """Return a number of days since 1970 as the text of a date."""
    import pandas as pd

    return str((pd.Timestamp(0) + pd.Timedelta(days=days)).date())


def find_layout(distinct: Series) -> str:
    """Return the first of `DATE_FORMATS` that fits every text, or ""."""
    for layout in DATE_FORMATS:
        fits = (
            _moments(part, layout).notna().all() for part in (distinct[:9], distinct)
        )
        if len(distinct) and all(fits):
            return layout
    return ""


def _moments(values: Series, layout: str) -> Series:
    import pandas as pd

    return pd.to_datetime(values, format=layout or None, errors="coerce", utc=True)


def _example(layout: str) -> str:
    import pandas as pd

    shown = "%Y-%m-%d" if layout in ("", "ISO8601") else layout
    return pd.Timestamp(2024, 12, 31, 23, 59).strftime(shown)


def _is_text(values: Series) -> bool:
    return values.dtype.kind != "M"
