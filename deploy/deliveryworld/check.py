"""The judge of a schedule of deliveries: what must hold once it has come to rest.

Promise: it knows nothing of how the notifier works; it compares what was decided, the table as it
lies, and what the receivers have in their own inboxes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from core import delivery
from deploy.faultworld.schedule import Kind
from ingest.notifier import terms
from store import deliveryimage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from deploy.deliveryworld.fortune import Fortune
    from deploy.deliveryworld.world import World
    from ingest.channels import Webhook
    from store.deliveryimage import Row

MOST_TOLD: Final = 20  # faults of one schedule that are told one by one
_STALLS: Final = frozenset({Kind.INGEST_STALLED, Kind.INGEST_STALLED_IN_WRITE})


@dataclass(slots=True)
class Outcome:
    """What came of one schedule; `faults` is empty where everything held."""

    seed: int
    injected: Counter[str]
    cases: int = 0
    decided: int = 0  # notifications that had to be written
    delivered: int = 0
    bundles: int = 0
    bundled: int = 0  # notifications told by a bundle
    escalated: int = 0  # told to the second channel
    only_escalated: int = 0  # of a receiver that never came back
    repeated: int = 0  # keys that a receiver was offered more than once; it kept them once
    attempts: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    faults: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    digest: str = ""


@dataclass(frozen=True, slots=True)
class _Arrived:
    """What one receiver has: which notification by which key and receipt, in order."""

    told: Sequence[tuple[str, str]]  # (notification, key)
    receipts: Mapping[str, str]
    repeated: int


def unrest(world: World) -> str:
    """Say what still waits and could be told, "" where nothing does."""
    now = world.loop.now()
    by_name = {each.name: each for each in world.channels}
    waiting: Counter[str] = Counter()
    for row in deliveryimage.notifications(world.link):
        if row.state != "waiting" or _held(row, by_name[row.channel], world):
            continue
        if world.receivers[row.channel].dead and (row.escalated_at or row.kind == "bundle"):
            continue
        waiting[f"{row.channel} {row.kind}"] += 1
    return f"{dict(sorted(waiting.items()))} at {now:%H:%M:%S}" if waiting else ""


def held(world: World) -> int:
    """Return how many notifications wait for the next digest of their channel."""
    by_name = {each.name: each for each in world.channels}
    rows = deliveryimage.notifications(world.link)
    return sum(row.state == "waiting" and _held(row, by_name[row.channel], world) for row in rows)


def judge(world: World) -> Outcome:
    """Return what came of a world that has come to rest."""
    fortune = world.fortune
    found = Outcome(fortune.seed, _injected(fortune))
    found.faults += world.faults
    rows = deliveryimage.notifications(world.link)
    arrived = {name: _arrived(world, name) for name in world.receivers}
    _decided(world, found, rows)
    for channel in world.channels:
        own = [row for row in rows if row.channel == channel.name]
        _delivered(world, found, own, arrived[channel.name])
        _in_order(found, own, arrived[channel.name])
        _rate(world, found, own, channel)
    _escalated(world, found, rows)
    _records(world, found, rows)
    found.repeated = sum(each.repeated for each in arrived.values())
    fortune.note(f"{found.delivered} delivered, {found.escalated} escalated")
    found.trace, found.digest = fortune.lines, fortune.digest()
    del found.faults[MOST_TOLD:]
    return found


def _injected(fortune: Fortune) -> Counter[str]:
    return Counter({str(kind): n for kind, n in (*fortune.counts.items(), *fortune.struck.items())})


def _held(row: Row, channel: Webhook, world: World) -> bool:
    """Tell whether a row waits for its digest, the next of the channel."""
    passed = delivery.last_digest(world.loop.now(), terms(channel))
    if passed is None or row.tried_at is not None or row.bundle is not None:
        return False
    return row.severity < channel.digest_below and row.created_at > passed


def _arrived(world: World, name: str) -> _Arrived:
    told: list[tuple[str, str]] = []
    receipts: dict[str, str] = {}
    repeated = 0
    for item in reversed(world.receivers[name].inbox.items()):
        key, body = item["key"], item["body"]
        receipts[key] = item["receipt"]
        repeated += item["times"] > 1
        told += [(each["id"], key) for each in body.get("items", [body])]
    return _Arrived(told, receipts, repeated)


def _decided(world: World, found: Outcome, rows: Sequence[Row]) -> None:
    """Find what was decided and not written down for everyone it concerns, or twice."""
    wanted: Counter[tuple[str, UUID | None, int | None, str]] = Counter()
    for alert, episode, notice, severity in deliveryimage.decided(world.link):
        for channel in world.channels:
            if channel.concerns("cn-qh", severity):
                wanted[channel.name, alert, episode, notice] += 1
    written = Counter(
        (row.channel, row.alert, row.episode, row.kind)
        for row in rows
        if row.kind not in {"bundle", "escalated"}
    )
    found.decided = wanted.total()
    missing, excess = wanted - written, written - wanted
    found.lost += missing.total()
    found.doubled += excess.total()
    if missing or excess:
        found.faults.append(
            f"decided and not written: {_kinds(missing)}; not decided: {_kinds(excess)}"
        )


def _kinds(counted: Counter[tuple[str, UUID | None, int | None, str]]) -> dict[str, int]:
    kinds: Counter[str] = Counter()
    for (channel, _, _, kind), count in counted.items():
        kinds[f"{channel} {kind}"] += count
    return dict(kinds)


def _delivered(world: World, found: Outcome, rows: Sequence[Row], arrived: _Arrived) -> None:
    """Find what is not with its receiver exactly once, under the receipt that we hold."""
    times = Counter(notification for notification, _ in arrived.told)
    keys = dict(arrived.told)
    known = {str(row.id) for row in rows if row.kind != "bundle"}
    foreign = times.keys() - known
    if foreign:
        found.faults.append(f"a receiver has what was never written: {len(foreign)}")
    for row in rows:
        if row.kind == "bundle":
            found.bundles += 1
            continue
        found.bundled += row.bundle is not None
        came = times[str(row.id)]
        if came > 1:
            found.doubled += 1
            found.faults.append(f"{_name(row)} came {came} times")
        if row.state == "delivered":
            found.delivered += 1
            if arrived.receipts.get(keys.get(str(row.id), "")) != row.receipt or not row.receipt:
                found.lost += 1
                found.faults.append(f"{_name(row)} has a receipt that its receiver did not give")
        elif world.receivers[row.channel].dead and row.escalated_at is not None:
            found.only_escalated += 1
        else:
            found.lost += 1
            found.faults.append(f"{_name(row)} is neither delivered nor escalated")


def _in_order(found: Outcome, rows: Sequence[Row], arrived: _Arrived) -> None:
    """Find alerts of which a receiver heard in another order than was decided."""
    by_id = {str(row.id): row for row in rows}
    heard: defaultdict[UUID | None, list[int]] = defaultdict(list)
    for notification, _ in arrived.told:
        row = by_id.get(notification)
        if row is not None:
            heard[row.alert].append(row.number)
    wrong = [each for each in heard.values() if any(a > b for a, b in pairwise(each))]
    found.disordered += len(wrong)
    if wrong:
        found.faults.append(f"{len(wrong)} alerts were told out of order: {wrong[:2]}")


def _rate(world: World, found: Outcome, rows: Sequence[Row], channel: Webhook) -> None:
    """Find ten minutes in which more was told than the channel allows.

    Two programs that tell at once, because one was taken for dead, are not held to it.
    """
    if _STALLS & world.fortune.kinds:
        return
    told = sorted(row.delivered_at for row in rows if row.delivered_at and row.bundle is None)
    most = channel.most_per_10_min
    for first, last in zip(told, told[most:], strict=False):
        if last - first < delivery.WINDOW:
            found.faults.append(f"{channel.name}: more than {most} messages within ten minutes")
            return


def _escalated(world: World, found: Outcome, rows: Sequence[Row]) -> None:
    """Find what should have gone to the second channel and did not, or did twice."""
    origins = Counter(row.origin for row in rows if row.origin is not None)
    found.escalated = origins.total()
    second = {row.origin: row for row in rows if row.origin is not None}
    for row in rows:
        if row.escalated_at is not None and origins[row.id] != 1:
            found.lost += 1
            found.faults.append(f"{_name(row)} was escalated {origins[row.id]} times")
        if world.receivers[row.channel].dead and row.kind != "bundle":
            told = second.get(row.id)
            if told is None or told.state != "delivered":
                found.lost += 1
                found.faults.append(f"{_name(row)}: its receiver is gone and nobody was told")


def _records(world: World, found: Outcome, rows: Sequence[Row]) -> None:
    """Find attempts that are not on record, and alerts that do not say that they were told."""
    recorded = deliveryimage.attempts(world.link)
    found.attempts = sum(recorded.values())
    by_id = {row.id: row for row in rows}
    for row in rows:
        told_by = by_id[row.bundle] if row.bundle is not None else row
        if recorded.get(told_by.id, 0) < row.attempts:
            found.faults.append(f"{_name(row)}: {row.attempts} attempts, not all on record")
    untold = deliveryimage.untold_alerts(world.link)
    if untold:
        found.faults.append(f"{len(untold)} alerts do not say that they were told")
    found.cases = deliveryimage.cases(world.link)
    unaware = deliveryimage.unaware_cases(world.link)
    if unaware:
        found.faults.append(f"{len(unaware)} cases do not know how their notice fared")


def _name(row: Row) -> str:
    return f"{row.channel} {row.kind} {row.number}"
