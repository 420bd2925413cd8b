"""`danhao api run|openapi` and `danhao token create`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from api import access, app, config, server
from core import clock
from core.errors import Misconfigured, Problem, Rejected
from store import access as tokens
from store import connection, settings
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

WELL: Final = 0
MOST_NAME_CHARS: Final = 100
MOST_DAYS: Final = 3660


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `api` and `token` with their leaves to the front door."""
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

    program = commands.add_parser("token", help="bearer tokens: create")
    leaves = program.add_subparsers(dest="leaf", required=True, metavar="COMMAND")
    leaf = leaves.add_parser("create", help="create a token and print it, once")
    add_database_options(leaf)
    leaf.add_argument("--name", required=True, help="whose it is; stands in the audit")
    leaf.add_argument("--role", required=True, help=", ".join(access.Role))
    leaf.add_argument(
        "--scope",
        required=True,
        action="append",
        help="site:<id>, jurisdiction:<code> or *; may be given again",
    )
    leaf.add_argument("--expires-days", type=int, metavar="DAYS", help="left out: never")
    leaf.set_defaults(run=_create)


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


def _create(options: argparse.Namespace) -> int:
    role, scope = _checked(options)
    url = settings.database_of(options, os.environ).url
    now = clock.utc_now()
    days = options.expires_days
    expires_at = None if days is None else now + timedelta(days=days)
    secret = asyncio.run(_store(url, options.name, role, scope, (now, expires_at)))
    if options.json:
        answer: dict[str, Any] = {
            "token": secret,
            "name": options.name,
            "role": role.value,
            "scope": list(scope),
            "expires_at": None if expires_at is None else expires_at.isoformat(),
        }
        print(json.dumps(answer, ensure_ascii=False))  # noqa: T201 - the command's answer
    else:
        print(secret)  # noqa: T201 - the command's answer
        print("Keep it: it is shown this once and stored nowhere.", file=sys.stderr)  # noqa: T201
    return WELL


def _checked(options: argparse.Namespace) -> tuple[access.Role, Sequence[str]]:
    """Check what a person typed; raises Misconfigured with every mistake."""
    problems: list[Problem] = []
    role, scope = access.Role.OPERATOR, tuple[str, ...]()
    try:
        role = access.parse_role(options.role)
    except Rejected as error:
        problems.append(Problem("--role", str(error)))
    try:
        scope = access.parse_scope(options.scope)
    except Rejected as error:
        problems.append(Problem("--scope", str(error)))
    if not 0 < len(options.name.strip()) <= MOST_NAME_CHARS:
        problems.append(Problem("--name", f"give a name of 1 to {MOST_NAME_CHARS} characters"))
    days = options.expires_days
    if days is not None and not 0 < days <= MOST_DAYS:
        problems.append(Problem("--expires-days", f"give 1 to {MOST_DAYS} days"))
    if problems:
        raise Misconfigured(problems)
    return role, scope


async def _store(
    url: str,
    name: str,
    role: access.Role,
    scope: Sequence[str],
    life: tuple[Any, Any],
) -> str:
    now, expires_at = life
    pool = await connection.open_pool(url, application="danhao token", most=1)
    try:
        async with pool.connection() as link:
            secret = await tokens.create_token(
                link, name=name, role=role, scope=scope, now=now, expires_at=expires_at
            )
            await tokens.record(
                link,
                at=now,
                who="command line",
                role=access.Role.ADMIN,
                action="create_token",
                subject=name,
                detail={"role": role, "scope": list(scope)},
            )
            return secret
    finally:
        await pool.close()
