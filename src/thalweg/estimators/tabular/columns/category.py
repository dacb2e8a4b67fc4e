"""Columns of categories, which are one-hot encoded.

Rare categories share one column. Where there are many of them with several rows each,
two hashes of a category choose two more columns among some that all of them share
(Svenstrup et al., 2017): two categories seldom share both. A category that was not seen
at fit has zeros everywhere, or the columns of its hashes.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from thalweg.core import Array, Features, OneHot, Series
from thalweg.estimators.tabular.columns.column import ASKED, Column
from thalweg.estimators.tabular.columns.values import (
    MISSING,
    lower,
    plain,
    raw_texts,
    write,
)

MOST_CATEGORIES = 50
"""The most categories of one column that are encoded separately; others share one."""

_BUCKETS = 64  # columns of one hash
_ROWS_A_BUCKET = 4  # rows of a rare category on average, at least
_LONGEST = 40  # characters of a category that a description shows
_WHOLE = re.compile(r"([-+]?(?:0|[1-9][0-9]*))\.0+")


def study(draft: Column, values: Series) -> Column:
    """Learn how to encode a column of categories."""
    import pandas as pd

    codes, distinct = pd.factorize(raw_texts(plain(values)))  # -1 for a missing value
    words, n_rows = pd.Series(distinct, dtype=object), len(codes)
    n_uses = np.bincount(codes + 1, minlength=len(words) + 1)
    empty = n_uses[0] + n_uses[1:][np.asarray(words == "", bool)].sum()
    named = _named(words, n_uses[1:], empty, draft.absent)
    gone = _is_absent(words, draft.absent, named)
    counts = dict(zip(words[~gone], n_uses[1:][~gone].tolist(), strict=True))
    least = np.clip(n_rows // 100, 1, 10)
    known = sorted(counts, key=lambda value: (-counts[value], value))
    kept = tuple(value for value in known[:MOST_CATEGORIES] if counts[value] >= least)
    shown = ", ".join(map(_crop, known[:20]))
    missing, detail = n_rows - sum(counts.values()), f"{len(known)}: {shown}"
    rare = known[len(kept) :]
    n_rare = sum(counts[value] for value in rare)
    shared = len(rare) > _BUCKETS // 2 and n_rare >= _ROWS_A_BUCKET * len(rare)
    facts = {
        "categories": kept,
        "others": len(rare) > 0,
        "buckets": _BUCKETS if shared else 0,
    }
    column = replace(draft, missing=missing, detail=detail, **facts)
    if len(known) == 1 and not column.missing:
        return column.leave_out(f"{_crop(known[0])!r} in each row")
    unique = not kept or (len(known) == sum(counts.values()) and len(known) > 1)
    if unique and known and not (kept and draft.detail == ASKED):
        why = "almost every value is unique"
        return column.leave_out(f"{why}; {draft.detail}" if draft.detail else why)
    if named:
        words = ", ".join(map(repr, named))
        column = column.describe(f"{words} is a category, as other fields are empty")
    return column.describe(draft.detail)


def encode(column: Column, values: Series) -> list[Features]:
    """Encode a column of categories."""
    import pandas as pd

    codes, distinct = pd.factorize(raw_texts(plain(values)))  # -1 for a missing value
    slots = {_key(value): slot for slot, value in enumerate(column.categories)}
    n_slots = len(slots) + column.others + (column.missing > 0)
    rest = len(slots) if column.others else n_slots
    absent = n_slots - 1 if column.missing else n_slots
    found = pd.Series(distinct, dtype=object)
    missing = _is_absent(found, column.absent, column.categories)
    places = [
        absent if gone else slots.get(_key(value), rest)
        for value, gone in zip(found, missing, strict=True)
    ]
    slot = OneHot(np.array([*places, absent], int)[codes], n_slots)
    if not column.buckets:
        return [slot]
    [
        _key(value) if not gone and place == rest else None
        for value, gone, place in zip(found, missing, places, strict=True)
    ]
    hashes = [
        zlib.crc32(_key(value).encode("utf-8", "replace"))
        if not gone and place == rest
        else None
        for value, gone, place in zip(found, missing, places, strict=True)
    ]
    return [slot, *(_bucket(hashes, codes, column.buckets, way) for way in (0, 1))]


def _bucket(hashes: Sequence[int | None], codes: Array, n: int, way: int) -> OneHot:
    """Encode rare categories by one of `n` columns; None has zeros everywhere."""
    places = [n if value is None else value // n**way % n for value in hashes]
    return OneHot(np.array([*places, n], int)[codes], n)


def _key(text: str) -> str:
    """Return what is equal for texts of one value: "1.0" and "1", "True" and "true"."""
    whole = _WHOLE.fullmatch(text)
    if whole:
        return whole[1]
    return text.lower() if text.lower() in ("true", "false") else text


def _is_absent(
    text: Series, absent: Sequence[str] | None, kept: Sequence[str]
) -> Array:
    """Tell which texts are missing, but for those in `kept`."""
    words = (
        MISSING if absent is None else ("", *(write(word).lower() for word in absent))
    )
    gone = text.isna() | lower(text).isin(words)
    return np.asarray(gone & ~text.isin(kept))


def _named(
    words: Series, n_uses: Array, empty: int, absent: Sequence[str] | None
) -> tuple[str, ...]:
    """Return "None" if it is a category, as the fields that are missing are empty."""
    if absent is not None or not empty or not len(words):
        return ()
    named = np.asarray(lower(words) == "none", bool)
    return tuple(sorted(words[named])) if n_uses[named].sum() > 1 else ()


def _crop(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
