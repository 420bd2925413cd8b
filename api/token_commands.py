"""`danhao token create|list|revoke`: bearer tokens of programs."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from api import access, answers
from core import clock
from core.errors import Misconfigured, Problem, Rejected
from store import access as tokens
from store import connection, settings
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

WELL: Final = 0
BAD_NEWS: Final = 1
MOST_NAME_CHARS: Final = 100
MOST_DAYS: Final = 3660
MOST_LISTED: Final = 10_000
WHO: Final = "command line"  # whoever has the database itself


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `token` with its leaves to the front door."""
    program = commands.add_parser("token", help="bearer tokens: create, list, revoke")
    leaves = program.add_subparsers(dest="leaf", required=True, metavar="COMMAND")
    leaf = leaves.add_parser("create", help="create a token and print it, once")
    add_database_options(leaf)
    leaf.add_argument("--name", required=True, help="whose it is; stands in the audit")
    add_grant_options(leaf)
    leaf.add_argument("--expires-days", type=int, metavar="DAYS", help="left out: never")
    leaf.set_defaults(run=_create)
    leaf = leaves.add_parser("list", help="tokens, the newest first; never their secrets")
    add_database_options(leaf)
    leaf.set_defaults(run=_list)
    leaf = leaves.add_parser("revoke", help="end a token and the sessions traded for it")
    add_database_options(leaf)
    leaf.add_argument("id", metavar="ID", help="as `token list` shows it")
    leaf.set_defaults(run=_revoke)


def add_grant_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what somebody may do."""
    parser.add_argument("--role", required=True, help=", ".join(access.Role))
    parser.add_argument(
        "--scope",
        required=True,
        action="append",
        help="site:<id>, jurisdiction:<code> or *; may be given again",
    )


def granted(
    options: argparse.Namespace, problems: list[Problem]
) -> tuple[access.Role, Sequence[str]]:
    """Return the role and scope a person typed; mistakes go into `problems`."""
    role, scope = access.Role.OPERATOR, tuple[str, ...]()
    try:
        role = access.parse_role(options.role)
    except Rejected as error:
        problems.append(Problem("--role", str(error)))
    try:
        scope = access.parse_scope(options.scope)
    except Rejected as error:
        problems.append(Problem("--scope", str(error)))
    return role, scope


@asynccontextmanager
async def store_of(options: argparse.Namespace) -> AsyncIterator[AsyncConnection[Any]]:
    """Open the store for one command, in one transaction."""
    url = settings.database_of(options, os.environ).url
    pool = await connection.open_pool(url, application="danhao access", most=1)
    try:
        async with pool.connection() as link:
            yield link
    finally:
        await pool.close()


async def record(
    link: AsyncConnection[Any],
    at: datetime,
    action: str,
    subject: str,
    detail: dict[str, Any] | None = None,
) -> None:
    """Audit what somebody did who has the database itself."""
    await tokens.record(
        link,
        at=at,
        who=WHO,
        role=access.Role.ADMIN,
        action=action,
        subject=subject,
        detail=detail,
    )


def _create(options: argparse.Namespace) -> int:
    problems: list[Problem] = []
    role, scope = granted(options, problems)
    if not 0 < len(options.name.strip()) <= MOST_NAME_CHARS:
        problems.append(Problem("--name", f"give a name of 1 to {MOST_NAME_CHARS} characters"))
    days = options.expires_days
    if days is not None and not 0 < days <= MOST_DAYS:
        problems.append(Problem("--expires-days", f"give 1 to {MOST_DAYS} days"))
    if problems:
        raise Misconfigured(problems)
    now = clock.utc_now()
    expires_at = None if days is None else now + timedelta(days=days)
    secret = asyncio.run(_store(options, role, scope, now, expires_at))
    if options.json:
        answer = {
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


async def _store(
    options: argparse.Namespace,
    role: access.Role,
    scope: Sequence[str],
    now: datetime,
    expires_at: datetime | None,
) -> str:
    async with store_of(options) as link:
        secret = await tokens.create_token(
            link, name=options.name, role=role, scope=scope, now=now, expires_at=expires_at
        )
        detail = {"role": role, "scope": list(scope)}
        await record(link, now, "create_token", options.name, detail)
        return secret


def _list(options: argparse.Namespace) -> int:
    now = clock.utc_now()
    rows = [_row(token, now) for token in asyncio.run(_all(options))]
    if options.json:
        print(json.dumps({"items": rows, "next": None}, ensure_ascii=False))  # noqa: T201 - the command's answer
        return WELL
    for row in rows:
        print(  # noqa: T201 - the command's answer
            f"{row['id']}  {row['state']:<8} {row['role']:<9} {' '.join(row['scope'])}  "
            f"{row['name']}  until {row['expires_at'] or 'revoked'}"
        )
    return WELL


async def _all(options: argparse.Namespace) -> list[tokens.Token]:
    async with store_of(options) as link:
        return await tokens.tokens_of_all(link, MOST_LISTED)


def _row(token: tokens.Token, now: datetime) -> dict[str, Any]:
    over = token.expires_at is not None and token.expires_at <= now
    state = "revoked" if token.revoked_at is not None else "expired" if over else "valid"
    return {
        "id": str(token.token_id),
        "name": token.name,
        "role": token.role,
        "scope": list(token.scope),
        "state": state,
        "created_at": answers.utc(token.created_at),
        "expires_at": answers.utc(token.expires_at),
        "revoked_at": answers.utc(token.revoked_at),
    }


def _revoke(options: argparse.Namespace) -> int:
    try:
        token_id = UUID(options.id)
    except ValueError as error:
        raise Misconfigured(
            [Problem("ID", "give an id as `danhao token list` shows it")]
        ) from error
    is_done = asyncio.run(_end(options, token_id, clock.utc_now()))
    if options.json:
        print(json.dumps({"id": str(token_id), "revoked": is_done}))  # noqa: T201 - the command's answer
    elif not is_done:
        print(f"no valid token has the id {token_id}", file=sys.stderr)  # noqa: T201 - to its user
    return WELL if is_done else BAD_NEWS


async def _end(options: argparse.Namespace, token_id: UUID, now: datetime) -> bool:
    async with store_of(options) as link:
        is_done = await tokens.revoke_token(link, token_id, now)
        if is_done:
            await record(link, now, "revoke_token", f"token/{token_id}")
        return is_done
