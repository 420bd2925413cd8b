"""How month closes stand now: which figures have another version since, which verdicts flipped.

Promise: bodies are never read for it, and figures that still stand cost a look into an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.clock import to_us
from store import causes, differences

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from psycopg import AsyncConnection

    from store.differences import Flip

MOST_SHOWN: Final = 100  # flipped verdicts of one close: a person reads them; the rest is counted


@dataclass(frozen=True, slots=True)
class Moved:
    """A figure whose newest version is another than the one its month was closed with."""

    unit: str
    indicator: str
    period: str
    start_us: int
    version: int
    newest: UUID
    newest_version: int
    kinds: tuple[str, ...]
    flips: tuple[Flip, ...]

    def item(self, zone: str) -> dict[str, Any]:
        """Return the figure with its flipped verdicts as JSON carries it."""
        return {
            "unit": self.unit,
            "indicator": self.indicator,
            "period": self.period,
            "period_start": periods.render(self.start_us, zone),
            "version": self.version,
            "newest": str(self.newest),
            "newest_version": self.newest_version,
            "causes": list(self.kinds),
            "verdicts": [flip.item() for flip in self.flips],
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """One snapshot without its body, how many figures it names, and which of them moved."""

    id: UUID
    site: str
    number: int
    month_us: tuple[int, int]
    known_us: int
    closed_us: int
    closed_by: str
    sha256: str
    previous: str | None
    key: str | None
    figures: int
    moved: tuple[Moved, ...]

    @property
    def flipped(self) -> list[Moved]:
        """Return the figures with a flipped verdict."""
        return [each for each in self.moved if each.flips]

    def item(self, zone: str) -> dict[str, Any]:
        """Return the close as JSON carries it; at most MOST_SHOWN flipped figures are listed."""
        flipped = self.flipped
        return {
            "close": str(self.id),
            "site": self.site,
            "number": self.number,
            "month": periods.render_month(self.month_us, zone),
            "month_start": periods.render(self.month_us[0], zone),
            "month_end": periods.render(self.month_us[1], zone),
            "known_at": periods.render_utc(self.known_us),
            "closed_at": periods.render_utc(self.closed_us),
            "closed_by": self.closed_by,
            "sha256": self.sha256,
            "previous": self.previous,
            "signed": self.key is not None,
            "key": self.key,
            "figures": self.figures,
            "differing": len(self.moved),
            "flipped": len(flipped),
            "flips": [each.item(zone) for each in flipped[:MOST_SHOWN]],
        }


async def of_sites(connection: AsyncConnection[Any], sites: Sequence[str]) -> list[Standing]:
    """Return every close of the sites, by site and number."""
    return await _read(connection, "site = any(%s)", list(sites))


async def of_close(connection: AsyncConnection[Any], month_close: UUID) -> Standing | None:
    """Return one close by its id, None where there is none."""
    found = await _read(connection, "month_close = %s", month_close)
    return found[0] if found else None


async def _read(connection: AsyncConnection[Any], where: str, value: object) -> list[Standing]:
    cursor = await connection.execute(
        "select month_close, site, number, month_start, month_end, known_at, closed_at, closed_by,"  # noqa: S608 - constants only
        " sha256, previous, key, (select count(*) from closed_figure c"
        f" where c.month_close = m.month_close) from month_close m where {where}"
        " order by site, number",
        (value,),
    )
    rows = await cursor.fetchall()
    moved = await _moved(connection, [row[0] for row in rows])
    return [
        Standing(
            id=row[0],
            site=row[1],
            number=row[2],
            month_us=(to_us(row[3]), to_us(row[4])),
            known_us=to_us(row[5]),
            closed_us=to_us(row[6]),
            closed_by=row[7],
            sha256=bytes(row[8]).hex(),
            previous=None if row[9] is None else bytes(row[9]).hex(),
            key=row[10],
            figures=row[11],
            moved=tuple(moved.get(row[0], ())),
        )
        for row in rows
    ]


async def _moved(
    connection: AsyncConnection[Any], closes: Sequence[UUID]
) -> dict[UUID, list[Moved]]:
    found: dict[UUID, list[Moved]] = {}
    if not closes:
        return found
    cursor = await connection.execute(_MOVED, (list(closes),))
    for month_close, unit, indicator, period, start, version, *newest in await cursor.fetchall():
        newest_id, newest_version, before, after, kinds = newest
        found.setdefault(month_close, []).append(
            Moved(
                unit,
                indicator,
                period,
                to_us(start),
                version,
                newest_id,
                newest_version,
                kinds_of(kinds or ()),
                tuple(differences.flips(before or (), after)),
            )
        )
    return found


def kinds_of(lists: Iterable[Sequence[str] | None]) -> tuple[str, ...]:
    """Return the kinds of many causes, each once, in the order of the closed list."""
    said = {kind for kinds in lists for kind in kinds or ()}
    return tuple(kind for kind in (causes.PERIOD_OPEN, *causes.KINDS) if kind in said)


# The newest version is read from the index; a figure itself only where it is another one.
_MOVED: Final = (
    "select c.month_close, c.unit, c.indicator, c.period, c.period_start, c.version, n.result,"
    " n.version, o.figures -> 'verdicts', n.figures -> 'verdicts', (select"
    "  jsonb_agg(v.cause -> 'kinds') from result v where (v.unit, v.indicator, v.period,"
    "  v.period_start) = (c.unit, c.indicator, c.period, c.period_start) and v.version > c.version)"
    " from closed_figure c cross join lateral (select r.version from result r where (r.unit,"
    "  r.indicator, r.period, r.period_start) = (c.unit, c.indicator, c.period, c.period_start)"
    "  order by r.version desc limit 1) newest join result n on (n.unit, n.indicator, n.period,"
    "  n.period_start, n.version) = (c.unit, c.indicator, c.period, c.period_start,"
    "  newest.version) left join result o on o.result = c.result"
    " where c.month_close = any(%s::uuid[]) and newest.version <> c.version"
    " order by c.month_close, c.period desc, c.period_start, c.unit, c.indicator"
)
