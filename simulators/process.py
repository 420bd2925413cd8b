"""A simulated plant: its plant file, and the process file beside it that says what happens there.

`NAME.toml` is the plant as the service knows it, `NAME.process.toml` names machines (potlines,
furnaces, kilns: design and points) and meters (model, Modbus unit, registers). Every value is a
function of the instant.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core import clock, names, periods, plant
from core.errors import Misconfigured, Problem
from core.periods import Period
from simulators import noise, processfile
from simulators.machine import PER_UNIT_US, Holder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from core.plant import Plant, Point
    from simulators.machine import Machine
    from simulators.processfile import ProcessFile

_START: Final = 99
"""Noise stream of where registers stood when the process began."""
_USUAL_MODULUS: Final = 10**8
STOCK_EVERY: Final = Period.HOUR
"""Stock is taken where such a period of the plant begins."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A production fact, as `…/output` carries it."""

    id: str
    at_us: int
    unit: str
    mass_t: str
    kind: str = "tapping"
    grades: Mapping[str, str] = field(default_factory=dict)
    stream: str | None = None

    def item(self) -> dict[str, object]:
        """Return the fact as JSON carries it (design 4.2)."""
        return {
            "id": self.id,
            "revision": 0,
            "unit": self.unit,
            "kind": self.kind,
            "at": periods.render_utc(self.at_us),
            "mass_t": self.mass_t,
            "grades": dict(self.grades),
            **({} if self.stream is None else {"stream": self.stream}),
        }


@dataclass(frozen=True, slots=True)
class _Source:
    machine: Machine
    signal: str
    point: Point
    start: int

    @property
    def counted(self) -> bool:
        return self.signal in self.machine.COUNTED


class Process:
    """The plant in motion: `value` of any point and `facts` of any span, for one seed."""

    def __init__(self, declared: Plant, table: ProcessFile, seed: int, digest: str) -> None:
        self.plant = declared
        self.seed = seed
        self.digest = digest
        self.site = names.site_of(table.units()[0])
        self.history_agent = table.agents.history
        self.facts_agent = table.agents.facts
        self.meters = table.meter
        self._machines: dict[str, Machine] = {}
        self._sources: dict[str, _Source] = {}
        for entry, machine in table.machines(seed):
            self._machines[entry.unit] = machine
            for point_id, signal in entry.points.items():
                point = declared.points[point_id]
                modulus = point.modulus or _USUAL_MODULUS
                start = int(noise.one(machine.seed, _START, len(self._sources)) * modulus)
                self._sources[point_id] = _Source(machine, signal, point, start)

    @property
    def points(self) -> tuple[str, ...]:
        """Return the points that have a value, counters first, each kind sorted."""
        return tuple(sorted(self._sources, key=lambda key: (not self.is_counter(key), key)))

    def is_counter(self, point: str) -> bool:
        """Tell whether the point shows counts."""
        return self._sources[point].counted

    def value(self, point: str, at_us: int) -> int | float:
        """Return what the point's register shows: counts, or an instrument's figure."""
        source = self._sources[point]
        if not source.counted:
            return source.machine.shown(source.signal, at_us)
        amount = source.machine.counted(source.signal, at_us)
        per_count = source.point.multipliers[-1][1]
        rise = amount * per_count.denominator // (per_count.numerator * PER_UNIT_US)
        counts = source.start + rise
        return counts % source.point.modulus if source.point.modulus else counts

    def facts(self, from_us: int, until_us: int) -> list[Fact]:
        """Return the production facts of [from, until), sorted by time."""
        found = [
            Fact(
                f"{unit}.s{self.seed}.{out.label}-{out.number}",
                out.at_us,
                unit,
                str(out.mass_t),
                out.kind,
                out.grades,
            )
            for unit, machine in self._machines.items()
            for out in machine.outputs(from_us, until_us)
        ]
        for unit, machine in self._machines.items():
            if isinstance(machine, Holder):
                found += self._stocks(unit, machine, from_us, until_us)
        return sorted(found, key=lambda fact: (fact.at_us, fact.id))

    def _stocks(self, unit: str, machine: Holder, from_us: int, until_us: int) -> Iterator[Fact]:
        """Yield the stock-takings of [from, until), named by the plant's date and hour."""
        zone = self.plant.sites[self.site].timezone
        begin_us = max(from_us, machine.HOLDS_FROM_US)
        for at_us, _ in periods.periods_between(STOCK_EVERY, begin_us, until_us, zone):
            taken = clock.from_us(at_us).astimezone(periods.zone(zone))
            yield Fact(
                f"{unit}.s{self.seed}.stock-{taken:%Y%m%d%H}",
                at_us,
                unit,
                str(machine.held_t(at_us)),
                "stock",
                stream=machine.HELD,
            )


def load(path: Path, seed: int) -> Process:
    """Read a plant file and its process file; raises Misconfigured with every problem."""
    beside = path.with_name(f"{path.stem}.process.toml")
    text, process_text = _read(path), _read(beside)
    declared = plant.parse(text, str(path))
    table = processfile.parse(process_text, str(beside), declared)
    digest = hashlib.sha256(f"{seed}\0{text}\0{process_text}".encode()).hexdigest()
    return Process(declared, table, seed, digest)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise Misconfigured([Problem(str(path), f"can not be read: {error}")]) from error
