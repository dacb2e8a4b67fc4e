#!/usr/bin/env bash
# The same arrays and the same metadata, saved as safetensors by several processes.
#
# One would guess: the files are equal, byte for byte, so that a hash of a model file tells
# whether two models are the same. Dicts of Python keep their order.
#
# What happens (safetensors 0.8.0): the metadata pass through a map without order, which is
# seeded anew in each process. Eight processes write several different files.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import hashlib
import subprocess
import sys

import safetensors

print("safetensors", safetensors.__version__)
PROGRAM = """
import numpy, sys
from safetensors.numpy import save
words = {f"key{k}": str(k) for k in range(8)}
sys.stdout.buffer.write(save({"weights": numpy.arange(4.0)}, metadata=words))
"""
hashes = set()
for _ in range(8):
    written = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True)
    hashes.add(hashlib.sha256(written.stdout).hexdigest()[:12])
print(len(hashes), "different files of 8:", sorted(hashes))
sys.exit(0 if len(hashes) > 1 else 1)
PYTHON
