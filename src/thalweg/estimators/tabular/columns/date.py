"""Columns of dates, and of times of the day.

A date becomes a number of days, encoded as numbers are, and the sines and cosines of
the year, the week and the day. A time of the day has only those of the day.

The layout of a column of texts is found from the form of one text, which leaves a few
formats; the first that fits the whole column is taken. Whether the day or the month
stands first is decided so too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from thalweg.core import Array, Features, Series
from thalweg.estimators.tabular.columns.column import Column, Draft
from thalweg.estimators.tabular.columns.number import without_marks
from thalweg.estimators.tabular.columns.scale import fill, measure, spread
from thalweg.estimators.tabular.columns.values import check_read, plain

_PERIODS = (365.2425, 7.0, 1.0)  # days

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*"
_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*"
_COMPACT_NAMES = re.compile(r"(?i)(date|day|datum|ymd|dt)s?$|^(date|day|dt)")
_MONTH_NAMES = re.compile(r"(?i)(month|yyyymm|period)")


class _Form(NamedTuple):
    """What texts of some dates look like, and the formats that they may have."""

    pattern: re.Pattern[str]
    formats: tuple[str, ...]


def _form(pattern: str, *formats: str) -> _Form:
    return _Form(re.compile(pattern, re.IGNORECASE), formats)


_DATES = (
    _form(r"\d{4}-?Q[1-4]", "%YQ%q", "%Y-Q%q"),
    _form(r"\d{4} Q[1-4]", "%Y Q%q"),
    _form(r"Q[1-4] \d{4}", "Q%q %Y"),
    _form(r"Q[1-4][-/]\d{4}", "Q%q-%Y", "Q%q/%Y"),
    _form(r"\d{4}-?W\d{2}", "%G-W%V", "%GW%V"),
    _form(r"\d{4}-?W\d{2}-?[1-7]", "%G-W%V-%u", "%GW%V%u"),
    _form(r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    _form(r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    _form(r"\d{4}/\d{1,2}", "%Y/%m"),
    _form(r"\d{1,2}/\d{4}", "%m/%Y"),
    _form(r"\d{1,2}-\d{4}", "%m-%Y"),
    _form(r"\d{1,2}/\d{1,2}/\d{4}", "%m/%d/%Y", "%d/%m/%Y"),
    _form(r"\d{1,2}/\d{1,2}/\d{2}", "%m/%d/%y", "%d/%m/%y", "%y/%m/%d"),
    _form(r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y", "%m.%d.%Y"),
    _form(r"\d{1,2}\.\d{1,2}\.\d{2}", "%d.%m.%y", "%m.%d.%y"),
    _form(r"\d{1,2}-\d{1,2}-\d{4}", "%d-%m-%Y", "%m-%d-%Y"),
    _form(r"\d{1,2}-\d{1,2}-\d{2}", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d"),
    _form(rf"\d{{1,2}}-{_MONTH}-\d{{4}}", "%d-%b-%Y", "%d-%B-%Y"),
    _form(rf"\d{{1,2}}-{_MONTH}-\d{{2}}", "%d-%b-%y"),
    _form(rf"\d{{1,2}}/{_MONTH}/\d{{4}}", "%d/%b/%Y"),
    _form(rf"\d{{1,2}}{_MONTH}\d{{4}}", "%d%b%Y"),
    _form(rf"\d{{1,2}} {_MONTH} \d{{4}}", "%d %b %Y", "%d %B %Y"),
    _form(rf"\d{{1,2}} {_MONTH} \d{{2}}", "%d %b %y"),
    _form(rf"\d{{1,2}}\. {_MONTH} \d{{4}}", "%d. %b %Y", "%d. %B %Y"),
    _form(rf"{_MONTH} \d{{1,2}}, \d{{4}}", "%b %d, %Y", "%B %d, %Y"),
    _form(rf"{_MONTH} \d{{1,2}} \d{{4}}", "%b %d %Y", "%B %d %Y"),
    _form(rf"{_MONTH} \d{{4}}", "%b %Y", "%B %Y"),
    _form(rf"{_MONTH}-\d{{4}}", "%b-%Y", "%B-%Y"),
    _form(rf"{_MONTH}-\d{{2}}", "%b-%y"),
    _form(rf"\d{{4}}[- ]{_MONTH}", "%Y-%b", "%Y %b", "%Y %B"),
    _form(rf"\d{{4}}-{_MONTH}-\d{{1,2}}", "%Y-%b-%d"),
    _form(rf"{_DAY},? \d{{1,2}} {_MONTH} \d{{4}}", "%a, %d %b %Y", "%a %d %b %Y",
          "%A, %d %B %Y", "%A %d %B %Y"),
    _form(rf"{_DAY},? {_MONTH} \d{{1,2}},? \d{{4}}", "%a, %b %d, %Y", "%a %b %d %Y",
          "%A, %B %d, %Y"),
)  # fmt: skip
"""Dates but for ISO 8601, which pandas knows: the month first where "/" divides."""

_TIMES = (
    _form(r"\d{1,2}:\d{2}", "%H:%M"),
    _form(r"\d{1,2}:\d{2}:\d{2}", "%H:%M:%S"),
    _form(r"\d{1,2}:\d{2}:\d{2}\.\d+", "%H:%M:%S.%f"),
    _form(r"\d{1,2}:\d{2} ?[ap]m", "%I:%M %p", "%I:%M%p"),
    _form(r"\d{1,2}:\d{2}:\d{2} ?[ap]m", "%I:%M:%S %p", "%I:%M:%S%p"),
    _form(r"\d{1,2} ?[ap]m", "%I %p", "%I%p"),
)
_TIME = re.compile(
    r"(?:^|,? |(?<=\d)T|(?<=\d{4}):)(\d{1,2}(?::\d{2}){1,2}(?:\.\d+)?(?: ?[ap]m)?"
    r"|\d{1,2} ?[ap]m)$",
    re.IGNORECASE,
)
_CTIME = _form(
    rf"{_DAY} {_MONTH} +\d{{1,2}} \d{{1,2}}:\d{{2}}:\d{{2}} \d{{4}}",
    "%a %b %d %H:%M:%S %Y",
)
_ZONE = re.compile(r"(?<=[\d mM]) ?([-+]\d{2}:?\d{2}|[A-Z]{1,5}|[A-Z][a-z]+/[A-Z]\w+)$")
_INNER_ZONE = re.compile(r"(:\d\d) ([A-Z]{3,5}) (\d{4})$")  # as `date` writes it
_OFFSETS = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "BST": 1,
    "WEST": 1, "CET": 1, "MEZ": 1, "CEST": 2, "MESZ": 2,
    "EET": 2, "EEST": 3, "MSK": 3, "IST": 5.5, "SGT": 8,
    "HKT": 8, "JST": 9, "KST": 9, "AEST": 10, "AEDT": 11,
    "NZST": 12, "NZDT": 13, "EST": -5, "EDT": -4, "CST": -6,
    "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "AKST": -9, "AKDT": -8, "HST": -10, "BRT": -3, "ART": -3,
}  # fmt: skip
"""Hours by which a zone is ahead of UTC, for the usual abbreviations."""

_ZEROS = re.compile(r"0{4}[-/.]0{2}[-/.]0{2}(?:[ T]0{2}:0{2}(?::0{2})?(?:\.0+)?)?Z?")
_SHORTEST, _LONGEST = 3, 48
_MOSTLY = 0.9  # share of dates in a column of which the others are strays
_STRAYS = 0.5  # share of strays among a few texts, at most


def recognize(
    name: str, distinct: Sequence[str], date_format: str | None = None
) -> Draft | None:
    """Find out what layout the different texts of a column have as dates.

    Returns
    -------
    dict or None
        None if they are no dates.
    """
    import pandas as pd

    first = next((text for text in distinct if not _ZEROS.fullmatch(text)), "")
    if not _may_be_date(first) or not (date_format or _has_layout(name, first)):
        return None
    known = pd.Series([text for text in distinct if not _ZEROS.fullmatch(text)],
                      dtype=object)  # fmt: skip
    if date_format and _fits(known, date_format):
        return {"kind": "date", "layout": date_format}
    fitting: list[str] = []
    for layout in _layouts(name, known):
        if _fits(known, layout):
            fitting.append(layout)
            if not _has_two_orders(layout):
                break
    if not fitting:
        return None
    doubt = fitting[1:] and _orders(known, fitting)
    return {"kind": "date", "layout": fitting[0], "detail": doubt or ""}


def _has_layout(name: str, text: str) -> bool:
    """Whether a text may be a date; digits alone may be one in some columns."""
    import pandas as pd

    if text.isdecimal():
        return len(text) in (6, 8, 14)
    return any(_layouts(name, pd.Series([text], dtype=object)))


def stray(name: str, distinct: Sequence[str]) -> str:
    """Say which text keeps a column from being one of dates; "" for other columns."""
    import pandas as pd

    likely = [
        text  # one of the first two may be the stray
        for text in distinct[:2]
        if _may_be_date(text) and _has_layout(name, text)
    ]
    if not likely:
        return ""
    known = pd.Series(list(distinct), dtype=object)
    for text in likely:
        for layout in _layouts(name, pd.Series([text, *distinct], dtype=object)):
            if np.isnan(_read(known[:9], layout)).mean() > _STRAYS:
                continue
            wrong = np.isnan(_read(known, layout))
            if 0 < wrong.mean() <= 1 - _MOSTLY:
                told = known.iloc[int(wrong.argmax())]
                return f"{told[:_LONGEST]!r} is no date like {text!r}"
    return ""


def study(draft: Column, values: Series) -> Column:
    """Learn how to encode a column of dates."""
    days = as_days(draft.name, draft.layout, values, draft.absent)
    return measure(draft, days, shower(draft.layout))


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of dates."""
    days = as_days(column.name, column.layout, values, column.absent)
    waves = [wave(2 * np.pi * days / period) for period, wave in waves_of(column)]
    return [*spread(column, days), *fill(days, waves, mark=False)]


