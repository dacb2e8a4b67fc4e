"""``python -m benchmarks.doctor``: how often the doctor is right.

Faults are put into sound trainings on eight data sets with three solvers; what hurts
counts. Sound trainings of many kinds show how often the doctor cries wolf. The terms
were fixed beforehand (`TERMS`): thresholds are calibrated on one half of the data sets,
and the other half judges them.
"""

import argparse
import json
import os
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table
from sklearn import datasets as toys
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import thalweg as tw
from benchmarks.faults import FAULTS, Fault, Situation
from thalweg.cases import matched
from thalweg.datasets import mnist, moons
from thalweg.findings import Diagnosis, Finding
from thalweg.records import Array

TERMS = """\
Alarm: a finding above NOTE. Hurts: the test score falls by more than 2 standard errors
and 2 points over five seeds, or training fails. Healthy: nothing injected, and within 2
points of the best of ten tuned fits. Recovered: 90 % of what the fault had cost."""
CALIBRATE = ("moons", "iris", "wine", "abalone")
JUDGE = ("breast cancer", "digits", "phoneme", "MNIST")
SOLVERS = ("sgd", "adam", "lbfgs")
SEEDS = range(5)
GOALS = {
    "hurting faults detected": "97 %",
    "cause ranked first": "80 %",
    "cause within three": "93 %",
    "healthy runs alarmed": "2 of 320",
    "faults of which 90 % of the loss is recovered": "90 %",
    "the same by a random change": "30 points less",
    "healthy runs made worse by a remedy": "1 %",
    "deep examination over one training": "25 %",
    "trials over one training (a repair)": "1.5",
}


@dataclass(frozen=True)
class Outcome:
    """One examination: what there was, and what the doctor said."""

    data: str
    solver: str
    what: str  # the fault, or the kind of sound training
    healthy: bool
    clean: float
    faulty: float
    hurts: bool
    found: tuple[str, ...]  # codes above NOTE, root causes in order
    folded: tuple[str, ...]  # codes beneath them
    first: bool
    within_three: bool
    treated: float  # means over the seeds, as those before
    control: float
    examination: float  # seconds
    trials: float
    training: float  # of one fit

    @property
    def gap(self) -> float:
        """What the fault had cost."""
        return self.clean - self.faulty


def load(name: str) -> Situation:
    """Return a data set, parted and standardized."""
    X, y = _rows(name)
    regression = name == "abalone"
    parts: list[Any] = train_test_split(
        X, y, test_size=0.4, random_state=0, stratify=None if regression else y
    )
    scaler: Any = StandardScaler().fit(parts[0])
    y_train, y_test = parts[2], parts[3]
    if regression:
        mean, std = y_train.mean(), y_train.std()
        y_train, y_test = (y_train - mean) / std, (y_test - mean) / std
    return Situation(
        scaler.transform(parts[0]),
        y_train,
        scaler.transform(parts[1]),
        y_test,
        {"max_iter": 200},
        regression,
    )


def _rows(name: str) -> tuple[Array, Array]:
    toy = {
        "iris": toys.load_iris,
        "wine": toys.load_wine,
        "breast cancer": toys.load_breast_cancer,
        "digits": toys.load_digits,
    }
    if name in toy:
        return toy[name](return_X_y=True)
    if name == "moons":
        return moons(400)
    if name == "MNIST":
        X, y = mnist(SHARED / "mnist")[0]
        return X[:2000].astype(float), y[:2000].astype(int)
    return _table(name)


def _table(name: str) -> tuple[Array, Array]:
    from thalweg.columns import as_frame, encode, study
    from thalweg.tables import read_table

    frame = read_table(SHARED / "tabular" / f"{name}.csv.gz", header=False)
    inputs, target = as_frame(frame.iloc[:, :-1]), frame.iloc[:, -1].to_numpy(float)
    X = np.asarray(encode(study(inputs), inputs), float)
    rows = np.random.default_rng(0).permutation(len(X))[:2000]
    y = target if name == "abalone" else np.unique(target, return_inverse=True)[1]
    return X[rows], y[rows]


SHARED = Path(os.environ.get("THALWEG_DATA", "../shared/data"))


def tuned(s: Situation, solver: str) -> tuple[Situation, float]:
    """Return the best of ten random trainings, and its score."""
    rng = np.random.default_rng(1)
    made = []
    for _ in range(10):
        settings: dict[str, Any] = {
            "solver": solver,
            "hidden_layer_sizes": (int(rng.choice([20, 50, 100])),)
            * int(rng.choice([1, 2])),
            "learning_rate_init": float(10 ** rng.uniform(-3, -1.5)),
            "alpha": float(10 ** rng.uniform(-5, -2)),
        }
        if solver != "adam":
            settings["learning_rate_init"] *= 10
        made.append(s.having(**settings))
    scores = [np.mean(scored(each, range(2))) for each in made]
    best = int(np.argmax(scores))
    return made[best], float(scores[best])


