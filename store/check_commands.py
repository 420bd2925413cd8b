"""`danhao checks run|show`: look at the meters of sites, keep what was found, say it in sentences.

Exit 1 where something was found: the answer is bad news for somebody.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Final

from core import clock, periods
from core.errors import Misconfigured, Problem
from core.facts import DAY_US
from core.meterchecks import words
from core.periods import Period
from store import connection, meterchecks, plants, settings
from store.bar import Bar
from store.commands import add_database_options
from store.meterchecks import Asked

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

    from core.meterchecks.findings import Report
    from core.plant import Site

WELL: Final = 0
BAD_NEWS: Final = 1


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `checks` and its leaf to the front door."""
    checks = commands.add_parser("checks", help="checks of meters: run")
    leaves = checks.add_subparsers(dest="leaf", required=True, metavar="COMMAND")
    purpose = "look for meters that are frozen, out of scale or drifting; exit 1 where one is found"
    leaf = leaves.add_parser("run", help=purpose, description=purpose)
    add_database_options(leaf)
    leaf.add_argument("--site", help="default: all")
    leaf.add_argument("--from", dest="since", metavar="TIME", help="RFC 3339 with offset")
    leaf.add_argument(
        "--until", metavar="TIME", help="RFC 3339 with offset; default: today's start"
    )
    leaf.add_argument("--lang", choices=("en", "zh"), default="en")
    leaf.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    wrong: list[Problem] = []
    bounds_us = [_instant(f"--{key}", text, wrong) for key, text in
                 (("from", options.since), ("until", options.until))]  # fmt: skip
    try:
        url = settings.database_of(options, os.environ).url
    except Misconfigured as error:
        raise Misconfigured([*wrong, *error.problems]) from error
    if wrong:
        raise Misconfigured(wrong)
    bar = Bar("checking")
    try:
        found = asyncio.run(
            _checked(url, options.site, (bounds_us[0], bounds_us[1]), clock.utc_now(), bar)
        )
    finally:
        bar.close()
    if options.json:
        items = [{"check": identifier, **report.item()} for identifier, report, _ in found]
        print(json.dumps({"items": items}, ensure_ascii=False, indent=2))  # noqa: T201 - an answer
    else:
        for _, report, site in found:
            print("\n".join(_lines(report, site, options.lang)))  # noqa: T201 - an answer
    return BAD_NEWS if any(report.findings for _, report, _ in found) else WELL


def _instant(key: str, text: str | None, wrong: list[Problem]) -> int | None:
    if text is None:
        return None
    try:
        return periods.parse_instant(text)
    except (ValueError, OverflowError):
        wrong.append(Problem(key, f"{text!r} is no time: write 2026-10-01T00:00:00+08:00"))
        return None


async def _checked(
    url: str,
    wanted: str | None,
    bounds_us: tuple[int | None, int | None],
    now: datetime,
    bar: Bar,
) -> list[tuple[str, Report, Site]]:
    found: list[tuple[str, Report, Site]] = []
    async with connection.single(url, "danhao checks") as link:
        loaded = await plants.load(link)
        sites = loaded.plant.sites
        if wanted is not None and wanted not in sites:
            known = ", ".join(sorted(sites)[:20]) or "none"
            raise Misconfigured([Problem("--site", f"no site {wanted!r} is declared, but {known}")])
        chosen = sorted(sites) if wanted is None else [wanted]
        for done, site in enumerate(chosen, start=1):
            span = window(sites[site], bounds_us, clock.to_us(now))
            report = await meterchecks.check(Asked(link, loaded.plant, loaded.ids, site, *span))
            async with link.transaction():
                kept = await meterchecks.keep(link, report, now)
            found.append((kept, report, sites[site]))
            bar(done, len(chosen))
    return found


def window(site: Site, bounds_us: tuple[int | None, int | None], now_us: int) -> tuple[int, int]:
    """Return whole days of the plant's time; the default ends with the day before this one."""
    last = now_us if bounds_us[1] is None else min(bounds_us[1], now_us)
    until, _ = periods.period_at(Period.DAY, last, site.timezone)
    since = until - meterchecks.DEFAULT_DAYS * DAY_US if bounds_us[0] is None else bounds_us[0]
    first, end = periods.period_at(Period.DAY, since, site.timezone)
    first = first if first == since else end
    days = (until - first) // DAY_US
    if not 0 < days <= meterchecks.MOST_DAYS:
        text = f"the window has {days} whole days: name 1 to {meterchecks.MOST_DAYS} of them"
        raise Misconfigured([Problem("--from, --until", text)])
    return first, first + days * DAY_US


def _lines(report: Report, site: Site, language: str) -> Sequence[str]:
    checked = ", ".join(f"{number} {name}" for name, number in report.checked.items())
    head = f"{report.site} {_day(report.from_us, site)} .. {_day(report.until_us, site)}: {checked}"
    lines = [head]
    lines += [f"  {words.sentence(one, language, site.timezone)}" for one in report.findings]
    if not report.findings:
        lines.append("  nothing found" if language == "en" else "  未发现异常")
    told = "not checked" if language == "en" else "未检查"
    lines += [
        f"  {told}: {one.subject}: {words.reason(one.reason, language)}" for one in report.unchecked
    ]
    blunt = [one for one in report.sharpness if one.named > BLUNT]
    if blunt:
        told = "an error here is named from" if language == "en" else "此处误差可指认起点"
        lines += [f"  {one.point}: {told} {100 * one.named:.2g} %" for one in blunt]
    return lines


BLUNT: Final = 0.02


def _day(at_us: int, site: Site) -> str:
    return periods.render(at_us, site.timezone)[:10]
