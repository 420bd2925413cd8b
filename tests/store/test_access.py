"""Promises of tokens, sessions and the audit in the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

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


async def test_a_session_lives_twelve_hours_and_never_longer_than_its_token(pool: Pool) -> None:
    async with pool.connection() as connection:
        for life, expected in ((None, 12 * HOUR), (2 * HOUR, 2 * HOUR)):
            secret = await access.create_token(
                connection,
                name="n",
                role="operator",
                scope=["*"],
                now=NOW,
                expires_at=None if life is None else NOW + life,
            )
            holder = await access.holder_of_token(connection, secret, NOW)
            assert holder is not None
            opened = await access.open_session(connection, holder, NOW)
            assert opened.expires_at == NOW + expected
            last = NOW + expected - timedelta(seconds=1)
            assert await access.holder_of_session(connection, opened.cookie, last) is not None
            end = NOW + expected
            assert await access.holder_of_session(connection, opened.cookie, end) is None


async def test_revoking_a_token_ends_its_sessions(pool: Pool) -> None:
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection, name="n", role="operator", scope=["*"], now=NOW
        )
        holder = await access.holder_of_token(connection, secret, NOW)
        assert holder is not None
        opened = await access.open_session(connection, holder, NOW)
        await access.revoke_token(connection, holder.token_id, NOW)
        assert await access.holder_of_session(connection, opened.cookie, NOW) is None


async def test_sessions_of_a_token_are_bounded_and_old_ones_are_swept(pool: Pool) -> None:
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection, name="n", role="operator", scope=["*"], now=NOW
        )
        holder = await access.holder_of_token(connection, secret, NOW)
        assert holder is not None
        for number in range(access.MOST_SESSIONS_PER_TOKEN + 5):
            await access.open_session(connection, holder, NOW + timedelta(seconds=number))
        cursor = await connection.execute("select count(*), min(created_at) from session")
        assert await cursor.fetchone() == (
            access.MOST_SESSIONS_PER_TOKEN,
            NOW + timedelta(seconds=5),
        )
        await access.open_session(connection, holder, NOW + 24 * HOUR)
        cursor = await connection.execute("select count(*) from session")
        assert await cursor.fetchone() == (1,)


async def test_the_store_holds_neither_token_nor_cookie_nor_csrf_token(pool: Pool) -> None:
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection, name="n", role="operator", scope=["*"], now=NOW
        )
        holder = await access.holder_of_token(connection, secret, NOW)
        assert holder is not None
        opened = await access.open_session(connection, holder, NOW)
        cursor = await connection.execute(
            "select t::text || s::text from access_token t join session s using (token_id)"
        )
        text = str(await cursor.fetchone())
        for part in (secret, opened.cookie, opened.csrf):
            assert part not in text
        assert await access.csrf_matches(connection, opened.cookie, opened.csrf)
        assert not await access.csrf_matches(connection, opened.cookie, opened.cookie)
        assert not await access.csrf_matches(connection, "other", opened.csrf)
