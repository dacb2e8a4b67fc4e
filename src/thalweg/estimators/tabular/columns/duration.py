"""Durations as texts: "1:23:45", "2 days 03:04:05", "PT1H30M", "1h 30m"."""

import re
from collections.abc import Sequence

import numpy as np

from thalweg.core import Array, Series

_CLOCK = re.compile(
    r"-?(?:[0-9]+ ?(?:days?|d),? ?[-+]?)?(?:[0-9]+:)?[0-9]{1,}:[0-9]{2}(?:[.,][0-9]+)?"
)
_ISO = re.compile(
    r"-?P(?=.)(?:[0-9.]+W)?(?:[0-9.]+D)?(?:T(?=.)(?:[0-9.]+H)?(?:[0-9.]+M)?(?:[0-9.]+S)?)?"
)
_UNIT = r"(?:d|days?|h|hrs?|hours?|m|mins?|minutes?|s|secs?|seconds?|ms)"
_WORDS = re.compile(rf"-?(?:[0-9]+(?:\.[0-9]+)? ?{_UNIT}\b\.?,? ?(?:and )?)+|"
                    rf"(?:[0-9]+{_UNIT})+")  # fmt: skip
_LENGTHS = re.compile(
    r"(?i)(duration|elapsed|laps?|runtime|run_time|pace|length|split)"
)


def recognize(name: str, distinct: Sequence[str]) -> bool:
    """Tell whether the different texts of a column are durations.

    "1:23:45" is one where the hours have no leading zero or exceed a day, while
    "08:30:00" is a time of the day.
    """
    if not distinct:
        return False
    first = distinct[0]
    for form in (_CLOCK, _ISO, _WORDS):
        if form.fullmatch(first) and all(map(form.fullmatch, distinct)):
            return form is not _CLOCK or _are_lengths(name, distinct)
    return False


def _are_lengths(name: str, distinct: Sequence[str]) -> bool:
    plain = [text for text in distinct if re.fullmatch(r"[0-9]+(:[0-9]{2}){1,2}", text)]
    if len(plain) < len(distinct) or _LENGTHS.search(name):
        return True
    hours = [text.split(":")[0] for text in distinct]
    if max(map(int, hours)) > 23:
        # Else they are scores, such as 89:102.
        return all(int(part) < 60 for text in distinct for part in text.split(":")[1:])
    seconds = all(text.count(":") == 2 for text in distinct)
    padded = any(len(hour) == 2 and hour[0] == "0" for hour in hours)
    if not seconds:
        return False
    return max(map(int, hours)) < 10 if padded else any(len(h) == 1 for h in hours)


def read(known: Series) -> Array:
    """Read texts as seconds, NaN for what is no duration."""
    import pandas as pd

    # pandas reads hours, minutes and seconds, and not minutes and seconds alone.
    text = known.str.replace(",", ".", regex=False)
    text = text.str.replace(r"(days?)\.", r"\1", regex=True)
    text = text.str.replace(
        r"^(-?)([0-9]+:[0-9]{2}(?:\.[0-9]+)?)$", r"\g<1>0:\2", regex=True
    )
    text = text.str.replace(r"\band\b", "", regex=True)
    return seconds(pd.to_timedelta(text, errors="coerce"))


def seconds(values: Series) -> Array:
    """Return durations as seconds."""
    import pandas as pd

    return np.asarray(values / pd.Timedelta(seconds=1), float)
