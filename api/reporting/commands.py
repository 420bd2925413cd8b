"""`danhao report intensity|quarter|benchmark|quality`: what the store holds, as JSON, XLSX or PDF.

Exit 1 where the report holds bad news: a figure that exceeds a mandatory limit, or a target that
has not lapsed. The file is written whole or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from api.reporting import face, requested
from api.reporting.gather import Asked
from api.reporting.requested import Format, Setting
from core import clock, periods
from core.clock import to_us
from core.errors import Misconfigured, Problem
from core.reports.document import Kind, Language
from store import connection, plants, settings
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from core.plant import Plant, Site
    from core.reports.document import Document
    from core.spans import NamedSpan

WELL: Final = 0
BAD_NEWS: Final = 1
MOST_NAMED: Final = 20  # sites or units of one sentence
STDOUT: Final = "-"
LEAVES: Final = (
    (Kind.INTENSITY, "a month's figures against every limit: --period 2026-10"),
    (Kind.QUARTER, "a quarter's summary: --period 2026-Q3"),
    (Kind.BENCHMARK, "plants ranked, who leads and lags: --period 2026-10, 2026-Q3 or 2026"),
    (Kind.QUALITY, "data quality by the regulator's rules: --period 2026-10 or 2026-Q3"),
)


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `report` and its leaves to the front door."""
    report = commands.add_parser("report", help="reports: intensity, quarter, benchmark, quality")
    leaves = report.add_subparsers(dest="leaf", required=True, metavar="COMMAND")
    for kind, purpose in LEAVES:
        leaf = leaves.add_parser(kind.value, help=purpose, description=purpose)
        add_database_options(leaf)
        leaf.add_argument("--period", required=True, metavar="PERIOD", help="in plant time")
        leaf.add_argument("--site", help="default: every site")
        leaf.add_argument("--unit", help="default: every unit that declares an indicator")
        leaf.add_argument(
            "--format", choices=[one.value for one in Format], default=Format.JSON.value
        )
        leaf.add_argument(
            "--lang", choices=[one.value for one in Language], default=Language.ZH.value
        )
        leaf.add_argument(
            "--out", metavar="FILE", help="where to write it; - or left out: JSON to the terminal"
        )
        leaf.add_argument(
            "--as-of",
            metavar="INSTANT",
            help="what was known at an instant such as 2026-11-02T00:00Z",
        )
        leaf.set_defaults(run=_run, kind=kind)


def _run(options: argparse.Namespace) -> int:
    now_us = to_us(clock.utc_now())
    span, as_of_us, url = _checked(options, now_us)
    setting = Setting(Format(options.format), Language(options.lang), lambda: face.path(os.environ))
    if setting.form is Format.PDF:
        setting.font()  # a missing font is told before a long question is asked
    document = asyncio.run(_document(url, options, span, (now_us, as_of_us)))
    made = setting.render(document)
    if options.out in {None, STDOUT}:
        sys.stdout.buffer.write(made + (b"\n" if setting.form is Format.JSON else b""))
        sys.stdout.buffer.flush()
    else:
        _write(Path(options.out), made)
        _say(options, document, made)
    return BAD_NEWS if document.bad_news else WELL


def _checked(options: argparse.Namespace, now_us: int) -> tuple[NamedSpan, int | None, str]:
    """Read what a person typed; raises Misconfigured with every mistake."""
    problems: list[Problem] = []
    span: NamedSpan | None = None
    try:
        span = requested.period(options.kind, options.period)
    except Misconfigured as error:
        problems += error.problems
    as_of_us: int | None = None
    if options.as_of is not None:
        try:
            as_of_us = periods.parse_instant(options.as_of)
        except (ValueError, OverflowError):
            message = f"{options.as_of[:40]!r} is no time with an offset: write 2026-11-02T00:00Z"
            problems.append(Problem("--as-of", message))
        if as_of_us is not None and as_of_us > now_us:
            problems.append(Problem("--as-of", "lies ahead: nobody knows what will be known then"))
    if options.format != Format.JSON.value and options.out in {None, STDOUT} and _on_terminal():
        problems.append(Problem("--out", f"name a FILE: {options.format} is not for a terminal"))
    url = ""
    try:
        url = settings.database_of(options, os.environ).url
    except Misconfigured as error:
        problems += error.problems
    if problems or span is None:
        raise Misconfigured(problems)
    return span, as_of_us, url


def _on_terminal() -> bool:
    return sys.stdout.isatty()


async def _document(
    url: str, options: argparse.Namespace, span: NamedSpan, when: tuple[int, int | None]
) -> Document:
    async with connection.single(url, "danhao report") as link, link.transaction():
        await link.execute("set transaction isolation level repeatable read, read only")
        loaded = await plants.load(link)
        sites = _sites(loaded.plant, options.site, options.unit)
        asked = Asked(loaded.plant, loaded.ids, sites, span, *when, options.unit)
        return await requested.document(link, options.kind, asked)


def _sites(plant: Plant, site: str | None, unit: str | None) -> list[Site]:
    """Return the sites asked for; raises Misconfigured for what is not declared."""
    problems = []
    if site is not None and site not in plant.sites:
        problems.append(Problem("--site", _undeclared("site", site, list(plant.sites))))
    if unit is not None and unit not in plant.units:
        problems.append(Problem("--unit", _undeclared("unit", unit, list(plant.units))))
    if not plant.sites:
        problems.append(Problem("", "nothing is declared yet: `danhao plant apply` declares sites"))
    if problems:
        raise Misconfigured(problems)
    wanted = site or (plant.units[unit].site if unit is not None else None)
    return [one for key, one in sorted(plant.sites.items()) if wanted in {None, key}]


def _undeclared(what: str, asked: str, known: Sequence[str]) -> str:
    names = ", ".join(sorted(known)[:MOST_NAMED]) or "none"
    return f"no {what} {asked!r} is declared, but {names}"


def _write(path: Path, made: bytes) -> None:
    """Write a file whole or not at all."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            part = Path(file.name)
            file.write(made)
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be written: {error.strerror}")]) from error


def _say(options: argparse.Namespace, document: Document, made: bytes) -> None:
    answer: dict[str, Any] = {
        "file": options.out,
        "bytes": len(made),
        "sha256": hashlib.sha256(made).hexdigest(),
        "kind": document.kind.value,
        "period": document.period,
        "bad_news": document.bad_news,
    }
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))  # noqa: T201 - a command's answer
        return
    news = "; it holds bad news" if document.bad_news else ""
    print(f"{options.out}: {len(made)} bytes, sha256 {answer['sha256']}{news}")  # noqa: T201 - a command's answer
