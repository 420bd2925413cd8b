"""Which sites this worker has: decided by each worker for itself, enforced by the database.

A lease is on a site, for agents of one site may send the same point. Promise: of workers that see
the same leases exactly one takes a free site; sites are shared out evenly with as few moves as that
takes; what is given up is first no longer worked on. Design: docs/decisions/0005, 0027.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from core.errors import Retryable
from store import leases as stored
from store.leases import EVERY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from uuid import UUID

    from psycopg import AsyncConnection

    from store.connection import Pool

    Id = TypeVar("Id", bound=Any)

log = logging.getLogger(__name__)

LIFE: Final = timedelta(seconds=6)
RENEWAL_S: Final = 2.0  # two may fail before a lease runs out
WANTING_S: Final = 0.5  # between two looks while another worker is to give up a site
LEAST_WAIT_S: Final = 0.05  # after the instant at which somebody's lease runs out
_OUT: Final = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, Retryable)


@dataclass(frozen=True, slots=True)
class Decision:
    """What a worker takes of what is free, gives up of what it has, and whether it wants more."""

    take: frozenset[str]
    give_up: frozenset[str]
    wants_more: bool


def decide(
    me: Id, workers: Iterable[Id], held: Mapping[str, Id], sites: Collection[str]
) -> Decision:
    """Return what `me` does about leases that have not run out. Pure.

    Each worker's share is the number of sites over the number of workers, rounded up for those who
    have most already: so what is fairly shared out stays where it is. `EVERY`, what one does for
    all, goes to whoever comes first and stays there.
    """
    everyone = sorted({*workers, me})
    own = {site for site, worker in held.items() if worker == me and site != EVERY}
    gone = own.difference(sites)
    has = Counter(worker for site, worker in held.items() if site in sites)
    share, larger = divmod(len(sites), len(everyone))
    ranked = sorted(everyone, key=lambda worker: -has[worker])  # stable: then by id
    share += me in ranked[:larger]
    free = sorted(set(sites).difference(held))
    more = share - has[me]
    take = set(free[:more] if more > 0 else ())
    if EVERY not in held:
        take.add(EVERY)
    surplus = sorted(own & set(sites), reverse=True)[: max(-more, 0)]
    return Decision(frozenset(take), frozenset(gone.union(surplus)), more > len(free))


@dataclass(frozen=True, slots=True)
class Share:
    """What this worker works on; a round of work lasts as long as its share `covers` the next.

    `alone`: there is no other worker and this one has every site; `losses` counts how often a site
    went to somebody else against our will, after which nothing in memory is sure.
    """

    sites: frozenset[str] = frozenset()
    number: int | None = None
    alone: bool = False
    for_all: bool = False  # what one worker does for all: figures of units, alerts, policies
    losses: int = 0

    @property
    def idle(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self.sites or self.for_all)

    def covers(self, other: Share) -> bool:
        """Tell whether work that began with this share may go on with the other."""
        if self.losses != other.losses:
            return False
        if self.alone and other.alone:
            return True  # all topics are read: what is declared or withdrawn changes no filter
        return self == other


class Leases:
    """This worker's leases; `keep` for ever, and ask the others at any time."""

    def __init__(self, pool: Pool, worker: UUID) -> None:
        self._pool = pool
        self._worker = worker
        self._held: frozenset[str] = frozenset()  # EVERY among them
        self._leaving: frozenset[str] = frozenset()
        self._declared: frozenset[str] = frozenset()
        self._ends = float("-inf")  # of the monotonic clock
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self.share = Share()

    # -- what others ask -------------------------------------------------------------------------

    def valid(self) -> bool:
        """Tell whether the leases last, by our own clock: a moment too short, never too long."""
        return time.monotonic() < self._ends

    def holds(self, site: str) -> bool:
        """Tell whether a site is ours; sites that nobody declares go with what one does for all."""
        if site in self._held:
            return True
        return self.share.for_all and site not in self._declared

    async def fence(
        self, connection: AsyncConnection[Any], sites: Collection[str] | None = None
    ) -> None:
        """Raise Retryable where sites are no longer ours; asked in a transaction before its end.

        Without `sites` all that we believe to have are asked for.
        """
        wanted = self._held if sites is None else sites
        if wanted and not await stored.fence(connection, self._worker, wanted):
            self._wake.set()
            raise Retryable("another worker has taken the lease: what it has now is left alone")

    def look_now(self) -> None:
        """Have the leases looked at without waiting for the next turn: a site was declared."""
        self._wake.set()

    async def until(self, covered: Share) -> None:
        """Return once work that began with this share must end."""
        async with self._changed:
            await self._changed.wait_for(lambda: not covered.covers(self.share))

    # -- keeping them ----------------------------------------------------------------------------

    async def keep(self) -> None:
        """Renew, take and share out, until cancelled."""
        while True:
            wait_s = RENEWAL_S
            try:
                wait_s = await self.step()
            except _OUT as error:
                log.warning("the leases are not renewed: %s", str(error).partition("\n")[0])
                wait_s = RENEWAL_S / 2
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def step(self) -> float:
        """Look once and act; return how long the next look may wait [s]."""
        asked = time.monotonic()
        async with self._pool.connection() as link:
            number = await stored.register(link, self._worker, LIFE)
            dead = await stored.bury(link, self._worker)
            kept = await stored.renew(link, self._worker, LIFE)
            found = await stored.look(link, self._worker)
            decision = decide(self._worker, found.numbers, found.held, found.sites)
            wanted = decision.take if number is not None else frozenset()
            taken = await stored.take(link, self._worker, wanted, LIFE)
        # Only what is committed counts: until here nothing of this object has changed.
        for each in dead:
            log.warning("worker %s is gone: its sites are free", each)
        self._ends = asked + LIFE.total_seconds()
        lost = self._held - kept
        self._declared, self._held = found.sites, kept | taken
        self._leaving = decision.give_up & kept
        sites = self._held - self._leaving - {EVERY}
        for_all = EVERY in self._held
        await self._tell(
            Share(
                sites,
                number,
                alone=for_all and len(found.numbers) == 1 and sites >= found.sites,
                for_all=for_all,
                losses=self.share.losses + bool(lost),
            )
        )
        wait_s = WANTING_S if decision.wants_more else RENEWAL_S
        if found.next_end_s is not None:
            wait_s = min(wait_s, found.next_end_s + LEAST_WAIT_S)
        return wait_s

    async def _tell(self, share: Share) -> None:
        if share != self.share:
            log.info("sites of this worker: %s", ", ".join(sorted(share.sites)) or "none")
        async with self._changed:
            self.share = share
            self._changed.notify_all()

    async def give_up(self) -> None:
        """Give back what is no longer worked on: call it between two rounds of work."""
        leaving, self._leaving = self._leaving, frozenset()
        if leaving:
            async with self._pool.connection() as link:
                await stored.release(link, self._worker, leaving)
            self._held -= leaving

    async def release(self) -> None:
        """Give everything back at the end."""
        self._ends = float("-inf")
        self._held = frozenset()
        async with self._pool.connection() as link:
            await stored.release(link, self._worker)
