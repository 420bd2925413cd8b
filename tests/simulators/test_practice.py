"""A meter to practise with: the edge reads every model of it as its map says, faults included."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from core.clock import utc_now
from core.errors import Misconfigured
from edge import check, registermaps
from edge import config as configuration
from edge.registers import Kind
from simulators import practice
from simulators.practice import Manners, PracticeMeter

if TYPE_CHECKING:
    from pathlib import Path

    from edge.check import Checked

HEAD = 'site = "demo"\nagent = "gw-01"\n[broker]\nurl = "mqtt://127.0.0.1:1"\n'


async def checked(folder: Path, meter: PracticeMeter, timeout_s: float = 2.0) -> Checked:
    """Read a meter by the very table that it tells."""
    path = folder / "edge.toml"
    told = meter.told.replace("period_s = 1\n", f"period_s = 1\ntimeout_s = {timeout_s}\n")
    path.write_text(f"{HEAD}{told}\n", "utf-8")
    (found,) = await check.check(configuration.load(path).stations(utc_now))
    return found


@pytest.mark.parametrize("model", registermaps.models())
async def test_every_model_shows_what_it_should(tmp_path: Path, model: str) -> None:
    async with PracticeMeter(model, utc_now).serving() as meter:
        found = await checked(tmp_path, meter)
    counted = meter.map.quantities
    plain = [one for one in found.seen if not counted[one.name].helpers]
    assert [one.warnings for one in plain] == [()] * len(plain)
    for one in plain:
        quantity = counted[one.name]
        assert one.value is not None
        if quantity.unit == "V":
            assert 225 < float(one.value) < 235
        if quantity.counter and quantity.unit == "kWh" and not quantity.kind.is_float:
            assert float(one.value) == pytest.approx(practice.FIRST_KWH, rel=1e-3)


async def test_a_counter_counts_the_power_that_is_shown() -> None:
    meter = registermaps.builtin("abb_b23")
    energy, power = meter.quantities["import_active_energy"], meter.quantities["power_total"]
    step_s = 1.0
    summed_kwh = sum(practice.shown(power, s * step_s) / 3.6e6 * step_s for s in range(3_600))
    counted = practice.shown(energy, 3_600.0) - practice.shown(energy, 0.0)
    assert counted * float(energy.unit_per_count) == pytest.approx(summed_kwh, abs=0.05)


async def test_rtu_frames_late_answers_and_faults_are_seen_by_the_check(tmp_path: Path) -> None:
    rtu = PracticeMeter("eastron_sdm630", utc_now, unit_id=7, rtu=True)
    async with rtu.serving() as meter:
        assert (await checked(tmp_path, meter)).ok
    swapped = PracticeMeter("eastron_sdm630", utc_now, manners=Manners(swap_words=True))
    async with swapped.serving() as meter:
        told = {one.name: one.warnings for one in (await checked(tmp_path, meter)).seen}
    assert "with order CDAB it would show 23" in told["voltage_l1"][0]
    missing = Manners(not_available=("voltage_l1",))
    async with PracticeMeter("abb_b23", utc_now, manners=missing).serving() as meter:
        found = await checked(tmp_path, meter)
    assert [one.name for one in found.seen if one.warnings] == ["voltage_l1"]
    silent = PracticeMeter("acrel_adw300", utc_now, manners=Manners(silent=True))
    async with silent.serving() as meter:
        found = await checked(tmp_path, meter, 0.1)
    assert all("no answer within 0.1 s" in one.warnings[0] for one in found.seen)


def test_a_wrong_name_is_a_sentence() -> None:
    with pytest.raises(Misconfigured, match="abb_b23 has no 'steam'"):
        PracticeMeter("abb_b23", utc_now, manners=Manners(not_available=("steam",)))
    with pytest.raises(Misconfigured, match="there is no meter model 'nobody'"):
        PracticeMeter("nobody", utc_now)


def test_what_is_shown_depends_on_the_time_alone() -> None:
    meter = registermaps.builtin("acrel_adw300")
    for quantity in meter.quantities.values():
        assert quantity.kind is not Kind.STRING
        assert practice.shown(quantity, 60.0) == practice.shown(quantity, 60.0)


@pytest.mark.slow
async def test_the_command_prints_the_table_that_reads_it(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "danhao", "simulate", "meter", "abb_b23", "--unit-id", "3"),
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    told = b""
    while b"frequency" not in told:
        told += await asyncio.wait_for(process.stdout.readline(), 20)
    path = tmp_path / "edge.toml"
    path.write_text(HEAD + told.decode(), "utf-8")
    (found,) = await check.check(configuration.load(path).stations(utc_now))
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert found.seen
    assert found.ok
