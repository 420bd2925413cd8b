"""What a channel tells next: which notifications by themselves, which in one bundle; pure.

Promise: one alert's notifications keep their order; what was tried by itself stays by itself, for
its receiver may have it; no more messages go out than the channel's rate allows, and what is over
it is told all the same, in one bundle; grave ones never wait for a digest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING, Final

from core import periods

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID
    from zoneinfo import ZoneInfo

WINDOW: Final = timedelta(minutes=10)  # of the rate, as EEMUA 191 counts
MOST_BUNDLED: Final = 100  # of one bundle: about 300 KB, and a page or two for people
MOST_HELD: Final = 1_000  # that wait for a digest; beyond, it goes out early
FRESH_EVERY: Final = 4  # attempts on a receiver that is out: one that was never tried before


class Reason(StrEnum):
    """Why notifications are told together."""

    DIGEST = "digest"  # little ones, once a day
    RATE = "rate"  # more than people can take in


@dataclass(frozen=True, slots=True)
class Terms:
    """What a channel asks for; without `digest` nothing is held for one."""

    most_per_10_min: int
    digest: time | None
    digest_below: int
    timezone: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notification that is not told yet; `alert` is None for a bundle."""

    id: UUID
    number: int
    alert: UUID | None
    severity: int
    created_at: datetime
    tried: bool
    attempts: int
    next_at: datetime

    @property
    def settled(self) -> bool:
        """Tell whether it goes by itself for good: it was tried, or is a bundle already."""
        return self.tried or self.alert is None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is told now, in this order: `again` was settled before, `singly` is new, a bundle."""

    again: tuple[UUID, ...] = ()
    singly: tuple[UUID, ...] = ()
    bundled: tuple[UUID, ...] = ()
    reason: Reason | None = None
    early: bool = False  # more than MOST_HELD waited for the digest: it does not wait for its hour


@dataclass(frozen=True, slots=True)
class _Queue:
    """What one alert has to tell now, in order; `urgent` waits for no digest."""

    rows: tuple[Waiting, ...]
    urgent: bool

    @property
    def rank(self) -> tuple[int, int]:
        """Return the place among others: the gravest first, then the oldest."""
        return -max(row.severity for row in self.rows), self.rows[0].number


def plan(waiting: Iterable[Waiting], sent: int, now: datetime, terms: Terms) -> Plan:
    """Return what is told now, where `sent` messages were delivered within the last WINDOW."""
    queues = _queues(waiting)
    places = max(terms.most_per_10_min - sent, 0)
    settled = [queue[0] for queue in queues if queue[0].settled and queue[0].next_at <= now]
    settled.sort(key=lambda row: (row.attempts, row.number))
    again = tuple(row.id for row in settled[:places])
    fresh, early = _fresh([queue for queue in queues if not queue[0].settled], now, terms)
    shared = _share_out(fresh, places - len(again))
    return replace(shared, again=again, early=early and bool(shared.bundled))


def probe(whole: Plan, failures: int) -> Plan:
    """Return the one attempt on a receiver that is out.

    Mostly what was tried before, so that all else can still be bundled; but now and then another
    one, for it may be the notification that the receiver will not have.
    """
    fresh = Plan(singly=whole.singly[:1])
    if not whole.singly:
        fresh = replace(whole, again=())
    if whole.again and (failures % FRESH_EVERY or fresh == Plan()):
        return Plan(again=whole.again[:1])
    return fresh


def last_digest(now: datetime, terms: Terms) -> datetime | None:
    """Return the newest hour of a digest that is not ahead, None where there is no digest."""
    if terms.digest is None:
        return None
    zone = periods.zone(terms.timezone)
    day = now.astimezone(zone).date()
    today = _hour(day.year, day.month, day.day, terms.digest, zone)
    if today <= now:
        return today
    day -= timedelta(days=1)
    return _hour(day.year, day.month, day.day, terms.digest, zone)


def _hour(year: int, month: int, day: int, at: time, zone: ZoneInfo) -> datetime:
    return datetime(year, month, day, at.hour, at.minute, tzinfo=zone).astimezone(UTC)


def _queues(waiting: Iterable[Waiting]) -> list[list[Waiting]]:
    """Return what waits, alert by alert in order; each bundle stands for itself."""
    found: dict[UUID, list[Waiting]] = {}
    for row in sorted(waiting, key=lambda each: each.number):
        found.setdefault(row.alert or row.id, []).append(row)
    return list(found.values())


def _fresh(
    queues: Sequence[Sequence[Waiting]], now: datetime, terms: Terms
) -> tuple[list[_Queue], bool]:
    """Return what may be told of each alert, all but what waits for the next digest.

    And whether so much waits that it goes early.
    """
    passed = last_digest(now, terms)

    def urgent(row: Waiting) -> bool:
        return passed is None or row.severity >= terms.digest_below

    def held(row: Waiting) -> bool:
        return passed is not None and not urgent(row) and row.created_at > passed

    early = sum(held(row) for queue in queues for row in queue) > MOST_HELD
    found: list[_Queue] = []
    for queue in queues:
        # A grave one takes along what its alert has to tell before it.
        ripe = max((n for n, row in enumerate(queue, 1) if early or not held(row)), default=0)
        if ripe:
            rows = tuple(queue[:ripe])
            found.append(_Queue(rows, any(urgent(row) for row in rows)))
    return found, early


def _share_out(queues: Sequence[_Queue], places: int) -> Plan:
    """Give the places to what is urgent, but for those that the bundles of the rest will need."""
    if places <= 0:
        return Plan()
    urgent = sorted((queue for queue in queues if queue.urgent), key=lambda queue: queue.rank)
    digest = [row for queue in queues if not queue.urgent for row in queue.rows]
    total = sum(len(queue.rows) for queue in urgent)
    if total + ceil(len(digest) / MOST_BUNDLED) <= places:
        heads = tuple(queue.rows[0].id for queue in urgent)
        if len(digest) == 1:
            return Plan(singly=(*heads, digest[0].id))
        return Plan((), heads, _bundle(digest), Reason.DIGEST if digest else None)
    singly: list[UUID] = []
    over = list(digest)
    left = places - ceil((total + len(digest)) / MOST_BUNDLED)
    for queue in urgent:
        if len(queue.rows) <= left:
            left -= len(queue.rows)
            singly.append(queue.rows[0].id)
        else:
            over += queue.rows
    return Plan((), tuple(singly), _bundle(over), Reason.RATE if urgent else Reason.DIGEST)


def _bundle(rows: Iterable[Waiting]) -> tuple[UUID, ...]:
    """Return the first of them in the order of their numbers, which is each alert's order."""
    return tuple(row.id for row in sorted(rows, key=lambda row: row.number)[:MOST_BUNDLED])
