"""Files: models (safetensors and JSON) and tables (CSV, JSON, Excel, Parquet)."""

from thalweg.io.atomic_write import PathLike, atomic_write, check_output
from thalweg.io.model_file import (
    pack_run,
    read_model,
    read_model_of_kind,
    save_run,
    unpack_run,
    write_model_file,
)
from thalweg.io.tables import (
    TableWriter,
    iter_table,
    read_table,
    table_files,
    write_table,
)

__all__ = [
    "PathLike",
    "TableWriter",
    "atomic_write",
    "check_output",
    "iter_table",
    "pack_run",
    "read_model",
    "read_model_of_kind",
    "read_table",
    "save_run",
    "table_files",
    "unpack_run",
    "write_model_file",
    "write_table",
]
