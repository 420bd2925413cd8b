"""People who sign in: local accounts with a password, and people an identity provider vouches for.

Promise: a name belongs to one account for ever, so that the audit tells who did what; only the hash
of a password comes here; whoever is disabled, or gets another password, is signed out everywhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from core.errors import Rejected
from store.access import Holder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

MOST_ACCOUNTS: Final = 10_000  # more than any plant has people; a provider's are counted too
_LOCK: Final = 0x6163636F756E74  # "account": two that are made at once are counted one by one


@dataclass(frozen=True, slots=True)
class Account:
    """A person as the store knows them."""

    account_id: UUID
    name: str
    issuer: str | None
    password_hash: str | None
    role: str
    scope: tuple[str, ...]
    created_at: datetime
    seen_at: datetime | None
    disabled_at: datetime | None

    def holder(self) -> Holder:
        """Return what a session of this account stands for."""
        return Holder(None, self.name, self.role, self.scope, None, self.account_id, self.issuer)


@dataclass(frozen=True, slots=True)
class Vouched:
    """What an identity provider says of a person, sorted by our own rules."""

    issuer: str
    subject: str
    name: str
    role: str
    scope: tuple[str, ...]


_COLUMNS: Final = sql.SQL(
    "account_id, name, issuer, password_hash, role, scope, created_at, seen_at, disabled_at"
)


async def create_local(
    connection: AsyncConnection[Any],
    *,
    name: str,
    password_hash: str,
    role: str,
    scope: Sequence[str],
    now: datetime,
) -> Account:
    """Make a local account; raises Rejected where the name is taken or there are too many."""
    async with connection.transaction():
        await _room(connection)
        cursor = await connection.execute(
            sql.SQL(
                "insert into account (name, password_hash, password_at, role, scope, created_at)"
                " values (%(name)s, %(hash)s, %(now)s, %(role)s, %(scope)s, %(now)s)"
                " on conflict (name) do nothing returning {columns}"
            ).format(columns=_COLUMNS),
            {
                "name": name,
                "hash": password_hash,
                "role": role,
                "scope": list(scope),
                "now": now,
            },
        )
        row = await cursor.fetchone()
    if row is None:
        raise Rejected(f"the name {name!r} is taken: a name belongs to one account for ever")
    return _account(row)


async def find(connection: AsyncConnection[Any], name: str) -> Account | None:
    """Return the account of a name, disabled ones too."""
    if not name.isprintable():
        return None  # no name is like that, and the database would not take it
    query = sql.SQL("select {columns} from account where name = %s").format(columns=_COLUMNS)
    cursor = await connection.execute(query, (name,))
    row = await cursor.fetchone()
    return None if row is None else _account(row)


async def has_local(connection: AsyncConnection[Any]) -> bool:
    """Tell whether anybody signs in with a password here."""
    cursor = await connection.execute(
        "select exists (select from account where issuer is null and disabled_at is null)"
    )
    row = await cursor.fetchone()
    return row is not None and bool(row[0])


async def everyone(connection: AsyncConnection[Any]) -> list[Account]:
    """Return all accounts by name; there are at most MOST_ACCOUNTS."""
    query = sql.SQL("select {columns} from account order by name").format(columns=_COLUMNS)
    cursor = await connection.execute(query)
    return [_account(row) for row in await cursor.fetchall()]


async def vouched(connection: AsyncConnection[Any], who: Vouched, now: datetime) -> Account:
    """Return the account of a provider's person, made or brought up to date by this sign-in.

    The caller looks at `disabled_at`. Raises Rejected where there are too many accounts.
    """
    async with connection.transaction():
        known = await connection.execute(
            sql.SQL(
                "update account set role = %(role)s, scope = %(scope)s"
                " where issuer = %(issuer)s and subject = %(subject)s returning {columns}"
            ).format(columns=_COLUMNS),
            _values(who, now),
        )
        if (row := await known.fetchone()) is not None:
            return _account(row)
        await _room(connection)
        made = await connection.execute(
            sql.SQL(
                "insert into account (name, issuer, subject, role, scope, created_at) values"
                " (case when exists (select from account where name = %(name)s) then %(other)s"
                " else %(name)s end, %(issuer)s, %(subject)s, %(role)s, %(scope)s, %(now)s)"
                " on conflict (issuer, subject) do update set role = excluded.role,"
                " scope = excluded.scope returning {columns}"
            ).format(columns=_COLUMNS),
            _values(who, now),
        )
        row = await made.fetchone()
    assert row is not None, "an upsert returns its row"  # noqa: S101 - a belief about our own code
    return _account(row)


async def sign_out(
    connection: AsyncConnection[Any], issuer: str, subject: str
) -> tuple[Account, int] | None:
    """End all sessions of a provider's person; return whose and how many, None for a stranger."""
    query = sql.SQL("select {columns} from account where issuer = %s and subject = %s").format(
        columns=_COLUMNS
    )
    row = await (await connection.execute(query, (issuer, subject))).fetchone()
    if row is None:
        return None
    account = _account(row)
    return account, await _sign_out(connection, account.account_id)


