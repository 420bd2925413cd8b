"""`danhao ingest run|dead-letters`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock
from core.errors import Misconfigured
from store import connection, dead_letters, settings
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse

    from ingest.config import Settings
    from store.dead_letters import Kept

WELL: Final = 0
DEFAULT_LETTERS: Final = 100


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ingest` with its leaves to the front door."""
    ingest = commands.add_parser("ingest", help="the write side: run, dead-letters")
    leaves = ingest.add_subparsers(dest="leaf", required=True, metavar="COMMAND")

    run = leaves.add_parser("run", help="take readings from the broker into the database")
    run.add_argument("--config", metavar="FILE", type=Path, help="settings (default: danhao.toml)")
    run.add_argument("--database-url", metavar="URL", help="instead of DANHAO_DATABASE_URL")
    run.set_defaults(run=_run, data_dir=None)

    letters = leaves.add_parser("dead-letters", help="what was refused, and why; newest first")
    add_database_options(letters)
    letters.add_argument("--reason", metavar="WORD", choices=dead_letters.REASONS)
    letters.add_argument("--limit", type=int, default=DEFAULT_LETTERS, metavar="N")
    letters.set_defaults(run=_dead_letters)


def _run(options: argparse.Namespace) -> int:
    from ingest import config  # noqa: PLC0415 - only this leaf needs them

    database = None
    if options.database_url:
        database = settings.database_of(options, os.environ)
    loaded = config.load(os.environ, options.config, database)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    asyncio.run(_serve(loaded))
    return WELL


async def _serve(loaded: Settings) -> None:
    from ingest import service  # noqa: PLC0415 - only this leaf needs it

    work = asyncio.ensure_future(service.run(loaded, clock.utc_now))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        logging.getLogger(__name__).info("stopped")


def _dead_letters(options: argparse.Namespace) -> int:
    if not 1 <= options.limit <= dead_letters.MOST_PAGE:
        raise Misconfigured(f"--limit is not from 1 to {dead_letters.MOST_PAGE}")
    url = settings.database_of(options, os.environ).url
    found = asyncio.run(_read(url, options.reason, options.limit))
    if options.json:
        print(json.dumps({"items": [_item(each) for each in found]}, ensure_ascii=False, indent=2))  # noqa: T201 - the answer
        return WELL
    for each in found:
        where = each.point or f"{each.site}/{each.agent}"
        print(f"{each.recorded_at:%Y-%m-%d %H:%M:%S}Z {each.reason:16} {where}: {each.detail}")  # noqa: T201 - the answer
    if not found:
        print("no dead letters")  # noqa: T201 - the answer
    return WELL


async def _read(url: str, reason: str | None, limit: int) -> list[Kept]:
    pool = await connection.open_pool(url, application="danhao dead-letters", most=1)
    try:
        async with pool.connection() as link:
            return await dead_letters.page(link, reason=reason, limit=limit)
    finally:
        await pool.close()


def _item(letter: Kept) -> dict[str, Any]:
    return {
        "id": letter.id,
        "recorded_at": letter.recorded_at.isoformat(),
        "reason": letter.reason,
        "topic": letter.topic,
        "point": letter.point,
        "measured_at": None if letter.measured_at is None else letter.measured_at.isoformat(),
        "detail": letter.detail,
        "payload": letter.payload.decode("utf-8", "replace"),
        "payload_bytes": letter.payload_bytes,
    }
