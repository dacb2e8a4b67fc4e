"""The report page: what is in it, what cannot run in it, and how a browser shows it."""

import json
import math
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd  # noqa: TID253 (tests may wait for it)
import pytest

from thalweg import report
from thalweg.cli.app import main
from thalweg.core.history import History, Run, StopReason
from thalweg.diagnosis import fragment
from thalweg.diagnosis.result import (
    Diagnosis,
    Evidence,
    Finding,
    Prescription,
    Proof,
    Severity,
)
from thalweg.estimators.tabular.evaluation import (
    Calibration,
    Confusion,
    Evaluation,
    Importance,
    Residuals,
)
from thalweg.report import figures
from thalweg.report.content import ColumnSketch, Report, TableSketch

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
NAN = math.nan
QUIETLY = (
    *("no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"),
    *("disable-background-networking", "disable-component-update"),
)


def a_run(n: int = 30, best: int | None = None) -> Run:
    epochs = np.arange(1, n + 1)
    history = History.from_columns(
        {
            "loss": 5.0 / epochs,
            "validation_loss": 4.0 / epochs + 0.01 * epochs,
            "rate": np.full(n, 0.001),
            "gradient_norm": np.where(epochs == 2, np.inf, 1.0 / epochs),
            "seconds": 0.1 * epochs,
        }
    )
    return Run(
        network=None, plan=None, parameters=(), history=history,
        stop_reason=StopReason.MAX_EPOCHS, why=f"All {n} epochs were done.",
        engine="native (default)", best_epoch=best or n,
    )  # fmt: skip


def an_evaluation(classes: bool = True) -> Evaluation:
    calibration = Calibration(
        (0.6, 0.8, 0.99), (0.5, 0.9, 1.0), ((0.3, 0.7), (0.7, 0.98), (0.8, 1.0)),
        (20, 20, 20), 0.07,
    )  # fmt: skip
    return Evaluation(
        metric="accuracy" if classes else "R2",
        score=0.8,
        interval=(0.7, 0.9),
        n_rows=60,
        method="held out from training",
        baselines={"majority class": 0.5},
        intervals={"majority class": (0.4, 0.6)},
        gains={"majority class": (0.3, 0.2, 0.4)},
        confusion=Confusion((EVIL, "b"), ((20, 10), (2, 28))) if classes else None,
        calibration=calibration if classes else None,
        residuals=None if classes else Residuals((1.0, 2, 3), (1.1, 1.9, 3.3)),
        importance=tuple(
            Importance(f"{EVIL} {k}", 0.2 - 0.01 * k, (0.1 - 0.01 * k, 0.3))
            for k in range(25)
        ),
    )


def a_table() -> TableSketch:
    evil = ColumnSketch(EVIL, "category", f"2: {EVIL}, b", 3, (EVIL, "b"), (7, 5))
    plain = [ColumnSketch(f"x{k}", "number", "0 to 1", 0) for k in range(40)]
    return TableSketch("t.csv", 60, 2, evil, "classification, as asked", (evil, *plain))


def a_finding(kind: str = "bars", **changes: Any) -> Finding:
    x: dict[str, Any] = {"bars": (EVIL, "b", "c"), "line": (1, 2, 3),
                         "histogram": (0, 1, 2, 3)}  # fmt: skip
    evidence = Evidence(kind, "Spread", EVIL, "rows", x[kind], (1.0, 30, NAN), 20)
    proof = Proof("accuracy", (0.5, NAN), (0.9, 0.8), (0.5, 0.4), 0.4, (0.2, 0.6),
                  0.35, "confirmed")  # fmt: skip
    given: dict[str, Any] = {
        "code": "unscaled-input", "severity": Severity.FATAL, "cause": EVIL,
        "place": EVIL, "measure": "ratio", "value": 123.0, "limit": 100.0,
        "source": "LeCun et al., 1998",
        "prescription": Prescription("Scale them.", {EVIL: EVIL}),
        "evidence": evidence, "proof": proof,
    }  # fmt: skip
    return Finding(**{**given, **changes})


def a_diagnosis() -> Diagnosis:
    symptom = a_finding(code="vanishing-gradient", evidence=None, proof=None)
    return Diagnosis(
        subject=f"Classifier on {EVIL}",
        findings=(
            a_finding(symptoms=(symptom,)),
            a_finding("line", severity=Severity.ADVICE, proof=None),
            a_finding("histogram", severity=Severity.NOTE, prescription=None),
        ),
        facts={},
        checked=("leak",),
        unchecked={"no-signal": "12 rows are too few"},
        costs={"trials": 1.2},
    )


