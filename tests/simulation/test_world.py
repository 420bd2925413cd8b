"""What the simulation is made of keeps its word: virtual time, a dying disk, a forgetful broker."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from core.reading import Reading
from deploy.faultworld import clock, schedule
from deploy.faultworld.broker import Broker
from deploy.faultworld.clock import StuckError, VirtualLoop
from deploy.faultworld.disk import Disks
from deploy.faultworld.process import KilledError, Process
from deploy.faultworld.report import Totals
from deploy.faultworld.schedule import Kind
from edge.outbox import Outbox
from edge.outboxstate import inspect

if TYPE_CHECKING:
    from pathlib import Path

POINT = "fw.line-1.plain"


def draws() -> Random:
    return Random(1)  # noqa: S311 - replayable draws


def append_many(outbox: Outbox) -> None:
    for number in range(2, 10_000):
        outbox.append([Reading(POINT, number, number)], number, [POINT])


def test_an_hour_of_waiting_takes_no_time_and_keeps_its_order() -> None:
    async def work(loop: VirtualLoop) -> list[str]:
        told: list[str] = []

        async def say(word: str, after_s: float) -> None:
            await asyncio.sleep(after_s)
            told.append(f"{word} {loop.time():.0f}")

        await asyncio.gather(say("late", 3_600), say("soon", 1), say("never mind", 1))
        return told

    begun = time.monotonic()
    assert clock.run(draws(), work) == ["soon 1", "never mind 1", "late 3600"]
    assert time.monotonic() - begun < 5


def test_work_in_a_thread_is_done_and_told_on_virtual_time() -> None:
    async def work(loop: VirtualLoop) -> float:
        assert await asyncio.to_thread(lambda: 6 * 7) == 42
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return loop.time()

    assert 0 < clock.run(draws(), work) < 0.01


def test_programs_that_wait_for_nothing_are_told_to_hang() -> None:
    async def work(_: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StuckError, match="no timer"):
        clock.run(draws(), work)


def test_a_program_that_dies_between_two_writes_leaves_what_it_committed(tmp_path: Path) -> None:
    async def work(loop: VirtualLoop) -> None:
        drawn = schedule.draw(0, frozenset({Kind.AGENT_KILLED_IN_WRITE}))
        drawn.calm = True
        disks = Disks(drawn)
        disk = disks.at(tmp_path / "outbox.sqlite")
        with disks.mounted():
            process = Process("agent", loop)
            disk.belongs_to(process)
            outbox = Outbox(disk.path, most_bytes=1 << 20, keep_us=1 << 60)
            outbox.append([Reading(POINT, 1, 1)], 1, [POINT])
            drawn.calm = False
            with pytest.raises(KilledError):
                append_many(outbox)
            assert not process.alive
            with pytest.raises(sqlite3.OperationalError, match="dead"):
                disk.before("SELECT 1")
            outbox.close()
            disk.belongs_to(Process("agent again", loop))
            drawn.calm = True
            again = Outbox(disk.path, most_bytes=1 << 20, keep_us=1 << 60)
            last = again.state().last_sequence
            again.close()
        assert last >= 1
        assert inspect(disk.path)[0].held == last

    clock.run(draws(), work)


def test_a_spoiled_file_is_found_out_and_set_aside(tmp_path: Path) -> None:
    async def work(loop: VirtualLoop) -> None:
        disks = Disks(schedule.draw(0, frozenset()))
        disk = disks.at(tmp_path / "outbox.sqlite")
        with disks.mounted():
            disk.belongs_to(Process("agent", loop))
            outbox = Outbox(disk.path, most_bytes=1 << 20, keep_us=1 << 60)
            outbox.append([Reading(POINT, 1, 1)], 1, [POINT])
            epoch = outbox.epoch
            disk.abandon()
            outbox.close()
            disk.scribble()
            again = Outbox(disk.path, most_bytes=1 << 20, keep_us=1 << 60)
            assert again.epoch != epoch
            assert again.state().corrupt_files == 1
            again.close()

    clock.run(draws(), work)


def test_a_broker_hands_over_again_what_was_not_acknowledged_and_no_more_after_a_restart() -> None:
    async def work(loop: VirtualLoop) -> None:
        broker = Broker(schedule.draw(0, frozenset()), loop)
        link = broker.connect("ingest", persistent=True, arrived=lambda: None)
        broker.subscribe(link, ["a/+"])
        for word in (b"one", b"two"):
            broker.publish("a/b", word, retain=False)
            await asyncio.sleep(1)
        first = broker.fetch(link)
        assert first is not None
        broker.acknowledge(link, first[0])
        assert broker.fetch(link) is not None
        broker.cut("ingest")
        broker.publish("a/b", b"three", retain=True)
        await asyncio.sleep(1)
        link = broker.connect("ingest", persistent=True, arrived=lambda: None)
        words = [broker.fetch(link), broker.fetch(link), broker.fetch(link)]
        assert [each[1].payload for each in words if each is not None] == [b"two", b"three"]
        broker.restart(5)
        with pytest.raises(ConnectionRefusedError):
            broker.connect("ingest", persistent=True, arrived=lambda: None)
        await asyncio.sleep(6)
        link = broker.connect("ingest", persistent=True, arrived=lambda: None)
        broker.subscribe(link, ["a/+"])
        await asyncio.sleep(1)
        assert broker.fetch(link) is None

    clock.run(draws(), work)


def test_totals_of_processes_add_up() -> None:
    one, other = Totals(schedules=2, lost=1, stories=["a"]), Totals(schedules=3, broken=1)
    one.injected.update({"disk_full": 2})
    other.injected.update({"disk_full": 3})
    one.add(other)
    assert (one.schedules, one.lost, one.broken, one.stories) == (5, 1, 1, ["a"])
    assert one.injected["disk_full"] == 5
