"""`danhao account create|password|change|disable|enable|list`: people who sign in.

A password comes from a terminal that does not show it or from standard input, never from an
argument, which everybody on the machine could read.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from api import answers, passwords
from api.passwords import Passwords
from api.token_commands import BAD_NEWS, WELL, add_grant_options, granted, record, store_of
from core import clock
from core.errors import Misconfigured, Problem, Rejected
from store import accounts
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from psycopg import AsyncConnection

    from store.accounts import Account

    Change = Callable[[AsyncConnection[Any], Account, datetime], Awaitable[bool]]

MOST_LINE_CHARS: Final = 1024


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `account` with its leaves to the front door."""
    program = commands.add_parser("account", help="people who sign in with a password")
    leaves = program.add_subparsers(dest="leaf", required=True, metavar="COMMAND")
    leaf = _leaf(leaves, "create", "make an account; the password is asked for", _create)
    add_grant_options(leaf)
    _leaf(leaves, "password", "give another password and end all sessions", _password)
    leaf = _leaf(leaves, "change", "give another role and scope, at once", _change)
    add_grant_options(leaf)
    _leaf(leaves, "disable", "end all sessions and let nobody in by this name", _disable)
    _leaf(leaves, "enable", "let a disabled account sign in again", _enable)
    leaf = leaves.add_parser("list", help="all accounts, those of identity providers too")
    add_database_options(leaf)
    leaf.set_defaults(run=_list)


def _leaf(
    leaves: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    purpose: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    leaf = leaves.add_parser(name, help=purpose)
    add_database_options(leaf)
    leaf.add_argument("name", metavar="NAME")
    leaf.set_defaults(run=run)
    return leaf


def _create(options: argparse.Namespace) -> int:
    problems: list[Problem] = []
    role, scope = granted(options, problems)
    name = ""
    try:
        name = passwords.check_name(options.name)
    except Rejected as error:
        problems.append(Problem("NAME", str(error)))
    if problems:
        raise Misconfigured(problems)
    password = _asked(name)

    async def make() -> None:
        hashed = await Passwords().hash(password)
        now = clock.utc_now()
        async with store_of(options) as link:
            await accounts.create_local(
                link, name=name, password_hash=hashed, role=role, scope=scope, now=now
            )
            detail = {"role": role, "scope": list(scope)}
            await record(link, now, "create_account", f"account/{name}", detail)

    asyncio.run(make())
    _say(options, name, "created", is_done=True)
    return WELL


def _password(options: argparse.Namespace) -> int:
    name = passwords.normal_name(options.name)
    password = _asked(name)

    async def change() -> bool:
        hashed = await Passwords().hash(password)

        async def put(link: AsyncConnection[Any], account: Account, now: datetime) -> bool:
            return await accounts.set_password(link, account, hashed, now)

        return await _changed(options, "set_password", put)

    return _told(options, "changed", asyncio.run(change()), "is no local account")


def _change(options: argparse.Namespace) -> int:
    problems: list[Problem] = []
    role, scope = granted(options, problems)
    if problems:
        raise Misconfigured(problems)

    async def put(link: AsyncConnection[Any], account: Account, _now: datetime) -> bool:
        if account.issuer is None:
            await accounts.change(link, account.account_id, role, scope)
        return account.issuer is None

    detail = {"role": role, "scope": list(scope)}
    is_done = asyncio.run(_changed(options, "change_account", put, detail))
    return _told(options, "changed", is_done, "belongs to an identity provider: change its groups")


def _disable(options: argparse.Namespace) -> int:
    async def put(link: AsyncConnection[Any], account: Account, now: datetime) -> bool:
        return await accounts.disable(link, account.account_id, now)

    is_done = asyncio.run(_changed(options, "disable_account", put))
    return _told(options, "disabled", is_done, "is disabled already")


def _enable(options: argparse.Namespace) -> int:
    async def put(link: AsyncConnection[Any], account: Account, _now: datetime) -> bool:
        return await accounts.enable(link, account.account_id)

    is_done = asyncio.run(_changed(options, "enable_account", put))
    return _told(options, "enabled", is_done, "is not disabled")


async def _changed(
    options: argparse.Namespace,
    action: str,
    put: Change,
    detail: dict[str, Any] | None = None,
) -> bool:
    """Change an account and audit it; raises Misconfigured where there is none of that name."""
    now = clock.utc_now()
    async with store_of(options) as link:
        account = await _found(link, options.name)
        is_done = await put(link, account, now)
        if is_done:
            await record(link, now, action, f"account/{account.name}", detail)
        return is_done


async def _found(link: AsyncConnection[Any], given: str) -> Account:
    """Return an account by its name as it is written, or as local names are kept."""
    found = await accounts.find(link, given) or await accounts.find(
        link, passwords.normal_name(given)
    )
    if found is None:
        raise Misconfigured([Problem("NAME", f"no account has the name {given!r}")])
    return found


def _asked(name: str) -> str:
    """Ask a person, or read a line of standard input; raises Misconfigured for a weak one."""
    if sys.stdin.isatty():
        password = getpass.getpass(f"New password of {name}: ")
        if password and password != getpass.getpass("Once more: "):
            raise Misconfigured([Problem("password", "the two are not the same")])
    else:
        password = sys.stdin.readline(MOST_LINE_CHARS).rstrip("\r\n")
    try:
        passwords.check_new(password, name)
    except Rejected as error:
        raise Misconfigured([Problem("password", str(error))]) from error
    return password


def _list(options: argparse.Namespace) -> int:
    async def everyone() -> list[Account]:
        async with store_of(options) as link:
            return await accounts.everyone(link)

    rows = [_row(account) for account in asyncio.run(everyone())]
    if options.json:
        print(json.dumps({"items": rows, "next": None}, ensure_ascii=False))  # noqa: T201 - the command's answer
        return WELL
    for row in rows:
        print(  # noqa: T201 - the command's answer
            f"{row['name']}  {row['state']:<8} {row['role']:<9} {' '.join(row['scope'])}  "
            f"last seen {row['seen_at'] or 'never'}"
        )
    return WELL


def _row(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "issuer": account.issuer,
        "role": account.role,
        "scope": list(account.scope),
        "state": "valid" if account.disabled_at is None else "disabled",
        "created_at": answers.utc(account.created_at),
        "seen_at": answers.utc(account.seen_at),
        "disabled_at": answers.utc(account.disabled_at),
    }


def _told(options: argparse.Namespace, word: str, is_done: bool, otherwise: str) -> int:  # noqa: FBT001 - an outcome
    _say(options, options.name, word, is_done=is_done)
    if not is_done and not options.json:
        print(f"{options.name} {otherwise}", file=sys.stderr)  # noqa: T201 - to its user
    return WELL if is_done else BAD_NEWS


def _say(options: argparse.Namespace, name: str, word: str, *, is_done: bool) -> None:
    if options.json:
        print(json.dumps({"name": name, word: is_done}, ensure_ascii=False))  # noqa: T201 - the command's answer
