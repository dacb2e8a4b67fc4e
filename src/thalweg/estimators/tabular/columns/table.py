"""A table of columns: their kinds, and all of them encoded."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from thalweg.core import Array, CompactRows, Features, Frame, Series, check_names
from thalweg.estimators.tabular.columns import (
    boolean,
    category,
    date,
    duration,
    number,
    text,
)
from thalweg.estimators.tabular.columns.column import ASKED, Column, Draft, Reading
from thalweg.estimators.tabular.columns.notation import NotNumbers
from thalweg.estimators.tabular.columns.values import marks_among, plain, texts

_BY_TYPE = {"b": "boolean", "M": "date", **dict.fromkeys("iufm", "number")}


def as_frame(X: Any) -> Frame:
    """Return a table as a DataFrame whose column names are distinct texts.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_rows, n_columns)
        Of pandas, polars (also lazy) or Arrow; a mapping of columns; a list of rows,
        which may be mappings; an array, whose columns are named "0", "1" and so on,
        or its fields.

    Raises
    ------
    ValueError
        If the table has no rows or no columns, two columns have the same name, or it
        does not have two dimensions.
    """
    import pandas as pd

    if hasattr(X, "collect") and hasattr(X, "lazy"):  # a LazyFrame of polars
        X = X.collect()
    if hasattr(X, "to_arrow"):
        X = X.to_arrow()
    if hasattr(X, "to_pandas"):
        X = X.to_pandas(**_keeping_integers(X))
    if not isinstance(X, pd.DataFrame):
        X = _from_rows(X)
    frame = X.set_axis([_name(name) for name in X.columns], axis=1)
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(
            f"the table has two columns named {twice[0]!r}. Rename or remove one."
        )
    if frame.empty:
        raise ValueError(
            f"the table is empty, with {len(frame)} sample(s) and {frame.shape[1]} "
            f"feature(s) (shape={frame.shape}) while a minimum of 1 is required."
        )
    return frame


def _keeping_integers(table: Any) -> dict[str, Any]:
    """Return arguments for a table of Arrow's that keep integers beside nulls."""
    import pandas as pd

    if not hasattr(table, "schema"):
        return {}
    import pyarrow as pa

    kept = {
        getattr(pa, f"{sign}int{bits}")(): getattr(
            pd, f"{sign.upper()}Int{bits}Dtype"
        )()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    }
    holed = {
        column.type
        for column in table.itercolumns()
        if column.null_count and column.type in kept
    }
    return {"types_mapper": lambda kind: kept[kind] if kind in holed else None}


def _name(name: Any) -> str:
    """Return the name of a column as a text."""
    return " / ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _from_rows(X: Any) -> Frame:
    """Return a table that is no DataFrame as one."""
    import pandas as pd

    if hasattr(X, "toarray"):
        raise TypeError(
            "the table is a sparse matrix, which is not supported. Convert it with "
            "X.toarray()."
        )
    if isinstance(X, Mapping):
        return _from_columns(X)
    if isinstance(X, list | tuple) and X and all(isinstance(r, Mapping) for r in X):
        return pd.DataFrame.from_records(list(X))
    if isinstance(X, np.ndarray) and X.dtype.names:
        return pd.DataFrame(np.asarray(X))
    if np.ma.isMaskedArray(X):
        cells = np.array(X, object)
        cells[np.ma.getmaskarray(X)] = None
        return pd.DataFrame(_as_matrix(cells)).infer_objects()
    kinds = _types_of(X) if isinstance(X, list | tuple) else set()
    if len(kinds) > 1 and not kinds <= {int, float}:
        return pd.DataFrame(list(map(list, X)), dtype=object).infer_objects()
    return pd.DataFrame(_as_matrix(X))


