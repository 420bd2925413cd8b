"""Bundles and second channels on a real store, a real notifier and a real inbox."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core import circuits
from core import plant as plants
from core.delivery import Reason
from ingest import bundles, notifier
from ingest.alerting import Alerting
from ingest.notifier import Notifier
from ingest.transports import open_transport
from store import circuits as kept
from tests.fixtures.service import free_port
from tests.ingest.alertworld import LAW, NOW, SECRET, TARGET, channel, month
from tests.ingest.world import eventually
from tests.simulators.inbox import running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from core.plant import Plant
    from ingest.channels import Channel
    from simulators.regulator import Server
    from store.connection import Pool

UNITS = 24
TEXT = """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"
"""
SECOND_TELLING = (
    "insert into notification (notification, alert, episode, channel, kind, body, created_at,"
    " next_at, origin) select gen_random_uuid(), alert, episode, channel, 'escalated', body,"
    " now(), now(), notification from notification"
)
UNIT_TEXT = """
[site.gh-al.unit.potline-{number}]
name = {{ zh = "电解系列", en = "Potline {number}" }}
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
"""


def many() -> Plant:
    units = "".join(UNIT_TEXT.format(number=number) for number in range(1, UNITS + 1))
    return plants.parse(TEXT + units, "plant.toml")


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Yard:
    """A plant of many units, what is decided on them, and one notifier a channel."""

    def __init__(self, pool: Pool, *channels: Channel, clock: Clock | None = None) -> None:
        self.pool = pool
        self.clock = clock or Clock()
        self.plant = many()
        self.alerting = Alerting(channels)
        self.channels = {each.name: each for each in channels}
        by_channel = notifier.of_all(pool, channels, self.clock)
        self.notifiers = dict(zip(self.channels, by_channel, strict=True))

    async def see(
        self, units: Sequence[int], verdict: str, limit: str, *, closed: bool = False
    ) -> None:
        async with self.pool.connection() as connection:
            for number in units:
                unit = self.plant.units[f"gh-al.potline-{number}"]
                seen = [month(verdict, limit, closed=closed)]
                await self.alerting.judge(connection, self.plant, unit, seen, self.clock())

    async def fire(self, count: int, limit: str = TARGET, *, closed: bool = False) -> None:
        """Raise one alert in each of so many units."""
        for _ in range(2):
            await self.see(range(1, count + 1), "exceeds", limit, closed=closed)
            self.clock.move(60)

    async def step(self, name: str = "regulator") -> int:
        async with open_transport(self.channels[name]) as link:
            return await self.notifiers[name].step(link)

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query)).fetchall()


@contextmanager
def inbox(yard_folder: Path, clock: Clock, port: int = 0) -> Iterator[Server]:
    with running(yard_folder / f"inbox-{port}", SECRET.encode(), clock, port) as server:
        yield server


async def arrived(server: Server) -> list[dict[str, Any]]:
    """Return the bodies that arrived, oldest first."""
    return [each["body"] for each in reversed(await asyncio.to_thread(server.inbox.items))]


async def test_a_storm_is_nine_messages_and_one_bundle_that_lists_the_rest(
    pool: Pool, tmp_path: Path
) -> None:
    clock = Clock()
    with inbox(tmp_path, clock) as server:
        yard = Yard(pool, channel(tmp_path, server.url), clock=clock)
        await yard.fire(UNITS)
        assert await yard.step() == 10
        assert await yard.step() == 0
        found = await arrived(server)
    assert [each["type"] for each in found] == ["alert.firing"] * 9 + ["alert.bundle"]
    bundle = found[-1]
    assert bundle["bundle"]["reason"] == "rate"
    assert [item["type"] for item in bundle["items"]] == ["alert.firing"] * (UNITS - 9)
    told = [each["alert"]["id"] for each in (*found[:-1], *bundle["items"])]
    assert len(set(told)) == UNITS
    states = await yard.rows(
        "select kind, state, count(*), count(bundle), count(distinct receipt) from notification"
        " group by kind, state order by kind"
    )
    assert states == [
        ("bundle", "delivered", 1, 0, 1),
        ("firing", "delivered", UNITS, UNITS - 9, 10),
    ]
    undelivered = "select count(*) from alert where delivered_at is null"
    assert await yard.rows(undelivered) == [(0,)]


async def test_what_follows_a_bundled_one_waits_for_the_bundle(pool: Pool, tmp_path: Path) -> None:
    port = free_port()
    yard = Yard(pool, channel(tmp_path, f"http://127.0.0.1:{port}/alerts", most_per_10_min=2))
    await yard.fire(6)
    await yard.step()  # one tried by itself, then the bundle: nobody is there
    for _ in range(6):
        await yard.see(range(1, 7), "within", TARGET)
        yard.clock.move(60)
    ((resolved,),) = await yard.rows("select count(*) from notification where kind = 'resolved'")
    assert resolved == 6
    assert await yard.rows(
        "select kind, tried_at is not null, bundle is not null, count(*) from notification"
        " group by 1, 2, 3 order by 1, 2, 3"
    ) == [
        ("bundle", True, False, 1),
        ("firing", False, True, 5),
        ("firing", True, False, 1),
        ("resolved", False, False, 6),
    ]
    types: list[str] = []
    with inbox(tmp_path, yard.clock, port) as server:
        for _ in range(4):
            yard.clock.move(601)
            await yard.step()
        for each in await arrived(server):
            items = each.get("items", [each])
            types += [f"{item['alert']['unit']} {item['type']}" for item in items]
    assert len(types) == 12
    for number in range(1, 7):
        unit = f"gh-al.potline-{number}"
        of_unit = [each for each in types if each.startswith(f"{unit} ")]
        assert of_unit == [f"{unit} alert.firing", f"{unit} alert.resolved"]


async def test_a_kill_after_the_attempt_began_keeps_it_out_of_every_bundle(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receiver has it, our store does not know: told again by its key, and not in a bundle."""
    clock = Clock()
    with inbox(tmp_path, clock) as server:
        yard = Yard(pool, channel(tmp_path, server.url, most_per_10_min=1), clock=clock)
        await yard.fire(1)

        async def killed(*_: object) -> None:
            raise asyncio.CancelledError

        with monkeypatch.context() as patched:
            patched.setattr(Notifier, "_settle", killed)
            with pytest.raises(asyncio.CancelledError):
                await yard.step()
        await yard.fire(5)
        assert await yard.step() == 1
        (first,) = await asyncio.to_thread(server.inbox.items)
    assert first["times"] == 2
    assert first["body"]["type"] == "alert.firing"


