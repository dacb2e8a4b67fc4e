"""Check the posted programs: `python -m tests.diagnosis.posted --half learn --verify`.

For three seeds, the faulty program must score below its cured twin by the margin of
its record, and the twin must reach its floor. Without `--verify` the records are
listed. The judging half lies elsewhere until it has been used; `--at` names the folder.
"""

import argparse
import os
import warnings
from pathlib import Path

from tests.diagnosis.posted.case import Tutorial, load
from tests.diagnosis.posted.verify import verify


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
