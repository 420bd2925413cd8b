"""The store as it was known at an instant: readings, facts, steps and declarations until then.

Closed figures are answered from their versions (store.results). What had no version yet is
computed here by the same pure functions, from what had been recorded. Promise: nothing recorded
after the instant changes an answer; what cannot be told any more is refused, never left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.clock import from_us, to_us
from core.errors import Rejected
from core.periods import SLOT_US
from store import basis, output, retention, slotwork
from store.slotarrays import SlotArrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.intensity import PeriodEnergy, PeriodOutput
    from core.plant import Plant, Point
    from store.retention import Retention

DAY_US: Final = 86_400_000_000
MOST_SPAN_US: Final = 400 * DAY_US  # of one point's readings for one question: a year, and some
# Nothing is admitted that was measured more than minutes ahead: the rest of a period is empty.
MOST_AHEAD_US: Final = DAY_US


@dataclass(frozen=True, slots=True)
class KnownAt:
    """A source of figures (store.figures) as of an instant, with what was declared then."""

    connection: AsyncConnection[Any]
    plant: Plant
    version: int  # of the declaration
    point_ids: Mapping[str, int]
    at: datetime

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return the energy of each (point, begin, end) from the readings recorded until then.

        Raises Rejected for more than MOST_SPAN_US of a point, and for readings that are archived.
        """
        wanted: dict[str, list[tuple[int, int]]] = {}
        for point, begin, end in spans:
            wanted.setdefault(point, []).append((begin, end))
        found: dict[tuple[str, int, int], PeriodEnergy] = {}
        for point, bounds in wanted.items():
            slots = await self._slots(self.plant.points[point], bounds)
            for bound, energy in zip(bounds, slots.sums(bounds), strict=True):
                found[point, *bound] = energy
        return [found[span] for span in spans]

    async def outputs(self, spans: Sequence[output.Span]) -> list[PeriodOutput | None]:
        """Return the output of each span from the facts recorded until then."""
        return await output.sums_of(self.connection, spans, self.at)

    async def _slots(self, point: Point, bounds: Sequence[tuple[int, int]]) -> SlotArrays:
        """Compute the slots that begin in the periods."""
        last_us = to_us(self.at) + MOST_AHEAD_US + (point.interval_us or 0)
        spans = runs(bounds, last_us)
        if sum(high - low for low, high in spans) > MOST_SPAN_US:
            raise Rejected(
                f"what was known of {point.id} must be computed again from its readings, and is"
                f" for at most {MOST_SPAN_US // DAY_US} days at once: ask for a shorter range",
                "as_of_too_long",
            )
        number = self.point_ids[point.id]
        await self._check_kept(point, number, spans)
        cursor = await self.connection.execute(
            "select ts from confirmed_step where point_id = %s and confirmed_at <= %s",
            (number, self.at),
        )
        confirmed = frozenset(to_us(row[0]) for row in await cursor.fetchall())
        return SlotArrays.join(
            [
                SlotArrays.computed(start, figures)
                for span in spans
                async for start, figures in slotwork.from_store(
                    self.connection, point, number, span, confirmed, self.at
                )
            ]
        )

    async def _check_kept(
        self, point: Point, number: int, spans: Sequence[tuple[int, int]]
    ) -> None:
        """Refuse where slots outlived the readings that they came from."""
        kept = await retention.load(self.connection)
        margin_us = max(point.max_gap_us, point.interval_us or 0) + SLOT_US
        for low, high in spans:
            for begin, end in gone(kept, low - margin_us, high):
                cursor = await self.connection.execute(
                    "select exists (select 1 from slot_energy where point_id = %s"
                    " and slot_start >= %s and slot_start < %s)",
                    (number, from_us(begin), from_us(end)),
                )
                row = await cursor.fetchone()
                if row is not None and row[0]:
                    raise Rejected(
                        f"readings of {point.id} before {periods.render_utc(end)} are archived:"
                        " restore them first, or ask for periods that were closed at that instant",
                        "archived",
                    )


def runs(bounds: Iterable[tuple[int, int]], last_us: int) -> list[tuple[int, int]]:
    """Return disjoint spans of whole slots that hold all periods, cut behind an instant."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(bounds):
        low = periods.slot_start(begin)
        high = periods.slot_start(min(end, last_us) - 1) + SLOT_US
        if high <= low:
            continue
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def gone(kept: Retention, low_us: int, high_us: int) -> list[tuple[int, int]]:
    """Return the parts of a span whose readings are archived and not restored."""
    parts = [(low_us, min(high_us, kept.horizon_us))]
    for begin, end in kept.restored:
        parts = [
            part for low, high in parts for part in ((low, min(high, begin)), (max(low, end), high))
        ]
    return [(low, high) for low, high in parts if low < high]


async def known_at(
    connection: AsyncConnection[Any], site: str, point_ids: Mapping[str, int], at: datetime
) -> KnownAt | None:
    """Return the store as it was known of a site; None where nothing was declared yet."""
    declared = await basis.declared_at(connection, site, at)
    return None if declared is None else KnownAt(connection, *declared, point_ids, at)
