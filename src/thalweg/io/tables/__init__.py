"""Tables in files: text in its many dialects, JSON, Excel, Parquet and Feather."""

from thalweg.io.tables.read import iter_table, read_table
from thalweg.io.tables.source import table_files
from thalweg.io.tables.write import TableWriter, write_table

__all__ = ["TableWriter", "iter_table", "read_table", "table_files", "write_table"]