async def test_a_digest_comes_at_its_hour_in_one_message(pool: Pool, tmp_path: Path) -> None:
    clock = Clock()
    with inbox(tmp_path, clock) as server:
        yard = Yard(pool, channel(tmp_path, server.url, digest="12:30"), clock=clock)
        await yard.fire(3)
        await yard.see([4], "exceeds", LAW, closed=True)
        clock.move(60)
        await yard.see([4], "exceeds", LAW, closed=True)
        assert await yard.step() == 1  # the grave one; it is noon in Shanghai
        clock.move(3_600)
        assert await yard.step() == 1
        assert await yard.step() == 0
        found = await arrived(server)
    assert [each["type"] for each in found] == ["alert.firing", "alert.bundle"]
    assert found[0]["alert"]["severity"] == 2
    assert found[1]["bundle"]["reason"] == "digest"
    assert [item["alert"]["severity"] for item in found[1]["items"]] == [1, 1, 1]


async def test_what_a_channel_does_not_take_goes_to_the_second_once(
    pool: Pool, tmp_path: Path
) -> None:
    ports = free_port(), free_port()
    first = channel(
        tmp_path,
        f"http://127.0.0.1:{ports[0]}/alerts",
        escalate_to="duty",
        escalate_after_s=600,
    )
    second = channel(
        tmp_path, f"http://127.0.0.1:{ports[1]}/alerts", name="duty", jurisdiction="cn-gs"
    )
    yard = Yard(pool, first, second)
    await yard.fire(1)
    began = yard.clock()
    await yard.step()
    yard.clock.move(590)
    await yard.step()
    assert await yard.rows("select count(*) from notification") == [(1,)]
    yard.clock.move(20)
    for _ in range(3):
        await yard.step()
        yard.clock.move(400)
    with inbox(tmp_path, yard.clock, ports[1]) as server:
        assert await yard.step("duty") == 1
        assert await yard.step("duty") == 0
        (body,) = await arrived(server)
    assert body["type"] == "alert.escalated"
    assert body["alert"]["unit"] == "gh-al.potline-1"
    escalation = body["escalation"]
    assert (escalation["from"], escalation["of"]) == ("regulator", "firing")
    assert escalation["since"].startswith(began.isoformat()[:19])
    yard.clock.move(400)
    with inbox(tmp_path, yard.clock, ports[0]) as server:
        assert await yard.step() == 1  # the first is still told, once it is back
        (body,) = await arrived(server)
    assert body["type"] == "alert.firing"
    assert yard.notifiers["regulator"].escalated == 1


