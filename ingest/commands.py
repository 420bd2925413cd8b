"""`danhao ingest run|dead-letters`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core import clock
from ingest import letter_commands
from store import settings

if TYPE_CHECKING:
    import argparse

    from ingest.config import Settings

WELL: Final = 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `ingest` with its leaves to the front door."""
    ingest = commands.add_parser("ingest", help="the write side: run, dead-letters")
    leaves = ingest.add_subparsers(dest="leaf", required=True, metavar="COMMAND")

    run = leaves.add_parser("run", help="take readings from the broker into the database")
    run.add_argument("--config", metavar="FILE", type=Path, help="settings (default: danhao.toml)")
    run.add_argument("--database-url", metavar="URL", help="instead of DANHAO_DATABASE_URL")
    run.set_defaults(run=_run, data_dir=None)

    letter_commands.register(leaves)


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
