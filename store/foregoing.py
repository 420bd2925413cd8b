"""The readings before the horizon on which those behind it rest: they stay when spans are dropped.

A counter's energy up to its first reading of a span is known by its last one before, however long
ago that was, and so is that a gauge has a gap there. Promise: whatever is admitted after a drop
finds the readings that a store which dropped nothing would look at, so that a late one gives the
same figures there; where a meter was silent for long, only the spans that hold its last readings
stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us
from core.periods import SLOT_US
from core.plant import PointKind
from core.quality import Quality
from store import plants, readings, retention
from store.engine import DAY_US, layout
from store.slotwork import CONTEXT_READINGS as CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg import AsyncConnection

    from core.plant import Point
    from store.partitions import Span

NEAR_US: Final = DAY_US  # always kept before the horizon
MOST_POINTS: Final = 1_000  # of one question
# So much measured time holds all readings that a slot looks back to: neighbours in it lie at most
# `max_gap` apart, CONTEXT of them beyond `reach_us` and one more for either end.
_GAPS: Final = CONTEXT + 4
_SLOTS: Final = 2


@dataclass(frozen=True, slots=True)
class Held:
    """What must stay: all from `near_us` on, and older spans by their start, each for a point."""

    near_us: int
    spans: dict[int, str] = field(default_factory=dict)

    def why(self, span: Span) -> str | None:
        """Say what a span stays for, None where it may go."""
        if span.until_us > self.near_us:
            return "what comes first behind the horizon"
        return self.spans.get(span.from_us)


async def held(connection: AsyncConnection[Any], horizon_us: int) -> Held:
    """Return what must stay before a horizon of all that is stored."""
    plan = await layout(connection)
    loaded = await plants.load(connection)
    near_us = _near_us(loaded.plant.points.values(), horizon_us)
    metered = {
        loaded.ids[name]: point
        for name, point in loaded.plant.points.items()
        if point.energy_unit is not None
    }
    looking = {n: point for n, point in metered.items() if looks_back(point)}
    long = [n for n, point in metered.items() if (point.interval_us or 0) > NEAR_US]
    found = Held(near_us)
    for opened in (await retention.archived_spans(connection)).values():
        if opened.restored_at is not None:
            for start in (opened.from_us - plan.span_us, opened.until_us):
                found.spans.setdefault(start, "restored days beside them")
    for number in [*await _silent(connection, looking, (near_us, horizon_us)), *long]:
        point = metered[number]
        for at_us in await _last_readings(connection, point, number, horizon_us):
            start = plan.span_of(at_us)
            if start + plan.span_us <= near_us:
                found.spans.setdefault(start, f"the last readings of {point.id}")
    return found


def looks_back(point: Point) -> bool:
    """Tell whether slots rest on the reading before them however old: not those of intervals."""
    return point.energy_unit is not None and point.kind is not PointKind.INTERVAL


def reach_us(point: Point) -> int:
    """Return how far before a point's last reading slots may be computed anew, and some.

    A spike is judged anew up to a gap away, and those slots look a gap further.
    """
    return 2 * point.max_gap_us + 2 * SLOT_US


def _near_us(points: Iterable[Point], horizon_us: int) -> int:
    """Return from where on everything stays."""
    reach = max((reach_us(point) for point in points), default=0)
    return horizon_us - max(NEAR_US, reach)


async def _silent(
    connection: AsyncConnection[Any], points: Mapping[int, Point], span_us: tuple[int, int]
) -> list[int]:
    """Return the points of which too little was measured in a span: told by their slots, quick."""
    low_us, high_us = span_us
    found: list[int] = []
    numbers = sorted(points)
    for first in range(0, len(numbers), MOST_POINTS):
        part = numbers[first : first + MOST_POINTS]
        begin = low_us + max(points[number].max_gap_us for number in part)
        cursor = await connection.execute(
            "select point_id, sum(measured_us) from slot_energy where point_id = any(%s)"
            " and slot_start >= %s and slot_start < %s group by point_id",
            (part, from_us(begin), from_us(high_us)),
        )
        measured = {number: int(total) for number, total in await cursor.fetchall()}
        found += [
            number
            for number in part
            if measured.get(number, 0) < _GAPS * points[number].max_gap_us + _SLOTS * SLOT_US
        ]
    return found


async def _last_readings(
    connection: AsyncConnection[Any], point: Point, number: int, horizon_us: int
) -> Sequence[int]:
    """Return the instants before the horizon that the slots of later readings are computed from."""
    before = await _before(connection, number, horizon_us, 1)
    if not before:
        return ()
    if not looks_back(point):
        return before
    context_us = before[0] - reach_us(point)
    older = await _before(connection, number, context_us, CONTEXT)
    return [*older, *range(context_us, before[0], SLOT_US), *before]


async def _before(
    connection: AsyncConnection[Any], number: int, end_us: int, count: int
) -> list[int]:
    """Return the instants of the last usable readings before one."""
    series = await readings.read_series(connection, number, end_us, end_us, before=count)
    found: list[int] = series.ts_us[series.quality != Quality.BAD].tolist()
    return found
