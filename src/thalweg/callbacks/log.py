"""What every callback that writes has in common.

One object may be given to several trainings, even at the same time, and to a search
that copies its estimator. `begin` therefore returns a writer for each training, and a
copy of the object is the object itself.

What cannot be written before the work is an error. What cannot be written later, when
the disk is full or a server has gone, is one warning: the training goes on.
"""

import threading
import warnings
from typing import Any, Self

from thalweg.core import Start


class Log:
    """A callback that writes; each work has a writer of its own."""

    def __init__(self) -> None:
        self._lock, self._n_begun = threading.Lock(), 0

    def begin(self, start: Start) -> "Writer":
        """Return the writer of what begins."""
        with self._lock:
            self._n_begun += 1
            return self._writer(start, self._n_begun)

    def __call__(self, record: Any) -> None:
        """Do nothing: the writer that `begin` returned is called."""

    def _writer(self, start: Start, number: int) -> "Writer":
        raise NotImplementedError

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in vars(self).items() if k != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._lock = threading.Lock()


class Writer:
    """The writer of one training, search or comparison.

    Parameters
    ----------
    name : str
        Of the callback, for warnings.
    where : str
        What is written to.
    """

    def __init__(self, name: str, where: str) -> None:
        self.name, self.where, self.failed = name, where, False

    def __call__(self, record: Any) -> None:
        """Write an epoch, or a trial."""
        self._try("see", record)

    def finish(self, result: Any) -> None:
        """Write the result, and close."""
        self._try("end", result)

    def see(self, record: Any) -> None:
        """Write an epoch, or a trial; may raise OSError."""

    def end(self, result: Any) -> None:
        """Write the result, and close; may raise OSError."""

    def give_up(self, why: Any) -> None:
        """Warn, once, that no more is written."""
        if not self.failed:
            self.failed = True
            warnings.warn(
                f"{self.name} stopped writing to {self.where}: {why} The work goes on "
                "without it.",
                stacklevel=2,
            )

    def _try(self, name: str, given: Any) -> None:
        if self.failed:
            return
        try:
            getattr(self, name)(given)
        except OSError as error:
            text = error.strerror or str(error) or type(error).__name__
            self.give_up(f"{text.rstrip('.')}.")
