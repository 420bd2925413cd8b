"""The workers' real leases on virtual time: their own clock, the server's, and a frozen one's end.

What a worker that is taken for dead has open, the real server ends by the name of its connections;
here they are shared by all schedules, so the ledger undoes it instead.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from ingest import leases
from store import leases as stored
from store import ledgerimage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from psycopg import Connection

    from deploy.faultworld.clock import VirtualLoop
    from deploy.faultworld.ledger import Ledger

# Longer than in a plant, for every look costs the simulation six statements.
LIFE: Final = timedelta(seconds=20)
RENEWAL_S: Final = 8.0
_TICK_S: Final = 1.0


@contextmanager
def mounted(ledger: Ledger, link: Connection[Any], loop: VirtualLoop) -> Iterator[None]:
    """Put leases on virtual time for the block."""
    told_s = [float("-inf")]

    def monotonic() -> float:
        now_s = loop.time()
        if now_s - told_s[0] >= _TICK_S:
            told_s[0] = now_s
            ledgerimage.set_clock(link, loop.now())
        return now_s

    bury = stored.bury

    async def burying(connection: Any, worker: UUID) -> list[UUID]:
        dead = await bury(connection, worker)
        for each in dead:
            if each in ledger.names:
                ledger.drop(ledger.names[each])
        return dead

    with ExitStack() as stack:
        for target, name, value in (
            (leases, "time", SimpleNamespace(monotonic=monotonic)),
            (leases, "LIFE", LIFE),
            (leases, "RENEWAL_S", RENEWAL_S),
            (stored, "bury", burying),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        yield
