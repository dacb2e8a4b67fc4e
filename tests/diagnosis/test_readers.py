"""What users give the doctor: odd tables, targets and pipelines; what comes back."""

import itertools
import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_wine
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import thalweg as tw
from thalweg.diagnosis import trials
from thalweg.diagnosis.readers import understand
from thalweg.diagnosis.treatment import treated
from thalweg.estimators.tabular.columns import as_frame
from thalweg.optimize.gradient_check import check_gradient

X, Y = load_wine(return_X_y=True)
SCALED = (X - X.mean(axis=0)) / X.std(axis=0)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def mlp(**options: Any) -> Any:
    usual = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.01, "random_state": 0}
    return tw.MLPClassifier(**{**usual, **options})


def named(values: Any, names: Any) -> Any:
    return as_frame(values).set_axis(list(names), axis=1)


def first(found: tw.Diagnosis) -> Any:
    return found.findings[0]


# ------------------------------------------------------------- what cannot be trained


def test_a_network_that_cannot_be_trained_is_not_healthy():
    table = named(SCALED, "abcdefghijklm")
    table["text"] = ["a", "b"] * 89
    found = first(tw.diagnose(MLPClassifier(), table, Y))
    assert (found.code, found.severity.name) == ("untrainable", "FATAL")
    assert "could not convert string to float: 'a'" in found.cause


@pytest.mark.parametrize("trials", [True, False])
def test_more_classes_than_outputs(trials: bool):
    network = tw.DenseNetwork.from_sizes([13, 20, 2])
    settings: Any = {"loss": "cross_entropy", "epochs": 20}
    found = first(tw.diagnose(network, SCALED, Y, trials=trials, **settings))
    assert (found.code, found.value, found.limit) == ("degenerate-output", 2, 3)


def test_a_gap_in_the_rows_held_out_is_named():
    held = SCALED[100:].copy()
    held[5, 2] = np.nan
    found = first(tw.diagnose(mlp(), SCALED[:100], Y[:100], X_val=held, y_val=Y[100:]))
    assert (found.code, found.place) == ("nonfinite-data", "row 5 of X_val, column 2")


def test_an_infinite_cell_is_for_the_user():
    bad = SCALED.copy()
    bad[3, 4] = np.inf
    found = first(tw.diagnose(mlp(), bad, Y))
    assert (found.code, found.prescription.changes) == ("nonfinite-data", {})
    assert "infinite" in found.prescription.text


@pytest.mark.parametrize("what", ["cost", "gradient"])
def test_hand_written_code_that_is_not_finite(what: str):
    def cost(p: Any) -> float:
        return float((p**2).sum()) * (np.nan if what == "cost" else 1)

    def gradient(p: Any) -> Any:
        return 2 * p * (np.nan if what == "gradient" else 1)

    found = first(tw.diagnose((cost, gradient), x0=np.ones(3)))
    assert (found.code, found.severity.name) == ("overflow", "FATAL")
    assert found.cause == check_gradient(cost, gradient, np.ones(3)).message


# -------------------------------------------------------------------------- targets

TEXTS = np.array(["one", "two", "three"])


def with_gap(values: Any, gap: Any) -> Any:
    y = np.array(values, dtype=object)
    y[3] = gap
    return y


@pytest.mark.parametrize(
    "y",
    [
        with_gap(Y, np.nan).astype(float),
        with_gap(TEXTS[Y], None),
        with_gap(TEXTS[Y], np.nan),
        named(with_gap(Y, None)[:, None], "y")["y"].astype("Int64"),
    ],
    ids=["numbers", "None", "text and NaN", "Int64"],
)
@pytest.mark.parametrize("subject", [None, mlp()], ids=["data", "model"])
def test_a_missing_label_is_no_class(subject: Any, y: Any):
    found = tw.diagnose(subject, SCALED, y)
    (alarm,) = found.alarms
    assert (alarm.code, alarm.value, alarm.place) == ("nonfinite-data", 1, "y")
    assert sorted(found.facts["labels.counts"]) == [48, 58, 71]


def test_a_target_that_is_missing_altogether():
    with pytest.raises(ValueError, match="y holds no value"):
        tw.diagnose(None, SCALED, np.full(178, np.nan))


def test_a_column_a_class_is_read_as_classes():
    network = tw.DenseNetwork.from_sizes([13, 20, 3])
    settings: Any = {"loss": "cross_entropy", "optimizer": "adam", "epochs": 60}
    one_hot = np.eye(3)[Y]
    found = tw.diagnose(network, X, one_hot, **settings)
    assert first(found).code == first(tw.diagnose(network, X, Y, **settings)).code
    assert first(found).status == "confirmed by trial"
    run = tw.fit(network, X, one_hot, random_state=0, **settings)
    assert first(tw.diagnose(run, X, one_hot)).code == first(found).code


def test_a_regression_worse_than_the_mean_is_not_healthy():
    data = load_diabetes(return_X_y=True)
    model = MLPRegressor(random_state=0, max_iter=60)
    found = first(tw.diagnose(model.fit(*data), *data))
    assert (found.code, found.status) == ("unscaled-target", "confirmed by trial")


