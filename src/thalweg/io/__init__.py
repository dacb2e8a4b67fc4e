"""Files: models (safetensors and JSON) and tables (CSV, Parquet)."""

from thalweg.io.model_file import (
    Contents,
    PathLike,
    check_folder,
    load_run,
    pack_run,
    read_model_file,
    read_model_of_kind,
    replace_file,
    save,
    understood_model,
    unpack_run,
    write_model_file,
)
from thalweg.io.table_file import read_table, write_table

__all__ = [
    "Contents",
    "PathLike",
    "check_folder",
    "load_run",
    "pack_run",
    "read_model_file",
    "read_model_of_kind",
    "read_table",
    "replace_file",
    "save",
    "understood_model",
    "unpack_run",
    "write_model_file",
    "write_table",
]
