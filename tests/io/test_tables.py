"""Tables in files: what each format, and each trouble in it, becomes.

`tests/tables/files` holds small files of text, one a kind of trouble, and
`tests/tables/files.json` says what each becomes.
"""

import bz2
import gzip
import io
import json
import lzma
import math
import sys
import zipfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest

from thalweg.io import TableWriter, iter_table, read_table
from thalweg.io.tables import source

FILES = Path(__file__).parents[1] / "tables" / "files"
EXPECTED = json.loads((FILES.parent / "files.json").read_text(encoding="utf-8"))
PLAIN = b"a,b\n1,x\n2,y\n"
READ = {"a": ["1", "2"], "b": ["x", "y"]}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def plain(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Return the columns of a frame, None where a value is missing."""
    return {
        name: [None if value is pd.NA or value != value else value for value in values]
        for name, values in frame.to_dict("list").items()
    }


# Text


def test_every_file_is_expected():
    assert sorted(EXPECTED) == sorted(path.name for path in FILES.iterdir())


@pytest.mark.parametrize("name", EXPECTED)
def test_files_of_every_trouble(name: str):
    wanted, path = EXPECTED[name], FILES / name
    header = wanted.get("header", True)
    if "error" in wanted:
        for read in (read_table, lambda *a, **k: list(iter_table(*a, **k))):
            with pytest.raises(ValueError) as caught:
                read(path, header=header)
            assert str(caught.value).replace(str(path), "FILE") == wanted["error"]
        return
    frame = read_table(path, header=header)
    assert plain(frame) == wanted["columns"]
    assert frame.attrs.get("decimal") == wanted.get("decimal")
    notes = [note.replace(str(path), "FILE") for note in frame.attrs["notes"]]
    assert notes == wanted.get("notes", [])
    parts = list(iter_table(path, rows=1, header=header))
    assert [len(part) for part in parts] == [1] * len(frame)
    joined = pd.concat([part.astype(object) for part in parts])
    assert plain(joined) == plain(frame)
    assert list(joined.index) == list(range(len(frame)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(tmp_path: Path, delimiter: str):
    rows = [["a", "b b", "c"], ["1", "x y", ""], ["2", "z", "3"]]
    text = "\n".join(map(delimiter.join, rows))
    path = write(tmp_path / "t.csv", text.encode())
    assert read_table(path).to_numpy().tolist() == rows[1:]


def test_a_delimiter_and_an_encoding_that_are_given(tmp_path: Path):
    path = write(tmp_path / "t.csv", "имя^b\nя^1\n".encode("cp1251"))
    frame = read_table(path, delimiter="^", encoding="cp1251")
    assert frame.to_dict("list") == {"имя": ["я"], "b": ["1"]}
    with pytest.raises(ValueError, match="not written in utf-8"):
        read_table(path, encoding="utf-8")
    assert list(read_table(write(path, b"a b,c\n1 2,3\n"), delimiter="space")) == [
        "a",
        "b,c",
    ]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"delimiter": "ab"}, "delimiter must be one character"),
        ({"delimiter": 5}, "delimiter must be a text"),
        ({"encoding": "nope"}, "encoding 'nope' is not known"),
        ({"encoding": "zip"}, "encoding 'zip' is not known"),
        ({"sheet": 1}, "sheet must be a text"),
        ({"header": "no"}, "header must be a bool"),
    ],
)
def test_options_that_are_wrong(tmp_path: Path, option: Any, message: str):
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / "t.csv", PLAIN), **option)


@pytest.mark.parametrize("rows", [0, -1, True, 1.5, "9"])
def test_a_number_of_rows_that_is_none(rows: Any):
    with pytest.raises(ValueError, match="rows must be an int above 0"):
        iter_table("t.csv", rows=rows)


def test_blocks_with_and_without_quotes_give_the_same(tmp_path: Path):
    """Some blocks are split, others parsed, and rows lie across their edges."""
    n_rows = 12_000
    rows = [
        (str(i), f"{i / 7}", 'say "hi",\nyou' if i % 4_000 == 3_999 else f"t {i}")
        for i in range(n_rows)
    ]
    path = tmp_path / "t.csv"
    pd.DataFrame(rows, columns=["i", "x", "t"]).to_csv(path, index=False)
    frame = read_table(path)
    assert list(frame.itertuples(index=False, name=None)) == rows
    with open(path, "a") as file:
        file.write("1,2,3,4\n")
    with pytest.raises(ValueError, match=f"line {n_rows + 3 + 2} has 4 fields"):
        read_table(path)


def test_an_encoding_shows_late(tmp_path: Path):
    plain_rows = b"a,b\n" + b"1,2\n" * 70_000
    frame = read_table(write(tmp_path / "t.csv", plain_rows + b"\xe9,\x80\n"))
    assert frame.iloc[-1].tolist() == ["é", "€"]
    frame = read_table(write(tmp_path / "t.csv", plain_rows + "é,€\n".encode()))
    assert frame.iloc[-1].tolist() == ["é", "€"]
    mixed = plain_rows + "é,€\n".encode() + b"\xe9,\x80\n"
    with pytest.raises(ValueError, match="mixes encodings: line 70003"):
        read_table(write(tmp_path / "t.csv", mixed))


def test_without_pyarrow_texts_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write(tmp_path / "t.csv", PLAIN)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert read_table(path).to_dict("list") == READ


# Compression


@pytest.mark.parametrize("name", ["gz", "bz2", "xz", "zip"])
def test_compressed_files(tmp_path: Path, name: str):
    def zipped(data: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("folder/t.csv", data)
            archive.writestr("__MACOSX/folder/._t.csv", b"\0")
        return file.getvalue()

    pack: Callable[[bytes], bytes] = {
        "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zip": zipped,
    }[name]  # fmt: skip
    path = tmp_path / "t.csv"  # the content tells, not the name
    assert read_table(write(path, pack(PLAIN))).to_dict("list") == READ
    assert read_table(write(path, gzip.compress(pack(PLAIN)))).to_dict("list") == READ
    with pytest.raises(ValueError, match=r"damaged (gzip|bzip2|xz|zip) file"):
        read_table(write(path, pack(bytes(range(256)) * 9)[:-40]))


@pytest.mark.parametrize("name", ["gz", "xz", "zip", "parquet"])
def test_a_file_that_unpacks_beyond_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """The file is small and harmless; the memory is said to be smaller still."""
    path, data = tmp_path / f"t.{name}", b"a,b\n" + b"1,2\n" * 50_000
    if name == "parquet":
        pd.DataFrame({"a": [0.0] * 200_000}).to_parquet(path)
    elif name == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", data)
    else:
        path.write_bytes({"gz": gzip, "xz": lzma}[name].compress(data))
    assert len(read_table(path)) >= 50_000
    monkeypatch.setattr(source, "available_memory", lambda: 100_000)
    with pytest.raises(ValueError, match="half of the free memory"):
        read_table(path)
    assert sum(map(len, iter_table(path))) >= 50_000  # by parts it fits


def test_zip_files_that_hold_no_table(tmp_path: Path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", PLAIN)
        archive.writestr("b.csv", PLAIN)
    with pytest.raises(ValueError, match=r"zip file of 2 files \(a.csv, b.csv\)"):
        read_table(path)
    zipfile.ZipFile(path, "w").close()
    with pytest.raises(ValueError, match="zip file of 0 files"):
        read_table(path)


def test_zstandard_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    path = write(tmp_path / "t.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(20))
    if sys.version_info < (3, 14):
        with pytest.raises(ValueError, match="Install the package zstandard"):
            read_table(path)


# Several files, and standard input


def test_several_files_and_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "t1.csv", b"a,b\n1,2\n")
    write(tmp_path / "t2.csv", b"b;a\n4;3\n5;6\n")
    wanted = {"a": ["1", "3", "6"], "b": ["2", "4", "5"]}
    monkeypatch.chdir(tmp_path)
    assert read_table("t?.csv").to_dict("list") == wanted
    frame = read_table(["t2.csv", Path("t1.csv")])
    assert frame.to_dict("list") == {"b": ["4", "5", "2"], "a": ["3", "6", "1"]}
    parts = list(iter_table("t?.csv", rows=2))
    assert [list(part.index) for part in parts] == [[0, 1], [2]]
    write(tmp_path / "t3.csv", b"a,c\n1,2\n")
    with pytest.raises(ValueError, match=r"t3.csv has other columns than t1.csv.*'b'"):
        read_table("t?.csv")
    with pytest.raises(FileNotFoundError, match=r"no file matches x\*.csv"):
        read_table("x*.csv")
    write(tmp_path / "t[1].csv", b"z\n1\n")
    assert list(read_table("t[1].csv")) == ["z"]  # a name before a pattern


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_table(tmp_path / "t.csv")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_table(tmp_path)
    with pytest.raises(FileNotFoundError, match="no file to read"):
        read_table([])
    for wrong in (None, 5, b"t.csv", "", "a\0b"):
        with pytest.raises(ValueError, match="path must be the name of a file"):
            read_table(wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(
    monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(PLAIN))))
    assert read_table("-").to_dict("list") == READ


# JSON


def test_json_lines(tmp_path: Path):
    lines = b'{"a": 1, "b": " x "}\n\n{"b": null, "c": true}\n{"a": 9007199254740993}\n'
    frame = read_table(write(tmp_path / "t.ndjson", lines))
    assert plain(frame) == {
        "a": [1, None, 9007199254740993],
        "b": ["x", None, None],
        "c": [None, True, None],
    }
    array = b'[\n {"a": 1, "b": "x"},\n {"a": 2, "b": "y"}\n]\n'
    frame = read_table(write(tmp_path / "t.txt", array))
    assert plain(frame) == {"a": [1, 2], "b": ["x", "y"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1}\n{"a": [2]}\n', r"'a' in line 2 is a list"),
        (b'[{"a": 1}, {"a": {"x": 1}}]', r"'a' in record 2 is a record"),
        (b'{"a": 1}\n{"a": \n', "line 2 cannot be read"),
        (b'{"a": 1}\n2\n', "line 2 is no record but '2'"),
        (b'{"a": 1, "a": 2}\n', "two values of 'a'"),
        (b'{"a": 1}\n' + b"[" * 100_000, "line 2 cannot be read"),
        (b"{}\n{}\n", "is empty"),
        (b"[]", "is empty"),
    ],
)
def test_json_that_is_no_table(tmp_path: Path, text: bytes, message: str):
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / "t.jsonl", text))


# Arrow


def test_arrow_keeps_types(tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    feather, pq = map(pytest.importorskip, ("pyarrow.feather", "pyarrow.parquet"))
    table = pa.table(
        {
            "decimal": [Decimal("1.50"), None],
            "day": [date(2024, 1, 1), date(9999, 12, 31)],
            "id": pa.array([2**53 + 1, None]),
            "count": pa.array([1, None]),
            "text": pa.array(["u", "v"]).dictionary_encode(),
            "lasts": [timedelta(days=1), None],
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    feather.write_feather(table, tmp_path / "t.feather")
    with pa.ipc.new_stream(tmp_path / "t.arrows", table.schema) as stream:
        stream.write_table(table)
    for name in ("t.parquet", "t.feather", "t.arrows"):
        (tmp_path / name).rename(tmp_path / "t.bin")
        frame = read_table(tmp_path / "t.bin")
        assert frame["decimal"][0] == 1.5
        assert math.isnan(frame["decimal"][1])
        assert frame["day"][1] == datetime(9999, 12, 31)
        assert frame["id"].tolist() == [2**53 + 1, pd.NA]
        assert isinstance(frame["text"].dtype, pd.CategoricalDtype)
        assert frame["lasts"][0] == timedelta(days=1)


def test_the_index_of_a_parquet_file(tmp_path: Path):
    frame, path = pd.DataFrame({"a": [1, 2], "b": [3, 4]}), tmp_path / "t.parquet"
    frame.iloc[::-1].to_parquet(path)
    assert plain(read_table(path)) == {"a": [2, 1], "b": [4, 3]}
    frame.set_index("b").to_parquet(path)
    assert plain(read_table(path)) == {"b": [3, 4], "a": [1, 2]}


def test_arrow_files_that_hold_no_table(tmp_path: Path):
    pa, pq = map(pytest.importorskip, ("pyarrow", "pyarrow.parquet"))

    path = tmp_path / "t.parquet"
    nested = pa.table({"n": [1], "l": [[1, 2]], "s": [{"x": 1}]})
    pq.write_table(nested, path)
    with pytest.raises(ValueError, match=r"nested values in 'l'.*, 's'"):
        read_table(path)
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), path)
    with pytest.raises(ValueError, match="2 columns named 'a'"):
        read_table(path)
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    with pytest.raises(ValueError, match="no rows"):
        read_table(path)
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        read_table(write(path, b"PAR1 and nothing more"))


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'thalweg\[parquet\]'"):
        read_table(write(tmp_path / "t.parquet", b"PAR1"))


# Excel


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    """Write a workbook of the rows of each sheet."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_keeps_types(tmp_path: Path):
    rows = [
        ["Report of 2024", None, None, None, None],
        [],
        ["n", "text", "when", "ok", None],
        [1, " x ", datetime(2024, 1, 1), True, None],
        [None, "#DIV/0!", datetime(2024, 2, 1), False, None],
        [2**53, "007", None, True, None],
        [None] * 5,
    ]
    frame = read_table(workbook(tmp_path / "t.xlsx", S=rows))
    assert plain(frame) == {
        "n": [1, None, 2**53],
        "text": ["x", None, "007"],
        "when": [datetime(2024, 1, 1), datetime(2024, 2, 1), None],
        "ok": [True, False, True],
    }
    assert "taken for a title" in frame.attrs["notes"][0]


def test_sheets_by_name(tmp_path: Path):
    path = workbook(tmp_path / "t.bin", one=[["a"], [1]], two=[["b"], [2]])
    frame = read_table(path)
    assert plain(frame) == {"a": [1]}
    assert "2 sheets; 'one', the first, is read" in frame.attrs["notes"][0]
    assert plain(read_table(path, sheet="Two")) == {"b": [2]}
    with pytest.raises(ValueError, match=r"no sheet 'x'. Its sheets are 'one', 'two'"):
        read_table(path, sheet="x")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "is empty"),
        ([["a", "b"]], "a first row and no others"),
        ([["a", "a"], [1, 2]], "2 columns named 'a'"),
        ([["a", "b"], [1, "=A2*2"], [2, "=A3*2"]], "formulas without values.*'b'"),
    ],
)
def test_sheets_that_are_no_table(tmp_path: Path, rows: Any, message: str):
    with pytest.raises(ValueError, match=message):
        read_table(workbook(tmp_path / "t.xlsx", S=rows))


