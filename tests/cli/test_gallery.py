"""The claim of each picture, at a small scale; and that all of them are drawn."""

import importlib
import runpy
from pathlib import Path

import numpy as np
import pytest

from thalweg.cli import gallery
from thalweg.cli.app import main

IMAGES = gallery.load_images()
EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("plot_*.py"))


def test_momentum_swings_and_sgd_zigzags_down_the_bowl():
    points = gallery.bowl().points
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
    found = gallery.optimizers(IMAGES, n_steps=256)
    summary = {name: row["mean"] for name, row in found.summary().items()}
    assert all(
        summary[name] < summary["sgd"] / 1.5 for name in summary if name != "sgd"
    )
    assert len(gallery.draw_steps(found).axes[0].lines) == 4


@pytest.mark.slow
def test_small_weights_learn_nothing_and_he_learns_fastest():
    found = gallery.initial_weights(IMAGES, n_steps=256)
    small, xavier, he = (row["mean"] for row in found.summary().values())
    assert small == pytest.approx(np.log(10), abs=0.01)
    assert he < xavier < small - 0.1


@pytest.mark.slow
def test_random_search_finds_that_large_rates_work():
    found = gallery.search_rates(IMAGES, n_trials=24, epochs=8)
    rates = [trial.params["learning_rate_init"] for trial in found.ranking()]
    assert np.median(rates[:6]) > 10 * np.median(rates[6:])
    assert found.importances["learning_rate_init"] > 0.5
    curves = gallery.draw_search(found).axes
    assert len(curves) == 20


def test_sigmoid_layers_saturate_gather_or_spread():
    values = {
        name: np.array(seen.activations)
        for name, seen in gallery.layer_values().items()
    }
    wide = values["std 1"]
    assert ((wide < 0.05) | (wide > 0.95)).mean() > 0.6
    assert np.abs(values["std 0.01"] - 0.5).max() < 0.15
    spread = values["Xavier"].std(axis=(1, 2))
    assert (spread > 3 * values["std 0.01"][1:].std()).all()


@pytest.mark.slow
def test_relu_layers_keep_their_size_with_he_weights_alone():
    values = gallery.layer_values(activation="relu")
    sizes = {
        name: [float(np.mean(layer**2)) for layer in seen.activations]
        for name, seen in values.items()
    }
    first, *_, last = sizes["He"]
    assert 0.4 < last / first < 2.5
    assert sizes["Xavier"][-1] < sizes["Xavier"][0] / 4
    assert sizes["std 1"][-1] > 1e4 * sizes["std 1"][0]
    figure = gallery.draw_layers(values)
    assert len(figure.axes) == 20


def test_batch_norm_learns_from_weights_of_any_scale():
    found = gallery.batch_norm(IMAGES, np.array([1.0, 0.01, 0.001]), epochs=10)
    last = {
        (scale, name): comparison.of(name)[0].value
        for scale, comparison in found.items()
        for name in comparison.variants
    }
    for scale in (0.01, 0.001):
        assert last[scale, "batch norm"] > 0.5
        assert last[scale, "none"] < 0.2
    assert last[1.0, "batch norm"] > 0.15
    assert len(gallery.draw_batch_norm(found).axes) == 4


@pytest.mark.slow
def test_decay_and_dropout_narrow_the_gap():
    runs = gallery.overfitting(IMAGES)
    best = {name: train.history.validation_score for name, (train, _) in runs.items()}
    gaps = {
        name: test.history.validation_loss[-1] - train.history.validation_loss[-1]
        for name, (train, test) in runs.items()
    }
    assert best["nothing"][-1] == 1.0
    assert best["weight decay 0.1"].max() < 1.0
    assert best["dropout 0.2"].max() < 1.0
    assert gaps["weight decay 0.1"] < gaps["nothing"] / 2
    assert gaps["dropout 0.2"] < gaps["nothing"]
    assert len(gallery.draw_overfitting(runs).axes) == 3


def test_the_boundary_bends_from_two_units_on():
    runs = gallery.moons(widths=(0, 3, 20), epochs=3000)
    losses = {width: run.history.loss[-1] for width, run in runs.items()}
    assert losses[0] == pytest.approx(0.31, abs=0.02)
    assert losses[3] < 0.1
    assert losses[20] < losses[3]
    figure = gallery.draw_moons(runs)
    assert [ax.get_title() for ax in figure.axes[:3]] == [
        "no hidden layer", "3 units", "20 units",
    ]  # fmt: skip


def test_an_annealed_rate_settles_lower_than_a_constant_one():
    found = gallery.annealing(epochs=10000, seeds=4)
    assert found.winner == "annealed rate"
    assert found.values("constant rate").min() > 0.0705
    assert found.values("annealed rate").max() < 0.0685


def test_an_ensemble_is_better_than_its_mean_member_and_doubts_its_errors():
    found = gallery.ensemble(IMAGES, n_rows=400)
    assert found.together > found.members.mean()
    assert found.doubts[~found.right].mean() > 2 * found.doubts[found.right].mean()
    assert len(gallery.draw_ensemble(found).axes) == 2


@pytest.mark.slow
def test_curvature_goes_down_the_ravine_where_slopes_get_stuck():
    found = gallery.ravine(epochs=200)
    loss = {name: row["mean"] for name, row in found.summary().items()}
    assert loss["Levenberg-Marquardt"] < loss["L-BFGS"] < loss["Adam"]
    assert loss["L-BFGS"] < loss["SGD"]
    assert "Unequal budgets" in " ".join(found.notes)
    assert len(gallery.draw_ravine(found).axes) == 2


@pytest.mark.slow
def test_the_gallery_writes_each_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    quick = {name: gallery.FIGURES[name] for name in ("1_bowl", "4_layers_tanh")}
    monkeypatch.setattr(gallery, "FIGURES", quick)
    drawn = dict(gallery.draw_gallery(tmp_path / "out"))
    assert [path.name for path in drawn.values()] == ["1_bowl.png", "4_layers_tanh.png"]
    for path in drawn.values():
        data = path.read_bytes()
        assert data[:4] == b"\x89PNG"
        assert int.from_bytes(data[16:20], "big") == 600


@pytest.mark.slow
def test_the_command_names_each_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(gallery, "FIGURES", {"1_bowl": gallery.FIGURES["1_bowl"]})
    with pytest.raises(SystemExit) as ended:
        main(["gallery", str(tmp_path / "new" / "out")])
    assert not ended.value.code
    path = tmp_path / "new" / "out" / "1_bowl.png"
    assert capsys.readouterr().out == f"{path}  Four optimizers in one bowl\n"
    assert path.stat().st_size > 5000


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_draw(path: Path):
    pyplot = importlib.import_module("matplotlib.pyplot")
    runpy.run_path(str(path))
    figures = [pyplot.figure(number) for number in pyplot.get_fignums()]
    assert all(ax.has_data() for figure in figures for ax in figure.axes)
    assert figures
    pyplot.close("all")
