"""Trainings that make up one model: side by side, and interrupted as one.

Ctrl-C ends each of them with the weights that it has by then. Those that have not begun
are left out.
"""

from collections.abc import Callable, Sequence

from thalweg.core import Run, StopReason, cpus_are_shared, keep_on_interrupt
from thalweg.training.parallel import run_all


def train_side_by_side(
    trainings: Sequence[Callable[[], Run]], n_jobs: int | None = -1
) -> list[Run | None]:
    """Call each training; on Ctrl-C keep what they have learned.

    Parameters
    ----------
    trainings : sequence of callable
    n_jobs : int or None
        Trainings at once, as for `run_all`.

    Returns
    -------
    list of Run or None
        In the order of the trainings; None for those that had not begun.

    Raises
    ------
    KeyboardInterrupt
        If none had begun, or if all of this is a part of other work.
    """
    runs: dict[int, Run] = {}
    interrupted = False

    def train(number: int) -> None:
        nonlocal interrupted
        if interrupted:
            return
        if alone:
            with keep_on_interrupt():
                runs[number] = trainings[number]()
        else:
            runs[number] = trainings[number]()
        interrupted |= runs[number].stop_reason is StopReason.INTERRUPTED

    alone = not cpus_are_shared()
    try:
        run_all(train, [(number,) for number in range(len(trainings))], n_jobs)
    except KeyboardInterrupt:
        if not (alone and runs):
            raise
    return [runs.get(number) for number in range(len(trainings))]
