"""A unit's figures as known at an instant: versions where there were, else computed again.

Promise: whatever was recorded, applied or closed after the instant has no part in an item.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api import problems
from core import indicators, periods
from core.clock import to_us
from core.errors import Rejected
from core.indicators import Indicator
from core.periods import Period
from core.plant import Unit
from store import figures, results
from store.asof import KnownAt
from store.figures import Asked
from store.results import Result

Bound = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Known:
    """One period's figures as they were known; `result` None: there was no version of them."""

    item: dict[str, Any]
    figures: Mapping[str, Any]
    result: Result | None

    @property
    def version(self) -> int:
        """Return the version, 0 where it was computed again."""
        return 0 if self.result is None else self.result.version


async def figures_at(
    known: KnownAt, unit: Unit, indicator: Indicator, period: Period, bounds: Sequence[Bound]
) -> list[Known]:
    """Return the figures of periods that had begun at the instant, in their order."""
    zone = known.plant.sites[unit.site].timezone
    found: dict[int, Known] = {}
    if bounds and period is not Period.SLOT:
        key = (unit.id, indicator.id, period.value)
        span = (bounds[0][0], bounds[-1][1])
        rows = await results.read(known.connection, key, span, len(bounds) + 1, known.at)
        found = {row.start_us: Known(row.versioned(zone), row.figures, row) for row in rows}
    missing = [bound for bound in bounds if bound[0] not in found]
    asked = [Asked(unit, indicator, missing)]
    (computed,) = await figures.compute_all(known, known.plant, asked, known.at)
    when = (zone, to_us(known.at))
    for bound, one in zip(missing, computed, strict=True):
        item = computed_item(unit, indicator, period, bound, when, one)
        found[bound[0]] = Known(item, one, None)
    return [found[bound[0]] for bound in bounds]


def indicator_of(unit: Unit, asked: str | None) -> Indicator:
    """Return the indicator asked for, else the unit's first; raises the 422 without one."""
    if asked is None:
        if not unit.indicators:
            raise problems.bad_parameter("indicator", f"{unit.id} declares none: name one")
        asked = unit.indicators[0]
    try:
        return indicators.find(asked)
    except Rejected as error:
        raise problems.bad_parameter("indicator", str(error)) from error


def computed_item(
    unit: Unit,
    indicator: Indicator,
    period: Period,
    bound: Bound,
    when: tuple[str, int],
    one: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the item of a figure that was computed for this answer; `when` is (zone, instant)."""
    zone, now_us = when
    return {
        "unit": unit.id,
        "indicator": indicator.id,
        "period": period.value,
        "period_start": periods.render(bound[0], zone),
        "period_end": periods.render(bound[1], zone),
        "closed": bound[1] <= now_us,
        **{key: one[key] for key in results.SHOWN},
        "version": 0,
        "computed_at": periods.render_utc(now_us),
        "result": None,
        "known_from": None,
        "causes": [],
        "close": None,
    }
