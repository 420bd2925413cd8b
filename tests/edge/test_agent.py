"""The agent whole: real meters, a real broker, and a stop that keeps what is in memory."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from core.clock import utc_now
from core.errors import Retryable
from core.reading import Reading
from edge import agent as agents
from edge import breaker
from edge.agent import Agent
from edge.driver import Polled, Seen, Station
from edge.outbox import Outbox
from tests.edge.meters import Meter, serving
from tests.edge.plant import loaded, store_behind, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from edge.config import Configuration
    from tests.fixtures.broker import Broker


@asynccontextmanager
async def working(
    config: Configuration, stations: Sequence[Station] | None = None
) -> AsyncIterator[Agent]:
    """Run an agent inside the block and stop it as a signal does."""
    agent = Agent(config, clock=utc_now, monotonic=time.monotonic, stations=stations)
    stop = asyncio.Event()
    task = asyncio.create_task(agent.run(stop))
    try:
        yield agent
    finally:
        stop.set()
        begun = time.monotonic()
        await asyncio.wait_for(task, 5)
        assert time.monotonic() - begun < 2.0


class Ticker:
    """A device without a protocol: counts its polls; silent while `dead`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counters = frozenset({f"gh-al.{name}.energy"})
        self.count = 0
        self.dead = False
        self.size = 1

    async def poll(self) -> Polled:
        await asyncio.sleep(0)
        if self.dead:
            return Polled((), (f"{self.name} is dead",))
        rows = []
        for _ in range(self.size):
            self.count += 1
            rows.append(Reading(f"gh-al.{self.name}.energy", self.count, self.count))
        return Polled(rows)

    async def look(self) -> Sequence[Seen]:
        return ()

    async def close(self) -> None:
        pass


def seated(ticker: Ticker, line: str = "", period_s: float = 0.1) -> Station:
    """Put a device on a line of its own, unless the test names one."""
    return Station(ticker, line or ticker.name, period_s, 0.1)


def kept_rows(config: Configuration) -> list[int]:
    """Return how many readings each envelope of a stopped agent's outbox holds."""
    box = Outbox(config.outbox_path, most_bytes=1 << 20, keep_us=10**15)
    try:
        return [held.rows for held in box.outlet("main").peek(0, 1_000)]
    finally:
        box.close()


@pytest.mark.broker
async def test_a_register_reaches_the_store(tmp_path: Path, broker: Broker) -> None:
    meter = Meter()
    meter.show(62, 0x0012, 0xD687)
    meter.show(36, 0, 500)
    async with (
        serving(meter) as port,
        store_behind(broker.port) as store,
        working(loaded(tmp_path, broker.port, port)) as agent,
    ):
        await until(lambda: store.values)
        await until(lambda: agent.outbox.state().depth == 0)
    found = {point: value for (point, _), value in store.values.items()}
    assert found == {"gh-al.m1.energy": 1_234_567, "gh-al.m1.power": 500.0}


@pytest.mark.broker
async def test_a_dead_meter_costs_the_others_nothing(tmp_path: Path, broker: Broker) -> None:
    meter = Meter()
    async with (
        serving(meter) as port,
        store_behind(broker.port) as store,
        working(loaded(tmp_path, broker.port, 1, port)) as agent,
    ):
        await until(lambda: agent.counts.meters["m2"].polls >= 2)
        await until(lambda: store.values)
        assert agent.counts.meters["m1"].readings == 0
        assert agent.counts.meters["m1"].failures >= 1
        assert agent.counts.meters["m2"].failures == 0
    assert {point for point, _ in store.values} == {"gh-al.m2.energy", "gh-al.m2.power"}


async def test_a_stop_keeps_what_is_in_memory_without_any_broker(tmp_path: Path) -> None:
    config = loaded(tmp_path, 1)
    ticker = Ticker("m1")
    async with working(config, [seated(ticker)]) as agent:
        await until(lambda: ticker.count >= 3)
    assert agent.counts.readings == ticker.count
    assert sum(kept_rows(config)) == ticker.count


async def test_batches_are_bounded_and_none_is_lost(tmp_path: Path) -> None:
    config = loaded(tmp_path, 1)
    ticker = Ticker("m1")
    ticker.size = 1_700
    async with working(config, [seated(ticker)]) as agent:
        await until(lambda: agent.counts.envelopes >= 8)
    assert agent.counts.dropped == 0
    assert agent.counts.readings == ticker.count
    sizes = kept_rows(config)
    assert sum(sizes) == ticker.count
    assert max(sizes) == agents.MOST_BATCH_READINGS


async def test_a_driver_hears_when_what_it_gave_is_on_disk(tmp_path: Path) -> None:
    """Once for each poll, in order, and never before the outbox holds its readings."""
    heard: list[tuple[int, int]] = []

    class Promising(Ticker):
        async def poll(self) -> Polled:
            polled = await super().poll()
            upto = self.count
            return polled._replace(kept=lambda: heard.append((upto, agent.counts.kept)))

    ticker = Promising("m1")
    ticker.size = 3
    config = loaded(tmp_path, 1)
    async with working(config, [seated(ticker)]) as agent:
        await until(lambda: len(heard) >= 5)
    assert [upto for upto, _ in heard] == list(range(3, ticker.count + 1, 3))
    assert all(kept >= upto for upto, kept in heard)
    assert sum(kept_rows(config)) == ticker.count


async def test_a_disk_that_refuses_is_counted_and_the_readings_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr(agents, "BATCH_S", 0.05)
    ticker = Ticker("m1")
    async with working(loaded(tmp_path, 1), [seated(ticker)]) as agent:
        taken = agent.outbox.append

        def refuses(*_: object) -> int:
            raise Retryable("no space left")

        monkeypatch.setattr(agent.outbox, "append", refuses)
        await until(lambda: agent.counts.disk_errors >= 2)
        assert agent.counts.envelopes == 0
        monkeypatch.setattr(agent.outbox, "append", taken)
        await until(lambda: agent.counts.envelopes >= 1)
    assert agent.counts.dropped == 0
    assert sum(kept_rows(agent.config)) >= 1


async def test_memory_is_bounded_while_the_disk_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "MOST_WAITING_READINGS", 100)
    monkeypatch.setattr(agents, "FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr(agents, "BATCH_S", 0.05)
    ticker = Ticker("m1")
    ticker.size = 60
    async with working(loaded(tmp_path, 1), [seated(ticker)]) as agent:
        taken = agent.outbox.append

        def refuses(*_: object) -> int:
            raise Retryable("no space left")

        monkeypatch.setattr(agent.outbox, "append", refuses)
        await until(lambda: agent.counts.dropped > 0)
        monkeypatch.setattr(agent.outbox, "append", taken)


async def test_a_meter_that_fails_is_tried_ever_less_often_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(breaker, "FIRST_BACKOFF_S", 0.01)
    dead, living = Ticker("m1"), Ticker("m2")
    dead.dead = True
    async with working(loaded(tmp_path, 1), [seated(dead), seated(living)]) as agent:
        await until(lambda: agent.counts.meters["m1"].failures >= 5)
        dead.dead = False
        await until(lambda: dead.count >= 1)
    told = [record.message for record in caplog.records if "m1 is dead" in record.message]
    assert len(told) == 1
    assert agent.counts.meters["m2"].failures == 0
