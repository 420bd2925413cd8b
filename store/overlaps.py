"""Intervals that lie inside another interval of their point: dead letters `overlap` (design 4.6).

Promise: what is stored stays, then whatever arrived first; bad rows neither cover nor are covered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.clock import from_us
from core.quality import Quality
from store import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from core.exactmath import Int64s
    from store.readings import Rows

    Mask = NDArray[np.bool_]

_NEIGHBOURS: Final = (
    "select array_agg(r.point_id), array_agg(r.ts) from unnest(%s, %s, %s) as k(p, a, b)"
    " join reading r on r.point_id = k.p and r.ts > k.a and r.ts < k.b"
    " where r.quality < 2 and r.ts >= %s and r.ts <= %s"
)


async def overlapping(
    connection: AsyncConnection[Any],
    offered: Rows,
    arrival: Int64s,
    absent: Mask,
    intervals_us: Int64s,
) -> Mask:
    """Return which absent rows of interval points lie inside another interval.

    `offered` is sorted by point and time, `arrival` tells each row's place in order of arrival.
    """
    overlap = np.zeros(len(offered), np.bool_)
    length = intervals_us[offered.point_id]
    judged = np.flatnonzero((length > 0) & absent & (offered.quality != Quality.BAD))
    if not len(judged):
        return overlap
    rows, length = offered.take(judged), length[judged]
    cursor = arrays.read_columns(connection.cursor())
    starts = np.flatnonzero(np.diff(rows.point_id, prepend=-1))
    ends = np.append(starts[1:], len(rows)) - 1
    await cursor.execute(
        _NEIGHBOURS,
        (
            arrays.Int4s(rows.point_id[starts]),
            arrays.Instants(rows.ts_us[starts] - length[starts]),
            arrays.Instants(rows.ts_us[ends] + length[starts]),
            from_us(int(rows.ts_us.min() - length.max())),
            from_us(int(rows.ts_us.max() + length.max())),
        ),
        binary=True,
    )
    found = await cursor.fetchone()
    for begin, end in zip(starts.tolist(), (ends + 1).tolist(), strict=True):
        stored = np.empty(0, np.int64)
        if found is not None and found[0] is not None:
            stored = np.sort(found[1][found[0] == rows.point_id[begin]])
        part = slice(begin, end)
        overlap[judged[part]] = covered(
            rows.ts_us[part], arrival[judged[part]], stored, int(length[begin])
        )
    return overlap


def covered(ts_us: Int64s, arrival: Int64s, stored: Int64s, length_us: int) -> Mask:
    """Return which intervals [ts, ts + length) of one point overlap one that stays.

    `ts_us` and `stored` ascend. All that is stored stays; then whatever came first.
    """
    near = np.searchsorted(stored, ts_us - length_us, "right")
    taken = near < np.searchsorted(stored, ts_us + length_us, "left")
    if not ((np.diff(ts_us) < length_us).any()):
        return np.asarray(taken, np.bool_)
    # Of candidates that lie close to one another, the earliest arrival stands: one by one.
    open_ends: dict[int, list[int]] = {}
    for place in np.argsort(arrival, kind="stable").tolist():
        if taken[place]:
            continue
        at = int(ts_us[place])
        cell = at // length_us
        close = (
            t for near_cell in (cell - 1, cell, cell + 1) for t in open_ends.get(near_cell, ())
        )
        if any(abs(at - other) < length_us for other in close):
            taken[place] = True
        else:
            open_ends.setdefault(cell, []).append(at)
    return np.asarray(taken, np.bool_)
