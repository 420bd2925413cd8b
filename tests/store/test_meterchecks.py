"""Checks of meters on a real store: hours of slots, registers where steps are held, reports."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import danhao
from core import plant
from core.clock import to_us
from core.errors import Misconfigured
from core.flags import Flag
from core.meterchecks.findings import Kind
from core.openslots import SlotRows
from core.periods import SLOT_US
from store import check_commands, meterchecks, plants, readings, slots
from store.meterchecks import Asked
from store.readings import Rows

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from core.exactmath import Floats
    from store.connection import Pool
    from store.plants import Loaded

START = datetime(2026, 9, 30, 16, tzinfo=UTC)  # midnight in Qinghai
BEGIN_US = to_us(START)
DAYS = 30
HOURS = DAYS * 24
NOW = START + timedelta(days=DAYS, hours=5)
SINCE = 20 * 24
HEAD = """
[site.qh]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.qh.unit.u]
name = { zh = "车间", en = "Works" }
kind = "works"
"""
POINT = """
[site.qh.unit.u.point.{name}]
kind = "counter"
carrier = "electricity"
unit = "{unit}"
accuracy_percent = "0.35"
{more}
"""


def text() -> str:
    """Return a main meter in MWh, two meters behind it, and a gauge."""
    fed = 'fed_by = "main"'
    return (
        HEAD
        + POINT.format(name="main", unit="MWh", more="")
        + POINT.format(name="one", unit="kWh", more=fed)
        + POINT.format(name="two", unit="kWh", more=f"{fed}\nrated_power_kw = 4000")
        + '[site.qh.unit.u.point.volts]\nkind = "gauge"\nunit = "V"\n'
    )


def loads() -> dict[str, Floats]:
    """Return kWh of each hour by point."""
    random = np.random.default_rng(5)
    one = 2_000 * np.where(random.random(HOURS) < 0.2, 0.3, 1) * (1 + 0.05 * random.random(HOURS))
    two = 3_000 * (1 + 0.1 * random.random(HOURS))
    return {"one": one, "two": two, "main": (one + two + 20) / 1000}


async def put(
    link: AsyncConnection[Any],
    loaded: Loaded,
    name: str,
    hourly: Floats,
    held: slice | None = None,
) -> None:
    """Store an hour's energy as four slots; those of `held` are unknown and flagged."""
    number = loaded.ids[f"qh.u.{name}"]
    energy = np.repeat(np.round(hourly * 1e6 / 4).astype(np.int64), 4)
    known = np.ones(HOURS * 4, np.bool_)
    flags = np.zeros(HOURS * 4, np.int64)
    if held is not None:
        span = slice(held.start * 4, held.stop * 4)
        known[span], flags[span], energy[span] = False, int(Flag.IMPLAUSIBLE), 0
    rows = SlotRows(
        np.full(HOURS * 4, number),
        BEGIN_US + np.arange(HOURS * 4) * SLOT_US,
        energy,
        known,
        np.zeros(HOURS * 4, np.int64),
        np.where(known, SLOT_US, 0),
        flags,
    )
    await slots.write(link, rows, NOW)


async def world(link: AsyncConnection[Any], shown: dict[str, Floats]) -> Loaded:
    await plants.apply(link, plant.parse(text(), "plant.toml"), START)
    loaded = await plants.load(link)
    for name, hourly in shown.items():
        await put(link, loaded, name, hourly)
    return loaded


def asked(link: AsyncConnection[Any], loaded: Loaded) -> Asked:
    return Asked(link, loaded.plant, loaded.ids, "qh", BEGIN_US, BEGIN_US + DAYS * 86_400_000_000)


async def test_hours_are_in_kwh_and_only_whole_ones_are_known(pool: Pool) -> None:
    shown = loads()
    async with pool.connection() as link:
        loaded = await world(link, shown)
        await link.execute(
            "delete from slot_energy where point_id = %s and slot_start = %s",
            (loaded.ids["qh.u.one"], START + timedelta(hours=3, minutes=15)),
        )
        seen, unchecked = await meterchecks.gather(asked(link, loaded))
    assert unchecked == []
    assert np.flatnonzero(np.isnan(seen.hourly["qh.u.one"])).tolist() == [3]
    assert seen.hourly["qh.u.main"] == pytest.approx(shown["main"] * 1000, rel=1e-6)


async def test_a_clean_site_has_no_finding_and_its_report_is_kept(pool: Pool) -> None:
    async with pool.connection() as link:
        loaded = await world(link, loads())
        report = await meterchecks.check(asked(link, loaded))
        assert report.findings == []
        identifier = await meterchecks.keep(link, report, NOW)
        (kept,) = await meterchecks.of_site(link, "qh", None, 10)
        assert kept.id == identifier
        assert kept.report == json.loads(json.dumps(report.item()))
        assert await meterchecks.of_site(link, "qh", to_us(NOW), 10) == []
        assert (await meterchecks.newest(link, ["qh", "other"]))["qh"] == kept


