"""Driver: the blocks of one Modbus meter, read over the bus of its line.

A poll has one deadline for connecting and all blocks. What a meter refuses to be asked at once is
asked in smaller parts from then on; a single value that it refuses is asked again every while.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import compress
from operator import not_
from typing import TYPE_CHECKING, Final

from core.clock import to_us
from core.errors import Retryable
from core.quality import Quality
from core.reading import Reading, at_once
from edge import blocks, registers
from edge.driver import Polled
from edge.modbus import look
from edge.modbus.bus import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Ask, Refused
from edge.registers import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from edge.blocks import Block
    from edge.driver import Seen
    from edge.modbus.bus import Bus
    from edge.registers import Quantity, RegisterMap, Value

AGAIN_AFTER_POLLS: Final = 100  # a value that was refused alone costs one question in so many polls


@dataclass(slots=True, eq=False)
class _Read:
    """One question, its answer's decoder, and which points it gives.

    `counts` tells which points are counts; `pick` takes the points' values out of the answer's,
    None where they are the same; `held` are the quantities that others need, or that need others.
    `refused` counts polls since it was refused.
    """

    ask: Ask
    block: Block
    decode: Callable[[bytes], list[Value]]
    points: tuple[str, ...]
    counts: tuple[bool, ...]
    pick: Callable[[list[Value]], Sequence[Value]] | None
    held: list[tuple[str, int]]
    refused: int = 0
    fault: str = ""


@dataclass(slots=True)
class _Found:
    """What one poll has found so far."""

    readings: list[Reading]
    faults: list[str]
    held: dict[str, tuple[Value, int, bool]]
    late: int = 0


class ModbusMeter:
    """One meter: `points` are its quantities by point id."""

    def __init__(  # noqa: PLR0913 - one argument for each fact about a meter
        self,
        name: str,
        *,
        bus: Bus,
        unit_id: int,
        timeout_s: float,
        meter: RegisterMap,
        points: Mapping[str, Quantity],
        clock: Callable[[], datetime],
        where: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        shift: int = 0,
        most_doubt_s: float = math.inf,
    ) -> None:
        self._name = name
        self._bus = bus
        bus.users += 1
        self._unit_id = unit_id
        self._timeout_s = timeout_s
        self._clock = clock
        self._monotonic = monotonic
        self._most_doubt_s = most_doubt_s
        self._where = f"{name} ({where})"
        self._meter = meter
        self._points = dict(points)
        self._counters = frozenset(point for point, q in points.items() if q.counter)
        self._combined = {point: q for point, q in points.items() if q.helpers}
        self._needed = _needed(meter, points.values(), shift)
        self._shift = shift
        self._reads = self._compiled(blocks.plan(self._needed.values(), meter.limits))

    @property
    def name(self) -> str:
        """Return the device's name."""
        return self._name

    @property
    def counters(self) -> frozenset[str]:
        """Return the points whose values are counts."""
        return self._counters

    @property
    def blocks(self) -> int:
        """Return how many reads a poll makes."""
        return len(self._reads)

    async def poll(self) -> Polled:
        """Read every block once within the deadline; see Driver."""
        found = _Found([], [], {})
        bus = self._bus
        began_us, began_s = to_us(self._clock()), self._monotonic()
        bus.begin(self._timeout_s)
        try:
            for read in tuple(self._reads):
                await self._read(read, found, began_us, began_s)
        except TimeoutError:
            found.faults.append(f"did not answer within {self._timeout_s:g} s")
            bus.silent(self._unit_id)
        except (Retryable, ValueError) as error:
            found.faults.append(str(error))
            bus.close()
        finally:
            bus.end()
        if self._combined:
            self._combine(found)
        if not found.faults:
            return Polled(found.readings, (), found.late)
        told = tuple(f"{self._where} {fault}" for fault in found.faults)
        return Polled(found.readings, told, found.late)

    async def look(self) -> Sequence[Seen]:
        """Read every point once for a person; see Driver."""
        asked = [*self._needed.values(), *look.texts(self._meter, self._shift)]
        looking = look.Look(self._bus, self._unit_id, self._timeout_s, self._meter.limits)
        return look.shown(self._points, self._meter.quantities, await looking.at(asked))

    async def close(self) -> None:
        """Let the connection go."""
        self._bus.close()

    def _compiled(self, plan: Iterable[Block]) -> list[_Read]:
        points_of: dict[str, list[str]] = {}
        for point, quantity in self._points.items():
            if not quantity.helpers:
                points_of.setdefault(quantity.name, []).append(point)
        linked = {name for q in self._combined.values() for name in (q.name, *bare_names(q))}
        return [self._compile(block, points_of, linked) for block in plan]

    def _compile(
        self, block: Block, points_of: Mapping[str, Sequence[str]], linked: Collection[str]
    ) -> _Read:
        rows = [
            (point, position, quantity.counter)
            for position, quantity in enumerate(block.quantities)
            for point in points_of.get(quantity.name, ())
        ]
        positions = [position for _, position, _ in rows]
        return _Read(
            Ask(self._unit_id, block.function, block.address, block.count),
            block,
            blocks.decoder(block),
            tuple(point for point, _, _ in rows),
            tuple(counter for _, _, counter in rows),
            None if positions == list(range(len(block.quantities))) else _picker(positions),
            [
                (quantity.name, position)
                for position, quantity in enumerate(block.quantities)
                if quantity.name in linked
            ],
        )

    async def _read(self, read: _Read, found: _Found, began_us: int, began_s: float) -> None:
        if read.refused and read.refused < AGAIN_AFTER_POLLS:
            read.refused += 1
            found.faults.append(read.fault)
            return
        asked_s = self._monotonic()
        try:
            data = await self._bus.read(read.ask)
        except Refused as refusal:
            for part in self._refused(read, refusal, found):
                await self._read(part, found, began_us, began_s)
            return
        # The meter looked at its register somewhere between question and answer: half-way is
        # wrong by at most half of that. A count whose instant is in more doubt than allowed is
        # left out; the next one carries its energy, at a rate that is right. The clock is read
        # once a poll: what is between is the monotonic clock's, which nobody sets.
        answered_s = self._monotonic()
        read.refused = 0
        measured_us = began_us + round(((asked_s + answered_s) / 2 - began_s) * 1e6)
        is_late = answered_s - asked_s > 2 * self._most_doubt_s
        self._show(read, data, found, measured_us, is_late=is_late)

    def _show(
        self, read: _Read, data: bytes, found: _Found, measured_us: int, *, is_late: bool
    ) -> None:
        values = read.decode(data)
        shown = values if read.pick is None else read.pick(values)
        if is_late:
            found.late += sum(read.counts)
            found.readings += compress(
                at_once(read.points, measured_us, shown), map(not_, read.counts)
            )
        else:
            found.readings += at_once(read.points, measured_us, shown)
        for name, position in read.held:
            found.held[name] = values[position], measured_us, is_late

    def _refused(self, read: _Read, refusal: Refused, found: _Found) -> list[_Read]:
        """Return what to ask in the place of a read that was refused."""
        told = f"{refusal}: {read.block.count} from {read.block.address}"
        if refusal.code not in (ILLEGAL_ADDRESS, ILLEGAL_VALUE):
            found.faults.append(told)
            return []
        parts = blocks.smaller(read.block, self._meter.limits)
        if not parts:
            read.refused, read.fault = 1, told
            found.faults.append(told)
            return []
        # It refuses to be asked for so much, or across registers that it does not have: ask in
        # smaller parts from now on.
        position = self._reads.index(read)
        self._reads[position : position + 1] = smaller = self._compiled(parts)
        return smaller

    def _combine(self, found: _Found) -> None:
        """Give the points whose values need several quantities; one that did not come is a gap."""
        for point, quantity in self._combined.items():
            own = found.held.get(quantity.name)
            bare = bare_names(quantity)
            if own is None or any(name not in found.held for name in bare):
                continue
            raw, measured_us, is_late = own
            if is_late and quantity.counter:
                found.late += 1
                continue
            helpers = {
                name: (self._meter.quantities[name], found.held[held][0])
                for name, held in zip(quantity.helpers, bare, strict=True)
            }
            value = registers.combined(quantity, raw, helpers)
            quality = Quality.BAD if value is None else Quality.GOOD
            found.readings.append(Reading(point, measured_us, value, quality))


def _picker(positions: Sequence[int]) -> Callable[[list[Value]], Sequence[Value]]:
    return lambda values: [values[position] for position in positions]


def bare_names(quantity: Quantity) -> tuple[str, ...]:
    """Return under which names the bare numbers of a quantity's helpers are read."""
    return tuple(f"{name} (bare)" for name in quantity.helpers)


def _needed(meter: RegisterMap, wanted: Iterable[Quantity], shift: int) -> dict[str, Quantity]:
    """Return what has to be read for some quantities: themselves, and their helpers unscaled."""
    needed: dict[str, Quantity] = {}
    for quantity in wanted:
        needed[quantity.name] = replace(quantity, address=quantity.address + shift)
        for name, bare in zip(quantity.helpers, bare_names(quantity), strict=True):
            helper = meter.quantities[name]
            needed[bare] = replace(
                helper,
                name=bare,
                address=helper.address + shift,
                scale=Decimal(1),
                offset=Decimal(0),
                form=Form.PLAIN,
                zero_within=Decimal(0),
            )
    return needed