def fitted(s: Situation, seed: int, estimator: Any = None) -> tuple[Any, float]:
    """Train; return the model, None if it cannot be, and its score on later rows."""
    model = s.estimator(seed) if estimator is None else estimator
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.fit(s.X, s.y)
            score = float(model.score(s.X_test[1::2], s.y_test[1::2]))
        except (ValueError, FloatingPointError):
            return None, -1.0 if s.regression else 0.0
    return model, max(score, -1.0)  # R2 has no lower end


def scored(s: Situation, seeds: Sequence[int]) -> Array:
    """Return the score on later rows, one a seed."""
    return np.array([fitted(s, seed)[1] for seed in seeds])


def healthy_kinds(base: Situation) -> Iterator[tuple[str, Situation]]:
    """Vary a sound training in ways that leave it sound."""
    yield "as tuned", base
    for activation in ("tanh", "logistic"):
        yield activation, base.having(activation=activation)
    yield "narrower", base.having(hidden_layer_sizes=(30,))
    yield "deeper", base.having(hidden_layer_sizes=(30, 30, 30))
    yield "float32", base.having(dtype="float32")
    yield "He", base.having(init="he_normal")
    yield "no penalty", base.having(alpha=0.0)
    yield "longer", base.having(max_iter=400)
    if base.first_order:
        rate = base.settings["learning_rate_init"]
        yield "twice the rate", base.having(learning_rate_init=2 * rate)
        yield "half the rate", base.having(learning_rate_init=rate / 2)
        yield "dropout", base.having(dropout=0.1)
        yield "batch norm", base.having(batch_norm=True)
        yield "cosine", base.having(schedule="cosine")
        yield "early stopping", base.having(early_stopping=True)
        yield "small batches", base.having(batch_size=min(16, len(base.X)))
        yield (
            "all rows, long steps",
            base.having(batch_size=len(base.X), learning_rate_init=5 * rate),
        )


def examine(s: Situation, seed: int, model: Any) -> Diagnosis:
    """Let the doctor see every other of the later rows; the rest are for us."""
    subject = s.estimator(seed) if model is None else model
    X_val, y_val = s.X_test[::2], s.y_test[::2]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return tw.diagnose(subject, s.X, s.y, X_val=X_val, y_val=y_val)


