"""Sessions of browsers: a cookie of two halves, of which one is renewed while it is in use.

The first half finds the session and stays, so that the CSRF token derived from it stays; the second
proves it and is replaced every RENEW_AFTER. The store keeps SHA-256 of both only. Promise: a
session ends with its time, after `idle` without a request, with its token or account, and when a
half that was replaced long ago is shown again: then two browsers hold it, and one of them stole it.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from store.access import MOST_SECRET_CHARS, Holder, digest, new_secret

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

RENEW_AFTER: Final = timedelta(hours=1)
# What a browser asked before it heard of its new cookie is under way for less than this.
GRACE: Final = timedelta(seconds=60)
TOUCH_AFTER: Final = timedelta(seconds=60)  # one write a session and minute, however busy it is
MOST_SESSIONS_PER_HOLDER: Final = 200  # the oldest make room
MOST_ADDRESS_CHARS: Final = 64
MOST_BROWSER_CHARS: Final = 200
_CSRF_PURPOSE: Final = b"danhao csrf"


@dataclass(frozen=True, slots=True)
class Life:
    """How long sessions live: at most, and without a request."""

    most: timedelta = timedelta(hours=12)
    idle: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a session was opened from, for its owner to recognise it."""

    address: str
    browser: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as it leaves the server once: the cookie's value and its CSRF token."""

    session_id: UUID
    cookie: str
    csrf: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Entered:
    """A session that was shown and holds; `cookie` is set where the browser must take a new one."""

    session_id: UUID
    holder: Holder
    csrf: str
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Stolen:
    """A session that was ended because a replaced cookie came back."""

    session_id: UUID
    holder: Holder


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its owner sees it."""

    session_id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    browser: str


class Step(Enum):
    """What to do with a session that was shown."""

    STRANGER = auto()  # the half that proves it is neither the newest nor the one before
    HOLD = auto()
    SETTLE = auto()  # the newest half is seen for the first time
    RENEW = auto()
    RENEW_AGAIN = auto()  # the browser never heard of its new half
    END = auto()  # replaced long ago, and shown again


@dataclass(frozen=True, slots=True)
class Proof:
    """The halves a session knows, by their digests, and when they came to be."""

    newest: bytes
    previous: bytes | None
    renewed_at: datetime
    settled_at: datetime | None


def judge(proof: Proof, shown: bytes, now: datetime) -> Step:
    """Decide what the half that was shown means. Pure."""
    if hmac.compare_digest(proof.newest, shown):
        if now - proof.renewed_at >= RENEW_AFTER:
            return Step.RENEW
        return Step.SETTLE if proof.settled_at is None else Step.HOLD
    if proof.previous is None or not hmac.compare_digest(proof.previous, shown):
        return Step.STRANGER
    if proof.settled_at is not None:
        return Step.HOLD if now - proof.settled_at <= GRACE else Step.END
    return Step.RENEW_AGAIN if now - proof.renewed_at > GRACE else Step.HOLD


def after(proof: Proof, step: Step, renewed: bytes, now: datetime) -> Proof:
    """Return what a session knows after a step; `renewed` is the new half where it takes one."""
    if step is Step.RENEW:
        return Proof(renewed, proof.newest, now, None)
    if step is Step.RENEW_AGAIN:
        return Proof(renewed, proof.previous, now, None)
    return replace(proof, settled_at=now) if step is Step.SETTLE else proof


def csrf_of(cookie: str) -> str:
    """Return the CSRF token of a session's cookie; it tells nothing about the cookie."""
    stays = cookie.partition(".")[0]
    return hmac.digest(stays.encode(), _CSRF_PURPOSE, "sha256").hex()


