"""Forecasts of a unit: its stored day figures, and the period so far, computed for the answer.

As known at an instant both are what was known then: closed days by their versions, what had none
computed again from what had been recorded. Nothing is stored: asked later, it may know more.
Bounded: a year of days at most, one row of the day figures each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import flags, forecast, limits, outlook, periods
from core.clock import from_us, to_us
from core.facts import DAY_US
from core.forecast import Day
from core.indicators import Metered
from core.outlook import Outlook
from core.periods import Period
from core.verdicts import Held
from store import asof, figures
from store.figures import Asked, Stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

    from psycopg import AsyncConnection

    from core.indicators import Indicator
    from core.intensity import Intensity
    from core.limits import Limit
    from core.plant import Plant, Unit
    from store.figures import LimitsOf, Source

PERIODS: Final = (Period.MONTH, Period.YEAR)
MOST_DAYS: Final = 400  # read for one forecast: a year, and the history of a quarter is within it
MOST_COMPUTED: Final = 40  # days of the period that have no stored figure yet, computed here

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be foreseen: an indicator of a unit, over the period that holds the instant."""

    unit: Unit
    indicator: Indicator
    period: Period
    at: datetime
    is_known_at: bool = False  # answer with what was known at the instant

    @property
    def at_us(self) -> int:
        """Return the instant in microseconds."""
        return to_us(self.at)


async def of_unit(
    connection: AsyncConnection[Any],
    source: Source,
    plant: Plant,
    asked: Question,
    limits_of: LimitsOf = limits.of_indicator,
) -> Outlook:
    """Return the outlook of a unit's period; `source` is the store, or the store as known then."""
    site = plant.sites[asked.unit.site]
    bound = periods.period_at(asked.period, asked.at_us, site.timezone)
    held = Held(site, asked.unit, asked.indicator, bound)
    today_us = periods.period_at(Period.DAY, asked.at_us, site.timezone)[0]
    reader = _Reader(source, plant, asked)
    days = await reader.days(connection, bound[0], today_us)
    past = outlook.past_of(days, bound[0], today_us)
    spans = dict.fromkeys([(bound[0], past.known_until_us), (bound[0], today_us)])
    known = await reader.intensities([span for span in spans if span[0] < span[1]], limits_of)
    rows: Sequence[Limit] = limits_of(asked.indicator.id)
    return Outlook(held, asked.period, past, known, rows, asked.at_us)


async def now(
    connection: AsyncConnection[Any],
    plant: Plant,
    point_ids: Mapping[str, int],
    asked: Question,
) -> Outlook:
    """Return the outlook by what the store knows now."""
    return await of_unit(connection, Stored(connection, point_ids), plant, asked)


async def as_known(
    connection: AsyncConnection[Any], point_ids: Mapping[str, int], asked: Question
) -> Outlook | None:
    """Return the outlook by what was known and declared at the instant; None: not declared yet."""
    store = await asof.known_at(connection, asked.unit.site, point_ids, asked.at)
    then = None if store is None else store.plant.units.get(asked.unit.id)
    if store is None or then is None:
        return None
    question = replace(asked, unit=then, is_known_at=True)
    return await of_unit(connection, store, store.plant, question)


@dataclass(frozen=True, slots=True)
class _Reader:
    """The figures of one unit and indicator."""

    source: Source
    plant: Plant
    asked: Question

    async def intensities(
        self, spans: Sequence[Span], limits_of: LimitsOf
    ) -> dict[Span, Intensity]:
        """Return unrounded figures of spans, and of the parts of them that limits need."""
        if not spans:
            return {}
        wanted = Asked(self.asked.unit, self.asked.indicator, spans)
        (found,) = await figures.intensities(
            self.source, self.plant, [wanted], self.asked.at, limits_of
        )
        return found

    async def days(
        self, connection: AsyncConnection[Any], begin_us: int, today_us: int
    ) -> list[Day]:
        """Return the unit's whole days until today, a quarter before the period's begin included.

        Of days of the period that no stored figure speaks of, the newest MOST_COMPUTED are
        computed here.
        """
        asked = self.asked
        zone = self.plant.sites[asked.unit.site].timezone
        since_us = min(begin_us, today_us - forecast.HISTORY_DAYS * DAY_US)
        bounds = periods.periods_between(Period.DAY, since_us, today_us, zone)[-MOST_DAYS:]
        stored = await _stored(connection, asked, (since_us, today_us))
        missing = [one for one in bounds if one[0] not in stored and one[0] >= begin_us]
        computed = await self.intensities(missing[-MOST_COMPUTED:], lambda _: ())
        metered = bool(self.plant.counted(asked.unit.id, asked.indicator.counts))
        found = []
        for bound in bounds:
            row = stored.get(bound[0])
            if row is None and bound in computed:
                row = _of_intensity(computed[bound])
            if row is not None:
                found.append(_day(asked.indicator, bound, row, metered=metered))
        return found


@dataclass(frozen=True, slots=True)
class _Row:
    """A day's figure as it is stored."""

    energy: Fraction | None
    output: Fraction | None
    value: Fraction | None
    completeness: float
    words: frozenset[str]


def _of_intensity(found: Intensity) -> _Row:
    return _Row(
        found.energy,
        found.output,
        found.value,
        float(found.completeness),
        frozenset(flags.words(found.flags)),
    )


def _day(indicator: Indicator, bound: Span, row: _Row, *, metered: bool) -> Day:
    """Return a day's halves; one with too little measured, or without what it needs, tells nothing.

    Where nothing is metered facts alone make the figure, and there is no coverage to speak of.
    """
    measured = not metered or row.completeness >= forecast.LEAST_DAY_COVERAGE
    if indicator.metered is Metered.MEAN:
        days = Fraction(bound[1] - bound[0], DAY_US)
        above = None if row.value is None else row.value * days
        return Day(*bound, above, days, measured and above is not None)
    lost = row.energy is None and metered and not indicator.numerator
    hard = not row.words.isdisjoint(_UNKNOWN) and row.value is None
    return Day(*bound, row.energy, row.output, measured and not lost and not hard)


async def _stored(connection: AsyncConnection[Any], asked: Question, span: Span) -> dict[int, _Row]:
    """Return the newest day figures by their begin; as known at the instant, closed ones then."""
    cursor = await connection.execute(
        _DAYS,
        {
            "unit": asked.unit.id,
            "indicator": asked.indicator.id,
            "from": from_us(span[0]),
            "until": from_us(span[1]),
            "at": asked.at if asked.is_known_at else None,
        },
    )
    return {
        to_us(start): _Row(
            _exact(energy), _exact(output), _exact(value), covered, frozenset(words or ())
        )
        for start, energy, output, value, covered, words in await cursor.fetchall()
    }


def _exact(number: Decimal | None) -> Fraction | None:
    return None if number is None else Fraction(number)


_UNKNOWN: Final = frozenset(flags.words(forecast.UNKNOWN))
_DAYS: Final = (
    "select distinct on (period_start) period_start, energy, output, intensity, completeness,"
    " figures -> 'flags' from result where unit = %(unit)s and indicator = %(indicator)s"
    " and period = 'day' and period_start >= %(from)s and period_start < %(until)s"
    " and (%(at)s::timestamptz is null or (closed and computed_at <= %(at)s))"
    " order by period_start, version desc"
)
