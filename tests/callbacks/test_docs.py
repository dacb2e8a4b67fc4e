"""The programs of `docs/watching.md` run."""

import re
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
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    shown: dict[str, Any] = {"__name__": "docs"}
    for block in BLOCKS:
        exec(block, shown)
    assert {"epochs.csv", "events", "run.html", "mlflow.db", "c.csv", "s.csv"} <= {
        path.name for path in tmp_path.iterdir()
    }
