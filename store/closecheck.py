"""Whether a month's snapshot still says the truth: its own bytes, its chain, what it speaks of.

Promise: every part is computed again from the tables, nothing is believed because it is stored;
what cannot be looked at any more (archived readings) is named as unchecked, never called good.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import periods, wire
from core.clock import to_us
from core.errors import Misconfigured
from core.wire_pb2 import Packet
from store import asof, basis, digests, retention

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psycopg import AsyncConnection

    from store.closing import MonthClose

MOST_PROBLEMS: Final = 1_000  # of one snapshot: the first ones tell enough


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a snapshot, and what could not be looked at, one sentence each."""

    problems: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.problems


async def verify(connection: AsyncConnection[Any], closed: MonthClose) -> Checked:
    """Check one snapshot against itself, the one before it, and the store."""
    problems = [*_sealed(closed)]
    if problems:  # what follows reads the body, which is no longer to be believed
        return Checked(tuple(problems), ())
    content = closed.content()
    unchecked: list[str] = []
    problems += await _chain(connection, closed)
    problems += await _declared(connection, closed, content)
    problems += await _figures(connection, closed, content["figures"])
    problems += await _readings(connection, closed, content["readings"], unchecked)
    problems += await _facts(connection, closed, content["facts"])
    return Checked(tuple(problems[:MOST_PROBLEMS]), tuple(unchecked))


def _sealed(closed: MonthClose) -> Iterator[str]:
    data = closed.body.encode()
    if hashlib.sha256(data).digest() != closed.sha256:
        yield "the body is not the one that was hashed"
        return
    content = closed.content()
    previous = None if closed.previous is None else closed.previous.hex()
    said = {
        "site": closed.site,
        "number": closed.number,
        "previous": previous,
        "known_at": periods.render_utc(to_us(closed.known_at)),
        "closed_at": periods.render_utc(to_us(closed.closed_at)),
        "closed_by": closed.closed_by,
    }
    for key, value in said.items():
        if content[key] != value:
            yield f"{key} is {value!r} in the table and {content[key]!r} in the body"
    for key, instant_us in (
        ("month_start", closed.month_start_us),
        ("month_end", closed.month_end_us),
    ):
        if periods.parse_instant(content[key]) != instant_us:
            yield f"{key} is not the one in the body"
    if closed.key is not None and closed.signature is not None:
        yield from _signed(closed.key, data, closed.signature)


def _signed(key: str, data: bytes, signature: bytes) -> Iterator[str]:
    try:
        if not wire.verify(Packet(envelope=data, signature=signature), key):
            yield f"the signature is not by {key}"
    except Misconfigured:
        yield f"{key} is no Ed25519 key"


async def _chain(connection: AsyncConnection[Any], closed: MonthClose) -> list[str]:
    cursor = await connection.execute(
        "select sha256 from month_close where site = %s and number = %s",
        (closed.site, closed.number - 1),
    )
    row = await cursor.fetchone()
    before = None if row is None else bytes(row[0])
    if before == closed.previous:
        return []
    missing = "is missing" if before is None else "is another one"
    return [f"the snapshot before, number {closed.number - 1} of {closed.site}, {missing}"]


async def _declared(
    connection: AsyncConnection[Any], closed: MonthClose, content: Mapping[str, Any]
) -> list[str]:
    problems: list[str] = []
    version = content["declaration"]["version"]
    plant = await basis.declared(connection, closed.site, version)
    kept = plant.declarations.get(closed.site)
    if kept is None or digests.sha256(kept) != content["declaration"]["sha256"]:
        problems.append(f"version {version} of the declaration is not the one it was closed with")
    cursor = await connection.execute(
        "select files from catalogue_version where catalogue = %s", (content["catalogue"],)
    )
    row = await cursor.fetchone()
    if row is None or basis.digest_of(row[0]) != content["catalogue"]:
        problems.append("the catalogue it was closed with is not kept as it was")
    return problems


async def _figures(
    connection: AsyncConnection[Any], closed: MonthClose, figures: Sequence[Mapping[str, Any]]
) -> list[str]:
    cursor = await connection.execute(
        "select result, unit, indicator, period, period_start, version, figures, c.result is null"
        " from result r left join closed_figure c using (unit, indicator, period, period_start,"
        " result, version) where r.result = any(%s::uuid[])",
        ([each["result"] for each in figures],),
    )
    kept = {str(row[0]): row[1:] for row in await cursor.fetchall()}
    problems: list[str] = []
    cursor = await connection.execute(
        "select count(*) from closed_figure where month_close = %s", (closed.id,)
    )
    counted = await cursor.fetchone()
    if counted is None or counted[0] != len(figures):
        problems.append("the table of closed figures does not hold what the body names")
    for each in figures:
        row = kept.get(each["result"])
        where = f"{each['period']} {each['period_start']} of {each['unit']} {each['indicator']}"
        if row is None:
            problems.append(f"{where}: its result {each['result']} is gone")
            continue
        named = (each["unit"], each["indicator"], each["period"])
        start_us = periods.parse_instant(each["period_start"])
        if (*row[:3], to_us(row[3]), row[4]) != (*named, start_us, each["version"]):
            problems.append(f"{where}: its result speaks of something else")
        elif digests.sha256(row[5]) != each["sha256"]:
            problems.append(f"{where}: its figures were changed")
        elif row[6]:
            problems.append(f"{where}: the table of closed figures does not name it")
    return problems


async def _readings(
    connection: AsyncConnection[Any],
    closed: MonthClose,
    points: Sequence[Mapping[str, Any]],
    unchecked: list[str],
) -> list[str]:
    cursor = await connection.execute("select point, point_id from point")
    ids: dict[str, int] = dict(await cursor.fetchall())
    month = (closed.month_start_us, closed.month_end_us)
    kept = await retention.load(connection)
    if asof.gone(kept, *month):
        unchecked.append(
            "readings of this month are archived: restore them to compare their digests"
        )
        return []
    problems: list[str] = []
    for each in points:
        if each["point"] not in ids:
            problems.append(f"the point {each['point']} is unknown")
            continue
        found = await digests.readings(connection, ids[each["point"]], month, closed.known_at)
        problems += _compared(f"readings of {each['point']}", found, each)
    return problems


async def _facts(
    connection: AsyncConnection[Any], closed: MonthClose, units: Sequence[Mapping[str, Any]]
) -> list[str]:
    month = (closed.month_start_us, closed.month_end_us)
    problems: list[str] = []
    for each in units:
        found = await digests.facts(connection, each["unit"], month, closed.known_at)
        problems += _compared(f"facts of {each['unit']}", found, each)
    return problems


def _compared(what: str, found: digests.Digest, said: Mapping[str, Any]) -> list[str]:
    if found.count != said["count"]:
        return [f"{what}: there are {found.count}, {said['count']} when the month was closed"]
    if found.sha256 != said["sha256"]:
        return [f"{what}: one of the {found.count} was changed"]
    return []
