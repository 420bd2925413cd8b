"""Who may ask: tokens for programs, and the audit of what people wrote.

A token is 256 random bits; the store keeps its SHA-256 only. Sessions are `store.sessions`, people
with accounts `store.accounts`. The audit is append-only: the database refuses anything else.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

SECRET_BYTES: Final = 32
MOST_SECRET_CHARS: Final = 256  # longer ones are refused before they are hashed


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a token or an account belongs to; `expires_at` is None where it has no end.

    Either `token_id` or `account_id` is set; `issuer` names who vouches for an account, None: we.
    """

    token_id: UUID | None
    name: str
    role: str
    scope: tuple[str, ...]
    expires_at: datetime | None
    account_id: UUID | None = None
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token as lists show it: never its secret."""

    token_id: UUID
    name: str
    role: str
    scope: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Audited:
    """One row of the audit."""

    number: int
    at: datetime
    who: str
    role: str
    action: str
    subject: str
    detail: Mapping[str, Any]


def new_secret() -> str:
    """Return 256 random bits as text for a header or a cookie."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """Return what the store keeps of a secret."""
    return hashlib.sha256(secret.encode()).digest()


async def create_token(
    connection: AsyncConnection[Any],
    *,
    name: str,
    role: str,
    scope: Sequence[str],
    now: datetime,
    expires_at: datetime | None = None,
    secret: str | None = None,
) -> str:
    """Store a token and return its secret; a known secret renews what its token may do.

    The caller has checked role and scope (`api.access.parse_scope`).
    """
    secret = secret or new_secret()
    await connection.execute(
        "insert into access_token (sha256, name, role, scope, created_at, expires_at)"
        " values (%s, %s, %s, %s, %s, %s)"
        " on conflict (sha256) do update set name = excluded.name, role = excluded.role,"
        " scope = excluded.scope, expires_at = excluded.expires_at, revoked_at = null",
        (digest(secret), name, role, list(scope), now, expires_at),
    )
    return secret


async def revoke_token(connection: AsyncConnection[Any], token_id: UUID, now: datetime) -> bool:
    """Revoke a token with all its sessions; False where it is unknown or revoked already."""
    async with connection.transaction():
        await connection.execute("delete from session where token_id = %s", (token_id,))
        cursor = await connection.execute(
            "update access_token set revoked_at = %s where token_id = %s and revoked_at is null",
            (now, token_id),
        )
    return cursor.rowcount == 1


async def holder_of_token(
    connection: AsyncConnection[Any], secret: str, now: datetime
) -> Holder | None:
    """Return who holds a token, or None where it is unknown, expired or revoked."""
    if not 0 < len(secret) <= MOST_SECRET_CHARS:
        return None
    cursor = await connection.execute(
        "select token_id, name, role, scope, expires_at from access_token where sha256 = %s"
        " and revoked_at is null and (expires_at is null or expires_at > %s)",
        (digest(secret), now),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    token_id, name, role, scope, expires_at = row
    return Holder(token_id, name, role, tuple(scope), expires_at)


async def tokens_of_all(connection: AsyncConnection[Any], limit: int) -> list[Token]:
    """Return the newest tokens, revoked ones too, the newest first."""
    cursor = await connection.execute(
        "select token_id, name, role, scope, created_at, expires_at, revoked_at from access_token"
        " order by created_at desc, token_id limit %s",
        (limit,),
    )
    return [
        Token(token_id, name, role, tuple(scope), created, expires, revoked)
        for token_id, name, role, scope, created, expires, revoked in await cursor.fetchall()
    ]


async def record(
    connection: AsyncConnection[Any],
    *,
    at: datetime,
    who: str,
    role: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write one row of the audit: who did what to which subject, in the caller's transaction."""
    await connection.execute(
        "insert into audit (at, who, role, action, subject, detail)"
        " values (%s, %s, %s, %s, %s, %s)",
        (at, who, role, action, subject, Jsonb(dict(detail or {}))),
    )


async def audited(
    connection: AsyncConnection[Any],
    *,
    before: int | None,
    limit: int,
    who: str | None = None,
    action: str | None = None,
) -> list[Audited]:
    """Return rows of the audit, the newest first, with numbers below `before`."""
    cursor = await connection.execute(
        "select audit_id, at, who, role, action, subject, detail from audit"
        " where (%(before)s::bigint is null or audit_id < %(before)s)"
        " and (%(who)s::text is null or who = %(who)s)"
        " and (%(action)s::text is null or action = %(action)s)"
        " order by audit_id desc limit %(limit)s",
        {"before": before, "who": who, "action": action, "limit": limit},
    )
    return [Audited(*row) for row in await cursor.fetchall()]
