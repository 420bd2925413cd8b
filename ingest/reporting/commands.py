"""`danhao national run|status|check|enter`: reporting to the system of key energy users."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock, decimals, periods
from core.errors import Misconfigured, Problem, Rejected
from core.periods import Period
from store import connection, plants, reportqueue, settings
from store.commands import add_database_options
from store.reportfigures import MEASURED, Figure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Coroutine
    from datetime import datetime

    from core.reportplan import Item, Report
    from ingest.reporting.config import Platform
    from store.reportqueue import Progress

WELL: Final = 0
BAD_NEWS: Final = 1
LATE: Final = timedelta(hours=26)  # a daily figure that waits longer was not sent within its day
MOST_WHO_CHARS: Final = 100


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `national` with its leaves to the front door."""
    parser = commands.add_parser("national", help="national reporting: run, status, check, enter")
    leaves = parser.add_subparsers(dest="leaf", required=True, metavar="COMMAND")

    run = leaves.add_parser("run", help="make figures and send them to every [[platform]]")
    _add_config(run)
    run.set_defaults(run=_run)

    status = leaves.add_parser("status", help="how each platform stands; exit 1 where one is late")
    add_database_options(status)
    status.set_defaults(run=_status)

    check = leaves.add_parser(
        "check", help="the plant's file and the mapping, and how well it is known"
    )
    _add_config(check)
    check.set_defaults(run=_check)

    enter = leaves.add_parser("enter", help="a figure by hand, where nothing measured it")
    _add_config(enter)
    enter.add_argument("--platform", required=True, metavar="NAME", help="whose report it is of")
    enter.add_argument("--item", required=True, metavar="NAME", help="name of the item")
    enter.add_argument("--period", required=True, choices=("slot", "day", "month"))
    enter.add_argument("--start", required=True, metavar="TIME", help="RFC 3339 with offset")
    enter.add_argument("--value", required=True, metavar="DECIMAL", help="in the unit that is told")
    enter.add_argument("--who", required=True, metavar="NAME", help="who answers for it")
    enter.set_defaults(run=_enter)


def _add_config(parser: argparse.ArgumentParser) -> None:
    add_database_options(parser)
    parser.add_argument("--config", metavar="FILE", type=Path, help="default: danhao.toml")


def _settings(options: argparse.Namespace) -> tuple[str, tuple[Platform, ...]]:
    """Return where the store is and the platforms; raises Misconfigured with all problems."""
    from ingest.reporting import config  # noqa: PLC0415 - `status` needs no HTTP

    document = settings.read_file(os.environ, options.config)
    problems: list[Problem] = []
    url = ""
    platforms: tuple[Platform, ...] = ()
    try:
        given = (options.database_url, options.data_dir)
        url = settings.database(os.environ, document, url=given[0], data_dir=given[1]).url
    except Misconfigured as error:
        problems += error.problems
    try:
        platforms = config.load(document)
    except Misconfigured as error:
        problems += error.problems
    if problems:
        raise Misconfigured(problems)
    return url, platforms


def _run(options: argparse.Namespace) -> int:
    from ingest.reporting import service  # noqa: PLC0415 - only this leaf needs it

    url, platforms = _settings(options)
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format=form)
    asyncio.run(_until_stopped(service.run(url, platforms, clock.utc_now)))
    return WELL


async def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        logging.getLogger(__name__).info("stopped")
    except BaseExceptionGroup as group:
        wrong, others = group.split(Misconfigured)
        if wrong is None or others is not None:
            raise
        raise Misconfigured(_problems(wrong)) from group


def _problems(group: BaseExceptionGroup[Misconfigured]) -> list[Problem]:
    found: list[Problem] = []
    for each in group.exceptions:
        found += _problems(each) if isinstance(each, BaseExceptionGroup) else each.problems
    return found


def _status(options: argparse.Namespace) -> int:
    url = settings.database_of(options, os.environ).url
    now = clock.utc_now()
    found = asyncio.run(_progress(url))
    late = [each for each in found if is_late(each, now)]
    if options.json:
        items = [item(each, now) for each in found]
        print(json.dumps({"items": items}, ensure_ascii=False, indent=2))  # noqa: T201 - an answer
    else:
        for each in found:
            print(sentence(each, now))  # noqa: T201 - an answer
        if not found:
            print("no platform was ever reported to")  # noqa: T201 - an answer
    return BAD_NEWS if late else WELL


async def _progress(url: str) -> list[Progress]:
    async with connection.single(url, "danhao national") as link:
        return await reportqueue.progress(link)


def is_late(found: Progress, now: datetime) -> bool:
    """Tell whether somebody must look: nothing was heard, or something is refused or given up."""
    heard = found.session.heard_at
    waits = found.waiting + found.behind > 0
    silent = heard is None or now - heard > LATE
    return bool(found.refused or found.expired or (waits and silent))


def item(found: Progress, now: datetime) -> dict[str, Any]:
    """Return how a platform stands as JSON carries it."""
    session = found.session
    heard = session.heard_at
    oldest = found.oldest_us
    return {
        "platform": session.destination,
        "site": session.site,
        "state": session.state.value,
        "since": periods.render_utc(clock.to_us(session.since)),
        "waiting": found.waiting,
        "refused": found.refused,
        "accepted": found.accepted,
        "superseded": found.superseded,
        "expired": found.expired,
        "behind": found.behind,
        "oldest_period_start": None if oldest is None else periods.render_utc(oldest),
        "failures": session.failures,
        "next_at": periods.render_utc(clock.to_us(session.next_at)),
        "heard_at": None if heard is None else periods.render_utc(clock.to_us(heard)),
        "detail": session.detail,
        "late": is_late(found, now),
    }


