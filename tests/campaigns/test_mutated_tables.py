"""Files of every format, damaged at random: a table, or an error with a sentence.

`pytest -m slow` reads thousands of them. The sample without the marker is drawn with
the same function, so that a number names a file in both.
"""

import bz2
import gzip
import io
import json
import lzma
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest

from thalweg.io import iter_table, read_table

SAMPLE, ALL = 400, 5_000


def test_a_sample_of_mutated_tables(tmp_path: Path):
    read_mutated(tmp_path, range(SAMPLE))


@pytest.mark.slow
def test_many_mutated_tables(tmp_path: Path):
    read_mutated(tmp_path, range(SAMPLE, ALL))


def read_mutated(folder: Path, numbers: range) -> None:
    """Read each file whole and by parts; any warning is an error."""
    tables = 0
    for number in numbers:
        rng = np.random.default_rng(number)
        name, data = originals()[number % len(originals())]
        for _ in range(rng.integers(1, 4)):
            data = MUTATIONS[rng.integers(len(MUTATIONS))](data, rng)
        path = folder / f"t{Path(name).suffix}"
        path.write_bytes(data)
        header = bool(rng.integers(4))
        try:
            whole = read_table(path, header=header)
            tables += 1
        except (ValueError, OSError) as error:
            said = str(error)
            # A sentence that names the file, begins low and ends with a period.
            assert str(path) in said, (number, name, said)
            assert said.rstrip().endswith("."), (number, name, said)
            whole = None
        except BaseException as error:
            raise AssertionError(f"mutation {number} of {name}") from error
        try:
            parts = list(iter_table(path, rows=5, header=header))
        except (ValueError, OSError):
            assert whole is None, (number, name)
            continue
        assert whole is not None, (number, name)
        assert sum(map(len, parts)) == len(whole), (number, name)
    assert 0.1 < tables / len(numbers) < 0.9


@cache
def originals() -> tuple[tuple[str, bytes], ...]:
    """Return a small table in every format that is read."""
    frame = pd.DataFrame(
        {
            "größe": [1.5, 2.25, None, 4.0] * 6,
            "name": ['a "b"', "c, d", "e\nf", "g;h"] * 6,
            "when": pd.date_range("2024-01-01", periods=24),
            "count": range(24),
        }
    )
    plain = frame.assign(name=["ab", "cd", "ef", "gh"] * 6)
    comma = frame.to_csv(index=False).encode()
    records = str(frame.to_json(orient="records", lines=True, date_format="iso"))
    array = str(frame.to_json(orient="records", date_format="iso"))
    files = {
        "comma.csv": comma,
        "semicolon.csv": frame.to_csv(sep=";", decimal=",", index=False).encode(),
        "index.tsv": frame.to_csv(sep="\t").encode("utf-16"),
        "blanks.txt": plain.drop(columns="größe").to_string(index=False).encode(),
        "latin.csv": plain.to_csv(index=False).encode("cp1252"),
        "backslash.csv": frame.to_csv(
            index=False, doublequote=False, escapechar="\\"
        ).encode(),
        "one.csv": plain[["name"]].to_csv(index=False).encode(),
        "lines.jsonl": records.encode(),
        "array.json": json.dumps(json.loads(array), indent=1).encode(),
        "t.csv.gz": gzip.compress(comma, mtime=0),
        "t.csv.bz2": bz2.compress(comma),
        "t.csv.xz": lzma.compress(comma),
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("t.csv"), comma)
    files["t.zip"] = packed.getvalue()
    for name, write in (
        ("t.parquet", frame.to_parquet),
        ("t.feather", frame.to_feather),
        ("t.xlsx", lambda file: frame.to_excel(file, index=False)),
    ):
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            write(file)
        files[name] = file.getvalue()
    return tuple(files.items())


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: rng.integers(len(data) + 1)]


def cut_start(data: bytes, rng: np.random.Generator) -> bytes:
    return data[rng.integers(len(data) + 1) :]


def flip(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        if changed:
            changed[rng.integers(len(changed))] ^= 1 << rng.integers(8)
    return bytes(changed)


def insert(data: bytes, rng: np.random.Generator) -> bytes:
    pieces = (
        b",", b";", b"\t", b'"', b"\\", b"\0", b"\n", b"\r", b"\n\n", b" ", b"#",
        b"\xff", b"\xef\xbb\xbf", b"sep=;\n", b"{", b"]", b"'", b"\xc3", b"\x80", b'""',
        b"\x1a",
    )  # fmt: skip
    for _ in range(rng.integers(1, 4)):
        at = rng.integers(len(data) + 1)
        data = data[:at] + pieces[rng.integers(len(pieces))] + data[at:]
    return data


def remove(data: bytes, rng: np.random.Generator) -> bytes:
    at, length = rng.integers(len(data) + 1), rng.integers(1, 20)
    return data[:at] + data[at + length :]


def repeat(data: bytes, rng: np.random.Generator) -> bytes:
    at, length = rng.integers(len(data) + 1), rng.integers(1, 200)
    return data[: at + length] + data[at:]


def pad(data: bytes, rng: np.random.Generator) -> bytes:
    return data + b"\0" * int(rng.integers(1, 300))


def noise(data: bytes, rng: np.random.Generator) -> bytes:
    at = rng.integers(len(data) + 1)
    return data[:at] + rng.bytes(int(rng.integers(1, 40))) + data[at:]


Mutation = Callable[[bytes, np.random.Generator], bytes]
MUTATIONS: tuple[Mutation, ...] = (
    cut, cut_start, flip, insert, insert, remove, repeat, pad, noise,
)  # fmt: skip
