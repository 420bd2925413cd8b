"""The judge: what must hold when a schedule has come to rest (design 5), and what does not.

Promise: it knows nothing of how the programs work; it compares the meters' truth, the book of what
outboxes accepted, the files as they lie, and the ledger as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from core.plant import PointKind
from core.quality import Quality
from deploy.faultworld import book as books
from deploy.faultworld import oracle
from store import ledgerimage
from store.agents import Epoch

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

    from core.plant import Point
    from core.progress import Progress
    from core.wire import Receipt
    from deploy.faultworld.book import Key
    from deploy.faultworld.gateway import Gateway
    from deploy.faultworld.schedule import Kind
    from deploy.faultworld.world import World

MOST_TOLD: Final = 20  # faults of one schedule that are told one by one


@dataclass(slots=True)
class Outcome:
    """What came of one schedule; `faults` is empty where everything held."""

    seed: int
    kinds: frozenset[Kind]
    injected: Counter[Kind]
    accepted: int = 0
    stored: int = 0
    lost: int = 0
    doubled: int = 0
    reported_lost: int = 0
    beyond_restore: int = 0  # undone by a restore, when their outbox had no room to keep them
    receipts: int = 0
    energy_difference_e6: int = 0
    faults: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    digest: str = ""


def judge(world: World) -> Outcome:
    """Return what came of a world that has come to rest."""
    schedule = world.schedule
    found = Outcome(schedule.seed, schedule.kinds, schedule.counts, receipts=world.receipts)
    found.faults.extend(world.faults)
    rows = ledgerimage.readings(world.link)
    _readings(world, found, rows)
    _losses(world, found, {(point, at) for point, at, _, _ in rows})
    _energy(world, found, rows)
    _holes(world, found)
    for reason, point, detail in ledgerimage.letters(world.link):
        found.faults.append(f"dead letter {reason} of {point}: {detail}")
    schedule.note(f"{found.stored} stored")
    found.trace, found.digest = schedule.lines, schedule.digest()
    del found.faults[MOST_TOLD:]
    return found


def covered(world: World, agent: str, receipt: Receipt) -> dict[int, frozenset[Key]]:
    """Return the accepted envelopes that a receipt covers."""
    held = world.book.accepted.get((agent, receipt.epoch), {})
    return {sequence: keys for sequence, keys in held.items() if receipt.covers(sequence)}


def still_held(world: World, agent: str, epoch: str, sequence: int) -> bool:
    """Tell whether an envelope is not one that its outbox dropped before anybody received it."""
    spoiled = world.book.spoiled.get((agent, epoch))
    if spoiled is not None:
        return sequence >= spoiled
    gateway = next(each for each in world.gateways if each.agent == agent)
    _, life = gateway.ended_with()
    if life != (agent, epoch):
        return False
    return sequence >= books.held_by(gateway.disk.path)[0]


def _readings(world: World, found: Outcome, rows: list[tuple[str, int, float, int]]) -> None:
    """Find what was never measured, what is there twice, and what says another value."""
    found.stored = len(rows)
    found.doubled = len(rows) - len({(point, at) for point, at, _, _ in rows})
    for point, at_us, value, quality in rows:
        meant = world.book.known.get((point, at_us))
        if meant is None:
            found.faults.append(f"{point} at {at_us} was never measured")
            continue
        wanted = books.as_stored(meant, counter=point in world.meters.truth())
        same = value == wanted or (math.isnan(value) and math.isnan(wanted))
        if not same or quality != meant.quality:
            found.faults.append(f"{point} at {at_us} is {value} ({quality}), was {meant}")
    if found.doubled:
        found.faults.append(f"{found.doubled} readings are stored twice")


def _losses(world: World, found: Outcome, stored: set[Key]) -> None:
    """Find what was accepted and is not stored, unless its outbox has said so."""
    accepted: set[Key] = set()
    for gateway in world.gateways:
        reported, _ = gateway.ended_with()
        _, held = books.held_by(gateway.disk.path)
        accepted.update(key for keys in held.values() for key in keys)
        lost_held = {key for keys in held.values() for key in keys} - stored
        if lost_held:
            found.faults.append(f"{gateway.agent}: held but not stored: {sorted(lost_held)[:4]}")
        dropped = _of_agent(world, gateway.agent, spoiled=False) - stored - lost_held
        beyond = dropped & (world.undone - world.owed - world.unpaid)
        found.beyond_restore += len(beyond)
        dropped -= beyond
        may_be_lost = reported + gateway.lost_before
        excess = len(dropped) - may_be_lost
        found.lost += len(lost_held) + max(0, excess)
        spoiled = _of_agent(world, gateway.agent, spoiled=True) - stored
        found.reported_lost += min(len(dropped), may_be_lost) + len(spoiled - dropped)
        if excess > 0:
            found.faults.append(
                f"{gateway.agent}: {len(dropped)} readings are gone, {may_be_lost} were reported:"
                f" {sorted(dropped)[:4]}"
            )
    found.accepted = world.book.all_accepted()
    gone = world.verified - stored
    if gone:
        found.faults.append(f"receipted and then gone: {sorted(gone)[:4]}")


def _of_agent(world: World, agent: str, *, spoiled: bool) -> set[Key]:
    return {
        key
        for life, envelopes in world.book.accepted.items()
        if life[0] == agent and (life in world.book.spoiled) is spoiled
        for keys in envelopes.values()
        for key in keys
    }


def _energy(world: World, found: Outcome, rows: list[tuple[str, int, float, int]]) -> None:
    """Find slots that differ from the oracle or from the meters' truth by a single digit."""
    stored = {
        place: slot
        for place, slot in ledgerimage.slots(world.link).items()
        if slot.energy_e6 is not None
    }
    truth = world.meters.truth()
    for name, point in world.store.loaded.plant.points.items():
        seen = [
            oracle.Seen(at_us, _exact(value))
            for of, at_us, value, quality in rows
            if of == name and quality != Quality.BAD
        ]
        declared = declared_of(point)
        wanted = oracle.slots(declared, seen)
        got = {start: slot for (of, start), slot in stored.items() if of == name}
        for start in sorted(wanted.keys() | got.keys()):
            one, other = wanted.get(start), got.get(start)
            if one != other:
                found.faults.append(f"{name} slot {start}: stored {other}, the oracle says {one}")
                found.energy_difference_e6 += abs(_worth(one) - _worth(other))
        if name in truth and len(seen) > 1:
            _conserved(found, name, declared, (truth[name], seen), got.values())


