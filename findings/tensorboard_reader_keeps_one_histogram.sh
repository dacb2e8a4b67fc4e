#!/usr/bin/env bash
# The histograms of a training, read back with TensorBoard's EventAccumulator.
#
# One would guess: the reader returns every histogram that the event file holds, as it
# returns (up to 10,000) scalars.
#
# What happens (tensorboard 2.21.0): it keeps one histogram for each tag, picked at random
# among them by a reservoir, and drops the others without a word. size_guidance with 0
# keeps all.
#
# Exits 0 if this is still so, 1 if it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  tensorboard==2.21.0 tensorboardX==2.6.5 numpy==2.4.6 'setuptools<81'
"$folder/venv/bin/python" - "$folder/events" <<'PYTHON'
import sys

import numpy as np
import tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

print("tensorboard", tensorboard.__version__)
folder = sys.argv[1]
with SummaryWriter(folder) as writer:
    for epoch in range(10):
        writer.add_scalar("loss", 1.0 / (epoch + 1), epoch)
        writer.add_histogram("weights", np.arange(5.0) * epoch, epoch)
usual = EventAccumulator(folder)
usual.Reload()
asked = EventAccumulator(folder, size_guidance={"histograms": 0})
asked.Reload()
counts = len(usual.Scalars("loss")), len(usual.Histograms("weights"))
print(f"10 of each written; read {counts[0]} scalars and {counts[1]} histograms")
print("with size_guidance:", len(asked.Histograms("weights")), "histograms")
sys.exit(0 if counts == (10, 1) and len(asked.Histograms("weights")) == 10 else 1)
PYTHON
