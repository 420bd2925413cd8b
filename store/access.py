"""Who may ask: tokens, the sessions traded for them, and the audit of what people wrote.

A token and a session are 256 random bits; the store keeps their SHA-256 only. A session's CSRF
token is derived from its cookie, so that a page that was reloaded can ask for it again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

SECRET_BYTES: Final = 32
MOST_SECRET_CHARS: Final = 256  # longer ones are refused before they are hashed
SESSION_LIFE: Final = timedelta(hours=12)
MOST_SESSIONS_PER_TOKEN: Final = 200  # the oldest make room
_CSRF_PURPOSE: Final = b"danhao csrf"


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a valid token or session belongs to; `expires_at` is None for a token without end."""

    token_id: UUID
    name: str
    role: str
    scope: tuple[str, ...]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as it leaves the server once: the cookie's value and its CSRF token."""

    cookie: str
    csrf: str
    expires_at: datetime


def new_secret() -> str:
    """Return 256 random bits as text for a header or a cookie."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> bytes:
    """Return what the store keeps of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def csrf_of(cookie: str) -> str:
    """Return the CSRF token of a session; it tells nothing about the cookie."""
    return hmac.digest(cookie.encode(), _CSRF_PURPOSE, "sha256").hex()


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


_HOLDER = sql.SQL(
    "select t.token_id, t.name, t.role, t.scope, {expires} from {source}"
    " where {key} = %(sha256)s and t.revoked_at is null"
    " and (t.expires_at is null or t.expires_at > %(now)s) {alive}"
)
_BY_TOKEN = _HOLDER.format(
    expires=sql.SQL("t.expires_at"),
    source=sql.SQL("access_token t"),
    key=sql.SQL("t.sha256"),
    alive=sql.SQL(""),
)
_BY_SESSION = _HOLDER.format(
    expires=sql.SQL("least(t.expires_at, s.expires_at)"),
    source=sql.SQL("session s join access_token t using (token_id)"),
    key=sql.SQL("s.sha256"),
    alive=sql.SQL("and s.expires_at > %(now)s"),
)


async def holder_of_token(
    connection: AsyncConnection[Any], secret: str, now: datetime
) -> Holder | None:
    """Return who holds a token, or None where it is unknown, expired or revoked."""
    return await _holder(connection, _BY_TOKEN, secret, now)


async def holder_of_session(
    connection: AsyncConnection[Any], cookie: str, now: datetime
) -> Holder | None:
    """Return who holds a session, or None where it or its token is over."""
    return await _holder(connection, _BY_SESSION, cookie, now)


async def _holder(
    connection: AsyncConnection[Any], query: sql.Composed, secret: str, now: datetime
) -> Holder | None:
    if not 0 < len(secret) <= MOST_SECRET_CHARS:
        return None
    cursor = await connection.execute(query, {"sha256": digest(secret), "now": now})
    row = await cursor.fetchone()
    if row is None:
        return None
    token_id, name, role, scope, expires_at = row
    return Holder(token_id, name, role, tuple(scope), expires_at)


async def open_session(
    connection: AsyncConnection[Any], holder: Holder, now: datetime
) -> NewSession:
    """Open a session for a token's holder: 12 h, or less where the token ends before."""
    cookie = new_secret()
    csrf = csrf_of(cookie)
    expires_at = now + SESSION_LIFE
    if holder.expires_at is not None:
        expires_at = min(expires_at, holder.expires_at)
    async with connection.transaction():
        await connection.execute(
            "delete from session where expires_at <= %s or sha256 in (select sha256 from session"
            " where token_id = %s order by created_at desc offset %s)",
            (now, holder.token_id, MOST_SESSIONS_PER_TOKEN - 1),
        )
        await connection.execute(
            "insert into session (sha256, token_id, csrf_sha256, created_at, expires_at)"
            " values (%s, %s, %s, %s, %s)",
            (digest(cookie), holder.token_id, digest(csrf), now, expires_at),
        )
    return NewSession(cookie, csrf, expires_at)


async def csrf_matches(connection: AsyncConnection[Any], cookie: str, csrf: str) -> bool:
    """Tell whether the header's CSRF token belongs to the session of the cookie."""
    cursor = await connection.execute(
        "select csrf_sha256 from session where sha256 = %s", (digest(cookie),)
    )
    row = await cursor.fetchone()
    return row is not None and hmac.compare_digest(bytes(row[0]), digest(csrf))


async def close_session(connection: AsyncConnection[Any], cookie: str) -> None:
    """End a session; ending one that is over changes nothing."""
    await connection.execute("delete from session where sha256 = %s", (digest(cookie),))


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
