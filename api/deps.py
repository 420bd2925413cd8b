"""What a route may ask for: the services of this process, the caller, the declared action."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Annotated, Any, Final, cast

from fastapi import Depends, Request
from fastapi.params import Depends as DependsParam
from psycopg import AsyncConnection

from api import access, problems
from api.access import Action, Principal
from api.config import Settings
from api.live import Hub
from api.metrics import Metrics
from api.oidc import Client
from api.passwords import Passwords
from api.plants import Declared, PlantCache
from api.rates import Rates
from api.throttle import NAME_FAILURES, NAME_WINDOW_S, Throttle
from core.clock import to_us
from core.plant import Point, Site, Unit
from store.connection import Pool

MOST_EXPORTS: Final = 4  # files written at a time: each takes a connection for moments


@dataclass(slots=True)
class Services:
    """Everything the routes share; one per application."""

    settings: Settings
    pool: Pool
    clock: Callable[[], datetime]
    ticks: Callable[[], float]
    plants: PlantCache
    hub: Hub
    metrics: Metrics
    throttle: Throttle = field(default_factory=Throttle)  # by address
    exports: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_EXPORTS))
    names: Throttle = field(default_factory=lambda: Throttle(NAME_FAILURES, NAME_WINDOW_S))
    rates: Rates = field(default_factory=Rates)  # by caller
    passwords: Passwords = field(default_factory=Passwords)
    providers: Mapping[str, Client] = field(default_factory=dict)
    feed: asyncio.Task[None] | None = None

    def feed_runs(self) -> bool:
        """Tell whether the live stream is fed."""
        return self.feed is not None and not self.feed.done()

    @property
    def now_us(self) -> int:
        """Return the present instant in microseconds."""
        return to_us(self.clock())


def services(request: Request) -> Services:
    """Return the services of the application that serves this request."""
    return cast("Services", request.app.state.services)


def principal(request: Request) -> Principal:
    """Return who is asking; raises 401 where the shell found nobody."""
    found = getattr(request.state, "principal", None)
    if not isinstance(found, Principal):
        raise problems.stranger()
    return found


Shared = Annotated[Services, Depends(services)]
Caller = Annotated[Principal, Depends(principal)]


@dataclass(frozen=True, slots=True)
class Allow:
    """A route's declared action: refuses the roles that may not do it."""

    action: Action

    def __call__(self, caller: Caller, shared: Shared) -> None:
        """Let the caller pass, or raise 403; 429 where one asks more than is answered."""
        wait_s = shared.rates.wait_s(caller.name, shared.ticks())
        if wait_s > 0:
            raise problems.ProblemError(
                429,
                f"More than {shared.rates.per_s} requests a second in a row: ask less often.",
                "too_many_requests",
                headers={"Retry-After": str(ceil(wait_s))},
            )
        if not access.may(caller, self.action):
            raise problems.forbidden(
                f"The role {caller.role} may not do this ({self.action.replace('_', ' ')})."
            )


def allow(action: Action) -> DependsParam:
    """Declare the action of a route, in its `dependencies`."""
    return cast("DependsParam", Depends(Allow(action)))


@dataclass(frozen=True, slots=True)
class View:
    """What a caller may see of the plant, with a connection to read more."""

    connection: AsyncConnection[Any]
    declared: Declared
    caller: Principal
    now_us: int

    def sites(self) -> list[Site]:
        """Return the sites in the caller's scope, sorted by id."""
        sites = self.declared.plant.sites
        return [site for _, site in sorted(sites.items()) if self._covers(site)]

    def units(self) -> list[Unit]:
        """Return the units in the caller's scope, sorted by id."""
        seen = {site.id for site in self.sites()}
        units = self.declared.plant.units
        return [unit for _, unit in sorted(units.items()) if unit.site in seen]

    def site(self, site_id: str) -> Site:
        """Return a site; raises 404 for an unknown and 403 for a foreign one."""
        site = self.declared.plant.sites.get(site_id)
        if site is None:
            raise problems.not_found(f"No site has the id {site_id[:200]!r}.", "unknown_site")
        return self._own(site, site_id)

    def unit(self, unit_id: str) -> tuple[Unit, Site]:
        """Return a unit and its site; raises 404 for an unknown and 403 for a foreign one."""
        plant = self.declared.plant
        unit = plant.units.get(unit_id)
        if unit is None:
            raise problems.not_found(f"No unit has the id {unit_id[:200]!r}.", "unknown_unit")
        return unit, self._own(plant.sites[unit.site], unit_id)

    def point(self, point_id: str) -> tuple[Point, Site]:
        """Return a point and its site; raises 404 for an unknown and 403 for a foreign one."""
        plant = self.declared.plant
        point = plant.points.get(point_id)
        if point is None:
            raise problems.not_found(f"No point has the id {point_id[:200]!r}.", "unknown_point")
        return point, self._own(plant.sites[point.site], point_id)

    def _own(self, site: Site, what: str) -> Site:
        if not self._covers(site):
            raise problems.forbidden(f"{what} lies outside the scope of your token.")
        return site

    def _covers(self, site: Site) -> bool:
        return access.covers(self.caller.scope, site.id, site.jurisdiction)


@asynccontextmanager
async def look(shared: Services, caller: Principal) -> AsyncIterator[View]:
    """Open a view of the plant for one request; its connection goes back at the end."""
    async with shared.pool.connection() as connection:
        declared = await shared.plants.get(connection)
        yield View(connection, declared, caller, shared.now_us)
