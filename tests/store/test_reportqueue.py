"""The tables of national reporting refuse what must not be, on every engine at hand."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from core.clock import to_us
from core.periods import SLOT_US
from core.reportsession import Outcome, State
from store import reportqueue
from store.reportfigures import Figure
from store.reportqueue import Upload

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from store.connection import Pool

NOW = datetime.fromisoformat("2026-11-20T12:00:00+08:00")
START = to_us(datetime.fromisoformat("2026-11-20T00:00:00+08:00"))


def figures(count: int, value: str = "1", first: int = 0) -> list[Figure]:
    return [
        Figure("0" * 20, "slot", START + (first + n) * SLOT_US, value, "kWh", "measured")
        for n in range(count)
    ]


async def enqueued(link: AsyncConnection[Any], name: str = "province") -> int:
    session = await reportqueue.session(link, name, "gh-al", NOW)
    return await reportqueue.enqueue(link, session, NOW)


def upload(name: str = "province") -> Upload:
    return Upload(uuid.uuid4(), name, "data", NOW, 20, 200, "done", 1, "answered 200")


async def test_a_figure_is_kept_once_for_each_value_it_has_had(pool: Pool) -> None:
    async with pool.connection() as link:
        assert await reportqueue.record(link, "gh-al", figures(3), NOW) == 3
        assert await reportqueue.record(link, "gh-al", figures(4), NOW) == 1
        assert await reportqueue.record(link, "gh-al", figures(1, "2"), NOW) == 1
        assert await reportqueue.record(link, "gh-al", figures(1, "1"), NOW) == 1
        assert await reportqueue.record(link, "qh-fa", figures(1), NOW) == 1
        cursor = await link.execute(
            "select value from report_figure where site = 'gh-al' and period_start = %s"
            " order by revision",
            (datetime.fromisoformat("2026-11-20T00:00:00+08:00"),),
        )
        assert await cursor.fetchall() == [("1",), ("2",), ("1",)]


async def test_a_figure_is_never_rewritten(pool: Pool) -> None:
    async with pool.connection() as link:
        await reportqueue.record(link, "gh-al", figures(1), NOW)
    for statement in ("update report_figure set value = '9'", "truncate report_figure cascade"):
        async with pool.connection() as link:
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                await link.execute(statement)
            await link.rollback()


async def test_a_platform_that_comes_later_gets_everything_and_of_its_own_site(pool: Pool) -> None:
    async with pool.connection() as link:
        await reportqueue.record(link, "gh-al", figures(3), NOW)
        await reportqueue.record(link, "qh-fa", figures(5), NOW)
        assert await enqueued(link) == 3
        assert await enqueued(link) == 0
        await reportqueue.record(link, "gh-al", figures(2, first=3), NOW)
        assert await enqueued(link, "nation") == 5
        assert await enqueued(link) == 2


async def test_a_platform_that_comes_later_is_not_told_what_is_older_than_half_a_year(
    pool: Pool,
) -> None:
    async with pool.connection() as link:
        old = NOW - reportqueue.MOST_AGE - timedelta(seconds=1)
        await reportqueue.record(link, "gh-al", figures(3), old)
        await reportqueue.record(link, "gh-al", figures(2, first=3), NOW - reportqueue.MOST_AGE)
        assert await enqueued(link) == 2
        assert await reportqueue.expire(link, "province", NOW) == 0


async def test_what_is_accepted_stays_accepted(pool: Pool) -> None:
    async with pool.connection() as link:
        await reportqueue.record(link, "gh-al", figures(2), NOW)
        await enqueued(link)
        due = await reportqueue.due(link, "province", NOW)
        first = [due[0].figure]
        sent = upload()
        await reportqueue.settle(link, sent, first, Outcome.ACCEPTED, NOW)
        await reportqueue.settle(link, upload(), first, Outcome.REFUSED, NOW + timedelta(hours=1))
        await reportqueue.settle(link, upload(), first, Outcome.ACCEPTED, NOW)
        await reportqueue.record(link, "gh-al", figures(1, "2"), NOW)
        await enqueued(link)
        cursor = await link.execute(
            "select state, upload from report_delivery where figure = %s", first
        )
        assert await cursor.fetchall() == [("accepted", sent.id)]
        assert [each.value for each in await reportqueue.due(link, "province", NOW)] == ["1", "2"]


async def test_an_acceptance_without_its_message_is_refused_by_the_database(pool: Pool) -> None:
    async with pool.connection() as link:
        await reportqueue.record(link, "gh-al", figures(1), NOW)
        await enqueued(link)
        with pytest.raises(psycopg.errors.CheckViolation):
            await link.execute("update report_delivery set state = 'accepted', settled_at = now()")
        await link.rollback()


async def test_what_was_refused_goes_alone_and_after_the_others(pool: Pool) -> None:
    async with pool.connection() as link:
        await reportqueue.record(link, "gh-al", figures(4), NOW)
        await enqueued(link)
        due = await reportqueue.due(link, "province", NOW)
        bad = [each.figure for each in due[:2]]
        await reportqueue.settle(link, upload(), bad, Outcome.REFUSED, NOW)
        others = await reportqueue.due(link, "province", NOW)
        assert [each.refusals for each in others] == [0, 0]
        numbers = [each.figure for each in others]
        await reportqueue.settle(link, upload(), numbers, Outcome.ACCEPTED, NOW)
        (alone,) = await reportqueue.due(link, "province", NOW)
        assert (alone.figure, alone.refusals) == (bad[0], 1)


async def test_old_figures_go_with_their_deliveries_and_nothing_younger(pool: Pool) -> None:
    async with pool.connection() as link:
        await reportqueue.record(link, "gh-al", figures(2), NOW)
        later = NOW + reportqueue.KEPT["slot"]
        await reportqueue.record(link, "gh-al", figures(1, first=2), later)
        await enqueued(link)
        await reportqueue.note(link, upload())
        assert await reportqueue.prune(link, later) == 0
        assert await reportqueue.prune(link, later + timedelta(seconds=1)) == 2
        (found,) = await reportqueue.progress(link)
        assert (found.waiting, found.behind) == (1, 0)
        assert await enqueued(link) == 0


async def test_a_session_comes_back_as_it_was_saved(pool: Pool) -> None:
    async with pool.connection() as link:
        session = await reportqueue.session(link, "province", "gh-al", NOW)
        assert (session.state, session.failures) == (State.STRANGER, 0)
        changed = replace(session, state=State.READY, failures=3, detail="out", heard_at=NOW,
                          tables_version="7", meters_sha256=b"m" * 32)  # fmt: skip
        await reportqueue.save(link, changed)
        assert await reportqueue.session(link, "province", "gh-al", NOW) == changed
