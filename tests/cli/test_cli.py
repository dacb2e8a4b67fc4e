"""The command: what it prints, writes and refuses, and the code it ends with."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest
from rich.console import Console
from rich.live import Live
from sklearn.datasets import load_iris
from typer.testing import CliRunner

import thalweg as tw
from thalweg.cli.app import app, main
from thalweg.cli.live_table import LiveTable, parse_duration
from thalweg.estimators.tabular import estimators as tabular
from thalweg.tuning.result import SearchTrial

QUICK = ["--epochs", "2", "--hidden", "4"]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    table().to_csv("flowers.csv", index=False)


def table() -> pd.DataFrame:
    X, y = load_iris(return_X_y=True)
    rows = np.r_[0:15, 50:65]
    frame = pd.DataFrame(X[rows], columns=["a", "b", "c", "d"])
    frame["color"] = ["red", "blue", None] * 10
    return frame.assign(species=np.where(y[rows] == 0, "setosa", "versicolor"))


def run(*arguments: str) -> int:
    """Run the command in this process; return its exit code."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-W", "error", "-m", "thalweg.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one sentence that a bad input earns."""
    assert run(*arguments) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert printed.err.startswith("thalweg: ")
    return printed.err.removeprefix("thalweg: ").strip()


def test_help_teaches_and_needs_nothing_heavy():
    runner = CliRunner()
    assert "predict" in runner.invoke(app, ["--help"]).output
    shown = runner.invoke(app, ["fit", "--help"], env={"COLUMNS": "200"}).output
    assert "thalweg fit flowers.csv --target species" in shown
    code = "import sys, thalweg.cli.app; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"jax", "pandas", "sklearn", "scipy", "numpy"} & set(loaded)


@pytest.mark.slow
def test_fit_and_predict(capsys: pytest.CaptureFixture[str]):
    assert run("fit", "flowers.csv", "--target", "species") == 0
    printed = capsys.readouterr().out
    words = " ".join(printed.split())
    for part in (
        "flowers.csv: 30 rows, 5 columns",
        "Target species: classification, because it is a column of texts",
        "color category 10 2: blue, red",
        "30 rows, each predicted by one of 10 models",
        "majority class 0.500, logistic regression 1.000",
        "adam, rate 0.003, batches of 16, cross_entropy",
        "Stopped All",
        "Model flowers.thalweg",
    ):
        assert part in words
    assert re.search(r"accuracy 1\.000 \(95 %: 0\.\d{3} to 1\.000\)", words)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", printed)
    assert max(map(len, printed.splitlines())) <= 80

    assert run("predict", "flowers.thalweg", "flowers.csv") == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("Score        accuracy 1.000 (95 %: 0.886 to 1.000)")
    lines = printed.out.splitlines()
    assert lines[0] == "prediction,probability_setosa,probability_versicolor"
    predicted = [line.split(",")[0] for line in lines[1:]]
    assert predicted == table()["species"].tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "told"),
    [
        ("tnc", ["tnc on all rows", "Stopped TNC converged"]),
        ("adam,lbfgs", ["adam, then lbfgs", "Stopped adam: All", "Then lbfgs: L-BFGS"]),
    ],
)
def test_fit_takes_full_batch_methods_and_phases(
    optimizer: str, told: list[str], capsys: pytest.CaptureFixture[str]
):
    options = ["-t", "species", "--hidden", "3", "--optimizer", optimizer]
    assert run("fit", "flowers.csv", *options) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert all(part in words for part in told), words
    assert run("predict", "flowers.thalweg", "flowers.csv") == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--optimizer", "tcn"], "Did you mean 'tnc'"),
        (["--optimizer", "adam,lbfsg"], "Did you mean 'lbfgs'"),
        (["--optimizer", "tnc", "--learning-rate", "0.1"], "chooses its step by"),
        (["--optimizer", "tnc", "--dropout", "0.1"], "changes at every evaluation"),
    ],
)
def test_fit_refuses_what_a_method_cannot(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
):
    assert sentence in refused(capsys, "fit", "flowers.csv", "-t", "species", *options)


