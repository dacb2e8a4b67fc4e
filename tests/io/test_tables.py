"""Tables in files: what each format, and each trouble in it, becomes."""

import gzip
import sys
from pathlib import Path

import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest

from thalweg.io import TableWriter, iter_table, read_table

# Reading files


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(tmp_path: Path, delimiter: str):
    rows = [["a", "b b", "c"], ["1", "x y", ""], ["2", "z", "3"]]
    path = write(tmp_path / "t.csv", "\n".join(map(delimiter.join, rows)))
    assert read_table(path).to_numpy().tolist() == rows[1:]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str):
    path = write(tmp_path / "t.csv", "größe,b\nä,1\n", encoding)
    assert read_table(path).to_dict("list") == {"größe": ["ä"], "b": ["1"]}


def test_gzip_quotes_and_decimal_commas(tmp_path: Path):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b'a;b\n1,5;"x;1,5"\n-2;y\n'))
    assert read_table(path).to_dict("list") == {"a": ["1.5", "-2"], "b": ["x;1,5", "y"]}


def test_header_and_padding(tmp_path: Path):
    path = write(tmp_path / "t.csv", ",a,b,\n0,x,1,\n1,y,2,\n")
    assert list(read_table(path)) == ["a", "b"]
    assert list(read_table(path, header=False)) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n", "no rows"),
        ("a,b,a\n1,2,3\n", "2 columns named 'a'"),
        ("a,b\n1,2\n1,2,3\n", "line 3"),
        ("a,b\n1,2,3\n", "more fields"),
        ('a,b\n1,"2\n', "string"),
        ("a\0b", "binary"),
    ],
)
def test_no_table(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=message):
        read_table(write(tmp_path / "t.csv", text))


def test_files_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="no file"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 99)[:-9])
    with pytest.raises(ValueError, match="damaged gzip"):
        read_table(tmp_path / "t.csv.gz")
    with pytest.raises(ValueError, match="Parquet"):
        read_table(write(tmp_path / "t.parquet", "PAR1 and nothing more"))


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match=r"pip install 'thalweg\[parquet\]'"):
        read_table(write(tmp_path / "t.parquet", "PAR1"))


# Parts of a table


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
    path = write(tmp_path / "t.csv", "before")
    writer = TableWriter(path).__enter__()
    writer.append(MIXED)
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
