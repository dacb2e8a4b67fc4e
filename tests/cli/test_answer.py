"""What an analyst gets: a score, the model handed over, predictions, a server."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest
from sklearn.datasets import load_breast_cancer

import thalweg as tw
from thalweg.cli.app import main
from thalweg.cli.parts import quote_formulas
from thalweg.cli.predict import load_table_model
from thalweg.cli.printing import plain
from thalweg.cli.splitting import parse_class_weight, parse_threshold, time_or_column
from thalweg.cli.web import Limits, make_app

FIT = ["fit", "visits.csv", "-t", "ill", "--hidden", "4", "--epochs", "3"]
COLUMNS = ["mean radius", "mean texture", "worst area", "worst smoothness"]


def visits() -> pd.DataFrame:
    """Return 300 rows with a category, a group, a date and a target."""
    data: Any = load_breast_cancer(as_frame=True)
    frame = data.frame[COLUMNS].iloc[:300].copy()
    frame["clinic"] = np.resize(["north", "=south", "-east"], 300)
    frame["patient"] = np.arange(300) // 4
    frame["day"] = pd.date_range("2024-01-01", periods=300).astype(str)
    return frame.assign(ill=np.where(data.target[:300] == 0, "yes", "no"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table and a model that was fitted on it."""
    path = tmp_path_factory.mktemp("answer")
    visits().to_csv(path / "visits.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        options = ["--group", "patient", "--ignore", "day", "--no-doctor"]
        assert run(*FIT, *options, "-o", "ill.thalweg", "--json", "ill.json") == 0
    return path


@pytest.fixture(autouse=True)
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def words(capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    printed = capsys.readouterr()
    return " ".join(printed.out.split()), " ".join(printed.err.split())


def test_the_evaluation_is_written_as_json():
    found = json.loads(Path("ill.json").read_text())
    assert found["method"] == "15 of 75 groups, held out from training"
    assert {each["name"] for each in found["metrics"]} >= {"roc_auc", "neg_log_loss"}
    assert [each["label"] for each in found["classes"]] == ["no", "yes"]
    assert set(found["baselines"]) == {
        "majority class", "logistic regression", "boosted trees",
    }  # fmt: skip
    model: Any = tw.load("ill.thalweg")
    assert "patient" not in {column.name for column in model.columns_}


def test_the_score_stands_first_and_the_options_are_told(
    capsys: pytest.CaptureFixture[str],
):
    options = [
        "--metric", "roc_auc", "--class-weight", "yes=3", "--threshold", "f1",
        "--time", "day", "--no-refit", "--ignore", "patient", "-o", "other.thalweg",
    ]  # fmt: skip
    assert run(*FIT, *options) == 0
    out, _ = words(capsys)
    assert "rows, the latest ones, held out from training" in out
    assert "Score ROC AUC" in out
    assert "Threshold yes is predicted where its probability is at least" in out
    assert "Weights of the classes: {'yes': 3.0}" in out
    assert "Model other.thalweg Classifier (300 rows" in out
    assert out.index("Score") < out.index("Network") < out.index("Classifier (300")
    model: Any = tw.load("other.thalweg")
    assert (model.class_weight, model.threshold) == ({"yes": 3.0}, "f1")
    assert model.predict(visits())[0] in ("yes", "no")


@pytest.mark.parametrize("kind", ["linear", "trees", "auto"])
def test_other_models_are_handed_over(kind: str, capsys: pytest.CaptureFixture[str]):
    options = ["--model", kind, "-o", f"{kind}.thalweg", "--no-doctor"]
    assert run(*FIT, *options, "--ignore", "day", "--ignore", "patient") == 0
    assert "fitted on all rows after the evaluation" in words(capsys)[0]
    assert run("predict", f"{kind}.thalweg", "visits.csv", "-o", "out.csv") == 0
    predicted = pd.read_csv("out.csv")["prediction"]
    assert np.mean(predicted.to_numpy() == visits()["ill"].to_numpy()) > 0.8
    assert run("evaluate", f"{kind}.thalweg", "visits.csv") == 0
    assert words(capsys)[0].startswith("Score accuracy ")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--metric", "rocauc"], "Did you mean 'roc_auc'"),
        (["--metric", "r2"], "scores numbers"),
        (["--group", "patent"], "Did you mean 'patient'"),
        (["--time-column", "ill"], "--time-column got 'ill'"),
        (["--time", "soon"], "--time got 'soon'"),
        (["--time", "clinic"], "as the time of row 1"),
        (["--class-weight", "yes"], "--class-weight got 'yes'"),
        (["--class-weight", "yes=-1"], "a number of at least 0"),
        (["--class-weight", "maybe=2"], "--class-weight got 'maybe'"),
        (["--threshold", "2"], "--threshold got 2"),
        (["--threshold", "roc_auc"], "no threshold changes it"),
        (["-t", "worst area", "--threshold", "f1"], "is for classes"),
    ],
)
def test_fit_refuses(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
):
    assert run(*FIT, *options, "-o", "no.thalweg") == 2
    assert sentence in words(capsys)[1]
    assert not Path("no.thalweg").exists()


