"""Displays, tested by what they draw."""

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import thalweg as tw
from thalweg import plots
from thalweg.comparison.result import Comparison, Difference, Trial
from thalweg.core.history import History, Run, StopReason
from thalweg.core.layer_values import LayerValues, Paths
from thalweg.display import style

N = 12
CURVES: dict[str, Any] = {
    "loss": np.geomspace(1.0, 1e-4, N),
    "gradient_norm": np.linspace(2.0, 1.0, N),
    "rate": np.full(N, 0.1),
    "seconds": np.linspace(0.1, 1.2, N),
}
VALIDATED: dict[str, Any] = {
    **CURVES,
    "validation_loss": np.linspace(1.0, 0.5, N),
    "validation_score": np.linspace(0.5, 0.9, N),
}


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def make_run(columns: dict[str, Any], best_epoch: int = N) -> Run:
    network = tw.DenseNetwork.from_sizes((4, 3, 2))
    return Run(
        network=network,
        plan=tw.Plan(),
        parameters=network.draw(0),
        history=History.from_columns(columns),
        stop_reason=StopReason.MAX_EPOCHS,
        why="",
        engine="",
        best_epoch=best_epoch,
    )


def make_comparison(**lost: int) -> Comparison:
    """Two seeds of three variants; `lost` says at which epoch one diverged."""
    trials = []
    for number, name in enumerate(("sgd", "adam", "lbfgs"), 1):
        for seed in range(2):
            kept = lost.get(name, N)
            columns = {k: number * v[:kept] for k, v in VALIDATED.items()}
            trials.append(
                Trial(
                    variant=name,
                    seed=seed,
                    value=np.nan if name in lost else number + seed / 10,
                    passes=float(N),
                    updates=float(N),
                    n_parameters=3,
                    seconds=1.0,
                    why="",
                    diverged=name in lost,
                    history=History.from_columns(columns),
                )
            )
    pairs = (
        Difference("adam", "sgd", 1.0, (0.5, 1.5), 0.01),
        Difference("lbfgs", "sgd", 2.0, (-0.5, 4.5), 0.3),
    )
    return Comparison("validation score", True, tuple(trials), pairs, "", "")


def labels(ax: Any) -> list[str]:
    return ax.get_legend_handles_labels()[1]


def is_outside(ax: Any) -> bool:
    """Tell whether the legend is beside or above the data, inside the figure."""
    ax.figure.draw_without_rendering()
    legend, data = ax.get_legend().get_window_extent(), ax.get_window_extent()
    whole = ax.figure.bbox
    inside_figure = legend.x1 <= whole.x1 + 1 and legend.y1 <= whole.y1 + 1
    return inside_figure and (legend.x0 >= data.x1 - 1 or legend.y0 >= data.y1 - 1)


def test_a_training_has_a_panel_for_each_thing_recorded():
    display = plots.TrainingDisplay.from_run(make_run(VALIDATED, best_epoch=5))
    loss, score, rate, norm = display.ax_
    assert [ax.get_ylabel() for ax in display.ax_] == [
        "loss", "validation score", "learning rate", "gradient norm",
    ]  # fmt: skip
    assert labels(loss) == ["training", "validation"]
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), CURVES["loss"])
    np.testing.assert_array_equal(loss.lines[0].get_xdata(), np.arange(1, N + 1))
    assert labels(score) == ["validation", "best: epoch 5"]
    assert (loss.get_yscale(), norm.get_yscale()) == ("log", "linear")
    assert len(rate.lines) == 1
    assert is_outside(loss)
    assert display.figure_ is loss.figure


def test_long_curves_are_smoothed_over_their_faint_raw_lines():
    raw = np.random.RandomState(0).uniform(1, 2, 400)
    _, axes = plots.new_figure()
    run = make_run({"loss": raw})
    plots.TrainingDisplay.from_run(run, what="loss", ax=axes[0, 0])
    faint, smooth = axes[0, 0].lines
    np.testing.assert_array_equal(faint.get_ydata(), raw)
    assert faint.get_alpha() < 0.5
    assert np.std(smooth.get_ydata()) < np.std(raw) / 2


def test_smoothing_is_the_mean_of_the_neighbors_there_are():
    values = np.array([1.0, 2.0, np.nan, 4.0, 9.0])
    np.testing.assert_allclose(style.smooth(values, 3), [1.5, 1.5, 3.0, 6.5, 6.5])
    np.testing.assert_array_equal(style.smooth(values, 1), values)
    assert len(style.smooth(values[:2], 5)) == 2


