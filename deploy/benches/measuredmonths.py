"""How often the truth lies within the uncertainty of a figure, on simulated months.

Registers of two meters are read every quarter of an hour, with outages, one of them often across
the month's end; core.energy and core.intensity make of them what they make of any. Meters and the
scale err by amounts that stay for the month. Twice: their declared accuracies taken as what core
takes them for, standard deviations; and as bounds of classes, between which all is as likely.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from core import energy, indicators, intensity, plant
from core.decimals import E6
from core.facts import PeriodOutput
from core.intensity import PeriodEnergy
from core.periods import SLOT_US

if TYPE_CHECKING:
    from core.exactmath import Bools, Floats

SLOTS: Final = 96 * 30
MARGIN: Final = 96  # slots before and after the month, so that its ends lie between readings
OUTAGES: Final = 3  # of each meter's link in a month, at most
SHORT: Final = 16  # slots at most that an outage lasts: four hours
LONG: Final = 64  # sixteen hours: a month of them is just complete enough to be judged
UNITS: Final = (("process", 400_000.0, 0.35), ("auxiliary", 14_000.0, 1.2))  # kW, accuracy %
WEIGHING_PERCENT: Final = 0.3
TONNES: Final = 21_000.0
PLANT: Final = f"""
[site.s]
name = {{ zh = "厂", en = "Works" }}
jurisdiction = "cn-qh"
[site.s.unit.u]
name = {{ zh = "系列", en = "Line" }}
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac_comprehensive"]
output_accuracy_percent = "{WEIGHING_PERCENT}"
""" + "".join(
    f"""
[site.s.unit.u.point.{role}]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "{role}"
accuracy_percent = "{accuracy}"
"""
    for role, _, accuracy in UNITS
)


def shares(first: int, count: int, longest: int = SHORT) -> tuple[float, float]:
    """Return the shares of months with the truth inside: errors as declared, and of classes.

    `longest` is how many slots an outage lasts at most.
    """
    declared = plant.parse(PLANT, "bench")
    rows = [month(declared, first + number, longest) for number in range(count)]
    as_declared, of_classes = np.array(rows, np.float64).mean(axis=0).tolist()
    return as_declared, of_classes


def month(declared: plant.Plant, seed: int, longest: int) -> tuple[bool, bool]:
    """Tell of one month whether its truth lies within, for either kind of error."""
    draw = np.random.default_rng([seed, 1])
    truths = [_power(draw, kw) for _, kw, _ in UNITS]
    links = [_heard(draw, longest) for _ in UNITS]
    whole = slice(MARGIN, MARGIN + SLOTS)
    truth = sum(float(used[whole].sum()) for used in truths) / TONNES
    normal = draw.normal(size=len(UNITS) + 1)
    even = draw.uniform(-1, 1, len(UNITS) + 1)
    found = []
    for errors in (normal, even):
        figure = _figure(declared, truths, links, errors)
        assert figure.value is not None, "an outage has an end"  # noqa: S101 - a belief
        assert figure.uncertainty is not None, "a figure has one"  # noqa: S101 - a belief
        found.append(abs(float(figure.value) - truth) <= float(figure.uncertainty))
    return found[0], found[1]


def _figure(
    declared: plant.Plant,
    truths: list[Floats],
    links: list[Bools],
    errors: Floats,
) -> intensity.Intensity:
    """Return the law's figure of meters and a scale that err so many times their accuracy."""
    edges = np.array([MARGIN * SLOT_US, (MARGIN + SLOTS) * SLOT_US], np.int64)
    at_us = np.arange(SLOTS + 2 * MARGIN + 1, dtype=np.int64) * SLOT_US
    energies = []
    for (role, _, accuracy), used, heard, error in zip(UNITS, truths, links, errors, strict=False):
        point = declared.points[f"s.u.{role}"]
        shown = used * (1 + error * accuracy / 100)
        counts = np.rint(np.concatenate([[0.0], np.cumsum(shown)]))
        good = np.zeros(int(heard.sum()), np.int16)
        found = energy.figures(point, at_us[heard], counts[heard], good, edges)
        parts = (found.energy_e6, found.estimated_e6, found.measured_us, found.flags)
        low, high = edges.tolist()
        energies.append((point, [PeriodEnergy(low, high, *(int(part[0]) for part in parts))]))
    weighed = round(TONNES * (1 + errors[-1] * WEIGHING_PERCENT / 100) * E6)
    return intensity.combine(
        declared.units["s.u"],
        indicators.find("al.liquid.ac_comprehensive"),
        energies,
        PeriodOutput(Fraction(weighed)),
        int(edges[1]),
    )


def _power(draw: np.random.Generator, kw: float) -> Floats:
    """Return the energy of each slot [kWh]: a load that swings by the hour."""
    size = SLOTS + 2 * MARGIN
    kernel = np.exp(-np.arange(40) / 8)
    swing = np.convolve(draw.normal(size=size + len(kernel) - 1), kernel, "valid")
    found: Floats = kw / 4 * (1 + 0.04 * swing / np.sqrt((kernel**2).sum()))
    return found


def _heard(draw: np.random.Generator, longest: int) -> Bools:
    """Tell of each reading whether it was heard: some outages, of which one is at the end."""
    size = SLOTS + 2 * MARGIN + 1
    heard = np.ones(size, np.bool_)
    begins = draw.integers(1, size - longest - 1, draw.integers(0, OUTAGES + 1)).tolist()
    if draw.random() < 0.5:  # noqa: PLR2004 - every other month
        begins.append(MARGIN + SLOTS - int(draw.integers(1, longest)))
    for begin in begins:
        heard[begin : begin + draw.integers(3, longest)] = False
    heard[[0, -1]] = True
    return heard
