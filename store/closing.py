"""Month close: a snapshot of what a site's month was closed with, chained, signed, and kept.

The snapshot names the figures by id and version with their digest, the declaration, the catalogue,
and digests of the readings and facts behind them, all as known QUIET before the close. Promise:
what comes later makes new versions of figures and leaves the snapshot as it is; whoever changes
one of its parts is found by `closecheck.verify`.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from core import periods, wire
from core.clock import from_us, to_us
from core.errors import Misconfigured, Problem, Rejected
from store import basis, closable, digests, plants, results
from store.closable import KINDS, QUIET, Month
from store.closeseal import Seal
from store.digests import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from psycopg import AsyncConnection

    from core.plant import Plant

    Watch = Callable[[int, int], None]  # hears of (points and units done, of all)

FORMAT: Final = 2  # of the body; 1 had no key, and facts without stream and unit of the amount
MOST_KEY_BYTES: Final = 16_384
_LOCK: Final = 0x636C6F7365  # "close": one at a time, so that a site's chain has no fork


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs bodies by Ed25519; `key` is the public key as "ed25519:<base64>"."""

    sign: Callable[[bytes], bytes]
    key: str


@dataclass(frozen=True, slots=True)
class MonthClose:
    """One snapshot; `body` is the canonical JSON that `sha256` and `signature` are over."""

    id: UUID
    site: str
    number: int
    month_start_us: int
    month_end_us: int
    known_at: datetime
    closed_at: datetime
    closed_by: str
    body: str
    sha256: bytes
    previous: bytes | None
    key: str | None
    signature: bytes | None

    @property
    def seal(self) -> Seal:
        """Return the body with its hash and signature."""
        return Seal(self.body, self.sha256, self.key, self.signature)

    def content(self) -> dict[str, Any]:
        """Return the body as data."""
        return self.seal.content()


def signer(key_file: Path | None) -> Signer | None:
    """Return who signs, None where no key file is configured.

    Raises Misconfigured on one that is none, that cannot be read, or that others may read.
    """
    if key_file is None:
        return None
    where = str(key_file)
    try:
        with key_file.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            pem = file.read(MOST_KEY_BYTES)
    except OSError as error:
        raise Misconfigured([Problem(where, f"cannot be read: {error.strerror}")]) from error
    if mode & 0o077:
        message = f"others than its owner may read or change the key: chmod 600 {where}"
        raise Misconfigured([Problem(where, message)])
    try:
        return Signer(*wire.signer(pem))
    except Misconfigured as error:
        raise Misconfigured([Problem(where, str(error))]) from error


async def close_month(
    connection: AsyncConnection[Any],
    site: str,
    month: str,
    who: str,
    now: datetime,
    signs: Signer | None = None,
    watch: Watch = lambda *_: None,
) -> MonthClose:
    """Close a month, such as 2026-10, of a site, in the caller's transaction.

    Raises Rejected for an unknown site or no month, and its NotClosable where the month is not
    over, not computed, not quiet, or closed already.
    """
    asked, plant, version = await _asked(connection, site, month, now - QUIET)
    closable.check_over(asked)
    ids = (await plants.load(connection)).ids
    await closable.check(connection, asked, plant, ids)
    behind = await _behind(connection, asked, plant, ids, watch)  # long, and needs no lock
    await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    await results.alone(connection, wait=True)
    await closable.check(connection, asked, plant, ids)
    figures = await _figures(connection, asked)
    previous = await _last(connection, site)
    body = {
        "format": FORMAT,
        "site": site,
        "month_start": asked.start,
        "month_end": asked.end,
        "number": 1 if previous is None else previous.number + 1,
        "previous": None if previous is None else previous.sha256.hex(),
        "known_at": _utc(asked.known_at),
        "closed_at": _utc(now),
        "closed_by": who,
        "store": await plants.store_id(connection),
        "declaration": {"version": version, "sha256": digests.sha256(plant.to_json(site))},
        "catalogue": basis.catalogue().digest,
        "key": None if signs is None else signs.key,
        "figures": figures,
        **behind,
    }
    closed = _sealed(body, asked.bounds, (asked.known_at, now), previous, signs)
    await _insert(connection, closed)
    return closed


async def read(connection: AsyncConnection[Any], site: str) -> list[MonthClose]:
    """Return the snapshots of a site, the first one first."""
    cursor = await connection.execute(f"{_SELECT} where site = %s order by number", (site,))
    return [_month_close(row) for row in await cursor.fetchall()]


async def find(connection: AsyncConnection[Any], month_close: UUID) -> MonthClose | None:
    """Return one snapshot by its id, None where there is none."""
    cursor = await connection.execute(f"{_SELECT} where month_close = %s", (month_close,))
    row = await cursor.fetchone()
    return None if row is None else _month_close(row)


async def find_month(
    connection: AsyncConnection[Any], site: str, month_start_us: int
) -> MonthClose | None:
    """Return the snapshot of a site's month, None where it is not closed."""
    cursor = await connection.execute(
        f"{_SELECT} where site = %s and month_start = %s", (site, from_us(month_start_us))
    )
    row = await cursor.fetchone()
    return None if row is None else _month_close(row)


