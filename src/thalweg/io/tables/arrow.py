"""Tables of Arrow: Parquet and Feather, which keep the types of columns."""

from collections.abc import Iterator
from typing import Any

from thalweg.core import Frame
from thalweg.io.tables.options import Options
from thalweg.io.tables.source import Refused, Source, memory_limit, too_large

_PARQUET = b"PAR1"
_FEATHER = b"ARROW1"
_STREAM = b"\xff\xff\xff\xff"
_SUFFIXES = {
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".feather": "Feather",
    ".arrow": "Feather",
    ".arrows": "Feather",
    ".ipc": "Feather",
}


def arrow_format(source: Source) -> str:
    """Return "Parquet", "Feather" or "", by the first bytes, then by the name."""
    if source.head.startswith(_PARQUET):
        return "Parquet"
    if source.head.startswith((_FEATHER, _STREAM)):
        return "Feather"
    return _SUFFIXES.get(source.suffix, "") if source.head else ""


def read_arrow(source: Source, kind: str, options: Options) -> Iterator[Frame]:
    """Yield a Parquet or Feather file: whole if all is wanted, otherwise by groups.

    Raises
    ------
    ValueError
        If the file is damaged, a column is nested, or the table does not fit in memory.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise needs_pyarrow(source.name, kind) from error
    try:
        read = _read_parquet if kind == "Parquet" else _read_feather
        yield from read(source)
    except _Refusal as error:
        raise ValueError(str(error)) from None
    # What pandas wrote into a damaged file fails in many ways.
    except Exception as error:
        if getattr(error, "errno", None) or isinstance(error, Refused):
            raise
        raise ValueError(
            f"{source.name} cannot be read as {kind} ({_first_line(error)}). Write the "
            "file again, or use CSV."
        ) from error


def needs_pyarrow(name: Any, kind: str) -> ValueError:
    """Return the error of a file that cannot be read without pyarrow."""
    return ValueError(
        f"{name} is a {kind} file, which needs pyarrow. Install it with "
        "pip install 'thalweg[parquet]', or use CSV."
    )


class _Refusal(ValueError):
    """A sentence about a file that pyarrow reads."""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _read_parquet(source: Source) -> Iterator[Frame]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source.path or source.seekable()) as file:
        schema = file.schema_arrow
        _check_schema(source.name, schema)
        metadata = file.metadata
        groups = range(metadata.num_row_groups)
        if not source.whole:
            for batch in file.iter_batches(batch_size=1 << 16):
                yield _frame(batch)
            return
        # Runs of one value are short in the file and long in memory.
        sizes = (metadata.row_group(i).total_byte_size for i in groups)
        limit = memory_limit()
        if max(sum(sizes), metadata.num_rows * len(schema)) > limit:
            raise too_large(source.name, "takes", limit)
        yield _frame(file.read(use_threads=True))


def _read_feather(source: Source) -> Iterator[Frame]:
    import pyarrow as pa

    if source.head.startswith(_STREAM):
        with pa.ipc.open_stream(source.file) as stream:
            _check_schema(source.name, stream.schema)
            if source.whole:
                yield _frame(stream.read_all())
            else:
                yield from map(_frame, stream)
        return
    opened = pa.memory_map(str(source.path)) if source.path else source.seekable()
    with pa.ipc.open_file(opened) as file:
        _check_schema(source.name, file.schema)
        if source.whole:
            yield _frame(file.read_all())
        else:
            for i in range(file.num_record_batches):
                yield _frame(file.get_batch(i))


def _check_schema(name: str, schema: Any) -> None:
    import pyarrow as pa

    nested = [f for f in schema if pa.types.is_nested(_plain(f.type))]
    if nested:
        columns = ", ".join(f"{f.name!r} ({f.type})" for f in nested[:5])
        raise _Refusal(
            f"{name} has nested values in {columns}, which are no cells of a table. "
            "Write their parts as columns of their own, or remove them."
        )
    names = [f.name for f in schema]
    twice = next((each for each in names if names.count(each) > 1), None)
    if twice is not None:
        raise _Refusal(
            f"{name} has {names.count(twice)} columns named {twice!r}. Rename all but "
            "one."
        )
    if not len(schema):
        raise _Refusal(f"{name} has no columns. Give a table with at least one.")


def _plain(kind: Any) -> Any:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _frame(table: Any) -> Frame:
    """Turn Arrow's columns into pandas', each set free when it is turned."""
    import pyarrow as pa

    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    for i, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type):
            table = table.set_column(i, field.name, table[i].cast(pa.float64()))
    nullable = any(_rounds(column) for column in table.columns)
    frame = table.to_pandas(
        date_as_object=False,
        split_blocks=True,
        self_destruct=True,
        types_mapper=_nullable if nullable else None,
    )
    # Numbers of rows are no column; an index with a name is one.
    levels = [name for name in frame.index.names if name is not None]
    unnamed = [i for i, name in enumerate(frame.index.names) if name is None]
    if levels and unnamed:
        frame = frame.droplevel(unnamed)
    return frame.reset_index(drop=not levels)


def _rounds(column: Any) -> bool:
    """Whether a float, which pandas takes for a gap, would round integers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not column.null_count or column.type not in (pa.int64(), pa.uint64()):
        return False
    found = pc.min_max(column).as_py()  # pyright: ignore[reportAttributeAccessIssue]
    return max(abs(found["min"] or 0), abs(found["max"] or 0)) > 2**53


def _nullable(kind: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    return {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}.get(kind)
