"""Where a table's search may begin: ``python -m benchmarks.starts [TABLES...]``.

Random settings are told by the share of them that does better on each of some tables,
none of which the search is measured on. A portfolio takes one after another, each time
what most lowers the share of its best (the logarithm, averaged over tables); leaving
out each table tells what that is worth on one it did not see, beside as many by chance.
The file of outcomes is added to: what it holds is not done again.
"""

import argparse
import json
import time
import warnings
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets as toys
from sklearn.model_selection import cross_val_score

import thalweg as tw
from benchmarks.jobs import Array
from benchmarks.searches import bundled, divided, table
from thalweg.tuning.space import auto_space

DEFAULT, SEED, SIZE = -1, 101, 6  # the estimator as it is; of rows; of the portfolio
_REGRESSIONS = ("diabetes", "friedman", "winequality-red")
_FILES = ("german", "horse-colic", "ionosphere", "pima-indians-diabetes")
_MADE: dict[str, Any] = {"random_state": 7, "flip_y": 0.05, "n_informative": 6}
_DATA: dict[str, Any] = {
    "diabetes": lambda: bundled(toys.load_diabetes),
    "digits": lambda: [part[:600] for part in toys.load_digits(return_X_y=True)],
    "friedman": lambda: toys.make_friedman1(800, noise=1.0, random_state=7),
    "iris": lambda: bundled(toys.load_iris),
    "made": lambda: toys.make_classification(700, 15, n_clusters_per_class=3, **_MADE),
    **{name: lambda name=name: table(name, tw.Classifier) for name in _FILES},
    "winequality-red": lambda: table("winequality-red", tw.Regressor),
}


def drawn(number: int, n_rows: int) -> dict[str, Any]:
    """Draw from the table space, but Nesterov's rates and batches; {} for `DEFAULT`."""
    if number == DEFAULT:
        return {}
    rng, space = np.random.default_rng([7, number]), auto_space(tw.Classifier(), n_rows)
    one = lambda choices: choices[rng.integers(len(choices))]
    between = lambda low, high, *_: float(low * (high / low) ** rng.random())
    kind = ("adam", "adam", "nesterov", "nesterov", "lbfgs")[number % 5]
    found = {name: one(space[name]) for name in ("hidden_layer_sizes", "activation")}
    found |= {"optimizer": kind, "l2": between(*space["l2"])}
    found |= {"max_epochs": int(between(*space["max_epochs"]))}
    if not (own := space["optimizer"][kind]):
        return found | {"validation_fraction": 0.0}
    found |= {"validation_fraction": one((0.0, 0.15))}
    rates = own["learning_rate"] if kind == "adam" else (1e-3, 1e-1)
    found |= {"learning_rate": between(*rates), "schedule": one(own["schedule"])}
    found |= {"dropout": float(rng.uniform(*own["dropout"]))}
    batch = 2 ** round(np.log2(n_rows / 40 * one((0.5, 1, 2))))
    return found | {"batch_size": int(np.clip(batch, 16, 256))}


def score(number: int, name: str) -> float:
    """Cross-validate a setting on a table; NaN if it diverges."""
    model = (tw.Regressor if name in _REGRESSIONS else tw.Classifier)(random_state=SEED)
    X, y, *_ = _DATA[name]()
    (X, _, y, _), how = divided(X, y, model, SEED)
    model.set_params(**drawn(number, len(y) * 2 // 3))
    return float(cross_val_score(model, X, y, **how).mean())


def portfolio(costs: Array) -> list[int]:
    """Choose rows that cost least a column, beside the first, which is always there."""
    chosen = [0]
    for _ in range(SIZE):
        best = np.minimum(costs[chosen].min(axis=0), costs)
        chosen += [best.mean(axis=1).argmin()]
    return chosen


def show(numbers: list[int], names: list[str], scores: Array) -> None:
    """Print shares, of the best setting first; the portfolio's; what that is worth."""
    shares = (scores[:, None] < scores).mean(axis=1)
    costs = np.log(shares + 1 / len(shares))
    for rows in (costs.mean(axis=1).argsort(), portfolio(costs)):
        print(f"the {len(rows)} settings, and the share that does better on", *names)
        for row in rows:
            cells = "".join(f"{share:5.0%}" for share in shares[row])
            print(f"{numbers[row]:4}{cells}  {drawn(numbers[row], 1000) or 'default'}")
    lots = np.random.default_rng(0).integers(len(shares), size=(300, SIZE))
    for column, name in enumerate(names):
        own = costs[:, column]
        found = own[portfolio(np.delete(costs, column, axis=1))].min()
        chance = np.minimum(own[0], own[lots].min(axis=1)).mean()
        print(f"{name:22} left out {np.exp(found):.1%}, by chance {np.exp(chance):.1%}")


def main() -> None:
    """Score what the file does not hold, as long as the time allows, and print."""
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser("python -m benchmarks.starts")
    parser.add_argument("names", nargs="*", metavar="TABLE", help=", ".join(_DATA))
    parser.add_argument("--settings", type=int, default=126)
    parser.add_argument("--seconds", type=float, default=np.inf)
    parser.add_argument("--json", type=Path, required=True, help="adds there")
    asked = parser.parse_args()
    names, begun = asked.names or list(_DATA), time.perf_counter()
    wanted = range(DEFAULT, asked.settings)
    with asked.json.open("a+") as file:
        file.seek(0)
        done = {(number, name): found for number, name, found in map(json.loads, file)}
        for pair in product(wanted, names):
            if pair not in done and time.perf_counter() - begun < asked.seconds:
                done[pair] = score(*pair)
                print(json.dumps([*pair, done[pair]]), file=file, flush=True)
    numbers = [n for n in wanted if all((n, name) in done for name in names)]
    scores = np.array([[done[n, name] for name in names] for n in numbers])
    show(numbers, names, np.nan_to_num(scores, nan=-np.inf))


if __name__ == "__main__":
    main()
