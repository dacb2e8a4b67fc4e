"""Whether a posted program is sick and its cured twin is well, seed by seed."""

import time

from tests.diagnosis.posted.case import Case, Program, Tutorial


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
