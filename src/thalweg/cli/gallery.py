"""The pictures of a chapter on training, each from one call on real data.

A picture is two functions: one that computes records, at any scale, and one that draws
them. The tests compute the same records at a small scale and check what the picture is
there to show. `draw_gallery` draws them all, in files of 600 pixels' width, which is
what ``thalweg gallery`` does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from thalweg import datasets, plots
from thalweg.comparison import Comparison, compare, judge_steps
from thalweg.core import Array, DenseNetwork, LayerValues, Paths, Run
from thalweg.display import COLORS, draw_curves, legend_above, tidy
from thalweg.estimators import Ensemble, MLPClassifier
from thalweg.io import PathLike
from thalweg.training import descend, fit, look_inside, predict, train_steps
from thalweg.tuning import SearchResult, search


@dataclass(frozen=True, eq=False)
class Images:
    """Pictures of ten classes, to train and to test on."""

    name: str
    X: Array
    y: Array
    X_test: Array
    y_test: Array

    def first(self, n: int) -> "Images":
        """Return the same with fewer rows to train on, and at most 2000 to test on."""
        few, many = slice(n), slice(2000)
        rows = (self.X[few], self.y[few], self.X_test[many], self.y_test[many])
        return Images(self.name, *rows)


def load_images(folder: PathLike | None = None) -> Images:
    """Return MNIST from a folder, or scikit-learn's digits without one."""
    if folder is not None:
        (X, y), (X_test, y_test) = datasets.mnist(folder)
        return Images("MNIST", X, y, X_test, y_test)
    X, y = datasets.digits()
    parts: list[Any] = train_test_split(
        X.astype(np.float32), y, test_size=0.25, random_state=0, stratify=y
    )
    return Images("digits", parts[0], parts[2], parts[1], parts[3])


def draw_gallery(
    out: PathLike, folder: PathLike | None = None
) -> Iterator[tuple[str, Path]]:
    """Draw all pictures, one after the other.

    Parameters
    ----------
    out : str or path-like
        Folder for the PNG files; made if need be.
    folder : str or path-like, optional
        Where MNIST's files are; scikit-learn's digits are used without it.

    Yields
    ------
    caption : str
        What the picture shows.
    path : Path
        Where it is.
    """
    images = load_images(folder)
    Path(out).mkdir(parents=True, exist_ok=True)
    for name, (caption, compute, draw) in FIGURES.items():
        path = Path(out) / f"{name}.png"
        draw(compute(images)).savefig(path)
        yield caption, path


_RULES = {
    "SGD": {"optimizer": "sgd", "learning_rate": 0.95},
    "momentum": {"optimizer": "momentum", "learning_rate": 0.1},
    "AdaGrad": {"optimizer": "adagrad", "learning_rate": 1.5},
    "Adam": {"optimizer": "adam", "learning_rate": 0.3},
}


def bowl(images: Images | None = None, steps: int = 30) -> Paths:
    """Follow four optimizers down x²/20 + y² from (−7, 2)."""
    return descend(_RULES, steps=steps)


def draw_bowl(paths: Paths) -> Any:
    """Draw each way in a panel of its own."""
    figure, axes = plots.new_figure(2, 2, 6.0, 4.6)
    plots.PathsDisplay(paths).plot(ax=axes, apart=True)
    figure.suptitle("Thirty steps down x²/20 + y²", fontsize=10)
    return figure


def five_layers(images: Images, init: Any) -> DenseNetwork:
    """Return four hidden layers of 100 ReLU units and an output layer."""
    return DenseNetwork.from_sizes((images.X.shape[1], *[100] * 4, 10), init=init)


def _steps(images: Images, variants: Mapping[str, Any], n_steps: int) -> Comparison:
    common = {"loss": "cross_entropy", "batch_size": 128}
    runs = {
        name: [
            train_steps(
                five_layers(images, init=init), images.X, images.y, n_steps,
                random_state=seed, optimizer=optimizer, learning_rate=rate, **common,
            )
            for seed in range(3)
        ]
        for name, (init, optimizer, rate) in variants.items()
    }  # fmt: skip
    return judge_steps(runs)


def optimizers(images: Images, n_steps: int = 2000) -> Comparison:
    """Train five layers with four optimizers, batch 128."""
    rates = {"sgd": 0.01, "momentum": 0.01, "adagrad": 0.01, "adam": 0.001}
    variants = {name: ("he_normal", name, rate) for name, rate in rates.items()}
    return _steps(images, variants, n_steps)


_INITS = {
    "std 1": ("normal", {"std": 1.0}),
    "std 0.01": ("normal", {"std": 0.01}),
    "Xavier": "xavier",
    "He": "he_normal",
}


