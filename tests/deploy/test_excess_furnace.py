"""The split holds against another physics: the simulated furnace, tapped as furnaces are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core import indicators, limits, periods, plant
from core.baseline import Way
from core.clock import from_us
from core.excess import Cause
from core.periods import SLOT_US, Period
from simulators.furnace import Furnace, FurnaceDesign, Signal
from simulators.minutes import BEGIN_US, HOUR_US
from store import excesses
from store.excesses import Question, Reader
from store.slotarrays import SlotArrays
from tests.core import factbook

if TYPE_CHECKING:
    from core.output import OutputFact

ZONE = "Asia/Shanghai"
MONTHS = ("2026-08", "2026-09", "2026-10")
DESIGN = FurnaceDesign(stoppages_per_day=0.1)
PLANT = """
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "一号炉", en = "Furnace 1" }
kind = "submerged_arc_furnace"
indicators = ["fesi.comprehensive"]
# The simulated furnace makes metal in proportion to its power, in base tonnes.
fixed_share = [{ from = 2020-01-01T00:00:00Z, value = "0" }]
grade_response = [{ from = 2020-01-01T00:00:00Z, value = "1" }]
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.s.unit.u.point.coke]
kind = "counter"
carrier = "coke"
unit = "kg"
[site.s.unit.u.point.aux]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "auxiliary"
"""
SIGNALS = {"ac": Signal.ENERGY, "coke": Signal.REDUCTANT, "aux": Signal.AUXILIARY}
PER_UNIT = HOUR_US * 1000  # watt- or gram-per-hour-microseconds of a kWh or kg
KGCE_PER_KWH = 0.1229


def lived(month: str, design: FurnaceDesign) -> tuple[dict[str, SlotArrays], list[OutputFact]]:
    """Return a month of a furnace: what its meters booked, and its taps."""
    furnace = Furnace(11, design)
    begin, end = periods.parse_month(month, ZONE)
    assert begin > BEGIN_US
    edges = range(begin, end + 1, SLOT_US)
    booked: dict[str, SlotArrays] = {}
    for key, signal in SIGNALS.items():
        level = np.array(
            [furnace.counted(signal, at) * 1_000_000 // PER_UNIT for at in edges], np.int64
        )
        starts = np.array(edges[:-1], np.int64)
        flat = np.zeros(len(starts), np.int64)
        booked[key] = SlotArrays(
            starts, level[1:] - level[:-1], flat == 0, flat, flat + SLOT_US, flat
        )
    taps = [
        factbook.fact(from_us(tap.at_us), "tapping", str(tap.mass_t), **tap.grades)
        for tap in furnace.outputs(begin, end)
    ]
    return booked, taps


def explained(last: FurnaceDesign) -> tuple[dict[Cause, float], float]:
    """Return the causes of the last month, and its energy [kgce]."""
    months = [lived(month, DESIGN if month != MONTHS[-1] else last) for month in MONTHS]
    plan = plant.parse(PLANT, "plant.toml")
    asked = Question(
        plan.units["s.u"],
        indicators.find("fesi.comprehensive"),
        Period.MONTH,
        periods.parse_month(MONTHS[-1], ZONE),
        limits.find("cn.fesi.comprehensive.gb21341-2022.level-2"),
        Way.MEDIAN,
    )
    slots = {f"s.u.{key}": SlotArrays.join([one[key] for one, _ in months]) for key in SIGNALS}
    reader = Reader(plan, asked, asked.bound_us[1], slots)
    spans = excesses.spans_of(plan, asked)
    questions = [one for span in spans for one in reader.questions(span)]
    answers = factbook.answers(questions, [tap for _, taps in months for tap in taps])
    found = excesses.explain(reader, answers).split
    assert found is not None
    assert found.remainder is None
    assert sum(part.amount or 0 for part in found.parts) == found.amount
    return {part.cause: float(part.amount or 0) for part in found.parts}, float(found.seen.energy)


@pytest.fixture(scope="module")
def usual() -> tuple[dict[Cause, float], float]:
    return explained(DESIGN)


@pytest.mark.slow
def test_a_usual_month_has_no_great_cause(usual: tuple[dict[Cause, float], float]) -> None:
    causes, energy = usual
    for cause in set(Cause) - {Cause.REFERENCE}:
        assert abs(causes[cause]) < 0.005 * energy, cause


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "cause"),
    [
        (replace(DESIGN, auxiliary_kw=1_400.0), Cause.AUXILIARY),
        (replace(DESIGN, smelting_kwh_per_t=8_200.0 * 1.03), Cause.PROCESS),
        (replace(DESIGN, stoppages_per_day=1.2), Cause.STOPPAGE),
    ],
)
def test_a_planted_cause_is_found_and_no_other_grows(
    usual: tuple[dict[Cause, float], float], last: FurnaceDesign, cause: Cause
) -> None:
    before, _ = usual
    causes, energy = explained(last)
    true = truth(last, cause)
    assert causes[cause] - before[cause] == pytest.approx(true, abs=0.1 * true + 0.001 * energy)
    for other in set(Cause) - {cause, Cause.REFERENCE}:
        assert abs(causes[other] - before[other]) < 0.006 * energy, other


def truth(last: FurnaceDesign, cause: Cause) -> float:
    """Return what was planted beyond a usual month, minute by minute [kgce]."""
    usual, planted = Furnace(11, DESIGN), Furnace(11, last)
    begin, end = periods.parse_month(MONTHS[-1], ZONE)

    def kwh(furnace: Furnace, signal: Signal) -> float:
        return (furnace.counted(signal, end) - furnace.counted(signal, begin)) / PER_UNIT

    if cause is Cause.AUXILIARY:
        more = kwh(planted, Signal.AUXILIARY) - kwh(usual, Signal.AUXILIARY)
        return more * KGCE_PER_KWH
    if cause is Cause.PROCESS:
        # Per base tonne the electricity rose; coke follows the metal.
        made = planted.base_t(begin, end)
        return (kwh(planted, Signal.ENERGY) - made * 8_200.0) * KGCE_PER_KWH
    minutes = np.arange(begin, end, 60_000_000)
    power = np.array([planted.power_kw(int(at)) for at in minutes])
    still = power < 0.3 * DESIGN.power_kw
    was = np.array([usual.power_kw(int(at)) for at in minutes]) < 0.3 * DESIGN.power_kw
    idle_kw = DESIGN.power_kw * 0.02 + 0.6 * DESIGN.auxiliary_kw
    return float((still.sum() - was.sum()) / 60 * idle_kw * KGCE_PER_KWH)
