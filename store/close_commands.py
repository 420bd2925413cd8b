"""`danhao close month|list|verify|export|check`: a site's months, closed and held to account.

A refusal is one sentence a reason, all of them at once, exit 1. `check` needs no database: who has
only the exported file is told the same by it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from core import clock, periods
from core.errors import Misconfigured, Problem, Rejected
from store import (
    access,
    closecheck,
    closefile,
    closeseal,
    closing,
    connection,
    plants,
    settings,
    standing,
)
from store.bar import Bar
from store.closable import NotClosable
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence

    from psycopg import AsyncConnection

    from store.closeseal import Part
    from store.closing import MonthClose, Signer
    from store.standing import Standing

T = TypeVar("T")

WELL: Final = 0
BAD_NEWS: Final = 1
MOST_NAME_CHARS: Final = 100
MOST_NAMED: Final = 20  # sites of one sentence
COMMAND_LINE: Final = "command line"
ADMIN: Final = "admin"  # the role that the audit shows for who has the database itself


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `close` and its leaves to the front door."""
    close = commands.add_parser("close", help="month close: month, list, verify, export, check")
    leaves = close.add_subparsers(dest="leaf", required=True, metavar="COMMAND")

    def leaf(name: str, purpose: str, run: Callable[..., int]) -> argparse.ArgumentParser:
        found = leaves.add_parser(name, help=purpose, description=purpose)
        found.set_defaults(run=run)
        return found

    found = leaf("month", "close a month of a site: a snapshot, never made anew", _month)
    add_database_options(found)
    _add_month(found)
    found.add_argument(
        "--key", type=Path, metavar="FILE", help="private key to sign with (default: [close])"
    )
    found.add_argument(
        "--by", default=COMMAND_LINE, metavar="NAME", help="who closes it; stands in the snapshot"
    )

    found = leaf("list", "closed months, and what moved since; exit 1 on a flipped verdict", _list)
    add_database_options(found)
    found.add_argument("--site", help="default: all")

    found = leaf("verify", "compute everything that closes speak of again; exit 1 on less", _verify)
    add_database_options(found)
    found.add_argument("--site", help="default: all")
    _add_public_key(found)

    found = leaf("export", "write one close to FILE, for who has no database", _export)
    add_database_options(found)
    _add_month(found)
    found.add_argument("--out", required=True, type=Path, metavar="FILE")

    found = leaf("check", "check exported files: hash, body, signature, chain; no database", _check)
    found.add_argument("files", nargs="+", type=Path, metavar="FILE")
    _add_public_key(found)
    found.add_argument("--json", action="store_true", help="print JSON")


def _add_month(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", required=True)
    parser.add_argument("--month", required=True, help="such as 2026-10, in the site's time zone")


def _add_public_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--public-key", metavar="KEY", help="ed25519:...: it and no other must have signed"
    )


def _month(options: argparse.Namespace) -> int:
    problems = _wrong_month(options)
    who = options.by.strip()
    if not 0 < len(who) <= MOST_NAME_CHARS:
        problems.append(Problem("--by", f"give a name of 1 to {MOST_NAME_CHARS} characters"))
    signs = None
    try:
        signs = closing.signer(settings.close(os.environ, key_file=options.key).key_file)
    except Misconfigured as error:
        problems += error.problems
    url = _url(options, problems)
    bar = Bar("hashing")
    try:
        closed = asyncio.run(_run(url, lambda link: _close(link, options, who, signs, bar)))
    except NotClosable as error:
        bar.close()
        refused = [{"reason": each.reason, "detail": each.sentence} for each in error.obstacles]
        for each in error.obstacles:
            sys.stderr.write(f"danhao: {each.sentence}\n")
        if options.json:
            _say(options, {"refused": refused}, [])
        return BAD_NEWS
    finally:
        bar.close()
    signed = f"signed by {closed.key}" if closed.key else "not signed: [close] names no key_file"
    figures = len(closed.content()["figures"])
    answer = {
        "close": str(closed.id),
        "site": closed.site,
        "month": options.month,
        "number": closed.number,
        "figures": figures,
        "sha256": closed.sha256.hex(),
        "key": closed.key,
    }
    lines = [
        f"closed {closed.site} {options.month}: number {closed.number}, {figures} figures",
        f"sha256 {closed.sha256.hex()}: hand it out, it proves the site's chain up to here",
        signed,
    ]
    _say(options, answer, lines)
    return WELL


