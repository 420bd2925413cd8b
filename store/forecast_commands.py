"""`danhao forecast UNIT`: what the month or year of a unit is foreseen to end with.

Exits 1 where a limit that binds or is aimed at is foreseen to be broken, 0 else.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import clock, indicators, periods
from core.errors import Misconfigured, Rejected
from core.limits import Force
from core.periods import Period
from core.verdicts import Verdict
from store import commands, connection, forecasts, plants, settings
from store.forecasts import Question

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from psycopg import AsyncConnection

    from core.outlook import Outlook

WELL: Final = 0
BAD_NEWS: Final = 1
_SERIOUS: Final = frozenset({Force.MANDATORY.value, Force.TARGET.value})


def register(parsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `forecast`."""
    purpose = "what a unit's month or year is foreseen to end with, and what the rest must keep"
    parser = parsers.add_parser("forecast", help=purpose, description=purpose)
    parser.add_argument("unit", metavar="UNIT", help="such as gh-al.potline-1")
    parser.add_argument("--indicator", metavar="ID", help="default: the unit's first")
    parser.add_argument("--period", choices=[one.value for one in forecasts.PERIODS])
    parser.add_argument("--as-of", metavar="TIME", help="as it was known then (RFC 3339)")
    parser.add_argument("--lang", choices=("zh", "en"), default="en", help="of the sentence")
    commands.add_database_options(parser)
    parser.set_defaults(run=_run, period=Period.MONTH.value)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for, not looked up yet."""

    unit: str
    indicator: str | None
    period: Period
    as_of_us: int | None


def _run(options: argparse.Namespace) -> int:
    wanted = Wanted(
        options.unit, options.indicator, Period(options.period), _instant(options.as_of)
    )
    url = settings.database_of(options, os.environ).url
    item = asyncio.run(_ask(url, wanted)).item()
    if options.json:
        print(json.dumps(item, ensure_ascii=False, indent=2))  # noqa: T201 - a command's answer
    else:
        print("\n".join(lines(item, options.lang)))  # noqa: T201 - a command's answer
    return BAD_NEWS if is_bad(item) else WELL


def is_bad(item: Mapping[str, Any]) -> bool:
    """Tell whether a limit that binds or is aimed at is foreseen to be broken."""
    return any(
        one["outlook"] == Verdict.EXCEEDS.value and one["force"] in _SERIOUS
        for one in item["limits"]
    )


def lines(item: Mapping[str, Any], language: str) -> Iterator[str]:
    """Yield the sentence, and a line for each limit."""
    yield item["sentence"][language]
    for one in item["limits"]:
        bound = one["limit_value"] or one["own_value"]
        chance = one["chance_exceeds"]
        shown = "" if chance is None else f"{chance:.1%}"
        room = one["headroom"]
        kept = "" if room is None else f"rest {one['cmp']} {room['value']}"
        yield f"{one['limit']:<52}{one['cmp']} {bound:<12}{one['outlook']:<15}{shown:>7}  {kept}"


def _instant(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return periods.parse_instant(text)
    except (ValueError, OverflowError) as error:
        raise Misconfigured(f"--as-of: {error}") from error


async def _ask(url: str, wanted: Wanted) -> Outlook:
    pool = await connection.open_pool(url, application="danhao forecast", most=1)
    try:
        async with pool.connection() as link:
            return await find(link, wanted, clock.to_us(clock.utc_now()))
    finally:
        await pool.close()


async def find(link: AsyncConnection[Any], wanted: Wanted, now_us: int) -> Outlook:
    """Return the outlook that was asked for; raises Rejected or Misconfigured where there is none.

    The unit must be declared now, and for `as_of` then.
    """
    declared = await plants.load(link)
    unit = declared.plant.units.get(wanted.unit)
    if unit is None:
        raise Rejected(f"no unit has the id {wanted.unit[:200]!r}: `danhao plant show` lists them")
    name = wanted.indicator or next(iter(unit.indicators), None)
    if name is None:
        raise Misconfigured(f"{unit.id} declares no indicator: name one with --indicator")
    indicator = indicators.find(name)
    at_us = now_us if wanted.as_of_us is None else wanted.as_of_us
    if at_us > now_us:
        raise Misconfigured("--as-of lies ahead: nobody knows what will be known then")
    asked = Question(unit, indicator, wanted.period, clock.from_us(at_us))
    if wanted.as_of_us is None:
        return await forecasts.now(link, declared.plant, declared.ids, asked)
    found = await forecasts.as_known(link, declared.ids, asked)
    if found is None:
        raise Rejected(f"{unit.id} was not declared at {periods.render_utc(at_us)}")
    return found