async def open_session(
    connection: AsyncConnection[Any], holder: Holder, now: datetime, life: Life, origin: Origin
) -> NewSession:
    """Open a session for a holder, whose oldest ones make room; ended ones are swept."""
    stays, secret = new_secret(), new_secret()
    expires_at = now + life.most
    if holder.expires_at is not None:
        expires_at = min(expires_at, holder.expires_at)
    owner = {"token_id": holder.token_id, "account_id": holder.account_id}
    async with connection.transaction():
        await connection.execute(
            sql.SQL(
                "delete from session where expires_at <= %(now)s or seen_at <= %(idle)s"
                " or sha256 in (select sha256 from session where {owned}"
                " order by created_at desc offset %(most)s)"
            ).format(owned=_OWNED),
            {
                **owner,
                "now": now,
                "idle": now - life.idle,
                "most": MOST_SESSIONS_PER_HOLDER - 1,
            },
        )
        cursor = await connection.execute(
            "insert into session (sha256, secret_sha256, renewed_at, settled_at, token_id,"
            " account_id, created_at, seen_at, expires_at, address, browser) values"
            " (%(stays)s, %(secret)s, %(now)s, %(now)s, %(token_id)s, %(account_id)s, %(now)s,"
            " %(now)s, %(end)s, %(address)s, %(browser)s) returning session_id",
            {
                **owner,
                "stays": digest(stays),
                "secret": digest(secret),
                "now": now,
                "end": expires_at,
                "address": _plain(origin.address, MOST_ADDRESS_CHARS),
                "browser": _plain(origin.browser, MOST_BROWSER_CHARS),
            },
        )
        row = await cursor.fetchone()
    assert row is not None, "an insert returns its row"  # noqa: S101 - a belief about our own code
    cookie = f"{stays}.{secret}"
    return NewSession(row[0], cookie, csrf_of(cookie), expires_at)