def test_predict_keeps_columns_and_scores(capsys: pytest.CaptureFixture[str]):
    keep = ["--keep", "clinic", "--keep", "ill"]
    assert run("predict", "ill.thalweg", "visits.csv", *keep) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0] == "clinic,ill,prediction,probability_no,probability_yes"
    assert [line.split(",")[0] for line in lines[1:4]] == ["north", "'=south", "'-east"]
    assert printed.err.startswith("Columns not used: patient, day.\nScore")
    assert run("predict", "ill.thalweg", "visits.csv", "--keep", "clinic", "--raw") == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("=south,")
    assert run("predict", "ill.thalweg", "visits.csv", "--keep", "clinc") == 2
    assert "Did you mean 'clinic'" in words(capsys)[1]


def test_parts_are_predicted_as_the_whole(monkeypatch: pytest.MonkeyPatch):
    assert run("predict", "ill.thalweg", "visits.csv", "-o", "whole.parquet") == 0
    monkeypatch.setattr("thalweg.cli.predict._ROWS", 97)
    for name in ("parts.parquet", "parts.csv"):
        assert (
            run("predict", "ill.thalweg", "visits.csv", "--keep-all", "-o", name) == 0
        )
    whole, parts = (pd.read_parquet(f"{n}.parquet") for n in ("whole", "parts"))
    np.testing.assert_allclose(parts["probability_yes"], whole["probability_yes"])
    assert list(parts["prediction"]) == list(whole["prediction"])
    assert list(parts.columns[:8]) == list(visits().columns)
    assert len(pd.read_csv("parts.csv")) == 300


def test_drift_is_told_by_column(capsys: pytest.CaptureFixture[str]):
    frame = visits().drop(columns="ill")
    frame["worst area"] *= 10
    frame["clinic"] = ["west"] * 150 + ["north"] * 150
    frame.loc[:59, "mean texture"] = np.nan
    frame.to_csv("new.csv", index=False)
    assert run("predict", "ill.thalweg", "new.csv", "-o", "out.csv") == 0
    _, told = words(capsys)
    assert "worst area: 94% of the rows are outside the fitted range" in told
    assert "clinic: 50% of the rows hold new categories ('west')" in told
    assert "mean texture: 20% are missing, 0% at fit" in told
    assert "mean radius" not in told


def test_evaluate_tells_all_metrics_and_writes_them(
    capsys: pytest.CaptureFixture[str],
):
    files = ["-o", "new.json", "--metric", "f1"]
    assert run("evaluate", "ill.thalweg", "visits.csv", *files) == 0
    out, _ = words(capsys)
    assert out.startswith("Score F1 of yes 0.")
    assert "300 rows, of the table given" in out
    assert "true, predicted no yes" in out
    found = json.loads(Path("new.json").read_text())
    assert np.sum(found["confusion"]["counts"]) == 300
    model: Any = tw.load("ill.thalweg")
    assert found["metrics"][1]["value"] == model.score(visits(), visits()["ill"])
    assert run("evaluate", "ill.thalweg", "visits.csv", "-t", "il") == 2
    assert "Did you mean 'ill'" in words(capsys)[1]
    visits().assign(ill="perhaps").to_csv("new.csv", index=False)
    assert run("evaluate", "ill.thalweg", "new.csv") == 2
    assert "'perhaps', which is not one of the classes" in words(capsys)[1]


