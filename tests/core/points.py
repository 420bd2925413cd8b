"""Points and readings for tests of the core, and the bridge between the kernel and the oracle."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from core import energy, plant
from core.flags import Flag
from core.periods import render_utc
from core.plant import Point, PointKind
from core.quality import Quality
from tests.core import oracle

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
T0 = 1_767_225_600 * SECOND_US  # 2026-01-01T00:00:00Z


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one point, and the flag words by instant of those that are not good."""

    at: tuple[int, ...]
    values: tuple[Fraction, ...]
    quality: dict[int, Quality] = field(default_factory=dict)

    def seen(self) -> list[oracle.Seen]:
        """Return the usable readings, as the oracle takes them."""
        return [
            oracle.Seen(at, value, self.quality.get(at) is Quality.UNCERTAIN)
            for at, value in zip(self.at, self.values, strict=True)
            if self.quality.get(at) is not Quality.BAD
        ]


def point_of(meter: oracle.Meter, kind: PointKind = PointKind.COUNTER, unit: str = "kWh") -> Point:
    """Return the declared point that the oracle's meter describes."""
    table: dict[str, Any] = {
        "kind": kind,
        "carrier": "electricity",
        "unit": unit,
        "modulus": meter.modulus,
        "multiplier": [
            {"from": render_utc(since), "value": exact(value)} for since, value in meter.multipliers
        ],
        "max_gap_s": meter.max_gap_us // SECOND_US,
        "exchange": [
            {"at": render_utc(at), "closing": exact(closing), "opening": exact(opening)}
            for at, closing, opening in meter.exchanges
        ],
    }
    if meter.rated_power_kw is not None:
        table["rated_power_kw"] = exact(meter.rated_power_kw)
    if kind is PointKind.INTERVAL:
        table["interval_s"] = meter.interval_us // SECOND_US
    name = {"zh": "名", "en": "name"}
    unit_table = {"name": name, "kind": "kiln", "point": {"p": table}}
    site = {"name": name, "jurisdiction": "cn-qh", "unit": {"u": unit_table}}
    return plant.from_json({"s": site}).points["s.u.p"]


def exact(value: Fraction) -> str:
    """Return a fraction that has a finite decimal expansion as that decimal, plainly."""
    with localcontext() as context:
        context.prec = 60
        found = Decimal(value.numerator) / Decimal(value.denominator)
    assert Fraction(found) == value
    return f"{found:f}"


def compute(
    point: Point, series: Series, edges: Sequence[int], confirmed_us: frozenset[int] = frozenset()
) -> energy.Figures:
    """Run the function under test on a series."""
    return energy.figures(
        point,
        np.array(series.at, np.int64),
        np.array([float(value) for value in series.values], np.float64),
        np.array([series.quality.get(at, Quality.GOOD) for at in series.at], np.int16),
        np.array(edges, np.int64),
        confirmed_us,
    )


def rows(figures: energy.Figures) -> list[oracle.Row]:
    """Return figures as the oracle writes them."""
    columns = (figures.energy_e6, figures.estimated_e6, figures.booked_us, figures.measured_us)
    return [
        oracle.Row(energy_e6, estimated_e6, booked_us, measured_us, Flag(flags))
        for energy_e6, estimated_e6, booked_us, measured_us, flags in zip(
            *(column.tolist() for column in (*columns, figures.flags)), strict=True
        )
    ]


def counted(*counts: float | str, every_us: int = 15 * MINUTE_US, begin_us: int = T0) -> Series:
    """Return a series of counts at a steady pace; None-like gaps are made by leaving stamps out."""
    at = tuple(begin_us + row * every_us for row in range(len(counts)))
    return Series(at, tuple(Fraction(str(count)) for count in counts))
