"""Promises of tokens and the audit in the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from store import access

if TYPE_CHECKING:
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def test_a_token_is_known_until_it_expires_or_is_revoked(pool: Pool) -> None:
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection, name="n", role="admin", scope=["*"], now=NOW, expires_at=NOW + HOUR
        )
        holder = await access.holder_of_token(connection, secret, NOW)
        assert holder is not None
        assert (holder.name, holder.role, holder.scope) == ("n", "admin", ("*",))
        assert await access.holder_of_token(connection, secret, NOW + HOUR) is None
        assert await access.holder_of_token(connection, secret + "x", NOW) is None
        assert holder.token_id is not None
        assert await access.revoke_token(connection, holder.token_id, NOW)
        assert not await access.revoke_token(connection, holder.token_id, NOW)
        assert await access.holder_of_token(connection, secret, NOW) is None


async def test_a_known_secret_renews_what_its_token_may_do(pool: Pool) -> None:
    async with pool.connection() as connection:
        secret = access.new_secret()
        for role in ("operator", "admin"):
            given = await access.create_token(
                connection, name=role, role=role, scope=["*"], now=NOW, secret=secret
            )
            assert given == secret
        cursor = await connection.execute("select role from access_token")
        assert await cursor.fetchall() == [("admin",)]


async def test_secrets_are_long_and_never_the_same() -> None:
    secrets = {access.new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(secret) >= 43 for secret in secrets)


async def test_the_store_holds_no_token(pool: Pool) -> None:
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection, name="n", role="operator", scope=["*"], now=NOW
        )
        cursor = await connection.execute("select t::text from access_token t")
        assert secret not in str(await cursor.fetchone())


async def test_tokens_are_listed_with_their_state_the_newest_first(pool: Pool) -> None:
    async with pool.connection() as connection:
        for number in range(3):
            await access.create_token(
                connection, name=f"n{number}", role="admin", scope=["*"], now=NOW + number * HOUR
            )
        newest, *_ = await access.tokens_of_all(connection, 2)
        await access.revoke_token(connection, newest.token_id, NOW + 5 * HOUR)
        found = await access.tokens_of_all(connection, 2)
    assert [(one.name, one.revoked_at is None) for one in found] == [("n2", False), ("n1", True)]


@pytest.mark.parametrize(
    "forgery", ["delete from audit", "update audit set who = 'nobody'", "truncate audit"]
)
async def test_the_audit_is_append_only(pool: Pool, forgery: str) -> None:
    async with pool.connection() as connection:
        await access.record(
            connection, at=NOW, who="op", role="operator", action="a", subject="s", detail={"b": 1}
        )
        await connection.commit()
        with pytest.raises(psycopg.errors.RaiseException, match="audit is append-only"):
            await connection.execute(forgery.encode())
        await connection.rollback()
        rows = await access.audited(connection, before=None, limit=10)
    assert [(row.who, row.action, row.subject, row.detail) for row in rows] == [
        ("op", "a", "s", {"b": 1})
    ]


async def test_the_audit_is_read_in_pages_and_by_who_and_what(pool: Pool) -> None:
    async with pool.connection() as connection:
        for number in range(5):
            await access.record(
                connection,
                at=NOW,
                who="even" if number % 2 == 0 else "odd",
                role="operator",
                action=f"a{number}",
                subject="s",
            )
        first = await access.audited(connection, before=None, limit=2)
        rest = await access.audited(connection, before=first[-1].number, limit=10)
        even = await access.audited(connection, before=None, limit=10, who="even")
        one = await access.audited(connection, before=None, limit=10, action="a3")
    assert [row.action for row in (*first, *rest)] == ["a4", "a3", "a2", "a1", "a0"]
    assert [row.action for row in even] == ["a4", "a2", "a0"]
    assert [row.who for row in one] == ["odd"]
