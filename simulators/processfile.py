"""The process file, `NAME.process.toml`: which machines are at work, and which meters show them.

Read with line numbers, all mistakes at once, those against the plant file beside it included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from core import names, plant, tomlfile
from core.errors import Misconfigured
from simulators import furnace, kiln, potline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.errors import Problem
    from core.plant import Plant, Point
    from simulators.machine import Machine

_STRICT = ConfigDict(extra="forbid", frozen=True)
_POINT = Annotated[str, Field(pattern=names.POINT_PATTERN)]
_SLUG = Annotated[str, Field(pattern=names.SITE_PATTERN)]
_SHARE = Annotated[float, Field(gt=0, lt=1)]
_PER_T = Annotated[float, Field(ge=0, le=2_000)]
_PER_DAY = Annotated[float, Field(ge=0, le=100)]
MOST_MACHINES: Final = 100
"""Of one kind; each kind of machine has its own hundred seeds."""


class MachineTable(BaseModel, ABC):
    """A machine: its unit, and which point of it shows what."""

    model_config = _STRICT
    unit: Annotated[str, Field(pattern=names.UNIT_PATTERN)]
    points: Mapping[_POINT, str]

    @abstractmethod
    def machine(self, seed: int) -> Machine:
        """Return the machine that this table describes."""

    def design(self) -> dict[str, Any]:
        """Return what of the table is the machine's design: the fields of both have one name."""
        return self.model_dump(exclude={"unit", "points"})


class _Potline(MachineTable):
    points: Mapping[_POINT, potline.Signal]
    pots: Annotated[int, Field(gt=0, le=2_000)] = 288
    line_current_ka: Annotated[float, Field(gt=1, le=1_000)] = 400.0
    ac_kwh_per_t: Annotated[float, Field(gt=5_000, le=30_000)]
    current_efficiency: Annotated[float, Field(gt=0.5, lt=1)] = 0.94
    rectifier_efficiency: Annotated[float, Field(gt=0.5, lt=1)] = 0.98
    anode_effects_per_pot_day: Annotated[float, Field(ge=0, le=2)] = 0.05
    auxiliary_kw: Annotated[float, Field(ge=0, le=1_000_000)] = 11_000.0

    def machine(self, seed: int) -> Machine:
        """Return the machine that this table describes."""
        return potline.Potline(seed, potline.PotlineDesign(**self.design()))


class _Furnace(MachineTable):
    points: Mapping[_POINT, furnace.Signal]
    element: Annotated[str, Field(pattern=r"^[A-Z][a-z]?$")]
    reference_grade: _SHARE
    grade: _SHARE
    grade_spread: Annotated[float, Field(ge=0, le=0.1)] = 0.022
    power_kw: Annotated[float, Field(gt=1_000, le=200_000)]
    power_factor: Annotated[float, Field(gt=0.3, le=1)] = 0.85
    electrode_v: Annotated[float, Field(gt=50, le=1_000)] = 190.0
    smelting_kwh_per_t: Annotated[float, Field(gt=1_000, le=20_000)]
    reductant_kg_per_t: _PER_T
    paste_kg_per_t: _PER_T
    auxiliary_kw: Annotated[float, Field(ge=0, le=100_000)] = 1_000.0
    tap_every_minutes: Annotated[int, Field(ge=40, le=720)]
    slips_per_day: _PER_DAY = 18.0
    stoppages_per_day: Annotated[float, Field(ge=0, le=2)] = 0.12

    def machine(self, seed: int) -> Machine:
        """Return the machine that this table describes."""
        return furnace.Furnace(seed, furnace.FurnaceDesign(**self.design()))


