"""``python -m benchmarks.curvature``: Levenberg-Marquardt against L-BFGS.

Small regressions, from the same weights, down to within a percent of the loss of the
one that ended higher: how often did each compute the objective and its gradient, how
often a Gauss-Newton matrix, and what did all that cost? An evaluation alone flatters
Levenberg-Marquardt, whose iterations are dear; so the multiply-adds are told too (the
matrix's n k p² and the solution's p³/3 among them, for n rows, k outputs and p
weights), and the seconds. Medians over the seeds.
"""

from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets

import thalweg as tw
from benchmarks.jobs import Array

METHODS = {
    "L-BFGS": ("lbfgs", {"ftol": 0.0, "gtol": 0.0, "max_evaluations": 100_000}),
    "Levenberg-Marquardt": ("levenberg-marquardt", {"gtol": 0.0, "xtol": 0.0}),
}

NEAR = 1.01
"""The last percent of a descent says more of its tolerance than of its method."""


class Problem(NamedTuple):
    """Rows, standardized, and the width of the hidden layer of tanh units."""

    X: Array
    y: Array
    hidden: int


class Effort(NamedTuple):
    """What a method had done when it first was as low as the goal."""

    evaluations: float
    matrices: float
    millions: float
    seconds: float


def problems() -> dict[str, Problem]:
    """Return the regressions by name."""
    rng = np.random.default_rng(0)
    line, plane = np.linspace(-1, 1, 64)[:, None], rng.uniform(-2, 2, (200, 2))
    hills = np.sin(plane[:, 0]) * np.exp(-(plane[:, 1] ** 2))
    sick: Any = datasets.load_diabetes(return_X_y=True)
    made: dict[str, tuple[Any, Any, int]] = {
        "wave, 10 units": (line, np.sin(6 * line[:, 0]), 10),
        "hills, 8 units": (plane, hills, 8),
        "noisy hills, 8 units": (plane, hills + 0.1 * rng.standard_normal(200), 8),
        "Friedman's first, 6 units": (*datasets.make_friedman1(200, random_state=0), 6),
        "diabetes, 4 units": (sick[0], sick[1], 4),
    }
    return {
        name: Problem(_standard(X), _standard(y), hidden)
        for name, (X, y, hidden) in made.items()
    }


def compare(problem: Problem, seed: int, epochs: int) -> dict[str, Effort]:
    """Train by both methods; return what each did to reach the loss of both."""
    X, y, hidden = problem
    network = tw.DenseNetwork.from_sizes((X.shape[1], hidden, 1), activation="tanh")
    histories = {
        name: tw.fit(
            network, X, y, optimizer=method, epochs=epochs, random_state=seed, l2=1e-4
        ).history
        for name, method in METHODS.items()
    }
    goal = NEAR * max(history.loss.min() for history in histories.values())
    return {
        name: _effort(history, goal, len(X), network.n_parameters)
        for name, history in histories.items()
    }


def rows(seeds: int = 5, epochs: int = 500) -> Iterator[tuple[str, str, Effort]]:
    """Give problem, method and medians."""
    for name, problem in problems().items():
        found = [compare(problem, seed, epochs) for seed in range(seeds)]
        for method in METHODS:
            columns = zip(*(each[method] for each in found), strict=True)
            yield name, method, Effort(*map(median, columns))


def _effort(history: tw.History, goal: float, n: int, p: int) -> Effort:
    at = int(np.argmax(history.loss <= goal))
    evaluations = float(history.evaluations[at])
    matrices = float(history.hessian_products[at])
    # A cost with its gradient passes the weights three times for each row; a matrix
    # comes from a Jacobian, which costs the same; each trial of a damping is solved.
    solved = evaluations * p**3 / 3 if matrices else 0.0
    work = 3 * n * p * (evaluations + matrices) + matrices * n * p**2 + solved
    return Effort(evaluations, matrices, work / 1e6, float(history.seconds[at]))


def _standard(values: Any) -> Array:
    return (values - values.mean(axis=0)) / values.std(axis=0)


if __name__ == "__main__":
    print(f"{'':26}{'':20}  evaluations  matrices  10⁶ multiply-adds  seconds")
    for name, method, effort in rows():
        print(
            f"{name:26}{method:20}  {effort.evaluations:11.0f}  {effort.matrices:8.0f}"
            f"  {effort.millions:17.0f}  {effort.seconds:7.3f}"
        )
