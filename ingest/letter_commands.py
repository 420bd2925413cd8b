"""`danhao ingest dead-letters`, alone a list, and show, mend, replay, discard."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock, periods
from core.clock import from_us, to_us
from core.errors import Misconfigured, Rejected
from ingest import mending
from store import access, connection, dead_letters, settings
from store.bar import Bar
from store.commands import add_database_options
from store.dead_letters import Wanted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from psycopg import AsyncConnection

    from ingest.mending import Replayed
    from store.connection import Pool
    from store.dead_letters import Kept

WELL: Final = 0
BAD_NEWS: Final = 1
DEFAULT_LETTERS: Final = 100
MOST_PAYLOAD_BYTES: Final = 1 << 20  # what a message may have


def register(leaves: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `dead-letters` and what can be done with them."""
    letters = leaves.add_parser("dead-letters", help="what was refused, and why; newest first")
    add_database_options(letters)
    letters.add_argument("--reason", metavar="WORD", choices=dead_letters.REASONS)
    letters.add_argument("--limit", type=int, default=DEFAULT_LETTERS, metavar="N")
    letters.add_argument("--open", action="store_true", help="leave out what is settled")
    letters.set_defaults(run=_list)
    actions = letters.add_subparsers(dest="action", metavar="ACTION")

    def action(name: str, purpose: str, run: Callable[..., int]) -> argparse.ArgumentParser:
        found = actions.add_parser(name, help=purpose, description=purpose)
        add_database_options(found)
        found.set_defaults(run=run)
        return found

    found = action("show", "one letter with everything that is known of it", _show)
    found.add_argument("id", type=int, metavar="ID", nargs=1)
    found = action("mend", "put a corrected form beside what came", _mend)
    _which(found)
    found.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="such as point=a.b.c"
    )
    found.add_argument("--topic", metavar="TOPIC", help="danhao/v1/SITE/AGENT/readings")
    found.add_argument("--payload", type=Path, metavar="FILE", help="all of it; - reads stdin")
    found = action("replay", "send letters through admission again, as if they came now", _replay)
    _which(found)
    found = action("discard", "mark letters as not wanted any more", _discard)
    _which(found)


def _which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=int, metavar="ID", nargs="*")
    parser.add_argument("--reason", metavar="WORD", choices=dead_letters.REASONS)
    parser.add_argument("--since", type=_instant, metavar="TIME", help="2026-10-01, or RFC 3339")


def _list(options: argparse.Namespace) -> int:
    if not 1 <= options.limit <= dead_letters.MOST_PAGE:
        raise Misconfigured(f"--limit is not from 1 to {dead_letters.MOST_PAGE}")
    wanted = Wanted(reason=options.reason, unsettled=options.open)

    async def work(pool: Pool) -> tuple[list[Kept], dict[str, int]]:
        async with pool.connection() as link:
            found = await dead_letters.page(link, wanted, limit=options.limit)
            return found, await dead_letters.removed(link)

    found, removed = _run(options, work)
    lines = [_line(each) for each in found] or ["no dead letters"]
    if removed:
        lines.append(f"{sum(removed.values())} older letters have made room for newer ones")
    _say(options, {"items": [item(each) for each in found], "removed": removed}, lines)
    return WELL


def _show(options: argparse.Namespace) -> int:
    async def work(pool: Pool) -> Kept:
        async with pool.connection() as link:
            await _ids(link, Wanted(ids=options.id))
            [found] = await dead_letters.page(link, Wanted(ids=options.id))
            return found

    shown = item(_run(options, work))
    _say(options, shown, [f"{key}: {value}" for key, value in shown.items() if value is not None])
    return WELL


def _mend(options: argparse.Namespace) -> int:
    changes = dict(_assignment(each) for each in options.set)
    whole = None if options.payload is None else _payload(options.payload)
    if not (changes or options.topic or whole is not None):
        raise Misconfigured("say what to mend: --set FIELD=VALUE, --topic TOPIC or --payload FILE")

    async def work(pool: Pool) -> list[int]:
        now, who = clock.utc_now(), _who()
        async with pool.connection() as link:
            ids = await _ids(link, _wanted(options))
            for one in ids:
                [letter] = await dead_letters.page(link, Wanted(ids=[one]))
                payload = _mended(letter, changes, whole)
                topic = options.topic or letter.mended_topic or letter.topic
                await dead_letters.mend(link, one, topic, payload, who, now)
            await _record(link, "mend_letters", ids, now)
        return ids

    done = _run(options, work)
    _say(options, {"mended": done}, [f"mended {len(done)} letters: replay them now"])
    return WELL


def _mended(letter: Kept, changes: dict[str, Any], whole: bytes | None) -> bytes:
    if letter.cut and whole is None:
        raise Misconfigured(
            f"letter {letter.id}: only its beginning is kept: give it whole with --payload FILE"
        )
    payload = whole or letter.mended_payload or letter.payload
    try:
        return mending.mended(payload, changes) if changes else payload
    except Rejected as error:
        raise Misconfigured(f"letter {letter.id}: {error}") from error