class _Kiln(MachineTable):
    points: Mapping[_POINT, kiln.Signal]
    feed_t_per_h: Annotated[float, Field(gt=10, le=2_000)] = 333.0
    feed_factor: Annotated[float, Field(gt=1, le=3)] = 1.60
    coal_kg_per_t: _PER_T
    burner_share: _SHARE = 0.40
    electricity_kwh_per_t: Annotated[float, Field(gt=1, le=500)]
    raw_mill_share: _SHARE = 0.40
    stops_per_day: Annotated[float, Field(ge=0, le=0.5)] = 0.04

    def machine(self, seed: int) -> Machine:
        """Return the machine that this table describes."""
        return kiln.Kiln(seed, kiln.KilnDesign(**self.design()))


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


class ProcessFile(BaseModel):
    """The whole process file."""

    model_config = _STRICT
    agents: _Agents = _Agents()
    potline: Annotated[tuple[_Potline, ...], Field(max_length=MOST_MACHINES)] = ()
    furnace: Annotated[tuple[_Furnace, ...], Field(max_length=MOST_MACHINES)] = ()
    kiln: Annotated[tuple[_Kiln, ...], Field(max_length=MOST_MACHINES)] = ()
    meter: Annotated[tuple[MeterTable, ...], Field(max_length=1_000)] = ()

    def tables(self) -> dict[str, Sequence[MachineTable]]:
        """Return the machines' tables by their key in the file, in the order of their seeds."""
        return {"potline": self.potline, "furnace": self.furnace, "kiln": self.kiln}

    def machines(self, seed: int) -> Iterator[tuple[MachineTable, Machine]]:
        """Yield every table with its machine, each with its own seed."""
        for kind, tables in enumerate(self.tables().values()):
            for number, table in enumerate(tables):
                yield table, table.machine(seed * 1_000 + kind * MOST_MACHINES + number)

    def units(self) -> list[str]:
        """Return the units that machines stand for."""
        return [table.unit for table in chain(*self.tables().values())]


def parse(text: str, name: str, declared: Plant) -> ProcessFile:
    """Read a process file; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, ProcessFile)
    problems = [*_machine_problems(document, declared, table), *_meter_problems(document, table)]
    if problems:
        raise Misconfigured(problems)
    return table


def _machine_problems(
    document: tomlfile.Document, declared: Plant, table: ProcessFile
) -> Iterator[Problem]:
    units = table.units()
    if not units:
        yield document.problem((), "no [[potline]], [[furnace]] or [[kiln]]: name one")
    if len({names.site_of(unit) for unit in units}) > 1:
        yield document.problem((), "the machines are of several sites: write a file for each")
    seen: set[str] = set()
    for kind, machines in table.tables().items():
        for number, entry in enumerate(machines):
            where = (kind, number)
            if entry.unit not in declared.units:
                yield document.problem((*where, "unit"), "is no unit of the plant file")
            if entry.unit in seen:
                yield document.problem((*where, "unit"), "has a machine above already")
            seen.add(entry.unit)
            counted = entry.machine(0).COUNTED
            for point_id, signal in entry.points.items():
                wrong = _misfit(declared.points.get(point_id), signal, counted.get(signal))
                if wrong:
                    yield document.problem((*where, "points", point_id), wrong)


def _meter_problems(document: tomlfile.Document, table: ProcessFile) -> Iterator[Problem]:
    simulated = {point for entry in chain(*table.tables().values()) for point in entry.points}
    units: set[int] = set()
    for number, meter in enumerate(table.meter):
        if meter.unit_id in units:
            yield document.problem(("meter", number, "unit_id"), "is taken by a meter above")
        units.add(meter.unit_id)
        for point in meter.points:
            if point not in simulated:
                yield document.problem(
                    ("meter", number, "points", point), "no machine has this point"
                )


def _misfit(point: Point | None, signal: str, counted_in: str | None) -> str | None:
    if point is None:
        return "is no point of the plant file"
    if counted_in is None:
        return None
    if point.kind is not plant.PointKind.COUNTER or point.measured_unit != counted_in:
        return f"shows {signal}: it must be a counter in {counted_in}"
    if not point.multipliers:
        return "needs a multiplier in the plant file: the simulated register counts by it"
    return None
