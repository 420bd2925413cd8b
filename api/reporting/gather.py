"""What a report is made of, gathered from the store: figures, days, versions, alerts, closes.

Promise: everything is read in the caller's one transaction, so that a report agrees with itself;
with `as_of` nothing recorded later has a part in it, and what the store keeps only as it is now
(alerts, month closes) is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from api import known
from core import indicators, periods, spans
from core.clock import from_us
from core.errors import Rejected
from core.periods import Period
from core.reports.document import MOST_SECTIONS
from core.reports.figuresection import UnitFigure
from core.reports.quarter import Quarter
from store import alertlists, alerts, asof, results, standing
from store import figures as figures_of
from store.figures import Asked as Asks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import AsyncConnection

    from core.indicators import Indicator
    from core.plant import Plant, Site, Unit
    from core.spans import NamedSpan
    from store.results import Result

MOST_FIGURES: Final = MOST_SECTIONS - 10  # of one report: each has a section
MOST_DAYS: Final = 31
MOST_VERSIONS: Final = 20  # of one figure: the newest ones
TRAIL_MONTHS: Final = 12  # before a quarter: the same one a year ago is the first of them
DAY_US: Final = 86_400_000_000
MOST_ALERTS: Final = 200  # of one unit
_RAISED: Final = ("firing", "clearing", "resolved")

Item = dict[str, Any]
Bound = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose figures, of which period, known when; `units` None: all that declare an indicator."""

    plant: Plant
    point_ids: Mapping[str, int]
    sites: Sequence[Site]
    span: NamedSpan
    now_us: int
    as_of_us: int | None = None
    unit: str | None = None

    @property
    def seen_us(self) -> int:
        """Return the instant whose knowledge the report shows."""
        return self.now_us if self.as_of_us is None else self.as_of_us


async def figures(connection: AsyncConnection[Any], asked: Asked) -> list[UnitFigure]:
    """Return every figure of the sites; raises Rejected where they are too many."""
    wanted = _few(asked)
    if asked.as_of_us is not None:
        return await _as_known(connection, asked, wanted, asked.as_of_us)
    return [await _as_stored(connection, asked, *one) for one in wanted]


def _few(asked: Asked) -> list[tuple[Site, Unit, Indicator]]:
    """Return whose figures are asked for; raises Rejected where they are too many."""
    wanted = _wanted(asked)
    if len(wanted) > MOST_FIGURES:
        raise Rejected(
            f"this report would have {len(wanted)} figures, at most {MOST_FIGURES}: ask for one"
            " site or one unit",
            "report_too_long",
        )
    return wanted


def _wanted(asked: Asked) -> list[tuple[Site, Unit, Indicator]]:
    catalogue = indicators.catalogue()
    return [
        (site, unit, catalogue[indicator])
        for site in asked.sites
        for _, unit in sorted(asked.plant.units.items())
        if unit.site == site.id and asked.unit in {None, unit.id}
        for indicator in unit.indicators
        if catalogue[indicator].computes
    ]


async def _as_stored(
    connection: AsyncConnection[Any], asked: Asked, site: Site, unit: Unit, indicator: Indicator
) -> UnitFigure:
    zone = site.timezone
    bound = asked.span.bounds(zone)
    key = (unit.id, indicator.id)
    months = await results.read(connection, (*key, Period.MONTH.value), bound, 1)
    if not months:
        return UnitFigure(site, unit, indicator, None)
    days = await results.read(connection, (*key, Period.DAY.value), bound, MOST_DAYS)
    (month,) = months
    return UnitFigure(
        site,
        unit,
        indicator,
        month.versioned(zone),
        [day.versioned(zone) for day in days],
        await _versions(connection, month, zone),
        await _alerts(connection, key, bound, zone),
    )


async def _versions(connection: AsyncConnection[Any], month: Result, zone: str) -> list[Item]:
    """Return the newest versions of a closed figure, the oldest of them first."""
    found = []
    for version in (await results.history(connection, month))[-MOST_VERSIONS:]:
        stored = await results.find(connection, version.result)
        assert stored is not None, "its id was just read"  # noqa: S101 - a belief
        found.append({**version.item(), "item": stored.item(zone)})
    return found


async def _alerts(
    connection: AsyncConnection[Any], key: tuple[str, str], bound: Bound, zone: str
) -> list[Item]:
    """Return the alerts of a figure that stood in the period, the first raised first."""
    begin, end = from_us(bound[0]), from_us(bound[1])
    scope = alertlists.Scope([key[0]], kinds=[alerts.EXCEEDANCE])
    kept = await alertlists.page(connection, scope, _RAISED, None, MOST_ALERTS)
    stood = [
        one
        for one in kept
        if one.key.indicator == key[1]
        and one.alert.raised_at is not None
        and one.alert.raised_at < end
        and (one.alert.resolved_at is None or one.alert.resolved_at >= begin)
    ]
    return [one.item(zone) for one in reversed(stood)]


