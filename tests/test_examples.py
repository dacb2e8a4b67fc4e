"""The examples that draw: that they do, and that what each says is true."""

import importlib
import runpy
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("plot_*.py"))


@cache
def run(name: str) -> dict[str, Any]:
    """Run an example; return what it computed, and its figures."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    pyplot.close("all")
    before, sys.argv = sys.argv, [name]
    try:
        found = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    finally:
        sys.argv = before
    found["figures"] = [pyplot.figure(number) for number in pyplot.get_fignums()]
    pyplot.close("all")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_examples_draw(name: str):
    figures = run(name)["figures"]
    assert figures
    assert all(ax.has_data() for figure in figures for ax in figure.axes)
    for figure in figures:  # each panel says what its axes are
        images = [ax for ax in figure.axes if not ax.axison]
        labels = [ax.get_xlabel() for ax in figure.axes]
        assert any(labels) or figure.get_supxlabel() or images


def test_momentum_swings_and_sgd_zigzags_down_the_bowl():
    points = run("plot_bowl")["paths"].points
    turns = {
        name: int((np.diff(np.sign(np.diff(path[:, 1]))) != 0).sum())
        for name, path in points.items()
    }
    ends = {name: np.abs(path[-1]) for name, path in points.items()}
    assert turns["SGD"] == 29  # up and down at each step
    assert 2 <= turns["momentum"] <= 6
    assert turns["AdaGrad"] <= 1
    assert turns["Adam"] <= 2
    assert all(path.shape == (31, 2) for path in points.values())
    assert all((end < 1.0).all() for end in ends.values())


@pytest.mark.slow
def test_three_optimizers_lie_below_sgd():
    found = run("plot_optimizers")["comparison"]
    loss = {name: row["mean"] for name, row in found.summary().items()}
    assert all(loss[name] < loss["sgd"] / 1.5 for name in loss if name != "sgd")
    assert len(run("plot_optimizers")["figures"][0].axes[0].lines) == 4


@pytest.mark.slow
def test_small_weights_learn_nothing_and_he_learns_fastest():
    found = run("plot_initial_weights")["comparison"]
    small, xavier, he = (row["mean"] for row in found.summary().values())
    assert small == pytest.approx(np.log(10), abs=0.01)
    assert he < xavier < small - 0.1


@pytest.mark.slow
def test_random_search_finds_that_large_rates_work():
    found = run("plot_search")["found"]
    rates = [trial.params["learning_rate_init"] for trial in found.ranking()]
    assert np.median(rates[:10]) > 10 * np.median(rates[10:])
    assert found.importances["learning_rate_init"] > 0.5
    assert len(run("plot_search")["figures"][0].axes) == 20


@pytest.mark.slow
def test_sigmoid_layers_saturate_gather_or_spread():
    values = {
        name: np.array(seen.activations)
        for name, seen in run("plot_layers")["logistic"].items()
    }
    wide = values["std 1"]
    assert ((wide < 0.05) | (wide > 0.95)).mean() > 0.6
    assert np.abs(values["std 0.01"] - 0.5).max() < 0.15
    spread = values["Xavier"].std(axis=(1, 2))
    assert (spread > 3 * values["std 0.01"][1:].std()).all()


@pytest.mark.slow
def test_relu_layers_keep_their_size_with_he_weights_alone():
    sizes = {
        name: [float(np.mean(layer**2)) for layer in seen.activations]
        for name, seen in run("plot_layers")["relu"].items()
    }
    first, *_, last = sizes["He"]
    assert 0.4 < last / first < 2.5
    assert sizes["Xavier"][-1] < sizes["Xavier"][0] / 4
    assert sizes["std 1"][-1] > 1e4 * sizes["std 1"][0]
    assert [len(each.axes) for each in run("plot_layers")["figures"]] == [20, 20, 20]


@pytest.mark.slow
def test_batch_norm_learns_from_weights_of_any_scale():
    comparisons = run("plot_batch_norm")["comparisons"]
    last = {
        (float(scale), name): comparison.of(name)[0].value
        for scale, comparison in comparisons.items()
        for name in comparison.variants
    }
    assert all(value > 0.15 for (_, name), value in last.items() if name != "none")
    for scale in [scale for scale in map(float, comparisons) if scale < 0.02]:
        assert last[scale, "none"] < 0.2
        assert scale < 0.0005 or last[scale, "batch norm"] > 0.5
    assert len(run("plot_batch_norm")["figures"][0].axes) == 16


@pytest.mark.slow
def test_decay_and_dropout_narrow_the_gap():
    runs = run("plot_overfitting")["runs"]
    best = {name: runs[name, "training"].history.validation_score for name, _ in runs}
    gaps = {
        name: runs[name, "test"].history.validation_loss[-1]
        - runs[name, "training"].history.validation_loss[-1]
        for name, _ in runs
    }
    assert best["nothing"][-1] == 1.0
    assert best["weight decay 0.1"].max() < 1.0
    assert best["dropout 0.2"].max() < 1.0
    assert gaps["weight decay 0.1"] < gaps["nothing"] / 2
    assert gaps["dropout 0.2"] < gaps["nothing"]
    assert len(run("plot_overfitting")["figures"][0].axes) == 3


@pytest.mark.slow
def test_the_boundary_bends_from_two_units_on():
    runs = run("plot_moons")["runs"]
    losses = {width: each.history.loss[-1] for width, each in runs.items()}
    assert losses[0] == pytest.approx(0.31, abs=0.02)
    assert losses[3] < 0.1
    assert losses[20] < losses[3]
    titles = [ax.get_title() for ax in run("plot_moons")["figures"][1].axes]
    assert titles[:3] == ["no hidden layer", "1 unit", "2 units"]
    assert len(titles) == 8


@pytest.mark.slow
def test_an_annealed_rate_settles_lower_than_a_constant_one():
    found = run("plot_annealing")["comparison"]
    assert found.winner == "annealed rate"
    assert found.values("constant rate").min() > 0.0705
    assert found.values("annealed rate").max() < 0.0685


@pytest.mark.slow
def test_an_ensemble_is_better_than_its_mean_member_and_doubts_its_errors():
    found = run("plot_ensemble")
    doubts, right = found["disagreement"], found["right"]
    assert found["together"] > found["members"].mean()
    assert doubts[~right].mean() > 2 * doubts[right].mean()
    assert len(found["figures"][0].axes) == 2


@pytest.mark.slow
def test_curvature_goes_down_the_ravine_where_slopes_get_stuck():
    found = run("plot_ravine")["comparison"]
    loss = {name: row["mean"] for name, row in found.summary().items()}
    assert loss["Levenberg-Marquardt"] < loss["L-BFGS"] < loss["Adam"]
    assert loss["L-BFGS"] < loss["SGD"]
    assert "Unequal budgets" in " ".join(found.notes)
    assert len(run("plot_ravine")["figures"][0].axes) == 2
