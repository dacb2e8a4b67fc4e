#!/usr/bin/env bash
# A polars column of 64-bit integers with one null, handed to pandas by `to_pandas`.
#
# One would guess: the integers survive. pandas has nullable integers (Int64) for this, and
# polars keeps its integers beside a null.
#
# What happens (polars 2.1.0, pandas 3.1.1): the column becomes float64 without a warning,
# so that integers beyond 2**53 lose their last digits: identifiers are merged. With
# `use_pyarrow_extension_array=True` they stay.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  polars==2.1.0 pandas==3.1.1 pyarrow==26.0.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import pandas as pd
import polars as pl

print("polars", pl.__version__, "pandas", pd.__version__)
given = [2**62 + 1, 2**62 + 3, None]
column = pl.Series("id", given)
plain = column.to_pandas()
kept = column.to_pandas(use_pyarrow_extension_array=True)
print("given ", given)
print("plain ", plain.dtype, [None if pd.isna(v) else int(v) for v in plain])
print("arrow ", kept.dtype, kept.tolist())
merged = plain.dtype == "float64" and plain[0] == plain[1]
sys.exit(0 if merged and kept.tolist()[:2] == given[:2] else 1)
PYTHON
