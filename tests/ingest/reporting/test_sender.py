"""Sending to platforms that fail in every way, with a real PostgreSQL and real HTTP between."""

from __future__ import annotations

import random
import ssl
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core.decimals import E6
from core.periods import SLOT_US
from core.reportsession import BEAT_S, MOST_BACK_OFF_S, State
from ingest.reporting import link as links
from simulators.platform import FAULTS, Faults
from store import reportqueue
from tests.core.reportcase import ENTERPRISE
from tests.edge.certificates import Authority
from tests.ingest.reporting.world import DAY, Desk, arrived, item, platform, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from core.reportplan import Report
    from ingest.reporting.config import Platform
    from ingest.reporting.sender import Sender
    from simulators.platform import Server
    from store.connection import Pool
    from store.reportqueue import Progress


@dataclass(frozen=True)
class At:
    """A desk and the one platform that it reports to."""

    server: Server
    desk: Desk
    report: Report
    table: Platform

    def sender(self) -> Sender:
        """Return a sender as a program that begins has it."""
        return self.desk.sender(self.table, self.report)

    async def look(self) -> int:
        return await self.desk.look(self.report)

    async def send(self, sender: Sender, steps: int) -> None:
        await self.desk.send(self.table, sender, steps)

    async def drain(self, sender: Sender) -> None:
        await self.desk.drain(self.table, sender)

    async def found(self) -> Progress:
        return (await self.desk.progress())[self.table.name]


