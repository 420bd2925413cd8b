"""`danhao alerts rehearse RULE`: how often a rule would have rung over the past, and to what use.

Exits 1 where it would have flooded people, or kept silent on a period that was over its limit.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import alerts, clock, conditionfile, periods, rehearsal, rehearsed
from core.errors import Misconfigured, Problem
from core.limits import Force
from core.periods import SLOT_US, Period
from ingest import channel_commands, condition_commands, delivery_commands
from store import commands, connection, pastconditions, plants, rehearsals, settings
from store.bar import Bar
from store.rehearsals import Chosen

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from psycopg import AsyncConnection

    from core.alerts import Rule, Rules
    from core.conditions import Condition
    from core.plant import Plant
    from core.rehearsed import Rehearsed
    from store.plants import Loaded
    from store.rehearsals import Past

WELL: Final = 0
BAD_NEWS: Final = 1
MOST_SPAN_US: Final = 400 * 86_400_000_000  # a year, and some: as far as one look goes back
MOST_SHOWN: Final = 20  # silent periods for a person; all are counted, and JSON has all
_LAST: Final = re.compile(r"(\d{1,5})([hdw])")
_LENGTHS_US: Final = {"h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}


def register(parsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `alerts`."""
    purpose = "alerts: what a rule would have done"
    parser = parsers.add_parser("alerts", help=purpose, description=purpose)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_rehearse(actions)
    channel_commands.add_try(actions)
    condition_commands.add_conditions(actions)
    delivery_commands.add_deliveries(actions)