async def test_a_register_whose_steps_are_held_is_read_itself_and_its_factor_told(
    pool: Pool,
) -> None:
    shown = loads()
    wrong = shown["two"].copy()
    wrong[SINCE:] *= 10
    async with pool.connection() as link:
        loaded = await world(link, shown)
        await put(link, loaded, "two", shown["two"], slice(SINCE, HOURS))
        register = np.concatenate([[0.0], np.cumsum(wrong)])
        at_us = BEGIN_US + np.arange(HOURS + 1) * 4 * SLOT_US
        inside = at_us < BEGIN_US + HOURS * 4 * SLOT_US
        number = np.full(int(inside.sum()), loaded.ids["qh.u.two"])
        quality = np.zeros(int(inside.sum()), np.int16)
        rows = Rows(number, at_us[inside], np.round(register[inside]), quality)
        await readings.write(link, rows, NOW, None, np.zeros(1_000, np.int64))
        report = await meterchecks.check(asked(link, loaded))
    (found,) = report.findings
    assert (found.kind, found.named) == (Kind.SCALE, "qh.u.two")
    assert found.factor == pytest.approx(10, rel=0.02)
    assert found.explained[0].cause == "digit"


async def test_a_gauge_that_stands_is_found_in_its_readings(pool: Pool) -> None:
    random = np.random.default_rng(8)
    minutes = 6 * 1_440
    values = np.round(400 + random.normal(0, 1, minutes), 2)
    values[2_000:2_200] = 401.25
    values[[1_999, 2_200]] = 399.0
    at_us = BEGIN_US + (DAYS - 6) * 86_400_000_000 + np.arange(minutes) * 60_000_000
    async with pool.connection() as link:
        loaded = await world(link, loads())
        number = np.full(minutes, loaded.ids["qh.u.volts"])
        rows = Rows(number, at_us, values, np.zeros(minutes, np.int16))
        await readings.write(link, rows, NOW, None, np.zeros(1_000, np.int64))
        report = await meterchecks.check(asked(link, loaded))
    (found,) = report.findings
    assert (found.kind, found.named) == (Kind.FROZEN, "qh.u.volts")
    assert (found.since_us, found.until_us) == (int(at_us[2_000]), int(at_us[2_199]))


async def test_a_kept_report_is_never_rewritten(pool: Pool) -> None:
    async with pool.connection() as link:
        loaded = await world(link, loads())
        report = await meterchecks.check(asked(link, loaded))
        await meterchecks.keep(link, report, NOW)
        with pytest.raises(Exception, match="append"):
            await link.execute("update meter_check set findings = 0")


def test_the_window_is_whole_days_of_the_plant_and_ends_yesterday() -> None:
    site = plant.parse(text(), "plant.toml").sites["qh"]
    now_us = to_us(NOW)
    first, until = check_commands.window(site, (None, None), now_us)
    assert until == BEGIN_US + DAYS * 86_400_000_000
    assert until - first == meterchecks.DEFAULT_DAYS * 86_400_000_000
    begin = BEGIN_US + 1
    first, _ = check_commands.window(site, (begin, None), now_us)
    assert first == BEGIN_US + 86_400_000_000
    with pytest.raises(Misconfigured, match="whole days"):
        check_commands.window(site, (now_us, None), now_us)


async def test_a_person_runs_the_checks_and_is_told_in_a_sentence(
    pool: Pool, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = loads()
    shown["one"][SINCE:] *= 1.5
    async with pool.connection() as link:
        await world(link, shown)
    begin, until = START.isoformat(), (START + timedelta(days=DAYS)).isoformat()
    where = ["--database-url", database_url, "--from", begin, "--until", until]
    code = await _typed(["checks", "run", *where])
    told = capsys.readouterr().out
    assert code == 1
    assert "qh.u.one shows 1.5 times the truth since 2026-10-21" in told.replace("1.49", "1.5")
    assert await _typed(["checks", "run", "--json", "--site", "qh", *where]) == 1
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["findings"][0]["named"] == "qh.u.one"
    assert await _typed(["checks", "run", "--site", "nobody", *where]) == 2
    assert "no site 'nobody'" in capsys.readouterr().err
    assert await _typed(["checks", "run", *where[:2], "--from", "yesterday"]) == 2
    assert "--from" in capsys.readouterr().err


async def _typed(arguments: list[str]) -> int:

    return await asyncio.to_thread(danhao.main, arguments)