async def _as_known(
    connection: AsyncConnection[Any],
    asked: Asked,
    wanted: Sequence[tuple[Site, Unit, Indicator]],
    at_us: int,
) -> list[UnitFigure]:
    """Return the figures as they were known, by what was declared of each site then."""
    found = []
    for site, unit, indicator in wanted:
        store = await asof.known_at(connection, site.id, asked.point_ids, from_us(at_us))
        then = None if store is None else store.plant.units.get(unit.id)
        if store is None or then is None:
            found.append(UnitFigure(site, unit, indicator, None))
            continue
        zone = store.plant.sites[site.id].timezone
        bound = asked.span.bounds(zone)
        item: Item | None = None
        parts: list[Item] = []
        if bound[0] <= at_us:
            days = periods.periods_between(Period.DAY, bound[0], min(bound[1], at_us), zone)
            (month,) = await known.figures_at(store, then, indicator, Period.MONTH, [bound])
            told = await known.figures_at(store, then, indicator, Period.DAY, days)
            item, parts = month.item, [one.item for one in told]
        found.append(UnitFigure(store.plant.sites[site.id], then, indicator, item, parts))
    return found


async def quarters(connection: AsyncConnection[Any], asked: Asked) -> list[Quarter]:
    """Return every figure of a quarter with its months and what it is compared with."""
    return [await _quarter(connection, asked, *one) for one in _few(asked)]


async def _quarter(
    connection: AsyncConnection[Any], asked: Asked, site: Site, unit: Unit, indicator: Indicator
) -> Quarter:
    source: figures_of.Source = figures_of.Stored(connection, asked.point_ids)
    plant = asked.plant
    if asked.as_of_us is not None:
        store = await asof.known_at(connection, site.id, asked.point_ids, from_us(asked.as_of_us))
        if store is None or unit.id not in store.plant.units:
            return Quarter(UnitFigure(site, unit, indicator, None), None, None, None, ())
        source, plant = store, store.plant
        site, unit = plant.sites[site.id], plant.units[unit.id]
    wanted = _spans(asked.span, site.timezone, asked.seen_us)
    bounds = list(dict.fromkeys(bound for each in wanted.values() for bound in each))
    (found,) = await figures_of.compute_all(
        source, plant, [Asks(unit, indicator, bounds)], from_us(asked.seen_us)
    )
    when = (site.timezone, asked.seen_us)
    items = {
        bound: known.computed_item(unit, indicator, Period.MONTH, bound, when, one)
        for bound, one in zip(bounds, found, strict=True)
    }
    stored = await _stored_months(connection, asked, (unit.id, indicator.id), site.timezone)
    items |= {bound: item for bound, item in stored.items() if bound in items}
    told = {name: [_known(items[bound]) for bound in each] for name, each in wanted.items()}
    whole, before, ago, year = (
        next(iter(told[name]), None) for name in ("quarter", "before", "year_ago", "year")
    )
    months = [one for one in told["months"] if one is not None]
    trail = [one for one in told["trail"] if one is not None]
    return Quarter(UnitFigure(site, unit, indicator, whole, months), before, ago, year, trail)


def _known(item: Item) -> Item | None:
    """Return an item, None where nothing at all was measured in its period."""
    return None if item["energy"]["value"] is None and not item["completeness"] else item


def _spans(span: NamedSpan, zone: str, until_us: int) -> dict[str, list[Bound]]:
    """Return the bounds of all that a quarter shows; what has not begun is left out."""
    begin, end = span.bounds(zone)
    year, _ = periods.period_at(Period.YEAR, begin, zone)
    back = [begin]
    for _ in range(TRAIL_MONTHS):
        back.append(periods.period_at(Period.MONTH, back[-1] - 1, zone)[0])
    # The quarter before begins three months back, the same one of last year twelve.
    before = (back[spans.MONTHS_OF_QUARTER], begin)
    ago = (back[TRAIL_MONTHS], back[TRAIL_MONTHS - spans.MONTHS_OF_QUARTER])
    first = back[TRAIL_MONTHS - spans.MONTHS_OF_QUARTER]
    months = periods.periods_between(Period.MONTH, first, min(end, until_us), zone)
    begun = [(begin, end)] if begin < until_us else []
    return {
        "quarter": begun,
        "before": [before],
        "year_ago": [ago],
        "year": [(year, end)] if begun else [],
        "months": [bound for bound in months if bound[0] >= begin],
        "trail": months,
    }


async def _stored_months(
    connection: AsyncConnection[Any], asked: Asked, key: tuple[str, str], zone: str
) -> dict[Bound, Item]:
    """Return the stored months: where there is a version, a report shows that one."""
    begin, end = asked.span.bounds(zone)
    at = None if asked.as_of_us is None else from_us(asked.as_of_us)
    first = begin - 366 * DAY_US
    rows = await results.read(connection, (*key, Period.MONTH.value), (first, end), 16, at)
    return {(row.start_us, row.end_us): row.versioned(zone) for row in rows}


async def closes(connection: AsyncConnection[Any], asked: Asked) -> dict[str, Item | None]:
    """Return the month close of each site; none where the report shows what was known."""
    found: dict[str, Item | None] = dict.fromkeys((site.id for site in asked.sites), None)
    if asked.as_of_us is not None:
        return found
    zones = {site.id: site.timezone for site in asked.sites}
    for one in await standing.of_sites(connection, list(found)):
        item = one.item(zones[one.site])
        if item["month"] == asked.span.text:
            found[one.site] = item
    return found