def flat(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Return findings with what is folded beneath them."""
    for finding in findings:
        yield finding
        yield from flat(finding.symptoms)


def judged(
    data: str, solver: str, what: str, clean: Array, s: Situation, fault: Fault | None
) -> Outcome:
    """Train, examine, treat, and note all that the table needs."""
    codes = fault.codes if fault else ()
    seed = 0
    started = time.perf_counter()
    model, score = fitted(s, seed)
    training = time.perf_counter() - started
    scores = np.array([score, *scored(s, SEEDS[1:])])
    fall = clean - scores
    error = fall.std(ddof=1) / np.sqrt(len(fall))
    hurts = bool(model is None or fall.mean() > max(0.02, 2 * error))
    diagnosis = examine(s, seed, model)
    roots = diagnosis.alarms
    names = [f.code for f in roots]
    treated, control = treatment(diagnosis, s, float(scores.mean()))
    return Outcome(
        data,
        solver,
        what,
        fault is None,
        float(clean.mean()),
        float(scores.mean()),
        hurts,
        tuple(names),
        tuple(f.code for f in flat(roots) if f.code not in names),
        bool(names) and names[0] in codes,
        any(f.code in codes for f in flat(roots[:3])),
        treated,
        control,
        diagnosis.costs["examination"],
        diagnosis.costs["trials"],
        training,
    )


def treatment(diagnosis: Diagnosis, s: Situation, untreated: float) -> Any:
    """Return the mean score on later rows after treatment, and after a random change.

    What only the user can do to the rows is done as the diagnosis says. The latter is
    the former, less what the remedy had over its control in the trial.
    """
    proofs = [f.proof for f in diagnosis.findings if f.proof is not None]
    over = [p.over_control for p in proofs if p.verdict == "confirmed"]
    if not over:
        return untreated, untreated
    model, difference = diagnosis.treat()
    s = replace(s, y=np.roll(s.y, difference.get("roll", 0)))
    if "leave_out" in difference:
        kept = np.setdiff1d(np.arange(len(s.y)), difference["leave_out"])
        s = replace(s, X=s.X[kept], y=s.y[kept])
    if "match_held" in difference:
        s = replace(s, X_test=matched(s.X_test, s.X))
    after = np.mean([fitted(s, k, _seeded(model, k))[1] for k in SEEDS])
    return float(after), float(after - max(over))


def _seeded(model: Any, seed: int) -> Any:
    """Return a copy of an estimator, alone or wrapped, with another seed."""
    copy: Any = clone(model)
    names = [k for k in copy.get_params() if k.split("__")[-1] == "random_state"]
    return copy.set_params(**dict.fromkeys(names, seed))


def run(data: str, solver: str, some: int | None) -> list[Outcome]:
    """Judge all faults and all sound trainings of one data set and solver."""
    base, best = tuned(load(data), solver)
    clean = scored(base, SEEDS)
    outcomes = []
    for what, s in list(healthy_kinds(base))[:some]:
        scores = scored(s, SEEDS)
        if scores.mean() >= best - 0.02:
            outcomes.append(judged(data, solver, what, scores, s, None))
    for what, fault in list(FAULTS.items())[:some]:
        if fault.applies(base):
            seed = zlib.crc32(f"{data}, {solver}, {what}".encode())
            s = fault.inject(base, np.random.default_rng(seed))
            outcomes.append(judged(data, solver, what, clean, s, fault))
    return outcomes


def figures(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Work out the syllabus' table."""
    hurting = [o for o in outcomes if o.hurts and not o.healthy]
    healthy = [o for o in outcomes if o.healthy]
    found = [bool(o.found) for o in hurting]
    recovered = [o.treated - o.faulty >= 0.9 * o.gap for o in hurting]
    by_chance = [o.control - o.faulty >= 0.9 * o.gap for o in hurting]
    worse = [o.treated < o.faulty - 0.02 for o in healthy]
    return {
        "hurting faults detected": _share(found),
        "cause ranked first": _share([o.first for o in hurting]),
        "cause within three": _share([o.within_three for o in hurting]),
        "healthy runs alarmed": f"{sum(bool(o.found) for o in healthy)} "
        f"of {len(healthy)}",
        "faults of which 90 % of the loss is recovered": _share(recovered),
        "the same by a random change": _share(by_chance),
        "healthy runs made worse by a remedy": _share(worse),
        "deep examination over one training": _median(
            [o.examination / o.training for o in outcomes]
        ),
        "trials over one training (a repair)": _median(
            [o.trials / o.training for o in outcomes if o.found]
        ),
    }


def _share(hits: Sequence[bool]) -> str:
    return f"{np.mean(hits):.1%} of {len(hits)}" if hits else "none"


def _median(ratios: Sequence[float]) -> str:
    return f"{np.median(ratios):.2f}" if ratios else "none"


def show(outcomes: Sequence[Outcome], title: str) -> None:
    """Print the table, then every miss and every false alarm."""
    console = Console(width=140)
    table = Table("quantity", "ours", "goal", title=title)
    for name, value in figures(outcomes).items():
        table.add_row(name, value, GOALS[name])
    console.print(table)
    for o in outcomes:
        place = f"{o.data}, {o.solver}, {o.what}"
        said = ", ".join(o.found) or "nothing"
        if o.healthy and o.found:
            console.print(f"false alarm  {place}: {said}")
        elif o.hurts and not o.healthy and not o.first:
            word = "not first" if o.within_three else ("wrong" if o.found else "missed")
            console.print(
                f"{word:11}  {place}: {said}; {o.clean:.3f} fell to {o.faulty:.3f}"
            )


def overhead() -> Mapping[str, float]:
    """Measure what `tw.Doctor()` adds to a fit; medians of paired fits."""
    ratios = {}
    for data in ("iris", "digits"):
        s = load(data).having(solver="adam")
        pairs = []
        for seed in range(11):
            plain, watched = (
                _seconds(s, seed),
                _seconds(s.having(callbacks=(tw.Doctor(),)), seed),
            )
            pairs.append(watched / plain - 1)
        ratios[data] = float(np.median(pairs[1:]))
    return ratios


def _seconds(s: Situation, seed: int) -> float:
    started = time.perf_counter()
    fitted(s, seed)
    return time.perf_counter() - started


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser("python -m benchmarks.doctor", description=TERMS)
    parser.add_argument(
        "--half", choices=("calibrate", "judge", "both"), default="both"
    )
    parser.add_argument("--data", nargs="*", help="these sets only")
    parser.add_argument("--solvers", nargs="*", default=SOLVERS)
    parser.add_argument("--some", type=int, help="the first so many of each list only")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all outcomes")
    parser.add_argument(
        "--overhead", action="store_true", help="of the callback, alone"
    )
    asked = parser.parse_args()
    if asked.overhead:
        for data, ratio in overhead().items():
            print(f"{data}: tw.Doctor() adds {ratio:.1%} to a fit (goal: at most 3 %)")
        return
    halves = {"calibrate": CALIBRATE, "judge": JUDGE}
    chosen = halves if asked.half == "both" else {asked.half: halves[asked.half]}
    everything = []
    for half, names in chosen.items():
        names = [name for name in names if not asked.data or name in asked.data]
        work = [
            delayed(run)(name, solver, asked.some)
            for name in names
            for solver in asked.solvers
        ]
        found: Any = Parallel(asked.jobs)(work)
        outcomes = list(chain.from_iterable(found))
        show(outcomes, f"{half}: {', '.join(names)}")
        everything += outcomes
        if asked.json:
            asked.json.write_text(json.dumps([asdict(o) for o in everything], indent=1))


if __name__ == "__main__":
    main()
