"""Silences and folds in the database: nothing is rewritten, and what was told before is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import psycopg
import pytest

from store import migrate, silences

if TYPE_CHECKING:
    from core.silences import Silence
    from store.connection import Pool
    from store.engine import Engine

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


def outage(**more: Any) -> dict[str, Any]:
    return {
        "kind": "planned_outage",
        "site": "gh-al",
        "unit": None,
        "alert": None,
        "from_at": NOW,
        "until_at": NOW + HOUR,
        "reason": "relining",
        "document": "QH-1",
        **more,
    }


async def add(pool: Pool, **more: Any) -> Silence:
    async with pool.connection() as connection:
        return await silences.add(connection, outage(**more), "somebody", "engineer", NOW)


@pytest.mark.parametrize(
    "more",
    [
        {"until_at": NOW},
        {"until_at": NOW + timedelta(days=93)},
        {"document": None},
        {"site": None},
        {"kind": "shelved"},
        {"alert": uuid4()},
        {"kind": "holiday"},
    ],
    ids=["no end", "too long", "no paper", "nowhere", "no alert", "an alert's outage", "unknown"],
)
async def test_the_database_refuses_a_silence_that_names_too_little(
    pool: Pool, more: dict[str, Any]
) -> None:
    with pytest.raises(psycopg.IntegrityError):
        await add(pool, **more)


@pytest.mark.parametrize("table", ["silence", "silence_end", "fold_step"])
@pytest.mark.parametrize(
    "change", ["update {} set {} = {}", "delete from {}", "truncate {} cascade"]
)
async def test_what_was_silenced_and_why_is_not_rewritten(
    pool: Pool, table: str, change: str
) -> None:
    column = {"silence": "reason", "silence_end": "ended_by", "fold_step": "event"}[table]
    with pytest.raises(psycopg.Error, match="append-only"):
        async with pool.connection() as connection:
            await connection.execute(change.format(table, column, column))


async def test_what_is_in_force_begins_with_its_first_instant_and_ends_before_its_last(
    pool: Pool,
) -> None:
    one, other = await add(pool), await add(pool, from_at=NOW - HOUR, until_at=NOW + 2 * HOUR)
    async with pool.connection() as connection:
        assert await silences.end(connection, other.id, "somebody else", NOW + HOUR / 2)

        async def found(at: datetime) -> set[UUID]:
            return {each.id for each in await silences.in_force(connection, at)}

        assert await found(NOW - timedelta(seconds=1)) == set(), "an ended one quiets no more"
        assert await found(NOW) == {one.id}
        assert await found(NOW + HOUR) == set()
        ended = await silences.find(connection, other.id)
    assert ended is not None
    assert (ended.ended_at, ended.ended_by) == (NOW + HOUR / 2, "somebody else")


def test_alerts_told_before_folds_were_kept_are_known_as_told(
    empty_database_url: str, engine: Engine
) -> None:
    files = migrate.read_files(engine=engine)
    before = [file for file in files if file.number < 15]
    migrate.migrate(empty_database_url, before)
    with psycopg.connect(empty_database_url) as link:
        for state in ("pending", "firing", "clearing", "resolved"):
            link.execute(
                "insert into alert (unit, indicator, period, limit_id, site, state, since,"
                " severity, episode, last_start, standing, raised_at, resolved_at, figure,"
                " created_at, updated_at) values ('s.u', %(state)s, 'month', 'l', 's', %(state)s,"
                " %(now)s, 1, 1, %(now)s, false, case when %(state)s <> 'pending' then %(now)s end,"
                " case when %(state)s = 'resolved' then %(now)s end, '{}', %(now)s, %(now)s)",
                {"state": state, "now": NOW},
            )
    migrate.migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as link:
        rows = link.execute(
            "select a.state, f.known, f.over_at from fold f join alert a using (alert) order by 1"
        ).fetchall()
    assert rows == [
        ("clearing", "told", None),
        ("firing", "told", None),
        ("resolved", "over", NOW),
    ]