def sentence(found: Progress, now: datetime) -> str:
    """Return how a platform stands in one line."""
    session = found.session
    heard = session.heard_at
    last = "never" if heard is None else periods.render_utc(clock.to_us(heard))
    told = (
        f"{session.destination} ({session.site}): {session.state.value}, {found.accepted} accepted,"
        f" {found.waiting} waiting, {found.refused} of them refused, {found.behind} behind,"
        f" {found.expired} given up; last heard {last}"
    )
    failures = f"; {session.failures} failures in a row: {session.detail}"
    trouble = failures if session.failures else ""
    return f"{'LATE ' if is_late(found, now) else ''}{told}{trouble}"


def _check(options: argparse.Namespace) -> int:
    url, platforms = _settings(options)
    reports = asyncio.run(_reports(url, platforms))
    found = [_checked(*each) for each in zip(platforms, reports, strict=True)]
    if options.json:
        print(json.dumps({"items": found}, ensure_ascii=False, indent=2))  # noqa: T201 - an answer
        return WELL
    for each in found:
        print(  # noqa: T201 - an answer
            f"{each['platform']}: {each['items']} items and {each['meters']} meters of"
            f" {each['site']}; mapping {each['mapping']}: {len(each['unverified'])} of"
            f" {each['names']} names and codes are not verified against the standard"
        )
    return WELL


def _checked(platform: Platform, report: Report) -> dict[str, Any]:
    names = platform.names()
    return {
        "platform": platform.name,
        "site": report.site,
        "items": len(report.items),
        "meters": len(report.meters),
        "mapping": names.edition,
        "names": len(names.marks),
        "unverified": list(names.unverified),
    }


async def _reports(url: str, platforms: tuple[Platform, ...]) -> list[Report]:
    from core import reportplan  # noqa: PLC0415 - `run` has its own way

    async with connection.single(url, "danhao national") as link:
        loaded = await plants.load(link)
    found: list[Report] = []
    problems: dict[str, Problem] = {}
    for platform in platforms:
        text = settings.read_text(platform.report)
        try:
            report = reportplan.parse(text, str(platform.report), loaded.plant, platform.names())
        except Misconfigured as error:
            problems |= {str(each): each for each in error.problems}
            continue
        found.append(report)
    if problems:
        raise Misconfigured(list(problems.values()))
    return found


def _enter(options: argparse.Namespace) -> int:
    url, platforms = _settings(options)
    chosen = [each for each in platforms if each.name == options.platform]
    if not chosen:
        raise Misconfigured([Problem("--platform", f"no [[platform]] is named {options.platform}")])
    if not 0 < len(options.who) <= MOST_WHO_CHARS or not options.who.isprintable():
        raise Misconfigured([Problem("--who", f"write a name of 1 to {MOST_WHO_CHARS} characters")])
    (report,) = asyncio.run(_reports(url, (chosen[0],)))
    figure = entered(report, options, clock.to_us(clock.utc_now()))
    revision = asyncio.run(_keep(url, report.site, figure, options.who))
    told = f"kept as revision {revision} of {options.item}, told next"
    answer = json.dumps({"item": figure.item, "revision": revision}) if options.json else told
    print(answer)  # noqa: T201 - an answer
    return WELL


def entered(report: Report, options: argparse.Namespace, now_us: int) -> Figure:
    """Return the figure that a person enters; raises Misconfigured with every mistake."""
    wrong: list[Problem] = []
    period = Period(options.period)
    named = [each for each in report.of(period) if each.name == options.item]
    if len(named) != 1:
        known = ", ".join(sorted(each.name for each in report.of(period))[:20]) or "none"
        told = f"no item is named {options.item!r} for a {period}: there are {known}"
        wrong.append(Problem("--item", told))
    start_us = _start(report, period, options.start, now_us, wrong)
    value = _value(options.value, wrong)
    if wrong:
        raise Misconfigured(wrong)
    found: Item = named[0]
    return Figure(found.code, period.value, start_us, value, found.told.printed, MEASURED)


def _start(report: Report, period: Period, text: str, now_us: int, wrong: list[Problem]) -> int:
    try:
        at_us = periods.parse_instant(text)
        start, end = periods.period_at(period, at_us, report.timezone)
    except (ValueError, OverflowError, Rejected):
        told = f"{text[:40]!r} is no time: write 2026-10-01T00:00:00+08:00"
        wrong.append(Problem("--start", told))
        return 0
    if start != at_us:
        shown = periods.render(start, report.timezone)
        wrong.append(Problem("--start", f"no {period} begins then: the one around it at {shown}"))
    elif end > now_us:
        wrong.append(Problem("--start", f"the {period} has not ended yet"))
    return start


def _value(text: str, wrong: list[Problem]) -> str:
    try:
        return decimals.show_e6(decimals.exact_e6(decimals.parse(text)))
    except ValueError as error:
        wrong.append(Problem("--value", str(error)))
        return "0"


async def _keep(url: str, site: str, figure: Figure, who: str) -> int:
    async with connection.single(url, "danhao national") as link, link.transaction():
        return await reportqueue.enter(link, site, figure, who, clock.utc_now())
