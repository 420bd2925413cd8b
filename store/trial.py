"""A draft of limits tried on the past: closed periods that are stored, held against its rows.

Figures are computed again from stored slots and facts by the same functions as ever, so that parts
of periods and corrections come out as they would have. Promise: nothing is written; the caller's
transaction may be read-only.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from core import indicators
from core.clock import from_us, to_us
from core.errors import Rejected
from core.periods import Period
from store import figures
from store.figures import Asked, Stored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.limits import Limit
    from core.plant import Plant

# Only a closed month or year is a finding (domain 2.9); shorter periods are early warning.
KINDS: Final = (Period.MONTH, Period.YEAR)
MOST_FIGURES: Final = 50_000  # of one trial: ten years of months of 400 figures
MOST_TOGETHER: Final = 400  # periods of one question, as the live path asks


@dataclass(frozen=True, slots=True)
class Tried:
    """The figures of one closed period, with verdicts against the draft's rows."""

    unit: str
    indicator: str
    period: str
    start_us: int
    figures: Mapping[str, Any]


def as_if_in_force(limits: Iterable[Limit]) -> list[Limit]:
    """Return the limits as if they had always held: a draft's days mostly lie ahead."""
    return [
        dataclasses.replace(limit, valid_from=date(1900, 1, 1), valid_to=None) for limit in limits
    ]


async def hold(
    connection: AsyncConnection[Any],
    plant: Plant,
    point_ids: Mapping[str, int],
    limits: Sequence[Limit],
    span_us: tuple[int, int],
    now: datetime,
) -> list[Tried]:
    """Return all closed periods in a span whose indicator has a row, held against the rows.

    Raises Rejected where they are more than MOST_FIGURES.
    """
    rows = {
        indicator: sorted(
            (limit for limit in limits if limit.indicator == indicator), key=lambda one: one.id
        )
        for indicator in sorted({limit.indicator for limit in limits})
    }
    source = Stored(connection, point_ids)
    tried: list[Tried] = []
    for (unit, indicator), bounds in (await _closed(connection, plant, rows, span_us)).items():
        for first in range(0, len(bounds), MOST_TOGETHER):
            some = bounds[first : first + MOST_TOGETHER]
            asked = Asked(
                plant.units[unit], indicators.find(indicator), [bound for _, bound in some]
            )
            made = await figures.compute_all(source, plant, [asked], now, lambda one: rows[one])
            tried += [
                Tried(unit, indicator, period, bound[0], item)
                for (period, bound), item in zip(some, made[0], strict=True)
            ]
    return tried


async def _closed(
    connection: AsyncConnection[Any],
    plant: Plant,
    rows: Mapping[str, Sequence[Limit]],
    span_us: tuple[int, int],
) -> dict[tuple[str, str], list[tuple[str, tuple[int, int]]]]:
    """Return the closed periods that are stored, by unit and indicator."""
    cursor = await connection.execute(
        "select distinct unit, indicator, period, period_start, period_end from result"
        " where closed and unit = any(%s) and indicator = any(%s) and period = any(%s)"
        " and period_start >= %s and period_start < %s"
        " order by unit, indicator, period, period_start limit %s",
        (
            list(plant.units),
            list(rows),
            [kind.value for kind in KINDS],
            from_us(span_us[0]),
            from_us(span_us[1]),
            MOST_FIGURES + 1,
        ),
    )
    found: dict[tuple[str, str], list[tuple[str, tuple[int, int]]]] = {}
    count = 0
    for unit, indicator, period, start, end in await cursor.fetchall():
        bound = (to_us(start), to_us(end))
        found.setdefault((unit, indicator), []).append((period, bound))
        count += 1
    if count > MOST_FIGURES:
        raise Rejected(
            f"there are more than {MOST_FIGURES} figures to try it on: name a --site, or a shorter"
            " time with --from and --to",
            "trial_too_long",
        )
    return found
