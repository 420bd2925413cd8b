"""Figures of the shipped potlines: every period has one, open or closed, and it is the true one."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core import indicators, output
from core.clock import to_us
from core.intensity import PeriodEnergy
from core.periods import SLOT_US, Period, period_at
from simulators import process
from simulators.minutes import HOUR_US
from simulators.potline import Potline
from store import figures
from store.figures import Asked
from tests.core import factbook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.facts import PeriodOutput, Span
    from core.output import OutputFact

ZONE = "Asia/Shanghai"
UNIT = "gh-al.potline-1"
KINDS = (Period.HOUR, Period.SHIFT, Period.DAY, Period.MONTH)
WEIGHER = 0.002  # a share of what is weighed


@pytest.fixture(scope="module")
def demo() -> process.Process:
    return process.load(Path(process.__file__).parent / "plants" / "gh_al.toml", 1)


class Played:
    """Energies of slots up to now and facts up to now, as the simulated plant sends them."""

    def __init__(self, demo: process.Process, begin_us: int, now_us: int) -> None:
        self.demo, self.now_us = demo, now_us
        self.facts: list[OutputFact] = [
            output.parse(json.dumps(fact.item()).encode(), now_us)
            for fact in demo.facts(begin_us, now_us)
            if fact.unit == UNIT
        ]

    def energy_e6(self, point: str, begin_us: int, end_us: int) -> int:
        """Return what the register shows more at the end [kWh], in millionths."""
        counts = [int(self.demo.value(point, at)) for at in (begin_us, end_us)]
        declared = self.demo.plant.points[point]
        rise = (counts[1] - counts[0]) % (declared.modulus or 10**12)
        return int(rise * declared.multipliers[-1][1] * 1_000_000)

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return what slots hold: none begins after now."""
        found = []
        for point, begin, end in spans:
            until = min(end, self.now_us)
            booked = self.energy_e6(point, begin, until) if until > begin else None
            found.append(PeriodEnergy(begin, end, booked, 0, max(0, until - begin), 0))
        return found

    async def outputs(self, spans: Sequence[Span]) -> list[PeriodOutput | None]:
        """Return sums of facts, by the slow way of the tests."""
        return [factbook.answer(span, self.facts) for span in spans]


def computed(
    demo: process.Process, played: Played, bounds: list[tuple[int, int]], now: datetime
) -> list[dict[str, Any]]:
    asked = [Asked(demo.plant.units[UNIT], indicators.find("al.liquid.ac"), bounds)]
    return asyncio.run(figures.compute_all(played, demo.plant, asked, now))[0]


def true_kwh_per_t(demo: process.Process, begin_us: int, end_us: int) -> float:
    machine = demo._machines[UNIT]  # what nobody in the plant sees
    assert isinstance(machine, Potline)
    energy = machine.counted("energy", end_us) - machine.counted("energy", begin_us)
    return energy / (1000 * HOUR_US) / machine.produced_t(begin_us, end_us)


@pytest.mark.parametrize("minutes", [61, 95, 7 * 60 + 44, 23 * 60 + 59])
def test_open_and_closed_periods_have_the_figure_of_what_was_made(
    demo: process.Process, minutes: int
) -> None:
    now = datetime(2026, 11, 12, 16, tzinfo=UTC) + timedelta(minutes=minutes)
    now_us = to_us(now)
    begins = [period_at(kind, now_us, ZONE)[0] for kind in KINDS]
    closed = [period_at(kind, at - 1, ZONE) for kind, at in zip(KINDS[:3], begins, strict=False)]
    opened = [period_at(kind, now_us, ZONE) for kind in KINDS[1:]]
    played = Played(demo, min(begins) - 2 * HOUR_US, now_us)
    last_us = now_us // HOUR_US * HOUR_US
    found = computed(demo, played, [*closed, *opened], now)
    for (begin, end), item in zip([*closed, *opened], found, strict=True):
        until = min(end, last_us)
        hours = (until - begin) // HOUR_US
        assert "stock_not_taken" not in item["flags"]
        assert item["completeness"] == 1
        true = true_kwh_per_t(demo, begin, until)
        # Counts are whole, stocks whole kilograms of 10,000 t; taps err one by one.
        assert float(item["intensity"]["value"]) == pytest.approx(true, rel=WEIGHER + 1e-3 / hours)
        assert ("until" in item["inputs"]) == (end > now_us)


def test_energy_of_an_open_period_is_that_of_the_time_its_stock_covers(
    demo: process.Process,
) -> None:
    now = datetime(2026, 11, 12, 20, 50, tzinfo=UTC)
    bound = period_at(Period.DAY, to_us(now), ZONE)
    played = Played(demo, bound[0], to_us(now))
    (item,) = computed(demo, played, [bound], now)
    assert item["inputs"]["until"] == "2026-11-13T04:00:00+08:00"
    points = [each for each in demo.plant.points if each.startswith(f"{UNIT}.ac")]
    until = to_us(now) // HOUR_US * HOUR_US
    kwh = sum(played.energy_e6(point, bound[0], until) for point in points) / 1e6
    assert float(item["energy"]["value"]) == pytest.approx(kwh, abs=1e-6)


def test_before_its_first_closing_stock_an_open_period_has_no_figure_and_nothing_is_overdue(
    demo: process.Process,
) -> None:
    now = datetime(2026, 11, 12, 16, 59, tzinfo=UTC)
    bound = period_at(Period.DAY, to_us(now), ZONE)
    played = Played(demo, bound[0], to_us(now))
    (item,) = computed(demo, played, [bound], now)
    assert item["intensity"]["value"] is None
    assert item["flags"] == []
    assert item["energy"]["value"] is not None


def test_hours_of_a_potline_do_not_swing_with_its_taps(demo: process.Process) -> None:
    now = datetime(2026, 11, 12, 16, tzinfo=UTC)
    edges = [to_us(now) - hours * HOUR_US for hours in range(24, -1, -1)]
    played = Played(demo, edges[0], to_us(now) + SLOT_US)
    found = computed(demo, played, list(pairwise(edges)), now + timedelta(minutes=1))
    values = [float(item["intensity"]["value"]) for item in found]
    assert max(values) / min(values) < 1.03
