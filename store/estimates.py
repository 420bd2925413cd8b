"""Estimates of a unit per period: gauges by their role, batches, and the fuel of a kiln.

Bounded: readings are taken a day at a time and at most MOST_READINGS of them; more is refused.
Nothing here is stored or judged: the same question asked later may know more.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import batches, estimates, gaugemeans, indicators, periods, units
from core.clock import to_us
from core.errors import Rejected
from core.estimates import Cells, Estimate
from core.gaugemeans import Gauge, GaugeSums
from core.indicators import Metered
from core.plant import PointKind
from store import batches as matching
from store import figures, readings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.batches import Matched
    from core.exactmath import Int64s
    from core.indicators import Indicator
    from core.plant import Plant, Point, Unit
    from store.batches import Matching

MOST_READINGS: Final = 2_000_000  # eleven days of both gauges each second: two to five seconds
CHUNK_US: Final = 24 * periods.HOUR_US
LINE_CURRENT: Final = "line-current"
LINE_VOLTAGE: Final = "line-voltage"
CELL_VOLTAGE: Final = "cell-voltage"
CELL_KINDS: Final = frozenset({"potline", "pot"})
FURNACE_KINDS: Final = frozenset({"submerged_arc_furnace", "electric_arc_furnace"})
# The least that physics leaves to be plausible, by product and unit of the indicator.
LEAST: Final = {("ferrosilicon", "kWh/t"): estimates.LEAST_FERROSILICON_KWH_PER_T}
CLINKER_FUEL: Final = "clinker.coal"
_SCALES: Final = {
    LINE_CURRENT: {"kA": Fraction(1), "A": Fraction(1, 1000)},
    LINE_VOLTAGE: {"V": Fraction(1), "kV": Fraction(1000), "mV": Fraction(1, 1000)},
    CELL_VOLTAGE: {"V": Fraction(1), "kV": Fraction(1000), "mV": Fraction(1, 1000)},
}
Bounds = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks the store for what of a unit, when."""

    connection: AsyncConnection[Any]
    plant: Plant
    point_ids: Mapping[str, int]
    unit: Unit
    now: datetime

    @property
    def now_us(self) -> int:
        """Return the present instant in microseconds."""
        return to_us(self.now)

    def declared(self, name: str, at_us: int) -> Fraction | None:
        """Return the value in force at an instant that the unit declares, None without one."""
        found = None
        for since_us, value in self.unit.values.get(name, ()):
            if since_us <= at_us:
                found = value
        return found


@dataclass(frozen=True, slots=True)
class Instruments:
    """The gauges of a unit's electrolysis by role, and how many pots they speak of."""

    current: Point | None
    voltage: Point | None
    pots: tuple[tuple[int, Fraction], ...]

    @property
    def lacking(self) -> tuple[str, ...]:
        """Name what is not metered or not declared, in the words of estimates."""
        per_line = self.voltage is not None and self.voltage.role == LINE_VOLTAGE
        found = [] if self.current is not None else [estimates.LINE_CURRENT]
        found += [] if self.voltage is not None else [estimates.CELL_VOLTAGE]
        if not self.pots and (self.current is not None or per_line):
            found.append(estimates.POTS)
        return tuple(found)


def batch_indicator(unit: Unit) -> Indicator | None:
    """Return the indicator by which batches of a unit are matched: its first that can be."""
    known = indicators.catalogue()
    return next(
        (known[name] for name in unit.indicators if name in known and can_match(known[name])), None
    )


def can_match(indicator: Indicator) -> bool:
    """Tell whether an indicator is metered energy over the tonnes of taps."""
    return (
        indicator.computes
        and indicator.output_unit == "t"
        and indicator.metered is Metered.SUM
        and (indicator.in_coal_equivalent or units.quantity(indicator.energy_unit) == "energy")
        and not indicator.numerator
        and not batches.TAP_KINDS.isdisjoint(indicator.output)
    )


async def of_periods(
    connection: AsyncConnection[Any],
    plant: Plant,
    point_ids: Mapping[str, int],
    unit: Unit,
    bounds: Sequence[Bounds],
    now: datetime,
) -> list[list[Estimate]]:
    """Return the estimates of each period [start, end), which are in order of time.

    Raises Rejected for a range that holds more than one question may read.
    """
    if not bounds:
        return []
    asked = Asked(connection, plant, point_ids, unit, now)
    indicator = batch_indicator(unit)
    parts: list[list[list[Estimate]]] = []
    held: Matching | None = None
    found: list[Matched] = []
    if indicator is not None:
        span_us = (bounds[0][0], bounds[-1][1])
        held = await matching.read(connection, plant, point_ids, unit, indicator, span_us, now)
        found = [batches.matched(held.curve, held.batches, *bound) for bound in bounds]
    if unit.kind in CELL_KINDS:
        parts.append(await _cells(asked, bounds, held, found))
    if indicator is not None and held is not None:
        pairs = zip(bounds, found, strict=True)
        parts.append([_batched(asked, indicator, held, *pair) for pair in pairs])
    if unit.kind == "kiln" and unit.product == "clinker":
        parts.append(await _heat(asked, bounds))
    return [[one for part in parts for one in part[place]] for place in range(len(bounds))]


