#!/usr/bin/env bash
# Seasons and fiscal years, such as "2010-11" for 2010/2011, read with format="ISO8601".
#
# One would guess: an error, or at least that "2010-13" and "2010-11" are treated alike,
# for ISO 8601 has no seasons.
#
# What happens (pandas 3.1.1): those that end in 01 to 12 become the first day of that
# month, and the others fail. A column from 2001-02 to 2011-12 is dates without a word;
# one season more, 2012-13, and it is an error.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  pandas==3.1.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import pandas as pd

print("pandas", pd.__version__)
seasons = [f"{year}-{(year + 1) % 100:02d}" for year in range(2005, 2012)]
read = pd.to_datetime(pd.Series(seasons), format="ISO8601")
print(dict(zip(seasons, read.dt.strftime("%B %Y"), strict=True)))
more = pd.to_datetime(pd.Series([*seasons, "2012-13"]), format="ISO8601", errors="coerce")
print("2012-13:", more.iloc[-1])
sys.exit(0 if read.notna().all() and pd.isna(more.iloc[-1]) else 1)
PYTHON