# -------------------------------------------------------------------------- tables


def test_a_step_that_needs_the_target():
    model = make_pipeline(SelectKBest(k=3), mlp())
    found = tw.diagnose(model, X, Y)
    assert first(found).code == "unscaled-input"
    assert found.treat()[0].fit(X, Y).score(X, Y) > 0.8


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.coo_matrix])
def test_sparse_rows_are_scaled_without_centering(form: Any):
    rows = form(X)
    found = tw.diagnose(mlp(), rows, Y)
    assert (first(found).code, first(found).status) == (
        "unscaled-input", "confirmed by trial")  # fmt: skip
    assert found.treat()[0].fit(rows, Y).score(rows, Y) > 0.9


def test_missing_cells_are_no_sentinel():
    gaps = np.where(np.random.RandomState(0).random(X.shape) < 0.05, np.nan, X)
    found = tw.diagnose(tw.Classifier(), gaps, Y, trials=False)
    assert "sentinel-value" not in [f.code for f in found.findings]


REPAIRS = [{"drop": (0,)}, {"mask": {4: -9999.0}}, {"drop": (2,), "impute": True}]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
@pytest.mark.parametrize("frame", [False, True])
def test_repairs_find_their_columns_in_any_order(order: Any, frame: bool):
    spoiled = SCALED.copy()
    spoiled[::20, 4] = -9999.0
    spoiled[1, 5] = np.nan
    names = [f"c{k}" for k in range(13)]
    given: Any = named(spoiled, names) if frame else spoiled
    problem = understand(make_pipeline("passthrough", mlp()), given, Y)
    model, _ = treated(problem, [REPAIRS[k] for k in order])
    out = np.asarray(model[:-1].fit_transform(given, Y))
    # Two are dropped; two that had gaps come with a column that says where.
    assert out.shape == (178, 11 + 2)
    assert out.min() > -10
    assert np.isfinite(out).all()
    for k in range(13):
        there = (np.abs(out - SCALED[:, [k]]).max(axis=0) < 1e-9).any()
        assert there == (k not in (0, 2, 4, 5)), k
    model.fit(given, Y).predict(given)


def test_frames_stay_frames_before_a_users_own_steps():
    table = named(SCALED[:, :4], "abcd")
    table["kind"] = np.where(np.arange(178) % 2, "u", "v")
    table.loc[::20, "a"] = -999.0
    table.loc[3, "b"] = np.nan
    own = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    problem = understand(make_pipeline(own, mlp()), table, Y)
    model, _ = treated(problem, [{"mask": {0: -999.0}}, {"impute": True}])
    assert model.fit(table, Y).score(table, Y) > 0.7


def test_rows_held_out_come_in_the_form_of_the_others():
    names = [f"c{k}" for k in range(13)]
    table = named(SCALED, names)
    plain = str(tw.diagnose(mlp(), SCALED[::2], Y[::2], X_val=SCALED[1::2],
                            y_val=Y[1::2]))  # fmt: skip
    for ours, theirs in ((table, SCALED), (SCALED, table), (table, table[names[::-1]])):
        found = tw.diagnose(mlp(), ours[::2], Y[::2], X_val=theirs[1::2], y_val=Y[1::2])
        assert str(found) == plain
    other = table.rename(columns={"c3": "C3"})
    with pytest.raises(ValueError, match="X_val lacks the column 'c3'"):
        tw.diagnose(mlp(), table[::2], Y[::2], X_val=other[1::2], y_val=Y[1::2])


# ------------------------------------------------------------------------ treatment


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_members_of_an_ensemble_are_treated(wrapped: bool):
    slow = mlp(max_iter=30, learning_rate_init=1e-6, scale_inputs=True)
    model: Any = tw.Ensemble(slow, n_members=2)
    model = make_pipeline("passthrough", model) if wrapped else model
    found = tw.diagnose(model, X, Y)
    assert first(found).code == "rate-too-low"
    better, _ = found.treat(1)
    assert better.fit(X, Y).score(X, Y) > 0.9


def test_settings_for_data_alone_are_told():
    model, difference = tw.diagnose(None, SCALED, 1e4 * SCALED[:, 0]).treat()
    assert difference == {"scale_target": True}
    np.testing.assert_array_equal(model.fit_transform(SCALED), SCALED)


# -------------------------------------------------------------- what a function is


def squares(p: Any, power: int = 2) -> float:
    return float((np.asarray(p) ** power).sum())


def wrong_slope(p: Any, factor: float = 3.0) -> Any:
    return factor * np.asarray(p)


class Bowl:
    """A cost as an object, with its gradient and both as methods."""

    def __call__(self, p: Any) -> float:
        return squares(p)

    def gradient(self, p: Any) -> Any:
        return wrong_slope(p)

    def both(self, p: Any) -> Any:
        return squares(p), wrong_slope(p)


class Both(Bowl):
    """A cost that returns its gradient too."""

    def __call__(self, p: Any) -> Any:
        return self.both(p)


