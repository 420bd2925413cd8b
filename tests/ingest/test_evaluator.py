"""Results: overwritten while open, a new version once closed and only when a figure changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import indicators, output, periods, plant
from core.clock import to_us
from core.periods import Period
from ingest.calculator import Calculator
from ingest.evaluator import KINDS, Evaluator, Periods, batches, bounds_over, periods_of
from store import basis, figures, plants, readings, results, slots
from store import output as facts
from store.figures import Asked
from store.readings import Rows

if TYPE_CHECKING:
    from core.plant import Plant
    from store.connection import Pool

PLANT = """
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"
[site.s.unit.u]
name = { zh = "系列", en = "Potline" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
output_accuracy_percent = "0.2"
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
"""
MONTH_START = datetime(2026, 9, 30, 16, tzinfo=UTC)  # 2026-10-01 in the plant
MONTH_END = datetime(2026, 10, 31, 16, tzinfo=UTC)


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Ledger:
    """A unit with one meter, its calculator and its evaluator on a real store."""

    def __init__(self, pool: Pool, declared: Plant, ids: dict[str, int], clock: Clock) -> None:
        self.pool, self.ids, self.clock = pool, ids, clock
        self.calculator = Calculator(pool, lambda: (declared, ids), clock)
        self.evaluator = Evaluator(pool, lambda: (declared, ids), clock)

    @classmethod
    async def open(cls, pool: Pool, now: datetime) -> Ledger:
        async with pool.connection() as link:
            await plants.apply(link, plant.parse(PLANT, "test.toml"), now)
            loaded = await plants.load(link)
        return cls(pool, loaded.plant, dict(loaded.ids), Clock(now))

    async def read(self, since: datetime, until: datetime, kwh_per_h: int, start: int = 0) -> None:
        hours = int((until - since).total_seconds()) // 900
        ts = np.array([to_us(since) + n * 900_000_000 for n in range(hours + 1)], np.int64)
        value = np.array([start + n * kwh_per_h / 4 for n in range(hours + 1)])
        rows = Rows(np.full(len(ts), self.ids["s.u.ac"]), ts, value, np.zeros(len(ts), np.int16))
        async with self.pool.connection() as link:
            stored = await readings.write(link, rows, self.clock(), None, np.zeros(9, np.int64))
            await slots.touch_rows(link, stored.new, np.ones(9, np.bool_))

    async def tap(self, name: str, at: datetime, mass_t: str, revision: int = 0) -> str:
        data = {
            "id": name,
            "revision": revision,
            "unit": "s.u",
            "kind": "tapping",
            "at": at.isoformat(),
            "mass_t": mass_t,
        }
        fact = output.from_data(data, to_us(self.clock()))
        async with self.pool.connection() as link:
            return await facts.write(link, fact, "scale-01", self.clock())

    async def settle(self) -> None:
        while await self.calculator.step():
            pass
        while await self.evaluator.step():
            pass

    async def alerts(self) -> list[tuple[str, str, str]]:
        """Return state, kind of period and figure of the alerts against the target."""
        async with self.pool.connection() as link:
            cursor = await link.execute(
                "select state, period, figure->>'value' from alert where limit_id = %s",
                ("cn-qh.al.liquid.ac.target-2020",),
            )
            return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]

    async def month(self) -> list[dict[str, Any]]:
        async with self.pool.connection() as link:
            cursor = await link.execute(
                "select version, closed, figures from result where period = 'month'"
                " and period_start = %s order by version",
                (MONTH_START,),
            )
            return [
                {"version": row[0], "closed": row[1], **row[2]} for row in await cursor.fetchall()
            ]


async def a_closed_month(pool: Pool) -> Ledger:
    ledger = await Ledger.open(pool, MONTH_END - timedelta(days=1))
    await ledger.read(MONTH_START, MONTH_END, 10_000)
    await ledger.tap("tap-1", MONTH_START + timedelta(days=3), "600")
    await ledger.settle()
    assert [(row["version"], row["closed"]) for row in await ledger.month()] == [(0, False)]
    ledger.clock.now = MONTH_END + timedelta(minutes=1)
    await ledger.evaluator.refresh()
    await ledger.settle()
    return ledger


async def test_a_month_closes_as_version_1_with_its_verdicts(pool: Pool) -> None:
    ledger = await a_closed_month(pool)
    (month,) = await ledger.month()
    assert (month["version"], month["closed"]) == (1, True)
    assert month["energy"]["value"] == "7440000"
    assert month["intensity"]["value"] == "12400"
    assert month["completeness"] == 1.0
    verdicts = {row["limit"]: row["verdict"] for row in month["verdicts"]}
    assert verdicts["cn-qh.al.liquid.ac.target-2020"] == "within"
    assert verdicts["cn.al.liquid.ac.gb21346-2013.level-3"] == "not_applicable"


async def test_a_closed_month_gets_a_version_only_when_a_figure_changes(pool: Pool) -> None:
    ledger = await a_closed_month(pool)
    assert await ledger.tap("tap-1", MONTH_START + timedelta(days=3), "600") == "same"
    await ledger.evaluator.refresh()
    await ledger.settle()
    assert len(await ledger.month()) == 1
    assert await ledger.tap("tap-2", MONTH_END - timedelta(hours=1), "1.5") == "stored"
    await ledger.settle()
    first, second = await ledger.month()
    assert (first["version"], second["version"]) == (1, 2)
    assert first["output"]["value"] == "600"
    assert second["output"]["value"] == "601.5"
    assert second["closed"]


async def test_a_correction_replaces_its_fact_wherever_it_moves(pool: Pool) -> None:
    ledger = await a_closed_month(pool)
    after = MONTH_END + timedelta(seconds=10)
    assert await ledger.tap("tap-1", after, "590", revision=1) == "stored"
    await ledger.settle()
    newest = (await ledger.month())[-1]
    assert newest["output"]["value"] is None
    assert newest["intensity"]["value"] is None
    assert {row["verdict"] for row in newest["verdicts"]} == {"incomplete", "not_applicable"}


async def test_the_same_revision_with_other_content_is_a_conflict(pool: Pool) -> None:
    ledger = await a_closed_month(pool)
    assert await ledger.tap("tap-1", MONTH_START + timedelta(days=3), "601") == "conflict"
    await ledger.settle()
    assert len(await ledger.month()) == 1


async def test_an_older_revision_that_arrives_late_changes_nothing(pool: Pool) -> None:
    ledger = await a_closed_month(pool)
    at = MONTH_START + timedelta(days=4)
    await ledger.tap("tap-9", at, "10", revision=2)
    await ledger.tap("tap-9", at, "99", revision=1)
    await ledger.settle()
    assert (await ledger.month())[-1]["output"]["value"] == "610"


async def test_open_periods_have_a_row_even_without_any_data(pool: Pool) -> None:
    ledger = await Ledger.open(pool, MONTH_START + timedelta(days=2, hours=3))
    await ledger.evaluator.refresh()
    await ledger.settle()
    async with pool.connection() as link:
        found = await results.open_results(link, ["s.u"], ["day", "month"], ledger.clock())
    assert [(row.period, row.version, row.closed) for row in found] == [
        ("day", 0, False),
        ("month", 0, False),
    ]
    item = found[1].item("Asia/Shanghai")
    assert item["period_start"] == "2026-10-01T00:00:00+08:00"
    assert item["energy"]["value"] is None
    assert item["completeness"] == 0.0
    assert {row["verdict"] for row in item["verdicts"]} == {"incomplete", "not_applicable"}


async def test_completeness_of_an_open_period_falls_while_data_is_missing(pool: Pool) -> None:
    ledger = await Ledger.open(pool, MONTH_START + timedelta(days=1))
    await ledger.read(MONTH_START, MONTH_START + timedelta(days=1), 10_000)
    await ledger.settle()
    assert (await ledger.month())[0]["completeness"] == 1.0
    ledger.clock.now = MONTH_START + timedelta(days=4)
    await ledger.evaluator.refresh()
    await ledger.settle()
    assert (await ledger.month())[0]["completeness"] == 0.25


async def test_a_month_above_its_limit_raises_an_alert_with_the_results(pool: Pool) -> None:
    ledger = await Ledger.open(pool, MONTH_END - timedelta(days=1))
    await ledger.read(MONTH_START, MONTH_END - timedelta(days=1), 10_000)
    await ledger.tap("tap-1", MONTH_START + timedelta(days=3), "500")
    await ledger.settle()
    assert await ledger.alerts() == [("pending", "month", "14400")]
    ledger.clock.now += timedelta(minutes=1)
    await ledger.evaluator.refresh()
    await ledger.settle()
    assert await ledger.alerts() == [("firing", "month", "14400")]


async def test_a_closed_months_finding_is_raised_while_no_data_comes(pool: Pool) -> None:
    ledger = await Ledger.open(pool, MONTH_END + timedelta(days=2))
    await ledger.read(MONTH_START, MONTH_END, 10_000)
    await ledger.tap("tap-1", MONTH_START + timedelta(days=3), "500")
    await ledger.settle()
    assert [row[0] for row in await ledger.alerts()] == ["pending"]
    ledger.clock.now += timedelta(minutes=1)
    await ledger.evaluator.refresh()
    assert [row[0] for row in await ledger.alerts()] == ["firing"]


async def test_figures_of_an_old_declaration_settle_no_marks_of_the_new_one(pool: Pool) -> None:
    ledger = await a_closed_month(pool)
    changed = PLANT.replace('output_accuracy_percent = "0.2"', 'output_accuracy_percent = "2"')
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(changed, "test.toml"), ledger.clock())
    assert await ledger.evaluator.step() == 0
    (before,) = await ledger.month()
    async with pool.connection() as link:
        loaded = await plants.load(link)
    state = (loaded.plant, dict(loaded.ids))
    renewed = Evaluator(pool, lambda: state, ledger.clock)
    assert await renewed.step() > 0
    _, after = await ledger.month()
    assert before["intensity"]["value"] == after["intensity"]["value"]
    assert before["intensity"]["uncertainty"] != after["intensity"]["uncertainty"]


async def test_one_evaluator_at_a_time_computes(pool: Pool) -> None:
    ledger = await Ledger.open(pool, MONTH_START + timedelta(days=1))
    await ledger.evaluator.refresh()
    async with pool.connection() as link, link.transaction():
        assert await results.alone(link)
        assert await ledger.evaluator.step() == 0
    assert await ledger.evaluator.step() > 0


async def test_a_late_fact_gives_the_version_its_cause_and_its_declaration(pool: Pool) -> None:
    ledger = await a_closed_month(pool)
    await ledger.tap("tap-2", MONTH_END - timedelta(hours=1), "1.5")
    await ledger.settle()
    async with pool.connection() as link:
        cursor = await link.execute(
            "select cause->'kinds', cause->'facts'->0->>'id', declaration, catalogue"
            " from result where period = 'month' and closed order by version"
        )
        first, second = await cursor.fetchall()
    digest = basis.catalogue().digest
    assert first == (["period_end"], None, 1, digest)
    assert second == (["facts"], "tap-2", 1, digest)


@pytest.mark.parametrize("kind", KINDS)
def test_spans_of_any_length_are_cut_into_the_same_periods(kind: Period) -> None:
    low = to_us(datetime(2024, 2, 3, 4, 5, tzinfo=UTC))
    high = to_us(datetime(2024, 11, 9, tzinfo=UTC))
    zone = "America/New_York"
    assert bounds_over(kind, low, high, zone) == periods.periods_over(kind, low, high, zone)
    assert bounds_over(kind, low, low, zone) == []
    long = bounds_over(kind, low, to_us(datetime(2030, 11, 9, tzinfo=UTC)), zone)
    assert all(one[1] == two[0] for one, two in pairwise(long))
    assert long[0][0] <= low < long[0][1]
    assert long[-1][0] < to_us(datetime(2030, 11, 9, tzinfo=UTC)) <= long[-1][1]


def test_an_indicator_of_statistics_is_not_computed_by_hour_and_shift() -> None:
    text = PLANT.replace('["al.liquid.ac"]', '["al.liquid.ac", "industry.quota_share"]')
    declared = plant.parse(text, "test.toml", indicators.computing())
    now_us = to_us(MONTH_END)
    spans = {"s.u": (now_us - 86_400_000_000, now_us)}
    found = list(
        periods_of(declared, [declared.units["s.u"]], spans, {"s.u": spans["s.u"]}, now_us)
    )
    kinds = {
        name: [each.kind for each in found if each.asked.indicator.id == name]
        for name in ("al.liquid.ac", "industry.quota_share")
    }
    assert kinds["al.liquid.ac"] == list(KINDS)
    assert kinds["industry.quota_share"] == [Period.DAY, Period.MONTH, Period.YEAR]


@given(st.lists(st.integers(0, 30), max_size=12), st.integers(1, 9))
def test_batches_hold_every_period_once_in_order_and_no_more_than_is_allowed(
    lengths: list[int], most: int
) -> None:
    unit = plant.parse(PLANT, "test.toml").units["s.u"]
    indicator = indicators.find("al.liquid.ac")
    wanted = [
        Periods(Asked(unit, indicator, [(place, n) for n in range(length)]), Period.HOUR)
        for place, length in enumerate(lengths)
    ]
    found = list(batches(wanted, most))
    assert all(0 < sum(len(each.asked.bounds) for each in batch) <= most for batch in found)
    assert [bound for batch in found for each in batch for bound in each.asked.bounds] == [
        bound for each in wanted for bound in each.asked.bounds
    ]


async def test_a_version_is_known_from_an_instant_after_all_it_rests_on_was_recorded(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = await a_closed_month(pool)
    await ledger.tap("tap-2", MONTH_END - timedelta(hours=1), "1.5")
    compute, recorded = figures.compute_all, list[datetime]()

    async def record_first(*arguments: Any) -> Any:
        """Have a fact recorded between the pass's beginning and its look at the facts."""
        ledger.clock.now += timedelta(seconds=1)
        if not recorded:
            recorded.append(ledger.clock.now)
            await ledger.tap("tap-3", MONTH_END - timedelta(hours=2), "2")
        return await compute(*arguments)

    monkeypatch.setattr(figures, "compute_all", record_first)
    await ledger.evaluator.step()
    newest = (await ledger.month())[-1]
    assert newest["output"]["value"] == "603.5"
    async with pool.connection() as link:
        cursor = await link.execute("select max(computed_at) from result where period = 'month'")
        row = await cursor.fetchone()
    assert row is not None
    assert row[0] >= recorded[0]
