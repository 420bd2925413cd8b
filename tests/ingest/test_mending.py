"""Dead letters come back on the one road: once, in the same transaction, and on record."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core import plant as plants
from core import wire
from core.errors import Rejected
from core.reading import Reading
from ingest import batch, declared, mending
from ingest.calculator import Calculator
from ingest.mending import Mender
from ingest.source import Arrival
from store import dead_letters, readings, retention, slots
from store import plants as stored
from store.dead_letters import Wanted
from tests.ingest import world
from tests.ingest.world import COUNTER, NOW, NOW_US, TOPIC, by_hand, packet, reading, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.connection import Pool
    from store.dead_letters import Kept

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGN, KEY = wire.signer(PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
NEW_POINT = "gh-al.potline-1.new-meter"
DECLARED_LATER = """
[site.gh-al.unit.potline-1.point.new-meter]
kind = "counter"
carrier = "electricity"
unit = "kWh"
[site.gh-al.agent.gw-09]
"""


async def arrive(pool: Pool, payload: bytes, topic: str = TOPIC) -> list[Kept]:
    """Take one message as the writer does and return all letters, oldest first."""
    async with pool.connection() as link:
        loaded = await stored.load(link)
        tables = declared.build(loaded.plant, loaded.ids, NOW)
        admitted = batch.admit([Arrival(topic, payload, lambda: None)], tables, NOW)
        await batch.write(link, admitted, tables, None, NOW)
        return (await dead_letters.page(link))[::-1]


async def declare_more(pool: Pool) -> None:
    text = world.TEXT.format(key="").replace("[site.qh-fa]", f"{DECLARED_LATER}\n[site.qh-fa]")
    async with pool.connection() as link:
        await stored.apply(link, plants.parse(text, "plant.toml"), NOW)


async def replay(pool: Pool, letters: Sequence[Kept]) -> list[tuple[str, str]]:
    done = await mending.replay_all(pool, [each.id for each in letters], "me", lambda: NOW)
    return [(each.outcome, each.detail) for each in done]


async def kept(pool: Pool, letter: int) -> Kept:
    async with pool.connection() as link:
        [found] = await dead_letters.page(link, Wanted(ids=[letter]))
    return found


async def count(pool: Pool) -> int:
    return int((await rows(pool, "select count(*) from reading"))[0][0])


async def test_a_reading_of_an_unknown_point_goes_in_once_it_is_declared(pool: Pool) -> None:
    await world.declare(pool)
    [letter] = await arrive(pool, by_hand([reading(5, NEW_POINT)]))
    assert await replay(pool, [letter]) == [("refused", "unknown_point: no such point is declared")]
    await declare_more(pool)
    assert await replay(pool, [letter]) == [("stored", "1 readings, 0 facts stored")]
    assert await replay(pool, [letter]) == [("same", "the ledger has it already")]
    found = await rows(
        pool, "select point, value, quality from reading join point using (point_id)"
    )
    assert found == [(NEW_POINT, 5.0, 0)]
    after = await kept(pool, letter.id)
    assert (after.payload, after.replayed_by, after.state) == (letter.payload, "me", "same")
    assert len(await rows(pool, "select 1 from dead_letter")) == 1


async def test_a_packed_message_of_an_unknown_agent_goes_in_whole_and_its_progress_with_it(
    pool: Pool,
) -> None:
    await world.declare(pool)
    sent = [Reading(COUNTER, NOW_US - i * 1_000_000, 100 - i) for i in range(5, 0, -1)]
    topic = TOPIC.replace("gw-01", "gw-09")
    [letter] = await arrive(pool, packet(sent, 1, agent="gw-09"), topic)
    await declare_more(pool)
    assert await replay(pool, [letter]) == [("stored", "5 readings, 0 facts stored")]
    assert await rows(pool, "select agent, committed from agent_epoch") == [("gw-09", 1)]


async def test_what_is_still_wrong_in_a_message_becomes_letters_of_its_own(pool: Pool) -> None:
    await world.declare(pool)
    sent = [reading(5), reading(6, "gh-al.potline-1.nothing")]
    topic = TOPIC.replace("gw-01", "gw-09")
    [letter] = await arrive(pool, by_hand(sent, agent="gw-09"), topic)
    await declare_more(pool)
    [(word, told)] = await replay(pool, [letter])
    assert word == "stored"
    assert told.endswith("1 refused, most of them unknown_point: each is a letter")
    assert await rows(pool, "select reason, point from dead_letter where point is not null") == [
        ("unknown_point", "gh-al.potline-1.nothing")
    ]


async def test_a_signed_agents_reading_is_replayed_without_a_signature_of_its_own(
    pool: Pool,
) -> None:
    await world.declare(pool, KEY)
    sent = [Reading(COUNTER, NOW_US + 3_600_000_000, 7)]
    data = packet(sent, 1, agent="signer", sign=SIGN, key=KEY)
    [letter] = await arrive(pool, data, TOPIC.replace("gw-01", "signer"))
    assert letter.reason == "future"
    later = NOW + timedelta(hours=2)
    [done] = await mending.replay_all(pool, [letter.id], "me", lambda: later)
    assert done.outcome == "stored"


async def test_a_forged_message_stays_refused(pool: Pool) -> None:
    await world.declare(pool, KEY)
    data = packet([Reading(COUNTER, NOW_US, 7)], 1, agent="signer")
    [letter] = await arrive(pool, data, TOPIC.replace("gw-01", "signer"))
    [(word, told)] = await replay(pool, [letter])
    assert (word, told.split(":")[0]) == ("refused", "bad_signature")
    assert await count(pool) == 0


async def test_a_conflict_mended_to_what_is_stored_is_the_same_and_else_stays_refused(
    pool: Pool,
) -> None:
    await world.declare(pool)
    await arrive(pool, by_hand([reading(5)]))
    [letter] = await arrive(pool, by_hand([reading(6)]))
    assert letter.reason == "conflict"
    assert [word for word, _ in await replay(pool, [letter])] == ["refused"]
    payload = mending.mended(letter.payload, {"value": 5})
    async with pool.connection() as link:
        await dead_letters.mend(link, letter.id, letter.topic, payload, "me", NOW)
    assert [word for word, _ in await replay(pool, [letter])] == ["same"]
    after = await kept(pool, letter.id)
    assert (after.payload, after.mended_payload) == (letter.payload, payload)


async def test_a_fact_of_an_unknown_unit_goes_in_once_mended(pool: Pool) -> None:
    await world.declare(pool)
    fact = {
        "id": "tap-1", "unit": "gh-al.potline-9", "kind": "tapping",
        "at": "2026-11-21T07:00:00Z", "mass_t": "6.125",
    }  # fmt: skip
    [letter] = await arrive(pool, json.dumps(fact).encode(), TOPIC.replace("readings", "output"))
    assert letter.reason == "unknown_unit"
    payload = mending.mended(letter.payload, {"unit": "gh-al.potline-1"})
    async with pool.connection() as link:
        await dead_letters.mend(link, letter.id, letter.topic, payload, "me", NOW)
    assert await replay(pool, [letter]) == [("stored", "0 readings, 1 facts stored")]
    assert await replay(pool, [letter]) == [("same", "the ledger has it already")]
    other = mending.mended(payload, {"mass_t": "7"})
    async with pool.connection() as link:
        await dead_letters.mend(link, letter.id, letter.topic, other, "me", NOW)
    assert await replay(pool, [letter]) == [("refused", "conflict")]


async def test_a_letter_of_which_only_the_beginning_is_kept_is_told_so(pool: Pool) -> None:
    await world.declare(pool)
    many = [reading(5, "gh-al.potline-1." + "x" * 300) for _ in range(300)]
    topic = TOPIC.replace("gw-01", "gw-09")
    [letter] = await arrive(pool, by_hand(many, agent="gw-09"), topic)
    [(word, told)] = await replay(pool, [letter])
    assert word == "cut"
    assert "have it sent again from where it came" in told


async def test_a_replay_is_computed_though_the_worker_remembers_the_point(pool: Pool) -> None:
    """The window of a point in memory lacks what was replayed: its mark says so."""
    tables = await world.declare(pool)
    async with pool.connection() as link:
        loaded = await stored.load(link)
    calculator = Calculator(pool, lambda: (loaded.plant, loaded.ids), lambda: NOW)
    start = NOW_US - 3_600_000_000

    async def store(*at: int) -> None:
        sent = [Reading(COUNTER, start + minute * 60_000_000, 10 * minute) for minute in at]
        data = readings.Rows(
            np.array([tables.ids[COUNTER]] * len(sent)),
            np.array([each.measured_us for each in sent]),
            np.array([float(each.value or 0) for each in sent]),
            np.zeros(len(sent), np.int16),
        )
        async with pool.connection() as link:
            done = await readings.write(link, data, NOW, None, tables.interval_us)
            marks = await slots.touch_rows(link, done.new, tables.gives_energy)
        calculator.committed(done.new, marks)
        while await calculator.step():
            pass

    await store(0, 1, 2, 20)  # counts of 0, 10, 20, 200: linear between minute 2 and 20
    at = "2026-11-21T07:10:00Z"
    await arrive(pool, by_hand([reading(20, "gh-al.potline-1.mistyped", measured_at=at)]))
    [(letter,)] = await rows(pool, "select dead_letter_id from dead_letter")
    mistyped = await kept(pool, letter)
    payload = mending.mended(mistyped.payload, {"point": COUNTER})
    async with pool.connection() as link:
        await dead_letters.mend(link, letter, TOPIC, payload, "me", NOW)
    await replay(pool, [mistyped])
    while await calculator.step():
        pass
    # Standing still until minute 10, then 18 a minute: 20 + 5 x 18 counts in the first slot.
    found = await rows(pool, "select energy_e6 from slot_energy order by slot_start limit 2")
    assert found == [(110_000_000,), (90_000_000,)]


async def test_a_reading_behind_the_horizon_is_archived_until_its_span_is_back(pool: Pool) -> None:
    await world.declare(pool)
    await arrive(pool, by_hand([reading(5, NEW_POINT)]))
    await declare_more(pool)
    [(letter,)] = await rows(pool, "select dead_letter_id from dead_letter")
    async with pool.connection() as link:
        await retention.move(link, NOW_US, NOW)
    [(word, told)] = await replay(pool, [await kept(pool, letter)])
    assert (word, told.split(":")[0]) == ("refused", "archived")
    async with pool.connection() as link:
        start = NOW_US - NOW_US % 86_400_000_000
        await retention.record_restored(link, (start, start + 86_400_000_000), NOW)
    assert [word for word, _ in await replay(pool, [await kept(pool, letter)])] == ["stored"]


async def test_the_worker_replays_what_people_ask_for(pool: Pool) -> None:
    await world.declare(pool)
    await arrive(pool, by_hand([reading(5, NEW_POINT), reading(6, "gh-al.potline-1.nothing")]))
    await declare_more(pool)
    mender = Mender(pool, lambda: NOW)
    assert await mender.step() == 0
    async with pool.connection() as link:
        await dead_letters.ask(link, dead_letters.ALL, "user:eve", NOW)
    assert await mender.step() == 2
    assert await mender.step() == 0
    query = "select outcome, replayed_by from dead_letter order by dead_letter_id"
    assert sorted(await rows(pool, query)) == [("refused", "user:eve"), ("stored", "user:eve")]


async def test_a_status_is_never_replayed(pool: Pool) -> None:
    await world.declare(pool)
    topic = "danhao/v1/gh-al/gw-09/status"
    [letter] = await arrive(pool, b'{"state":"online"}', topic)
    await declare_more(pool)
    [(word, told)] = await replay(pool, [letter])
    assert (word, "is not replayed" in told) == ("refused", True)


@pytest.mark.parametrize(
    ("payload", "changes", "wanted"),
    [
        (
            {"point": "a", "measured_us": 5},
            {"measured_at": "x"},
            {"point": "a", "measured_at": "x"},
        ),
        ({"readings": [{"point": "a"}]}, {"readings.0.point": "b"}, {"readings": [{"point": "b"}]}),
        ({"a": 1}, {"b": None}, {"a": 1, "b": None}),
    ],
)
def test_fields_are_set_by_path(payload: Any, changes: dict[str, Any], wanted: Any) -> None:
    assert json.loads(mending.mended(json.dumps(payload).encode(), changes)) == wanted


@pytest.mark.parametrize(
    ("payload", "path", "told"),
    [
        (b"\x0a\x00", "point", "packed or no JSON"),
        (b'{"readings": []}', "readings.0.point", "has no 'readings.0.point'"),
        (b'{"a": 1}', "a.b", "has no 'a.b'"),
        (b"{}", "a.b.c.d.e.f.g.h.i.j", "more than 8 steps"),
    ],
)
def test_what_cannot_be_set_is_told(payload: bytes, path: str, told: str) -> None:
    with pytest.raises(Rejected, match=told):
        mending.mended(payload, {path: 1})


@pytest.mark.parametrize(
    "data",
    [
        {"point": "a", "measured_us": 10**30, "value": 1, "quality": "good"},
        {"point": "a", "value": 1},
        {"point": "a", "measured_us": 1, "value": "many"},
        {"point": "a", "measured_us": 1, "value": 1, "quality": 9},
    ],
)
def test_a_reading_that_is_none_is_unreadable(data: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="unreadable"):
        mending.opened(json.dumps(data).encode(), "gw-01")


def test_a_count_beyond_what_is_exact_stays_refused_to_the_digit() -> None:
    data = {"point": "a.b.c", "measured_us": NOW_US, "value": repr(2**53 + 1), "quality": 0}
    found = mending.opened(json.dumps(data).encode(), "gw-01")
    assert [each.reason for each in found.refused] == ["count_too_large"]
    data["value"] = repr(2**53)
    found = mending.opened(json.dumps(data).encode(), "gw-01")
    assert found.value.tolist() == [float(2**53)]