@pytest.mark.slow
def test_parquet_output_seed_and_options():
    options = [*QUICK, "--seed", "3", "--optimizer", "sgd", "--dtype", "float64"]
    for name in ("one", "two"):
        assert run("fit", "flowers.csv", "-t", "species", "-o", name, *options) == 0
    first, second = tw.load("one"), tw.load("two")
    np.testing.assert_array_equal(first.encode(table()), second.encode(table()))
    for a, b in zip(first.run_.parameters, second.run_.parameters, strict=True):
        assert a["weights"].dtype == np.float64
        np.testing.assert_array_equal(a["weights"], b["weights"])
    assert first.run_.network.widths[1:-1] == (4,)
    assert run("predict", "one", "flowers.csv", "-o", "out.parquet") == 0
    assert len(pd.read_parquet("out.parquet")) == 30


@pytest.mark.slow
def test_column_options_and_numbers_as_target():
    frame = table().assign(code=[1, 2, 3] * 10, y=np.linspace(0, 1, 30))
    frame.to_csv("headless.csv", index=False, header=False)
    options = ["--no-header", "--ignore", "6", "--category", "7", *QUICK]
    assert run("fit", "headless.csv", "--target", "8", *options) == 0
    model = tabular.Regressor.load("headless.thalweg")
    kinds = {column.name: column.kind for column in model.columns_}
    assert (kinds["7"], "6" in kinds) == ("category", False)
    assert run("predict", "headless.thalweg", "headless.csv", "--no-header") == 0


@pytest.mark.slow
def test_rows_without_a_target_are_told_and_left_out(
    capsys: pytest.CaptureFixture[str],
):
    frame = table().assign(y=np.linspace(0, 1, 30))
    frame.loc[:4, "y"] = np.nan
    frame.to_csv("gaps.csv", index=False)
    assert run("fit", "gaps.csv", "--target", "y", *QUICK) == 0
    printed = capsys.readouterr().out
    assert "gaps.csv: 25 rows (5 more have no target)" in printed
    assert re.search(r"Whole table  R2 -?\d+\.\d{3}", printed)


@pytest.mark.integration
@pytest.mark.slow
def test_processes_end_with_the_right_codes():
    done = start("fit", "nowhere.csv", "--target", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("thalweg: there is no file nowhere.csv.")
    assert start("fit", "flowers.csv").returncode == 2
    assert start("--help").returncode == 0


@pytest.mark.integration
@pytest.mark.slow
def test_own_defect_ends_in_1():
    code = (
        "import thalweg.io, thalweg.cli\n"
        "def fail(*a, **k): raise RuntimeError('defect')\n"
        "thalweg.io.read_table = fail\n"
        "thalweg.cli.main(['fit', 'flowers.csv', '--target', 'species'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RuntimeError: defect" in done.stderr


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: t.assign(gap=None), "column 'gap' has no value in any row"),
        (lambda t: t.assign(a=np.inf), "column 'a' is infinite (inf) in row 1"),
        (lambda t: t.assign(species="setosa"), "has one class, 'setosa'"),
        (lambda t: t[["species"]], "the table has only the target. Give"),
        (lambda t: t.assign(species=None), "has a value in 0 of 30 row(s)"),
        (lambda t: t.assign(species=[f"s{i}" for i in range(30)]), "as many classes"),
        (lambda t: t.rename(columns={"b": "a"}), "2 columns named 'a'"),
        (lambda t: t.assign(a=["x", *range(29)]), "row 1 has 'x'"),
    ],
)
def test_bad_tables(change: Any, sentence: str, capsys: pytest.CaptureFixture[str]):
    change(table()).to_csv("bad.csv", index=False)
    assert sentence in refused(capsys, "fit", "bad.csv", "--target", "species")
    assert not Path("bad.thalweg").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-t", "specie"], "Did you mean 'species'?"),
        (["-t", "species", "--ignore", "e"], "--ignore got 'e'"),
        (["-t", "species", "--optimizer", "adm"], "Did you mean 'adam'?"),
        (["-t", "species", "--learning-rate", "-1"], "'learning_rate' parameter"),
        (["-t", "species", "--hidden", "1O"], "--hidden got '1O'"),
        (["-t", "species", "--epochs", "0"], "inf), a list of these or None. Got 0"),
        (["-t", "species", "-o", "nowhere/model"], "no folder nowhere"),
        (["-t", "species", "--task", "regression"], "row 1 has 'setosa'"),
    ],
)
def test_bad_options(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
):
    assert sentence in refused(capsys, "fit", "flowers.csv", *options)


