"""Every shipped indicator: the checker computes what the product does, from readings and facts."""

from __future__ import annotations

import asyncio
import os
import random
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from core import energy, indicators, plant
from core.clock import to_us
from core.periods import SLOT_US
from store import evidencefile, figures, packlines
from store.figures import Asked
from store.slotarrays import SlotArrays
from tests.core.factbook import answer
from tests.core.rows import ROWS
from tests.core.worked import END, START
from tests.store.inspector.worldpack import TABLES, fact_line, figure_line, head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.facts import PeriodOutput, Span
    from core.intensity import PeriodEnergy
    from core.output import OutputFact
    from core.plant import Plant
    from store.packlines import Member
    from tests.core.worked import Meter

MONTH: Final = (to_us(START), to_us(END))
NOW: Final = END + timedelta(days=2)
STEP_US: Final = 30 * 60_000_000
LIMITS: Final = tomllib.loads(
    (resources.files("core") / "data" / "limits.toml").read_text("utf-8")
)["limit"]
MONTHS: Final = int(os.environ.get("DANHAO_TEST_FACT_MONTHS", "1"))
SITE: Final = """
altitude_m = 2600
ambient_pressure_pa = [{ from = 2026-10-11T00:00:00Z, value = "74000" }]
"""
UNIT: Final = """
output_accuracy_percent = "0.3"
sampling_accuracy_percent = "0.7"
ore_grade = [
  { from = 2026-01-01T00:00:00Z, value = "0.41" },
  { from = 2026-10-09T01:00:00Z, value = "0.37" },
]
cr_fe_ratio = [{ from = 2026-01-01T00:00:00Z, value = "2.5" }]
clinker_share = [
  { from = 2026-01-01T00:00:00Z, value = "0.78" },
  { from = 2026-10-20T00:00:00Z, value = "0.7" },
]
feed_grade = [{ from = 2026-01-01T00:00:00Z, value = "0.48" }]
scrap_share = [{ from = 2026-01-01T00:00:00Z, value = "0.1" }]
"""


