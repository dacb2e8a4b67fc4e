"""Tables in files: CSV in its many dialects, and Parquet.

Everything in a CSV is read as text, so that a code such as 007 keeps its zeros.
`thalweg.estimators.tabular.columns` decides what a column holds.
"""

import csv
import gzip
import io
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from thalweg.core import Frame, Series
from thalweg.io.model_file import PathLike

DELIMITERS = ",;\t|"
"""The delimiters that are recognized."""

_UNNAMED = "unnamed column"


def read_table(path: PathLike, *, header: bool = True) -> Frame:
    """Read a CSV or Parquet file.

    Parameters
    ----------
    path : str or path-like
        A CSV may be gzipped, in UTF-8, UTF-16 or Latin-1, and delimited by commas,
        semicolons, tabs or bars. Unless commas delimit, numbers may have decimal
        commas.
    header : bool
        Whether the first line of a CSV holds the names of the columns. Otherwise these
        are "1", "2" and so on.

    Returns
    -------
    DataFrame
        A CSV gives texts without surrounding spaces.

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is empty or damaged, a line has too many fields (the message says
        which), or two columns have the same name.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}. Check the name and folder.")
    data = path.read_bytes()
    if data[:4] == b"PAR1" or path.suffix in (".parquet", ".pq"):
        import pandas as pd

        return _with_pyarrow(path, lambda: pd.read_parquet(path, engine="pyarrow"))
    return _read_csv(path, _decode(path, data), header)


def write_table(frame: Frame, target: Path | IO[str]) -> None:
    """Write a table as Parquet if the name of `target` says so, otherwise as CSV."""
    if isinstance(target, Path) and target.suffix in (".parquet", ".pq"):
        _with_pyarrow(target, lambda: frame.to_parquet(target, index=False))
    else:
        frame.to_csv(target, index=False)


def _with_pyarrow(path: Path, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except ImportError as error:
        raise ValueError(
            f"{path} is a Parquet file, which needs pyarrow. Install it with "
            "pip install 'thalweg[parquet]', or use CSV."
        ) from error
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{path} cannot be read or written as Parquet ({error}). Write the file "
            "again, or use CSV."
        ) from error


def _decode(path: Path, data: bytes) -> str:
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{path} is a damaged gzip file ({error}). Copy or compress it again."
            ) from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data[:100_000]:
        raise ValueError(
            f"{path} is not a CSV file: it holds binary data. Save the table as CSV in "
            "UTF-8, or as Parquet."
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _read_csv(path: Path, text: str, header: bool) -> Frame:
    if not text.strip():
        raise ValueError(f"{path} is empty. Give a table with at least one row.")
    delimiter = _find_delimiter(text)
    first = next(csv.reader(text.lstrip().splitlines(), delimiter=delimiter))
    names = _names(path, first) if header else [str(i + 1) for i in range(len(first))]
    frame = _parse(path, text, delimiter, names, header)
    frame = frame[[name for name in frame.columns if not _is_padding(frame, name)]]
    if frame.empty:
        raise ValueError(
            f"{path} has a first line and no rows. Add rows. If the first line is a "
            "row and not the names, use --no-header (in Python, header=False)."
        )
    return frame if delimiter == "," else frame.apply(_with_points)


def _find_delimiter(text: str) -> str:
    """Return the delimiter that splits the most lines into equally many fields."""
    lines = text.strip()[:100_000].splitlines()[:50]

    def evenness(delimiter: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter))
        width, count = widths.most_common(1)[0]
        return (count, width) if width > 1 else (0, 0)

    return max(DELIMITERS, key=evenness)


def _names(path: Path, first: list[str]) -> list[str]:
    names = [name.strip() or f"{_UNNAMED} {i + 1}" for i, name in enumerate(first)]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"{path} has {count} columns named {name!r}. Rename all but one. If the "
            "first line is a row, use --no-header (in Python, header=False)."
        )
    return names


def _parse(
    path: Path, text: str, delimiter: str, names: list[str], header: bool
) -> Frame:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO(text),
                sep=delimiter,
                names=names,
                header=0 if header else None,
                index_col=False,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
            )
    except pd.errors.ParserWarning:
        reason = f"a line has more fields than the first, which has {len(names)}"
    except ValueError as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
    raise ValueError(
        f"{path} is not a table: {reason}. Correct that line. Quote fields that "
        f"contain {delimiter!r}."
    )


def _is_padding(frame: Frame, name: str) -> bool:
    """Whether a column without a name is empty, or an index that pandas wrote."""
    if not name.startswith(_UNNAMED):
        return False
    values = frame[name].tolist()
    counts = [[str(i + first) for i in range(len(values))] for first in (0, 1)]
    return not any(values) or values in counts


def _with_points(values: Series) -> Series:
    """Replace decimal commas with points if all fields are numbers."""
    known = values[values.fillna("") != ""]
    if known.str.fullmatch(r"[-+]?\d*,?\d+").all():
        return values.str.replace(",", ".", regex=False)
    return values
