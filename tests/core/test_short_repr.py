"""Results show themselves in a line, and in a table whose text is escaped."""

import dataclasses
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg.core import html_repr, short_repr
from thalweg.datasets import moons
from thalweg.estimators import evaluate

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = moons(60)
NETWORK = tw.DenseNetwork.from_sizes((2, 3, 2))
MLP = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}


@short_repr
@dataclasses.dataclass
class Wide:
    text: str
    table: Any
    numbers: list[float]
    mapping: dict[str, Any]
    nothing: None = None
    one: float = 1 / 3


def results() -> dict[str, Any]:
    run = tw.fit(NETWORK, X, Y, loss="cross_entropy", epochs=200, random_state=0)
    found = tw.search(
        tw.MLPClassifier(**MLP), X=X, y=Y, n_trials=3, random_state=0, repeats=0,
        space={"alpha": (1e-6, 1.0, "log")}, n_jobs=1,
    )  # fmt: skip
    model = tw.Classifier(3, max_iter=1, random_state=0)
    compared = tw.compare(["sgd", "adam"], X, Y, hidden=(3,), epochs=2, seeds=2)
    constant = np.column_stack([X, np.zeros(60)])
    diagnosis = tw.diagnose(tw.MLPClassifier(**MLP), constant, Y, trials=False)
    rate = tw.find_rate(NETWORK, X, Y, loss="cross_entropy", n_steps=20)
    check = tw.check_gradient(lambda w: w @ w, lambda w: 2 * w, np.ones(200))
    evaluation = evaluate(model, X, Y)
    return {
        "run": run, "history": run.history, "record": run.history[0],
        "search": found, "trial": found.trials[0], "evaluation": evaluation,
        "comparison": compared,
        "difference": compared.differences[0], "variant": compared.trials[0],
        "diagnosis": diagnosis, "finding": diagnosis.findings[0], "rate": rate,
        "check": check,
    }  # fmt: skip


@pytest.mark.slow
def test_every_result_has_a_short_repr_and_one_in_html() -> None:
    for name, result in results().items():
        text = repr(result)
        assert text.startswith(type(result).__name__), name
        assert len(text) <= 300, name
        assert "\n" not in text, name
        html = result._repr_html_()
        assert html.startswith(("<div", "<section", "<style")), name


def test_a_result_names_what_it_holds() -> None:
    wide = Wide("a" * 99, np.zeros((3, 4)), [0.1] * 50, {"b": 2})
    assert repr(wide) == (
        f"Wide(text='{'a' * 56}..., table=<3 x 4 float64>, numbers=<50 items>, "
        "mapping={'b': 2}, one=0.3333)"
    )
    fields = [(f"field_{k}", str) for k in range(99)]
    many = short_repr(dataclasses.make_dataclass("Many", fields))
    text = repr(many(*["x" * 30] * 99))
    assert len(text) <= 300
    assert text.endswith(", ...)")


def test_html_is_escaped() -> None:
    evil = "<script>alert('1')</script>"
    wide = Wide(evil, None, [], {evil: evil})
    html = html_repr(wide)
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    run = tw.fit(NETWORK, X, Y, loss="cross_entropy", epochs=1)
    shown = dataclasses.replace(run, why=evil * 20)
    assert "<script>" not in html_repr(shown)
    assert len(repr(shown)) <= 300
