"""What the write path needs of the declared plant, as tables by number and by name. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core import units
from core.clock import to_us
from core.plant import Plant, Point, PointKind
from store.retention import Retention

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.exactmath import Bools, Floats, Int64s

US_PER_HOUR: Final = 3_600_000_000
PLAUSIBLE: Final = 1.2  # times the rated power (design 4.6)


@dataclass(frozen=True, slots=True)
class Declared:
    """One state of the declaration. Arrays are indexed by the number of the point.

    `kw_per_unit` turns a gauge's value, an interval's value or a counter's counts per microsecond
    into power [kW]; NaN where the point says nothing of power. `modulus` is NaN without rollover.
    """

    plant: Plant
    ids: Mapping[str, int]
    ids_by_site: Mapping[str, Mapping[str, int]]
    names: Mapping[int, str]
    counter: Bools
    interval_us: Int64s
    gives_energy: Bools
    kw_per_unit: Floats
    modulus: Floats
    most_kw: Floats
    max_gap_us: Int64s
    retention: Retention  # readings behind its horizon are archived


def build(
    plant: Plant, ids: Mapping[str, int], now: datetime, retention: Retention | None = None
) -> Declared:
    """Return the tables of a plant; multipliers are those that hold at `now`."""
    sites: dict[str, dict[str, int]] = {site: {} for site in plant.sites}
    size = max(ids.values(), default=0) + 1
    declared = Declared(
        plant,
        {point: ids[point] for point in plant.points if point in ids},
        sites,
        {number: point for point, number in ids.items()},
        np.zeros(size, np.bool_),
        np.zeros(size, np.int64),
        np.zeros(size, np.bool_),
        np.full(size, np.nan),
        np.full(size, np.nan),
        np.full(size, np.inf),
        np.zeros(size, np.int64),
        retention or Retention(),
    )
    for name, number in declared.ids.items():
        point = plant.points[name]
        sites[point.site][name] = number
        declared.counter[number] = point.kind is PointKind.COUNTER
        declared.interval_us[number] = point.interval_us or 0
        declared.gives_energy[number] = point.energy_unit is not None
        declared.kw_per_unit[number] = _kw_per_unit(point, to_us(now))
        declared.max_gap_us[number] = point.max_gap_us
        if point.modulus is not None:
            declared.modulus[number] = point.modulus
        if point.rated_power_kw is not None:
            declared.most_kw[number] = PLAUSIBLE * float(point.rated_power_kw)
    return declared


def _kw_per_unit(point: Point, now_us: int) -> float:
    unit = units.AMOUNTS.get(point.energy_unit or "")
    if unit is None or unit.base != "kWh":
        return float("nan")
    held = [value for since, value in point.multipliers if since <= now_us]
    if point.multipliers and not held:
        return float("nan")
    kwh = float(unit.factor * (held[-1] if held else 1))
    if point.kind is PointKind.GAUGE:
        return kwh
    if point.kind is PointKind.INTERVAL:
        return kwh * US_PER_HOUR / (point.interval_us or US_PER_HOUR)
    return kwh * US_PER_HOUR
