"""Where a gradient is wrong: in whole arrays, in a row or column, or in stretches."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from thalweg.core import Part
from thalweg.optimize.gradient_entries import Evidence

_N_NEIGHBORS = 16


class Run(NamedTuple):
    """A stretch of wrong entries without a gap.

    Parameters
    ----------
    start : int
        Its first entry.
    length : int
    right_before : int
        How many right entries lie between it and the previous run.
    """

    start: int
    length: int
    right_before: int


def describe_location(evidence: Evidence) -> str:
    """Name the place of what is wrong."""
    parts = evidence.wrong_parts
    if len(evidence.tree.parts) > 1:
        places = [wrong_line(evidence, part) or part.name for part in parts]
        everywhere = places == [part.name for part in evidence.tree.parts]
        return "all arrays" if everywhere else ", ".join(places)
    name, wrong = evidence.tree.parts[0].name, evidence.wrong_entries
    if evidence.sample.is_wrong.mean() > 0.9:
        return f"all of {name}" if len(wrong) > 1 else name
    if is_scattered(evidence):
        some = ", ".join(map(str, wrong[:3]))
        return f"entries {some}, … of {name}" if len(wrong) > 1 else f"{name}[{some}]"
    return f"entries {wrong[0]} to {wrong[-1]} of {name}"


def wrong_line(evidence: Evidence, part: Part) -> str:
    """Name the one row or column of an array that is wrong, ``""`` if it is not one."""
    if part.rank < 2:
        return ""
    sample = evidence.sample.within(part)
    indices = np.unravel_index(sample.index - part.start, part.shape)
    for axis, index in reversed(list(enumerate(indices))):
        lines = np.unique(index[sample.is_wrong])
        if len(lines) == 1 and len(np.unique(index)) > 1:
            place = [":"] * len(part.shape)
            place[axis] = str(lines[0])
            return f"{part.name}[{', '.join(place)}]"
    return ""


def is_scattered(evidence: Evidence) -> bool:
    """Whether no wrong entry has a wrong neighbor, as in a bias column."""
    last = evidence.tree.size - 1
    some = evidence.rng.permutation(evidence.wrong_entries)[:_N_NEIGHBORS].tolist()
    beside = [i + k for i in some for k in (-1, 1) if 0 <= i + k <= last]
    return not any(evidence.is_wrong(entry) for entry in beside)


def wrong_runs(evidence: Evidence) -> Iterator[Run]:
    """Yield the runs of wrong entries that the sample falls in."""
    end = 0
    for entry in evidence.wrong_entries:
        if entry < end:
            continue
        first = _end_of_run(evidence, entry, -1)
        last = _end_of_run(evidence, entry, 1)
        yield Run(first, last - first + 1, first - end)
        end = last + 1


def _end_of_run(evidence: Evidence, entry: int, sign: int) -> int:
    """Gallop from a wrong entry to the end of its run, then back by halves."""

    def is_wrong(at: int) -> bool:
        return 0 <= at < evidence.tree.size and evidence.is_wrong(at)

    inside, step = entry, 1
    while is_wrong(inside + sign * step):
        inside, step = inside + sign * step, 2 * step
    while step:
        if is_wrong(inside + sign * step):
            inside += sign * step
        step //= 2
    return inside