@pytest.mark.slow
def test_bad_predictions(capsys: pytest.CaptureFixture[str]):
    assert run("fit", "flowers.csv", "-t", "species", "-o", "model", *QUICK) == 0
    capsys.readouterr()
    table().drop(columns=["a", "d"]).to_csv("new.csv", index=False)
    assert "no column 'a', 'd'" in refused(capsys, "predict", "model", "new.csv")
    table().assign(b="tall").to_csv("new.csv", index=False)
    assert "row 1 has 'tall'" in refused(capsys, "predict", "model", "new.csv")
    Path("half").write_bytes(Path("model").read_bytes()[:1000])
    assert "half is not a model" in refused(capsys, "predict", "half", "flowers.csv")
    Path("t.parquet").write_text("nothing")
    assert "Parquet" in refused(capsys, "predict", "model", "t.parquet")


@pytest.mark.integration
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.slow
def test_terminal_sees_a_live_line():
    import pty

    reader, writer = pty.openpty()
    command = [sys.executable, "-m", "thalweg.cli", "fit", "flowers.csv"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(
        [*command, "-t", "species", *QUICK], stdout=writer, env=environment
    )
    os.close(writer)
    seen = b""
    while chunk := _read(reader):
        seen += chunk
    assert process.wait() == 0
    assert re.search(rb"epoch \d+/\d+  loss \d\.\d{4}  gradient \S+  rate 0\.003", seen)


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 1 << 16)
    except OSError:  # the other side is closed
        return b""


@pytest.mark.slow
def test_compare_names_optimizers_and_says_what_differs(
    capsys: pytest.CaptureFixture[str],
):
    target = ["flowers.csv", "--target", "species"]
    optimizers = ["--optimizers", "sgd", "adam", "lbfgs"]
    small = ["--hidden", "4", "--epochs", "2", "--seeds", "2"]
    files = ["--output", "found.json", "--plot", "curves.png"]
    assert run("compare", *target, *optimizers, *small, *files) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^(sgd|adam|lbfgs) ", printed, re.M) == ["sgd", "adam", "lbfgs"]
    assert "validation score" in printed
    assert Path("curves.png").read_bytes()[1:4] == b"PNG"
    assert len(json.loads(Path("found.json").read_text())["trials"]) == 6


