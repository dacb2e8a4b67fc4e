"""Files: models (safetensors and JSON) and tables (CSV, Parquet)."""

from thalweg.io.model_file import (
    PathLike,
    check_folder,
    pack_run,
    read_model,
    read_model_of_kind,
    replace_file,
    save,
    unpack_run,
    write_model_file,
)
from thalweg.io.table_file import read_table, write_table

__all__ = [
    "PathLike",
    "check_folder",
    "pack_run",
    "read_model",
    "read_model_of_kind",
    "read_table",
    "replace_file",
    "save",
    "unpack_run",
    "write_model_file",
    "write_table",
]
