"""Promises of accounts: a name is one person's for ever, and who is disabled is out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from core.errors import Rejected
from store import accounts, sessions
from store.accounts import Account, Vouched
from store.sessions import Life, Origin

if TYPE_CHECKING:
    from typing import Any

    from psycopg import AsyncConnection

    from store.connection import Pool

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
ISSUER = "https://login.example"


async def _local(connection: AsyncConnection[Any], name: str = "li", hashed: str = "h") -> Account:
    return await accounts.create_local(
        connection, name=name, password_hash=hashed, role="operator", scope=["site:a"], now=NOW
    )


def _person(subject: str, name: str, role: str = "operator") -> Vouched:
    return Vouched(ISSUER, subject, name, role, ("site:a",))


async def test_a_name_belongs_to_one_account(pool: Pool) -> None:
    async with pool.connection() as connection:
        made = await _local(connection)
        with pytest.raises(Rejected, match="'li' is taken"):
            await _local(connection)
        assert await accounts.find(connection, "li") == made
        assert await accounts.find(connection, "wang") is None


async def test_accounts_are_bounded(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST_ACCOUNTS", 2)
    async with pool.connection() as connection:
        await _local(connection, "a")
        await accounts.vouched(connection, _person("s", "b@plant"), NOW)
        with pytest.raises(Rejected, match="there are 2 accounts"):
            await _local(connection, "c")
        with pytest.raises(Rejected, match="there are 2 accounts"):
            await accounts.vouched(connection, _person("t", "d@plant"), NOW)
        assert (await accounts.vouched(connection, _person("s", "b@plant"), NOW)).name == "b@plant"


async def test_a_providers_person_is_one_account_whose_role_follows_the_provider(
    pool: Pool,
) -> None:
    async with pool.connection() as connection:
        first = await accounts.vouched(connection, _person("s-1", "li@plant"), NOW)
        again = await accounts.vouched(connection, _person("s-1", "li.wei@plant", "admin"), LATER)
        assert (again.account_id, again.name, again.role) == (first.account_id, "li@plant", "admin")
        assert again.holder().issuer == ISSUER


async def test_two_people_of_one_shown_name_stay_two(pool: Pool) -> None:
    async with pool.connection() as connection:
        names = {
            (await accounts.vouched(connection, _person(f"s-{n}", "li@plant"), NOW)).name
            for n in range(3)
        }
    assert len(names) == 3
    assert "li@plant" in names
    assert all(name.startswith("li@plant") for name in names)


async def test_the_same_person_twice_at_once_is_one_account(pool: Pool) -> None:
    async def enter() -> Account:
        async with pool.connection() as connection:
            return await accounts.vouched(connection, _person("s", "li@plant"), NOW)

    found = await asyncio.gather(*[enter() for _ in range(4)])
    assert len({each.account_id for each in found}) == 1


async def test_a_new_password_ends_sessions_and_wins_over_an_older_view(pool: Pool) -> None:
    async with pool.connection() as connection:
        account = await _local(connection)
        opened = await sessions.open_session(
            connection, account.holder(), NOW, Life(), Origin("::1", "b")
        )
        assert await accounts.set_password(connection, account, "h2", LATER)
        assert await sessions.enter(connection, opened.cookie, NOW, Life()) is None
        assert not await accounts.set_password(connection, account, "h3", LATER)
        await accounts.rehash(connection, account, "h4")
        found = await accounts.find(connection, "li")
        assert found is not None
        assert found.password_hash == "h2"


async def test_a_providers_person_gets_no_password(pool: Pool) -> None:
    async with pool.connection() as connection:
        account = await accounts.vouched(connection, _person("s", "li@plant"), NOW)
        assert not await accounts.set_password(connection, account, "h", NOW)
        assert not await accounts.has_local(connection)


async def test_disabling_and_enabling_tell_whether_they_changed_anything(pool: Pool) -> None:
    async with pool.connection() as connection:
        account = await _local(connection)
        assert await accounts.has_local(connection)
        assert not await accounts.enable(connection, account.account_id)
        assert await accounts.disable(connection, account.account_id, NOW)
        assert not await accounts.disable(connection, account.account_id, NOW)
        assert not await accounts.has_local(connection)
        assert await accounts.enable(connection, account.account_id)
        assert [each.disabled_at for each in await accounts.everyone(connection)] == [None]


async def test_another_role_counts_for_sessions_that_are_open(pool: Pool) -> None:
    async with pool.connection() as connection:
        account = await _local(connection)
        opened = await sessions.open_session(
            connection, account.holder(), NOW, Life(), Origin("::1", "b")
        )
        await accounts.change(connection, account.account_id, "regulator", ["jurisdiction:cn-qh"])
        shown = await sessions.enter(connection, opened.cookie, NOW, Life())
        assert isinstance(shown, sessions.Entered)
        assert (shown.holder.role, shown.holder.scope) == ("regulator", ("jurisdiction:cn-qh",))
