"""Searches, measured: ``python -m benchmarks.searches classic | tables | dask``.

``classic``: a hundred random pairs of learning rate and decay for seven layers on 500
images, beside the NumPy loop that textbooks write for it. ``tables NAME...``: searches
of equal wall-clock, ours and scikit-learn's, beside the default estimator, scored on
rows that none of them saw. ``dask``: one process and two Dask workers.
"""

import argparse
import gzip
import os
import time
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import joblib
import numpy as np
import pandas as pd  # noqa: TID253 (a benchmark may wait for it)
from scipy import stats
from sklearn import datasets
from sklearn.base import is_classifier
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import thalweg as tw
from benchmarks.jobs import Array
from benchmarks.machine import ROOT
from benchmarks.workloads import images
from thalweg.comparison.compare import paired_difference
from thalweg.core import cpu
from thalweg.tuning.space import auto_space
from thalweg.tuning.trial import prepared

_DECAYS, _RATES = (1e-8, 1e-4), (1e-6, 1e-2)
_BATCH = 100
_SHARED = Path(os.environ.get("THALWEG_DATA", ROOT.parent / "shared" / "data"))


def classic(n_trials: int, epochs: int = 50) -> None:
    """Print the seconds of both, and what they found."""
    X, y, data = images(500, "float32")
    print(f"{data}: 400 rows to train on and 100 to validate, {n_trials} trials")
    model = tw.MLPClassifier(
        (100,) * 6, solver="sgd", momentum=0.0, nesterovs_momentum=False,
        init="he_normal", batch_size=_BATCH, max_iter=epochs, n_iter_no_change=np.inf,
    )  # fmt: skip
    # scikit-learn's penalty is divided by the rows of the batch.
    alpha = (_BATCH * _DECAYS[0], _BATCH * _DECAYS[1], "log")
    space = {"learning_rate_init": (*_RATES, "log"), "alpha": alpha}
    begun = time.perf_counter()
    found = tw.search(
        model, space, X, y, n_trials=n_trials, sampler="random", random_state=0,
        repeats=0, refit=False,
    )  # fmt: skip
    print(f"thalweg     {time.perf_counter() - begun:7.2f} s  best {found.best_score}")
    for dtype in ("float32", "float64"):
        begun = time.perf_counter()
        best = max(
            _numpy_trial(X.astype(dtype), y, trial, epochs) for trial in range(n_trials)
        )
        seconds = time.perf_counter() - begun
        print(f"NumPy {dtype[-2:]}-bit {seconds:6.2f} s  best {best}")
    print(found)


def _numpy_trial(X: Array, y: Array, trial: int, epochs: int) -> float:
    """Train one network as a textbook does, and score it after each epoch."""
    rng = np.random.RandomState(trial)
    rate = 10 ** rng.uniform(*np.log10(_RATES))
    decay = 10 ** rng.uniform(*np.log10(_DECAYS))
    sizes = [784, *[100] * 6, 10]
    pairs = list(pairwise(sizes))
    weights = [(rng.randn(n, m) * np.sqrt(2 / n)).astype(X.dtype) for n, m in pairs]
    biases = [np.zeros(m, X.dtype) for _, m in pairs]
    targets = np.eye(10, dtype=X.dtype)[y]
    score = 0.0
    for _ in range(epochs):
        order = rng.permutation(400)
        for start in range(0, 400, _BATCH):
            rows = order[start : start + _BATCH]
            outputs = _forward(X[rows], weights, biases)
            delta = (_softmax(outputs[-1]) - targets[rows]) / X.dtype.type(_BATCH)
            for index in reversed(range(len(weights))):
                slope = outputs[index].T @ delta + X.dtype.type(decay) * weights[index]
                below = (delta @ weights[index].T) * (outputs[index] > 0)
                weights[index] -= X.dtype.type(rate) * slope
                biases[index] -= X.dtype.type(rate) * delta.sum(axis=0)
                delta = below
        guesses = _forward(X[400:], weights, biases)[-1].argmax(axis=1)
        score = float(np.mean(guesses == y[400:]))
    return score


def _forward(X: Array, weights: list[Array], biases: list[Array]) -> list[Array]:
    outputs = [X]
    for index, (W, b) in enumerate(zip(weights, biases, strict=True)):
        z = outputs[-1] @ W + b
        outputs.append(z if index == len(weights) - 1 else np.maximum(z, 0))
    return outputs


