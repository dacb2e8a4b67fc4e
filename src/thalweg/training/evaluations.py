"""The evaluations of a full-batch method, recorded so that it can be resumed.

SciPy's methods keep their state to themselves. But what a method does depends only on
what the objective answered. So each answer is recorded in its order, and a method that
begins again is given the same answers, without computing them: it arrives where it was,
to the same bits. A record that grows too large is dropped.
"""

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from thalweg.core import Array

MOST_BYTES = 1 << 26
"""Size from which a record is dropped."""

Answer = tuple[float, Array | None]
"""A number, or an array, or both."""


class Unrepeatable(Exception):
    """A method that began again asks for something else than it did before."""


class Evaluations:
    """Answers of an objective, in the order in which they were asked for.

    Parameters
    ----------
    kept : dict or None
        What `snapshot` returned, to answer from first.
    records : bool
        Whether answers are recorded at all.
    """

    def __init__(
        self, kept: dict[str, Any] | None = None, *, records: bool = True
    ) -> None:
        self.questions: list[int] = []
        self.values: list[float] = []
        self.arrays: list[Array | None] = []
        self.dropped, self._bytes, self._answered = not records, 0, 0
        if kept is not None:
            self._read(kept)

    @property
    def repeats(self) -> bool:
        """Whether the next answer is one that is recorded."""
        return self._answered < len(self.questions)

    def answer(self, compute: Callable[[], Answer], *asked: Array) -> Answer:
        """Return the recorded answer to a question, or compute and record it.

        Raises
        ------
        Unrepeatable
            If the recorded answer is that to another question.
        """
        if self.dropped:
            return compute()
        question = 0
        for part in asked:
            question = zlib.crc32(np.ascontiguousarray(part).tobytes(), question)
        if self.repeats:
            number = self._answered
            if self.questions[number] != question:
                raise Unrepeatable
            self._answered += 1
            return self.values[number], self.arrays[number]
        value, array = compute()
        self._record(question, value, array)
        return value, array

    def snapshot(self) -> dict[str, Any] | None:
        """Copy what is recorded; None if it was dropped."""
        if self.dropped:
            return None
        arrays = [np.ravel(each) for each in self.arrays if each is not None]
        shapes = [(-1,) if each is None else each.shape for each in self.arrays]
        return {
            "questions": np.array(self.questions, np.uint32),
            "values": np.array(self.values, float),
            "numbers": np.concatenate(arrays) if arrays else np.zeros(0),
            "dimensions": np.array([len(each) for each in shapes], np.int8),
            "lengths": np.array([n for each in shapes for n in each], np.int64),
        }

    def _record(self, question: int, value: float, array: Array | None) -> None:
        self._bytes += 16 + (0 if array is None else array.nbytes)
        if self._bytes > MOST_BYTES:
            self.dropped = True
            self.questions, self.values, self.arrays = [], [], []
            return
        self.questions.append(question)
        self.values.append(float(value))
        self.arrays.append(None if array is None else np.array(array, float))
        self._answered += 1

    def _read(self, kept: dict[str, Any]) -> None:
        self.questions = kept["questions"].tolist()
        self.values = kept["values"].tolist()
        rest, lengths = kept["numbers"], iter(kept["lengths"].tolist())
        for count in kept["dimensions"].tolist():
            shape = [next(lengths) for _ in range(count)]
            if shape == [-1]:
                self.arrays.append(None)
                continue
            size = int(np.prod(shape))
            self.arrays.append(rest[:size].reshape(shape))
            rest = rest[size:]
        self._bytes = kept["numbers"].nbytes