def _from_columns(columns: Mapping[Any, Any]) -> Frame:
    import pandas as pd

    listed = {name: _listed(column) for name, column in columns.items()}
    lengths = {
        name: len(each) if hasattr(each, "__len__") and not isinstance(each, str) else 0
        for name, each in listed.items()
    }
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        said = ", ".join(f"{name!r}: {n}" for name, n in list(lengths.items())[:5])
        raise ValueError(
            f"the columns of the table must hold as many values each; they hold {said}."
        )
    return pd.DataFrame(listed)


def _listed(column: Any) -> Any:
    """Return a column of a mapping in a form that pandas aligns by position."""
    if hasattr(column, "to_pandas"):
        column = column.to_pandas()
    return column.reset_index(drop=True) if hasattr(column, "reset_index") else column


def _types_of(rows: Any) -> set[type]:
    """Return the types of the cells of rows of the same length; empty for others."""
    sized = [isinstance(row, list | tuple) for row in rows]
    if not all(sized) or len({len(row) for row in rows}) != 1:
        return set()
    return {type(cell) for row in rows for cell in row}


def study(
    frame: Frame, reading: Reading | None = None, *, finer: bool = False
) -> tuple[Column, ...]:
    """Learn how to encode each column of the table that a model is fitted on.

    Parameters
    ----------
    frame : DataFrame
        What `as_frame` returned. Its ``attrs["decimal"]`` may say which decimal mark is
        usual in the file.
    reading : Reading, optional
        What the reader says about the columns.
    finer : bool
        Whether numbers also get the second, finer piecewise-linear encoding.

    Raises
    ------
    ValueError
        If a column has no value at all, a value is infinite, a text stands among
        numbers (the message names column and row), a column is not of the kind that
        was asked for, or every column is left out.
    """
    reading = reading or Reading()
    if frame.attrs.get("decimal") in (".", ","):
        reading = replace(reading, usual_decimal=frame.attrs["decimal"])
    check_names("column", reading.kinds, frame.columns, owner="column_kinds")
    columns = tuple(_study(name, frame[name], reading) for name in frame.columns)
    if all(column.kind == "left out" for column in columns):
        reasons = "; ".join(f"{c.name!r}: {c.detail}" for c in columns[:5])
        raise ValueError(
            f"no column is left to learn from ({reasons}). Add a column whose values "
            "differ between rows and occur in several rows."
        )
    return columns if finer else as_seen(columns, "usual")