def initial_weights(images: Images, n_steps: int = 2000) -> Comparison:
    """Train five ReLU layers by SGD from three kinds of first weights."""
    chosen = ("std 0.01", "Xavier", "He")
    variants = {name: (_INITS[name], "sgd", 0.01) for name in chosen}
    return _steps(images, variants, n_steps)


def draw_steps(comparison: Comparison) -> Any:
    """Draw the loss of each update, smoothed."""
    figure, axes = plots.new_figure(1, 1, 6.0, 3.6)
    window = max(len(comparison.trials[0].history or ()) // 50, 1)
    plots.ComparisonDisplay(comparison).plot(ax=axes[0, 0], window=window)
    axes[0, 0].set_xlabel("step", fontsize=9)
    return figure


def layer_values(
    images: Images | None = None, activation: str = "logistic"
) -> dict[str, LayerValues]:
    """Look into five layers of 100 units, given 1000 Gaussian rows, untrained."""
    X = np.random.RandomState(0).standard_normal((1000, 100))
    both: dict[str, Any] = {"activation": activation, "output_activation": activation}
    return {
        name: look_inside(
            DenseNetwork.from_sizes([100] * 6, init=init, **both), X, random_state=1
        )
        for name, init in _INITS.items()
    }


def draw_layers(values: Mapping[str, LayerValues]) -> Any:
    """Draw a row of histograms for each kind of first weights."""
    figure, axes = plots.new_figure(len(values), 5, 6.0, 5.4)
    flat = np.concatenate([layer.ravel() for layer in values["Xavier"].activations])
    span = (0.0 if flat.min() >= 0 else -1.0, max(float(flat.max()), 1.0))
    for row, (name, own) in zip(axes, values.items(), strict=True):
        plots.LayersDisplay(own).plot(ax=row, span=span)
        row[0].set_ylabel(f"{name}\nshare", fontsize=8)
    for each in axes[1:].ravel():
        each.set_title("")
    return figure


def batch_norm(
    images: Images, scales: Array | None = None, epochs: int = 20
) -> dict[float, Comparison]:
    """Train on 1000 images with and without batch norm, from weights of any scale."""
    few = images.first(1000)
    variants = {"batch norm": {"normalization": "batch"}, "none": {}}
    scales = np.logspace(0, -4, 16) if scales is None else scales
    return {
        float(scale): compare(
            variants, few.X, few.y,
            hidden=[100] * 4,
            init=("normal", {"std": float(scale)}),
            optimizer="sgd",
            learning_rate=0.01,
            batch_size=100,
            epochs=epochs,
            seeds=1,
            validation=(few.X, few.y),
        )
        for scale in scales
    }  # fmt: skip


def draw_batch_norm(found: Mapping[float, Comparison]) -> Any:
    """Draw a panel a scale."""
    rows = -(-len(found) // 4)
    figure, axes = plots.new_figure(rows, 4, 6.0, 1.25 * rows + 0.6)
    for ax, (scale, comparison) in zip(axes.ravel(), found.items(), strict=False):
        plots.ComparisonDisplay(comparison).plot(
            "validation_score", ax=ax, legend=False
        )
        ax.set_title(f"std {scale:.2g}", fontsize=8)
        ax.set(xlabel="", ylabel="", ylim=(0, 1.02))
        ax.label_outer()
    figure.supxlabel("epoch", fontsize=9)
    _legend_above(figure, axes.ravel()[len(found) - 1])
    figure.supylabel("training accuracy (a cross: diverged)", fontsize=9)
    return figure


def _legend_above(figure: Any, ax: Any) -> None:
    """Give all panels the legend of one."""
    lines, names = ax.get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=4, fontsize=8)


_REMEDIES = {
    "nothing": ({}, {}, 200),
    "weight decay 0.1": ({}, {"weight_decay": 0.1}, 200),
    "dropout 0.2": ({"dropout": 0.2}, {}, 300),
}


def overfitting(images: Images, share: float = 1.0) -> dict[str, list[Run]]:
    """Train seven layers on 300 images; each run twice, watched on other rows.

    Over five seeds on MNIST the gap between training and test accuracy was 0.297 ±
    0.013 (one standard error) without a remedy and 0.234 ± 0.011 with decay. Dropout
    held training accuracy at 0.967 and narrowed the gap in loss, but not that in
    accuracy: 0.291 ± 0.011 after 300 epochs, against 0.292 ± 0.013.
    """
    few = images.first(300)
    sizes = (few.X.shape[1], *[100] * 6, 10)
    watched = (few.X, few.y), (few.X_test, few.y_test)
    return {
        name: [
            fit(
                DenseNetwork.from_sizes(sizes, init="he_normal", **hidden),
                few.X, few.y,
                loss="cross_entropy", optimizer="sgd", learning_rate=0.01,
                batch_size=100, epochs=max(int(share * epochs), 1), random_state=0,
                validation=rows, restore_best=False, **settings,
            )
            for rows in watched
        ]
        for name, (hidden, settings, epochs) in _REMEDIES.items()
    }  # fmt: skip


def draw_overfitting(runs: Mapping[str, Sequence[Run]]) -> Any:
    """Draw training and test accuracy, a panel a remedy."""
    figure, axes = plots.new_figure(1, len(runs), 6.0, 2.8)
    for ax, (name, (train, test)) in zip(axes[0], runs.items(), strict=True):
        scores = {
            "training": train.history.validation_score,
            "test": test.history.validation_score,
        }
        draw_curves(ax, scores, "epoch", "accuracy", legend=ax is axes[0, -1])
        ax.set_title(name, fontsize=9)
        ax.set_ylim(0, 1.02)
        ax.label_outer()
    return figure


_ON_MOONS = {
    "loss": "cross_entropy", "optimizer": "sgd", "batch_size": None, "l2": 0.01,
    "learning_rate": 2.0,  # 0.01 a row
}  # fmt: skip


def moons(
    images: Images | None = None,
    widths: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 20, 50),
    epochs: int = 20000,
) -> dict[int, Run]:
    """Train one hidden layer of tanh units on the moons; width 0 has none."""
    X, y = datasets.moons()
    settings = {"random_state": 0, "epochs": epochs, **_ON_MOONS}
    runs = {}
    for width in widths:
        sizes = (2, *[width] * (width > 0), 2)
        network = DenseNetwork.from_sizes(sizes, activation="tanh")
        runs[width] = fit(network, X, y, **settings)
    return runs