def _conserved(
    found: Outcome,
    name: str,
    declared: oracle.Declared,
    readings: tuple[dict[int, int], list[oracle.Seen]],
    got: Iterable[ledgerimage.Slot],
) -> None:
    """Compare the sum over all slots with how far the meter truly went."""
    truth, seen = readings
    rise = truth[seen[-1].at_us] - truth[seen[0].at_us]
    meant = round(rise * declared.multiplier * 1_000_000)
    booked = sum(_worth(slot) for slot in got)
    if booked != meant:
        found.faults.append(f"{name}: {booked} are booked of {meant} that truly flowed")
        found.energy_difference_e6 += abs(booked - meant)


def _holes(world: World, found: Outcome) -> None:
    """Find holes of living outboxes that are neither closed nor reported as lost."""
    epochs = ledgerimage.epochs(world.link)
    for gateway in world.gateways:
        _, (_, epoch) = gateway.ended_with()
        progress = epochs.get(Epoch("fw", gateway.agent, epoch))
        envelopes = world.book.accepted.get((gateway.agent, epoch), {})
        if progress is None:
            if envelopes:
                found.faults.append(f"{gateway.agent}: nothing is known of {epoch}")
            continue
        found.faults.extend(_hole_faults(gateway, progress, envelopes))


def _hole_faults(
    gateway: Gateway, progress: Progress, envelopes: dict[int, frozenset[Key]]
) -> list[str]:
    faults = []
    first, held = books.held_by(gateway.disk.path)
    last = max(envelopes, default=0)
    open_holes = [n for low, high in progress.missing for n in range(low, high + 1) if n in held]
    if open_holes:
        faults.append(f"{gateway.agent}: holes stay open: {open_holes}")
    if progress.committed < last and last in held:
        faults.append(f"{gateway.agent}: committed {progress.committed} of {last}")
    wrong = [n for low, high in progress.lost for n in range(low, high + 1) if n >= first]
    if wrong:
        faults.append(f"{gateway.agent}: called lost but held: {wrong}")
    return faults


def declared_of(point: Point) -> oracle.Declared:
    """Return a point as the oracle takes it."""
    return oracle.Declared(
        point.kind is PointKind.GAUGE,
        point.multipliers[0][1] if point.multipliers else Fraction(1),
        point.modulus,
        None if point.rated_power_kw is None else Fraction(point.rated_power_kw),
        point.max_gap_us,
    )


def _exact(value: float) -> Fraction:
    return Fraction(round(value * 1_000_000), 1_000_000)


def _worth(slot: ledgerimage.Slot | None) -> int:
    return 0 if slot is None or slot.energy_e6 is None else slot.energy_e6
