"""Tables as JSON: one record a line (JSON lines), or one array of records."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from thalweg.core import Frame
from thalweg.io.tables.cells import to_series
from thalweg.io.tables.source import Source

_ROWS = 10_000


def is_json(start: str, suffix: str) -> bool:
    """Whether a text is a table of JSON, from its first characters."""
    text = start.lstrip("\ufeff \t\r\n")
    if not text.startswith(("{", "[")):
        return suffix in (".json", ".jsonl", ".ndjson") and bool(text)
    if suffix in (".json", ".jsonl", ".ndjson"):
        return True
    try:
        json.loads(text.split("\n", 1)[0])
        return True
    except (ValueError, RecursionError):
        return text[1:].lstrip().startswith(("{", '"')) and "\n" in text[:4]


def read_json(source: Source, blocks: Iterator[str]) -> Iterator[Frame]:
    """Yield records as frames; a key that a record lacks is missing in its row.

    The types are those of JSON. A frame has the keys of all records up to its last.

    Raises
    ------
    ValueError
        If a record is no JSON or no object, or a value is nested. The message names the
        line, or the number of the record in an array.
    """
    keys: dict[str, None] = {}
    records: list[dict[str, Any]] = []
    count = 0
    for where, value in _values(source.name, blocks):
        record = _checked(source.name, where, value)
        keys |= dict.fromkeys(record)
        records.append(record)
        count += 1
        if len(records) == _ROWS:
            yield _frame(keys, records)
            records = []
    if not count or not keys:
        raise ValueError(f"{source.name} is empty. Give a table with at least one row.")
    if records:
        yield _frame(keys, records)


def _frame(keys: Iterable[str], records: list[dict[str, Any]]) -> Frame:
    import pandas as pd

    values = {key: [record.get(key) for record in records] for key in keys}
    return pd.DataFrame({key: to_series(each) for key, each in values.items()})


def _values(name: str, blocks: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Yield each value of JSON, with where it stands."""
    first = ""
    for block in blocks:
        first += block
        if first.strip():
            break
    blocks = chain([first.removeprefix("\ufeff")], blocks)
    if first.lstrip("\ufeff \t\r\n").startswith("["):
        array = _parse(name, "the file", "".join(blocks))
        yield from ((f"record {i}", value) for i, value in enumerate(array, 1))
        return
    number, rest = 0, ""
    for block in chain(blocks, ["\n"]):
        lines = (rest + block).split("\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            if line.strip():
                yield f"line {number}", _parse(name, f"line {number}", line)


def _parse(name: str, where: str, text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except _Twice as error:
        raise ValueError(
            f"{name}: {where} has a record with two values of {error.args[0]!r}. "
            "Remove one."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{name} is no table of JSON: {where} cannot be read ({error}). Write one "
            "record of names and values in each line, or one array of records."
        ) from error


class _Twice(Exception):
    """A key that an object has twice."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        raise _Twice(next(k for k, _ in pairs if k in seen or seen.add(k)))
    return found


def _checked(name: str, where: str, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise ValueError(
            f"{name}: {where} is no record but {str(record)[:40]!r}. A record is "
            'written as {"name": value, ...}.'
        )
    for key, value in record.items():
        if isinstance(value, (dict, list)):
            kind = "a list" if isinstance(value, list) else "a record"
            raise ValueError(
                f"{name}: the value of {key!r} in {where} is {kind}, which is no cell "
                "of a table. Write its parts as values of their own, or remove it."
            )
        if isinstance(value, str):
            record[key] = value.strip()
    return record