def _batched(
    asked: Asked, indicator: Indicator, held: Matching, bound: Bounds, found: Matched
) -> list[Estimate]:
    """Return what batches tell of one period."""
    furnace = asked.unit.kind in FURNACE_KINDS
    least = LEAST.get((indicator.product, indicator.unit))
    share = _share(asked, bound, found)
    items = [
        estimates.intensity_of(
            "batch_matched", indicator.unit, found, held.doubts, share, furnace=furnace, least=least
        )
    ]
    if furnace:
        mean = batches.tap_to_tap(held.batches, *bound)
        covered = (
            Fraction(0) if mean is None else Fraction(mean.covered_us, mean.until_us - mean.from_us)
        )
        items.append(
            estimates.intensity_of(
                "tap_to_tap", indicator.unit, mean, held.doubts, covered, furnace=True, least=least
            )
        )
    if least is not None:
        taken = found.energy if found.covered_us else None
        name = f"{indicator.product}.output_at_most"
        items.append(estimates.output_at_most(name, taken, least, share))
    return items


def _share(asked: Asked, bound: Bounds, found: Matched) -> Fraction:
    elapsed_us = min(bound[1], max(asked.now_us, bound[0])) - bound[0]
    return Fraction(min(found.covered_us, elapsed_us), elapsed_us) if elapsed_us else Fraction(0)


async def _cells(
    asked: Asked, bounds: Sequence[Bounds], held: Matching | None, found: Sequence[Matched]
) -> list[list[Estimate]]:
    """Return what current and voltage tell of each period, and of the batches in it."""
    instruments = instruments_of(asked)
    windows = [(one.from_us, one.until_us) for one in found]
    edges, sums = await _sums(asked, instruments, [*bounds, *windows])
    items: list[list[Estimate]] = []
    for place, bound in enumerate(bounds):
        one = estimates.faraday(_cell(asked, instruments, edges, sums, bound))
        if held is not None:
            batch = found[place]
            cells = _cell(asked, instruments, edges, sums, windows[place])
            share = _share(asked, bound, batch)
            one += estimates.current_efficiency(cells, batch, held.both_doubts, share)
        items.append(one)
    return items


def instruments_of(asked: Asked) -> Instruments:
    """Find a unit's gauges by role: a pot's current is that of its line; its pots are one."""
    own = asked.plant.points_of(asked.unit.id)
    voltage = _of_role(own, CELL_VOLTAGE) or _of_role(own, LINE_VOLTAGE)
    current = _of_role(own, LINE_CURRENT)
    above = asked.unit.parent
    while asked.unit.kind == "pot" and current is None and above is not None:
        current = _of_role(asked.plant.points_of(above), LINE_CURRENT)
        above = asked.plant.units[above].parent
    if asked.unit.kind == "pot":
        return Instruments(current, voltage, ((gaugemeans.NEVER_US, Fraction(1)),))
    return Instruments(current, voltage, tuple(asked.unit.values.get(estimates.POTS, ())))


def _of_role(points: Sequence[Point], role: str) -> Point | None:
    """Return the first gauge of a role in a unit that we know to scale."""
    for point in points:
        if (
            point.role == role
            and point.kind is PointKind.GAUGE
            and point.measured_unit in _SCALES[role]
        ):
            return point
    return None


def _cell(
    asked: Asked, instruments: Instruments, edges: Int64s, sums: GaugeSums, bound: Bounds
) -> Cells:
    """Return what the instruments say of a span whose bounds are among the edges."""
    elapsed_us = min(bound[1], max(asked.now_us, bound[0])) - bound[0]
    first, behind = np.searchsorted(edges, (bound[0], bound[0] + elapsed_us))
    means = sums.over(int(first), int(behind))
    lacking = instruments.lacking
    whole = {estimates.POTS, estimates.LINE_CURRENT}.isdisjoint(lacking)
    current, voltage = instruments.current, instruments.voltage
    return Cells(
        charge_kah=means.charge if whole else None,
        cell_v=means.voltage,
        charge_coverage=_covered(means.charge_us if whole else 0, elapsed_us),
        voltage_coverage=_covered(means.voltage_us, elapsed_us),
        current_efficiency=_assumed(asked, estimates.CURRENT_EFFICIENCY, bound[0]),
        rectifier_efficiency=_assumed(asked, estimates.RECTIFIER_EFFICIENCY, bound[0]),
        current_doubt=_doubt(current, LINE_CURRENT),
        voltage_doubt=_doubt(voltage, CELL_VOLTAGE),
        lacking=lacking,
    )


