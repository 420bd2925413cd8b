"""What was recorded after an instant, and until another: readings, confirmed steps, facts.

The questions behind `store.causes`, each of them for many changes of figures at once. Promise: a
question without spans asks nothing, and what the joins say pair by pair is said once more for all,
so that the planner reads no other rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.clock import to_us
from core.facts import MOST_TOLERANCE_H, reach
from core.periods import SLOT_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg import AsyncConnection

SLOT: Final = timedelta(microseconds=SLOT_US)
# How far from an edge the reading that decides it may lie: each look is for what the narrower one
# left without any reading, so the wide ones read few.
WIDTHS: Final = (SLOT, timedelta(days=1), timedelta(days=40))

Pair = tuple[int, int]  # number of a change, number of a point
Found = tuple[int, dict[str, Any]]  # number of a change, a reference


@dataclass(frozen=True, slots=True)
class Ask:
    """What was recorded in (since, until] of a point in [begin, end); `until` None: till now."""

    row: int  # number of the change that asks
    point: int
    begin: datetime
    end: datetime
    since: datetime
    until: datetime | None = None

    @property
    def pair(self) -> Pair:
        """Return the change and the point."""
        return self.row, self.point


async def changed_slots(
    connection: AsyncConnection[Any], asks: Sequence[Ask], lag: timedelta
) -> list[Ask]:
    """Return the parts of spans whose slots were computed since, a `lag` earlier to be sure."""
    if not asks:
        return []
    changed = [ask.since - lag for ask in asks]
    cursor = await connection.execute(_SLOTS, (*_spans(asks), changed, *_all(asks)))
    by_pair = {ask.pair: ask for ask in asks}
    return [
        replace(by_pair[row, point], begin=begin, end=end)
        for row, point, begin, end in _merged(await cursor.fetchall())
    ]


async def readings(
    connection: AsyncConnection[Any], asks: Sequence[Ask], names: Mapping[int, str]
) -> dict[Pair, dict[str, Any]]:
    """Return how many readings there are of each pair, measured and recorded when."""
    if not asks:
        return {}
    since, until = _instants(asks)
    cursor = await connection.execute(_READINGS, (*_spans(asks), since, until, *_all(asks)))
    return {
        (row, point): _reading(names[point], count, *instants)
        for row, point, count, *instants in await cursor.fetchall()
    }


async def neighbours(
    connection: AsyncConnection[Any], asks: Sequence[Ask], names: Mapping[int, str]
) -> list[tuple[Pair, dict[str, Any]]]:
    """Return the usable readings next to a span, before and after it, that were recorded since.

    A counter stands at a period's edge by the readings on both sides of it.
    """
    found: list[tuple[Pair, dict[str, Any]]] = []
    for query, is_after in ((_BEFORE, False), (_AFTER, True)):
        left = list(asks)
        for width in WIDTHS:
            near = [_beside(ask, width, is_after=is_after) for ask in left]
            if not near:
                break
            cursor = await connection.execute(query, (*_spans(near), *_all(near)))
            rows = {(row, point): (at, when) for row, point, at, when in await cursor.fetchall()}
            for ask in left:
                at, when = rows.get(ask.pair, (None, None))
                if when is not None and ask.since < when <= (ask.until or when):
                    found.append((ask.pair, _reading(names[ask.point], 1, at, at, when, when)))
            left = [ask for ask in left if ask.pair not in rows]
    return found


async def steps(
    connection: AsyncConnection[Any], asks: Sequence[Ask], names: Mapping[int, str]
) -> list[Found]:
    """Return the steps that a person confirmed."""
    if not asks:
        return []
    since, until = _instants(asks)
    cursor = await connection.execute(_STEPS, (*_spans(asks), since, until))
    return [
        (
            row,
            {
                "point": names[point],
                "at": periods.render_utc(to_us(at)),
                "confirmed_by": who,
                "confirmed_at": periods.render_utc(to_us(when)),
            },
        )
        for row, point, at, who, when in await cursor.fetchall()
    ]


async def facts(
    connection: AsyncConnection[Any], asks: Sequence[Ask], units: Sequence[str]
) -> list[Found]:
    """Return the production facts of units, one beside each span: new ones and revisions.

    A fact belongs to a span where any of its revisions may change a period of it.
    """
    if not asks:
        return []
    rows, begins, ends, _ = _spans(asks)
    since, until = _instants(asks)
    cursor = await connection.execute(_FACTS, (rows, begins, ends, list(units), since, until))
    spans = {ask.row: (to_us(ask.begin), to_us(ask.end)) for ask in asks}
    found: dict[tuple[int, str, int], Found] = {}
    for row, kind, there, grades, identifier, revision, *more in await cursor.fetchall():
        if _overlap(spans[row], reach(kind, to_us(there), grades)):
            at, recorded_at, source = more
            item = {
                "id": identifier,
                "revision": revision,
                "at": periods.render_utc(to_us(at)),
                "recorded_at": periods.render_utc(to_us(recorded_at)),
                "source": source,
            }
            found.setdefault((row, identifier, revision), (row, item))
    return list(found.values())


def _overlap(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return span[0] < other[1] and other[0] < span[1]


def _reading(
    point: str, count: int, first: datetime, last: datetime, *recorded: datetime
) -> dict[str, Any]:
    begin, end, recorded_from, recorded_until = (
        periods.render_utc(to_us(instant)) for instant in (first, last, *recorded)
    )
    return {
        "point": point,
        "count": count,
        "from": begin,
        "until": end,
        "recorded_from": recorded_from,
        "recorded_until": recorded_until,
    }


def _beside(ask: Ask, width: timedelta, *, is_after: bool) -> Ask:
    if is_after:
        return replace(ask, begin=ask.end, end=ask.end + width)
    return replace(ask, begin=ask.begin - width, end=ask.begin)


def _spans(
    asks: Sequence[Ask],
) -> tuple[list[int], list[datetime], list[datetime], list[int]]:
    return (
        [ask.row for ask in asks],
        [ask.begin for ask in asks],
        [ask.end for ask in asks],
        [ask.point for ask in asks],
    )


def _instants(asks: Sequence[Ask]) -> tuple[list[datetime], list[datetime | None]]:
    return [ask.since for ask in asks], [ask.until for ask in asks]


def _all(asks: Sequence[Ask]) -> tuple[list[int], datetime, datetime]:
    """Return all points, and the span around all spans."""
    points = sorted({ask.point for ask in asks})
    return points, min(ask.begin for ask in asks), max(ask.end for ask in asks)


def _merged(
    slots: Iterable[tuple[int, int, datetime]],
) -> list[tuple[int, int, datetime, datetime]]:
    """Return (change, point number, begin, end) of slots that follow one another, from sorted."""
    found: list[tuple[int, int, datetime, datetime]] = []
    for row, number, start in slots:
        if found and found[-1][:2] == (row, number) and found[-1][3] == start:
            found[-1] = (row, number, found[-1][2], start + SLOT)
        else:
            found.append((row, number, start, start + SLOT))
    return found


_K: Final = " from unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::int[]"
_SLOTS: Final = (
    "select k.n, k.p, s.slot_start" + _K + ", %s::timestamptz[]) as k(n, f, u, p, changed)"
    " join slot_energy s on s.point_id = k.p and s.slot_start >= k.f and s.slot_start < k.u"
    " and s.computed_at > k.changed where s.point_id = any(%s) and s.slot_start >= %s"
    " and s.slot_start < %s order by k.n, k.p, s.slot_start"
)
_WHEN: Final = ", %s::timestamptz[], %s::timestamptz[]) as k(n, f, u, p, since, until)"
_READINGS: Final = (
    "select k.n, k.p, count(*), min(r.ts), max(r.ts), min(r.recorded_at), max(r.recorded_at)"
    + _K
    + _WHEN
    + " join reading r on r.point_id = k.p and r.ts >= k.f and r.ts < k.u"
    " and r.recorded_at > k.since and (k.until is null or r.recorded_at <= k.until)"
    " where r.point_id = any(%s) and r.ts >= %s and r.ts < %s group by k.n, k.p order by k.n, k.p"
)
_BESIDE: Final = (
    _K + ") as k(n, f, u, p) join reading r on r.point_id = k.p and r.ts >= k.f and r.ts < k.u"
    " and r.quality < 2 where r.point_id = any(%s) and r.ts >= %s and r.ts < %s group by k.n, k.p"
)
_BEFORE: Final = (
    "select k.n, k.p, max(r.ts), (array_agg(r.recorded_at order by r.ts desc))[1]" + _BESIDE
)
_AFTER: Final = "select k.n, k.p, min(r.ts), (array_agg(r.recorded_at order by r.ts))[1]" + _BESIDE
_STEPS: Final = (
    "select k.n, s.point_id, s.ts, s.confirmed_by, s.confirmed_at" + _K + _WHEN + " join"
    " confirmed_step s on s.point_id = k.p and s.ts >= k.f - interval '1 day'"
    " and s.ts < k.u + interval '1 day' and s.confirmed_at > k.since"
    " and (k.until is null or s.confirmed_at <= k.until) order by k.n, s.ts"
)
# Wider than any fact reaches but one of a base year: what each of them does is said by `reach`.
_FACTS: Final = (
    "select k.n, there.kind, there.at, there.grades, f.id, f.revision, f.at, f.recorded_at,"  # noqa: S608 - constants only
    " f.source from unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], %s::text[],"
    " %s::timestamptz[], %s::timestamptz[]) as k(n, f, u, unit, since, until) join output_fact"
    f" there on there.unit = k.unit and there.at < k.u + interval '{MOST_TOLERANCE_H} hours' and"
    f" (there.kind = 'base' or there.at >= k.f - interval '{MOST_TOLERANCE_H} hours')"
    " join output_fact f on f.site = there.site and f.id = there.id and f.recorded_at > k.since"
    " and (k.until is null or f.recorded_at <= k.until)"
    " order by k.n, f.recorded_at, f.id, f.revision, there.revision"
)
