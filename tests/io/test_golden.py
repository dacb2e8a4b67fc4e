"""Model files that earlier versions wrote load for good, with equal predictions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import thalweg as tw

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*/*.thalweg"))
# A prediction is a few sums of rounded products. Another BLAS, or another number of
# rows at once, adds them in another order, which moves float32 by a few units in its
# last place (1.2e-7); float64 moves far less.
RTOL, ATOL = 2e-6, 1e-6
KINDS = {"float": "float64", "int": "int64", "bool": "bool", "text": object}


def rows_of(record: Any) -> Any:
    import pandas as pd

    if isinstance(record, list):
        return np.array(record)
    return pd.DataFrame(
        {
            name: pd.to_datetime(pd.Series(values))
            if kind == "date"
            else pd.Series(values, dtype=KINDS[kind])
            for name, (kind, values) in record.items()
        }
    )


@pytest.mark.parametrize(
    "path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_an_old_model_file_predicts_what_it_predicted(path: Path) -> None:
    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    rows = rows_of(record["rows"])
    model: Any = tw.load(path)
    is_run = path.stem.startswith("run_")
    predicted = np.asarray(tw.predict(model, rows) if is_run else model.predict(rows))
    expected = np.array(record["predict"])
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(predicted, expected, rtol=RTOL, atol=ATOL)
    else:
        assert predicted.tolist() == expected.tolist()
    if "predict_proba" in record:
        shares = model.predict_proba(rows)
        np.testing.assert_allclose(shares, record["predict_proba"], RTOL, ATOL)


def test_every_format_has_its_files() -> None:
    for folder in ("format1", "format2"):
        assert len(list((GOLDEN / folder).glob("*.thalweg"))) == 17
