"""Whether a month's snapshot still says the truth: its seal, its chain, and what it speaks of.

Promise: every part is computed again from the tables, nothing is believed because it is stored;
what cannot be looked at any more (archived readings) is named as unchecked, never called good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.clock import to_us
from store import asof, basis, closeseal, digests, retention
from store.closeseal import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psycopg import AsyncConnection

    from store.closing import MonthClose, Watch

MOST_PROBLEMS: Final = 1_000  # of one part: the first ones tell enough


@dataclass(frozen=True, slots=True)
class Checked:
    """The parts of a snapshot that were looked at, in order, with what was found."""

    parts: tuple[Part, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Return what is wrong, one sentence each."""
        return tuple(problem for part in self.parts for problem in part.problems)

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Return what could not be looked at, one sentence each."""
        return tuple(reason for part in self.parts for reason in part.unchecked)

    @property
    def well(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.problems


async def verify(
    connection: AsyncConnection[Any],
    closed: MonthClose,
    expected_key: str | None = None,
    watch: Watch = lambda *_: None,
) -> Checked:
    """Check one snapshot against itself, the one before it, and the store."""
    parts = closeseal.check(closed.seal, expected_key)
    if all(part.name != "signature" for part in parts):
        return Checked(tuple(parts))  # the rest reads the body, which is not to be believed
    content = closed.content()
    parts[1].problems += _as_in_table(closed, content)
    if parts[1].problems:
        return Checked(tuple(parts))
    parts.append(Part("chain", await _chain(connection, closed)))
    parts.append(Part("declaration", await _declared(connection, closed, content)))
    parts.append(Part("catalogue", await _catalogue(connection, content)))
    parts.append(Part("figures", await _figures(connection, closed, content["figures"])))
    parts.append(await _readings(connection, closed, content["readings"], watch))
    parts.append(Part("facts", await _facts(connection, closed, content)))
    for part in parts:
        del part.problems[MOST_PROBLEMS:]
    return Checked(tuple(parts))


def _as_in_table(closed: MonthClose, content: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the columns beside the body say something else than it."""
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
    version = content["declaration"]["version"]
    plant = await basis.declared(connection, closed.site, version)
    kept = plant.declarations.get(closed.site)
    if kept is None or digests.sha256(kept) != content["declaration"]["sha256"]:
        return [f"version {version} of the declaration is not the one it was closed with"]
    return []


async def _catalogue(connection: AsyncConnection[Any], content: Mapping[str, Any]) -> list[str]:
    cursor = await connection.execute(
        "select files from catalogue_version where catalogue = %s", (content["catalogue"],)
    )
    row = await cursor.fetchone()
    if row is None or basis.digest_of(row[0]) != content["catalogue"]:
        return ["the catalogue it was closed with is not kept as it was"]
    return []


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
        wrong = _wrong_figure(each, kept.get(each["result"]))
        if wrong:
            where = f"{each['period']} {each['period_start']} of {each['unit']} {each['indicator']}"
            problems.append(f"{where}: {wrong}")
    return problems


def _wrong_figure(each: Mapping[str, Any], row: Sequence[Any] | None) -> str:
    """Return what is wrong with a figure that a body names, nothing where it stands."""
    if row is None:
        return f"its result {each['result']} is gone"
    named = (each["unit"], each["indicator"], each["period"])
    start_us = periods.parse_instant(each["period_start"])
    if (*row[:3], to_us(row[3]), row[4]) != (*named, start_us, each["version"]):
        return "its result speaks of something else"
    if digests.sha256(row[5]) != each["sha256"]:
        return "its figures were changed"
    return "the table of closed figures does not name it" if row[6] else ""


async def _readings(
    connection: AsyncConnection[Any],
    closed: MonthClose,
    points: Sequence[Mapping[str, Any]],
    watch: Watch,
) -> Part:
    part = Part("readings")
    cursor = await connection.execute("select point, point_id from point")
    ids: dict[str, int] = dict(await cursor.fetchall())
    month = (closed.month_start_us, closed.month_end_us)
    kept = await retention.load(connection)
    if asof.gone(kept, *month):
        part.unchecked.append(
            "readings of this month are archived: restore them to compare their digests"
        )
        return part
    for done, each in enumerate(points, start=1):
        if each["point"] not in ids:
            part.problems.append(f"the point {each['point']} is unknown")
            continue
        found = await digests.readings(connection, ids[each["point"]], month, closed.known_at)
        part.problems += _compared(f"readings of {each['point']}", found, each)
        watch(done, len(points))
    return part


async def _facts(
    connection: AsyncConnection[Any], closed: MonthClose, content: Mapping[str, Any]
) -> list[str]:
    month = (closed.month_start_us, closed.month_end_us)
    problems: list[str] = []
    for each in content["facts"]:
        found = await digests.facts(
            connection, each["unit"], month, closed.known_at, content["format"]
        )
        problems += _compared(f"facts of {each['unit']}", found, each)
    return problems


def _compared(what: str, found: digests.Digest, said: Mapping[str, Any]) -> list[str]:
    if found.count != said["count"]:
        return [f"{what}: there are {found.count}, {said['count']} when the month was closed"]
    if found.sha256 != said["sha256"]:
        return [f"{what}: one of the {found.count} was changed"]
    return []
