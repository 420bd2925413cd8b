"""The stepped electricity price of aluminium smelters (阶梯电价): what a figure adds to the price.

发改价格〔2021〕1239号: above a step of comprehensive AC electricity of liquid aluminium
(铝液综合交流电耗) its electricity costs 0.01 yuan/kWh more for every 20 kWh/t, a part counts as 20.
Promise: exact; of a day for which no step is known the surcharge is unknown, not none. Not
applied: the relief for renewable electricity, whose rule is not known well enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Final

from core.carriers import Mark

INDICATOR: Final = "al.liquid.ac_comprehensive"  # the figure that the rule goes by
TREAD_KWH_PER_T: Final = 20  # what each further part of the surcharge reaches
PART_CNY_PER_KWH: Final = Fraction(1, 100)


@dataclass(frozen=True, slots=True)
class Step:
    """The figure above which electricity costs more, from a day of plant time on."""

    since: date
    kwh_per_t: int
    source: str
    mark: Mark


_RULE: Final = "发改价格〔2021〕1239号"
# Each holds until the next. Before 2022 another rule held (发改价格〔2013〕2530号): no step here.
STEPS: Final = (
    Step(date(2022, 1, 1), 13_650, f"{_RULE}, by a city's notice", Mark.VERIFIED),
    Step(date(2023, 1, 1), 13_450, _RULE, Mark.FROM_MEMORY),
    Step(date(2025, 1, 1), 13_300, _RULE, Mark.FROM_MEMORY),
)


def step_on(day: date) -> Step | None:
    """Return the step in force on a day; None before the first."""
    known = [step for step in STEPS if step.since <= day]
    return known[-1] if known else None


def treads(kwh_per_t: Fraction, step_kwh_per_t: Fraction) -> int:
    """Return n = ceil(max(0, x - step) / 20)."""
    above = max(Fraction(0), kwh_per_t - step_kwh_per_t)
    return -(-above // TREAD_KWH_PER_T)


def surcharge(kwh_per_t: Fraction, step_kwh_per_t: Fraction) -> Fraction:
    """Return what electricity for liquid aluminium costs more [yuan/kWh] at a figure x."""
    return PART_CNY_PER_KWH * treads(kwh_per_t, step_kwh_per_t)


def surcharge_on(day: date, kwh_per_t: Fraction) -> Fraction | None:
    """Return the surcharge [yuan/kWh] by the step of a day; None where no step is known."""
    step = step_on(day)
    return None if step is None else surcharge(kwh_per_t, Fraction(step.kwh_per_t))


@dataclass(frozen=True, slots=True)
class Cost:
    """What a figure costs: parts of the surcharge, the surcharge [yuan/kWh], in all [yuan].

    `falls_at` is the figure at or below which there is one part less; None without any.
    """

    treads: int
    surcharge: Fraction
    cny: Fraction
    falls_at: Fraction | None


def cost(kwh_per_t: Fraction, step_kwh_per_t: Fraction, energy_kwh: Fraction) -> Cost:
    """Return what a figure adds to the price of the electricity of liquid aluminium."""
    parts = treads(kwh_per_t, step_kwh_per_t)
    more = PART_CNY_PER_KWH * parts
    falls_at = step_kwh_per_t + TREAD_KWH_PER_T * (parts - 1) if parts else None
    return Cost(parts, more, more * energy_kwh, falls_at)