@pytest.mark.parametrize(
    ("columns", "what", "words"),
    [
        (CURVES, "score", r"was not recorded. Pass validation=0.2"),
        ({"loss": [1.0]}, "rate", "was not recorded. Only first-order optimizers"),
        (CURVES, "lost", "must be one of 'loss', 'score'"),
    ],
)
def test_what_was_not_recorded_says_which_option_records_it(
    columns: dict[str, Any], what: str, words: str
):
    with pytest.raises(ValueError, match=words):
        plots.TrainingDisplay.from_run(make_run(columns), what=what)


def test_estimators_are_drawn_by_their_history():
    fitted = SimpleNamespace(history_=History.from_columns(CURVES))
    display = plots.TrainingDisplay.from_estimator(fitted)
    assert len(display.ax_) == 3
    with pytest.raises(ValueError, match="has no history_"):
        plots.TrainingDisplay.from_estimator(object())


def test_a_comparison_has_a_line_and_a_range_a_variant():
    display = make_comparison().plot()
    ax = display.ax_
    assert labels(ax) == ["sgd", "adam", "lbfgs"]
    assert len(ax.lines) == len(ax.collections) == 3
    np.testing.assert_allclose(ax.lines[1].get_ydata(), 2 * CURVES["loss"])
    assert len({line.get_color() for line in ax.lines}) == 3
    assert set(style.COLORS) >= {line.get_color() for line in ax.lines}
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "epoch or iteration"
    assert is_outside(ax)


def test_a_comparison_is_drawn_against_time_and_passes():
    by_time = make_comparison().plot(what="validation_loss", against="seconds").ax_
    assert by_time.get_xlabel() == "time [s]"
    assert by_time.lines[2].get_xdata()[-1] == pytest.approx(3 * 1.2)
    assert make_comparison().plot(against="passes").ax_.get_xlabel() == (
        "passes over the rows"
    )


@pytest.mark.parametrize("epochs", [4, 0])
def test_a_variant_that_diverged_is_drawn_as_such(epochs: int):
    ax = make_comparison(adam=epochs).plot().ax_
    assert sorted(labels(ax)) == ["adam (diverged)", "lbfgs", "sgd"]
    crosses = [line for line in ax.lines if line.get_marker() == "x"]
    assert len(crosses) == 1
    if epochs:
        assert crosses[0].get_xdata()[0] == epochs


def test_a_comparison_of_what_was_not_recorded_says_so():
    found = make_comparison()
    bare = [Trial("a", 0, 1.0, 1.0, 1.0, 1, 1.0, "", False, None) for _ in found.trials]
    empty = Comparison("score", True, tuple(bare), (), "", "")
    with pytest.raises(ValueError, match=r"validation=0.2\) records it"):
        empty.plot(what="validation_loss")
    with pytest.raises(ValueError, match="keep a history"):
        empty.plot()
    with pytest.raises(ValueError, match=r"compare\(seeds=5\) records them"):
        plots.DifferenceDisplay.from_comparison(empty)
    with pytest.raises(ValueError, match="must be one of 'loss'"):
        found.plot(what="speed")


def test_a_sweep_has_a_point_a_seed_and_a_mean_a_variant():
    ax = plots.SweepDisplay.from_comparison(make_comparison(adam=3), xlabel="units").ax_
    means = ax.lines[-1].get_ydata()
    np.testing.assert_allclose(means, [1.05, np.nan, 3.05])
    assert [len(line.get_xdata()) for line in ax.lines[:3]] == [2, 2, 2]
    assert [text.get_text() for text in ax.texts] == ["diverged"]
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert ticks == ["sgd", "adam", "lbfgs"]


def test_differences_have_a_bar_each_filled_where_they_are_certain():
    ax = plots.DifferenceDisplay(make_comparison()).plot().ax_
    bars = [line for line in ax.lines if len(line.get_xdata()) == 2]
    spans = [tuple(bar.get_xdata()) for bar in bars[:2]]
    assert spans == [(-0.5, 4.5), (0.5, 1.5)]
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert dots[0].get_markerfacecolor() == "white"
    assert dots[1].get_markerfacecolor() != "white"


def test_layers_are_histograms_of_shares():
    layer = np.linspace(0, 1, 100).reshape(10, 10)
    values = LayerValues((layer, layer[:, :5]), (layer, layer))
    display = plots.LayersDisplay.from_values(values, bins=10)
    assert len(display.ax_) == 2
    heights = [patch.get_height() for patch in display.ax_[0].patches]
    np.testing.assert_allclose(heights, np.full(10, 0.1))
    half = plots.LayersDisplay(values).plot("weights", span=(0.0, 0.5))
    assert [text.get_text() for text in half.ax_[0].texts] == ["50% outside"]
    with pytest.raises(ValueError, match="with y to record it"):
        plots.LayersDisplay(values).plot("gradients")
    with pytest.raises(ValueError, match="must be one of 'activations'"):
        plots.LayersDisplay(values).plot("biases")


