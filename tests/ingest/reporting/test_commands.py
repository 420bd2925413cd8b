"""`danhao national`: answers and exit codes, and the program itself from ledger to platform."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import danhao
from core.errors import Misconfigured
from ingest.reporting import commands, service
from store import connection
from tests.core.reportcase import TEXT
from tests.ingest.reporting.world import DAY, Desk, arrived, item, platform, settings
from tests.ingest.world import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool


def write_settings(folder: Path, url: str, text: str = TEXT) -> Path:
    settings(folder, "province", url)
    (folder / "national.toml").write_text(text, encoding="utf-8")
    file = folder / "danhao.toml"
    rows = {"name": "province", "url": url, "key_file": folder / "key"}
    table = "".join(f'{key} = "{value}"\n' for key, value in rows.items())
    file.write_text(f'[[platform]]\n{table}report = "{folder / "national.toml"}"\n')
    return file


def declared(database_url: str, folder: Path) -> None:
    async def declare() -> None:
        pool = await connection.open_pool(database_url)
        await Desk(pool, folder).declare()
        await pool.close()

    asyncio.run(declare())


def national(leaf: str, database_url: str, *more: str) -> int:
    return danhao.main(["national", leaf, "--database-url", database_url, *more])


def test_check_says_how_much_of_the_mapping_is_not_verified(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declared(database_url, tmp_path)
    file = write_settings(tmp_path, "https://platform.example/")
    assert national("check", database_url, "--config", str(file)) == 0
    assert "province: 3 items and 1 meters of gh-al; mapping" in capsys.readouterr().out
    assert national("check", database_url, "--config", str(file), "--json") == 0
    (found,) = json.loads(capsys.readouterr().out)["items"]
    assert "operation.data.row.item" in found["unverified"]
    assert len(found["unverified"]) < found["names"]
    write_settings(tmp_path, "https://platform.example/", TEXT.replace("ac-import", "nothing"))
    assert national("check", database_url, "--config", str(file)) == 2
    assert "national.toml:" in capsys.readouterr().err


def test_a_person_enters_a_figure_and_every_mistake_is_told(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declared(database_url, tmp_path)
    file = write_settings(tmp_path, "https://platform.example/")
    given = {
        "--platform": "province",
        "--item": "electricity",
        "--period": "day",
        "--start": "2026-10-05T00:00:00+08:00",
        "--value": "81250.5",
        "--who": "an engineer",
    }

    def enter(**changed: str) -> int:
        options = given | {f"--{key}": value for key, value in changed.items()}
        words = [word for pair in options.items() for word in pair]
        return national("enter", database_url, "--config", str(file), *words)

    assert enter() == 0
    assert "revision 1" in capsys.readouterr().out
    assert enter(value="81250.6") == 0
    assert "revision 2" in capsys.readouterr().out
    assert enter(item="water", start="2026-10-05T01:00:00+08:00", value="1e3") == 2
    told = capsys.readouterr().err
    assert "there are aluminium, electricity, gas" in told
    assert "no day begins then: the one around it at 2026-10-05T00:00:00+08:00" in told
    assert "not a plain decimal number" in told
    assert enter(start="2199-01-01T00:00:00+08:00") == 2
    assert "has not ended yet" in capsys.readouterr().err


def test_status_is_bad_news_where_somebody_must_look(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert national("status", database_url) == 0
    assert "no platform was ever reported to" in capsys.readouterr().out

    async def try_in_vain() -> None:
        pool = await connection.open_pool(database_url)
        desk = Desk(pool, tmp_path)
        report = await desk.declare()
        await desk.book_slots(2)
        await desk.look(report)
        table = settings(tmp_path, "province", "http://127.0.0.1:9")
        await desk.send(table, desk.sender(table, report), 1)
        await pool.close()

    asyncio.run(try_in_vain())
    assert national("status", database_url, "--json") == 1
    (found,) = json.loads(capsys.readouterr().out)["items"]
    assert (found["state"], found["waiting"], found["late"]) == ("stranger", 2, True)
    assert found["oldest_period_start"] == "2026-11-19T16:00:00Z"
    assert national("status", database_url) == 1
    assert capsys.readouterr().out.startswith("LATE province (gh-al): stranger, 0 accepted, 2 wai")


async def test_a_platform_that_was_heard_lately_is_not_late(pool: Pool, tmp_path: Path) -> None:
    with platform(tmp_path, "province") as server:
        desk = Desk(pool, tmp_path)
        report = await desk.declare()
        await desk.book_slots(2)
        await desk.look(report)
        table = settings(tmp_path, "province", server.url)
        await desk.drain(table, desk.sender(table, report))
    found = (await desk.progress())["province"]
    assert not commands.is_late(found, desk.clock.now + timedelta(days=30))
    await desk.book_slots(4)
    await desk.look(report)
    found = (await desk.progress())["province"]
    assert not commands.is_late(found, desk.clock.now)
    assert commands.is_late(found, desk.clock.now + timedelta(hours=27))


async def test_the_program_tells_the_ledger_to_two_platforms(
    pool: Pool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PAUSE_S", 0.02)
    monkeypatch.setattr(service, "LOOK_S", 0.1)
    with platform(tmp_path, "province") as near, platform(tmp_path, "nation") as far:
        desk = Desk(pool, tmp_path)
        report = await desk.declare()
        await desk.book_slots(5)
        tables = [settings(tmp_path, "province", near.url), settings(tmp_path, "nation", far.url)]
        work = asyncio.ensure_future(service.run(database_url, tables, desk.clock))
        try:
            await wait_until(lambda: len(near.ledger.rows()) == len(far.ledger.rows()) == 5)
            await desk.book("ac-import", DAY, 77_000_000)  # late: three hours ago
            desk.clock.move(3_600)  # the next look is a wide one
            key = (item(report, "electricity").code, "slot", "2026-11-20 00:00:00")
            await wait_until(lambda: arrived(far).get(key) == arrived(near).get(key) == "76993")
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        assert arrived(near) == arrived(far) == await desk.told()


async def test_the_program_refuses_to_start_without_a_platform_or_with_a_wrong_report(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(Misconfigured, match="no platform is named"):
        await service.run(database_url, [], lambda: Desk(pool, tmp_path).clock.now)
    table = settings(tmp_path, "province", "http://127.0.0.1:9")
    with pytest.raises(Misconfigured, match="no site 'gh-al' is declared"):
        await service.run(database_url, [table], lambda: Desk(pool, tmp_path).clock.now)