async def signed_in(connection: AsyncConnection[Any], account_id: UUID, now: datetime) -> None:
    """Remember that somebody signed in."""
    await connection.execute(
        "update account set seen_at = %s where account_id = %s", (now, account_id)
    )


async def rehash(connection: AsyncConnection[Any], account: Account, password_hash: str) -> None:
    """Keep the same password by a newer hash, unless it was changed meanwhile."""
    await connection.execute(
        "update account set password_hash = %s where account_id = %s and password_hash = %s",
        (password_hash, account.account_id, account.password_hash),
    )


async def set_password(
    connection: AsyncConnection[Any], account: Account, password_hash: str, now: datetime
) -> bool:
    """Give a local account another password and end its sessions; False for a provider's person.

    False too where somebody else changed it since `account` was read.
    """
    async with connection.transaction():
        cursor = await connection.execute(
            "update account set password_hash = %s, password_at = %s"
            " where account_id = %s and password_hash = %s",
            (password_hash, now, account.account_id, account.password_hash),
        )
        if cursor.rowcount == 1:
            await _sign_out(connection, account.account_id)
    return cursor.rowcount == 1


async def disable(connection: AsyncConnection[Any], account_id: UUID, now: datetime) -> bool:
    """Disable an account and end its sessions; False where it was disabled already."""
    async with connection.transaction():
        cursor = await connection.execute(
            "update account set disabled_at = %s where account_id = %s and disabled_at is null",
            (now, account_id),
        )
        await _sign_out(connection, account_id)
    return cursor.rowcount == 1


async def enable(connection: AsyncConnection[Any], account_id: UUID) -> bool:
    """Let a disabled account sign in again; False where it was not disabled."""
    cursor = await connection.execute(
        "update account set disabled_at = null where account_id = %s and disabled_at is not null",
        (account_id,),
    )
    return cursor.rowcount == 1


async def change(
    connection: AsyncConnection[Any], account_id: UUID, role: str, scope: Sequence[str]
) -> None:
    """Give a local account another role and scope; its sessions have them at once."""
    await connection.execute(
        "update account set role = %s, scope = %s where account_id = %s and issuer is null",
        (role, list(scope), account_id),
    )


async def _sign_out(connection: AsyncConnection[Any], account_id: UUID) -> int:
    cursor = await connection.execute("delete from session where account_id = %s", (account_id,))
    return cursor.rowcount


async def _room(connection: AsyncConnection[Any]) -> None:
    """Make sure that there is room for one more account."""
    await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    cursor = await connection.execute("select count(*) from account")
    row = await cursor.fetchone()
    if row is not None and row[0] >= MOST_ACCOUNTS:
        raise Rejected(
            f"there are {MOST_ACCOUNTS} accounts, which is the bound: nobody else can be added"
        )


def _values(who: Vouched, now: datetime) -> dict[str, Any]:
    # Providers let people change and reuse the names they show: a second one of a name differs.
    mark = hashlib.sha256(f"{who.issuer}\n{who.subject}".encode()).hexdigest()[:12]
    return {
        "issuer": who.issuer,
        "subject": who.subject,
        "name": who.name,
        "other": f"{who.name}~{mark}",
        "role": who.role,
        "scope": list(who.scope),
        "now": now,
    }


def _account(row: Sequence[Any]) -> Account:
    account_id, name, issuer, password_hash, role, scope, *instants = row
    return Account(account_id, name, issuer, password_hash, role, tuple(scope), *instants)
