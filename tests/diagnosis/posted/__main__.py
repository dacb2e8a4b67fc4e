"""Check the posted programs: `python -m tests.diagnosis.posted --half learn --verify`.

For three seeds, the faulty program must score below its cured twin by the margin of
its record, and the twin must reach its floor. Without `--verify` the records are
listed. The judging half lies elsewhere until it has been used; `--at` names the folder.
"""

import argparse
import os
import time
import warnings
from pathlib import Path

from tests.diagnosis.posted.case import Case, Program, Tutorial, load


def verify(case: Case, seeds: range) -> tuple[bool, str]:
    """Return whether a case holds, and its line of the table."""
    start = time.perf_counter()
    post = case.post
    well = [_score(case.fixed(seed)) for seed in seeds]
    holds = min(well) >= post.floor
    numbers = f"{_numbers(well)}, at least {post.floor:4.2f}"
    if not isinstance(post, Tutorial):
        sick = [_score(case.faulty(seed)) for seed in seeds]
        gap = min(b - a for a, b in zip(sick, well, strict=True))
        holds = holds and gap >= post.margin
        numbers = f"{_numbers(sick)} | {numbers}, gap {gap:5.2f} of {post.margin:4.2f}"
    spent = time.perf_counter() - start
    verdict = "holds" if holds else "FAILS"
    return holds, f"{case.name:34s} {post.kind:8s} {numbers} {spent:5.1f} s {verdict}"


def _score(program: Program) -> float:
    try:
        return program.rate(program.train())
    except ValueError:  # The training stops with an error: as bad as can be.
        return -1.0


def _numbers(scores: list[float]) -> str:
    return " ".join(f"{score:5.2f}" for score in scores)


def main() -> int:
    """Run the command line; return how many cases fail."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(prog="python -m tests.diagnosis.posted")
    parser.add_argument(
        "--half", choices=("learn", "judge", "healthy"), default="learn"
    )
    parser.add_argument("--at", type=Path, help="a folder of cases outside this one")
    parser.add_argument("--only", nargs="*", default=[""], help="parts of names to run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--verify", action="store_true", help="train faulty and cured")
    asked = parser.parse_args()

    os.environ.setdefault("KERAS_BACKEND", "jax")
    warnings.simplefilter("ignore")
    failed = 0
    for case in load(asked.at or here / asked.half):
        if not any(part in case.name for part in asked.only):
            continue
        if not asked.verify:
            print(f"{case.name} ({case.post.kind}): {case.post.source}")
            if not isinstance(case.post, Tutorial):
                print(f"  {case.post.fault}\n  Remedy: {case.post.remedy}")
            continue
        holds, line = verify(case, range(asked.seeds))
        failed += not holds
        print(line, flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
