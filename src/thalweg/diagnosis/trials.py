"""Trainings of a trial: the same rows and seeds, unchanged or with a remedy.

Each training is done once, whatever asks for it, and none begins after the deadline.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from thalweg import training
from thalweg.core import Array, DenseNetwork, Run, accuracy, folds
from thalweg.diagnosis.facts.training import SeedFacts, score
from thalweg.diagnosis.problem import Problem, ValidationData, dense, take
from thalweg.diagnosis.remedies import apply_changes
from thalweg.training import run_all

Changes = Mapping[str, Any]
Job = tuple[Changes, int]
"""What is changed, and the seed."""

_MOST_ROWS = 3000
"""Rows of a trial: more would take longer and say the same."""
_FOLDS = 5
FEW_SEEDS, _MANY_SEEDS = 3, 5
_QUICK, _TINY = 0.3, 0.03
"""Seconds of a training that is repeated for many seeds, and of one that is too short
for a process of its own."""
_SURPRISE_WEIGHT = 0.01
"""Weight of a nat of surprise among remedies whose scores are equal."""
_UNCHANGED: Changes = {}


@dataclass(frozen=True, eq=False)
class TrialRun:
    """One training of a trial.

    Parameters
    ----------
    problem : Problem
        The rows of this seed, with the changes.
    run : Run or None
        None if training failed or did not begin.
    score : float
        Validation score.
    surprise : float
        Mean of −log of the predicted probability of the true class.
    error : str
        Why training failed; ``""`` if it did not.
    """

    problem: Problem
    run: Run | None = None
    score: float = float("nan")
    surprise: float = float("nan")
    error: str = ""

    @property
    def begun(self) -> bool:
        """Whether training began before the deadline."""
        return self.run is not None or bool(self.error)

    @property
    def worth(self) -> float:
        """The score, less a little for the surprise: among equal scores it decides."""
        return float(np.nan_to_num(self.score - _SURPRISE_WEIGHT * self.surprise))


@dataclass(frozen=True, eq=False)
class Baseline:
    """The trainings of the unchanged problem.

    Parameters
    ----------
    first : TrialRun
        That of seed 0.
    worst_seed : int
        The seed with the lowest score.
    seeds : range
        The seeds of a proof.
    """

    first: TrialRun
    worst_seed: int
    seeds: range


class Trainings:
    """Trainings of one problem before a deadline.

    Parameters
    ----------
    base : Problem
        The problem to which changes are applied; `settle` changes it.
    deadline : float
        The value of ``time.perf_counter()`` after which no training begins.
    """

    def __init__(self, base: Problem, deadline: float) -> None:
        self.base, self.deadline = base, deadline
        self.runs: dict[tuple[str, int], TrialRun] = {}
        self.seconds, self.count = 0.0, 0
        self.pace = 0.0
        """Seconds of the first training; 0 before."""

    def baseline(self) -> Baseline:
        """Train the unchanged problem from a few seeds."""
        (first,) = self.train([(_UNCHANGED, 0)])
        runs = self.train((_UNCHANGED, seed) for seed in range(FEW_SEEDS))
        scores = [each.score for each in runs]
        return Baseline(
            first,
            worst_seed=int(np.nan_to_num(scores, nan=-2).argmin()),
            seeds=range(_MANY_SEEDS if self.pace < _QUICK else FEW_SEEDS),
        )

    def train(self, jobs: Iterable[Job]) -> list[TrialRun]:
        """Train what was not trained yet, in parallel if that saves time."""
        begun, asked = time.perf_counter(), list(jobs)
        keys = [_key(*job) for job in asked]
        new = {k: job for k, job in zip(keys, asked, strict=True) if k not in self.runs}
        layered = isinstance(self.base.network, DenseNetwork)  # Keras needs one thread
        in_parallel = layered and self.pace > _TINY and len(new) > 1
        made = run_all(self._train_one, new.values()) if in_parallel else [
            self._train_one(*job) for job in new.values()]  # fmt: skip
        done = {k: each for k, each in zip(new, made, strict=True) if each}
        self.runs |= done
        self.count += len(done)
        self.seconds += time.perf_counter() - begun
        self.pace = self.pace or self.seconds
        return [self.runs.get(key, TrialRun(self.base)) for key in keys]

    def _train_one(self, changes: Changes, seed: int) -> TrialRun | None:
        """Train on the rows of a seed and score on the others; None if it is late."""
        if self.is_late():
            return None
        # The rows of y are moved before the split, everything else after it.
        before_split = {k: v for k, v in changes.items() if k == "roll"}
        after_split = {k: v for k, v in changes.items() if k != "roll"}
        part = _split(apply_changes(self.base, before_split), seed)
        try:
            with np.errstate(all="ignore"):
                part = apply_changes(part, after_split)
                run, pipe = part.train(seed)
                assert part.validation_data is not None
                X = part.validation_data.X
                X = pipe.transform(X) if pipe else X
                prediction = training.predict(run, part.shaped(dense(X)))
                value = _common_score(part, part.decide(prediction), changes)
                surprise = _surprise(part, prediction)
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            return TrialRun(part, error=(str(error) or repr(error)).splitlines()[0])
        return TrialRun(part, run, value, surprise)

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return time.perf_counter() > self.deadline

    def settle(self, changes: Changes, seed: int) -> TrialRun:
        """Make changes a part of the base; return the training of a seed with them."""
        settled = repr(changes)
        self.base = apply_changes(self.base, changes)
        self.runs = {_key(_UNCHANGED, s): each for (k, s), each in self.runs.items()
                     if k == settled}  # fmt: skip
        return self.train([(_UNCHANGED, seed)])[0]

    def spread(self) -> SeedFacts | None:
        """Measure how much the scores of the seeds differ, and how much by chance."""
        unchanged = repr(_UNCHANGED)
        scores = [each.score for (k, _), each in self.runs.items() if k == unchanged]
        known = [s for s in scores if np.isfinite(s)]
        if not known:
            return None
        error = 0.1
        if self.base.labels is not None:
            middle = float(np.clip(np.median(known), 0.02, 0.98))
            held = self.n_held(_FOLDS)
            if self.base.validation_data is None:
                held = max(held / _FOLDS, 1)
            error = float(np.sqrt(middle * (1 - middle) / held))
        return SeedFacts(error, max(known) - min(known), tuple(scores))

    def n_held(self, n_seeds: int) -> int:
        """Return the number of different validation rows of so many seeds."""
        own = self.base.validation_data
        n = min(self.base.X.shape[0], _MOST_ROWS)
        return len(own.y) if own is not None else n * min(n_seeds, _FOLDS) // _FOLDS


def _key(changes: Changes, seed: int) -> tuple[str, int]:
    return repr(changes), seed


def _split(problem: Problem, seed: int) -> Problem:
    """Return training rows with validation data: the user's, or a fold."""
    chance = np.random.RandomState(0).permutation(len(problem.y))[:_MOST_ROWS]
    if problem.validation_data is not None:
        return problem.rows(chance) if len(problem.y) > _MOST_ROWS else problem
    key = problem.y[chance] if problem.y.ndim == 1 else np.zeros(len(chance))
    fold = folds(key, _FOLDS)
    # Rows keep the order of the table, because that may be the fault.
    kept, left = (np.sort(chance[m]) for m in (fold != seed % _FOLDS,
                                               fold == seed % _FOLDS))  # fmt: skip
    held = ValidationData(take(problem.X, left), problem.y[left])
    return replace(problem.rows(kept), validation_data=held)


