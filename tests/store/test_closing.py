"""Promises of the month close: what a month was closed with stays, and every change is found."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import wire
from core.clock import to_us
from core.errors import Misconfigured, Rejected
from core.wire_pb2 import Packet
from store import closecheck, closing, digests, results, retention
from store.closable import NotClosable
from tests import story
from tests.story import COUNTER, START, UNIT, Story

if TYPE_CHECKING:
    from pathlib import Path

    from store.closing import MonthClose, Signer
    from store.connection import Pool
    from store.readings import Rows

OCTOBER = to_us(START)
MONTH_END = datetime(2026, 10, 31, 16, tzinfo=UTC)  # in the plant's zone


async def an_october(pool: Pool) -> tuple[Story, Rows]:
    """Tell of the last two days of October, and return the readings that have not arrived."""
    told = await Story.begin(pool)
    told.pass_time(timedelta(hours=41))  # an hour after the month's end
    rows = told.make(story.seeded(5), 41)
    held = rows.ts_us % (9 * story.HOUR_US) < story.HOUR_US
    await told.record(rows.take(~held))
    await told.tap("tap-1", START + timedelta(hours=9), "55")
    await told.tap("tap-1", START + timedelta(hours=9), "56", revision=1)
    await told.settle()
    told.pass_time(timedelta(minutes=10))
    return told, rows.take(held)


async def close(told: Story, signs: Signer | None = None, month: str = "2026-10") -> MonthClose:
    async with told.pool.connection() as link:
        return await closing.close_month(link, "s", month, "engineer", told.now, signs)


async def problems(pool: Pool) -> list[str]:
    async with pool.connection() as link:
        return [
            problem
            for closed in await closing.read(link, "s")
            for problem in (await closecheck.verify(link, closed)).problems
        ]


def signer(folder: Path) -> Signer:
    """Return who signs with a new key in a file that only its owner reads."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key_file = folder / "close.pem"
    key_file.write_bytes(pem)
    key_file.chmod(0o600)
    signs = closing.signer(key_file)
    assert signs is not None
    return signs


PROTECTED = ("month_close", "closed_figure", "catalogue_version", "result")


async def tamper(pool: Pool, table: str, statement: str) -> None:
    """Change what the triggers protect, as somebody with all rights over the tables may."""
    async with pool.connection() as link:
        if table in PROTECTED:
            await link.execute(f"alter table {table} disable trigger user")
        cursor = await link.execute(statement)
        assert cursor.rowcount > 0
        if table in PROTECTED:
            await link.execute(f"alter table {table} enable trigger user")


async def test_a_snapshot_names_what_stood_behind_the_month(pool: Pool) -> None:
    told, _ = await an_october(pool)
    closed = await close(told)
    content = closed.content()
    assert (closed.number, closed.previous, closed.signature) == (1, None, None)
    assert content["month_start"] == "2026-10-01T00:00:00+08:00"
    assert content["month_end"] == "2026-11-01T00:00:00+08:00"
    assert content["closed_by"] == "engineer"
    assert content["declaration"]["version"] == 1
    months = [each for each in content["figures"] if each["period"] == "month"]
    assert {each["indicator"] for each in months} == {"fesi.comprehensive", "fesi.smelting"}
    assert {each["version"] for each in content["figures"]} == {1}
    counts = {each["point"]: each["count"] for each in content["readings"]}
    async with pool.connection() as link:
        cursor = await link.execute(
            "select p.point, count(*) from reading join point p using (point_id)"
            " where ts < %s group by p.point",
            (MONTH_END,),
        )
        assert counts == dict(await cursor.fetchall())
        assert await closing.read(link, "s") == [closed]
        assert await closing.find(link, closed.id) == closed
    assert content["facts"] == [{"unit": UNIT, "count": 1, "sha256": content["facts"][0]["sha256"]}]
    assert await problems(pool) == []


