"""Meters with known truth: registers that roll over, a gauge, and instants with gaps between them.

The truth is drawn whole before anything runs, so a reading that was never taken is known as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core.quality import Quality
from core.reading import Reading
from deploy.faultworld.clock import BEGIN_US

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random


SITE: Final = "fw"
AGENTS: Final = ("gw-01", "gw-02")
MODULUS: Final = 100_000
MOST_STEP: Final = 1_000  # counts; all polls of a schedule stay under half the modulus
_SECOND_US: Final = 1_000_000
_DAY_US: Final = 86_400 * _SECOND_US
_LONG_AGO_US: Final = 20 * _DAY_US
# Every instant of every schedule lies on one of these days.
DAYS_US: Final = BEGIN_US - _LONG_AGO_US + np.arange(4, dtype=np.int64) * _DAY_US
_STEP_S: Final = (60, 700)
_GAP_S: Final = (1_801, 5_400)
_GAPS: Final = 0.08
_BAD: Final = 0.03
_UNCERTAIN: Final = 0.05

# The multiplier has a fraction, so that rounding shows; the rated power lets every true step pass.
PLANT: Final = """
[site.fw]
name = { zh = "故障厂", en = "Fault works" }
jurisdiction = "cn-qh"
[site.fw.agent.gw-01]
[site.fw.agent.gw-02]
[site.fw.unit.line-1]
name = { zh = "一系列", en = "Line 1" }
kind = "potline"
[site.fw.unit.line-1.point.plain]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 100_000
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "660" }]
[site.fw.unit.line-1.point.rated]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 100_000
rated_power_kw = 60_000
[site.fw.unit.line-2]
name = { zh = "二系列", en = "Line 2" }
kind = "potline"
[site.fw.unit.line-2.point.endless]
kind = "counter"
carrier = "electricity"
unit = "kWh"
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "1.37" }]
[site.fw.unit.line-2.point.power]
kind = "gauge"
carrier = "electricity"
unit = "kW"
"""


@dataclass(frozen=True, slots=True)
class Meter:
    """One point: what it shows at each poll, and for a register how far it truly is."""

    point: str
    shown: Sequence[int | float]
    truth: Sequence[int]
    quality: Sequence[Quality]


@dataclass(frozen=True, slots=True)
class Meters:
    """All meters of one schedule, by agent, and the instants at which they are polled."""

    by_agent: dict[str, tuple[Meter, ...]]
    instants_us: tuple[int, ...]

    def poll(self, agent: str, number: int) -> list[Reading]:
        """Return what an agent reads at one poll."""
        at_us = self.instants_us[number]
        return [
            Reading(meter.point, at_us, _value(meter, number), meter.quality[number])
            for meter in self.by_agent[agent]
        ]

    def counters(self, agent: str) -> frozenset[str]:
        """Return the points of an agent whose values are counts."""
        return frozenset(meter.point for meter in self.by_agent[agent] if meter.truth)

    def truth(self) -> dict[str, dict[int, int]]:
        """Return by register how far it truly was at each instant."""
        return {
            meter.point: dict(zip(self.instants_us, meter.truth, strict=True))
            for meters in self.by_agent.values()
            for meter in meters
            if meter.truth
        }


def draw(draws: Random, polls: int) -> Meters:
    """Draw the truth of a schedule."""
    instants = _instants(draws, polls)
    return Meters(
        {
            "gw-01": (
                _register(draws, "fw.line-1.plain", polls, MODULUS),
                _register(draws, "fw.line-1.rated", polls, MODULUS),
            ),
            "gw-02": (
                _register(draws, "fw.line-2.endless", polls, None),
                _gauge(draws, "fw.line-2.power", polls),
            ),
        },
        instants,
    )


def _instants(draws: Random, polls: int) -> tuple[int, ...]:
    at_us = BEGIN_US - _LONG_AGO_US + draws.randrange(900) * _SECOND_US
    found = []
    for _ in range(polls):
        span = _GAP_S if draws.random() < _GAPS else _STEP_S
        at_us += draws.randrange(*span) * _SECOND_US + draws.randrange(1_000) * 1_000
        found.append(at_us)
    return tuple(found)


def _register(draws: Random, point: str, polls: int, modulus: int | None) -> Meter:
    level = draws.randrange(MODULUS)
    if modulus is not None and draws.random() < 0.7:  # noqa: PLR2004 - most of them roll over
        level = modulus - draws.randrange(1, polls * MOST_STEP // 3)
    truth = []
    for _ in range(polls):
        level += draws.randrange(MOST_STEP) if draws.random() > 0.1 else 0  # noqa: PLR2004 - some stand
        truth.append(level)
    shown = truth if modulus is None else [each % modulus for each in truth]
    return Meter(point, shown, truth, _qualities(draws, polls))


def _gauge(draws: Random, point: str, polls: int) -> Meter:
    shown = [round(draws.uniform(0, 5_000), 3) for _ in range(polls)]
    return Meter(point, shown, (), _qualities(draws, polls))


def _qualities(draws: Random, polls: int) -> list[Quality]:
    def one() -> Quality:
        place = draws.random()
        if place < _BAD:
            return Quality.BAD
        return Quality.UNCERTAIN if place < _BAD + _UNCERTAIN else Quality.GOOD

    return [one() for _ in range(polls)]


def _value(meter: Meter, number: int) -> int | float | None:
    return None if meter.quality[number] is Quality.BAD else meter.shown[number]
