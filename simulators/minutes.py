"""Quantities that hold still for a minute, and their exact integrals over any span (pure).

Values are whole numbers (watts, amperes, grams an hour), so integrals are exact integers: the same
whatever the order of the questions, additive over spans, and never falling while values are not
negative.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Curve = Callable[[NDArray[np.int64]], NDArray[np.int64]]

BEGIN_US: Final = 1_735_689_600_000_000
"""2025-01-01T00:00Z: every simulated process begins here, so that a counter has a past."""
MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
CHUNK_MINUTES: Final = 8 * 24 * 60
MOST_CHUNKS: Final = 4_600
_KEPT_CHUNKS: Final = 6


class MinuteCurve:
    """Curves of one whole number per minute since BEGIN_US, one in each row.

    `curve` takes minute numbers [n] and returns values, [n] or [rows, n]; it is always asked for
    whole chunks, so that vectorised floating point can not differ from one question to the next.
    """

    def __init__(self, curve: Curve) -> None:
        self._curve = curve
        self._sums: list[list[int]] = []
        self._chunks: OrderedDict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = OrderedDict()

    def value(self, at_us: int, row: int = 0) -> int:
        """Return the value of the minute that holds the instant."""
        chunk, minute = divmod(_minute(at_us), CHUNK_MINUTES)
        return int(self._chunk(chunk)[0][row, minute])

    def integral(self, at_us: int, row: int = 0) -> int:
        """Return the integral from BEGIN_US to the instant [value x microseconds], exactly."""
        chunk, minute = divmod(_minute(at_us), CHUNK_MINUTES)
        values, sums = self._chunk(chunk)
        before = self._sums[chunk - 1][row] if chunk else 0
        whole = before + int(sums[row, minute])
        return whole * MINUTE_US + int(values[row, minute]) * ((at_us - BEGIN_US) % MINUTE_US)

    def _chunk(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        while len(self._sums) < number:
            values, sums = self._evaluate(len(self._sums))
            ends = (sums[:, -1] + values[:, -1]).tolist()
            before = self._sums[-1] if self._sums else [0] * len(ends)
            self._sums.append([old + new for old, new in zip(before, ends, strict=True)])
        if number in self._chunks:
            self._chunks.move_to_end(number)
            return self._chunks[number]
        return self._evaluate(number)

    def _evaluate(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        first = number * CHUNK_MINUTES
        minutes = np.arange(first, first + CHUNK_MINUTES, dtype=np.int64)
        values = np.atleast_2d(self._curve(minutes))
        sums = np.zeros_like(values)
        np.cumsum(values[:, :-1], axis=1, out=sums[:, 1:])
        self._chunks[number] = (values, sums)
        if len(self._chunks) > _KEPT_CHUNKS:
            self._chunks.popitem(last=False)
        return values, sums


def _minute(at_us: int) -> int:
    minute = (at_us - BEGIN_US) // MINUTE_US
    if not 0 <= minute < MOST_CHUNKS * CHUNK_MINUTES:
        raise ValueError(
            f"the simulated process runs from 2025-01-01 for a hundred years, not at {at_us} us"
        )
    return minute