def waves_of(column: Column) -> list[tuple[float, np.ufunc]]:
    """Return the periods in days that a column is encoded by, with sine and cosine."""
    periods = (1.0,) if _is_time(column.layout) else _PERIODS
    return [(period, wave) for period in periods for wave in (np.sin, np.cos)]


def as_days(
    name: str, layout: str, values: Series, absent: Sequence[str] | None = None
) -> Array:
    """Return days since 1970, NaN where the date is missing.

    Texts that do not have the layout are read in their own, if they all have one.
    """
    import pandas as pd

    values = plain(values)
    if values.dtype.kind == "M":
        return _days(pd.to_datetime(values, utc=True))
    known = without_marks(values, absent)
    codes, distinct = pd.factorize(known)
    texts = pd.Series(list(distinct), dtype=object)
    zeros = texts.str.fullmatch(_ZEROS.pattern) if len(texts) else texts.isna()
    found = _read(texts.mask(zeros.astype(bool)), layout or "ISO8601")
    wrong = np.isnan(found) & ~zeros.to_numpy(bool)
    if wrong.any():
        own = recognize(name, texts.tolist())
        if own and not own.get("detail"):
            found = _read(texts.mask(zeros.astype(bool)), own["layout"])
            wrong = np.isnan(found) & ~zeros.to_numpy(bool)
    unread = np.append(wrong, False)[codes]
    check_read(name, f"dates like {_example(layout)}", known, unread)
    return np.append(found, np.nan)[codes]