@asynccontextmanager
async def begun(
    pool: Pool,
    folder: Path,
    *,
    slots: int = 0,
    faults: Faults | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[At]:
    """Yield a declared plant with so many slots to tell, and a platform that listens."""
    with platform(folder, "province", faults, tls) as server:
        desk = Desk(pool, folder)
        at = At(server, desk, await desk.declare(), settings(folder, "province", server.url))
        if slots:
            await desk.book_slots(slots)
            await at.look()
        yield at


async def test_a_sender_registers_takes_tables_declares_meters_and_sends(
    pool: Pool, tmp_path: Path
) -> None:
    async with begun(pool, tmp_path, slots=4) as at:
        sender = at.sender()
        await at.send(sender, 4)
        assert dict(at.server.counts) == {"register": 1, "tables": 1, "meters": 1, "data": 1}
        assert arrived(at.server) == await at.desk.told()
        row = at.server.ledger.rows()[0]
        assert (row["enterprise"], row["period"], row["label"], row["times"]) == (
            ENTERPRISE,
            "0",
            "2026-11-20 00:00:00",
            1,
        )
        (meter,) = at.server.ledger.meters()
    assert meter == {
        "name": "总进线",
        "model": "ADW300",
        "serial": "2026-0001",
        "accuracy": "0.35",
        "verified_until": "2027-06-30",
    }
    found = await at.found()
    assert (found.session.state, found.accepted, found.waiting) == (State.READY, 4, 0)
    assert sender.accepted == 4


async def test_each_platform_has_its_own_progress(pool: Pool, tmp_path: Path) -> None:
    """One is out for hours: the other is told meanwhile, and it catches up by itself."""
    faults = Faults(plan=["out"] * 12)
    with platform(tmp_path, "province") as near, platform(tmp_path, "nation", faults) as far:
        desk = Desk(pool, tmp_path)
        report = await desk.declare()
        await desk.book_slots(8)
        await desk.look(report)
        tables = [
            settings(tmp_path, "province", near.url),
            settings(tmp_path, "nation", far.url),
        ]
        senders = [desk.sender(table, report) for table in tables]
        for table, sender in zip(tables, senders, strict=True):
            await desk.send(table, sender, 5)
        found = await desk.progress()
        assert (found["province"].accepted, found["nation"].accepted) == (8, 0)
        assert arrived(far) == {}
        assert found["nation"].session.failures > 0
        await desk.drain(tables[1], senders[1])
        assert arrived(far) == arrived(near) == await desk.told()
        assert all(row["times"] == 1 for row in far.ledger.rows())


@pytest.mark.parametrize("fault", FAULTS)
async def test_after_any_fault_at_any_step_everything_arrives(
    fault: str, pool: Pool, tmp_path: Path
) -> None:
    """The fault hits register, tables, meters and data in turn."""
    async with begun(pool, tmp_path, slots=3) as at:
        for position in range(4):
            sender = at.sender()
            at.server.faults.plan = [""] * position + [fault]
            await at.desk.book("ac-import", DAY, (20 + position) * E6)
            assert await at.look() == 1
            await at.drain(sender)
            assert at.server.faults.told[fault] == position + 1
            assert arrived(at.server) == await at.desk.told()
        assert (await at.found()).expired == 0


async def test_what_was_kept_without_an_answer_is_sent_again_and_is_one(
    pool: Pool, tmp_path: Path
) -> None:
    async with begun(pool, tmp_path, slots=2, faults=Faults(plan=["", "", "", "deaf"])) as at:
        sender = at.sender()
        await at.send(sender, 4)
        assert len(at.server.ledger.rows()) == 2
        assert (await at.found()).accepted == 0
        await at.drain(sender)
        assert [row["times"] for row in at.server.ledger.rows()] == [2, 2]
    assert (await at.found()).accepted == 2


async def test_a_bad_figure_is_found_alone_and_holds_up_no_other(
    pool: Pool, tmp_path: Path
) -> None:
    async with begun(pool, tmp_path, slots=3) as at:
        await at.desk.book("gas", DAY, 5 * E6)
        day = DAY - 96 * SLOT_US
        await at.desk.book_all_day("gas", day, 5 * E6)
        await at.look()
        at.server.faults.refused_items = frozenset({item(at.report, "gas").code})
        sender = at.sender()
        await at.send(sender, 10)
        found = await at.found()
        assert (found.accepted, found.waiting, found.refused) == (3, 1, 1)
        # It is tried again ever more rarely, and goes once somebody has mended the platform.
        tried = at.server.counts["data"]
        await at.send(sender, 30)
        assert at.server.counts["data"] == tried
        at.server.faults.refused_items = frozenset()
        at.desk.clock.move(7_200)
        await at.drain(sender)
        assert arrived(at.server) == await at.desk.told()


async def test_a_newer_figure_goes_in_place_of_one_that_waits(pool: Pool, tmp_path: Path) -> None:
    async with begun(pool, tmp_path, slots=2, faults=Faults(plan=["out"] * 3)) as at:
        sender = at.sender()
        await at.send(sender, 2)
        await at.desk.book("ac-import", DAY, 99 * E6)
        await at.look()
        await at.drain(sender)
        assert arrived(at.server) == await at.desk.told()
        assert {row["times"] for row in at.server.ledger.rows()} == {1}
    states = await at.desk.rows("select state, count(*) from report_delivery group by 1 order by 1")
    assert states == [("accepted", 2), ("superseded", 1)]


async def test_a_restarted_sender_registers_anew_and_repeats_nothing(
    pool: Pool, tmp_path: Path
) -> None:
    async with begun(pool, tmp_path, slots=2) as at:
        await at.send(at.sender(), 4)
        await at.desk.book_slots(4)
        await at.look()
        await at.send(at.sender(), 4)
        assert at.server.counts["register"] == 2
        assert {row["times"] for row in at.server.ledger.rows()} == {1}
        assert arrived(at.server) == await at.desk.told()


async def test_new_tables_and_changed_meters_are_taken_in(pool: Pool, tmp_path: Path) -> None:
    async with begun(pool, tmp_path, slots=1) as at:
        sender = at.sender()
        await at.drain(sender)
        at.server.version = "2"
        at.server.names.energies.remove("33")
        at.desk.clock.move(BEAT_S)
        await at.send(sender, 3)
        assert (at.server.counts["beat"], at.server.counts["tables"]) == (1, 2)
        assert sender.unknown_codes == ("33",)
        assert (await at.found()).session.tables_version == "2"
        declared = at.server.counts["meters"]
        file = tmp_path / "national.toml"
        text = file.read_text(encoding="utf-8").replace("2026-0001", "2026-0002")
        file.write_text(text, encoding="utf-8")
        sender.report = await at.desk.maker.report()
        await at.send(sender, 1)
        assert at.server.counts["meters"] == declared + 1
        assert [meter["serial"] for meter in at.server.ledger.meters()] == ["2026-0002"]


async def test_a_wrong_key_is_tried_ever_more_rarely_until_it_is_mended(
    pool: Pool, tmp_path: Path
) -> None:
    async with begun(pool, tmp_path, slots=1) as at:
        (tmp_path / "key").write_text("another key of the tests")
        sender = at.sender()
        await at.send(sender, 120)
        assert at.server.counts["register"] == 2  # at once, and a minute later
        (tmp_path / "key").write_text("x")
        at.desk.clock.move(3_600)
        await at.send(sender, 1)
        assert at.server.counts["register"] == 2
        found = await at.found()
        assert "holds no key of" in found.session.detail
        (tmp_path / "key").write_text("a key of the tests, long enough")
        await at.drain(sender)
        details = await at.desk.rows("select detail from report_upload union all select detail"
                                  " from report_session")  # fmt: skip
        assert not any("another key" in detail for (detail,) in details)
        assert arrived(at.server) == await at.desk.told()


async def test_a_service_at_another_host_is_not_gone_to(pool: Pool, tmp_path: Path) -> None:
    async with begun(pool, tmp_path) as at:
        at.server.service_host = "169.254.169.254"
        await at.send(at.sender(), 3)
        assert dict(at.server.counts) == {"register": 1}
        found = await at.found()
        assert "use https" in found.session.detail
        assert found.session.state is State.STRANGER
        at.server.service_host = f"localhost:{at.server.server_port}"
        at.desk.clock.move(3_600)
        await at.send(at.sender(), 1)
        assert "add it to service_hosts" in (await at.found()).session.detail


async def test_a_platform_that_is_out_is_asked_ever_more_rarely(pool: Pool, tmp_path: Path) -> None:
    async with begun(pool, tmp_path, faults=Faults(plan=["out"] * 1_000)) as at:
        sender = at.sender()
        waits = []
        async with links.client(at.table) as link:
            for _ in range(12):
                await sender.step(link)
                session = (await at.found()).session
                waits.append((session.next_at - at.desk.clock.now).total_seconds())
                at.desk.clock.now = session.next_at
        assert waits == sorted(waits)
        assert (waits[0], waits[-1]) == (2.0, MOST_BACK_OFF_S)
        assert at.server.counts["register"] == 12


async def test_a_platform_that_registers_and_forgets_is_not_stormed(
    pool: Pool, tmp_path: Path
) -> None:
    async with begun(pool, tmp_path, faults=Faults(plan=["", "forgotten"] * 60)) as at:
        await at.send(at.sender(), 120)
        # After 2, 4, 8, 16 and 32 s, two minutes hold six registrations.
        assert 3 < at.server.counts["register"] <= 7


async def test_one_program_at_a_time_has_a_platform(pool: Pool) -> None:
    async with pool.connection() as one, pool.connection() as other:
        assert await reportqueue.hold(one, "province")
        assert not await reportqueue.hold(other, "province")
        assert await reportqueue.hold(other, "nation")


async def test_the_queue_of_a_platform_is_bounded_and_loses_nothing(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reportqueue, "MOST_WAITING", 5)
    monkeypatch.setattr(reportqueue, "MOST_DUE", 2)
    async with begun(pool, tmp_path, slots=12, faults=Faults(plan=["out"] * 2)) as at:
        sender = at.sender()
        await at.send(sender, 1)
        found = await at.found()
        assert (found.waiting, found.behind) == (5, 7)
        await at.drain(sender)
        assert arrived(at.server) == await at.desk.told()
        assert len(at.server.ledger.rows()) == 12


async def test_what_nobody_took_for_half_a_year_is_given_up_and_told(
    pool: Pool, tmp_path: Path
) -> None:
    desk = Desk(pool, tmp_path)
    report = await desk.declare()
    await desk.book_slots(2)
    await desk.look(report)
    table = settings(tmp_path, "province", "http://127.0.0.1:9")
    sender = desk.sender(table, report)
    await desk.send(table, sender, 1)
    desk.clock.now += reportqueue.MOST_AGE + timedelta(days=1)
    await desk.send(table, sender, 1)
    assert (sender.expired, (await desk.progress())["province"].expired) == (2, 2)


@pytest.mark.parametrize("write", ["session", "enqueue", "note", "settle", "save"])
async def test_a_sender_that_dies_at_any_write_loses_nothing(
    write: str, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database goes away before the write, at each step in turn; the next program goes on."""
    real = getattr(reportqueue, write)
    async with begun(pool, tmp_path) as at:
        deaths = 0
        for alive in range(5):
            left = alive

            async def dies(*given: Any, **more: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise psycopg.OperationalError("the database is gone")
                return await real(*given, **more)

            await at.desk.book_slots(2, DAY + alive * 2 * SLOT_US)
            await at.look()
            monkeypatch.setattr(reportqueue, write, dies)
            with suppress(psycopg.OperationalError):
                await at.send(at.sender(), 4)
            deaths += left < 0
            monkeypatch.setattr(reportqueue, write, real)
        await at.drain(at.sender())
        assert deaths > 1
        assert arrived(at.server) == await at.desk.told()
        assert len(at.server.ledger.rows()) == 10


async def test_both_sides_show_certificates_and_a_stranger_is_not_spoken_to(
    pool: Pool, tmp_path: Path
) -> None:
    ours, strange = Authority(tmp_path), Authority(tmp_path, "strange")
    own, client = ours.issue("platform"), ours.issue("client")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ours.file)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(own.certificate, own.key)
    async with begun(pool, tmp_path, slots=2, tls=tls) as at:
        shown = {"certificate_file": client.certificate, "certificate_key_file": client.key}
        for more in ({"ca_file": strange.file, **shown}, {"ca_file": ours.file}):
            wrong = replace(at, table=settings(tmp_path, "province", at.server.url, **more))
            await wrong.send(wrong.sender(), 1)
            assert at.server.counts.total() == 0
            at.desk.clock.move(10)
        table = settings(tmp_path, "province", at.server.url, ca_file=ours.file, **shown)
        right = replace(at, table=table)
        await right.drain(right.sender())
        assert arrived(at.server) == await at.desk.told()


@pytest.mark.slow
async def test_a_run_of_seeded_faults_ends_with_each_figure_told_as_the_ledger_has_it(
    pool: Pool, tmp_path: Path
) -> None:
    """Two platforms, four answers in ten bad, late data meanwhile, senders begun anew."""
    draw = random.Random(20261128)  # noqa: S311 - a replayable story
    with (
        platform(tmp_path, "province", Faults(0.4, 1)) as near,
        platform(tmp_path, "nation", Faults(0.4, 2)) as far,
    ):
        desk = Desk(pool, tmp_path)
        report = await desk.declare()
        servers = {"province": near, "nation": far}
        tables = {name: settings(tmp_path, name, each.url) for name, each in servers.items()}
        senders = {name: desk.sender(table, report) for name, table in tables.items()}
        for step in range(12):
            await desk.book_slots(1, DAY + step * SLOT_US)
            await desk.book("ac-import", DAY + draw.randrange(step + 1) * SLOT_US, step * E6)
            await desk.look(report)
            for name, table in tables.items():
                if draw.random() < 0.2:
                    senders[name] = desk.sender(table, report)
                await desk.send(table, senders[name], 3)
        for name, table in tables.items():
            await desk.drain(table, senders[name])
        told = await desk.told()
        assert arrived(near) == arrived(far) == told
        assert len(told) == 12
        assert sum(near.faults.told.values()) > 5
        assert sum(far.faults.told.values()) > 5
    for found in (await desk.progress()).values():
        assert (found.waiting, found.behind, found.expired) == (0, 0, 0)
