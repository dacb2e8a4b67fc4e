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

from tests.diagnosis.posted.case import Case, load


def verify(case: Case, seeds: range) -> tuple[bool, str]:
    """Return whether a case holds, and its line of the table."""
    start = time.perf_counter()
    sick, well = [], []
    for seed in seeds:
        for build, scores in ((case.faulty, sick), (case.fixed, well)):
            program = build(seed)
            scores.append(program.rate(program.train()))
    post = case.post
    gap = min(b - a for a, b in zip(sick, well, strict=True))
    holds = gap >= post.margin and min(well) >= post.floor
    spent = (time.perf_counter() - start) / (2 * len(seeds))
    numbers = [" ".join(f"{s:5.2f}" for s in scores) for scores in (sick, well)]
    verdict = "holds" if holds else "FAILS"
    return holds, (
        f"{case.name:36s} {post.kind:8s} {numbers[0]} | {numbers[1]}  "
        f"gap {gap:5.2f} of {post.margin:4.2f}  {spent:4.1f} s  {verdict}"
    )


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
            print(f"{case.name}\n  {case.post.fault}\n  Remedy: {case.post.remedy}")
            continue
        holds, line = verify(case, range(asked.seeds))
        failed += not holds
        print(line, flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