def test_first_weights_are_tiles():
    run = make_run(CURVES)
    display = plots.WeightsDisplay.from_run(run)
    (image,) = display.ax_.images
    assert image.get_array().shape == (5, 5)  # two rows and columns of 2 × 2
    first = np.linalg.norm(run.parameters[0]["weights"], axis=0).argmax()
    tile = run.parameters[0]["weights"][:, first].reshape(2, 2)
    np.testing.assert_array_equal(image.get_array()[:2, :2], tile)
    fitted = SimpleNamespace(coefs_=[run.parameters[0]["weights"]])
    assert plots.WeightsDisplay.from_estimator(fitted, most=1).ax_.images
    with pytest.raises(ValueError, match=r"shape=\(3, 2\) for 4 inputs"):
        plots.WeightsDisplay.from_run(run, shape=(3, 2))


def test_paths_are_drawn_over_contours_together_or_apart():
    x, y = np.linspace(-1, 1, 11), np.linspace(-2, 2, 9)
    points = {"a": np.array([[1.0, 1], [0, 0]]), "b": np.array([[1.0, 1], [0, 1]])}
    paths = Paths(points, x, y, x**2 + y[:, None] ** 2)
    together = plots.PathsDisplay.from_paths(paths)
    assert labels(together.ax_) == ["a", "b"]
    assert is_outside(together.ax_)
    np.testing.assert_array_equal(together.ax_.lines[0].get_xdata(), [1, 0])
    apart = plots.PathsDisplay(paths).plot(apart=True)
    assert [ax.get_title() for ax in apart.ax_] == ["a", "b"]


def test_a_boundary_lies_where_the_classifier_says():
    X = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    y = np.array([0, 1, 0, 1])

    def left_or_right(rows: Any) -> Any:
        right = (rows[:, 0] > 0.5).astype(float)
        return np.column_stack([1 - right, right])

    ax = plots.BoundaryDisplay.from_predictor(left_or_right, X, y).ax_
    points = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in points] == [2, 2]
    (line,) = [c for c in ax.collections if not c.get_facecolor().size]
    across = np.concatenate([path.vertices[:, 0] for path in line.get_paths()])
    np.testing.assert_allclose(across, 0.5, atol=0.01)
    assert labels(ax) == ["0", "1"]
    model = SimpleNamespace(predict_proba=left_or_right, classes_=np.array([0, 1]))
    assert plots.BoundaryDisplay.from_estimator(model, X, y, legend=False).ax_
    with pytest.raises(ValueError, match="Give X with two columns"):
        plots.BoundaryDisplay.from_predictor(left_or_right, X[:, :1], y)


def test_a_search_shows_the_best_so_far():
    values = np.array([0.5, np.nan, 0.9, 0.7])
    ax = plots.SearchDisplay(values).plot().ax_
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [0.5, 0.5, 0.9, 0.9])
    assert labels(ax) == ["trial", "best so far"]
    down = plots.SearchDisplay(values, "loss", greater_is_better=False).plot().ax_
    np.testing.assert_array_equal(down.lines[1].get_ydata(), [0.5] * 4)


def test_axes_of_another_number_are_refused():
    _, axes = plots.new_figure(1, 3)
    with pytest.raises(ValueError, match="got 3 axes for 2 panels"):
        plots.TrainingDisplay.from_run(make_run(CURVES), what=["loss", "rate"], ax=axes)


def test_drawing_changes_nothing_that_was_recorded():
    found = make_comparison(adam=4)
    before = found.to_json()
    found.plot(window=3)
    plots.SweepDisplay(found).plot()
    assert found.to_json() == before


@pytest.mark.integration
@pytest.mark.slow
def test_a_figure_for_a_file_needs_no_screen_and_no_back_end():
    code = (
        "import sys, io; from thalweg import plots; import numpy as np;"
        "figure, axes = plots.new_figure();"
        "plots.SearchDisplay(np.ones(3)).plot(ax=axes[0, 0]);"
        "figure.savefig(io.BytesIO());"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_matplotlib_the_extra_to_install_is_named(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match=r"pip install 'thalweg\[plots\]'"):
        plots.new_figure()
