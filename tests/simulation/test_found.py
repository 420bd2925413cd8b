"""Mistakes that schedules have found, each told as small as it can be."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from core.errors import Retryable
from core.reading import Reading
from core.wire import AgentState, Receipt, Status
from deploy.faultworld import clock, schedule
from deploy.faultworld.disk import Disks
from deploy.faultworld.process import Process
from edge.outbox import Outbox
from edge.outlet import News
from edge.window import Window
from tests.ingest import test_writer as writers
from tests.ingest import world

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from deploy.faultworld.clock import VirtualLoop
    from store.connection import Pool

POINT = "fw.line-1.plain"


def test_a_disk_that_refuses_does_not_swallow_the_news_of_another_store(tmp_path: Path) -> None:
    async def work(loop: VirtualLoop) -> None:
        disks = Disks(schedule.draw(0, frozenset()))
        disk = disks.at(tmp_path / "outbox.sqlite")
        with disks.mounted():
            disk.belongs_to(Process("agent", loop))
            outbox = Outbox(disk.path, most_bytes=1 << 20, keep_us=1 << 60)
            outbox.append([Reading(POINT, 1, 1)], 1, [POINT])
            outlet = outbox.outlet("main")
            epoch = outbox.epoch
            assert outlet.apply(Receipt("one", epoch, 1), 1) is News.PROGRESS
            disk.full = True
            with pytest.raises(Retryable):
                outlet.apply(Receipt("other", epoch, 0), 2)
            disk.full = False
            assert outlet.apply(Receipt("other", epoch, 0), 3) is News.NEW_STORE
            assert outlet.depth() == 1
            outbox.close()

    clock.run(_draws(), work)


def test_what_was_chosen_before_a_restart_is_told_from_what_is_chosen_after_it() -> None:
    window = Window()
    before = window.generation
    window.sent(3, 0.0)
    assert window.generation == before
    window.restart()
    assert window.generation != before


async def test_an_agent_that_a_restored_store_does_not_know_hears_of_that_store(
    pool: Pool,
) -> None:
    own = writers.Bench(pool, await world.declare(pool))
    report = Status(AgentState.ONLINE, world.NOW, "an-epoch-of-later", 0)
    await own.write(report.to_json(), topic=writers.STATUS)
    told = Receipt.from_json((await own.published())[world.ACK])
    assert (told.store, told.epoch, told.committed) == (writers.STORE, "an-epoch-of-later", 0)


def test_the_simulated_disk_says_what_the_real_one_says(tmp_path: Path) -> None:
    async def work(loop: VirtualLoop) -> int | None:
        disks = Disks(schedule.draw(0, frozenset()))
        disk = disks.at(tmp_path / "file.sqlite")
        disk.belongs_to(Process("agent", loop))
        disk.full = True
        with pytest.raises(sqlite3.OperationalError) as caught:
            disk.before("INSERT")
        return caught.value.sqlite_errorcode

    link = sqlite3.connect(tmp_path / "real.sqlite", isolation_level=None)
    link.execute("CREATE TABLE t (a)")
    link.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as real:
        link.execute("INSERT INTO t SELECT randomblob(100000)")
    link.close()
    assert clock.run(_draws(), work) == real.value.sqlite_errorcode


def _draws() -> Random:
    return schedule.draw(0, frozenset()).stream("threads")