def shower(layout: str) -> Callable[[float], str]:
    """Return what writes days of a layout as texts."""
    return as_time if _is_time(layout) else as_day


def as_day(days: float) -> str:
    """Return a number of days since 1970 as the text of a date."""
    return str(np.datetime64(0, "D") + np.timedelta64(int(np.floor(days)), "D"))


def as_time(days: float) -> str:
    """Return a share of a day as the text of a time."""
    minutes = round(days * 1440)
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _may_be_date(text: str) -> bool:
    return _SHORTEST <= len(text) <= _LONGEST and any(c.isdigit() for c in text)


def _is_time(layout: str) -> bool:
    return layout.startswith(("%H", "%I"))


def _has_two_orders(layout: str) -> bool:
    return re.match(r"%[dm].%[dm].%[Yy]", layout) is not None


def _orders(known: Series, fitting: Sequence[str]) -> str:
    """Say that the day or the month may stand first, if it makes a difference."""
    first, second = (_read(known, layout) for layout in fitting[:2])
    differ = np.flatnonzero(first != second)
    if not len(differ):
        return ""
    row = int(differ[0])
    return (
        f"{known.iloc[row]!r} is {as_day(first[row])} by default "
        f"(date_format={fitting[1]!r} changes it)"
    )


def _layouts(name: str, known: Series) -> Iterator[str]:
    """Yield formats that the first text may have."""
    text = _normal(known.iloc[0])
    if text.isdecimal():
        yield from _compact_layouts(name, known)
        return
    if re.match(r"\d{4}-\d", text):
        yield "ISO8601"
    timed = re.search(r"\d:\d|\d ?[ap]m\b", text, re.IGNORECASE)
    zone = _ZONE.search(text) if timed else None
    if zone and (zone[1][0] in "+-" or "/" in zone[1] or zone[1] in _OFFSETS):
        text, tail = text[: zone.start()], " %z"
    else:
        tail = ""
    if tail and re.match(r"\d{4}-\d", text):
        yield "ISO8601 %z"
    if _CTIME.pattern.fullmatch(text):
        yield _CTIME.formats[0] + tail
    for days, times in _divided(text):
        if not (days and times):
            yield from (each + tail for each in (*days, *times))
            continue
        between = re.search(r"(, |T| |:)\d{1,2}(:\d\d| ?[ap]m)", text, re.IGNORECASE)
        gap = between[1] if between else " "
        yield from (f"{day}{gap}{time}{tail}" for day in days for time in times)


