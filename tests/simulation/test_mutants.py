"""The simulation can fail: programs with a mistake of one line are found out within a few seeds."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from core import wire
from core.progress import Progress
from deploy.faultworld import schedule
from deploy.faultworld.broker import Broker
from deploy.faultworld.client import Client
from deploy.faultworld.ledger import Ledger
from deploy.faultworld.schedule import Kind
from ingest import batch, calculator, leases, writer
from store import slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.faultworld.world import Simulation

MOST_SEEDS = 200


def found(simulation: Simulation, kinds: set[Kind], what: str) -> int:
    """Return how many seeds it took until a fault of that sort was told."""
    for seed in range(MOST_SEEDS):
        outcome = simulation.run(seed, frozenset(kinds))
        if any(what in each for each in outcome.faults):
            return seed + 1
    pytest.fail(f"{MOST_SEEDS} schedules did not show: {what}")


def test_the_real_programs_pass_where_the_mutants_fail(simulation: Simulation) -> None:
    kinds = {
        Kind.COMMIT_FAILED, Kind.MESSAGE_LOST, Kind.INGEST_KILLED_IN_WRITE, Kind.BROKER_RESTARTED,
        Kind.STORE_RESTORED, Kind.MESSAGE_DELAYED, Kind.COMMIT_ANSWER_LOST,
    }  # fmt: skip
    for seed in range(3):
        assert simulation.run(seed, frozenset(kinds)).faults == []


def test_a_receipt_before_the_commit_is_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batch.write

    async def eager(*arguments: Any, **named: Any) -> Any:
        done = await real(*arguments, **named)
        for receipts in told:
            receipts.durable(done.progress)
        return done

    told: list[Any] = []
    made = writer.Writer.__init__

    def remember(self: Any, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        told[:] = [self._receipts]

    monkeypatch.setattr(writer.Writer, "__init__", remember)
    monkeypatch.setattr(batch, "write", eager)
    kinds = {Kind.COMMIT_FAILED, Kind.STATEMENT_SLOW, Kind.INGEST_KILLED_IN_WRITE}
    assert found(simulation, kinds, "before its commit")


def test_progress_that_is_saved_before_its_readings_is_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batch.write

    async def hasty(connection: Any, one: Any, declared: Any, marks: Any, now: Any) -> Any:
        await batch._advance(connection, one, now)
        await connection.commit()
        return await real(connection, one, declared, marks, now)

    monkeypatch.setattr(batch, "write", hasty)
    kinds = {Kind.INGEST_KILLED_IN_WRITE, Kind.COMMIT_FAILED, Kind.STORE_OUT}
    assert found(simulation, kinds, "before its commit")


def test_marks_of_slots_that_are_written_after_the_commit_are_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = slots.touch_rows

    async def later(*_: Any) -> list[int]:
        return []

    after = writer.Writer._after

    async def tardy(self: Any, one: Any, done: Any) -> None:
        async with self._pool.connection() as connection:
            await touch(connection, done.stored.new, self._declared().gives_energy)
        await after(self, one, done)

    monkeypatch.setattr(slots, "touch_rows", later)
    monkeypatch.setattr(writer.Writer, "_after", tardy)
    monkeypatch.setitem(schedule.ODDS, Kind.STATEMENT_FAILED, 0.1)
    kinds = {Kind.STATEMENT_FAILED, Kind.MESSAGE_DELAYED, Kind.BACKFILL}  # late readings show it
    assert found(simulation, kinds, "the oracle says")


def test_a_worker_that_begins_without_the_marks_of_the_one_before_is_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = calculator.Calculator.start

    async def forgetful(self: Any, connection: Any) -> None:
        await slots.settle(connection, [mark.id for mark in await slots.touched(connection)])
        await start(self, connection)

    monkeypatch.setattr(calculator.Calculator, "start", forgetful)
    assert found(simulation, {Kind.INGEST_KILLED_IN_WRITE}, "the oracle says")


def test_a_worker_that_nobody_fences_is_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_door(*_: Any, **__: Any) -> None:
        return

    # Both guards are gone: the fence, and the end of what a worker taken for dead has open.
    monkeypatch.setattr(leases.Leases, "fence", open_door)
    monkeypatch.setattr(Ledger, "drop", lambda _self, _process: None)
    monkeypatch.setitem(schedule.ODDS, Kind.INGEST_STALLED_IN_WRITE, 0.05)
    kinds = {Kind.INGEST_STALLED_IN_WRITE, Kind.MESSAGE_DELAYED, Kind.BACKFILL}
    assert found(simulation, kinds, "the oracle says")


def test_an_outbox_that_deletes_when_the_broker_confirms_is_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Client.publish

    async def deleting(self: Any, topic: str, payload: bytes = b"", **named: Any) -> None:
        await real(self, topic, payload, **named)
        if not topic.endswith("/readings"):
            return
        _, envelope = wire.unpack(payload)
        path = next(iter(disks[envelope.agent]))
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True)) as file, file:
            file.execute("DELETE FROM envelope WHERE sequence = ?", (envelope.sequence,))

    disks: dict[str, set[str]] = {}
    _watch_paths(monkeypatch, disks)
    monkeypatch.setattr(Client, "publish", deleting)
    assert found(simulation, {Kind.MESSAGE_LOST, Kind.BROKER_RESTARTED}, "readings are gone")


def _watch_paths(monkeypatch: pytest.MonkeyPatch, disks: dict[str, set[str]]) -> None:
    from deploy.faultworld.gateway import Gateway  # noqa: PLC0415 - for this mutant alone

    start: Callable[[Gateway], None] = Gateway.start

    def remembering(self: Gateway) -> None:
        disks[self.agent] = {str(self.disk.path)}
        start(self)

    monkeypatch.setattr(Gateway, "start", remembering)


def test_an_agent_that_takes_the_brokers_word_for_the_stores_is_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Broker.publish
    store: list[str] = []

    def forging(self: Any, topic: str, payload: bytes, *, retain: bool) -> None:
        if topic.endswith("/ack"):
            store[:] = [json.loads(payload)["store"]]
        real(self, topic, payload, retain=retain)
        if topic.endswith("/readings") and not wire.is_json(payload) and store:
            _, envelope = wire.unpack(payload)
            forged = wire.Receipt(store[0], envelope.epoch, envelope.sequence)
            real(self, topic.replace("/readings", "/ack"), forged.to_json(), retain=False)

    monkeypatch.setattr(Broker, "publish", forging)
    assert found(simulation, {Kind.MESSAGE_LOST, Kind.BROKER_RESTARTED}, "held but not stored")


def test_a_receipt_that_is_silent_about_holes_is_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(self: Progress, store: str, epoch: str) -> wire.Receipt:
        return wire.Receipt(store, epoch, self.committed, ())

    monkeypatch.setattr(Progress, "receipt", silent)
    kinds = {Kind.MESSAGE_LOST, Kind.MESSAGE_DELAYED}
    assert found(simulation, kinds, "before its commit")


def test_an_agent_that_does_not_tell_a_restored_store_from_the_one_before_is_found(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = wire.Receipt.from_json

    def blind(payload: bytes) -> wire.Receipt:
        told = read(payload)
        return wire.Receipt("any", told.epoch, told.committed, told.missing)

    monkeypatch.setattr(wire.Receipt, "from_json", staticmethod(blind))
    assert found(simulation, {Kind.STORE_RESTORED}, "held but not stored")
