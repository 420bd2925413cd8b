"""What figures rest on beside readings and facts: the declaration and the catalogue, by version.

Promise: the version named is the one whose content was used, found by content and not by being
the newest; every catalogue that a stored figure names is kept whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from psycopg.types.json import Jsonb

from core import periods
from core import plant as plants
from core.clock import to_us
from core.plant import Plant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from psycopg import AsyncConnection

_FILES: Final = ("carriers.toml", "indicators.toml", "limits.toml")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The shipped catalogue: its digest and the files it stands for."""

    digest: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Basis:
    """A plant with the version of each site's declaration, and the catalogue's digest."""

    plant: Plant = field(default_factory=Plant)
    versions: Mapping[str, int] = field(default_factory=dict)
    catalogue: str = ""

    def declaration(self, unit: str) -> int | None:
        """Return the version of the declaration that a unit's figures rest on."""
        declared = self.plant.units.get(unit)
        return None if declared is None else self.versions.get(declared.site)


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """Return the catalogue that this program computes with."""
    folder = resources.files("core") / "data"
    files = {name: (folder / name).read_text("utf-8") for name in _FILES}
    return Catalogue(digest_of(files), files)


def digest_of(files: Mapping[str, str]) -> str:
    """Return the SHA-256 over names and texts, hexadecimal."""
    digest = hashlib.sha256()
    for name, text in sorted(files.items()):
        digest.update(f"{name}\0{len(text.encode())}\0{text}".encode())
    return digest.hexdigest()


async def of_plant(connection: AsyncConnection[Any], plant: Plant, now: datetime) -> Basis:
    """Return the basis of figures computed with this plant, and keep its catalogue.

    A site whose declaration was never applied has no version.
    """
    cursor = await connection.execute(
        "select distinct on (site) site, version from site_version"
        " join unnest(%s::text[], %s::jsonb[]) as used(site, declaration)"
        " using (site, declaration) order by site, version desc",
        (list(plant.sites), [Jsonb(dict(plant.to_json(site))) for site in plant.sites]),
    )
    versions: dict[str, int] = dict(await cursor.fetchall())
    for site in plant.sites:
        if site not in versions:
            versions |= await _reworded(connection, plant, site)
    used = catalogue()
    await connection.execute(
        "insert into catalogue_version (catalogue, files, seen_at) values (%s, %s, %s)"
        " on conflict do nothing",
        (used.digest, Jsonb(dict(used.files)), now),
    )
    return Basis(plant, versions, used.digest)


async def _reworded(connection: AsyncConnection[Any], plant: Plant, site: str) -> dict[str, int]:
    """Return the newest version where an older program wrote the same in other words."""
    cursor = await connection.execute(
        "select declaration, version from site_version where site = %s"
        " order by version desc limit 1",
        (site,),
    )
    row = await cursor.fetchone()
    if row is None or plants.from_json({site: row[0]}).to_json(site) != plant.to_json(site):
        return {}
    return {site: row[1]}


async def is_newest(connection: AsyncConnection[Any], basis: Basis) -> bool:
    """Tell whether nothing was declared that this basis does not know."""
    cursor = await connection.execute("select site, version from site")
    return all(basis.versions.get(site) == version for site, version in await cursor.fetchall())


async def declared_at(
    connection: AsyncConnection[Any], site: str, at: datetime
) -> tuple[Plant, int] | None:
    """Return what was declared of a site at an instant, with its version; None before the first."""
    cursor = await connection.execute(
        "select declaration, version from site_version where site = %s and applied_at <= %s"
        " order by version desc limit 1",
        (site, at),
    )
    row = await cursor.fetchone()
    return None if row is None else (plants.from_json({site: row[0]}), row[1])


async def applied_at(connection: AsyncConnection[Any], site: str, version: int) -> str | None:
    """Return when a version was applied as JSON carries it, None where there is none."""
    cursor = await connection.execute(
        "select applied_at from site_version where site = %s and version = %s", (site, version)
    )
    row = await cursor.fetchone()
    return None if row is None else periods.render_utc(to_us(row[0]))


async def declared(connection: AsyncConnection[Any], site: str, version: int) -> Plant:
    """Return one version of a site's declaration; without one, a plant of nothing."""
    cursor = await connection.execute(
        "select declaration from site_version where site = %s and version = %s", (site, version)
    )
    row = await cursor.fetchone()
    return Plant() if row is None else plants.from_json({site: row[0]})