def _add_rehearse(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = actions.add_parser(
        "rehearse",
        help="how often a rule would have rung over the past, how long, and to what use",
        description="Play a rule over stored slots and facts; nothing is written or told. RULE is"
        " <force>-<period> of the alert rules, such as mandatory-month, or a condition's id, such"
        " as completeness.",
    )
    parser.add_argument("rule", metavar="RULE", help="such as mandatory-month or point_silent")
    parser.add_argument("--last", metavar="SPAN", default="90d", help="such as 90d, 12w or 36h")
    parser.add_argument("--until", metavar="TIME", help="its end, default now (RFC 3339)")
    parser.add_argument(
        "--rules", metavar="FILE", type=Path, help="rules or conditions to try, not the shipped"
    )
    parser.add_argument("--site", metavar="SITE", help="of this site only")
    parser.add_argument("--unit", metavar="UNIT", help="of this unit only")
    commands.add_database_options(parser)
    parser.set_defaults(run=_rehearse)


@dataclass(frozen=True, slots=True)
class Played:
    """A rule as it is to be played: of limits, or a condition."""

    name: str
    rule: Rule
    force: Force | None = None
    period: Period | None = None
    condition: Condition | None = None


def find(name: str, file: Path | None) -> Played:
    """Return the rule of this name, of a file where one is given.

    Raises Misconfigured where there is none, or where its past is not kept.
    """
    text = None if file is None else settings.read_text(file)
    force, _, period = name.rpartition("-")
    if force in set(Force) and period in set(Period):
        rules = alerts.rules() if text is None else alerts.parse_rules(text, str(file))
        rule = rules.get((Force(force), Period(period)))
        if rule is None:
            raise Misconfigured(f"no rule raises alerts of {name}: there are {_names(rules)}")
        return Played(name, rule, Force(force), Period(period))
    shipped = conditionfile.catalogue()
    known = shipped if text is None else conditionfile.parse(text, str(file), shipped)
    condition = known.get(name)
    if condition is None:
        raise Misconfigured(
            f"{name!r} is neither a rule of limits ({_names(alerts.rules())}) nor a condition"
            f" ({', '.join(known)})"
        )
    pastconditions.check(condition)
    return Played(name, condition.rule, condition=condition)


def _names(rules: Rules) -> str:
    return ", ".join(f"{force}-{period}" for force, period in rules)


def span_of(last: str, until: str | None, now_us: int) -> tuple[int, int]:
    """Return the span [from, until) of whole slots; raises Misconfigured with every mistake."""
    problems: list[Problem] = []
    shape = _LAST.fullmatch(last)
    length_us = 0 if shape is None else int(shape[1]) * _LENGTHS_US[shape[2]]
    if not SLOT_US <= length_us <= MOST_SPAN_US:
        problems.append(Problem("--last", f"{last!r} is no span of 1h to 400d: write 90d or 36h"))
    end_us = now_us
    try:
        end_us = now_us if until is None else periods.parse_instant(until)
    except (ValueError, OverflowError) as error:
        problems.append(Problem("--until", f"{error}; write 2026-10-01T00:00:00+08:00"))
    if end_us > now_us:
        problems.append(Problem("--until", "lies ahead: what has not been cannot be rehearsed"))
    if problems:
        raise Misconfigured(problems)
    end_us = periods.slot_start(end_us)
    return end_us - length_us, end_us


def _rehearse(options: argparse.Namespace) -> int:
    played = find(options.rule, options.rules)
    span_us = span_of(options.last, options.until, clock.to_us(clock.utc_now()))
    url = settings.database_of(options, os.environ).url
    past, found = asyncio.run(_play(url, played, span_us, (options.site, options.unit)))
    if options.json:
        item = {**found.item(), "hourly_alerts": past.hourly, "look_every_s": _every_s(past)}
        print(json.dumps(item, ensure_ascii=False, indent=1))  # noqa: T201 - a command's answer
    else:
        print("\n".join(lines(found, past)))  # noqa: T201 - a command's answer
    return code_of(found)


def code_of(found: Rehearsed) -> int:
    """Return the exit code: whether the rule is bad news."""
    return BAD_NEWS if found.silent or found.is_flooded else WELL


async def _play(
    url: str, played: Played, span_us: tuple[int, int], where: tuple[str | None, str | None]
) -> tuple[Past, Rehearsed]:
    pool = await connection.open_pool(url, application="danhao alerts", most=1)
    try:
        async with pool.connection() as link:
            await link.execute("set transaction isolation level repeatable read, read only")
            loaded = await plants.load(link)
            units = _units(loaded.plant, *where)
            return await play(link, loaded, played, span_us, units)
    finally:
        await pool.close()


async def play(
    link: AsyncConnection[Any],
    loaded: Loaded,
    played: Played,
    span_us: tuple[int, int],
    units: frozenset[str] | None = None,
) -> tuple[Past, Rehearsed]:
    """Return what was seen over a span, and what the rule makes of it."""
    bar = Bar("rehearsing")
    if played.condition is not None:
        past = await pastconditions.of_condition(
            link, loaded, played.condition, span_us, units, bar
        )
    else:
        assert played.force is not None  # noqa: S101 - `find` names both
        assert played.period is not None  # noqa: S101 - the same
        chosen = Chosen(played.force, played.period, span_us, units)
        past = await rehearsals.of_limits(link, loaded, chosen, bar)
    bar.close()
    notices = rehearsal.Replay(len(past.watched), played.rule).run(past.looks)
    return past, rehearsed.outcome(
        played.name, span_us, past.watched, past.looks, notices, is_periodic=past.is_periodic
    )


def _units(plant: Plant, site: str | None, unit: str | None) -> frozenset[str] | None:
    """Return the units that --site and --unit leave; None: all."""
    problems = [
        Problem(option, f"{value!r} is not declared: `danhao plant show` lists what is")
        for option, value, known in (("--site", site, plant.sites), ("--unit", unit, plant.units))
        if value is not None and value not in known
    ]
    if problems:
        raise Misconfigured(problems)
    if site is None and unit is None:
        return None
    return frozenset(
        one.id
        for one in plant.units.values()
        if site in {None, one.site} and unit in {None, one.id}
    )


def lines(found: Rehearsed, past: Past) -> Iterator[str]:
    """Yield the outcome for a person."""
    item = found.item()
    rang, worst, quiet = item["rang"], item["worst_10_min"], item["longest_silence"]
    yield f"{found.rule} from {item['from']} to {item['to']}: nothing was written or told"
    yield _row("watched", f"{len(found.watched)} alerts, {found.seen} with a finding of proof")
    if not found.watched:
        yield _row("", "no declared unit or point that this rule is about")
    if past.hourly:
        yield _row("", f"{past.hourly} of them looked at every {_every_s(past) // 3600} h")
    grave = ", ".join(f"severity {key}: {times}" for key, times in rang["by_severity"].items())
    yield _row("rang", f"{rang['times']} times{f' ({grave})' if grave else ''}")
    if rang["times"]:
        yield _row("", f"{rang['still']} still ringing at the end")
        yield _row("how long", _lengths(rang))
    if found.is_periodic and rang["times"]:
        yield _row("of use", ", ".join(f"{use} {times}" for use, times in rang["by_use"].items()))
    since = "" if worst["from"] is None else f" from {worst['from']}"
    yield _row("worst 10 min", f"{worst['rings']} rings{since}; more than 10 are a flood")
    yield _row("longest quiet", f"{quiet['hours']:g} h, {quiet['from']} to {quiet['to']}")
    if found.is_periodic:
        yield from _closed(item)
    if item["noisiest"]:
        yield _row("rang most", "")
    for one in item["noisiest"]:
        what = f"{one['subject']} {one['about']}"
        yield _row("", f"{one['times']:>4} times {one['total_h']:>10.1f} h  {what}")


def _closed(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield what closed periods say: how many, and which of them nobody was warned of."""
    counts = item["closed_periods"]
    yield _row("closed periods", ", ".join(f"{word} {count}" for word, count in counts.items()))
    silent = item["silent"]
    yield _row("silent", f"{len(silent)} of {counts['exceeds']} that exceeded had no ring before")
    for one in silent[:MOST_SHOWN]:
        yield _row("", f"{one['period_start'][:10]} {one['subject']} {one['about']}")
    if len(silent) > MOST_SHOWN:
        yield _row("", f"... and {len(silent) - MOST_SHOWN} more: --json lists them all")


def _lengths(rang: Mapping[str, Any]) -> str:
    total, median, longest = (rang[f"{name}_h"] for name in ("total", "median", "longest"))
    return f"{total:g} h in all, median {median:g} h, longest {longest:g} h"


def _row(label: str, text: str) -> str:
    return f"{label:<16}{text}".rstrip()


def _every_s(past: Past) -> int:
    return past.every_us // 1_000_000