async def test_late_data_makes_a_new_version_and_the_snapshot_stays(pool: Pool) -> None:
    told, held = await an_october(pool)
    closed = await close(told)
    told.pass_time(timedelta(hours=1))
    await told.record(held)
    await told.tap("tap-2", START + timedelta(hours=12), "4")
    await told.settle()
    async with pool.connection() as link:
        assert await closing.read(link, "s") == [closed]
        key = (UNIT, "fesi.smelting", "month")
        (month,) = await results.read(link, key, (OCTOBER - 30 * 86_400_000_000, OCTOBER), 10)
    assert month.version == 2
    assert month.close is not None
    assert (month.close.version, month.close.month_close) == (1, closed.id)
    assert month.versioned("Asia/Shanghai")["close"]["differs"] is True
    assert await problems(pool) == []


async def test_a_month_without_late_data_does_not_differ_from_its_snapshot(pool: Pool) -> None:
    told, _ = await an_october(pool)
    await close(told)
    async with pool.connection() as link:
        rows = await results.read(link, (UNIT, "fesi.smelting", "day"), (0, OCTOBER * 2), 10)
    shown = [(row.closed, row.versioned("UTC")["close"]) for row in rows]
    assert [row[1]["differs"] for row in shown if row[0]] == [False, False]
    assert [row[1] for row in shown if not row[0]] == [None]


async def test_closes_of_a_site_are_chained_and_signed(pool: Pool, tmp_path: Path) -> None:
    signs = signer(tmp_path)
    told, _ = await an_october(pool)
    first = await close(told, signs=signs)
    told.pass_time(timedelta(days=31))
    await told.settle()
    told.pass_time(timedelta(minutes=6))
    second = await close(told, signs, "2026-11")
    assert (second.number, second.previous) == (2, first.sha256)
    assert second.content()["previous"] == first.sha256.hex()
    assert first.signature is not None
    packet = Packet(envelope=first.body.encode(), signature=first.signature)
    assert wire.verify(packet, signs.key)
    assert json.loads(first.body)["number"] == 1
    assert await problems(pool) == []


async def refused(told: Story, month: str = "2026-10") -> str:
    with pytest.raises(Rejected) as error:
        await close(told, month=month)
    return error.value.reason


async def test_a_month_is_closed_once_over_computed_quiet_and_only_once(pool: Pool) -> None:
    told = await Story.begin(pool)
    assert await refused(told) == "unknown_site"
    told.pass_time(timedelta(hours=40, minutes=4))
    assert await refused(told) == "month_not_over"
    assert await refused(told, month="2026-13") == "bad_month"
    told.pass_time(timedelta(hours=2))
    assert await refused(told) == "month_not_computed"
    await told.settle()
    assert await refused(told) == "month_not_computed"
    await told.record(told.make(story.seeded(5), 42))
    assert await refused(told) == "month_not_computed"
    await told.settle()
    assert await refused(told) == "month_not_quiet"
    told.pass_time(timedelta(minutes=5))
    await close(told)
    assert await refused(told) == "month_closed"


async def test_all_that_stands_in_the_way_is_told_at_once(pool: Pool) -> None:
    told, held = await an_october(pool)
    told.pass_time(timedelta(hours=1))
    await told.record(held)
    await told.settle()
    await told.tap("tap-3", START + timedelta(hours=12), "5")
    with pytest.raises(NotClosable) as error:
        await close(told)
    waits, restless = error.value.obstacles
    assert (waits.reason, restless.reason) == ("month_not_computed", "month_not_quiet")
    assert "`danhao ingest run`" in waits.sentence
    assert "figures of s, the " in restless.sentence
    assert "2026-10-31T18:05:00Z: close the month once nothing has changed for 5" in (
        restless.sentence
    )


async def test_the_time_zone_of_the_site_decides_what_a_month_is(pool: Pool) -> None:
    told = await Story.begin(pool)
    await told.declare(story.plant(zone="America/New_York"))
    told.pass_time(timedelta(hours=45))  # 05:00 in Shanghai, 17:00 in New York
    await told.record(told.make(story.seeded(5), 45))
    await told.settle()
    told.pass_time(timedelta(minutes=10))
    assert await refused(told) == "month_not_over"
    told.pass_time(timedelta(hours=8))
    await told.settle()
    told.pass_time(timedelta(minutes=6))
    content = (await close(told)).content()
    assert content["month_start"] == "2026-10-01T00:00:00-04:00"
    assert content["month_end"] == "2026-11-01T00:00:00-04:00"


