"""Promises of sessions: how long they live, how their cookie is renewed, and who is thrown out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from store import access, accounts, sessions
from store.sessions import (
    GRACE,
    MOST_SESSIONS_PER_HOLDER,
    RENEW_AFTER,
    Entered,
    Life,
    Origin,
    Proof,
    Step,
    Stolen,
)

if TYPE_CHECKING:
    from typing import Any

    from psycopg import AsyncConnection

    from store.access import Holder
    from store.connection import Pool

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
LIFE = Life()
HERE = Origin("10.0.0.7", "a browser")


async def _token(connection: AsyncConnection[Any], life: timedelta | None = None) -> Holder:
    secret = await access.create_token(
        connection,
        name="n",
        role="operator",
        scope=["site:gh-al"],
        now=NOW,
        expires_at=None if life is None else NOW + life,
    )
    found = await access.holder_of_token(connection, secret, NOW)
    assert found is not None
    return found


async def _enter(connection: AsyncConnection[Any], cookie: str, at: datetime) -> Entered | None:
    shown = await sessions.enter(connection, cookie, at, LIFE)
    assert not isinstance(shown, Stolen)
    return shown


async def test_a_session_in_use_lives_twelve_hours_and_never_longer_than_its_token(
    pool: Pool,
) -> None:
    async with pool.connection() as connection:
        for life, expected in ((None, 12 * HOUR), (2 * HOUR, 2 * HOUR)):
            holder = await _token(connection, life)
            opened = await sessions.open_session(connection, holder, NOW, LIFE, HERE)
            assert opened.expires_at == NOW + expected
            at, cookie = NOW, opened.cookie
            while (shown := await _enter(connection, cookie, at)) is not None:
                assert (shown.holder.name, shown.holder.scope) == ("n", ("site:gh-al",))
                cookie, at = shown.cookie or cookie, at + timedelta(minutes=59)
            assert NOW + expected <= at < NOW + expected + HOUR


async def test_a_session_ends_after_an_hour_without_a_request(pool: Pool) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        opened = await sessions.open_session(connection, holder, NOW, LIFE, HERE)
        assert await _enter(connection, opened.cookie, NOW + HOUR - SECOND) is not None
        assert await _enter(connection, opened.cookie, NOW + 2 * HOUR - SECOND) is None


async def test_a_page_that_watches_keeps_its_session_in_use_until_its_end(pool: Pool) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        opened = await sessions.open_session(connection, holder, NOW, LIFE, HERE)
        for hour in range(1, 23):
            at = NOW + timedelta(minutes=30 * hour)
            assert await sessions.is_alive(connection, opened.session_id, at, LIFE)
        shown = await _enter(connection, opened.cookie, NOW + timedelta(hours=11, minutes=59))
        assert shown is not None
        assert not await sessions.is_alive(connection, opened.session_id, NOW + 12 * HOUR, LIFE)


async def test_revoking_a_token_and_disabling_an_account_end_their_sessions(pool: Pool) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        account = await accounts.create_local(
            connection, name="li", password_hash="x", role="admin", scope=["*"], now=NOW
        )
        cookies = [
            (await sessions.open_session(connection, each, NOW, LIFE, HERE)).cookie
            for each in (holder, account.holder())
        ]
        assert all([await _enter(connection, cookie, NOW) for cookie in cookies])
        assert holder.token_id is not None
        await access.revoke_token(connection, holder.token_id, NOW)
        await accounts.disable(connection, account.account_id, NOW)
        assert not any([await _enter(connection, cookie, NOW) for cookie in cookies])


async def test_a_session_opened_while_its_account_was_being_disabled_is_none(pool: Pool) -> None:
    async with pool.connection() as connection:
        account = await accounts.create_local(
            connection, name="li", password_hash="x", role="admin", scope=["*"], now=NOW
        )
        await accounts.disable(connection, account.account_id, NOW)
        opened = await sessions.open_session(connection, account.holder(), NOW, LIFE, HERE)
        assert await _enter(connection, opened.cookie, NOW) is None
        assert not await sessions.is_alive(connection, opened.session_id, NOW, LIFE)


async def test_sessions_of_a_holder_are_bounded_and_ended_ones_are_swept(pool: Pool) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        for number in range(MOST_SESSIONS_PER_HOLDER + 5):
            await sessions.open_session(
                connection, holder, NOW + timedelta(seconds=number), LIFE, HERE
            )
        cursor = await connection.execute("select count(*), min(created_at) from session")
        assert await cursor.fetchone() == (MOST_SESSIONS_PER_HOLDER, NOW + timedelta(seconds=5))
        await sessions.open_session(connection, holder, NOW + 3 * HOUR, LIFE, HERE)
        cursor = await connection.execute("select count(*) from session")
        assert await cursor.fetchone() == (1,)


async def test_the_store_holds_neither_cookie_nor_csrf_token(pool: Pool) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        opened = await sessions.open_session(connection, holder, NOW, LIFE, HERE)
        cursor = await connection.execute("select s::text from session s")
        text = str(await cursor.fetchone())
        for part in (*opened.cookie.split("."), opened.csrf):
            assert part not in text
        assert opened.csrf not in opened.cookie


async def test_the_cookie_is_renewed_every_hour_and_the_csrf_token_stays(pool: Pool) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        opened = await sessions.open_session(connection, holder, NOW, LIFE, HERE)
        seen = {opened.cookie}
        cookie, at = opened.cookie, NOW
        for _ in range(22):
            at += timedelta(minutes=30)
            shown = await _enter(connection, cookie, at)
            assert shown is not None
            assert shown.csrf == opened.csrf
            cookie = shown.cookie or cookie
            seen.add(cookie)
        assert len(seen) == 12


async def test_of_two_requests_that_renew_at_once_one_does_and_both_pass(pool: Pool) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        opened = await sessions.open_session(connection, holder, NOW, Life(idle=9 * HOUR), HERE)

    async def ask() -> Entered | None:
        async with pool.connection() as connection:
            shown = await sessions.enter(
                connection, opened.cookie, NOW + 2 * HOUR, Life(idle=9 * HOUR)
            )
            assert not isinstance(shown, Stolen)
            return shown

    shown = await asyncio.gather(*[ask() for _ in range(4)])
    assert all(shown)
    assert len([one for one in shown if one is not None and one.cookie]) == 1


async def test_a_replaced_cookie_that_comes_back_late_ends_the_session_for_both(
    pool: Pool,
) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        opened = await sessions.open_session(connection, holder, NOW, LIFE, HERE)
        at = NOW + RENEW_AFTER - SECOND
        await _enter(connection, opened.cookie, at)
        renewed = await _enter(connection, opened.cookie, at + SECOND)
        assert renewed is not None
        assert renewed.cookie is not None
        await _enter(connection, renewed.cookie, at + 2 * SECOND)
        assert await _enter(connection, opened.cookie, at + 3 * SECOND) is not None
        late = await sessions.enter(connection, opened.cookie, at + 2 * GRACE, LIFE)
        assert isinstance(late, Stolen)
        assert late.holder.name == "n"
        assert await _enter(connection, renewed.cookie, at + 2 * GRACE) is None


async def test_whoever_knows_half_a_cookie_neither_enters_nor_ends_the_session(
    pool: Pool,
) -> None:
    async with pool.connection() as connection:
        holder = await _token(connection)
        opened = await sessions.open_session(connection, holder, NOW, LIFE, HERE)
        stays, _, secret = opened.cookie.partition(".")
        for forged in (
            "",
            ".",
            stays,
            f"{stays}.",
            f".{secret}",
            f"{stays}.{stays}",
            f"{secret}.{stays}",
            f"{stays}.{secret}x",
            f"{stays}.{secret}.{secret}",
            f"{stays}.{'x' * 10_000}",
        ):
            assert await sessions.enter(connection, forged, NOW, LIFE) is None
        assert await _enter(connection, opened.cookie, NOW) is not None


async def test_owners_see_and_end_their_own_sessions_only(pool: Pool) -> None:
    async with pool.connection() as connection:
        mine, other = await _token(connection), await _token(connection)
        await sessions.open_session(connection, other, NOW, LIFE, HERE)
        opened = [
            await sessions.open_session(
                connection,
                mine,
                NOW + number * SECOND,
                LIFE,
                Origin(f"10.0.0.{number}", "b\x00" * 500),
            )
            for number in range(3)
        ]
        found = await sessions.sessions_of(connection, mine, NOW, LIFE)
        assert [one.address for one in found] == ["10.0.0.2", "10.0.0.1", "10.0.0.0"]
        assert found[0].browser == "b" * 200
        (theirs,) = await sessions.sessions_of(connection, other, NOW, LIFE)
        assert await sessions.close_own(connection, mine, only=theirs.session_id) == 0
        assert await sessions.close_own(connection, mine, but=opened[0].session_id) == 2
        assert len(await sessions.sessions_of(connection, mine, NOW, LIFE)) == 1
        assert len(await sessions.sessions_of(connection, other, NOW, LIFE)) == 1


# One request of an honest browser: how long after the one before it is sent, how long its answer
# takes, and whether the answer arrives.
_REQUEST = st.tuples(
    st.integers(0, 2 * int(RENEW_AFTER.total_seconds())),
    st.integers(0, int(GRACE.total_seconds()) - 1),
    st.booleans(),
)


@given(st.lists(_REQUEST, max_size=40))
def test_an_honest_browser_is_never_thrown_out_whatever_answers_are_lost_or_late(
    requests: list[tuple[int, int, bool]],
) -> None:
    """Answers that arrive do so in less than GRACE, in any order."""
    proof = Proof(b"0", None, NOW, NOW)
    held, at = b"0", NOW
    under_way: list[tuple[datetime, bytes]] = []
    for number, (pause, delay, arrives) in enumerate(requests, start=1):
        at += pause * SECOND
        for due, cookie in sorted(one for one in under_way if one[0] <= at):
            held = cookie
            under_way.remove((due, cookie))
        step = sessions.judge(proof, held, at)
        assert step not in (Step.STRANGER, Step.END)
        fresh = str(number).encode()
        proof = sessions.after(proof, step, fresh, at)
        if arrives and step in (Step.RENEW, Step.RENEW_AGAIN):
            under_way.append((at + delay * SECOND, fresh))


@given(st.lists(st.tuples(st.booleans(), st.integers(70, 1800)), min_size=200, max_size=200))
def test_a_thief_and_the_owner_cannot_both_go_on(uses: list[tuple[bool, int]]) -> None:
    """Both use the same cookie on, each with a jar of their own; answers arrive at once."""
    proof = Proof(b"0", None, NOW, NOW)
    jars, at = {True: b"0", False: b"0"}, NOW
    last = {True: NOW, False: NOW}
    for number, (who, pause) in enumerate(uses, start=1):
        at += pause * SECOND
        step = sessions.judge(proof, jars[who], at)
        if step in (Step.END, Step.STRANGER):
            return
        last[who] = at
        fresh = str(number).encode()
        proof = sessions.after(proof, step, fresh, at)
        if step in (Step.RENEW, Step.RENEW_AGAIN):
            jars[who] = fresh
    # Where neither was thrown out, one of them never came back after the other took the new half.
    assert min(last.values()) - NOW < 2 * RENEW_AFTER + 2 * timedelta(seconds=1800)
