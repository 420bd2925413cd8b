"""Dead letters: what was refused, why, and its bytes; the same letter again stays one letter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

REASONS: Final = (
    "conflict",
    "unknown_point",
    "unknown_agent",
    "wrong_site",
    "future",
    "too_old",
    "not_a_number",
    "count_too_large",
    "too_large",
    "unreadable",
    "bad_signature",
    "unknown_unit",
    "overlap",
    "archived",
)
MOST_PAYLOAD_BYTES: Final = 64 << 10  # of a message; a reading is far smaller
MOST_TEXT_CHARS: Final = 500
MOST_PAGE: Final = 1_000
_FIRST_US: Final = -62_135_596_800_000_000  # 0001-01-01
_LAST_US: Final = 253_402_214_400_000_000  # 9999-12-31


@dataclass(frozen=True, slots=True)
class Letter:
    """Something refused; `reason` is a word of design 4.2, `detail` one sentence for a person.

    `payload` is the reading as JSON or the whole message; the store keeps its beginning.
    """

    reason: str
    topic: str
    site: str
    agent: str
    detail: str
    payload: bytes
    point: str | None = None
    measured_us: int | None = None

    @property
    def digest(self) -> bytes:
        """Return what tells this letter from all others."""
        head = f"{self.reason}\0{self.topic}\0".encode("utf-8", "replace")
        return hashlib.sha256(head + self.payload).digest()


@dataclass(frozen=True, slots=True)
class Kept:
    """A letter in the store; `payload` is its beginning, `payload_bytes` the whole length."""

    id: int
    recorded_at: datetime
    reason: str
    topic: str
    site: str
    agent: str
    point: str | None
    measured_at: datetime | None
    detail: str
    payload: bytes
    payload_bytes: int


async def write(
    connection: AsyncConnection[Any], letters: Sequence[Letter], recorded_at: datetime
) -> int:
    """Store letters, in the caller's transaction; return how many are not there already."""
    if not letters:
        return 0
    unique = list({letter.digest: letter for letter in letters}.items())
    cursor = await connection.execute(
        "with stored as (insert into dead_letter (recorded_at, reason, topic, site, agent, point,"
        " measured_at, detail, payload, payload_bytes, digest)"
        " select %s, x.* from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[],"
        " %s::timestamptz[], %s::text[], %s::bytea[], %s::bigint[], %s::bytea[]) x"
        " on conflict (digest) do nothing returning 1) select count(*) from stored",
        (
            recorded_at,
            [letter.reason for _, letter in unique],
            [clean(letter.topic) for _, letter in unique],
            [clean(letter.site) for _, letter in unique],
            [clean(letter.agent) for _, letter in unique],
            [None if letter.point is None else clean(letter.point) for _, letter in unique],
            [_instant(letter.measured_us) for _, letter in unique],
            [clean(letter.detail) for _, letter in unique],
            [letter.payload[:MOST_PAYLOAD_BYTES] for _, letter in unique],
            [len(letter.payload) for _, letter in unique],
            [digest for digest, _ in unique],
        ),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def page(
    connection: AsyncConnection[Any],
    *,
    reason: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Kept]:
    """Return letters, newest first, from below the id `before`; at most MOST_PAGE."""
    cursor = await connection.execute(
        "select dead_letter_id, recorded_at, reason, topic, site, agent, point, measured_at,"
        " detail, payload, payload_bytes from dead_letter"
        " where (%(reason)s::text is null or reason = %(reason)s)"
        " and (%(before)s::bigint is null or dead_letter_id < %(before)s)"
        " order by dead_letter_id desc limit %(limit)s",
        {"reason": reason, "before": before, "limit": min(limit, MOST_PAGE)},
    )
    return [Kept(*row) for row in await cursor.fetchall()]


async def counts(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Return how many letters there are of each reason."""
    cursor = await connection.execute("select reason, count(*) from dead_letter group by reason")
    return dict(await cursor.fetchall())


def clean(text: str, most: int = MOST_TEXT_CHARS) -> str:
    """Return text that PostgreSQL can hold: no NUL, no lone surrogate, not too long."""
    return text[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _instant(measured_us: int | None) -> datetime | None:
    if measured_us is None or not _FIRST_US <= measured_us <= _LAST_US:
        return None
    return from_us(measured_us)
