"""What is made of the ledger: sums, starts as labels, nothing of what is not known, revisions."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from core.clock import to_us
from core.decimals import E6
from core.errors import Misconfigured
from core.periods import SLOT_US, Period
from ingest.reporting.maker import Reach
from store import reportqueue
from store.reportfigures import Figure
from tests.core.reportcase import TEXT
from tests.ingest.reporting.world import DAY, NAMES, ZONE, Desk, item, slot_value

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool

YESTERDAY = DAY - 96 * SLOT_US
OCTOBER = to_us(datetime.fromisoformat("2026-10-01T00:00:00+08:00"))


async def test_slots_that_ended_are_told_as_signed_sums_with_their_start(
    pool: Pool, tmp_path: Path
) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_slots(13)  # until 03:15; it is 03:10
    assert await desk.look(report) == 12
    found = await desk.told()
    code = item(report, "electricity").code
    assert found == {
        (code, "slot", NAMES.label(DAY + n * SLOT_US, ZONE)): slot_value(n) for n in range(12)
    }
    assert (code, "slot", "2026-11-20 00:00:00") in found
    assert found[code, "slot", "2026-11-20 02:45:00"] == "20993.001"


async def test_a_slot_is_told_five_minutes_after_its_end(pool: Pool, tmp_path: Path) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_slots(13)
    desk.clock.move(299 + 300)  # 03:19:59
    assert await desk.look(report) == 12
    desk.clock.move(1)
    assert await desk.look(report) == 1


async def test_looking_again_makes_nothing_and_late_data_makes_a_revision(
    pool: Pool, tmp_path: Path
) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_slots(4)
    assert await desk.look(report) == 4
    assert await desk.look(report) == 0
    await desk.book("ac-import", DAY, 11 * E6)
    assert await desk.look(report) == 1
    rows = await desk.rows(
        "select revision, value from report_figure where period = 'slot'"
        " and period_start = '2026-11-20T00:00:00+08:00' order by revision"
    )
    assert rows == [(1, slot_value(0)), (2, "10993")]


async def test_what_is_not_known_is_withheld_and_never_zero(pool: Pool, tmp_path: Path) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_slots(4)
    await desk.book("ac-import", DAY, None)  # energy unknown
    await desk.book("ac-export", DAY + SLOT_US, 7 * E6, measured=Fraction(89, 100))
    await desk.book("ac-export", DAY + 2 * SLOT_US, 0, measured=Fraction(9, 10))
    made = await desk.maker.look(report, desk.clock.now, Reach.NEAR)
    labels = sorted(key[2] for key in await desk.told())
    # Of the eight slots of two hours, those from 01:10 on were never heard; the first is withheld
    # as a whole because one of its two points is not known.
    assert labels == []
    assert made.withheld > 0
    await desk.look(report)
    labels = sorted(key[2] for key in await desk.told())
    assert labels == ["2026-11-20 00:30:00", "2026-11-20 00:45:00"]
    await desk.book("ac-import", DAY, 10 * E6)
    await desk.look(report)
    assert "2026-11-20 00:00:00" in {key[2] for key in await desk.told()}


async def test_estimates_are_told_as_such(pool: Pool, tmp_path: Path) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_slots(2)
    await desk.book("ac-export", DAY, 7 * E6, estimated_e6=1)
    await desk.look(report)
    rows = await desk.rows("select validity from report_figure order by period_start")
    assert rows == [("estimated",), ("measured",)]


async def test_a_day_is_the_sum_of_its_slots_and_waits_for_half_past_midnight(
    pool: Pool, tmp_path: Path
) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_slots(96, YESTERDAY)
    desk.clock.now = datetime.fromisoformat("2026-11-20T00:29:59+08:00")
    await desk.look(report)
    assert {key[1] for key in await desk.told()} == {"slot"}
    desk.clock.move(1)
    await desk.look(report)
    code = item(report, "electricity").code
    assert (await desk.told())[code, "day", "2026-11-19 00:00:00"] == day_by_hand()


def day_by_hand() -> str:
    """Return the kWh of 96 slots: (10 + n) MWh and a millionth each, less 7 kWh."""
    thousandths = sum((10 + n) * 1_000_000 + 1 - 7_000 for n in range(96))
    return f"{thousandths // 1000}.{thousandths % 1000:03d}".rstrip("0").rstrip(".")


async def test_output_of_days_and_months_comes_from_closed_results(
    pool: Pool, tmp_path: Path
) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_result(Period.DAY, YESTERDAY, "812.5")
    await desk.book_result(Period.MONTH, OCTOBER, "24000.25")
    await desk.book_result(Period.DAY, YESTERDAY - 96 * SLOT_US, None)
    await desk.book_result(Period.DAY, YESTERDAY - 2 * 96 * SLOT_US, "800", completeness=0.5)
    await desk.look(report)
    code = item(report, "aluminium").code
    assert await desk.told() == {
        (code, "day", "2026-11-19 00:00:00"): "812.5",
        (code, "month", "2026-10-01 00:00:00"): "24000.25",
    }


async def test_nothing_before_the_day_from_which_the_plant_reports_is_told(
    pool: Pool, tmp_path: Path
) -> None:
    (tmp_path / "national.toml").write_text(
        TEXT.replace("since = 2026-10-01", "since = 2026-11-20"), encoding="utf-8"
    )
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_slots(98, YESTERDAY)
    await desk.look(report, Reach.FULL)
    assert {key[2][:10] for key in await desk.told()} == {"2026-11-20"}


async def test_what_a_person_entered_stands(pool: Pool, tmp_path: Path) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    code = item(report, "electricity").code
    entered = Figure(code, "slot", DAY, "42", "kWh", "measured")
    async with pool.connection() as link:
        assert await reportqueue.enter(link, "gh-al", entered, "an engineer", desk.clock.now) == 1
    await desk.book_slots(2)
    assert await desk.look(report) == 1
    assert (await desk.told())[code, "slot", "2026-11-20 00:00:00"] == "42"
    async with pool.connection() as link:
        assert await reportqueue.enter(link, "gh-al", entered, "an engineer", desk.clock.now) == 2


async def test_a_mistake_in_the_plants_file_is_told(pool: Pool, tmp_path: Path) -> None:
    desk = Desk(pool, tmp_path)
    await desk.declare()
    (tmp_path / "national.toml").write_text(TEXT.replace("ac-import", "nothing"), encoding="utf-8")
    with pytest.raises(Misconfigured, match="no point"):
        await desk.maker.report()
