"""A list of losses that stays at log 2, as a user posts it."""

import numpy as np

from tests.diagnosis.posted import tables
from tests.diagnosis.posted.case import Post, Program

POST = Post(
    source="Stack Overflow and GitHub, questions of 2016 to 2021 that show a log of "
    "losses at 0.693 for all epochs and nothing else",
    kind="history",
    fault="The loss does not move from log 2: the network learns nothing (its step is "
    "far too small).",
    remedy="A larger learning rate; then the same log falls.",
    named_by=("the loss does not fall", "the learning rate is too low", "no learning"),
    margin=0.2,
    floor=0.8,
    score="accuracy of the training that wrote the log",
)


def program(seed: int, cured: bool) -> Program:
    X, X_test, y, y_test = tables.classes(seed, kinds=2, apart=1.2)
    rng = np.random.default_rng(seed)
    sign = 2 * rng.integers(0, 2, 1)[0] - 1
    w = -0.02 * sign * (X.T @ (y - 0.5)) / len(y) * sign
    losses, step = [], 0.5 if cured else 1e-6
    for _ in range(60):
        p = 1 / (1 + np.exp(-(X @ w)))
        losses.append(float(-np.log(np.where(y == 1, p, 1 - p)).mean()))
        w = w - step * X.T @ (p - y) / len(y)
    score = float(np.mean((X_test @ w > 0) == y_test))
    return Program(lambda _: score, history=losses)
