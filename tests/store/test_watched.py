"""What conditions ask of the store: counters by their growth; alerts that were there before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from core.conditions import Subject, SubjectKind
from store import migrate, watched

if TYPE_CHECKING:
    from store.connection import Pool
    from store.engine import Engine

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
AGENT = Subject(SubjectKind.AGENT, "gh-al.gw-01")


async def grow(pool: Pool, counts: list[int], *, restarts: bool = True) -> list[int]:
    """Count every 40 minutes with a window of an hour; return the growth after each."""
    found = []
    for number, count in enumerate(counts):
        at = NOW + number * timedelta(minutes=40)
        async with pool.connection() as connection:
            grown = await watched.grown(
                connection, "lost", {AGENT: count}, at, HOUR, restarts=restarts
            )
        found.append(grown[AGENT])
    return found


@pytest.mark.parametrize(
    ("counts", "restarts", "grown"),
    [
        ([7, 7, 7], True, [0, 0, 0]),
        ([7, 9, 9, 9, 9], True, [0, 2, 2, 0, 0]),
        ([7, 9, 12, 12, 12, 13], True, [0, 2, 5, 5, 0, 1]),
        ([7, 9, 0, 0, 0], True, [0, 2, 2, 0, 0]),
        ([7, 3, 3, 3], True, [0, 3, 3, 0]),
        ([7, 3, 3, 4], False, [0, 0, 0, 1]),
        ([7, 9, 3, 3], False, [0, 2, 2, 0]),
        ([0, 0, 5], False, [0, 0, 5]),
    ],
)
async def test_a_counter_is_news_while_it_grows(
    pool: Pool, counts: list[int], *, restarts: bool, grown: list[int]
) -> None:
    assert await grow(pool, counts, restarts=restarts) == grown


async def test_counters_that_nobody_counts_any_more_are_forgotten(pool: Pool) -> None:
    await grow(pool, [1, 2])
    async with pool.connection() as connection:
        assert await watched.forget(connection, NOW) == 0
        assert await watched.forget(connection, NOW + HOUR) == 1


async def test_a_bound_adds_up_whoever_ran_into_it(pool: Pool) -> None:
    async with pool.connection() as connection:
        for hits, detail in ((2, "a"), (3, "b" * 1_000)):
            await watched.hit(connection, bound="x", hits=hits, detail=detail, at=NOW)
        found = {one.bound: one for one in await watched.bounds(connection)}
    assert (found["x"].hits, len(found["x"].detail)) == (5, watched.MOST_DETAIL_CHARS)
    assert {name for name, one in found.items() if one.hits == 0} == {
        "notification-attempts",
        "report-age",
    }


ALERT = (
    "insert into alert (unit, indicator, period, limit_id, state, since, severity, episode,"
    " last_start, standing, figure, created_at, updated_at) values ('gh-al.u', 'i', 'month', 'l',"
    " 'firing', now(), 1, 1, now(), false, '{}', now(), now())"
)


def test_alerts_that_were_there_know_their_site_and_keep_their_kind(
    empty_database_url: str, engine: Engine
) -> None:
    files = migrate.read_files(engine=engine)
    migrate.migrate(empty_database_url, [file for file in files if file.number < 13])
    with psycopg.connect(empty_database_url) as link:
        link.execute(ALERT)
    migrate.migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as link:
        rows = link.execute("select kind, site, condition from alert").fetchall()
        assert rows == [("exceedance", "gh-al", None)]


@pytest.mark.parametrize(
    "change",
    [
        "condition = 'c'",
        "indicator = null",
        "site = null",
        "kind = 'condition'",
        (
            "kind = 'condition', condition = 'c', subject_kind = 'moon', subject = 's',"
            " indicator = null, period = null, limit_id = null"
        ),
        "kind = 'condition', condition = 'c', subject_kind = 'site', subject = 's'",
    ],
)
def test_the_database_refuses_what_is_neither_about_a_limit_nor_about_a_condition(
    database_url: str, change: str
) -> None:
    with psycopg.connect(database_url) as link:
        link.execute(
            ALERT.replace("(unit", "(site, unit").replace("('gh-al.u'", "('gh-al', 'gh-al.u'")
        )
        link.commit()
        with pytest.raises(psycopg.errors.CheckViolation):
            link.execute(b"update alert set " + change.encode())