def _covered(covered_us: int, elapsed_us: int) -> Fraction:
    return Fraction(covered_us, elapsed_us) if elapsed_us > 0 else Fraction(0)


def _assumed(asked: Asked, name: str, at_us: int) -> estimates.Assumed:
    return estimates.assumed(name, asked.declared(name, at_us))


def _doubt(point: Point | None, role: str) -> estimates.Doubt:
    if point is None or point.accuracy_percent is None:
        return f"accuracy of {role if point is None else point.id}", None
    return estimates.percent_doubt(role, Fraction(point.accuracy_percent))


async def _sums(
    asked: Asked, instruments: Instruments, spans: Sequence[Bounds]
) -> tuple[Int64s, GaugeSums]:
    """Return edges that hold all bounds of the spans until now, and the sums between them."""
    low = min(begin for begin, _ in spans)
    high = min(max(end for _, end in spans), max(asked.now_us, low))
    chunks = np.arange(low, high, CHUNK_US, dtype=np.int64)
    inner = [bound for span in spans for bound in span if low < bound < high]
    edges = np.unique(np.concatenate([chunks, np.array([low, high, *inner], np.int64)]))
    if instruments.current is None and instruments.voltage is None:
        return edges, GaugeSums.nothing(len(edges) - 1)
    room = MOST_READINGS
    parts: list[GaugeSums] = []
    for begin in chunks.tolist():
        end = min(begin + CHUNK_US, high)
        current, room = await _gauge(asked, instruments, instruments.current, (begin, end), room)
        voltage, room = await _gauge(asked, instruments, instruments.voltage, (begin, end), room)
        within = edges[(edges >= begin) & (edges <= end)]
        parts.append(gaugemeans.sums(current, voltage, within))
    return edges, GaugeSums.join(parts)


async def _gauge(
    asked: Asked, instruments: Instruments, point: Point | None, bound: Bounds, room: int
) -> tuple[Gauge, int]:
    """Return a gauge over a chunk: kA of all pots together, or V of one of them.

    Without a meter of the current the mean voltage is by time; without one of the voltage nothing
    is known of it. Raises Rejected when there is no room for its readings.
    """
    if point is None:
        flat = instruments.current is None and instruments.voltage is not None
        return (Gauge.constant(1.0) if flat else Gauge.nothing()), room
    series = await readings.read_series(
        asked.connection,
        asked.point_ids[point.id],
        bound[0] - point.max_gap_us,
        bound[1] + point.max_gap_us,
    )
    room -= len(series.ts_us)
    if room < 0:
        raise Rejected(
            f"estimates of {asked.unit.id} in this range rest on more than {MOST_READINGS}"
            " readings: ask for a shorter one",
            "too_much",
        )
    factors = [point.multipliers]
    if instruments.pots and point.role != CELL_VOLTAGE:
        power = 1 if point.role == LINE_CURRENT else -1
        factors.append(tuple((since_us, pots**power) for since_us, pots in instruments.pots))
    elif point.role == LINE_VOLTAGE:
        return Gauge.nothing(), room  # of unknown many pots
    gauge = Gauge.of(
        series.ts_us,
        series.value,
        series.quality,
        point.max_gap_us,
        [one for one in factors if one],
        _SCALES[point.role][point.measured_unit],
    )
    return gauge, room


async def _heat(asked: Asked, bounds: Sequence[Bounds]) -> list[list[Estimate]]:
    """Return the heat of clinker of each period, from the figures of its fuel."""
    found = await figures.compute(
        asked.connection,
        asked.plant,
        asked.point_ids,
        asked.unit,
        indicators.find(CLINKER_FUEL),
        bounds,
        asked.now,
    )
    return [
        estimates.clinker_heat(
            _read(one["energy"]["value"]),
            _read(one["output"]["value"]),
            Fraction(str(one["completeness"])),
            _relative(one),
        )
        for one in found
    ]


def _relative(figure: Mapping[str, Any]) -> Fraction | None:
    """Return the relative uncertainty of a figure, None where an accuracy is not declared."""
    value = _read(figure["intensity"]["value"])
    doubt = _read(figure["intensity"]["uncertainty"])
    if not value or doubt is None or "uncertainty_undeclared" in figure["flags"]:
        return None
    return doubt / abs(value)


def _read(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)