def jitted(both: bool) -> Any:
    import jax

    def cost(p: Any) -> Any:
        return (p**2).sum()

    def slope(p: Any) -> Any:
        return 3 * p

    if both:
        return jax.jit(lambda p: (cost(p), slope(p)))
    return jax.jit(cost), jax.jit(slope)


FUNCTIONS: dict[str, Any] = {
    "functions": lambda: (squares, wrong_slope),
    "partials": lambda: (partial(squares, power=2), partial(wrong_slope, factor=3.0)),
    "object and bound method": lambda: (Bowl(), Bowl().gradient),
    "jitted pair": lambda: jitted(both=False),
    "function of both": lambda: lambda p: (squares(p), wrong_slope(p)),
    "bound method of both": lambda: Bowl().both,
    "object of both": Both,
    "partial of both": lambda: partial(Bowl.both, Bowl()),
    "jitted function of both": lambda: jitted(both=True),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_whatever_can_be_called_is_a_function(kind: str):
    found = tw.diagnose(FUNCTIONS[kind](), x0=np.array([1.0, -2.0, 0.5]))
    assert found.subject == "hand-written cost and gradient"
    assert first(found).code == "wrong-gradient"
    with pytest.raises(ValueError, match="without x0"):
        tw.diagnose(FUNCTIONS[kind]())


def test_a_class_is_no_function():
    with pytest.raises(TypeError, match="which it cannot examine"):
        tw.diagnose(tw.MLPClassifier, SCALED, Y, x0=np.ones(2))


class FillsGaps(TransformerMixin, BaseEstimator):
    """Imputes, and is not called so."""

    def fit(self, X: Any, y: Any = None) -> Any:
        return self

    def transform(self, X: Any) -> Any:
        return np.nan_to_num(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class NotAnImputer(StandardScaler):
    """Is called so, and does not impute."""


def imputing(column: int) -> Any:
    """Impute a single column; the others pass through, and columns change places."""
    return make_column_transformer((SimpleImputer(), [column]), remainder="passthrough")


IMPUTING: dict[str, tuple[Any, bool]] = {
    "an imputer": (lambda: SimpleImputer(), True),
    "a pipeline": (lambda: make_pipeline(StandardScaler(), SimpleImputer()), True),
    "one's own": (FillsGaps, True),
    "a function": (lambda: FunctionTransformer(np.nan_to_num), True),
    "the right column": (lambda: imputing(2), True),
    "another column": (lambda: imputing(3), False),
    "a name": (NotAnImputer, False),
}  # fmt: skip


@pytest.mark.parametrize("kind", IMPUTING)
@pytest.mark.parametrize("where", ["X", "X_val"])
def test_a_step_imputes_by_what_it_does_not_by_its_name(kind: str, where: str):
    make, imputes = IMPUTING[kind]
    gaps, held = SCALED[::2].copy(), SCALED[1::2].copy()
    (gaps if where == "X" else held)[::5, 2] = np.nan
    model = make_pipeline(make(), mlp())
    found = tw.diagnose(model, gaps, Y[::2], X_val=held, y_val=Y[1::2], trials=False)
    assert ("nonfinite-data" in found.checked) == imputes
    assert found.facts["data.nonfinite"] == (0 if imputes else 18)


# ------------------------------------------------------------------------- the call


@pytest.mark.slow
def test_a_budget_that_runs_out_counts_only_what_was_done(
    monkeypatch: pytest.MonkeyPatch,
):
    """By a clock that goes on a millisecond whenever it is looked at."""
    broken_off = 0
    for budget in range(0, 80, 4):
        ticks = itertools.count()
        clock = SimpleNamespace(perf_counter=lambda ticks=ticks: next(ticks) / 1000)
        monkeypatch.setattr(trials, "time", clock)
        monkeypatch.setattr(sys.modules[tw.diagnose.__module__], "time", clock)
        found = tw.diagnose(mlp(max_iter=40), X, Y, budget=budget / 1000)
        late = [f.proof for f in found.findings
                if f.proof and f.proof.verdict == "out of budget"]  # fmt: skip
        assert all(np.isfinite([*p.before, *p.after]).all() for p in late)
        assert all(p.gain == pytest.approx(np.mean(p.after) - np.mean(p.before))
                   for p in late if p.before)  # fmt: skip
        broken_off += any(p.before for p in late)
    assert broken_off


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"budget": None}, ValueError, "budget=None; it must be a number of seconds"),
        ({"budget": -1}, ValueError, "0 or more"),
        ({"trails": False}, TypeError, "got trails. Only a DenseNetwork or Network"),
        ({"X_valid": X}, TypeError, "misspelled"),
    ],
)
def test_what_diagnose_does_not_take(options: Any, kind: Any, words: str):
    with pytest.raises(kind, match=words):
        tw.diagnose(mlp(), SCALED, Y, **options)
    if kind is TypeError:
        with pytest.raises(kind, match=words):
            tw.diagnose((np.sum, np.ones_like), x0=np.ones(2), **options)