async def test_two_who_close_at_once_make_one_snapshot(pool: Pool) -> None:
    told, _ = await an_october(pool)
    done = await asyncio.gather(close(told), close(told), return_exceptions=True)
    refusals = [each for each in done if isinstance(each, NotClosable)]
    assert [each.reason for each in refusals] == ["month_closed"]
    async with pool.connection() as link:
        assert len(await closing.read(link, "s")) == 1


def test_without_a_key_file_nothing_signs_and_a_bad_one_is_named(tmp_path: Path) -> None:
    assert closing.signer(None) is None
    with pytest.raises(Misconfigured, match=r"nothing\.pem: cannot be read"):
        closing.signer(tmp_path / "nothing.pem")
    other = tmp_path / "other.pem"
    other.write_bytes(b"secret")
    other.chmod(0o600)
    with pytest.raises(Misconfigured, match=r"other\.pem: the key is no PEM private key"):
        closing.signer(other)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_key_that_others_may_read_or_change_is_refused_with_what_to_do(
    tmp_path: Path, mode: int
) -> None:
    signer(tmp_path)
    key_file = tmp_path / "close.pem"
    key_file.chmod(mode)
    with pytest.raises(Misconfigured, match=f"chmod 600 {key_file}"):
        closing.signer(key_file)


async def test_a_snapshot_of_the_older_format_still_verifies(pool: Pool) -> None:
    told, _ = await an_october(pool)
    closed = await close(told)
    content = closed.content()
    content["format"] = 1
    del content["key"]
    async with pool.connection() as link:
        month = (closed.month_start_us, closed.month_end_us)
        content["facts"] = [
            {
                "unit": each["unit"],
                "count": each["count"],
                "sha256": (
                    await digests.facts(link, each["unit"], month, closed.known_at, 1)
                ).sha256,
            }
            for each in content["facts"]
        ]
        cursor = await link.execute(
            "select id, revision, kind, at, mass_e6, grades from output_fact where revision = 1"
        )
        (row,) = await cursor.fetchall()
    # The digest of a fact as it was before facts had a stream, written down once more.
    text = json.dumps(
        [[*row[:3], "2026-10-30T09:00:00Z", *row[4:]]], sort_keys=True, separators=(",", ":")
    )
    assert content["facts"][0]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    body = digests.canonical(content)
    assert body != closed.body
    quoted = body.replace("'", "''")
    sha256 = hashlib.sha256(body.encode()).hexdigest()
    await tamper(
        pool,
        "month_close",
        f"update month_close set body = '{quoted}', sha256 = '\\x{sha256}'",  # noqa: S608
    )
    assert await problems(pool) == []
    await tamper(pool, "output_fact", "update output_fact set mass_e6 = 1 where revision = 1")
    assert await problems(pool) == [f"facts of {UNIT}: one of the 1 was changed"]


async def test_a_signature_that_was_taken_away_and_a_key_that_is_another_are_found(
    pool: Pool, tmp_path: Path
) -> None:
    signs = signer(tmp_path)
    told, _ = await an_october(pool)
    closed = await close(told, signs)
    async with pool.connection() as link:
        assert (await closecheck.verify(link, closed, signs.key)).well
        other = "ed25519:" + "A" * 43 + "="
        checked = await closecheck.verify(link, closed, other)
    assert checked.problems == (f"it is signed by {signs.key}, not by {other}",)
    await tamper(pool, "month_close", "update month_close set key = null, signature = null")
    assert await problems(pool) == [
        f"the body is to be signed by {signs.key} and is signed by nobody"
    ]


async def test_every_part_is_named_with_what_nobody_could_look_at(pool: Pool) -> None:
    told, _ = await an_october(pool)
    closed = await close(told)
    async with pool.connection() as link:
        states = {part.name: part.state for part in (await closecheck.verify(link, closed)).parts}
        assert states == {
            "hash": "well",
            "body": "well",
            "signature": "unchecked",
            "chain": "well",
            "declaration": "well",
            "catalogue": "well",
            "figures": "well",
            "readings": "well",
            "facts": "well",
        }
        await retention.move(link, to_us(START + timedelta(hours=20)), told.now)
        checked = await closecheck.verify(link, closed)
    assert checked.well
    assert [reason.partition(":")[0] for reason in checked.unchecked] == [
        "it is not signed",
        "readings of this month are archived",
    ]