def _common_score(part: Problem, guess: Array, changes: Changes) -> float:
    """Score so that trainings on classes and on numbers of one target compare."""
    assert part.validation_data is not None
    truth = part.validation_data.y
    kind = changes.get("target") or changes.get("measured_as")
    if kind is None:
        return score(part, guess, truth)
    if part.labels is not None:
        values = part.labels.astype(float)
        guess, truth = values[guess.astype(int)], values[truth]
    if kind == "numbers":
        return score(replace(part, labels=None), guess, truth)
    known = np.unique(truth)
    nearest = known[np.abs(guess.reshape(-1, 1) - known).argmin(axis=1)]
    return accuracy(truth, nearest)


def are_surer(before: Sequence[TrialRun], after: Sequence[TrialRun]) -> bool:
    """Whether for every seed little remains of the surprise."""
    return all(
        a.surprise < min(b.surprise / 4, b.surprise - 0.1)
        for a, b in zip(after, before, strict=True)
    )


def _surprise(part: Problem, prediction: Array) -> float:
    """Return the mean −log of the true class's probability; 0 if there is none."""
    assert part.validation_data is not None
    truth = part.validation_data.y
    if not part.by_class or truth.ndim > 1:
        return 0.0
    if prediction.shape[1] == 1:
        prediction = np.hstack([1 - prediction, prediction])
    own = np.clip(prediction[np.arange(len(truth)), truth], 1e-6, 1)
    return float(-np.log(own).mean())
