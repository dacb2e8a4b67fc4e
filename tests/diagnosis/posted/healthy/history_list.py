"""A list of losses that falls and levels off, with the noise of batches."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Program, Tutorial

TUTORIAL = Tutorial("Losses printed by a loop in NumPy", "history", 0.85)


def program(seed: int) -> Program:
    X, X_test, y, y_test = tables.classes(seed, kinds=2)
    rng = np.random.default_rng(seed)
    w, b, losses = np.zeros(8), 0.0, []
    for _ in range(60):
        for rows in np.array_split(rng.permutation(len(y)), 30):
            p = 1 / (1 + np.exp(-(X[rows] @ w + b)))
            w = w - 0.05 * X[rows].T @ (p - y[rows]) / len(rows)
            b = b - 0.05 * (p - y[rows]).mean()
        p = 1 / (1 + np.exp(-(X @ w + b)))
        losses.append(float(-np.log(np.where(y == 1, p, 1 - p) + 1e-12).mean()))
    score = float(np.mean((X_test @ w + b > 0) == y_test))
    return Program(lambda _: score, history=losses)
