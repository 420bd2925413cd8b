"""The real program, killed between what a platform has kept and what the database knows of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core import clock, periods
from core.clock import to_us
from core.periods import SLOT_US
from simulators import platform as simulated
from simulators.platform import Faults
from tests.ingest.reporting.test_commands import write_settings
from tests.ingest.reporting.world import Desk, arrived, platform
from tests.ingest.world import eventually, wait_until

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from store.connection import Pool

ROOT = Path(__file__).resolve().parent.parent.parent.parent
pytestmark = [pytest.mark.system, pytest.mark.slow]


async def start(database_url: str, file: Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "danhao.py"),
        "national",
        "run",
        "--database-url",
        database_url,
        "--config",
        str(file),
        stderr=asyncio.subprocess.DEVNULL,
    )


async def stop(program: Process, *, kill: bool) -> int:
    if kill:
        program.kill()
    else:
        program.terminate()
    return await program.wait()


async def test_a_program_killed_before_it_wrote_an_acceptance_down_sends_again_and_it_is_one(
    pool: Pool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated, "SLOW_S", 2.0)
    desk = Desk(pool, tmp_path)
    await desk.declare()
    first = periods.slot_start(to_us(clock.utc_now())) - 7 * SLOT_US
    await desk.book_slots(6, first)  # the last ended a slot ago
    # The fourth request is data: kept, and answered so late that the program is dead by then.
    with platform(tmp_path, "province", Faults(plan=["", "", "", "slow"])) as server:
        file = write_settings(tmp_path, server.url)
        program = await start(database_url, file)
        await wait_until(lambda: len(server.ledger.rows()) == 6)
        assert await stop(program, kill=True) != 0
        waiting = await desk.rows("select count(*) from report_delivery where state = 'waiting'")
        program = await start(database_url, file)
        await wait_until(lambda: server.counts["register"] == 2)
        await eventually(
            pool, "select count(*) from report_delivery where state = 'accepted'", [(6,)]
        )
        assert await stop(program, kill=False) == 0
        assert waiting == [(6,)]
        assert arrived(server) == await desk.told()
        assert {row["times"] for row in server.ledger.rows()} == {2}
    states = await desk.rows("select state, count(*) from report_delivery group by 1")
    assert states == [("accepted", 6)]