async def _close(
    link: AsyncConnection[Any],
    options: argparse.Namespace,
    who: str,
    signs: Signer | None,
    bar: Bar,
) -> MonthClose:
    await _zones(link, options.site)
    now = clock.utc_now()
    async with link.transaction():
        closed = await closing.close_month(
            link, options.site, options.month, who, now, signs, watch=bar
        )
        await access.record(
            link,
            at=now,
            who=COMMAND_LINE,
            role=ADMIN,
            action="close_month",
            subject=f"{options.site}/{options.month}",
            detail={"closed_by": who, "sha256": closed.sha256.hex()},
        )
    return closed


def _list(options: argparse.Namespace) -> int:
    async def work(link: AsyncConnection[Any]) -> tuple[list[Standing], dict[str, str]]:
        zones = await _zones(link, options.site)
        return await standing.of_sites(link, list(zones)), zones

    found, zones = asyncio.run(_run(_url(options), work))
    items = [each.item(zones[each.site]) for each in found]
    lines = [line for item in items for line in _lines(item)]
    _say(options, {"items": items}, lines or ["no month is closed"])
    return BAD_NEWS if any(each.flipped for each in found) else WELL


def _lines(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a person reads of one close: a line, and one more for each flipped verdict."""
    stand = "all stand" if not item["differing"] else f"{item['differing']} differ now"
    if item["flipped"]:
        stand += f", verdicts of {item['flipped']} flipped"
    yield (
        f"{item['site']} {item['month']}: number {item['number']}, closed by {item['closed_by']} at"
        f" {item['closed_at']}, {'signed' if item['signed'] else 'not signed'};"
        f" {item['figures']} figures, {stand}"
    )
    for each in item["flips"]:
        for flip in each["verdicts"]:
            yield (
                f"  {each['period']} {each['period_start'][:10]} of {each['unit']}"
                f" {each['indicator']}: {flip['limit']} {flip['from']} -> {flip['to']}"
                f" ({', '.join(each['causes'])}; version {each['version']} ->"
                f" {each['newest_version']})"
            )
    left = item["flipped"] - len(item["flips"])
    if left > 0:
        yield f"  and {left} more: GET /api/v1/closes/{item['close']}"


def _verify(options: argparse.Namespace) -> int:
    url = _url(options, _wrong_key(options))
    bar = Bar("verifying")

    async def work(link: AsyncConnection[Any]) -> list[tuple[dict[str, Any], list[Part]]]:
        found = []
        for site in sorted(await _zones(link, options.site)):
            for closed in await closing.read(link, site):
                checked = await closecheck.verify(link, closed, options.public_key, bar)
                named = {
                    "close": str(closed.id),
                    "site": site,
                    "number": closed.number,
                    "sha256": closed.sha256.hex(),
                    "key": closed.key,
                }
                found.append((named, list(checked.parts)))
        return found

    try:
        found = asyncio.run(_run(url, work))
    finally:
        bar.close()
    return _told(options, [(f"{each['site']} {each['number']}", each, p) for each, p in found])


def _export(options: argparse.Namespace) -> int:
    url = _url(options, _wrong_month(options))

    async def work(link: AsyncConnection[Any]) -> MonthClose:
        zone = (await _zones(link, options.site))[options.site]
        begin_us, _ = periods.parse_month(options.month, zone)
        closed = await closing.find_month(link, options.site, begin_us)
        if closed is None:
            raise Rejected(
                f"{options.month} of {options.site} is not closed: `danhao close month` closes it"
            )
        return closed

    closed = asyncio.run(_run(url, work))
    size = closefile.write(options.out, closed.seal)
    sha256 = closed.sha256.hex()
    answer = {"file": str(options.out), "bytes": size, "sha256": sha256, "key": closed.key}
    _say(options, answer, [f"{options.out}: {size} bytes, sha256 {sha256}"])
    return WELL


def _check(options: argparse.Namespace) -> int:
    problems = _wrong_key(options)
    seals = []
    for path in options.files:
        try:
            seals.append((path, closefile.read(path)))
        except Misconfigured as error:
            problems += error.problems
    if problems:
        raise Misconfigured(problems)
    found = [(path, seal, closeseal.check(seal, options.public_key)) for path, seal in seals]
    sound = [(seal, parts) for _, seal, parts in found if parts[-1].name == "signature"]
    links = closefile.chain(
        [seal.content() for seal, _ in sound], [seal.sha256.hex() for seal, _ in sound]
    )
    for (_, parts), link in zip(sound, links, strict=True):
        parts.append(link)
    rows = []
    for path, seal, parts in found:
        is_sound = any(part.name == "chain" for part in parts)
        named = {
            "file": str(path),
            "of": closeseal.summary(seal.content()) if is_sound else None,
            "sha256": seal.sha256.hex(),
            "key": seal.key,
        }
        rows.append((f"{path} ({named['of']})" if is_sound else str(path), named, parts))
    return _told(options, rows)


def _told(
    options: argparse.Namespace, rows: Sequence[tuple[str, Mapping[str, Any], Sequence[Part]]]
) -> int:
    """Print of each close which parts are well, wrong and unchecked; return the exit code."""
    items, lines, is_wrong = [], [], False
    for name, named, parts in rows:
        wrong = any(part.problems for part in parts)
        is_wrong |= wrong
        states = ", ".join(f"{part.name} {part.state}" for part in parts)
        lines.append(f"{name}: {'WRONG' if wrong else 'well'}: {states}")
        lines += [f"  wrong: {each}" for part in parts for each in part.problems]
        lines += [f"  unchecked: {each}" for part in parts for each in part.unchecked]
        lines.append(f"  sha256 {named['sha256']}" + (f", {named['key']}" if named["key"] else ""))
        shown = {
            part.name: {
                "state": part.state,
                "problems": part.problems,
                "unchecked": part.unchecked,
            }
            for part in parts
        }
        items.append({**named, "well": not wrong, "parts": shown})
    _say(options, {"items": items}, lines or ["no month is closed"])
    return BAD_NEWS if is_wrong else WELL


# -- what all leaves share -----------------------------------------------------------------------


async def _run(url: str, work: Callable[..., Coroutine[Any, Any, T]]) -> T:
    async with connection.single(url, "danhao close") as link:
        return await work(link)


async def _zones(link: AsyncConnection[Any], site: str | None) -> dict[str, str]:
    """Return the time zone of the site, without one of all; raises Misconfigured without it."""
    declared = (await plants.load(link)).plant.sites
    if site is None:
        return {each.id: each.timezone for each in declared.values()}
    if site not in declared:
        known = ", ".join(sorted(declared)[:MOST_NAMED]) or "none"
        raise Misconfigured([Problem("--site", f"no site {site!r} is declared, but {known}")])
    return {site: declared[site].timezone}


def _wrong_month(options: argparse.Namespace) -> list[Problem]:
    try:
        periods.parse_month(options.month, "UTC")
    except ValueError as error:
        return [Problem("--month", str(error))]
    return []


def _wrong_key(options: argparse.Namespace) -> list[Problem]:
    if options.public_key is None:
        return []
    try:
        closeseal.check_key(options.public_key)
    except Misconfigured as error:
        return [Problem("--public-key", str(error))]
    return []


def _url(options: argparse.Namespace, problems: Sequence[Problem] = ()) -> str:
    """Return where the store is; raises Misconfigured with this and every other mistake."""
    found = list(problems)
    try:
        url = settings.database_of(options, os.environ).url
    except Misconfigured as error:
        raise Misconfigured([*found, *error.problems]) from error
    if found:
        raise Misconfigured(found)
    return url


def _say(options: argparse.Namespace, answer: object, lines: Sequence[str]) -> None:
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))  # noqa: T201 - a command's answer
    else:
        print("\n".join(lines))  # noqa: T201 - a command's answer
