#!/usr/bin/env bash
# matplotlib's SVG, put into an HTML page as inline <svg>.
#
# One would guess: the style sheet inside the SVG holds for the drawing that it stands in,
# so several figures and a page's own SVG icons can stand side by side.
#
# What happens (matplotlib 3.11.2): the file carries <style>*{...}</style>. A style sheet
# in an inline SVG holds for the whole document, so the line joins and caps of every
# other SVG drawing of the page change too.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  matplotlib==3.11.2 numpy==2.4.6
MPLCONFIGDIR="$folder" "$folder/venv/bin/python" - <<'PYTHON'
import io
import re
import sys

import matplotlib
from matplotlib.figure import Figure

figure = Figure(figsize=(2, 1))
figure.subplots().plot([0, 1])
text = io.StringIO()
figure.savefig(text, format="svg")
sheets = re.findall(r"<style[^>]*>(.*?)</style>", text.getvalue(), re.DOTALL)
print("matplotlib", matplotlib.__version__, "style sheets:", [s.strip() for s in sheets])
sys.exit(0 if any(sheet.strip().startswith("*") for sheet in sheets) else 1)
PYTHON