def test_compare_takes_numbers_as_targets(capsys: pytest.CaptureFixture[str]):
    options = ["--hidden", "4", "--epochs", "2", "--seeds", "2"]
    assert (
        run("compare", "flowers.csv", "-t", "a", "--optimizers=sgd,adam", *options) == 0
    )
    assert "adam" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-t", "species", "--optimizers", "sgd", "adm"], "Did you mean 'adam'"),
        (["-t", "specie", "--optimizers", "sgd", "adam"], "Did you mean 'species'"),
        (["--optimizers", "sgd", "adam"], "--target is missing"),
        (["-t", "species", "--plot", "no/where.png"], "there is no folder no"),
    ],
)
def test_compare_refuses(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert words in refused(capsys, "compare", "flowers.csv", *arguments)


@pytest.mark.slow
def test_search_finds_a_network_and_goes_on(capsys: pytest.CaptureFixture[str]):
    options = ["--trials", "3", "--storage", "study.db", "--sampler", "random"]
    files = ["--json", "all.json", "--plot", "course.png", "-o", "best.thalweg"]
    common = ["search", "flowers.csv", "-t", "species", *options, "--pruner", "none"]
    assert run(*common, *files) == 0
    shown = capsys.readouterr().out
    for part in ("3 trials, random; scored on 5 folds", "Best trial: accuracy",
                 "new seeds", "Score        accuracy", "best.thalweg"):  # fmt: skip
        assert part in shown
    assert isinstance(tw.load("best.thalweg"), tabular.Classifier)
    assert Path("course.png").stat().st_size > 1000
    trials = json.loads(Path("all.json").read_text())["trials"]
    assert run(*common, "--trials", "4") == 0
    assert "4 trials" in capsys.readouterr().out
    assert len(trials) == 3


def test_search_shows_the_best_so_far():
    lines = io.StringIO()
    console = Console(file=lines, width=100)
    table = LiveTable(Live(console=console, auto_refresh=False), n_trials=9)
    for number, value in enumerate([0.5, 0.9, 0.7]):
        setting = {"l2": 0.125 * (number + 1), "widths": (4, 4)}
        table(SearchTrial(number, setting, value, "complete", 0.1))
    table(SearchTrial(3, {"l2": 9.0}, 0.99, "pruned", 0.1))
    console.print(table.table())
    title, _, first, second, third = lines.getvalue().strip().splitlines()
    assert "4 of 9 trials, 1 stopped early" in title
    assert "0.9000" in first
    assert "l2=0.25 widths=(4,4)" in first
    assert "0.7000" in second
    assert "0.5000" in third


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--time", "soon"], "--time got 'soon'"),
        (["--pruner", "medium"], "--pruner got 'medium'"),
        (["--sampler", "grid"], "Options: tpe, random, cmaes"),
        (["--storage", "study.txt"], "study.txt"),
        (["--trials", "0"], "n_trials=0"),
        (["-t", "specie"], "Did you mean 'species'?"),
    ],
)
def test_search_refuses(
    options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
):
    assert run("search", "flowers.csv", "-t", "species", *options) == 2
    assert sentence in capsys.readouterr().err


def test_times_are_understood():
    assert [parse_duration(t) for t in ("90", "90s", "10m", "1.5h")] == [
        90,
        90,
        600,
        5400,
    ]


def test_the_version_is_told():
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"thalweg {tw.__version__}\n")


@pytest.mark.slow
def test_the_package_runs_as_a_module():
    command = [sys.executable, "-W", "error", "-m", "thalweg", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"thalweg {tw.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fit", "-o", "no/m.thalweg"], "there is no folder"),
        (["fit", "-o", "."], ". is a folder"),
        (["fit", "-o", "/dev/null"], "/dev/null is a device"),
        (["fit", "-o", "flowers.csv"], "flowers.csv is read by this command too"),
        (["fit", "-o", "m", "--report", "./m"], "m is written by this command too"),
        (["search", "--plot", "m.thalweg"], "does not name a format of pictures"),
        (["compare", "--plot", "m"], "End the name in one of ."),
        (["diagnose", "-o", "flowers.csv/m"], "is a file, not a folder"),
    ],
)
def test_paths_are_tried_before_the_work(
    arguments: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    def fail(*given: object, **named: object) -> None:
        raise AssertionError("the table was read first")

    monkeypatch.setattr("thalweg.cli.app.read_columns", fail)
    before = Path("flowers.csv").read_bytes()
    command, *rest = arguments
    assert told in refused(capsys, command, "flowers.csv", "-t", "species", *rest)
    assert Path("flowers.csv").read_bytes() == before
    assert [each.name for each in Path().iterdir()] == ["flowers.csv"]


def test_the_model_named_after_the_table_is_tried_too(
    capsys: pytest.CaptureFixture[str],
):
    Path("flowers.thalweg").mkdir()
    told = refused(capsys, "fit", "flowers.csv", "-t", "species")
    assert "flowers.thalweg is a folder" in told
