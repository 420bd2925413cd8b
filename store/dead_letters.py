"""Dead letters: what was refused, why, its bytes, and what a person did about it.

Promise: what came is never changed, a mended form stands beside it; a replayed letter stays, with
when, by whom and how it ended; the same letter again stays one letter; the table is bounded, and
what made room for newer letters is counted by reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import LiteralString

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
MOST_LETTERS: Final = 50_000  # 3 GB at worst, some 20 MB as they are: a bad reading has 150 bytes
ROOM: Final = 1_000  # letters removed at once when there are too many
OUTCOMES: Final = ("stored", "same", "refused", "cut")
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
    """A letter in the store; `payload` is its beginning, `payload_bytes` the whole length.

    `mended_topic` and `mended_payload` are what a person made of it, in whole; `outcome` is that
    of its last replay.
    """

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
    mended_topic: str | None = None
    mended_payload: bytes | None = None
    mended_at: datetime | None = None
    mended_by: str | None = None
    asked_at: datetime | None = None
    asked_by: str | None = None
    replayed_at: datetime | None = None
    replayed_by: str | None = None
    outcome: str | None = None
    outcome_detail: str | None = None
    discarded_at: datetime | None = None
    discarded_by: str | None = None

    @property
    def cut(self) -> bool:
        """Tell whether the store has only the beginning, so that it cannot be replayed."""
        return self.mended_payload is None and len(self.payload) < self.payload_bytes

    @property
    def state(self) -> str:
        """Return open, asked, discarded, or the outcome of the last replay."""
        if self.discarded_at is not None:
            return "discarded"
        return "asked" if self.asked_at is not None else self.outcome or "open"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters: by id, reason, time, site; what is left out does not matter.

    `sites` of None are all, the undeclared ones too. `unsettled` leaves out what was discarded
    or replayed with success.
    """

    ids: Sequence[int] | None = None
    reason: str | None = None
    since: datetime | None = None
    sites: Sequence[str] | None = None
    unsettled: bool = False


ALL: Final = Wanted()


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
    written = int(row[0]) if row else 0
    if written:
        await make_room(connection, recorded_at)
    return written


async def page(
    connection: AsyncConnection[Any],
    wanted: Wanted = ALL,
    *,
    before: int | None = None,
    limit: int = 100,
    lock: bool = False,
) -> list[Kept]:
    """Return letters, newest first, from below the id `before`; at most MOST_PAGE.

    With `lock` they stay as they are until the caller's transaction ends; letters that somebody
    else has locked are left out.
    """
    cursor = await connection.execute(
        f"select {_KEPT} from dead_letter where {_WANTED}"  # noqa: S608 - constants only
        " and (%(before)s::bigint is null or dead_letter_id < %(before)s)"
        " order by dead_letter_id desc limit %(limit)s"
        f"{' for update skip locked' if lock else ''}",
        {**_parameters(wanted), "before": before, "limit": min(limit, MOST_PAGE)},
    )
    return [Kept(*row) for row in await cursor.fetchall()]


async def ids(connection: AsyncConnection[Any], wanted: Wanted) -> list[int]:
    """Return the ids of letters, oldest first."""
    cursor = await connection.execute(
        f"select dead_letter_id from dead_letter where {_WANTED} order by dead_letter_id",  # noqa: S608 - constants only
        _parameters(wanted),
    )
    return [row[0] for row in await cursor.fetchall()]


async def asked(connection: AsyncConnection[Any], limit: int) -> list[Kept]:
    """Return and lock the oldest letters that somebody wants replayed."""
    cursor = await connection.execute(
        f"select {_KEPT} from dead_letter where asked_at is not null"  # noqa: S608 - constants only
        " order by dead_letter_id limit %s for update skip locked",
        (limit,),
    )
    return [Kept(*row) for row in await cursor.fetchall()]


async def mend(
    connection: AsyncConnection[Any],
    letter: int,
    topic: str,
    payload: bytes,
    who: str,
    now: datetime,
) -> None:
    """Put another form beside what came; a replay takes this one."""
    await connection.execute(
        "update dead_letter set mended_topic = %s, mended_payload = %s, mended_by = %s,"
        " mended_at = %s where dead_letter_id = %s",
        (clean(topic), payload, who, now, letter),
    )


async def ask(
    connection: AsyncConnection[Any], wanted: Wanted, who: str, now: datetime
) -> list[int]:
    """Have the next ingest worker replay letters; return which."""
    return await _change(connection, wanted, "asked_at = %(now)s, asked_by = %(who)s", who, now)


