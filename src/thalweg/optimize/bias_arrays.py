"""Whether the wrong entries of a gradient are biases.

A bias and a vector of weights look alike: ``(h,)`` may be the bias of a hidden layer or
the weights of the output, and ``(1,)`` may be either in a regression on one input. So
entries count as biases only if two conditions hold:

- They are in the place of biases: a vector as long as the layer of a larger array is
  wide, or one row or column of a matrix.
- They act like biases, which only add. Weights multiply: once they are 0, whatever
  comes before them, such as an earlier layer, no longer changes the cost.

Otherwise they count as weights, because the advice about a missing penalty is right for
any array, while "leave the biases out" is wrong for weights.
"""

from collections.abc import Iterable

import numpy as np

from thalweg.core import Array, Part
from thalweg.optimize.fault_location import Run, is_scattered, wrong_line, wrong_runs
from thalweg.optimize.gradient_entries import Evidence


def only_biases_are_wrong(evidence: Evidence) -> bool:
    """Whether the wrong entries are biases, and all of them."""
    if len(evidence.tree.parts) > 1 or evidence.tree.parts[0].rank > 1:
        return all(_is_bias(evidence, part) for part in evidence.wrong_parts)
    if 2 * evidence.sample.is_wrong.mean() >= 1:
        return False  # a network has fewer biases than weights
    return is_scattered(evidence) or all(
        _is_bias_run(evidence, run) for run in wrong_runs(evidence)
    )


def _is_bias(evidence: Evidence, part: Part) -> bool:
    """Whether the wrong entries of an array are biases."""
    wrong = evidence.sample.within(part).is_wrong
    if part.rank > 1:
        return bool(wrong_line(evidence, part))
    if len(wrong) > 2 and wrong.sum() == 1:
        return True  # one of the weights of a single unit, as its bias column
    right = evidence.right_parts
    if not any(_fits_layer(part, other) for other in right):
        return False
    blocks = [np.arange(other.start, other.stop) for other in right]
    return not _multiplies(evidence, np.arange(part.start, part.stop), blocks)


def _is_bias_run(evidence: Evidence, run: Run) -> bool:
    """Whether a run of a flat vector is the bias of the matrix right before it."""
    if run.right_before <= run.length or run.right_before % run.length:
        return False
    before, entries, after = np.split(
        np.arange(evidence.tree.size), [run.start, run.start + run.length]
    )
    return not _multiplies(evidence, entries, [before, after])


def _fits_layer(bias: Part, weights: Part) -> bool:
    """Whether `bias` may be that of `weights`: as long as its layer is wide."""
    shape = [length for length in weights.shape if length > 1]
    length = bias.stop - bias.start
    # Widths of inputs and outputs, whichever way the matrix is held.
    widths = {shape[0], shape[-1]} if len(shape) > 1 else {1}
    return length in widths and length < weights.stop - weights.start


def _multiplies(evidence: Evidence, entries: Array, blocks: Iterable[Array]) -> bool:
    """Whether some block no longer changes the cost once `entries` are 0.

    The signs of half of a block are flipped, which leaves any penalty as it is.
    """
    differences = evidence.differences
    without = differences.x.copy()
    without[entries] = 0.0
    rng = np.random.default_rng(0)
    for block in (block for block in blocks if len(block)):
        flipped = rng.permutation(block)[: (len(block) + 1) // 2]
        change, change_without = (
            _change_by_signs(evidence, x, flipped) for x in (differences.x, without)
        )
        if change_without <= differences.rounding < change:
            return True
    return False


def _change_by_signs(evidence: Evidence, x: Array, flipped: Array) -> float:
    """Return how much the cost changes with the signs of some weights; NaN if unknown.

    (Comparisons with NaN are false.)
    """
    other = x.copy()
    other[flipped] *= -1
    cost, region = evidence.differences.function.cost, evidence.differences.region
    if x not in region or other not in region:
        return np.nan
    try:
        return abs(cost(other) - cost(x))
    except ArithmeticError:
        return np.nan
