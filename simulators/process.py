"""A simulated plant: its plant file, and the process file beside it that says what happens there.

`NAME.toml` is the plant as the service knows it, `NAME.process.toml` names potlines (design and
points) and meters (model, Modbus unit, registers). Every value is a function of the instant.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from core import names, periods, plant, tomlfile
from core.errors import Misconfigured, Problem
from simulators import noise
from simulators.potline import KWH_WUS, Potline, PotlineDesign

if TYPE_CHECKING:
    from pathlib import Path

    from core.plant import Plant, Point

_STRICT = ConfigDict(extra="forbid", frozen=True)
_POINT = Annotated[str, Field(pattern=names.POINT_PATTERN)]
_SLUG = Annotated[str, Field(pattern=names.SITE_PATTERN)]
_START: Final = 99
"""Noise stream of where registers stood when the process began."""


class Signal(StrEnum):
    """What of a potline a point shows."""

    ENERGY = "energy"
    AUXILIARY = "auxiliary"
    LINE_CURRENT = "line_current"
    LINE_VOLTAGE = "line_voltage"


COUNTED: Final = (Signal.ENERGY, Signal.AUXILIARY)


class _Potline(BaseModel):
    model_config = _STRICT
    unit: Annotated[str, Field(pattern=names.UNIT_PATTERN)]
    pots: Annotated[int, Field(gt=0, le=2_000)] = 288
    line_current_ka: Annotated[float, Field(gt=1, le=1_000)] = 400.0
    ac_kwh_per_t: Annotated[float, Field(gt=5_000, le=30_000)]
    current_efficiency: Annotated[float, Field(gt=0.5, lt=1)] = 0.94
    rectifier_efficiency: Annotated[float, Field(gt=0.5, lt=1)] = 0.98
    anode_effects_per_pot_day: Annotated[float, Field(ge=0, le=2)] = 0.05
    auxiliary_kw: Annotated[float, Field(ge=0, le=1_000_000)] = 11_000.0
    points: dict[_POINT, Signal]


class MeterTable(BaseModel):
    """One meter: its model (a register map of the edge), Modbus unit, and what it measures."""

    model_config = _STRICT
    name: _SLUG
    unit_id: Annotated[int, Field(ge=1, le=247)]
    model: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]
    points: dict[_POINT, str]


class _Agents(BaseModel):
    model_config = _STRICT
    history: _SLUG = "history-01"
    facts: _SLUG = "scale-01"


class _ProcessFile(BaseModel):
    model_config = _STRICT
    agents: _Agents = _Agents()
    potline: Annotated[tuple[_Potline, ...], Field(min_length=1, max_length=100)]
    meter: Annotated[tuple[MeterTable, ...], Field(max_length=1_000)] = ()


@dataclass(frozen=True, slots=True)
class Fact:
    """A production fact, as `…/output` carries it."""

    id: str
    at_us: int
    unit: str
    mass_t: str

    def item(self) -> dict[str, object]:
        """Return the fact as JSON carries it (design 4.2)."""
        return {
            "id": self.id,
            "revision": 0,
            "unit": self.unit,
            "kind": "tapping",
            "at": periods.render_utc(self.at_us),
            "mass_t": self.mass_t,
            "grades": {},
        }


@dataclass(frozen=True, slots=True)
class _Source:
    line: Potline
    signal: Signal
    point: Point
    start: int


class Process:
    """The plant in motion: `value` of any point and `facts` of any span, for one seed."""

    def __init__(self, declared: Plant, table: _ProcessFile, seed: int, digest: str) -> None:
        self.plant = declared
        self.seed = seed
        self.digest = digest
        self.site = names.site_of(table.potline[0].unit)
        self.history_agent = table.agents.history
        self.facts_agent = table.agents.facts
        self.meters = table.meter
        self._lines: dict[str, Potline] = {}
        self._sources: dict[str, _Source] = {}
        for number, entry in enumerate(table.potline):
            line = Potline(seed * 1_000 + number, _design(entry))
            self._lines[entry.unit] = line
            for point_id, signal in entry.points.items():
                point = declared.points[point_id]
                modulus = point.modulus or 10**8
                start = int(noise.one(line.seed, _START, len(self._sources)) * modulus)
                self._sources[point_id] = _Source(line, signal, point, start)

    @property
    def points(self) -> tuple[str, ...]:
        """Return the points that have a value, counters first, each kind sorted."""
        return tuple(sorted(self._sources, key=lambda key: (not self.is_counter(key), key)))

    def is_counter(self, point: str) -> bool:
        """Tell whether the point shows counts."""
        return self._sources[point].signal in COUNTED

    def value(self, point: str, at_us: int) -> int | float:
        """Return what the point's register shows: counts, or kA, or V."""
        source = self._sources[point]
        if source.signal is Signal.LINE_CURRENT:
            return source.line.line_current_ka(at_us)
        if source.signal is Signal.LINE_VOLTAGE:
            return source.line.line_voltage_v(at_us)
        if source.signal is Signal.ENERGY:
            energy_wus = source.line.energy_wus(at_us)
        else:
            energy_wus = source.line.auxiliary_wus(at_us)
        kwh = source.point.multipliers[-1][1]
        counts = source.start + energy_wus * kwh.denominator // (kwh.numerator * KWH_WUS)
        return counts % source.point.modulus if source.point.modulus else counts

    def facts(self, from_us: int, until_us: int) -> list[Fact]:
        """Return the tappings of [from, until), sorted by time."""
        found = [
            Fact(f"{unit}.s{self.seed}.tap-{tap.number}", tap.at_us, unit, str(tap.mass_t))
            for unit, line in self._lines.items()
            for tap in line.tappings(from_us, until_us)
        ]
        return sorted(found, key=lambda fact: (fact.at_us, fact.id))

    def line(self, unit: str) -> Potline:
        """Return the potline of a unit."""
        return self._lines[unit]