async def test_a_channel_that_has_been_out_for_long_escalates_what_is_new_at_once(
    pool: Pool, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}/alerts"
    first = channel(tmp_path, url, escalate_to="duty", escalate_after_s=600)
    second = channel(tmp_path, url, name="duty", jurisdiction="cn-gs", digest="12:30")
    yard = Yard(pool, first, second)
    await yard.fire(1)
    for _ in range(8):
        await yard.step()
        yard.clock.move(200)
    async with pool.connection() as connection:
        circuit = (await kept.states(connection))["regulator"]
    assert circuits.state(circuit, circuit.tried_at or NOW) is circuits.State.OPEN
    await yard.fire(3)
    for _ in range(4):
        yard.clock.move(301)
        await yard.step()
    escalated = await yard.rows(
        "select channel, kind, escalated_at is not null, count(*) from"
        " notification group by 1, 2, 3 order by 1, 2, 3"
    )
    assert escalated == [("duty", "escalated", False, 3), ("regulator", "firing", True, 3)]


async def test_what_waits_for_its_digest_is_not_overdue_while_the_channel_is_out(
    pool: Pool, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}/alerts"
    first = channel(tmp_path, url, escalate_to="duty", escalate_after_s=600, digest="08:00")
    yard = Yard(pool, first, channel(tmp_path, url, name="duty", jurisdiction="cn-gs"))
    await yard.fire(3)
    for _ in range(2):
        await yard.see([4], "exceeds", LAW, closed=True)
        yard.clock.move(60)
    for _ in range(8):
        await yard.step()
        yard.clock.move(301)
    of_duty = "select severity, count(*) from notification where channel = 'duty' group by 1"
    assert await yard.rows(of_duty) == [(2, 1)]
    yard.clock.move(20 * 3_600)  # past eight in the morning: now they are
    await yard.step()
    assert sorted(await yard.rows(of_duty)) == [(1, 3), (2, 1)]


async def test_channels_that_name_one_another_do_not_go_round(pool: Pool, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/alerts"
    one = channel(tmp_path, url, name="one", escalate_to="two", escalate_after_s=60)
    two = channel(
        tmp_path, url, name="two", jurisdiction="cn-gs", escalate_to="one", escalate_after_s=60
    )
    yard = Yard(pool, one, two)
    await yard.fire(1)
    for _ in range(6):
        await yard.step("one")
        await yard.step("two")
        yard.clock.move(600)
    found = await yard.rows("select channel, kind, escalated_at is not null from notification")
    assert sorted(found) == [("one", "firing", True), ("two", "escalated", True)]


async def test_what_is_given_up_goes_to_the_second_channel_too(pool: Pool, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/alerts"
    first = channel(tmp_path, url, escalate_to="duty")
    yard = Yard(pool, first, channel(tmp_path, url, name="duty", jurisdiction="cn-gs"))
    await yard.fire(1)
    yard.clock.move(30 * 86_400)
    await yard.step()
    found = await yard.rows("select channel, state from notification order by number")
    assert found == [("regulator", "abandoned"), ("duty", "waiting")]
    assert yard.notifiers["regulator"].abandoned == 1
    ((bound, hits, detail),) = await yard.rows("select bound, hits, detail from bound_hit")
    assert (bound, hits) == (notifier.GIVEN_UP, 1)
    assert "given up after 1 attempts" in detail


async def test_a_channel_that_cannot_be_opened_is_out_and_says_why(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.notifier.PAUSE_S", 0.01)
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    yard = Yard(pool, channel(tmp_path, "http://127.0.0.1:9/alerts", ca_file=broken))
    await yard.fire(1)
    work = asyncio.create_task(yard.notifiers["regulator"].run())
    try:
        async with asyncio.timeout(10):
            await eventually(pool, "select count(*) > 0 from delivery_attempt", [(True,)])
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    ((detail,),) = await yard.rows("select detail from delivery_attempt limit 1")
    assert "not sent" in detail
    assert "ca.pem" in detail


async def test_the_database_refuses_two_ways_of_telling_and_a_second_telling(
    pool: Pool, tmp_path: Path
) -> None:
    yard = Yard(pool, channel(tmp_path, f"http://127.0.0.1:{free_port()}/alerts"))
    await yard.fire(3)
    await yard.step()
    for wrong in (
        "update notification set bundle = (select notification from notification limit 1)",
        "update notification set kind = 'bundle'",
        SECOND_TELLING,
    ):
        with pytest.raises(psycopg.errors.IntegrityError):
            await yard.rows(f"{wrong} returning 1")


def test_a_bundle_is_bounded_in_bytes_and_holds_at_least_one() -> None:
    big = json.dumps({"version": 1, "at": "2026-11-21T04:00:00Z", "text": "x" * 200_000})
    text, held = bundles.bundle("b", Reason.RATE, [big] * 5, NOW)
    assert held == 2
    assert len(text) < bundles.MOST_BUNDLE_BYTES
    huge = json.dumps({"at": "2026-11-21T04:00:00Z", "text": "x" * 600_000})
    assert bundles.bundle("b", Reason.RATE, [huge, huge], NOW)[1] == 1
