"""`danhao api run|openapi`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

from api import app, config, server
from core import clock
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse

WELL: Final = 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `api` with its leaves to the front door."""
    program = commands.add_parser("api", help="the read side: run, openapi")
    leaves = program.add_subparsers(dest="leaf", required=True, metavar="COMMAND")
    leaf = leaves.add_parser("run", help="serve the HTTP API, the live stream and the page")
    add_database_options(leaf)
    leaf.add_argument("--host", help=f"default {config.DEFAULT_HOST}")
    leaf.add_argument("--port", type=int, help=f"default {config.DEFAULT_PORT}; 0 takes a free one")
    leaf.set_defaults(run=_run)
    leaf = leaves.add_parser("openapi", help="print the OpenAPI description; needs no database")
    leaf.add_argument("--json", action="store_true", help="print JSON, as it does anyway")
    leaf.set_defaults(run=_openapi)


def _run(options: argparse.Namespace) -> int:
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    found = config.load(
        os.environ,
        host=options.host,
        port=options.port,
        database_url=options.database_url,
        data_dir=options.data_dir,
    )
    listener = server.bind(found.host, found.port)

    def say(address: str) -> None:
        ready = {"ready": address}
        print(json.dumps(ready) if options.json else f"ready {address}", flush=True)  # noqa: T201 - the command's answer

    with listener:
        asyncio.run(server.serve(found, listener, clock.utc_now, say))
    return WELL


def _openapi(_options: argparse.Namespace) -> int:
    print(json.dumps(app.description(), ensure_ascii=False, indent=2))  # noqa: T201 - the command's answer
    return WELL