async def _asked(
    connection: AsyncConnection[Any], site: str, month: str, known_at: datetime
) -> tuple[Month, Plant, int]:
    """Return the month in the site's zone, what was declared of the site, and its version."""
    declared = await basis.declared_at(connection, site, known_at)
    if declared is None or site not in declared[0].sites:
        raise Rejected(f"no site {site!r} was declared by {_utc(known_at)}", "unknown_site")
    plant, version = declared
    zone = plant.sites[site].timezone
    try:
        bounds = periods.parse_month(month, zone)
    except ValueError as error:
        raise Rejected(str(error), "bad_month") from error
    return Month(site, bounds, zone, known_at), plant, version


async def _behind(
    connection: AsyncConnection[Any],
    month: Month,
    plant: Plant,
    ids: Mapping[str, int],
    watch: Watch,
) -> dict[str, Any]:
    """Return the digests of the readings and facts behind a month's figures."""
    points = sorted(
        point.id
        for point in plant.points.values()
        if point.site == month.site and point.energy_unit
    )
    units = sorted(unit.id for unit in plant.units.values() if unit.site == month.site)
    of_all = len(points) + len(units)
    watch(0, of_all)
    readings = []
    for done, point in enumerate(points, start=1):
        found = await digests.readings(connection, ids[point], month.bounds, month.known_at)
        readings.append({"point": point, "count": found.count, "sha256": found.sha256})
        watch(done, of_all)
    facts = []
    for done, unit in enumerate(units, start=len(points) + 1):
        found = await digests.facts(connection, unit, month.bounds, month.known_at, FORMAT)
        facts.append({"unit": unit, "count": found.count, "sha256": found.sha256})
        watch(done, of_all)
    return {"readings": readings, "facts": facts}


async def _figures(connection: AsyncConnection[Any], month: Month) -> list[dict[str, Any]]:
    """Return the newest versions of the month's figures; raises NotClosable without any."""
    cursor = await connection.execute(
        "select distinct on (unit, indicator, period, period_start) unit, indicator, period,"
        " period_start, result, version, figures from result"
        " where starts_with(unit, %s) and period = any(%s) and period_start >= %s"
        " and period_end <= %s order by unit, indicator, period, period_start, version desc",
        (f"{month.site}.", list(KINDS), from_us(month.bounds[0]), from_us(month.bounds[1])),
    )
    found = [
        {
            "unit": unit,
            "indicator": indicator,
            "period": period,
            "period_start": periods.render(to_us(start), month.zone),
            "result": str(result),
            "version": version,
            "sha256": digests.sha256(figures),
        }
        for unit, indicator, period, start, result, version, figures in await cursor.fetchall()
    ]
    if not found:
        raise closable.none_at_all(month)
    return found


async def _last(connection: AsyncConnection[Any], site: str) -> MonthClose | None:
    cursor = await connection.execute(
        f"{_SELECT} where site = %s order by number desc limit 1", (site,)
    )
    row = await cursor.fetchone()
    return None if row is None else _month_close(row)


def _sealed(
    body: Mapping[str, Any],
    month: tuple[int, int],
    instants: tuple[datetime, datetime],
    previous: MonthClose | None,
    signs: Signer | None,
) -> MonthClose:
    text = canonical(body)
    data = text.encode()
    return MonthClose(
        uuid4(),
        body["site"],
        body["number"],
        *month,
        *instants,
        body["closed_by"],
        text,
        hashlib.sha256(data).digest(),
        None if previous is None else previous.sha256,
        None if signs is None else signs.key,
        None if signs is None else signs.sign(data),
    )


async def _insert(connection: AsyncConnection[Any], closed: MonthClose) -> None:
    await connection.execute(
        "insert into month_close (month_close, site, number, month_start, month_end, known_at,"
        " closed_at, closed_by, body, sha256, previous, key, signature)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            closed.id,
            closed.site,
            closed.number,
            from_us(closed.month_start_us),
            from_us(closed.month_end_us),
            closed.known_at,
            closed.closed_at,
            closed.closed_by,
            closed.body,
            closed.sha256,
            closed.previous,
            closed.key,
            closed.signature,
        ),
    )
    keys = ("unit", "indicator", "period", "period_start", "result", "version")
    figures: Sequence[Mapping[str, Any]] = closed.content()["figures"]
    await connection.execute(
        "insert into closed_figure (unit, indicator, period, period_start, result, version,"
        " month_close) select x.*, %s from unnest(%s::text[], %s::text[], %s::text[],"
        " %s::timestamptz[], %s::uuid[], %s::int[]) as x",
        (closed.id, *([each[key] for each in figures] for key in keys)),
    )


_SELECT: Final = (
    "select month_close, site, number, month_start, month_end, known_at, closed_at, closed_by,"
    " body, sha256, previous, key, signature from month_close"
)


def _month_close(row: Sequence[Any]) -> MonthClose:
    return MonthClose(
        id=row[0],
        site=row[1],
        number=row[2],
        month_start_us=to_us(row[3]),
        month_end_us=to_us(row[4]),
        known_at=row[5],
        closed_at=row[6],
        closed_by=row[7],
        body=row[8],
        sha256=bytes(row[9]),
        previous=None if row[10] is None else bytes(row[10]),
        key=row[11],
        signature=None if row[12] is None else bytes(row[12]),
    )


def _utc(at: datetime) -> str:
    return periods.render_utc(to_us(at))
