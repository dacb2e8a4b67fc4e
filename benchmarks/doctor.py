"""``python -m benchmarks.doctor``: how often the doctor is right.

Faults are put into sound trainings on eight data sets with three solvers; what hurts
counts. Sound trainings of many kinds show how often the doctor cries wolf. The terms
were fixed beforehand (`TERMS`): thresholds are calibrated on one half of the data sets,
and the other half judges them. Each outcome is written down as soon as it is known
(``--json``), and what is written there is not done again.
"""

import argparse
import json
import os
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_array
from sklearn import datasets as toys
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import thalweg as tw
from benchmarks.faults import FAULTS, Fault, Situation
from thalweg.core.types import Array
from thalweg.datasets import mnist, moons
from thalweg.diagnosis.remedies import match_columns
from thalweg.diagnosis.result import Diagnosis, Finding

TERMS = """\
Alarm: a finding above NOTE. Hurts: the test score falls by more than 2 standard errors
and 2 points over five seeds, or training fails. Healthy: nothing injected, and within 2
points of the best of ten tuned fits. Recovered: 90 % of what the fault had cost, in the
mean over five seeds."""
GONE = {
    "unrelated columns": "no column says anything any more",
    "twenty rows": "the other rows are gone",
    "one class nearly gone": "nineteen of twenty of its rows are gone",
}
"""Faults after which nothing could bring all back, and why; counted all the same."""
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
    "the same without those whose data are gone": "",
    "of those, recovered or no longer hurting": "",
    "of those, score won back over score lost": "",
    "recovered by a random change": "30 points less",
    "recovered by the first remedy, untried": "",
    "healthy runs made worse by a remedy": "1 %",
    "deep examination over one sound training": "0.25",
    "deep examination, milliseconds": "",
    "trials over one sound training (a repair)": "1.5",
    "trainings in them": "1.5",
    "trials, milliseconds": "",
    "tw.Doctor() added to a fit, percent": "3",
    "examination over a fit, nothing beside it": "0.25",
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
    trainings: float
    sound: float  # seconds of one sound training
    cured: bool  # whether it hurts no longer
    untried: float = float("nan")  # mean score after the first remedy, without trials

    @property
    def gap(self) -> float:
        """What the fault had cost."""
        return self.clean - self.faulty

    def recovers(self, score: float) -> bool:
        """Whether a score wins back nine tenths of that."""
        return score - self.faulty >= 0.9 * self.gap


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
    from thalweg.estimators.tabular.columns import as_frame, encode, study
    from thalweg.io import read_table

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
            "alpha": float(10 ** rng.uniform(-5, 0.5 if s.regression else -2)),
        }
        if solver == "sgd":
            settings["learning_rate_init"] *= 10
        elif solver == "lbfgs":  # has no rate: what holds it back is when it ends
            settings["max_iter"] = int(10 ** rng.uniform(1.3, 2.6))
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
    for activation in ("tanh", "logistic", "elu", "gelu", "leaky_relu"):
        yield activation, base.having(activation=activation)
    yield "narrower", base.having(hidden_layer_sizes=(30,))
    yield "wider", base.having(hidden_layer_sizes=(200,))
    yield "deeper", base.having(hidden_layer_sizes=(30, 30, 30))
    yield "float32", base.having(dtype="float32")
    yield "He", base.having(init="he_normal")
    yield "no penalty", base.having(alpha=0.0)
    yield "more penalty", base.having(alpha=0.01)
    yield "longer", base.having(max_iter=400)
    yield "sparse", replace(base, X=csr_array(base.X), X_test=csr_array(base.X_test))
    yield "in other units", replace(base, X=5 * base.X, X_test=5 * base.X_test)
    yield (
        "three quarters",
        replace(
            base, X=base.X[: 3 * len(base.X) // 4], y=base.y[: 3 * len(base.y) // 4]
        ),
    )
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


def examine(s: Situation, seed: int, model: Any, trials: bool = True) -> Diagnosis:
    """Let the doctor see every other of the later rows; the rest are for us."""
    subject = s.estimator(seed) if model is None else model
    X_val, y_val = s.X_test[::2], s.y_test[::2]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return tw.diagnose(subject, s.X, s.y, X_val=X_val, y_val=y_val, trials=trials)


def flat(findings: Sequence[Finding]) -> Iterator[Finding]:
    """Return findings with what is folded beneath them."""
    for finding in findings:
        yield finding
        yield from flat(finding.symptoms)


def judged(
    data: str, solver: str, what: str, clean: Array, sound: float, s: Situation,
    fault: Fault | None,
) -> Outcome:  # fmt: skip
    """Train, examine, treat, and note all that the table needs."""
    codes = fault.codes if fault else ()
    model, score = fitted(s, 0)
    scores = np.array([score, *scored(s, SEEDS[1:])]) if fault else clean
    diagnosis = examine(s, 0, model)
    roots = diagnosis.alarms
    names = [f.code for f in roots]
    after, control = treatment(diagnosis, s, scores)
    return Outcome(
        data=data,
        solver=solver,
        what=what,
        healthy=fault is None,
        clean=float(clean.mean()),
        faulty=float(scores.mean()),
        hurts=model is None or hurts(clean, scores),
        found=tuple(names),
        folded=tuple(f.code for f in flat(roots) if f.code not in names),
        first=bool(names) and names[0] in codes,
        within_three=any(f.code in codes for f in flat(roots[:3])),
        treated=float(after.mean()),
        control=control,
        examination=diagnosis.costs["examination"],
        trials=diagnosis.costs["trials"],
        trainings=diagnosis.costs["trainings"],
        sound=sound,
        cured=not hurts(clean, after),
        untried=untried(s, model, scores) if fault else float("nan"),
    )


def hurts(clean: Array, scores: Array) -> bool:
    """Tell whether scores fall by more than two standard errors and two points."""
    fall = clean - scores
    error = fall.std(ddof=1) / np.sqrt(len(fall))
    return bool(fall.mean() > max(0.02, 2 * error))


def treatment(
    diagnosis: Diagnosis, s: Situation, untreated: Array
) -> tuple[Array, float]:
    """Return scores on later rows after treatment, and their mean by a random change.

    What only the user can do to the rows is done as the diagnosis says. The latter is
    the former, less what the remedy had over its control in the trial.
    """
    proofs = [f.proof for f in diagnosis.findings if f.proof is not None]
    over = [p.over_control for p in proofs if p.verdict == "confirmed"]
    if not over:
        return untreated, float(untreated.mean())
    after = _treated(s, *diagnosis.treat())
    return after, float(after.mean() - max(over))


def untried(s: Situation, model: Any, untreated: Array) -> float:
    """Return the mean score after the first remedy that facts suggest, as it comes."""
    diagnosis = examine(s, 0, model, trials=False)
    for k, finding in enumerate(diagnosis.findings, start=1):
        if finding.prescription and finding.prescription.changes:
            return float(_treated(s, *diagnosis.treat(k)).mean())
    return float(untreated.mean())


def _treated(s: Situation, model: Any, difference: Mapping[str, Any]) -> Array:
    """Return scores on later rows, one a seed, after a treatment."""
    s = replace(s, y=np.roll(s.y, difference.get("roll", 0)))
    if "leave_out" in difference:
        kept = np.setdiff1d(np.arange(len(s.y)), difference["leave_out"])
        s = replace(s, X=s.X[kept], y=s.y[kept])
    if "match_held" in difference:
        s = replace(s, X_test=match_columns(s.X_test, s.X))
    return np.array([fitted(s, k, _seeded(model, k))[1] for k in SEEDS])


def _seeded(model: Any, seed: int) -> Any:
    """Return a copy of an estimator, alone or wrapped, with another seed."""
    copy: Any = clone(model)
    names = [k for k in copy.get_params() if k.split("__")[-1] == "random_state"]
    return copy.set_params(**dict.fromkeys(names, seed))


@cache
def sound(data: str, solver: str) -> tuple[Situation, float, Array, float]:
    """Return a tuned training, the best score, five scores, and its seconds."""
    base, best = tuned(load(data), solver)
    started = time.perf_counter()
    scores = scored(base, SEEDS)
    return base, best, scores, (time.perf_counter() - started) / len(SEEDS)


def run(data: str, solver: str, what: str) -> Outcome | None:
    """Judge a fault or a sound training; None if there is none of it here."""
    base, best, clean, seconds = sound(data, solver)
    if what not in FAULTS:
        s = dict(healthy_kinds(base)).get(what, base)
        scores = scored(s, SEEDS)
        if (what != "as tuned" and s is base) or scores.mean() < best - 0.02:
            return None
        return judged(data, solver, what, scores, seconds, s, None)
    if not FAULTS[what].applies(base):
        return None
    seed = zlib.crc32(f"{data}, {solver}, {what}".encode())
    s = FAULTS[what].inject(base, np.random.default_rng(seed))
    return judged(data, solver, what, clean, seconds, s, FAULTS[what])


def run_all(
    work: Sequence[tuple[str, str, str]], jobs: int, file: Path | None
) -> list[Outcome]:
    """Do what the file does not hold yet, and add it there as soon as it is known."""
    lines = file.read_text().splitlines() if file and file.exists() else []
    known = [json.loads(line) for line in lines]
    done = {(each["data"], each["solver"], each["what"]): each for each in known}
    todo = [delayed(run)(*each) for each in work if each not in done]
    made = Parallel(jobs, return_as="generator_unordered")(todo)
    for outcome in filter(None, made):
        plain = json.loads(json.dumps(asdict(outcome)))
        done[outcome.data, outcome.solver, outcome.what] = plain
        if file:
            with file.open("a") as opened:
                opened.write(json.dumps(plain) + "\n")
    return [Outcome(**done[each]) for each in work if each in done]


def figures(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Work out the syllabus' table."""
    hurting = [o for o in outcomes if o.hurts and not o.healthy]
    healthy = [o for o in outcomes if o.healthy]
    possible = [o for o in hurting if o.what not in GONE]
    repaired = [o for o in hurting if o.treated != o.faulty]
    won, lost = (sum(each) for each in ([o.treated - o.faulty for o in possible],
                                        [o.gap for o in possible]))  # fmt: skip
    return {
        "hurting faults detected": _share([bool(o.found) for o in hurting]),
        "cause ranked first": _share([o.first for o in hurting]),
        "cause within three": _share([o.within_three for o in hurting]),
        "healthy runs alarmed": f"{sum(bool(o.found) for o in healthy)} "
        f"of {len(healthy)}",
        "faults of which 90 % of the loss is recovered": _share(
            [o.recovers(o.treated) for o in hurting]
        ),
        "the same without those whose data are gone": _share(
            [o.recovers(o.treated) for o in possible]
        ),
        "of those, recovered or no longer hurting": _share(
            [o.recovers(o.treated) or o.cured for o in possible]
        ),
        "of those, score won back over score lost": f"{won / lost:.1%}" if lost else "",
        "recovered by a random change": _share(
            [o.recovers(o.control) for o in hurting]
        ),
        "recovered by the first remedy, untried": _share(
            [o.recovers(o.untried) for o in hurting]
        ),
        "healthy runs made worse by a remedy": _share(
            [o.treated < o.faulty - 0.02 for o in healthy]
        ),
        "deep examination over one sound training": _spread(
            [o.examination / o.sound for o in outcomes]
        ),
        "deep examination, milliseconds": _spread(
            [1e3 * o.examination for o in outcomes]
        ),
        "trials over one sound training (a repair)": _spread(
            [o.trials / o.sound for o in repaired]
        ),
        "trainings in them": _spread([o.trainings for o in repaired]),
        "trials, milliseconds": _spread([1e3 * o.trials for o in repaired]),
    }


def _share(hits: Sequence[bool]) -> str:
    return f"{np.mean(hits):.1%} of {len(hits)}" if hits else "none"


def _spread(values: Sequence[float]) -> str:
    """Give the median, and the tenth and ninetieth percentile."""
    if not values:
        return "none"
    low, middle, high = np.percentile(values, [10, 50, 90])
    return f"{middle:.3g} ({low:.2g} to {high:.2g})"


def show(outcomes: Sequence[Outcome], title: str, more: dict[str, str]) -> None:
    """Print the table, then every miss and every false alarm."""
    console = Console(width=140)
    table = Table("quantity", "ours", "goal", title=title)
    for name, value in (figures(outcomes) | more).items():
        table.add_row(name, value, GOALS[name])
    console.print(table)
    for o in outcomes:
        place = f"{o.data}, {o.solver}, {o.what}"
        said = ", ".join(o.found) or "nothing"
        if o.healthy and o.found:
            console.print(f"false alarm  {place}: {said}")
        elif o.healthy and o.treated < o.faulty - 0.02:
            console.print(f"made worse   {place}: {o.faulty:.3f} to {o.treated:.3f}")
        elif o.hurts and not o.recovers(o.treated):
            why = f" ({GONE[o.what]})" if o.what in GONE else ""
            console.print(
                f"unrecovered  {place}: {said}; {o.clean:.3f} fell to {o.faulty:.3f}, "
                f"treated {o.treated:.3f}{why}"
            )
        if o.hurts and not o.healthy and not o.first:
            word = "not first" if o.within_three else ("wrong" if o.found else "missed")
            console.print(
                f"{word:11}  {place}: {said}; {o.clean:.3f} fell to {o.faulty:.3f}"
            )


def overheads(names: Sequence[str]) -> dict[str, str]:
    """Measure what `tw.Doctor()` adds to a fit, and an examination without trials."""
    added, examined = zip(*map(_overhead, names), strict=True)
    return {
        "tw.Doctor() added to a fit, percent": _spread([100 * each for each in added]),
        "examination over a fit, nothing beside it": _spread(examined),
    }


def _overhead(data: str) -> tuple[float, float]:
    """Return shares of a fit; medians of paired ones, whose order changes."""
    s = load(data).having(solver="adam")
    watched = s.having(callbacks=(tw.Doctor(),))
    took: dict[bool, list[float]] = {False: [], True: []}
    for seed in range(-1, 40):
        for with_doctor in (False, True) if seed % 2 else (True, False):
            each = _seconds(watched if with_doctor else s, max(seed, 0))
            took[with_doctor] += [each] if seed >= 0 else []
    model, examinations = fitted(s, 0)[0], []
    for _ in range(11):
        started = time.perf_counter()
        tw.diagnose(model, s.X, s.y, X_val=s.X_test, y_val=s.y_test, trials=False)
        examinations.append(time.perf_counter() - started)
    plain = np.array(took[False])
    added = float(np.median(np.array(took[True]) / plain - 1))
    return added, float(np.median(examinations) / np.median(plain))


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
    parser.add_argument("--what", nargs="*", help="these faults and kinds only")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="add outcomes there")
    asked = parser.parse_args()
    halves = {"calibrate": CALIBRATE, "judge": JUDGE}
    none = np.zeros((4, 1))
    kinds = dict(healthy_kinds(Situation(none, none, none, none, _ANY)))
    for half in halves if asked.half == "both" else (asked.half,):
        names = [name for name in halves[half] if not asked.data or name in asked.data]
        work = [
            (data, solver, what)
            for data in names
            for solver in asked.solvers
            for what in asked.what or (*FAULTS, *kinds)
        ]
        if not names:
            continue
        outcomes = run_all(work, asked.jobs, asked.json)
        show(outcomes, f"{half}: {', '.join(names)}", overheads(names))


_ANY = {"solver": "adam", "learning_rate_init": 1.0}


if __name__ == "__main__":
    # By the module's name, under which the processes that share the work find it.
    import benchmarks.doctor

    benchmarks.doctor.main()