@dataclass(frozen=True, slots=True)
class Booked:
    """A source of figures: readings and facts from memory."""

    plan: Plant
    readings: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]
    facts: Sequence[OutputFact]

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return sums over the slots of the month."""
        slots = {point: self._slots(point) for point in {point for point, _, _ in spans}}
        return [slots[point].sums([(begin, end)])[0] for point, begin, end in spans]

    def _slots(self, point: str) -> SlotArrays:
        ts_us, value = self.readings[point]
        edges = np.arange(MONTH[0], MONTH[1] + 1, SLOT_US, dtype=np.int64)
        quality = np.zeros(len(ts_us), np.int16)
        found = energy.figures(self.plan.points[point], ts_us, value, quality, edges)
        return SlotArrays.computed(MONTH[0], found)

    async def outputs(self, spans: Sequence[Span]) -> list[PeriodOutput | None]:
        """Return the slow answers."""
        return [answer(span, self.facts) for span in spans]


def declared(indicator: str, meters: Sequence[Meter], unit: str) -> Plant:
    text = (
        f'[site.s]\nname = {{ zh = "厂", en = "Site" }}\njurisdiction = "cn-qh"\n{SITE}'
        f'[site.s.unit.u]\nname = {{ zh = "炉", en = "Unit" }}\nkind = "works"\n'
        f'indicators = ["{indicator}"]\n{UNIT}\n{unit}\n'
    )
    for number, meter in enumerate(meters):
        text += meter.declared(f"m-{number}")
        if "accuracy" not in meter.more and "class" not in meter.more:
            text += (
                'meter_class = "0.5S"\nct_class = "0.2"\n'
                if number % 2
                else "accuracy_percent = '1'\n"
            )
    return plant.parse(text, "worked.toml", indicators.computing())


def readings(meter: Meter) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return readings that book the meter's amount evenly over the month."""
    ts_us = np.arange(MONTH[0], MONTH[1] + 1, STEP_US, dtype=np.int64)
    if meter.amount is None:
        return ts_us[:0], np.zeros(0)
    amount, whole = Fraction(meter.amount), MONTH[1] - MONTH[0]
    if meter.kind == "gauge":
        rate = round(float(amount / Fraction(whole, 3_600_000_000)), 6)
        return ts_us, np.full(len(ts_us), rate)
    return ts_us, np.array([float(amount * int(at - MONTH[0]) // whole) for at in ts_us])


async def told(
    indicator: str, meters: Sequence[Meter], facts: Sequence[OutputFact], unit: str
) -> tuple[dict[str, Any], bytes]:
    """Return the product's figure and its pack."""
    plan = declared(indicator, meters, unit)
    values = {f"s.u.m-{number}": readings(meter) for number, meter in enumerate(meters)}
    asked = Asked(plan.units["s.u"], indicators.find(indicator), [MONTH])
    ((figure,),) = await figures.compute_all(Booked(plan, values, facts), plan, [asked], NOW)
    points = sorted(figure["inputs"]["points"])
    wanted = sorted(key for key, row in LIMITS.items() if row["indicator"] == indicator)
    members: list[Member] = [
        head(indicator, MONTH, to_us(NOW), points),
        {"member": "declaration", "site": "s", "version": 1, "declared": dict(plan.to_json("s"))},
        *packlines.rows("indicator", TABLES["indicator"]["indicator"], [indicator]),
        *packlines.rows(
            "carrier", TABLES["carrier"]["carrier"], indicators.find(indicator).carriers
        ),
        *packlines.rows("limit", LIMITS, wanted),
    ]
    for point in points:
        ts_us, value = values[point]
        still = np.zeros(len(ts_us), np.int64)
        members += packlines.readings(point, ts_us, value, still.astype(np.int16), still)
    members += [fact_line(one) for one in facts]
    members.append(figure_line(figure))
    return figure, packlines.seal(members)


def twin(indicator: str) -> list[Any]:
    """Return a row of the worked examples for an indicator, of its twin where it has none."""
    rows = [row for row in ROWS if row[1] == indicator]
    return list(
        rows[0] if rows else next(row for row in ROWS if row[1] == indicator[: -len("_primary")])
    )


@pytest.mark.parametrize("indicator", sorted(indicators.catalogue()))
def test_the_checker_computes_it_as_the_product_does(indicator: str) -> None:
    _, _, meters, facts, unit, _ = twin(indicator)
    figure, pack = asyncio.run(told(indicator, meters, facts, unit))
    assert evidencefile.load()(pack).problems == []
    if not indicator.endswith("_primary"):
        assert figure["intensity"]["value"] is not None


def muddled(draw: random.Random, facts: Sequence[OutputFact]) -> list[OutputFact]:
    """Return facts as they may come: moved, missing, corrected, in other units, without grades."""
    found: list[OutputFact] = []
    for number, one in enumerate(facts):
        for copy in range(draw.choice((0, 1, 1, 1, 1, 2))):
            fact = replace(one, id=f"{number}-{copy}")
            if draw.random() < 0.5 and one.kind not in {"stock", "base"}:
                fact = replace(fact, at_us=draw.randrange(MONTH[0] - 10**10, MONTH[1] + 10**10))
            if draw.random() < 0.2 and one.kind == "stock":
                fact = replace(fact, at_us=one.at_us - draw.randrange(60) * 3_600_000_000)
            if draw.random() < 0.3:
                fact = replace(fact, mass_e6=draw.randrange(1, 9 * 10**9))
            if draw.random() < 0.3:
                fact = replace(fact, grades={})
            if draw.random() < 0.04:
                fact = replace(fact, amount_unit="kWh")
            found.append(fact)
            if draw.random() < 0.15:
                found.append(replace(fact, revision=2, mass_e6=draw.randrange(10**9)))
    return found


def test_facts_that_come_as_they_may_are_read_the_same() -> None:
    check, seen, wrong = evidencefile.load(), Counter[str](), []
    for indicator in sorted(indicators.catalogue()):
        for seed in range(MONTHS):
            draw = random.Random(f"{indicator} {seed}")  # noqa: S311 - a replayable month
            row = draw.choice([row for row in ROWS if row[1] == indicator] or [twin(indicator)])
            figure, pack = asyncio.run(told(indicator, row[2], muddled(draw, row[3]), row[4]))
            found = check(pack).problems
            wrong += [f"{indicator} {seed}: {found}"] if found else []
            seen.update(figure["flags"])
            seen.update(one["verdict"] for one in figure["verdicts"])
    assert wrong == []
    assert {"facts_missing", "grade_missing", "stock_not_taken", "unit_unfit"} <= seen.keys()
    assert {"within", "exceeds", "incomplete", "not_applicable"} <= seen.keys()