def _softmax(scores: Array) -> Array:
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def tables(names: list[str], seconds: float, seeds: int) -> None:
    """Print the score of each way to a model on validation and on test rows."""
    for name in names or list(_DATA):
        X, y, model = _DATA[name]()
        results = np.array(
            [_one_division(X, y, model, seed, seconds) for seed in range(seeds)]
        )
        for way, columns in zip(_WAYS, results.transpose(1, 2, 0), strict=True):
            validation, test, plain, count = columns.mean(axis=1)
            error = columns.std(axis=1, ddof=1) / np.sqrt(seeds)
            print(
                f"{name:8} {way:30} validation {validation:.4f} ± {error[0]:.4f}  "
                f"test {test:.4f} ± {error[1]:.4f} ({plain:.4f})  {count:.0f} settings"
            )
        for index, way in enumerate(_WAYS[:-1]):
            for column, rows in ((0, "validation"), (1, "test")):
                gaps = results[:, -1, column] - results[:, index, column]
                d = paired_difference("search", way, gaps)
                low, high = d.interval
                print(
                    f"{name:8} search less {way} on {rows}: {d.mean:+.4f} "
                    f"(95 % {low:+.4f} to {high:+.4f}, p {d.p_value:.2g})",
                    flush=True,
                )


_WAYS = (
    "default",
    "scikit-learn's MLP, Randomized",
    "RandomizedSearchCV",
    "thalweg.search",
)


def _one_division(
    X: Any, y: Any, model: Any, seed: int, seconds: float
) -> list[tuple[float, float, float, float]]:
    """Return validation and test scores (the estimator's own, too), and settings tried.

    All ways are judged by the same scorer on the same folds: the logarithm of the loss
    for classes (the share of right answers has ties at 1), R2 for numbers.
    """
    (X, X_test, y, y_test), how = divided(X, y, model, seed)
    scorer: Any = get_scorer(how["scoring"])

    def judged(validation: float, chosen: Any, count: int) -> tuple[float, ...]:
        fitted = chosen.fit(X, y)
        test = scorer(fitted, X_test, y_test)
        return validation, test, fitted.score(X_test, y_test), float(count)

    model = prepared(model, {"random_state": seed})
    before = float(np.mean(cross_val_score(model, X, y, **how)))
    other, wide = _scikit_learns(model, X, seed)
    found = tw.search(
        model, "auto", X, y, n_trials=None, timeout=seconds, pruner="median",
        random_state=seed, repeats=0, refit=False, **how,
    )  # fmt: skip
    rows = [
        judged(before, model, 1),
        judged(*_randomized(other, wide, X, y, how, seed, seconds)),
        judged(*_randomized(model, _flat(model, len(y)), X, y, how, seed, seconds)),
        judged(found.best_score, found.best_estimator, len(found.trials)),
    ]
    return cast(Any, rows)


def divided(X: Any, y: Any, model: Any, seed: int) -> tuple[list[Any], dict[str, Any]]:
    """Return rows to train and to test on; and folds of the first, and the scorer."""
    classes = is_classifier(model)
    parts: list[Any] = train_test_split(
        X, y, test_size=0.25, random_state=seed, stratify=y if classes else None
    )
    folds = (StratifiedKFold if classes else KFold)(3, shuffle=True, random_state=seed)
    cv = list(folds.split(parts[0], parts[2]))
    return parts, {"cv": cv, "scoring": "neg_log_loss" if classes else "r2"}


def _randomized(
    model: Any, space: Any, X: Any, y: Any, how: Any, seed: int, seconds: float
) -> tuple[float, Any, int]:
    """Have scikit-learn search in processes, as many settings as the time allows.

    Its workers are started before the clock; what the last fits take longer is its.
    """
    dummy = DummyClassifier() if is_classifier(model) else DummyRegressor()
    RandomizedSearchCV(dummy, {"strategy": [dummy.strategy]}, n_iter=1, n_jobs=2).fit(
        np.zeros((len(y), 1)), y
    )
    best: tuple[float, dict[str, Any]] = (-np.inf, {})
    begun, count, ask = time.perf_counter(), 0, 4
    while (spent := time.perf_counter() - begun) < seconds:
        if count:  # the speed so far tells how many are left
            ask = max(2, min(4 * count, int(count * (seconds / spent - 1))))
        search = RandomizedSearchCV(
            model, space, n_iter=ask, refit=False, n_jobs=2, error_score=-np.inf,
            random_state=1000 * seed + count, **how,
        )  # fmt: skip
        search.fit(X, y)
        count += ask
        if search.best_score_ > best[0]:
            best = search.best_score_, search.best_params_
    return best[0], prepared(model, best[1]), count


def _flat(model: Any, n_rows: int) -> list[dict[str, Any]]:
    """Return the automatic space in the form that scikit-learn takes."""
    space = auto_space(model, n_rows)
    branches = space.pop("optimizer")
    return [
        {name: _frozen(spec) for name, spec in {**space, **own}.items()}
        | {"optimizer": [optimizer]}
        for optimizer, own in branches.items()
    ]


