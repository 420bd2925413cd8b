"""`danhao plan size`: what a plant will take of disk, network and cores, and from which figures."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from core import sizing
from core.sizing import Load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from core.sizing import Plan

WELL: Final = 0
MOST_POINTS: Final = 10_000_000
_THOUSAND: Final = 1000


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `plan` with its one action `size`."""
    parser = commands.add_parser("plan", help="before it is bought: size")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    purpose = "what a plant takes of disk, network, outbox and cores; needs no database"
    size = actions.add_parser("size", help=purpose, description=purpose)
    size.add_argument("--points", type=_count, required=True, metavar="N")
    size.add_argument(
        "--every", type=_seconds, required=True, metavar="SECONDS", help="a reading of each point"
    )
    size.add_argument(
        "--figures", type=_count, default=0, metavar="N", help="indicators, summed over the units"
    )
    size.add_argument("--agents", type=_count, default=1, metavar="N", help="gateways (default 1)")
    size.add_argument(
        "--keep-days", type=_count, metavar="N", help="raw readings are kept (default: for ever)"
    )
    size.add_argument(
        "--pack-after-days",
        type=_count,
        default=sizing.PACK_AFTER_DAYS,
        metavar="N",
        help=f"TimescaleDB packs days so old (default {sizing.PACK_AFTER_DAYS})",
    )
    size.add_argument("--years", type=_count, default=1, metavar="N", help="planned for (1)")
    size.add_argument("--json", action="store_true", help="print JSON")
    size.set_defaults(run=_size)


def _size(options: argparse.Namespace) -> int:
    load = Load(
        points=options.points,
        interval_s=options.every,
        figures=options.figures,
        agents=options.agents,
        keep_days=options.keep_days,
        pack_after_days=options.pack_after_days,
    )
    plan = sizing.plan(load, options.years)
    if options.json:
        sizes = {
            each.id: {"value": str(each.value), "unit": each.unit, "source": each.source}
            for each in sizing.catalogue().values()
        }
        print(json.dumps({"plan": plan.item(), "sizes": sizes}, indent=2))  # noqa: T201
    else:
        print("\n".join(lines(load, plan)))  # noqa: T201 - a command's answer
    return WELL


def lines(load: Load, plan: Plan) -> Sequence[str]:
    """Return a plan as a person reads it, the factors last."""
    kept = "for ever" if load.keep_days is None else f"for {load.keep_days} days"
    head = (
        f"{load.points} points at {load.interval_s} s:"
        f" {room(plan.plain_year)} a year, {room(plan.packed_year)} compressed"
    )
    rows = (
        (
            "readings",
            f"{float(plan.readings_per_s):,.0f} a second, {float(plan.readings_year):,.0f} a year",
        ),
        ("slots of 15 minutes", f"{room(plan.slots_year)} a year, kept for ever"),
        ("figures", f"{room(plan.figures_year)} a year, kept for ever"),
        (f"after {plan.years} years", f"raw readings kept {kept}"),
        ("  on PostgreSQL", room(plan.plain)),
        ("  on TimescaleDB", f"{room(plan.packed)}, packed after {load.pack_after_days} days"),
        ("write-ahead log", f"{room(plan.log_day)} a day, if it is archived or copied"),
        ("network", f"{room(plan.network_per_s)} a second to the broker"),
        (
            "outbox of an agent",
            f"{room(plan.outbox_per_agent)} for {sizing.OUTAGE_DAYS} days without a link",
        ),
        ("cores", f"{float(plan.cores):.2g} at the rate that two were measured to take"),
    )
    factors = (f"  {each.value} {each.unit}  {each.source}" for each in sizing.catalogue().values())
    return [head, *(f"{name:<22}{told}" for name, told in rows), "figures used:", *factors]


def room(size_bytes: Fraction | int) -> str:
    """Return bytes in the unit in which they have one to three figures before the point."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < _THOUSAND:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"  # noqa: PLR2004 - one figure more
        size /= _THOUSAND
    return f"{size:.0f} PB"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_POINTS:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number of at most {MOST_POINTS}")
    return int(text)


def _seconds(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds, such as 10 or 0.5") from error
    if not value.is_finite() or not Decimal("0.001") <= value <= 86_400:  # noqa: PLR2004 - a day
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds from 0.001 to 86400")
    return value