def load(path: Path, seed: int) -> Process:
    """Read a plant file and its process file; raises Misconfigured with every problem."""
    beside = path.with_name(f"{path.stem}.process.toml")
    text, process_text = _read(path), _read(beside)
    declared = plant.parse(text, str(path))
    document = tomlfile.parse(process_text, str(beside))
    table = tomlfile.validate(document, _ProcessFile)
    problems = _problems(document, declared, table)
    if problems:
        raise Misconfigured(problems)
    digest = hashlib.sha256(f"{seed}\0{text}\0{process_text}".encode()).hexdigest()
    return Process(declared, table, seed, digest)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise Misconfigured([Problem(str(path), f"can not be read: {error}")]) from error


def _design(entry: _Potline) -> PotlineDesign:
    return PotlineDesign(
        pots=entry.pots,
        line_current_ka=entry.line_current_ka,
        ac_kwh_per_t=entry.ac_kwh_per_t,
        current_efficiency=entry.current_efficiency,
        rectifier_efficiency=entry.rectifier_efficiency,
        anode_effects_per_pot_day=entry.anode_effects_per_pot_day,
        auxiliary_kw=entry.auxiliary_kw,
    )


def _problems(document: tomlfile.Document, declared: Plant, table: _ProcessFile) -> list[Problem]:
    problems: list[Problem] = []
    simulated: set[str] = set()
    for number, entry in enumerate(table.potline):
        if entry.unit not in declared.units:
            problems.append(
                document.problem(("potline", number, "unit"), "is no unit of the plant file")
            )
        for point_id, signal in entry.points.items():
            simulated.add(point_id)
            wrong = _misfit(declared.points.get(point_id), signal)
            if wrong:
                problems.append(document.problem(("potline", number, "points", point_id), wrong))
    if len({names.site_of(entry.unit) for entry in table.potline}) > 1:
        problems.append(document.problem(("potline",), "the potlines are of several sites"))
    units: set[int] = set()
    for number, meter in enumerate(table.meter):
        if meter.unit_id in units:
            problems.append(
                document.problem(("meter", number, "unit_id"), "is taken by a meter above")
            )
        units.add(meter.unit_id)
        problems.extend(
            document.problem(("meter", number, "points", point), "no potline has this point")
            for point in meter.points
            if point not in simulated
        )
    return problems


def _misfit(point: Point | None, signal: Signal) -> str | None:
    if point is None:
        return "is no point of the plant file"
    if signal not in COUNTED:
        return None
    if point.kind is not plant.PointKind.COUNTER or point.measured_unit != "kWh":
        return f"shows {signal}: it must be a counter in kWh"
    if not point.multipliers:
        return "needs a multiplier in the plant file: the simulated register counts by it"
    return None
