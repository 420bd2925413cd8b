"""One figure as known at two instants: what came between them, by version where there were any.

Promise: a version tells the cause it was stored with; only what had no version at the first
instant is looked for, and then between the two instants alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import periods
from core.clock import from_us, to_us
from store import basis as bases
from store import causes
from store.basis import Basis
from store.causes import Change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.plant import Plant
    from store.asof import KnownAt

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """One closed version of a figure."""

    result: UUID
    version: int
    known_us: int
    declaration: int | None
    catalogue: str | None
    cause: Mapping[str, Any] | None

    def item(self) -> dict[str, Any]:
        """Return the version's cause as JSON carries it."""
        return {
            "version": self.version,
            "known_from": periods.render_utc(self.known_us),
            **(self.cause or {"kinds": [causes.UNEXPLAINED]}),
        }


@dataclass(frozen=True, slots=True)
class Pair:
    """A period's figures at two instants with their versions, 0: computed for the instant.

    `before` is None where there was no such figure: the period had not begun, or the unit was
    not declared.
    """

    start_us: int
    end_us: int
    before: Figures | None
    before_version: int
    after: Figures
    after_version: int


async def versions(
    connection: AsyncConnection[Any],
    key: tuple[str, str, str],
    span_us: tuple[int, int],
    until: datetime,
) -> dict[int, list[Kept]]:
    """Return the closed versions of (unit, indicator, period) known until an instant, by start."""
    cursor = await connection.execute(
        "select period_start, result, version, computed_at, declaration, catalogue, cause"
        " from result where unit = %s and indicator = %s and period = %s and period_start >= %s"
        " and period_start < %s and closed and computed_at <= %s order by period_start, version",
        (*key, from_us(span_us[0]), from_us(span_us[1]), until),
    )
    found: dict[int, list[Kept]] = {}
    for start, result, version, known, *rest in await cursor.fetchall():
        kept = Kept(result, version, to_us(known), *rest)
        found.setdefault(to_us(start), []).append(kept)
    return found


async def figures_of(connection: AsyncConnection[Any], ids: Sequence[UUID]) -> dict[UUID, Figures]:
    """Return the figures of results by their ids."""
    cursor = await connection.execute(
        "select result, figures from result where result = any(%s::uuid[])", (list(ids),)
    )
    return dict(await cursor.fetchall())


async def between(
    unit: str,
    instants: tuple[KnownAt | None, KnownAt],
    pairs: Sequence[Pair],
    kept: Mapping[int, Sequence[Kept]],
) -> list[list[dict[str, Any]]]:
    """Return the causes between the two instants of each pair, in the order they came."""
    before, after = instants
    found = [_stored(pair, kept.get(pair.start_us, ())) for pair in pairs]
    puzzling = [n for n, pair in enumerate(pairs) if pair.before_version == 0]
    firsts = await _firsts(after, [pairs[n] for n in puzzling], kept)
    changes: list[tuple[int, Change, Kept | None]] = []
    for n, (target, first) in zip(puzzling, firsts, strict=True):
        pair = pairs[n]
        if pair.before is None:
            found[n].insert(0, await _appeared(unit, before, after))
        elif before is not None and pair.before != target:
            changes.append((n, _change(unit, before, after, pair, target, first), first))
    for n, cause in await _explained(after, unit, changes):
        found[n].insert(0, {"version": None, "known_from": None, **cause})
    return found


def after_version(version: int, kept: Sequence[Kept]) -> list[dict[str, Any]]:
    """Return the causes of the versions that followed one."""
    return [each.item() for each in kept if each.version > version]


def _stored(pair: Pair, kept: Sequence[Kept]) -> list[dict[str, Any]]:
    """Return the causes of versions between: behind the first one where there was none before."""
    since = max(pair.before_version, 1)
    return [each.item() for each in kept if since < each.version <= pair.after_version]


async def _firsts(
    after: KnownAt, pairs: Sequence[Pair], kept: Mapping[int, Sequence[Kept]]
) -> list[tuple[Figures, Kept | None]]:
    """Return the figures that each pair's first version had, else those at the second instant."""
    wanted = [next(iter(kept.get(pair.start_us, ())), None) for pair in pairs]
    later = [
        first.result
        for first, pair in zip(wanted, pairs, strict=True)
        if first is not None and pair.after_version > first.version
    ]
    figures = await figures_of(after.connection, later) if later else {}
    return [
        (pair.after if first is None else figures.get(first.result, pair.after), first)
        for first, pair in zip(wanted, pairs, strict=True)
    ]


def _change(
    unit: str,
    before: KnownAt,
    after: KnownAt,
    pair: Pair,
    target: Figures,
    first: Kept | None,
) -> Change:
    return Change(
        unit,
        pair.start_us,
        pair.end_us,
        before.at,
        before.version,
        bases.catalogue().digest,
        pair.before or {},
        target,
        after.at if first is None else from_us(first.known_us),
    )


async def _appeared(unit: str, before: KnownAt | None, after: KnownAt) -> dict[str, Any]:
    """Return why there was no figure: the unit was not declared, or the period had not begun."""
    item: dict[str, Any] = {"version": None, "known_from": None, "kinds": [causes.PERIOD_OPEN]}
    if before is None or unit not in before.plant.units:
        item["kinds"] = [causes.DECLARATION]
        item["declaration"] = {
            "site": after.plant.units[unit].site,
            "from": None if before is None else before.version,
            "to": after.version,
            "applied_at": await bases.applied_at(
                after.connection, after.plant.units[unit].site, after.version
            ),
        }
    return item


async def _explained(
    after: KnownAt, unit: str, changes: Sequence[tuple[int, Change, Kept | None]]
) -> list[tuple[int, Mapping[str, Any]]]:
    """Look for what came between, together for all that rest on the same at the end."""
    site = after.plant.units[unit].site
    plants: dict[int, Plant] = {after.version: after.plant}
    groups: dict[tuple[int, str], list[tuple[int, Change]]] = {}
    for n, change, first in changes:
        version = (None if first is None else first.declaration) or after.version
        catalogue = (None if first is None else first.catalogue) or bases.catalogue().digest
        groups.setdefault((version, catalogue), []).append((n, change))
    found: list[tuple[int, Mapping[str, Any]]] = []
    for (version, catalogue), group in groups.items():
        if version not in plants:
            plants[version] = await bases.declared(after.connection, site, version)
        basis = Basis(plants[version], {site: version}, catalogue)
        told = await causes.between(after.connection, [change for _, change in group], basis)
        found += [(n, cause) for (n, _), cause in zip(group, told, strict=True)]
    return found
