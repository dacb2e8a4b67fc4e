"""The programs of `docs/watching.md` run."""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

BLOCKS = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "watching.md").read_text(),
    re.DOTALL,
)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_the_docs_show_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Those with MLflow only where it is installed."""
    has_mlflow = find_spec("mlflow") is not None
    monkeypatch.chdir(tmp_path)
    shown: dict[str, Any] = {"__name__": "docs"}
    for block in BLOCKS:
        if has_mlflow or "MLflow(" not in block:
            exec(block, shown)
    written = {"epochs.csv", "events", "run.html", "c.csv", "s.csv"}
    written |= {"mlflow.db"} if has_mlflow else set()
    assert written <= {path.name for path in tmp_path.iterdir()}