def whole(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the same columns without the piecewise-linear encodings."""
    return tuple(replace(column, knots=(), finer=()) for column in columns)


def as_seen(columns: Sequence[Column], pieces: str) -> tuple[Column, ...]:
    """Return the same columns with one of the piecewise-linear encodings, or none.

    Parameters
    ----------
    columns : sequence of Column
    pieces : {"usual", "fine", "none"}
    """
    usual, fine = pieces == "usual", pieces == "fine"
    return tuple(
        replace(
            column,
            knots=column.knots if usual else (),
            finer=column.finer if fine else (),
        )
        for column in columns
    )


def seen(columns: Sequence[Column], inputs: CompactRows, pieces: str) -> Array | None:
    """Return which features a network sees that is given one of the encodings.

    Parameters
    ----------
    columns : sequence of Column
    inputs : CompactRows
        Rows that were encoded with both encodings.
    pieces : {"usual", "fine", "none"}

    Returns
    -------
    ndarray of bool, shape (n_features,), or None
        None for all features.
    """
    names = [
        name
        for column in columns
        if column.kind != "left out"
        for name, knots in (("usual", column.knots), ("fine", column.finer))
        if knots
    ]
    own = iter(names)
    kept = [next(own) == pieces if group.is_ladder else True for group in inputs.groups]
    if all(kept):
        return None
    return np.repeat(kept, [group.width for group in inputs.groups])


def encode(columns: Sequence[Column], frame: Frame) -> Array:
    """Encode a table as numbers.

    Parameters
    ----------
    columns : sequence of Column
        What `study` returned.
    frame : DataFrame
        It must have these columns, in any order; further columns are ignored.

    Returns
    -------
    ndarray of shape (n_rows, n_inputs), float64

    Raises
    ------
    ValueError
        If columns are missing, or a value is infinite or of another kind than at fit.
        The message names the columns, and the row of the value.
    """
    return encode_compact(columns, frame, np.float64).toarray()


def encode_compact(columns: Sequence[Column], frame: Frame, dtype: Any) -> CompactRows:
    """Encode a table as `encode` does, in compact form and computed once."""
    found = _encode_columns(columns, frame)
    return CompactRows.join([CompactRows.of(parts, dtype) for _, parts in found])


def encode_each(columns: Sequence[Column], frame: Frame) -> dict[str, Array]:
    """Return the encoding of each column that is not left out, by its name."""
    found = _encode_columns(columns, frame)
    return {name: CompactRows.of(parts, np.float64).toarray() for name, parts in found}


def _encode_columns(
    columns: Sequence[Column], frame: Frame
) -> Iterator[tuple[str, list[Features]]]:
    """Yield each column that is not left out, encoded when its turn comes."""
    used = [column for column in columns if column.kind != "left out"]
    absent = [repr(c.name) for c in used if c.name not in frame.columns]
    if absent:
        raise ValueError(
            f"the table has no column {', '.join(absent)}, which the model was fitted "
            "on. Add it, and leave it empty where its values are unknown."
        )
    for column in used:
        yield column.name, _KINDS[column.kind][1](column, frame[column.name])


def measured(column: Column, values: Series) -> Array:
    """Return what a column of numbers or dates holds: numbers, or days since 1970."""
    if column.kind == "date":
        return date.as_days(column.name, column.layout, values, column.absent)
    return number.numbers(column.name, values, column)


def show(column: Column, value: float) -> str:
    """Return one of the values that `measured` returns as a text."""
    if column.kind == "date":
        return date.shower(column.layout)(value)
    return f"{value:.4g}"


def kind_of(values: Series, reading: Reading | None = None) -> str:
    """Return the kind of a column: "number", "boolean", "date", "category" or "text".

    A column of texts that can all be read as numbers, dates, or true and false has that
    kind.
    """
    return _recognize(str(values.name), plain(values), reading or Reading())["kind"]


def _recognize(name: str, values: Series, reading: Reading) -> Draft:
    """Find out what a column holds."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return {"kind": "category"}
    known = values.dropna()
    if values.dtype.kind in _BY_TYPE:
        kind = _BY_TYPE[values.dtype.kind]
        if values.dtype.kind in "iu" and len(known):
            drawn = pd.Series(known.iloc[:1000].unique()).astype(str)
            found = date.recognize(name, drawn.tolist()) if _is_compact(drawn) else None
            distinct = pd.Series(known.unique()).astype(str).tolist() if found else []
            return (found and date.recognize(name, distinct)) or {"kind": kind}
        return {"kind": kind}
    words = texts(pd.Series(known.unique()), reading.missing).dropna().unique().tolist()
    if boolean.recognize(words):
        return {"kind": "boolean"}
    # "-" says missing among numbers and dates, and may be a category.
    marks = marks_among(words) if reading.missing is None else []
    distinct = [word for word in words if word not in marks] if marks else words
    if not distinct and marks:
        return {"kind": "category"}
    draft = _recognize_texts(name, distinct, len(known), reading)
    if marks and draft["kind"] in ("number", "date"):
        said = f"{', '.join(map(repr, marks[:3]))} is missing"
        draft["detail"] = "; ".join(filter(None, [draft.get("detail"), said]))
    return draft


def _recognize_texts(
    name: str, distinct: list[str], n_known: int, reading: Reading
) -> Draft:
    """Find out what a column of texts holds, from the different ones."""
    if not reading.date_format and duration.recognize(name, distinct):
        return {"kind": "number", "layout": "duration", "detail": _example(distinct)}
    found = date.recognize(name, distinct, reading.date_format)
    if found:
        return found
    try:
        return number.recognize(name, distinct, reading)
    except NotNumbers as reason:
        kind = "text" if text.recognize(distinct, n_known) else "category"
        why = str(reason) or date.stray(name, distinct)
        return {"kind": kind, "detail": why}


def study_numbers(values: Series, reading: Reading) -> Column:
    """Learn how the numbers of a column are written, and nothing else."""
    import pandas as pd

    if values.attrs.get("decimal") in (".", ","):
        reading = replace(reading, usual_decimal=values.attrs["decimal"])
    name, values = str(values.name), plain(values)
    typed = values.dtype.kind in _BY_TYPE or isinstance(
        values.dtype, pd.CategoricalDtype
    )
    draft: Draft = {} if typed else _recognize(name, values, reading)
    if draft.get("kind") != "number":
        draft = {"kind": "number"}
    return Column(name, missing=0, absent=reading.missing, **draft)


def _is_compact(texts: Series) -> bool:
    return bool(texts.str.fullmatch("(1[89]|20|21)[0-9]{4,6}").all())


def _example(distinct: Sequence[str]) -> str:
    import pandas as pd

    seconds = duration.read(pd.Series(distinct[:1], dtype=object))[0]
    return f"{distinct[0]!r} is {seconds:g} seconds"


def _asked(name: str, values: Series, reading: Reading) -> Draft:
    """Return how a column is of the kind that the reader asked for."""
    kind = reading.kinds[name]
    if kind in ("category", "text"):
        return {"kind": kind, "detail": ASKED}
    found = {} if kind == "boolean" else _recognize(name, values, reading)
    if kind == "number" and found["kind"] not in ("number", "boolean"):
        import pandas as pd

        distinct = number.without_marks(pd.Series(values.dropna().unique()), None)
        try:
            found = number.recognize("", distinct.dropna().tolist(), reading)
        except NotNumbers:
            found = {}
    if found.get("kind") != kind:
        layout = reading.date_format or "ISO8601"
        found = {"layout": layout} if kind == "date" else {}
    details = [ASKED, *filter(None, [found.get("detail")])]
    return {**found, "kind": kind, "detail": "; ".join(details)}


def _as_matrix(X: Any) -> Array:
    if isinstance(X, str | os.PathLike):
        raise ValueError(
            f"X is {X!r}, a path. Read the file first, such as with "
            "pandas.read_parquet, or use the command thalweg fit."
        )
    try:
        matrix = np.asarray(X)
    except ValueError:
        raise ValueError(
            "the rows of the table have different lengths, or a cell holds a list. "
            "Give each row one value for each column."
        ) from None
    if matrix.ndim != 2:
        raise ValueError(
            f"the table has shape {matrix.shape}; it must have rows and columns. "
            "Reshape your data with X.reshape(-1, 1) if it is one column."
        )
    if matrix.dtype.kind == "c":
        raise ValueError(
            "Complex data not supported. Pass the real and imaginary parts as columns."
        )
    return matrix


def _study(name: str, values: Series, reading: Reading) -> Column:
    asked = reading.kinds.get(name)
    if asked == "ignore":
        return Column(name, "left out", int(values.isna().sum()), ASKED)
    values = plain(values)
    recognize = _asked if asked else _recognize
    draft = Column(
        name, missing=0, absent=reading.missing, **recognize(name, values, reading)
    )
    column = replace(_KINDS[draft.kind][0](draft, values), rows=len(values))
    if column.missing == len(values):
        raise ValueError(
            f"column {name!r} has no value in any row. Fill it in, or leave it out "
            f'with column_kinds={{{name!r}: "ignore"}} (the command\'s --ignore).'
        )
    return column


_KINDS = {
    "number": (number.study, number.encode),
    "boolean": (boolean.study, boolean.encode),
    "date": (date.study, date.encode),
    "category": (category.study, category.encode),
    "text": (text.study, text.encode),
}
"""How each kind of column is studied, and how it is encoded."""