@pytest.mark.parametrize("table", ["month_close", "closed_figure", "catalogue_version"])
@pytest.mark.parametrize("verb", ["delete from {}", "truncate {} cascade"])
async def test_what_was_closed_cannot_be_removed(pool: Pool, table: str, verb: str) -> None:
    told, _ = await an_october(pool)
    await close(told)
    async with pool.connection() as link:
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            await link.execute(verb.format(table))


async def test_a_closed_version_cannot_be_overwritten_and_an_open_one_can(pool: Pool) -> None:
    told, _ = await an_october(pool)
    assert told.now > MONTH_END
    async with pool.connection() as link:
        await link.execute("update result set figures = figures where not closed")
        for statement in ("update result set version = 9 where closed", "delete from result"):
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                async with link.transaction():
                    await link.execute(statement)


TAMPERED = {
    "body": ("month_close", "update month_close set body = body || ' '", "body is not the one"),
    "column": ("month_close", "update month_close set closed_by = 'x'", "closed_by is 'x'"),
    "figures": (
        "result",
        """update result set figures = jsonb_set(figures, '{energy,value}', '"1"')
        where period = 'month' and closed""",
        "its figures were changed",
    ),
    "result": ("result", "delete from result where period = 'month' and closed", "is gone"),
    "closed figure": ("closed_figure", "delete from closed_figure", "does not hold"),
    "declaration": (
        "site_version",
        "update site_version set declaration = jsonb_set(declaration, '{jurisdiction}', '\"cn\"')",
        "version 1 of the declaration",
    ),
    "catalogue": (
        "catalogue_version",
        'update catalogue_version set files = files || \'{"limits.toml": ""}\'',
        "the catalogue",
    ),
    "fact": ("output_fact", "update output_fact set mass_e6 = 1 where revision = 1", "facts of"),
    "reading": (
        "reading",
        "update reading set value = value + 1 where quality = 0",
        "was changed",
    ),
    "missing reading": ("reading", "delete from reading where quality = 2", "there are"),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_whoever_changes_a_part_is_found(pool: Pool, what: str) -> None:
    told, _ = await an_october(pool)
    await close(told)
    assert await problems(pool) == []
    table, statement, expected = TAMPERED[what]
    await tamper(pool, table, statement)
    found = await problems(pool)
    assert any(expected in problem for problem in found), found


async def test_a_forged_signature_and_a_missing_link_are_found(pool: Pool) -> None:
    told, _ = await an_october(pool)
    first = await close(told)
    told.pass_time(timedelta(days=31))
    await told.settle()
    told.pass_time(timedelta(minutes=6))
    await close(told, month="2026-11")
    key = "ed25519:" + "A" * 43 + "="
    await tamper(
        pool,
        "month_close",
        f"update month_close set key = '{key}', signature = 'x' where number = 1",  # noqa: S608
    )
    assert await problems(pool) == [
        f"the body is to be signed by nobody and is signed by {key}",
        f"the signature is not by {key}",
    ]
    async with pool.connection() as link:
        await link.execute("alter table closed_figure disable trigger user")
        await link.execute("delete from closed_figure where month_close = %s", (first.id,))
        await link.execute("alter table closed_figure enable trigger user")
    await tamper(pool, "month_close", "delete from month_close where number = 1")
    assert await problems(pool) == ["the snapshot before, number 1 of s, is missing"]


async def test_the_digest_of_readings_is_computed_from_their_bytes_alone(pool: Pool) -> None:
    told, _ = await an_october(pool)
    closed = await close(told)
    async with pool.connection() as link:
        cursor = await link.execute(
            "select r.ts, r.value, r.quality from reading r join point p using (point_id)"
            " where p.point = %s and r.ts < %s order by r.ts",
            (COUNTER, MONTH_END),
        )
        rows = await cursor.fetchall()
    body = b"".join(struct.pack("<qdh", to_us(at), value, quality) for at, value, quality in rows)
    said = {each["point"]: each["sha256"] for each in closed.content()["readings"]}
    assert said[COUNTER] == hashlib.sha256(body).hexdigest()
    assert not np.isnan([row[1] for row in rows]).any()
