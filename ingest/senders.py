"""Learns which agents send which points, from what is stored: whom to blame for a silent point.

Promise: a pair is written once a day, in the transaction of its readings, and costs a look-up in
memory otherwise; what memory forgets is written again, which changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from core.exactmath import Int64s

MOST_TOPICS: Final = 10_000  # remembered, one an agent; one more and memory begins anew
NEVER: Final = -1
_STEP: Final = 1_024  # points that memory grows by at once
_NOTHING: Final = np.zeros(0, np.int32)

Pairs = dict[str, list[int]]


class Senders:
    """Remembers on which day each topic brought which points.

    `fresh` finds what was not yet noted on a day, `learned` remembers it.
    """

    def __init__(self) -> None:
        self._known: dict[str, NDArray[np.int32]] = {}

    def fresh(self, topics: Sequence[str], row_topic: Int64s, point_id: Int64s, day: int) -> Pairs:
        """Return the points by topic among these rows that were not noted on this day.

        Rows are sorted by their topic's place in `topics`.
        """
        found: Pairs = {}
        if not len(point_id):
            return found
        starts = np.flatnonzero(np.diff(row_topic, prepend=-1))
        for begin, end in zip(starts, [*starts[1:], len(row_topic)], strict=True):
            topic, points = topics[row_topic[begin]], point_id[begin:end]
            known = self._known.get(topic, _NOTHING)
            if points.max() < len(known) and (known[points] == day).all():
                continue
            points = points[~np.isin(points, np.flatnonzero(known == day))]
            found[topic] = sorted({*found.get(topic, ()), *points.tolist()})
        return found

    def learned(self, pairs: Pairs, day: int) -> None:
        """Remember pairs that are stored."""
        for topic, points in pairs.items():
            if topic not in self._known and len(self._known) == MOST_TOPICS:
                self._known.clear()
            known = self._known.get(topic, _NOTHING)
            lacking = points[-1] + 1 - len(known)
            if lacking > 0:
                known = np.append(known, np.full(lacking + _STEP, NEVER, np.int32))
            known[points] = day
            self._known[topic] = known


def by_agent(pairs: Pairs) -> list[tuple[int, str]]:
    """Return pairs of point and agent, sorted, as the store keeps them."""
    found = [
        (point, topic.agent)
        for text, points in pairs.items()
        for topic in [names.parse_topic(text)]
        if topic is not None
        for point in points
    ]
    return sorted(found)
