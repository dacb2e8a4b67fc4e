"""NumPy by hand: BLAS for the products, everything else in place."""

from collections.abc import Callable

import numpy as np

from benchmarks.jobs import Array, Job, Patience, Trained, Weights


def train(job: Job) -> Callable[[], Trained]:
    """Minibatch training."""
    targets = job.targets()
    return lambda: _fit(job, targets)


def search(job: Job) -> Callable[[], list[Trained]]:
    """One training after the other."""
    targets = job.targets()
    return lambda: [
        _fit(job, targets, trial, rate) for trial, rate in enumerate(job.rates)
    ]


def gradient(job: Job) -> Callable[[], tuple[float, Weights]]:
    """Cost and gradient on all rows."""
    targets, (weights, _) = job.targets(), job.begin()
    return lambda: _cost_and_gradient(job, weights, job.X, targets)


def predict(job: Job) -> Callable[[], Array]:
    """Probabilities of all rows at once."""
    weights, _ = job.begin()
    return lambda: _softmax(_forward(job, weights, job.X)[-1])


def _fit(
    job: Job, targets: Array, trial: int = 0, rate: float | None = None
) -> Trained:
    weights, rng = job.begin(trial)
    rng = job.begin()[1] if trial else rng  # all trials meet the rows in one order
    parameters = [part for pair in weights for part in pair]
    rule = _RULES[job.rule](parameters, rate or job.rate)
    patience, size = Patience(job.patience), job.batch_rows
    for order in job.orders(rng):
        total = 0.0
        for start in range(0, len(order), size):
            X, T = job.X, targets
            if job.batch is not None:
                rows = order[start : start + size]
                X, T = X[rows], T[rows]
            cost, slopes = _cost_and_gradient(job, weights, X, T)
            rule.step([part for pair in slopes for part in pair])
            total += cost * len(X)
        if patience.exhausted(total / len(order)):
            break
    return Trained(weights, patience.epochs)


def _forward(job: Job, weights: Weights, X: Array) -> list[Array]:
    """Compute the outputs of all layers, X first; the last are raw scores."""
    outputs = [X]
    for index, (W, b) in enumerate(weights):
        z = outputs[-1] @ W
        z += b
        if index < len(weights) - 1:
            np.tanh(z, out=z) if job.activation == "tanh" else np.maximum(z, 0, out=z)
        outputs.append(z)
    return outputs


def _cost_and_gradient(
    job: Job, weights: Weights, X: Array, targets: Array
) -> tuple[float, Weights]:
    n = len(X)
    outputs = _forward(job, weights, X)
    cost, delta = _losses(outputs[-1], targets)
    delta /= n
    slopes: Weights = []
    for index in reversed(range(len(weights))):
        W, below = weights[index][0], outputs[index]
        dW = below.T @ delta
        if job.l2:
            dW += (job.l2 / n) * W
            cost += 0.5 * job.l2 * float(np.vdot(W, W))
        slopes.append((dW, delta.sum(axis=0)))
        if index:
            delta = delta @ W.T
            if job.activation == "tanh":
                delta *= 1 - below * below
            else:
                delta *= below > 0
    return cost / n, slopes[::-1]


def _losses(scores: Array, targets: Array) -> tuple[float, Array]:
    """Sum the cross-entropy; its derivative is p − t."""
    if targets.shape[1] == 1:
        losses = np.logaddexp(0, scores) - targets * scores
        return float(losses.sum()), 1 / (1 + np.exp(-scores)) - targets
    shares = _softmax(scores)
    floor = np.finfo(shares.dtype).tiny
    cost = -float(np.sum(targets * np.log(np.maximum(shares, floor))))
    shares -= targets
    return cost, shares


def _softmax(scores: Array) -> Array:
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


class _Descent:
    def __init__(self, parameters: list[Array], rate: float) -> None:
        self.parameters, self.rate = parameters, rate

    def step(self, slopes: list[Array]) -> None:
        for p, g in zip(self.parameters, slopes, strict=True):
            g *= self.rate
            p -= g


class _Nesterov(_Descent):
    def __init__(self, parameters: list[Array], rate: float) -> None:
        super().__init__(parameters, rate)
        self.velocities = [np.zeros_like(p) for p in parameters]

    def step(self, slopes: list[Array]) -> None:
        for p, v, g in zip(self.parameters, self.velocities, slopes, strict=True):
            g *= self.rate
            v *= 0.9
            v -= g
            p -= g
            p += 0.9 * v


class _Adam(_Descent):
    def __init__(self, parameters: list[Array], rate: float) -> None:
        super().__init__(parameters, rate)
        self.means = [np.zeros_like(p) for p in parameters]
        self.squares = [np.zeros_like(p) for p in parameters]
        self.spare = [np.empty_like(p) for p in parameters]
        self.t = 0

    def step(self, slopes: list[Array]) -> None:
        self.t += 1
        rate = self.rate * (1 - 0.999**self.t) ** 0.5 / (1 - 0.9**self.t)
        state = (self.parameters, slopes, self.means, self.squares, self.spare)
        for p, g, m, v, s in zip(*state, strict=True):
            m *= 0.9
            m += np.multiply(g, 0.1, out=s)
            v *= 0.999
            g *= g
            g *= 0.001
            v += g
            np.sqrt(v, out=s)
            s += 1e-8
            np.divide(m, s, out=s)
            s *= rate
            p -= s


_RULES = {"sgd": _Descent, "nesterov": _Nesterov, "adam": _Adam}