async def discard(
    connection: AsyncConnection[Any], wanted: Wanted, who: str, now: datetime
) -> list[int]:
    """Mark letters as not wanted any more; return which. They are the first to make room."""
    assignments = "discarded_at = %(now)s, discarded_by = %(who)s, asked_at = null, asked_by = null"
    return await _change(connection, wanted, assignments, who, now)


async def settle(
    connection: AsyncConnection[Any],
    letter: int,
    outcome: tuple[str, str],
    who: str,
    now: datetime,
) -> None:
    """Write down how a replay ended: a word of OUTCOMES and a sentence, with the replay itself."""
    await connection.execute(
        "update dead_letter set replayed_at = %s, replayed_by = %s, outcome = %s,"
        " outcome_detail = %s, asked_at = null, asked_by = null where dead_letter_id = %s",
        (now, who, outcome[0], clean(outcome[1]), letter),
    )


async def make_room(connection: AsyncConnection[Any], now: datetime) -> int:
    """Remove letters beyond MOST_LETTERS, settled ones first, then the oldest; count them."""
    cursor = await connection.execute(
        # Ids that were given out tell cheaply that there cannot be too many yet.
        "select case when max(dead_letter_id) - min(dead_letter_id) < %(most)s then 0"
        " else (select count(*) from dead_letter) end from dead_letter",
        {"most": MOST_LETTERS},
    )
    row = await cursor.fetchone()
    if row is None or (row[0] or 0) <= MOST_LETTERS:
        return 0
    cursor = await connection.execute(
        f"with gone as (delete from dead_letter where dead_letter_id in (select dead_letter_id"  # noqa: S608 - constants only
        f" from dead_letter order by {_SETTLED} desc, dead_letter_id limit %(room)s)"
        f" returning reason, {_SETTLED} settled), counted as (select reason, count(*) n,"
        " count(*) filter (where settled) s from gone group by reason order by reason),"
        " told as (insert into dead_letter_removed (reason, letters, settled, last_at)"
        " select reason, n, s, %(now)s from counted on conflict (reason) do update set"
        " letters = dead_letter_removed.letters + excluded.letters,"
        " settled = dead_letter_removed.settled + excluded.settled, last_at = excluded.last_at)"
        " select coalesce(sum(n), 0)::int from counted",
        {"room": row[0] - MOST_LETTERS + ROOM, "now": now},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def removed(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Return how many letters of each reason have made room for newer ones."""
    cursor = await connection.execute("select reason, letters from dead_letter_removed")
    return dict(await cursor.fetchall())


async def counts(connection: AsyncConnection[Any]) -> dict[str, int]:
    """Return how many letters there are of each reason."""
    cursor = await connection.execute("select reason, count(*) from dead_letter group by reason")
    return dict(await cursor.fetchall())


def clean(text: str, most: int = MOST_TEXT_CHARS) -> str:
    """Return text that PostgreSQL can hold: no NUL, no lone surrogate, not too long."""
    return text[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


_KEPT: Final = (
    "dead_letter_id, recorded_at, reason, topic, site, agent, point, measured_at, detail, payload,"
    " payload_bytes, mended_topic, mended_payload, mended_at, mended_by, asked_at, asked_by,"
    " replayed_at, replayed_by, outcome, outcome_detail, discarded_at, discarded_by"
)
_SETTLED: Final = "(discarded_at is not null or coalesce(outcome in ('stored', 'same'), false))"
_WANTED: Final = (
    "(%(ids)s::bigint[] is null or dead_letter_id = any(%(ids)s))"
    " and (%(reason)s::text is null or reason = %(reason)s)"
    " and (%(since)s::timestamptz is null or recorded_at >= %(since)s)"
    " and (%(sites)s::text[] is null or site = any(%(sites)s))"
    f" and (not %(unsettled)s or not {_SETTLED})"
)


def _parameters(wanted: Wanted) -> dict[str, Any]:
    return {
        "ids": None if wanted.ids is None else list(wanted.ids),
        "reason": wanted.reason,
        "since": wanted.since,
        "sites": None if wanted.sites is None else list(wanted.sites),
        "unsettled": wanted.unsettled,
    }


async def _change(
    connection: AsyncConnection[Any],
    wanted: Wanted,
    assignments: LiteralString,
    who: str,
    now: datetime,
) -> list[int]:
    cursor = await connection.execute(
        f"update dead_letter set {assignments} where {_WANTED} returning dead_letter_id",  # noqa: S608 - constants only
        {**_parameters(wanted), "who": who, "now": now},
    )
    return sorted(row[0] for row in await cursor.fetchall())


def _instant(measured_us: int | None) -> datetime | None:
    if measured_us is None or not _FIRST_US <= measured_us <= _LAST_US:
        return None
    return from_us(measured_us)
