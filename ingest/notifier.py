"""Delivers what the alerts' outbox holds, one channel each, until there is a receipt.

Promise: at least once, with a key that makes it once; one alert's notifications in their order; no
more messages than the channel's rate, what is over it in one bundle. A receiver that is out delays
nobody else, loses nothing, is asked ever more rarely, and after a while its second channel is told.
What hits its bound is abandoned, with every attempt on record.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import time, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from core import circuits, delivery, sending
from core.circuits import State
from core.delivery import Terms
from core.errors import Misconfigured
from ingest import bundles, transports
from store import cases, escalations, notifications, watched
from store import circuits as kept
from store.escalations import Patience
from store.notifications import Attempt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from core.circuits import Circuit
    from core.delivery import Plan, Reason, Waiting
    from ingest.channels import Channel
    from ingest.transports import Transport
    from store.notifications import Due

PAUSE_S: Final = 1.0  # between two looks at the table
REOPEN_S: Final = 60.0  # until what could not be opened (a certificate, a library) is tried again
MOST_DETAIL_CHARS: Final = 300
MOST_AGE: Final = timedelta(days=30)
MOST_ATTEMPTS: Final = 10_000  # a month of them, five minutes apart
GIVEN_UP: Final = "notification-attempts"  # bounds by the names under which they are told of
HELD: Final = "digest-waiting"
log = logging.getLogger(__name__)


class Notifier:
    """Delivers to one channel; `run` for ever, or `step` once.

    `second` is the channel that is told of what this one does not take.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[Any]],
        channel: Channel,
        clock: Callable[[], datetime],
        second: Channel | None = None,
    ) -> None:
        self._pool = pool
        self._channel = channel
        self._clock = clock
        self._second = second
        self._terms = terms(channel)
        self.delivered = 0
        self.failed = 0
        self.abandoned = 0
        self.bundles = 0
        self.escalated = 0

    async def run(self) -> None:
        """Deliver what is due, once a second, until cancelled."""
        while True:
            async with self._opened() as link:
                loop = asyncio.get_running_loop()
                end = loop.time() + REOPEN_S
                while not isinstance(link, _Unopened) or loop.time() < end:
                    await self.step(link)
                    await asyncio.sleep(PAUSE_S)

    async def step(self, link: Transport) -> int:
        """Tell what is to be told now, each once; return how many attempts were made."""
        now = self._clock()
        async with self._pool.connection() as connection:
            waiting = await notifications.waiting(connection, self._channel.name)
            if not waiting:
                return 0
            sent = await notifications.sent(connection, self._channel.name, now - delivery.WINDOW)
            circuit = await kept.find(connection, self._channel.name)
        if self._overdue(waiting, circuit, now):
            await self._escalate(now)
        state = circuits.state(circuit, now)
        if state is State.OPEN:
            return 0
        whole = delivery.plan(waiting, sent, now, self._terms)
        if state is State.TRYING:
            whole = delivery.probe(whole, circuit.failures)
        return await self._carry_out(link, whole)

    async def _carry_out(self, link: Transport, whole: Plan) -> int:
        """Make the attempts of a plan, as long as the receiver does not turn out to be out."""
        tried = 0
        for each in (*whole.again, *whole.singly):
            circuit = await self._tell(link, each)
            tried += circuit is not None
            if circuit is not None and circuit.state is State.OPEN:
                return tried
        if whole.reason is not None and whole.bundled:
            bundle = await self._bundle(whole.bundled, whole.reason, early=whole.early)
            if bundle is not None:
                tried += await self._tell(link, bundle) is not None
        return tried

    async def _tell(self, link: Transport, notification: UUID) -> Circuit | None:
        """Try one notification once; None where there was nothing to try any more."""
        async with self._pool.connection() as connection:
            due = await notifications.claim(connection, notification, self._clock())
        if due is None:
            return None
        attempt = await link.send(due, self._clock)
        before = self.abandoned
        circuit = await self._settle(due, attempt)
        if self.abandoned > before:
            await self._escalate(self._clock())
        return circuit

    async def _settle(self, due: Due, attempt: Attempt) -> Circuit:
        delivered = attempt.receipt is not None
        next_at = self._next(due, attempt)
        async with self._pool.connection() as connection:
            await notifications.settle(connection, due.id, attempt, next_at)
            before = await kept.find(connection, self._channel.name)
            after = circuits.settle(before, attempt.ended_at, attempt.detail, delivered=delivered)
            await kept.save(connection, self._channel.name, after)
            if not delivered and next_at is None:
                what = f"a notification was given up after {due.attempts + 1} attempts"
                await self._hit(connection, GIVEN_UP, what, attempt.ended_at)
        self._count(due, attempt, next_at)
        if after.state is not before.state:
            log.warning("channel %s: circuit is %s", self._channel.name, after.state)
        return after

    def _count(self, due: Due, attempt: Attempt, next_at: datetime | None) -> None:
        if attempt.receipt is not None:
            self.delivered += 1
            return
        self.failed += 1
        what = f"channel {self._channel.name}: notification {due.id}, attempt {due.attempts + 1}"
        if next_at is None:
            self.abandoned += 1
            log.error("%s: %s; given up", what, attempt.detail)
        else:
            log.warning("%s: %s", what, attempt.detail)

    async def _bundle(self, members: Sequence[UUID], reason: Reason, *, early: bool) -> UUID | None:
        """Make one bundle of notifications; None where one of them was told meanwhile."""
        now = self._clock()
        identity = uuid4()

        def compose(bodies: Sequence[str]) -> tuple[UUID, str, int]:
            return identity, *bundles.bundle(str(identity), reason, bodies, now)

        async with self._pool.connection() as connection:
            bundle = await notifications.bundle(
                connection, self._channel.name, members, compose, now
            )
            if bundle is not None and early:
                what = f"more than {delivery.MOST_HELD} wait for the digest: it goes early"
                await self._hit(connection, HELD, what, now)
        self.bundles += bundle is not None
        return bundle

    async def _hit(
        self, connection: AsyncConnection[Any], bound: str, what: str, now: datetime
    ) -> None:
        detail = f"channel {self._channel.name}: {what}"
        await watched.hit(connection, bound=bound, hits=1, detail=detail, at=now)

    def _overdue(self, waiting: Sequence[Waiting], circuit: Circuit, now: datetime) -> bool:
        """Tell whether anything can be due for the second channel, without asking the table."""
        limit = now - timedelta(seconds=self._channel.escalate_after_s)
        failing = circuit.failing_since is not None and circuit.failing_since <= limit
        return failing or any(row.settled and row.created_at <= limit for row in waiting)

    async def _escalate(self, now: datetime) -> None:
        """Tell the second channel what this one has not taken for too long."""
        second, name = self._second, self._channel.name
        if second is None:
            return
        wait = timedelta(seconds=self._channel.escalate_after_s)
        passed = delivery.last_digest(now, self._terms)
        patience = Patience(wait, self._terms.digest_below, passed)
        told = 0
        async with self._pool.connection() as connection:
            found = await escalations.untold(connection, name, patience, now)
            for each in found:
                identity = uuid4()
                instants = each.since, now
                body = bundles.escalated(str(identity), each.body, name, second.scheme, instants)
                content = identity, body
                told += await escalations.write(connection, each, second.name, content, now)
            for alert in sorted({each.alert for each in found}):
                await cases.unreachable(connection, alert, name, second.name, now)
        if told:
            self.escalated += told
            log.error("channel %s is out: %d notifications go to %s", name, told, second.name)

    def _next(self, due: Due, attempt: Attempt) -> datetime | None:
        """Return when to try again, None where the bounds are reached."""
        wait_s = circuits.back_off_s(due.attempts + 1)
        next_at = attempt.ended_at + timedelta(seconds=wait_s)
        within = next_at - due.created_at <= MOST_AGE and due.attempts + 1 < MOST_ATTEMPTS
        return next_at if within else None

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Transport]:
        """Open the way to the receiver; where that cannot be, the channel is as good as out."""
        async with AsyncExitStack() as stack:
            try:
                opening = transports.open_transport(self._channel)
                link: Transport = await stack.enter_async_context(opening)
            except Misconfigured as error:
                log.error("channel %s cannot be opened: %s", self._channel.name, error)  # noqa: TRY400 - a sentence for people
                link = _Unopened(str(error))
            yield link


class _Unopened:
    """A way that could not be opened: each attempt fails, and says why."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def send(self, due: Due, clock: Callable[[], datetime]) -> Attempt:  # noqa: ARG002 - a transport's
        """Return a failed attempt."""
        detail = sending.one_line(f"not sent: {self._why}", MOST_DETAIL_CHARS)
        return Attempt(clock(), 0, None, None, detail)


def of_all(
    pool: AsyncConnectionPool[AsyncConnection[Any]],
    channels: Sequence[Channel],
    clock: Callable[[], datetime],
) -> list[Notifier]:
    """Return a notifier for each channel, each with its second channel."""
    by_name = {each.name: each for each in channels}
    return [Notifier(pool, each, clock, by_name.get(each.escalate_to or "")) for each in channels]


def terms(channel: Channel) -> Terms:
    """Return what a channel asks for."""
    digest = None if channel.digest is None else time.fromisoformat(channel.digest)
    return Terms(channel.most_per_10_min, digest, channel.digest_below, channel.timezone)
