"""The writer on a real store: commit first, then everything else; failures are waited out."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg

from core import wire
from core.quality import Quality
from core.reading import Reading
from core.wire import AgentState, Status
from ingest.leases import Leases
from ingest.receipts import Receipts
from ingest.source import Arrival, Bounds
from ingest.writer import Hooks, Writer
from store import connection as connections
from store import partitions, retention
from tests.ingest import world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    import pytest
    from psycopg import AsyncConnection

    from ingest.declared import Declared
    from store.connection import Pool
    from store.readings import Rows

OUTPUT = "danhao/v1/gh-al/gw-01/output"
STATUS = "danhao/v1/gh-al/gw-01/status"
STORE = "a-store"


class Bench:
    """A writer, what it settled, what it handed over, and how often it failed."""

    def __init__(self, pool: Pool, declared: Declared) -> None:
        self.log: list[str] = []
        self.new: list[Rows] = []
        self.failures = 0
        self.held = True
        self.receipts = Receipts(STORE)
        hooks = Hooks(lambda new, _: self.new.append(new), self.failed, lambda: self.held)
        self.writer = Writer(
            pool, NoSource(), self.receipts, lambda: declared, lambda: world.NOW, hooks
        )

    def arrival(self, payload: bytes, topic: str = world.TOPIC) -> Arrival:
        return Arrival(topic, payload, lambda: self.log.append("settled"))

    async def write(self, *payloads: bytes, topic: str = world.TOPIC) -> None:
        await self.writer.write([self.arrival(payload, topic) for payload in payloads])

    async def published(self) -> dict[str, bytes]:
        """Let waiting receipts go out and return the last of each topic."""
        sent: dict[str, bytes] = {}

        async def publish(topic: str, payload: bytes, *, retain: bool) -> None:
            assert retain == ("committed" in json.loads(payload))
            sent[topic] = payload

        task = asyncio.create_task(self.receipts.run(publish))
        await world.wait_until(lambda: self.receipts.waiting() == 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return sent

    def failed(self) -> None:
        self.failures += 1


class NoSource:
    """A source that nothing comes from: these tests hand arrivals to the writer themselves."""

    async def run(self) -> None:
        raise NotImplementedError

    async def take(self, bounds: Bounds) -> list[Arrival]:
        raise NotImplementedError


async def letters(pool: Pool) -> list[tuple[str, str | None]]:
    return await world.rows(pool, "select reason, point from dead_letter order by dead_letter_id")


async def test_a_batch_is_stored_settled_marked_and_receipted(pool: Pool) -> None:
    declared = await world.declare(pool)
    own = Bench(pool, declared)
    await own.write(world.packet(world.counts(1, 3), 1), world.packet(world.counts(4, 2), 3))
    assert own.log == ["settled", "settled"]
    receipt = wire.Receipt(STORE, "e1", 3, ((2, 2),))
    assert await own.published() == {world.ACK: receipt.to_json()}
    assert [len(new) for new in own.new] == [3]
    assert own.writer.counters.conflicts == 2
    assert await world.rows(pool, "select count(*) from touched") == [(1,)]


async def test_a_repeated_sequence_is_stored_again_by_key_never_dropped_by_number(
    pool: Pool,
) -> None:
    own = Bench(pool, await world.declare(pool))
    await own.write(world.packet(world.counts(1, 2), 1))
    await own.write(world.packet(world.counts(1, 4), 1))
    assert await world.rows(pool, "select count(*) from reading") == [(4,)]
    assert (own.writer.counters.new, own.writer.counters.same) == (4, 2)


async def test_a_different_value_is_a_conflict_and_the_first_stays(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    await own.write(world.packet(world.counts(1, 1), 1))
    await own.write(world.packet(world.counts(2, 1), 2))
    await own.write(world.packet(world.counts(2, 1), 2))  # sent again: one letter
    assert await world.rows(pool, "select value from reading") == [(1.0,)]
    assert await letters(pool) == [("conflict", world.COUNTER)]
    [(detail,)] = await world.rows(pool, "select detail from dead_letter")
    assert detail == "at this instant 1.0 (good) came first and stays; 2.0 (good) was offered"
    receipt = wire.Receipt.from_json((await own.published())[world.ACK])
    assert receipt.committed == 2


async def test_overlapping_intervals_are_letters(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    start_us = world.NOW_US - 60 * world.MINUTE_US
    rows = [Reading(world.INTERVAL, start_us + n * world.MINUTE_US, 1.5) for n in (0, 5, 15)]
    await own.write(world.packet(rows, 1))
    assert await letters(pool) == [("overlap", world.INTERVAL)]
    assert await world.rows(pool, "select count(*) from reading") == [(2,)]


async def test_rows_that_somebody_else_wrote_meanwhile_cost_a_rollback_and_nothing_else(
    pool: Pool,
) -> None:
    declared = await world.declare(pool)
    one, other = Bench(pool, declared), Bench(pool, declared)
    await one.write(world.packet(world.counts(1, 1), 1))
    await other.write(world.packet(world.counts(1, 10), 1))
    await one.write(world.packet(world.counts(1, 12), 2))
    assert one.writer.counters.lost_races == 1
    assert await world.rows(pool, "select count(*) from reading") == [(12,)]
    assert await letters(pool) == []


async def test_nothing_is_settled_while_the_database_is_out_and_all_is_when_it_is_back(
    pool: Pool, database_url: str
) -> None:
    own = Bench(pool, await world.declare(pool))
    await own.write(world.packet(world.counts(1, 1), 1))
    own.log.clear()
    async with await psycopg.AsyncConnection.connect(database_url) as blocker:
        await blocker.execute("lock table reading in exclusive mode")
        task = asyncio.create_task(own.write(world.packet(world.counts(1, 9), 2)))
        await _until_waiting(blocker)
        assert own.log == []
        await blocker.execute(
            "select pg_terminate_backend(pid) from pg_locks where not granted and relation ="
            " 'reading'::regclass"
        )
        await world.wait_until(lambda: own.failures > 0)
        assert own.log == []
        await blocker.rollback()
        await task
    assert own.log == ["settled"]
    assert await world.rows(pool, "select count(*) from reading") == [(9,)]


async def _until_waiting(blocker: psycopg.AsyncConnection[Any]) -> None:
    query = "select count(*) from pg_locks where not granted and relation = 'reading'::regclass"
    async with asyncio.timeout(world.DEADLINE_S):
        while (await (await blocker.execute(query)).fetchone()) == (0,):  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # between two looks at the server


async def test_without_the_lease_nothing_is_written(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    own.held = False
    task = asyncio.create_task(own.write(world.packet(world.counts(1, 1), 1)))
    await world.wait_until(lambda: own.failures > 0)
    assert await world.rows(pool, "select count(*) from reading") == [(0,)]
    own.held = True
    await task
    assert await world.rows(pool, "select count(*) from reading") == [(1,)]


async def test_one_message_that_the_database_cannot_hold_holds_up_nobody(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    # A column made narrower than the contract stands for any message nobody thought of.
    async with pool.connection() as link:
        await link.execute("alter table agent_epoch alter epoch type varchar(4)")
    good = [world.packet(world.counts(n, 1, start_us=world.NOW_US - n), n) for n in (1, 2, 3)]
    odd = world.packet(world.counts(9, 1, start_us=world.NOW_US - 9), 1, epoch="too long")
    await own.write(good[0], odd, good[1], good[2])
    assert own.log == ["settled"] * 4
    assert await letters(pool) == [("unreadable", None)]
    assert await world.rows(pool, "select count(*) from reading") == [(3,)]


def fact(**more: object) -> bytes:
    return json.dumps(
        {
            "id": "t-1", "revision": 0, "unit": "gh-al.potline-1", "kind": "tapping",
            "at": "2026-11-21T07:00:00Z", "mass_t": "6.125", **more,
        }
    ).encode()  # fmt: skip


async def test_facts_are_stored_once_and_their_publisher_is_told(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    await own.write(fact(), fact(), fact(id="t-2"), topic=OUTPUT)
    assert await world.rows(pool, "select id, source from output_fact order by id") == [
        ("t-1", "gw-01"),
        ("t-2", "gw-01"),
    ]
    assert await own.published() == {world.ACK: b'{"ids":["t-1","t-2"]}'}
    assert own.writer.counters.facts == 2


async def test_facts_that_are_refused_are_letters_and_need_not_come_again(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    await own.write(
        fact(),
        fact(mass_t="7"),
        fact(id="a", unit="gh-al.potline-9"),
        fact(id="b", unit="qh-fa.furnace-2"),
        fact(id="c", at="2026-11-21T09:00:00Z"),
        fact(id="d", mass_t="NaN"),
        b"{",
        b" " * (2 << 20),
        topic=OUTPUT,
    )
    await own.write(fact(), topic="danhao/v1/gh-al/stranger/output")
    found = await world.rows(pool, "select reason from dead_letter order by reason")
    assert [reason for (reason,) in found] == [
        "conflict", "future", "not_a_number", "too_large", "unknown_agent", "unknown_unit",
        "unreadable", "wrong_site",
    ]  # fmt: skip
    assert await own.published() == {world.ACK: b'{"ids":["t-1","a","b","c","d"]}'}


async def test_a_status_is_kept_and_answered_with_the_receipt(pool: Pool) -> None:
    declared = await world.declare(pool)
    await Bench(pool, declared).write(world.packet(world.counts(1, 1), 5))
    own = Bench(pool, declared)
    online = Status(AgentState.ONLINE, world.NOW, "e1", 3)
    await own.write(online.to_json(), b"", b"{}", topic=STATUS)
    assert await world.rows(pool, "select state, depth from agent_status") == [("online", 3)]
    assert await letters(pool) == [("unreadable", None)]
    receipt = wire.Receipt(STORE, "e1", 5, ((1, 4),), at=world.NOW, status_at=world.NOW)
    assert await own.published() == {world.ACK: receipt.to_json()}


async def test_messages_without_sequence_have_no_receipt(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    await own.write(world.by_hand([world.reading(5)]))
    assert own.receipts.waiting() == 0
    assert await world.rows(pool, "select ts, value from reading") == [
        (world.NOW.replace(hour=7), 5.0)
    ]
    assert await world.rows(pool, "select count(*) from agent_epoch") == [(0,)]


async def test_a_receipt_that_a_broker_sends_back_is_no_reading(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    await own.write(wire.Receipt(STORE, "e1", 1).to_json(), topic=world.ACK)
    assert own.log == ["settled"]
    assert own.writer.counters.strays == 1
    assert await letters(pool) == []


async def test_a_pool_without_a_free_connection_is_waited_for(
    database_url: str, pool: Pool
) -> None:
    declared = await world.declare(pool)
    small = await connections.open_pool(database_url, most=1)
    small.timeout = 0.05
    own = Bench(small, declared)
    async with small.connection():
        task = asyncio.create_task(own.write(world.packet(world.counts(1, 1), 1)))
        await world.wait_until(lambda: own.failures > 0)
    await task
    await small.close()
    assert await world.rows(pool, "select count(*) from reading") == [(1,)]


async def test_a_batch_whose_site_was_taken_meanwhile_is_rolled_back_whole(pool: Pool) -> None:
    """Bug of a frozen worker: it wakes inside a transaction and must not commit it."""
    declared = await world.declare(pool)
    own = Bench(pool, declared)
    me, heir = Leases(pool, uuid4()), Leases(pool, uuid4())
    await me.step()
    frozen = True

    async def fence(connection: AsyncConnection[Any], sites: Collection[str]) -> None:
        if frozen:  # here it slept past its lease, all its statements done
            await expire(pool)
            await heir.step()
            await me.fence(connection, sites)
        else:
            await heir.fence(connection, sites)

    hooks = Hooks(lambda new, _: own.new.append(new), own.failed, fence=fence)
    writer = Writer(pool, NoSource(), own.receipts, lambda: declared, lambda: world.NOW, hooks)
    arrival = own.arrival(world.packet(world.counts(1, 3), 1))
    task = asyncio.create_task(writer.write([arrival]))
    await world.wait_until(lambda: own.failures == 1)
    assert heir.holds("gh-al")
    for table in ("reading", "agent_epoch", "touched"):
        assert await world.rows(pool, f"select count(*) from {table}") == [(0,)]  # noqa: S608
    assert own.log == []
    frozen = False
    await task
    assert own.log == ["settled"]


async def expire(pool: Pool) -> None:
    """Let the time of all leases and workers pass."""
    past = "expires_at = now() - interval '1 second'"
    for table in ("agent_lease", "ingest_worker"):
        await world.rows(pool, f"update {table} set {past} returning 1")  # noqa: S608 - constants


async def test_a_message_of_an_undeclared_site_needs_no_lease(pool: Pool) -> None:
    asked: list[set[str]] = []

    async def fence(_: AsyncConnection[Any], sites: Collection[str]) -> None:
        asked.append(set(sites))

    declared = await world.declare(pool)
    own = Bench(pool, declared)
    writer = Writer(
        pool, NoSource(), own.receipts, lambda: declared, lambda: world.NOW, Hooks(fence=fence)
    )
    stranger = own.arrival(world.packet(world.counts(1, 1), 1), "danhao/v1/nowhere/gw-01/readings")
    await writer.write([stranger])
    await writer.write([stranger, own.arrival(world.packet(world.counts(1, 1), 1))])
    assert asked == [set(), {"gh-al"}]
    assert await letters(pool) == [("unknown_agent", None)]


async def test_readings_behind_a_horizon_that_moved_a_moment_ago_are_letters_each(
    pool: Pool,
) -> None:
    declared = await world.declare(pool)
    day_us = 24 * 60 * world.MINUTE_US
    horizon_us = world.NOW_US - 10 * day_us
    async with pool.connection() as connection:
        await retention.move(connection, horizon_us, world.NOW)
    own = Bench(pool, declared)
    readings = [
        Reading(world.COUNTER, world.NOW_US - days * day_us, 100 - days) for days in (40, 30, 20, 1)
    ]
    fine = world.packet(world.counts(500, 1), 1, agent="gw-02")
    await own.writer.write(
        [
            own.arrival(world.packet(readings, 1)),
            own.arrival(fine, world.TOPIC.replace("gw-01", "gw-02")),
        ]
    )
    assert await world.rows(pool, "select value from reading order by ts") == [(99.0,), (500.0,)]
    assert await letters(pool) == [("archived", world.COUNTER)] * 3
    assert own.log == ["settled"] * 2
    receipt = wire.Receipt.from_json((await own.published())[world.ACK])
    assert receipt.committed == 1  # a refused reading spoils itself, not its envelope


async def test_more_new_days_than_one_transaction_bears_are_stored_in_several(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "MOST_AT_ONCE", 3)
    own = Bench(pool, await world.declare(pool))
    day_us = 24 * 60 * world.MINUTE_US
    readings = [
        Reading(world.COUNTER, world.NOW_US - days * day_us, 100 - days) for days in range(20)
    ]
    await own.write(world.packet(readings, 1))
    assert await world.rows(pool, "select count(*) from reading") == [(20,)]
    assert await letters(pool) == []
    assert own.log == ["settled"]
    counters = own.writer.counters
    assert (counters.messages, counters.readings, counters.new) == (1, 20, 20)


async def test_holes_are_counted_as_they_open_and_close(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    for sequence in (1, 5, 2, 3, 4):
        await own.write(
            world.packet(
                world.counts(sequence, 1, start_us=world.NOW_US - sequence * 1_000_000), sequence
            )
        )
    assert own.writer.gaps.report() == "missed=3 closed=3 lost=0"


async def test_two_words_on_a_bad_count_are_one_fact(pool: Pool) -> None:
    own = Bench(pool, await world.declare(pool))
    await own.write(world.packet([Reading(world.COUNTER, world.NOW_US, None, Quality.BAD)], 1))
    by_hand = world.reading(None, quality="bad", measured_at=world.NOW.isoformat())
    await own.write(world.by_hand([by_hand]), world.by_hand([{**by_hand, "value": 7}]))
    assert await world.rows(pool, "select value::text, quality from reading") == [("NaN", 2)]
    assert await letters(pool) == []
    assert (own.writer.counters.new, own.writer.counters.same) == (1, 2)


async def test_a_copy_of_what_another_worker_reads_is_acknowledged_and_left_to_it(
    pool: Pool,
) -> None:
    """Else one such message would hold up the worker for ever: it may not write it."""
    declared = await world.declare(pool)
    own = Bench(pool, declared)
    hooks = Hooks(reads=lambda site: site == "gh-al")
    writer = Writer(pool, NoSource(), own.receipts, lambda: declared, lambda: world.NOW, hooks)
    foreign = "danhao/v1/qh-fa/gw-01/readings"
    theirs = own.arrival(world.packet(world.counts(1, 1), 1), foreign)
    await writer.write([theirs])
    await writer.write([theirs, own.arrival(world.packet(world.counts(1, 1), 1))])
    assert own.log == ["settled"] * 3
    assert (writer.counters.strays, writer.counters.new) == (2, 1)
    assert await letters(pool) == []
    assert [*await own.published()] == [world.ACK]


class TwoBatches:
    """A source of two batches that are both there at once, and of nothing more."""

    def __init__(self, *batches: list[Arrival]) -> None:
        self._left = list(batches)

    async def run(self) -> None:
        raise NotImplementedError

    async def take(self, bounds: Bounds) -> list[Arrival]:
        assert bounds.messages > 0
        if not self._left:
            await asyncio.Event().wait()
        return self._left.pop(0)


@asynccontextmanager
async def running(writer: Writer) -> AsyncIterator[None]:
    task = asyncio.create_task(writer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_batch_taken_ahead_is_held_against_what_is_declared_when_it_is_stored(
    pool: Pool,
) -> None:
    """The next batch is judged while one is stored; what is declared meanwhile holds for it."""
    known = await world.declare(pool)
    declared = [replace(known, ids={}, ids_by_site={site: {} for site in known.ids_by_site})]
    own = Bench(pool, known)

    async def apply(_connection: AsyncConnection[Any], _sites: Collection[str]) -> None:
        declared[:] = [known]  # within the first batch's transaction

    first = own.arrival(Status(AgentState.ONLINE, world.NOW, "e1", 0).to_json(), STATUS)
    second = own.arrival(world.packet(world.counts(1, 3), 1))
    writer = Writer(
        pool,
        TwoBatches([first], [second]),
        own.receipts,
        lambda: declared[0],
        lambda: world.NOW,
        Hooks(fence=apply),
    )
    async with running(writer):
        await world.wait_until(lambda: len(own.log) == 2)
    assert await letters(pool) == []
    assert writer.counters.new == 3


async def test_a_batch_taken_ahead_is_left_to_the_worker_that_got_its_site_meanwhile(
    pool: Pool,
) -> None:
    declared = await world.declare(pool)
    own = Bench(pool, declared)
    ours = {"gh-al", "qh-fa"}

    async def hand_over(_connection: AsyncConnection[Any], _sites: Collection[str]) -> None:
        ours.discard("qh-fa")

    batches = [
        [own.arrival(world.packet(world.counts(1, 3), 1))],
        [own.arrival(world.packet([], 1), "danhao/v1/qh-fa/gw-01/readings")],
    ]
    hooks = Hooks(fence=hand_over, reads=ours.__contains__)
    source = TwoBatches(*batches)
    writer = Writer(pool, source, own.receipts, lambda: declared, lambda: world.NOW, hooks)
    async with running(writer):
        await world.wait_until(lambda: len(own.log) == 2)
    assert (writer.counters.strays, writer.counters.batches) == (1, 1)
