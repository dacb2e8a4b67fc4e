"""Whether paired scores prove a remedy: same rows and seeds, with it and without.

The remedy must gain more than chance explains, and more than a random change of equal
size in its place.
"""

from collections.abc import Sequence

import numpy as np

from thalweg.diagnosis.result import Proof

GAIN = 0.02
"""The smallest gain of accuracy that counts: two points."""
_GAIN_R2 = 0.03
"""The smallest gain of R2 that counts; R2 varies more."""
ERRORS, GLARING_ERRORS = 1.64, 0.9
"""Standard errors that a gain must exceed: 5 % one-sided, or fewer if the facts are far
beyond their limit."""
_NONE_LOSES = 1.0
"""Standard errors that a gain must exceed if no seed loses."""


def prove(
    before: Sequence[float], after: Sequence[float], control: Sequence[float],
    n_held: int, by_class: bool, late: bool, errors: float = ERRORS,
    least: float = -1.0, surer: bool = False,
) -> Proof:  # fmt: skip
    """Judge paired scores; a training that diverged scores 0.

    Parameters
    ----------
    before, after : sequence of float
        One score per seed.
    control : sequence of float
        Scores of the first seeds with a random change, or none.
    n_held : int
        Number of different validation rows.
    by_class : bool
        Whether the scores are accuracies.
    late : bool
        Whether the budget is spent.
    errors : float
        Standard errors that the gain must exceed.
    least : float
        Score that the mean of `after` must exceed.
    surer : bool
        Whether the network became so much surer of the true classes that the score
        need not rise.
    """
    b, a, c = (np.nan_to_num(np.array(s)) for s in (before, after, control))
    gains = a - b
    gain = float(gains.mean())
    over_control = float((a[: len(c)] - c).mean()) if len(c) else float("nan")
    # Accuracies on a few rows vary by chance, even if all seeds agree.
    floor = np.sqrt(max(abs(gain), 0.01) / n_held)
    error = max(float(gains.std(ddof=1) / np.sqrt(len(gains))), float(floor))
    interval = (gain - 1.96 * error, gain + 1.96 * error)
    # If one seed gains far more than the others, the standard error is large although
    # no seed loses.
    none_loses = len(gains) >= 5 and gains.min() >= 0 and gain > _NONE_LOSES * floor
    clear = gain > errors * error or none_loses
    enough = gain >= (GAIN if by_class else _GAIN_R2)
    better = (enough and clear) or (surer and gain >= 0)
    verdict = "no gain"
    if better and over_control > 0 and a.mean() > least:
        verdict = "confirmed"
    elif not np.isfinite(after).any():
        verdict = "out of budget" if late else "diverged"
    elif late:
        verdict = "out of budget"
    metric = "accuracy" if by_class else "R2"
    return Proof(metric, tuple(before), tuple(after), tuple(control), gain, interval,
                 over_control, verdict)  # fmt: skip
