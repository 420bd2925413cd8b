"""`danhao evidence export|verify|checker`: one figure with everything behind it, for an inspector.

`verify` needs no database and runs the very file that `checker` writes. Exit 1: something does
not follow, or no such figure; the pack is written all the same, so that somebody can look.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from core import clock, periods
from core.errors import Misconfigured, Problem, Rejected
from core.periods import Period
from store import (
    closeseal,
    closing,
    connection,
    evidencefile,
    evidencepack,
    plants,
    results,
    settings,
)
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from psycopg import AsyncConnection

    from store.closing import Signer
    from store.evidencepack import Pack
    from store.results import Result

WELL: Final = 0
BAD_NEWS: Final = 1
MOST_FILE_BYTES: Final = 1 << 30  # MOST_READINGS of a pack are a twentieth of it
_NAMED: Final = re.compile(r"([12][0-9]{3})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12][0-9]|3[01]))?)?")
_KINDS: Final = (Period.YEAR, Period.MONTH, Period.DAY)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `evidence` and its leaves to the front door."""
    evidence = commands.add_parser("evidence", help="evidence packs: export, verify, checker")
    leaves = evidence.add_subparsers(dest="leaf", required=True, metavar="COMMAND")

    def leaf(name: str, purpose: str, run: Callable[..., int]) -> argparse.ArgumentParser:
        found = leaves.add_parser(name, help=purpose, description=purpose)
        found.set_defaults(run=run)
        return found

    found = leaf("export", "write one figure with all that is behind it to FILE", _export)
    add_database_options(found)
    found.add_argument("result", nargs="?", metavar="RESULT", help="the figure's id, or:")
    found.add_argument("--unit")
    found.add_argument("--indicator", help="default: the unit's first")
    found.add_argument("--period", help="2026, 2026-10 or 2026-10-05, in the site's time zone")
    found.add_argument("--key", type=Path, help="private key to sign with (default: [close])")
    found.add_argument("file", type=Path, metavar="FILE")

    found = leaf("verify", "compute a pack's figure and verdicts again; no database", _verify)
    found.add_argument("file", type=Path, metavar="FILE")
    found.add_argument("--public-key", metavar="KEY", help="ed25519:...: it must have signed")
    found.add_argument("--lang", choices=("en", "zh"), default="en")
    found.add_argument("--json", action="store_true", help="print JSON")

    found = leaf("checker", "write the one-file checker, for who has no danhao", _checker)
    found.add_argument("file", type=Path, metavar="FILE")
    found.add_argument("--json", action="store_true", help="print JSON")


def _export(options: argparse.Namespace) -> int:
    problems = _wrong(options)
    signs = None
    try:
        signs = closing.signer(settings.close(os.environ, key_file=options.key).key_file)
    except Misconfigured as error:
        problems += error.problems
    if options.file.exists():
        problems.append(Problem(str(options.file), "is there already: give another name"))
    url = ""
    try:
        url = settings.database_of(options, os.environ).url
    except Misconfigured as error:
        problems += error.problems
    if problems:
        raise Misconfigured(problems)
    found = asyncio.run(_made(url, options, signs))
    _write(options.file, found.data)
    answer = {
        "file": str(options.file),
        "bytes": len(found.data),
        "key": None if signs is None else signs.key,
        **found.report.item(),
    }
    signed = f"signed by {signs.key}" if signs else "not signed: [close] names no key_file"
    lines = [f"{options.file}: {len(found.data)} bytes, {signed}", *found.report.lines("en")]
    _say(options, answer, lines)
    return BAD_NEWS if found.problems else WELL


def _verify(options: argparse.Namespace) -> int:
    if options.public_key is not None:
        try:
            closeseal.check_key(options.public_key)
        except Misconfigured as error:
            raise Misconfigured([Problem("--public-key", str(error))]) from error
    try:
        with options.file.open("rb") as file:
            data = file.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise Misconfigured([Problem(str(options.file), message)]) from error
    if len(data) > MOST_FILE_BYTES:
        message = f"is larger than {MOST_FILE_BYTES} bytes"
        raise Misconfigured([Problem(str(options.file), message)])
    report = evidencefile.load()(data, options.public_key)
    _say(options, report.item(), list(report.lines(options.lang)))
    return WELL if report.well else BAD_NEWS


def _checker(options: argparse.Namespace) -> int:
    if options.file.exists():
        raise Misconfigured([Problem(str(options.file), "is there already: give another name")])
    text = evidencefile.text().encode()
    _write(options.file, text)
    digest = evidencefile.digest()
    _say(
        options,
        {"file": str(options.file), "sha256": digest},
        [f"{options.file}: python3 -I {options.file} PACK", f"sha256 {digest}"],
    )
    return WELL


async def _made(url: str, options: argparse.Namespace, signs: Signer | None) -> Pack:
    async with connection.single(url, "danhao evidence") as link:
        if options.result is not None:
            found = await results.find(link, UUID(options.result))
        else:
            found = await _newest(link, options)
        if found is None:
            raise Rejected("there is no such figure: `danhao close list` names closed months")
        return await evidencepack.make(link, found, clock.utc_now(), signs)


async def _newest(link: AsyncConnection[Any], options: argparse.Namespace) -> Result | None:
    """Return the newest version of the figure that is named by unit, indicator and period."""
    plant = (await plants.load(link)).plant
    unit = plant.units.get(options.unit)
    if unit is None:
        raise Rejected(f"no unit {options.unit!r} is declared", "unknown_unit")
    indicator = options.indicator or next(iter(unit.indicators), None)
    if indicator is None:
        raise Rejected(f"{unit.id} has no indicator: name one with --indicator")
    kind, begin_us = named(options.period, plant.sites[unit.site].timezone)
    key = (unit.id, indicator, kind.value)
    return next(iter(await results.read(link, key, (begin_us, begin_us + 1), 1)), None)


def named(text: str, zone: str) -> tuple[Period, int]:
    """Return (kind, first instant) of 2026, 2026-10 or 2026-10-05; raises ValueError else."""
    match = _NAMED.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no period: write 2026, 2026-10 or 2026-10-05")
    year, month, day = match.groups()
    begin_us, end_us = periods.parse_month(f"{year}-{month or '01'}", zone)
    if day is None:
        return (Period.YEAR if month is None else Period.MONTH), begin_us
    for begin, _ in periods.periods_between(Period.DAY, begin_us, end_us, zone):
        if periods.render(begin, zone)[8:10] == day:
            return Period.DAY, begin
    raise ValueError(f"{text} is no day of the calendar")


def _wrong(options: argparse.Namespace) -> list[Problem]:
    if options.result is not None:
        try:
            UUID(options.result)
        except ValueError:
            return [Problem("RESULT", "is no id of a figure, such as the API's `result`")]
        return []
    if options.unit is None or options.period is None:
        return [Problem("command line", "name a RESULT, or --unit and --period")]
    try:
        named(options.period, "UTC")
    except ValueError as error:
        return [Problem("--period", str(error))]
    return []


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be written: {error.strerror}")]) from error


def _say(options: argparse.Namespace, answer: object, lines: list[str]) -> None:
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))  # noqa: T201 - a command's answer
    else:
        print("\n".join(lines))  # noqa: T201 - a command's answer
