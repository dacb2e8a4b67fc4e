"""Writing what a command found: as JSON, and as a picture."""

import json
from typing import Any

from thalweg.cli.options import File


def write_results(found: Any, output: File, plot: File = None) -> None:
    """Write what was found as JSON, and draw it, if a file for it was given."""
    from thalweg.io import atomic_write

    if output:
        with atomic_write(output) as draft:
            draft.write_text(json.dumps(found.to_json()), encoding="utf-8")
    if plot:
        from thalweg import plots

        figure, axes = plots.new_figure()
        found.plot(ax=axes[0, 0])
        with atomic_write(plot) as draft:
            figure.savefig(draft)