def _scikit_learns(model: Any, X: Any, seed: int) -> tuple[Any, Any]:
    """Return scikit-learn's own network behind its usual steps, and its space."""
    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    coded = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    kind = make_column_selector
    columns = make_column_transformer(
        (scaled, kind(dtype_include="number")), (coded, kind(dtype_exclude="number"))
    )
    mlp = (MLPClassifier if is_classifier(model) else MLPRegressor)(random_state=seed)
    space = {
        "hidden_layer_sizes": auto_space(model, len(X))["hidden_layer_sizes"],
        "activation": ["relu", "tanh", "logistic"],
        "solver": ["adam", "sgd", "lbfgs"],
        "alpha": stats.loguniform(1e-6, 10.0),
        "learning_rate_init": stats.loguniform(1e-4, 1e-1),
        "learning_rate": ["constant", "adaptive"],
        "batch_size": [16, 32, 64, 128],
        "early_stopping": [True, False],
    }
    return make_pipeline(columns, mlp), {
        f"{type(mlp).__name__.lower()}__{name}": spec for name, spec in space.items()
    }


def _frozen(spec: Any) -> Any:
    if isinstance(spec, list):
        return spec
    if isinstance(spec[0], int):  # each as often as Optuna draws it
        return np.geomspace(spec[0], spec[1] + 0.999, 2000).astype(int).tolist()
    if len(spec) == 3:
        return stats.loguniform(*spec[:2])
    return stats.uniform(spec[0], spec[1] - spec[0])


def bundled(load: Callable[..., Any]) -> tuple[Any, Any, Any]:
    """Return rows, targets and the estimator of a table that scikit-learn brings."""
    found = load(as_frame=True)
    return found.data, found.target, tw.Classifier()


def table(name: str, kind: Any, most: int = 0) -> tuple[Any, Any, Any]:
    """Return those of a file, as they are or `most` rows by chance."""
    with gzip.open(_SHARED / "tabular" / f"{name}.csv.gz", "rt") as file:
        frame = pd.read_csv(file, header=None, na_values="?", skipinitialspace=True)
    frame = frame.sample(most, random_state=0) if most else frame
    frame.columns = [str(name) for name in frame.columns]
    return frame.iloc[:, :-1], frame.iloc[:, -1], kind()


_DATA: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    "wine": lambda: bundled(datasets.load_wine),
    "cancer": lambda: bundled(datasets.load_breast_cancer),
    "abalone": lambda: table("abalone", tw.Regressor),
    "phoneme": lambda: table("phoneme", tw.Classifier),
    "adult": lambda: table("adult-train", tw.Classifier, 4000),
}


def dask(n_trials: int) -> None:
    """Print the seconds of one Dask worker and of two, each of one processor."""
    from dask.distributed import Client, LocalCluster

    X, y = datasets.load_digits(return_X_y=True)
    model = tw.MLPClassifier((400, 200), max_iter=60, n_iter_no_change=np.inf)
    space = {"learning_rate_init": (1e-4, 1e-1, "log"), "alpha": (1e-6, 1.0, "log")}

    def run(count: int) -> float:
        begun = time.perf_counter()
        found = tw.search(
            model, space, X, y, n_trials=count, sampler="random", random_state=0,
            repeats=0, refit=False,
        )  # fmt: skip
        seen.append((found.best_params, found.best_score))
        return time.perf_counter() - begun

    seen: list[Any] = []
    seconds = {}
    for n_workers in (1, 2):
        options: Any = {"n_workers": n_workers, "threads_per_worker": 1}
        options |= {"dashboard_address": None}
        with (
            LocalCluster(**options) as cluster,
            Client(cluster),
            joblib.parallel_config(backend="dask"),
            cpu.share_cpus(1),  # for what one worker does, joblib does here
        ):
            run(2 * n_workers)  # the workers import
            seconds[n_workers] = run(n_trials)
    with cpu.share_cpus(1):
        run(n_trials)
    one, two = seconds[1], seconds[2]
    print(f"one worker {one:.2f} s, two workers {two:.2f} s: {one / two:.2f} times")
    print(f"same best as without Dask: {seen[1] == seen[3] == seen[4]}")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser("python -m benchmarks.searches")
    parser.add_argument("what", choices=["classic", "tables", "dask"])
    parser.add_argument("names", nargs="*", help="tables")
    parser.add_argument("--trials", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each search")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if asked.what == "classic":
            classic(asked.trials or 100)
        elif asked.what == "dask":
            dask(asked.trials or 24)
        else:
            tables(asked.names, asked.seconds, asked.seeds)


if __name__ == "__main__":
    main()