def draw_moons(runs: Mapping[int, Run]) -> Any:
    """Draw the boundary of each width."""
    X, y = datasets.moons()
    rows = -(-len(runs) // 4)
    figure, axes = plots.new_figure(rows, 4, 6.0, 1.7 * rows + 0.3)
    for ax, (width, run) in zip(axes.ravel(), runs.items(), strict=False):
        plots.BoundaryDisplay.from_predictor(
            lambda rows, run=run: predict(run, rows), X, y, ax=ax, legend=False
        )
        title = f"{width} unit{'s' * (width > 1)}" if width else "no hidden layer"
        ax.set_title(title, fontsize=8)
        ax.label_outer()
    return figure


def annealing(
    images: Images | None = None, epochs: int = 20000, seeds: int = 5
) -> Comparison:
    """Train three tanh units on the moons with a constant and an annealed rate.

    The rate must not fall too fast: with a decay of 0.01 in place of 0.001 four
    networks of ten ended above 0.075, and none at the 0.068 that all ten reach here.
    """
    X, y = datasets.moons()
    annealed = {"schedule": ("inverse_time", {"decay": 0.001})}
    return compare(
        {"constant rate": {}, "annealed rate": annealed}, X, y,
        hidden=[3], activation="tanh", epochs=epochs, seeds=seeds,
        validation=None, by="training loss", **_ON_MOONS,
    )  # fmt: skip


def draw_annealing(comparison: Comparison) -> Any:
    """Draw the loss against the epoch: all of it, and where it settles."""
    figure, (axes,) = plots.new_figure(1, 2, 6.0, 3.2)
    for ax in axes:
        plots.ComparisonDisplay.from_comparison(comparison, ax=ax, legend=False)
        ax.set(xscale="log", xlabel="epoch")
    axes[0].set_yscale("log")
    axes[1].set(yscale="linear", xlim=(500, None), ylim=(0.067, 0.076), ylabel="")
    _legend_above(figure, axes[0])
    return figure


@dataclass(frozen=True, eq=False)
class Averaged:
    """An ensemble's accuracy beside its members', and its doubts row by row."""

    members: Array
    together: float
    doubts: Array
    right: Array


def ensemble(images: Images, n_rows: int = 1000) -> Averaged:
    """Train five networks on samples of the rows, and average them."""
    few = images.first(n_rows)
    member = MLPClassifier(
        (50,), learning_rate_init=0.003, tol=0.01, n_iter_no_change=5
    )
    model = Ensemble(member, bootstrap=True, random_state=0).fit(few.X, few.y)
    scores = [each.score(few.X_test, few.y_test) for each in model.members_]
    answers = model.predict(few.X_test)
    return Averaged(
        members=np.array(scores),
        together=float(np.mean(answers == few.y_test)),
        doubts=model.disagreement(few.X_test),
        right=answers == few.y_test,
    )


def draw_ensemble(found: Averaged) -> Any:
    """Draw accuracies, and the members' disagreement where they err or do not."""
    figure, (axes,) = plots.new_figure(1, 2, 6.0, 3.0)
    blue, red = COLORS[:2]
    number = np.arange(1, len(found.members) + 1)
    axes[0].plot(number, found.members, "o", color=blue, label="members")
    axes[0].axhline(found.together, color=red, label="ensemble")
    axes[0].set_xticks(number)
    tidy(axes[0], "member", "test accuracy")
    edges = np.linspace(0, found.doubts.max() or 1.0, 16)
    answers = {"right": (found.right, blue), "wrong": (~found.right, red)}
    for name, (rows, color) in answers.items():
        doubts = found.doubts[rows]
        shares = np.full(len(doubts), 1 / max(len(doubts), 1))
        axes[1].hist(doubts, edges, weights=shares, color=color, alpha=0.6, label=name)
    tidy(axes[1], "disagreement [nats]", "share of rows")
    for ax in axes:
        legend_above(ax)
    return figure


def ravine(images: Images | None = None, epochs: int = 1000) -> Comparison:
    """Fit a wave with ten tanh units, by four methods from the same weights."""
    X = np.linspace(-1, 1, 64)[:, None]
    variants = {
        "SGD": {"optimizer": "sgd", "learning_rate": 0.1},
        "Adam": {"optimizer": "adam", "learning_rate": 0.01},
        "L-BFGS": {"optimizer": ("lbfgs", {"ftol": 0.0, "gtol": 0.0})},
        "Levenberg-Marquardt": {"optimizer": "levenberg-marquardt"},
    }
    # The first time is for importing and compiling, which would be most of the seconds.
    for most in (2, epochs):
        found = compare(
            variants, X, np.sin(6 * X[:, 0]),
            hidden=[10], activation="tanh", batch_size=None, epochs=most, seeds=1,
            validation=None, by="training loss", n_jobs=1,
        )  # fmt: skip
    return found


def draw_ravine(comparison: Comparison) -> Any:
    """Draw the loss against evaluations, and against seconds."""
    figure, (axes,) = plots.new_figure(1, 2, 6.0, 3.2)
    display = plots.ComparisonDisplay(comparison)
    display.plot(against="passes", ax=axes[0], legend=False)
    display.plot(against="seconds", ax=axes[1], legend=False)
    for ax in axes:
        ax.set(xscale="log", yscale="log")
    axes[1].set_ylabel("")
    _legend_above(figure, axes[0])
    return figure


def search_rates(images: Images, n_trials: int = 100, epochs: int = 50) -> SearchResult:
    """Try pairs of learning rate and decay at random: seven layers, 500 images."""
    few = images.first(500)
    batch = 100
    model = MLPClassifier(
        (100,) * 6, solver="sgd", momentum=0.0, nesterovs_momentum=False,
        init="he_normal", batch_size=batch, max_iter=epochs, n_iter_no_change=np.inf,
    )  # fmt: skip
    space = {
        "learning_rate_init": (1e-6, 1e-2, "log"),
        # Of each batch, whose rows scikit-learn's penalty is divided by.
        "alpha": (1e-8 * batch, 1e-4 * batch, "log"),
    }
    return search(
        model, space, few.X, few.y, n_trials=n_trials, sampler="random",
        random_state=0, repeats=0, refit=False,
    )  # fmt: skip


def draw_search(found: SearchResult) -> Any:
    """Draw the training curves of the twenty best."""
    return found.plot("curves").figure_


_tanh, _relu = (partial(layer_values, activation=name) for name in ("tanh", "relu"))
_Figure = tuple[str, Callable[[Images], Any], Callable[[Any], Any]]

FIGURES: dict[str, _Figure] = {
    "1_bowl": ("Four optimizers in one bowl", bowl, draw_bowl),
    "2_optimizers": ("Four optimizers on images", optimizers, draw_steps),
    "3_initial_weights": ("First weights matter", initial_weights, draw_steps),
    "4_layers_logistic": ("Sigmoid layers, untrained", layer_values, draw_layers),
    "4_layers_tanh": ("tanh layers, untrained", _tanh, draw_layers),
    "4_layers_relu": ("ReLU layers, untrained", _relu, draw_layers),
    "5_batch_norm": ("Batch norm at sixteen scales", batch_norm, draw_batch_norm),
    "6_overfitting": ("Overfitting, and two remedies", overfitting, draw_overfitting),
    "7_moons": ("Boundaries by width of the hidden layer", moons, draw_moons),
    "7_annealing": ("A constant and an annealed rate", annealing, draw_annealing),
    "8_ensemble": ("An ensemble and its members", ensemble, draw_ensemble),
    "9_ravine": ("Four ways down one ravine", ravine, draw_ravine),
    "9_search": ("The twenty best of a hundred rates", search_rates, draw_search),
}
"""File name → caption, what computes it, what draws it."""