async def enter(
    connection: AsyncConnection[Any], cookie: str, now: datetime, life: Life
) -> Entered | Stolen | None:
    """Return whose session a cookie is, renewed where it is time; None where it is over."""
    stays, _, secret = cookie.partition(".")
    if not stays or not secret or len(cookie) > MOST_SECRET_CHARS:
        return None
    cursor = await connection.execute(
        _SHOWN, {"sha256": digest(stays), "now": now, "idle": now - life.idle}
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    session_id, newest, previous, renewed_at, settled_at, seen_at, *whose = row
    proof = Proof(bytes(newest), previous and bytes(previous), renewed_at, settled_at)
    holder = _holder(*whose)
    step = judge(proof, digest(secret), now)
    if step is Step.STRANGER:
        return None
    if step is Step.END:
        await close_session(connection, session_id)
        return Stolen(session_id, holder)
    if step is Step.HOLD and now - seen_at < TOUCH_AFTER:
        return Entered(session_id, holder, csrf_of(cookie))
    renewed = new_secret()
    kept = await _keep(connection, session_id, proof, after(proof, step, digest(renewed), now), now)
    is_renewed = kept and step in (Step.RENEW, Step.RENEW_AGAIN)
    return Entered(
        session_id, holder, csrf_of(cookie), f"{stays}.{renewed}" if is_renewed else None
    )


async def _keep(
    connection: AsyncConnection[Any], session_id: UUID, old: Proof, new: Proof, now: datetime
) -> bool:
    """Keep what a session knows now; False where another request changed it at the same moment."""
    cursor = await connection.execute(
        "update session set secret_sha256 = %s, previous_sha256 = %s, renewed_at = %s,"
        " settled_at = %s, seen_at = greatest(seen_at, %s) where session_id = %s"
        " and secret_sha256 = %s and settled_at is not distinct from %s",
        (
            new.newest,
            new.previous,
            new.renewed_at,
            new.settled_at,
            now,
            session_id,
            old.newest,
            old.settled_at,
        ),
    )
    return cursor.rowcount == 1


async def is_alive(
    connection: AsyncConnection[Any], session_id: UUID, now: datetime, life: Life
) -> bool:
    """Tell whether a session still holds, and count it as seen: a page that watches is in use."""
    cursor = await connection.execute(
        sql.SQL(
            "update session s set seen_at = greatest(s.seen_at, %(now)s) from ({whose}) w"
            " where s.session_id = w.session_id and s.session_id = %(id)s"
            " and s.expires_at > %(now)s and s.seen_at > %(idle)s"
        ).format(whose=_WHOSE),
        {"id": session_id, "now": now, "idle": now - life.idle},
    )
    return cursor.rowcount == 1


async def sessions_of(
    connection: AsyncConnection[Any], holder: Holder, now: datetime, life: Life
) -> list[Session]:
    """Return the sessions of a holder that hold, the newest first."""
    cursor = await connection.execute(
        sql.SQL(
            "select session_id, created_at, seen_at, expires_at, address, browser from session"
            " where {owned} and expires_at > %(now)s and seen_at > %(idle)s"
            " order by created_at desc, session_id"
        ).format(owned=_OWNED),
        {
            "token_id": holder.token_id,
            "account_id": holder.account_id,
            "now": now,
            "idle": now - life.idle,
        },
    )
    return [Session(*row) for row in await cursor.fetchall()]


async def close_session(connection: AsyncConnection[Any], session_id: UUID) -> None:
    """End a session; ending one that is over changes nothing."""
    await connection.execute("delete from session where session_id = %s", (session_id,))


async def close_replaced(connection: AsyncConnection[Any], cookie: str) -> None:
    """End the session that a browser had before it signed in anew."""
    stays = cookie.partition(".")[0]
    if len(cookie) <= MOST_SECRET_CHARS:
        await connection.execute("delete from session where sha256 = %s", (digest(stays),))


async def close_own(
    connection: AsyncConnection[Any],
    holder: Holder,
    *,
    only: UUID | None = None,
    but: UUID | None = None,
) -> int:
    """End sessions of a holder: one, or all but one; return how many there were."""
    cursor = await connection.execute(
        sql.SQL(
            "delete from session where {owned}"
            " and (%(only)s::uuid is null or session_id = %(only)s)"
            " and (%(but)s::uuid is null or session_id <> %(but)s)"
        ).format(owned=_OWNED),
        {
            "token_id": holder.token_id,
            "account_id": holder.account_id,
            "only": only,
            "but": but,
        },
    )
    return cursor.rowcount


def _holder(
    expires_at: datetime,
    token_id: UUID | None,
    account_id: UUID | None,
    issuer: str | None,
    name: str,
    role: str,
    scope: list[str],
) -> Holder:
    return Holder(token_id, name, role, tuple(scope), expires_at, account_id, issuer)


def _plain(text: str, most: int) -> str:
    """Return what the store can keep of a header: no control characters, and no more than that."""
    return "".join(letter for letter in text[: 4 * most] if letter.isprintable())[:most]


_OWNED: Final = sql.SQL("(token_id = %(token_id)s::uuid or account_id = %(account_id)s::uuid)")
_WHOSE: Final = sql.SQL(
    "select s.session_id, least(s.expires_at, t.expires_at) as expires_at, s.token_id,"
    " s.account_id, a.issuer, coalesce(a.name, t.name) as name, coalesce(a.role, t.role) as role,"
    " coalesce(a.scope, t.scope) as scope from session s"
    " left join access_token t using (token_id) left join account a using (account_id)"
    " where t.revoked_at is null and (t.expires_at is null or t.expires_at > %(now)s)"
    " and a.disabled_at is null"
)
_SHOWN: Final = sql.SQL(
    "select s.session_id, s.secret_sha256, s.previous_sha256, s.renewed_at, s.settled_at,"
    " s.seen_at, w.expires_at, w.token_id, w.account_id, w.issuer, w.name, w.role, w.scope"
    " from session s join ({whose}) w using (session_id)"
    " where s.sha256 = %(sha256)s and s.expires_at > %(now)s and s.seen_at > %(idle)s"
).format(whose=_WHOSE)