def _divided(text: str) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield what formats the date in a text may have, and the time behind it."""
    match = _TIME.search(text)
    times = ()
    if match:
        times = _formats(_TIMES, match[1])
        text = text[: match.start()]
    if not text:
        yield (), times
        return
    days = _formats(_DATES, text)
    if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", text):
        days = ("%Y-%m-%d",)
    if days and (times or not match):
        yield days, times


def _formats(forms: Sequence[_Form], text: str) -> tuple[str, ...]:
    return tuple(
        each for form in forms if form.pattern.fullmatch(text) for each in form.formats
    )


def _compact_layouts(name: str, known: Series) -> Iterator[str]:
    """Yield the format of dates without separators, if the column is sure to hold some.

    A number of eight digits is hardly ever a date by chance; one of six often is.
    """
    years = known.str[:4]
    recent = years.str.isdecimal() & years.between("1850", "2150")
    if not recent.all():
        return
    if (known.str.len() == 8).all() and (
        len(known) >= 3 or _COMPACT_NAMES.search(name)
    ):
        yield "%Y%m%d"
    if (known.str.len() == 6).all() and _MONTH_NAMES.search(name):
        yield "%Y%m"
    if (known.str.len() == 14).all():
        yield "%Y%m%d%H%M%S"


def _fits(known: Series, layout: str) -> bool:
    parts = (known[:9], known) if len(known) > 9 else (known,)
    return all(not np.isnan(_read(part, layout)).any() for part in parts)


def _normal(text: str) -> str:
    """Write a text in the way that formats know: "a.m." is "AM"."""
    text = re.sub(r"(?i)\b([ap])\.m\.?$", r"\1m", text.removesuffix(" Uhr"))
    text = _INNER_ZONE.sub(r"\1 \3 \2", text)
    return re.sub(r"(?i)\b(sep)t\b", r"\1", re.sub(r"\s+", " ", text))


def _read(known: Series, layout: str) -> Array:
    """Return days since 1970; NaN for a text that does not have the layout."""
    import pandas as pd

    if layout == "ISO8601":
        moments = pd.to_datetime(known, format=layout, errors="coerce", utc=True)
        return _days(moments)
    worded = re.search("%[pbBaAq]| %z$", layout)
    text = known.map(_normal, na_action="ignore") if worded else known
    zones = None
    if layout.endswith(" %z"):
        zones = text.str.extract(_ZONE, expand=False)
        text, layout = text.str.replace(_ZONE, "", regex=True), layout[:-3]
    if "%q" in layout:
        months = {"1": "01", "2": "04", "3": "07", "4": "10"}
        text = text.str.replace(
            re.compile("Q([1-4])", re.IGNORECASE),
            lambda match: f"Q{months[match[1]]}",
            regex=True,
        )
        layout = layout.replace("%q", "%m")
    if layout.endswith("%V"):  # the Monday of a week
        text, layout = text + "-1", f"{layout}-%u"
    moments = pd.to_datetime(text, format=layout, errors="coerce", utc=True)
    days = _days(moments)
    if zones is not None:
        days = days - _ahead(zones, moments)
    return days % 1 if _is_time(layout) else days


def _days(moments: Series) -> Array:
    import pandas as pd

    try:
        since = moments - pd.Timestamp(0, tz="UTC")
    except pd.errors.OutOfBoundsDatetime:  # beyond what nanoseconds can count
        since = moments - pd.Timestamp(0, tz="UTC").as_unit("us")
    return np.asarray(since / pd.Timedelta(days=1), float)


def _ahead(zones: Series, moments: Series) -> Array:
    """Return by how many days each zone is ahead of UTC; NaN for no zone."""
    ahead = np.full(len(zones), np.nan)
    for zone in zones.dropna().unique():
        rows = np.flatnonzero((zones == zone) & moments.notna())
        ahead[rows] = _hours_ahead(zone, moments.iloc[rows]) / 24
    return ahead


def _hours_ahead(zone: str, moments: Series) -> float | Array:
    import pandas as pd

    if zone in _OFFSETS:
        return _OFFSETS[zone]
    if zone[0] in "+-":
        hours = int(zone[1:3]) + int(zone[-2:]) / 60
        return -hours if zone[0] == "-" else hours
    local = moments.dt.tz_localize(None)
    try:
        there = local.dt.tz_localize(
            zone, ambiguous=np.ones(len(local), bool), nonexistent="shift_forward"
        )
    except (KeyError, ValueError):  # no zone has this name
        return np.nan
    since = moments - there.dt.tz_convert("UTC")
    return np.asarray(since / pd.Timedelta(hours=1), float)


def _example(layout: str) -> str:
    import pandas as pd

    if layout in ("", "ISO8601"):
        layout = "%Y-%m-%d"
    shown = layout.replace("ISO8601", "%Y-%m-%d %H:%M").replace("%q", "4")
    return pd.Timestamp(2024, 12, 31, 23, 59).strftime(shown.replace(" %z", " UTC"))
