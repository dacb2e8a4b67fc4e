"""Linear models on the encoded table, for as many folds as the networks have.

They are fitted directly and not trained: ridge regression by its normal equations,
which are set up once for all folds and penalties, and logistic regression by
scikit-learn. Each becomes a network without hidden layers, so that it predicts, is kept
in a file and is exported as any other member.
"""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.linalg import LinAlgError, solve
from threadpoolctl import threadpool_limits

from thalweg.core import Array, DenseNetwork, History, Plan, Run, StopReason

PENALTIES = 0.1, 1.0, 10.0, 100.0
_SIGNS = np.array([-0.5, 0.5])  # two classes share one slope
_UNSEEN = -50.0  # the bias of a class without rows


def ridge(
    X: Array,
    y: Array,
    weights: Array | None,
    folds: Sequence[Array],
    penalties: Sequence[float],
) -> Iterator[list[Run]]:
    """Fit a ridge regression without each fold.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_inputs)
    y : ndarray of shape (n_rows, n_outputs)
        Standardized.
    weights : ndarray of shape (n_rows,) or None
    folds : sequence of ndarray of int
        The rows that each model does not see.
    penalties : sequence of float
        What the squares of the coefficients are multiplied by.

    Yields
    ------
    list of Run
        For a fold, one of each penalty.
    """
    wide = np.column_stack([X, np.ones(len(X))])
    own = np.ones(len(X)) if weights is None else np.asarray(weights, float)
    whole = _normal(wide, y, own)
    for held in folds:
        part = _normal(wide[held], y[held], own[held])
        gram, moment = whole[0] - part[0], whole[1] - part[1]
        found: list[Run] = []
        for penalty in penalties:
            added = np.r_[np.full(X.shape[1], penalty), 1e-9]
            try:
                solved = solve(gram + np.diag(added), moment, assume_a="pos")
            except LinAlgError:
                solved = np.linalg.lstsq(gram + np.diag(added), moment)[0]
            found.append(_as_run(solved[:-1], solved[-1], "squared", penalty))
        yield found


def _normal(X: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    weighted = X * weights[:, None]
    return weighted.T @ X, weighted.T @ y


def logistic(
    X: Array,
    y: Array,
    weights: Array | None,
    folds: Sequence[Array],
    penalties: Sequence[float],
    n_classes: int,
) -> Iterator[list[Run]]:
    """Fit a logistic regression without each fold; see `ridge`.

    Parameters
    ----------
    y : ndarray of int, shape (n_rows,)
        Class numbers.
    n_classes : int
    """
    from sklearn.linear_model import LogisticRegression

    for held in folds:
        kept = np.ones(len(X), bool)
        kept[held] = False
        own = None if weights is None else weights[kept]
        found: dict[float, Run] = {}
        model = LogisticRegression(max_iter=60, tol=1e-3, warm_start=True)
        rows, truth = X[kept], y[kept]
        for penalty in sorted(penalties, reverse=True):  # each begins with the last
            with warnings.catch_warnings(), threadpool_limits(1, user_api="blas"):
                warnings.simplefilter("ignore")  # of iterations: the loss will tell
                model.set_params(C=1 / penalty).fit(rows, truth, own)
            slopes, biases = np.zeros((X.shape[1], n_classes)), np.full(
                n_classes, _UNSEEN
            )  # fmt: skip
            if len(model.classes_) == 2:
                slopes[:, model.classes_] = model.coef_.T * _SIGNS
                biases[model.classes_] = model.intercept_ * _SIGNS
            else:
                slopes[:, model.classes_] = model.coef_.T
                biases[model.classes_] = model.intercept_
            found[penalty] = _as_run(slopes, biases, "cross_entropy", penalty)
        yield [found[penalty] for penalty in penalties]


def _as_run(slopes: Array, biases: Array, loss: str, penalty: float) -> Run:
    network = DenseNetwork.from_sizes(slopes.shape)
    plan = Plan.of(None, loss=loss, optimizer="lbfgs", l2=penalty, epochs=1)
    return Run(
        network=network,
        plan=plan,
        parameters=({"weights": slopes, "bias": biases},),
        history=History.from_columns({"loss": []}),
        stop_reason=StopReason.METHOD_CONVERGED,
        why="It was fitted directly.",
        engine="SciPy",
        best_epoch=0,
    )