def a_report(classes: bool = True) -> Report:
    return Report(
        title=f"{EVIL}, predicted from t.csv",
        run=a_run(best=20),
        evaluation=an_evaluation(classes),
        table=a_table(),
        diagnosis=a_diagnosis(),
        origin={"Command": f"thalweg fit t.csv -t '{EVIL}'", "Seed": "0"},
    )


class Page(HTMLParser):
    """What is in a page: its tags, and its text outside scripts and styles."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] not in ("script", "style"):
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(subject: Any, folder: Path) -> Page:
    report.write(subject, folder / "page.html")
    return Page((folder / "page.html").read_text(encoding="utf-8"))


def test_page_has_all_of_a_fit(tmp_path: Path):
    page = read(a_report(), tmp_path)
    for part in (
        "accuracy 0.800 (95 %: 0.700 to 0.900) on 60 rows, held out from training",
        "majority class 0.500 +0.300 (+0.200 to +0.400)",
        "48 of 60 rows are classified correctly",
        "The average difference is 7.0%",
        "30 epochs in 3.0 s",
        "t.csv: 60 rows (2 more have no target), 41 columns",
        "2 things are wrong",
        "confirmed by trial",
        "Measured: ratio 123; the limit is 100",
        "accuracy +0.400 (95 %: +0.200 to +0.600), +0.350 over the control",
        "no-signal not checked: 12 rows are too few",
        "Command thalweg fit t.csv",
    ):
        assert part in page.text
    drawn = [each["data-figure"] for each in page.all("div") if "data-figure" in each]
    assert drawn == [
        *("scores", "confusion", "calibration", "importance"),
        *("curve-loss", "curve-gradient_norm"),
    ]


def test_values_get_residuals_and_no_confusion(tmp_path: Path):
    page = read(a_report(classes=False), tmp_path)
    assert "true minus predicted" in page.text
    assert "Confusion" not in page.text
    assert "Calibration" not in page.text


def test_nothing_from_a_table_becomes_markup(tmp_path: Path):
    page = read(a_report(), tmp_path)
    assert page.all("img") == []
    assert {tuple(s) for s in page.all("script")} == {("type", "id"), ()}
    assert len(page.all("script")) == 3
    assert page.text.count(EVIL) > 40
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<script>alert" not in source
    assert "<img" not in source


def test_page_asks_for_nothing_outside_itself(tmp_path: Path):
    page = read(a_report(), tmp_path)
    links = [v for _, tag in page.tags for k, v in tag.items() if k in ("href", "src")]
    assert set(links) <= {"data:,", "#findings", "#score", "#training", "#table",
                          "#again"}  # fmt: skip
    source = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.findall(r"https?://|@import|url\(", source) == []


def test_page_is_read_aloud_in_order(tmp_path: Path):
    page = read(a_report(), tmp_path)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    pictures = [tag for _, tag in page.tags if tag.get("role") == "img"]
    assert len(pictures) >= 6 + 3 + 2  # figures, evidence, trials
    assert all(tag["aria-label"] for tag in pictures)
    assert page.all("html")[0]["lang"] == "en"


def test_run_and_diagnosis_make_pages_of_their_own(tmp_path: Path):
    page = read(a_run(), tmp_path)
    assert "All 30 epochs were done." in page.text
    page = read(a_diagnosis(), tmp_path)
    assert "2 things are wrong" in page.text
    # Its pictures are SVG: no need for Plotly.
    assert page.all("script") == []
    assert (tmp_path / "page.html").stat().st_size < 40_000
    page = read(Diagnosis("Classifier", (), {}), tmp_path)
    assert "nothing is wrong" in page.text


def test_a_loss_that_never_was_finite_is_not_drawn(tmp_path: Path):
    run = replace(
        a_run(1), history=History.from_columns({"loss": [NAN], "seconds": [0.1]})
    )
    assert figures.of(Report("", run=run)) == {}
    assert "1 epoch in 0.1 s." in read(run, tmp_path).text


@pytest.mark.parametrize("n", [0, 1, 3000])
def test_runs_of_any_length_are_drawn(n: int, tmp_path: Path):
    page = read(a_run(n), tmp_path)
    assert f"{n} epoch" in page.text
    for figure in figures.of(Report("", run=a_run(n))).values():
        assert len(figure.data[0]["x"]) <= 1000
        assert figure.data[0]["x"][-1] == n


def test_other_subjects_are_refused(tmp_path: Path):
    with pytest.raises(TypeError, match=r"got a dict\. Give the Run of thalweg\.fit"):
        report.write({}, tmp_path / "page.html")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("classes", [True, False])
def test_plotly_knows_every_property(classes: bool):
    from plotly.graph_objects import Figure

    for figure in figures.of(a_report(classes)).values():
        specification = json.loads(json.dumps(figure.specification, allow_nan=False))
        Figure(specification)  # raises for a property that Plotly has not
        assert "<" not in json.dumps(specification["data"]).replace(
            "<extra></extra>", ""
        )


def test_notebooks_get_the_evidence_without_plotly():
    shown = a_diagnosis()._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert shown is not None
    page = Page(shown)
    assert len(page.all("svg")) == 5
    assert page.all("script") == []
    assert len(shown) < 30_000


def test_words_stand_in_for_pictures_without_matplotlib(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    page = read(a_diagnosis(), tmp_path)
    assert page.all("svg") == []
    assert "Spread; rows from 1 to 30" in page.text
    assert "accuracy of each seed in the trial" in page.text


def test_a_trial_says_nothing_of_what_is_unknown(tmp_path: Path):
    proof = Proof("accuracy", (0.5,), (0.9,), (), 0.4, (NAN, NAN), NAN, "confirmed")
    finding = a_finding(proof=proof, evidence=None)
    page = read(Diagnosis("Classifier", (finding,), {}), tmp_path)
    assert "same seeds: accuracy +0.400; confirmed" in page.text
    assert "nan" not in page.text


@pytest.mark.parametrize("name", ["plotly.offline", "jinja2"])
def test_what_is_missing_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"pip install 'thalweg\[report\]'"):
        report.write(a_run(), tmp_path / "page.html")
    if name == "jinja2":
        assert fragment(a_diagnosis()) is None  # the text is shown instead


def test_command_finds_out_before_it_trains(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "missing.csv", "-t", "y", "--report", str(tmp_path / "page.html")])
    assert "pip install 'thalweg[report]'" in capsys.readouterr().err


class Opened(NamedTuple):
    """A page in the browser, and what happened while it was shown."""

    page: Any
    problems: list[str]
    requests: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs the system's Chromium: apt-get install chromium")
    options = [f"--{name}" for name in QUIETLY]
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=options)
        yield started
        started.close()


def opened(browser: Any, path: Path, width: int) -> Opened:
    page = browser.new_page(viewport={"width": width, "height": 900})
    found = Opened(page, [], [])
    page.on("console", lambda message: found.problems.append(message.text))
    page.on("pageerror", lambda error: found.problems.append(str(error)))
    page.on("dialog", lambda dialog: (found.problems.append("ran"), dialog.dismiss()))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-drawn]", state="attached")
    return found


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("classes", [True, False])
def test_a_browser_shows_it(browser: Any, tmp_path: Path, width: int, classes: bool):
    path = tmp_path / "page.html"
    report.write(a_report(classes), path)
    found = opened(browser, path, width)
    page = found.page
    assert page.locator("[data-figure] svg.main-svg").count() >= 6
    page.locator("[data-figure=curve-loss] .nsewdrag").hover()
    shown = page.locator("[data-figure=curve-loss] .hoverlayer")
    shown.locator("text=training").wait_for()
    page.locator("[data-figure=importance] .nsewdrag").scroll_into_view_if_needed()
    labels = page.locator("[data-figure=importance] .ytick").all_text_contents()
    assert labels[0].startswith("<script>alert")
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert found.problems == []
    assert found.requests == [path.as_uri()]
    page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_colors_follow_the_system(browser: Any, tmp_path: Path):
    path = tmp_path / "page.html"
    report.write(a_run(), path)
    page = opened(browser, path, 600).page
    ink = "getComputedStyle(document.querySelector('.xtick text')).fill"
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{ink} != '{light}'")
    assert page.evaluate(f"{ink} == getComputedStyle(document.body).color")
    page.close()


@pytest.mark.slow
def test_command_writes_a_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    rng = np.random.RandomState(0)
    size = rng.normal(size=300)
    frame = pd.DataFrame({EVIL: size, "hue": rng.choice(["red", "blue"], 300)})
    frame.assign(kind=np.where(size > 0, EVIL, "small")).to_csv("t.csv", index=False)
    words = ["fit", "t.csv", "-t", "kind", "--report", "r.html", "--epochs", "30"]
    with pytest.raises(SystemExit, match="0"):
        main(words)
    assert "Report       r.html" in capsys.readouterr().out
    page = Page(Path("r.html").read_text(encoding="utf-8"))
    for part in (
        "kind, predicted from t.csv",
        "on 60 rows, held out from training",
        "majority class",
        "t.csv: 300 rows, 2 columns",
        f"Command {' '.join(['thalweg', *words])}",
        "Seed 0",
        "SHA-256",
        "batch size",
        "scikit-learn 1.",
    ):
        assert part in page.text
    assert page.text.count(EVIL) >= 3
    assert page.all("img") == []
    drawn = {each.get("data-figure") for each in page.all("div")}
    assert {"scores", "confusion", "calibration", "importance", "curve-loss"} <= drawn