def _replay(options: argparse.Namespace) -> int:
    bar = Bar("replaying")

    async def work(pool: Pool) -> list[Replayed]:
        async with pool.connection() as link:
            ids = await _ids(link, _wanted(options))
        found = await mending.replay_all(pool, ids, _who(), clock.utc_now, bar)
        async with pool.connection() as link:
            await _record(link, "replay_letters", ids, clock.utc_now())
        return found

    found = _run(options, work)
    bar.close()
    counts = {word: sum(r.outcome == word for r in found) for word in dead_letters.OUTCOMES}
    items = [{"id": r.id, "outcome": r.outcome, "detail": r.detail} for r in found]
    lines = [f"{r.id}  {r.outcome}: {r.detail}" for r in found]
    summary = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    _say(options, {"items": items, "counts": counts}, [*lines, summary])
    return BAD_NEWS if counts["refused"] or counts["cut"] else WELL


def _discard(options: argparse.Namespace) -> int:
    async def work(pool: Pool) -> list[int]:
        now = clock.utc_now()
        async with pool.connection() as link:
            wanted = Wanted(ids=await _ids(link, _wanted(options)))
            done = await dead_letters.discard(link, wanted, _who(), now)
            await _record(link, "discard_letters", done, now)
        return done

    done = _run(options, work)
    _say(options, {"discarded": done}, [f"discarded {len(done)} letters"])
    return WELL


# -- what they share -----------------------------------------------------------------------------


def _wanted(options: argparse.Namespace) -> Wanted:
    if not (options.id or options.reason or options.since):
        raise Misconfigured("say which letters: their ids, --reason WORD or --since TIME")
    return Wanted(options.id or None, options.reason, options.since, unsettled=not options.id)


async def _ids(link: AsyncConnection[Any], wanted: Wanted) -> list[int]:
    """Return the letters, oldest first; raises Misconfigured for an id that is none."""
    found = await dead_letters.ids(link, wanted)
    missing = sorted(set(wanted.ids or ()) - set(found))
    if missing:
        raise Misconfigured(f"no letter has the id {', '.join(map(str, missing))}")
    return found


async def _record(link: AsyncConnection[Any], action: str, ids: list[int], now: datetime) -> None:
    subject = f"dead-letters/{ids[0] if len(ids) == 1 else len(ids)}"
    shown = {"ids": ids[: dead_letters.MOST_PAGE]}
    await access.record(
        link, at=now, who=_who(), role="admin", action=action, subject=subject, detail=shown
    )


def _run(options: argparse.Namespace, work: Callable[[Pool], Awaitable[Any]]) -> Any:
    async def alone() -> Any:
        url = settings.database_of(options, os.environ).url
        pool = await connection.open_pool(url, application="danhao dead-letters", most=1)
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(alone())


def _who() -> str:
    """Return who types: the account of this machine, for the record."""
    try:
        return f"shell:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"shell:{os.getuid()}"


def _instant(text: str) -> datetime:
    try:
        if len(text) == len("2026-10-01"):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        return from_us(periods.parse_instant(text))
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError("write 2026-10-01 or 2026-10-01T08:00:00+08:00") from error


def _assignment(text: str) -> tuple[str, Any]:
    """Split FIELD=VALUE; a value that is JSON is taken as such, all else as text."""
    field, equals, value = text.partition("=")
    if not equals or not field:
        raise Misconfigured(f"--set {text}: write FIELD=VALUE, such as point=gh-al.u-1.ac")
    try:
        return field, json.loads(value)
    except ValueError:
        return field, value


def _payload(path: Path) -> bytes:
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(MOST_PAYLOAD_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(MOST_PAYLOAD_BYTES + 1)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MOST_PAYLOAD_BYTES:
        raise Misconfigured(f"{path}: is larger than the {MOST_PAYLOAD_BYTES} bytes of a message")
    return data


def _line(letter: Kept) -> str:
    where = letter.point or f"{letter.site}/{letter.agent}"
    state = "" if letter.state == "open" else f" [{letter.state}]"
    return (
        f"{letter.id:>6}  {letter.recorded_at:%Y-%m-%d %H:%M:%S}Z {letter.reason:16} {where}:"
        f" {letter.detail}{state}"
    )


def item(letter: Kept) -> dict[str, Any]:
    """Return a letter as JSON shows it."""
    mended = letter.mended_payload
    return {
        "id": letter.id,
        "recorded_at": letter.recorded_at.isoformat(),
        "reason": letter.reason,
        "topic": letter.topic,
        "point": letter.point,
        "measured_at": _shown(letter.measured_at),
        "detail": letter.detail,
        "payload": letter.payload.decode("utf-8", "replace"),
        "payload_bytes": letter.payload_bytes,
        "cut": letter.cut,
        "state": letter.state,
        "mended_topic": letter.mended_topic,
        "mended_payload": None if mended is None else mended.decode("utf-8", "replace"),
        "mended_at": _shown(letter.mended_at),
        "mended_by": letter.mended_by,
        "replayed_at": _shown(letter.replayed_at),
        "replayed_by": letter.replayed_by,
        "outcome_detail": letter.outcome_detail,
        "discarded_at": _shown(letter.discarded_at),
        "discarded_by": letter.discarded_by,
    }


def _shown(at: datetime | None) -> str | None:
    return None if at is None else periods.render_utc(to_us(at))


def _say(options: argparse.Namespace, answer: object, lines: list[str]) -> None:
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))  # noqa: T201 - a command's answer
    else:
        print("\n".join(lines))  # noqa: T201 - a command's answer
