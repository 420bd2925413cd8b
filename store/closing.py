"""Month close: a snapshot of what a site's month was closed with, chained, signed, and kept.

The snapshot names the figures by id and version with their digest, the declaration, the catalogue,
and digests of the readings and facts behind them, all as known QUIET before the close. Promise:
what comes later makes new versions of figures and leaves the snapshot as it is; whoever changes
one of its parts is found by `verify`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from core import periods, wire
from core.clock import from_us, to_us
from core.errors import Misconfigured, Rejected
from core.periods import Period
from store import basis, digests, plants, results, waiting
from store.digests import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from psycopg import AsyncConnection

    from core.plant import Plant

FORMAT: Final = 1  # of the body
KINDS: Final = (Period.DAY, Period.MONTH)  # whose figures a snapshot names
# Longer than any transaction of ours may take: what was recorded before then is committed.
QUIET: Final = timedelta(minutes=5)
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

    def content(self) -> dict[str, Any]:
        """Return the body as data."""
        content: dict[str, Any] = json.loads(self.body)
        return content


def signer(key_file: Path | None) -> Signer | None:
    """Return who signs, None where no key file is configured; raises Misconfigured on a bad one."""
    if key_file is None:
        return None
    try:
        with key_file.open("rb") as file:
            pem = file.read(MOST_KEY_BYTES)
    except OSError as error:
        raise Misconfigured(f"the signing key {key_file} cannot be read: {error.strerror}") from (
            error
        )
    return Signer(*wire.signer(pem))


async def close_month(
    connection: AsyncConnection[Any],
    site: str,
    within_us: int,
    who: str,
    now: datetime,
    signs: Signer | None = None,
) -> MonthClose:
    """Close the month of a site that holds an instant, in the caller's transaction.

    Raises Rejected where the month is not over, not computed, not quiet, or closed already.
    """
    known_at = now - QUIET
    declared = await basis.declared_at(connection, site, known_at)
    if declared is None or site not in declared[0].sites:
        raise Rejected(f"no site {site!r} was declared by {_utc(known_at)}", "unknown_site")
    plant = declared[0]
    zone = plant.sites[site].timezone
    month = periods.period_at(Period.MONTH, within_us, zone)
    if from_us(month[1]) > known_at:
        raise Rejected(
            f"the month of {site} that ends at {periods.render(month[1], zone)} can be closed"
            f" {QUIET.seconds // 60} minutes after its end",
            "month_not_over",
        )
    behind = await _behind(connection, plant, site, month, known_at)  # long, and needs no lock
    await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    await results.alone(connection, wait=True)
    await _refuse_closed(connection, site, month, zone)
    await _refuse_pending(connection, plant, site, month)
    figures = await _figures(connection, site, month, known_at, zone)
    previous = await _last(connection, site)
    body = {
        "format": FORMAT,
        "site": site,
        "month_start": periods.render(month[0], zone),
        "month_end": periods.render(month[1], zone),
        "number": 1 if previous is None else previous.number + 1,
        "previous": None if previous is None else previous.sha256.hex(),
        "known_at": _utc(known_at),
        "closed_at": _utc(now),
        "closed_by": who,
        "store": await plants.store_id(connection),
        "declaration": {"version": declared[1], "sha256": digests.sha256(plant.to_json(site))},
        "catalogue": basis.catalogue().digest,
        "figures": figures,
        **behind,
    }
    closed = _sealed(body, month, (known_at, now), previous, signs)
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


async def _behind(
    connection: AsyncConnection[Any],
    plant: Plant,
    site: str,
    month: tuple[int, int],
    known_at: datetime,
) -> dict[str, Any]:
    """Return the digests of the readings and facts behind a month's figures."""
    ids = await _point_ids(connection)
    points = [point for point in plant.points.values() if point.site == site and point.energy_unit]
    units = [unit.id for unit in plant.units.values() if unit.site == site]
    readings = []
    for point in sorted(point.id for point in points):
        found = await digests.readings(connection, ids[point], month, known_at)
        readings.append({"point": point, "count": found.count, "sha256": found.sha256})
    facts = []
    for unit in sorted(units):
        found = await digests.facts(connection, unit, month, known_at)
        facts.append({"unit": unit, "count": found.count, "sha256": found.sha256})
    return {"readings": readings, "facts": facts}


async def _refuse_closed(
    connection: AsyncConnection[Any], site: str, month: tuple[int, int], zone: str
) -> None:
    cursor = await connection.execute(
        "select closed_by, closed_at from month_close where site = %s and month_start = %s",
        (site, from_us(month[0])),
    )
    row = await cursor.fetchone()
    if row is not None:
        raise Rejected(
            f"the month of {site} that begins at {periods.render(month[0], zone)} was closed by"
            f" {row[0]} at {_utc(row[1])}: a snapshot is never made anew",
            "month_closed",
        )


async def _refuse_pending(
    connection: AsyncConnection[Any], plant: Plant, site: str, month: tuple[int, int]
) -> None:
    """Refuse while readings or facts of the month wait for their figures."""
    ids = await _point_ids(connection)
    points = [
        ids[point.id] for point in plant.points.values() if point.site == site and point.id in ids
    ]
    units = [unit.id for unit in plant.units.values() if unit.site == site]
    if await waiting.any_in(connection, points, units, month):
        raise Rejected(
            f"readings or facts of {site} in this month wait for their figures: close it once"
            " `danhao ingest run` has computed them",
            "month_not_computed",
        )


async def _point_ids(connection: AsyncConnection[Any]) -> dict[str, int]:
    cursor = await connection.execute("select point, point_id from point")
    return dict(await cursor.fetchall())


async def _figures(
    connection: AsyncConnection[Any],
    site: str,
    month: tuple[int, int],
    known_at: datetime,
    zone: str,
) -> list[dict[str, Any]]:
    """Return the newest versions of the month's figures; refuse what is open or too new."""
    cursor = await connection.execute(
        "select distinct on (unit, indicator, period, period_start) unit, indicator, period,"
        " period_start, result, version, closed, computed_at, figures from result"
        " where starts_with(unit, %s) and period = any(%s) and period_start >= %s"
        " and period_end <= %s order by unit, indicator, period, period_start, version desc",
        (f"{site}.", list(KINDS), from_us(month[0]), from_us(month[1])),
    )
    found: list[dict[str, Any]] = []
    for (
        unit,
        indicator,
        period,
        start,
        result,
        version,
        closed,
        computed_at,
        figures,
    ) in await cursor.fetchall():
        if not closed or computed_at > known_at:
            raise Rejected(
                f"the {period} of {unit} that begins at {periods.render(to_us(start), zone)} has"
                f" figures of {_utc(computed_at)}: close the month once nothing has changed for"
                f" {QUIET.seconds // 60} minutes",
                "month_not_quiet",
            )
        found.append(
            {
                "unit": unit,
                "indicator": indicator,
                "period": period,
                "period_start": periods.render(to_us(start), zone),
                "result": str(result),
                "version": version,
                "sha256": digests.sha256(figures),
            }
        )
    if not found:
        raise Rejected(
            f"{site} has no figures in the month that begins at"
            f" {periods.render(month[0], zone)}: there is nothing to close",
            "month_not_computed",
        )
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