def test_documents_that_are_no_workbook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = workbook(tmp_path / "t.xlsx", S=[["a"], [1]])
    whole = path.read_bytes()
    with pytest.raises(ValueError, match="cannot be read as an Excel workbook"):
        read_table(write(path, whole[:-100]))
    write(path, whole)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ValueError, match=r"pip install 'thalweg\[excel\]'"):
        read_table(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    with pytest.raises(ValueError, match=r"another program \(application/vnd.oasis"):
        read_table(path)


# Writing, and parts of a table


MIXED = pd.DataFrame(
    {
        "n": range(25),
        "x": [i / 7 for i in range(25)],
        "t": [f"t{i % 3}" for i in range(25)],
        "b": [i % 2 == 0 for i in range(25)],
        "d": pd.date_range("2024-01-01", periods=25),
    }
)


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet", "t.jsonl"])
def test_what_is_written_by_parts_is_read_by_parts(tmp_path: Path, name: str):
    path = tmp_path / name
    with TableWriter(path) as writer:
        for begin in range(0, 25, 10):
            writer.append(MIXED[begin : begin + 10])
        assert not path.exists()
    whole = read_table(path)
    parts = list(iter_table(path, rows=7))
    assert [len(part) for part in parts] == [7, 7, 7, 4]
    pd.testing.assert_frame_equal(pd.concat(parts), whole)
    if name == "t.parquet":
        pd.testing.assert_frame_equal(whole, MIXED)
    assert list(whole) == list(MIXED)
    assert len(whole) == 25


def test_a_failed_write_leaves_what_was_there(tmp_path: Path):
    path = write(tmp_path / "t.csv", b"before")
    writer = TableWriter(path).__enter__()
    writer.append(MIXED)
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_formats_that_are_only_read_are_not_written(tmp_path: Path):
    with (
        pytest.raises(ValueError, match=r"written as \.csv, .parquet or"),
        TableWriter(tmp_path / "t.xlsx"),
    ):
        pass