def test_an_interrupted_doctor_says_where_the_model_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def interrupt(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("thalweg.diagnosis.diagnose", interrupt)
    assert run(*FIT, "--ignore", "day", "-o", "kept.thalweg") == 0
    out, _ = words(capsys)
    assert out.endswith("interrupted. The model is in kept.thalweg.")
    assert "Score accuracy" in out
    assert Path("kept.thalweg").exists()


def test_formulas_are_quoted_and_numbers_are_not():
    frame = pd.DataFrame(
        {"=a": ["=1+1", "+x", "-x", "@x", "-1.5", "+2", "x=1", None, "\tx"]}
    )
    found = quote_formulas(frame)
    assert found.columns.tolist() == ["'=a"]
    assert found["'=a"].fillna("").tolist() == [
        "'=1+1", "'+x", "'-x", "'@x", "-1.5", "+2", "x=1", "", "'\tx",
    ]  # fmt: skip
    same = pd.DataFrame({"a": [-1.0, 2.0]})
    assert quote_formulas(same) is same


def test_control_characters_are_shown_as_codes():
    assert plain("a\x1b[31mb\r\n") == "a\\x1b[31mb\\r\\n"
    assert plain("Zürich 5 €") == "Zürich 5 €"


def test_a_time_is_a_limit_or_a_column():
    assert time_or_column("90s", None, ["day"]) == (90, None)
    assert time_or_column("day", None, ["day"]) == (None, "day")
    assert time_or_column(None, "day", ["day"]) == (None, "day")
    assert time_or_column("10", "day", ["day", "10"]) == (10, "day")
    with pytest.raises(ValueError, match="name two columns"):
        time_or_column("day", "hour", ["day", "hour"])


def test_weights_and_thresholds_are_read():
    y = pd.Series([1, 2, 2], dtype="Int64")
    assert parse_class_weight(["1=5", "2=0.5"], y) == {1: 5.0, 2: 0.5}
    assert parse_class_weight(["balanced"], y) == "balanced"
    assert parse_threshold("0.3") == 0.3
    assert parse_threshold("f1") == "f1"


# ---------------------------------------------------------------------------- server


def ask(method: str, path: str, limits: Limits | None = None, **given: Any) -> Any:
    """Send one request to the application, in this process."""
    app = make_app(load_table_model(Path("ill.thalweg")), "ill.thalweg", limits)

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://a") as all:
            return await all.request(method, path, **given)

    return asyncio.run(send())


def records(n: int) -> list[dict[str, Any]]:
    table: Any = visits()[[*COLUMNS, "clinic"]][:n]
    return table.to_dict("records")


def test_the_server_predicts_as_the_model_does():
    model: Any = tw.load("ill.thalweg")
    expected = model.predict(visits()[:5]).tolist()
    found = ask("POST", "/predict", json=records(5))
    assert [row["prediction"] for row in found.json()["predictions"]] == expected
    text = visits()[:5].to_csv(index=False)
    csv = ask("POST", "/predict", content=text, headers={"content-type": "text/csv"})
    assert csv.json() == found.json()
    assert ask("GET", "/health").json()["status"] == "ok"


def test_the_page_has_a_field_for_each_column():
    page = ask("GET", "/").text
    for name in COLUMNS:
        assert f'name="{name}"' in page
    assert '<option value="=south">=south</option>' in page
    assert "https://" not in page


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ("[", 422, "the request is not JSON"),
        ("[]", 422, "the request has no rows"),
        ("[1]", 422, "not a list of records"),
        ('[{"clinic": [1]}]', 422, "holds [1] in row 1"),
        ('[{"clinic": NaN}]', 422, "NaN is no number in JSON"),
        ('[{"clinic": "north"}]', 422, "has no column 'mean radius'"),
        ("[" + "0," * 1000 + "0]", 413, "larger than 0.001 MB"),
        (json.dumps([{"a": 1}] * 4), 413, "has 4 rows; 3 are the most"),
    ],
)
def test_the_server_refuses_in_sentences(body: str, status: int, sentence: str):
    found = ask("POST", "/predict", Limits(3, 0.001), content=body)
    assert (found.status_code, sentence in found.json()["error"]) == (status, True)


def test_bad_limits_are_refused():
    with pytest.raises(ValueError, match="max_rows"):
        Limits(rows=0)
