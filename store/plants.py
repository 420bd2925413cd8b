"""Declared plants: what was declared when, the number of each point, and what a change touches.

Applying the same declaration twice changes nothing. A change of what computes energy touches the
spans of its points; any other change of a unit touches its results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb

from core import plant as plants
from core.plant import EVER, Plant
from store import results, slots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

CHANNEL: Final = "danhao_plant"
_LOCK: Final = 0x706C616E74  # "plant": one apply at a time


class Loaded(NamedTuple):
    """Everything declared, the number of each point ever declared, the version of each site."""

    plant: Plant
    ids: Mapping[str, int]
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply did: lines for a person, sites with a new version, what is computed again."""

    difference: Sequence[str]
    sites: Sequence[str]
    new_points: Sequence[str]
    touched_points: Sequence[str]
    touched_units: Sequence[str]


async def load(connection: AsyncConnection[Any]) -> Loaded:
    """Return what is declared now."""
    cursor = await connection.execute("select site, declaration, version from site order by site")
    rows = await cursor.fetchall()
    cursor = await connection.execute("select point, point_id from point")
    ids: dict[str, int] = dict(await cursor.fetchall())
    declared = plants.from_json({site: declaration for site, declaration, _ in rows})
    return Loaded(declared, ids, {site: version for site, _, version in rows})


async def versions(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Return the version of each declared site."""
    cursor = await connection.execute("select site, version from site")
    return dict(await cursor.fetchall())


async def apply(connection: AsyncConnection[Any], plant: Plant, now: datetime) -> Applied:
    """Declare the sites of `plant`, leaving others alone, in the caller's transaction.

    Programs that run hear of it through NOTIFY when the caller commits.
    """
    await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    before = await load(connection)
    changed = [
        site
        for site in plant.declarations
        if plant.to_json(site) != before.plant.declarations.get(site)
    ]
    for site in changed:
        await _declare(connection, site, plant, before.versions.get(site, 0) + 1, now)
    new = sorted(point for point in plant.points if point not in before.ids)
    if new:
        await connection.execute(
            "insert into point (point) select unnest(%s::text[]) on conflict do nothing", (new,)
        )
    spans = plants.touched(before.plant, plant)
    if spans:
        ids = (await load(connection)).ids
        await slots.touch(connection, [(ids[p], low, high) for p, (low, high) in spans.items()])
    units = _changed_units(before.plant, plant, changed)
    await results.touch(connection, [(unit, *EVER) for unit in units])
    if changed:
        await connection.execute(sql.SQL("notify {}").format(sql.Identifier(CHANNEL)))
    difference = plants.difference(before.plant, plant)
    return Applied(difference, changed, new, sorted(spans), units)


async def store_id(connection: AsyncConnection[Any]) -> str:
    """Return the id of this store: a restored or new store has another (design 4.2)."""
    cursor = await connection.execute("select store::text from store_identity")
    row = await cursor.fetchone()
    assert row is not None, "the first migration creates the identity"  # noqa: S101 - a belief
    return str(row[0])


async def _declare(
    connection: AsyncConnection[Any], site: str, plant: Plant, version: int, now: datetime
) -> None:
    declaration = Jsonb(plant.to_json(site))
    await connection.execute(
        "insert into site (site, declaration, version, applied_at) values (%s, %s, %s, %s)"
        " on conflict (site) do update set declaration = excluded.declaration,"
        " version = excluded.version, applied_at = excluded.applied_at",
        (site, declaration, version, now),
    )
    await connection.execute(
        "insert into site_version (site, version, declaration, applied_at) values (%s, %s, %s, %s)",
        (site, version, declaration, now),
    )


def _changed_units(before: Plant, after: Plant, sites: Sequence[str]) -> list[str]:
    """Return the units of changed sites whose results may differ now, the new ones included."""
    return sorted(
        unit
        for unit, declared in after.units.items()
        if declared.site in sites
        and (
            before.units.get(unit) != declared
            or before.sites[declared.site] != after.sites[declared.site]
            or before.points_of(unit) != after.points_of(unit)
        )
    )
