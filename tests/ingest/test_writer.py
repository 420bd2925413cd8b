"""The writer on a real store: commit first, then everything else; failures are waited out."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import psycopg

from core import wire
from core.reading import Reading
from core.wire import AgentState, Status
from ingest.receipts import Receipts
from ingest.source import Arrival, Bounds
from ingest.writer import Hooks, Writer
from store import connection as connections
from tests.ingest import world

if TYPE_CHECKING:
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
        hooks = Hooks(self.new.append, self.failed, lambda: self.held)
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
    receipt = wire.Receipt(STORE, "e1", 5, ((1, 4),))
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
