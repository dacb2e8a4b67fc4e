"""How the commands are told to read a table: files, formats and options."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest

import thalweg as tw
from thalweg.cli.app import main


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))


def table(n_rows: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.normal(size=n_rows).round(2)
    return pd.DataFrame(
        {
            "a": a,
            "code": rng.integers(0, 5, n_rows),
            "day": pd.date_range("2024-01-01", periods=n_rows).strftime("%d.%m.%Y"),
            "color": rng.choice(["red", "blue", "none given"], n_rows),
            "y": np.where(a > 0, "up", "down"),
        }
    )


def run(*arguments: str) -> int:
    """Run the command in this process; return its exit code."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stop each `fit` before the training; return what it would train on."""
    found: dict[str, Any] = {}

    def stop(model: Any, kind: str, X: Any, y: Any, output: Path, **how: Any) -> None:
        found.update(model=model, X=X, y=y, output=output)
        raise SystemExit

    monkeypatch.setattr("thalweg.cli.fit.train", stop)
    return found


def save_model() -> tw.Classifier:
    X = table().astype(str)
    model = tw.Classifier(hidden_layer_sizes=(4,), max_epochs=2, random_state=0)
    model.fit(X.drop(columns="y"), X["y"]).save("m.thalweg")
    return model


def send(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_several_tables_and_patterns(
    read: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    table()[:25].to_csv("p1.csv", index=False)
    columns = ["y", "color", "day", "code", "a"]
    table()[25:].to_csv("p2.csv", index=False, columns=columns)
    for tables, name in (
        (("p1.csv", "p2.csv"), "p1.csv and 1 more"),
        (("p?.csv",),) * 2,
    ):
        assert run("fit", *tables, "-t", "y") == 0
        assert f"{''.join(name)}: 40 rows, 4 columns" in capsys.readouterr().out
        assert read["output"] == Path("p1.thalweg")
        assert read["X"]["code"].astype(int).tolist() == table()["code"].tolist()
    model = save_model()
    assert run("predict", "m.thalweg", "p?.csv") == 0
    rows = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert rows["prediction"].tolist() == model.predict(table()).tolist()
    table()[["a", "y"]].to_csv("p3.csv", index=False)
    assert run("fit", "p?.csv", "-t", "y") == 2
    assert "p3.csv has other columns than p1.csv" in capsys.readouterr().err


def test_standard_input(
    read: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    data = table().to_csv(sep=";", decimal=",", index=False).encode()
    send(monkeypatch, data)
    assert run("fit", "-", "-t", "y") == 0
    assert "standard input: 40 rows" in capsys.readouterr().out
    assert read["output"] == Path("model.thalweg")
    model = save_model()
    send(monkeypatch, data)
    assert run("predict", "m.thalweg", "-", "-o", "out.csv") == 0
    rows = pd.read_csv("out.csv")
    assert rows["prediction"].tolist() == model.predict(table()).tolist()


def test_a_sheet_of_a_workbook(
    read: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter("t.xlsx") as file:
        table(30).to_excel(file, sheet_name="first", index=False)
        table(35).to_excel(file, sheet_name="second", index=False)
    assert run("fit", "t.xlsx", "-t", "y", "--sheet", "second") == 0
    assert "t.xlsx: 35 rows" in capsys.readouterr().out
    save_model()
    assert run("predict", "m.thalweg", "t.xlsx") == 0
    printed = capsys.readouterr()
    assert "'first', the first, is read" in printed.err
    assert printed.out.count("\n") == 31


def test_a_table_that_nothing_recognizes(
    read: dict[str, Any], capsys: pytest.CaptureFixture[str]
):
    frame = table().rename(columns={"color": "цвет"})
    frame.to_csv("t.csv", index=False, sep="^", encoding="cp1251")
    how = ["--delimiter", "^", "--encoding", "cp1251"]
    for command in ("fit", "diagnose", "compare", "search"):
        assert run(command, "t.csv", "-t", "z", *how) == 2
        assert "Options: a, code, day, цвет, y" in capsys.readouterr().err
        assert run(command, "t.csv", "-t", "z") == 2
        assert "Options: a^code^day^" in capsys.readouterr().err


def test_what_columns_hold(read: dict[str, Any]):
    table().to_csv("t.csv", index=False)
    options = [
        "--kind", "code=category", "--kind", "color=ignore",
        "--missing", "none given", "--missing", "-",
        "--date-format", "%d.%m.%Y", "--decimal", ".", "--thousands", "",
    ]  # fmt: skip
    assert run("fit", "t.csv", "-t", "y", *options) == 0
    wanted = {
        "column_kinds": {"code": "category", "color": "ignore"},
        "missing": ["none given", "-"],
        "date_format": "%d.%m.%Y",
        "decimal": ".",
        "thousands": "",
    }
    assert wanted.items() <= read["model"].get_params().items()


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (["--kind", "code"], "--kind got 'code'. Write COLUMN=KIND"),
        (["--kind", "code=int"], "--kind got 'code=int'. Write COLUMN=KIND"),
        (["--kind", "cod=number"], "--kind got 'cod'"),
        (["--kind", "y=category"], "--kind got 'y', which is the target"),
        (["--thousands", "ab"], "--thousands got 'ab'"),
        (["--date-format", "day"], "--date-format got 'day'"),
        (["--delimiter", "ab"], "delimiter must be one character"),
        (["--encoding", "nope"], "encoding 'nope' is not known"),
    ],
)
def test_options_that_are_wrong(
    option: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
):
    table().to_csv("t.csv", index=False)
    assert run("fit", "t.csv", "-t", "y", *option) == 2
    assert capsys.readouterr().err.startswith(f"thalweg: {sentence}")
