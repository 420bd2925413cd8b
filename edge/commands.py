"""`danhao edge run|check|outbox CONFIG`.

Exit codes: 0 well, 1 the answer is bad news; wrong use or configuration is raised as Misconfigured.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core.clock import utc_now
from core.errors import Misconfigured
from edge import config as configuration
from edge import outboxplan, outboxreport, outboxstate

if TYPE_CHECKING:
    import argparse

MOST_PLANNED_POINTS: Final = 1_000_000
MOST_PLANNED_PERIOD_S: Final = 86_400


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `edge` and its leaves; each leaf sets `run`, a function from its arguments to a code."""
    edge = commands.add_parser("edge", help="the agent on a plant gateway")
    leaves = edge.add_subparsers(dest="edge_command", required=True, metavar="COMMAND")
    _leaf(leaves, "run", "read meters, keep and forward readings until stopped", run)
    _leaf(leaves, "check", "check a configuration and read every meter once", check)
    leaf = _leaf(leaves, "outbox", "show how the outbox stands", outbox)
    leaf.add_argument(
        "--plan",
        nargs=2,
        metavar=("POINTS", "PERIOD_S"),
        help="tell how long the outbox lasts for so many points, each read once a period",
    )


def _leaf(
    leaves: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, run: Any
) -> argparse.ArgumentParser:
    leaf = leaves.add_parser(name, help=text, description=text)
    leaf.add_argument("config", type=Path, metavar="CONFIG", help="the agent's edge.toml")
    leaf.add_argument("--json", action="store_true", help="print JSON")
    leaf.set_defaults(run=run)
    return leaf


def run(args: argparse.Namespace) -> int:
    """Run the agent until SIGTERM or SIGINT, SIGHUP reads its file again; returns 0."""
    from edge import service  # noqa: PLC0415 - `edge outbox` needs no meter's protocol

    config = configuration.load(args.config)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s danhao edge {config.settings.agent}: %(message)s",
    )
    counts = asyncio.run(service.run(config, args.config))
    if args.json:
        _print_json(counts)
    return 0


def check(args: argparse.Namespace) -> int:
    """Read every point once and show it; returns 1 where something did not come or looks wrong."""
    from edge import check as checking  # noqa: PLC0415 - as above

    config = configuration.load(args.config)
    found = asyncio.run(checking.check(config.stations(utc_now)))
    if args.json:
        _print_json({"config": str(args.config), "devices": [one.item() for one in found]})
    else:
        for line in checking.table(found):
            _print(line)
    return 0 if all(one.ok for one in found) else 1


def outbox(args: argparse.Namespace) -> int:
    """Show how the outbox stands; returns 1 where readings were lost or given up."""
    config = configuration.load(args.config)
    max_bytes = config.settings.outbox.max_mb << 20
    if args.plan:
        points, period_s = _plan_asked(*args.plan)
        made = outboxplan.plan(points, period_s, max_bytes, config.settings.outbox.keep_days)
        if args.json:
            _print_json(outboxreport.plan_item(made))
        else:
            _print(outboxreport.plan_line(made))
        return 0
    names = [destination.name for destination in config.destinations]
    state, rates = outboxstate.inspect(config.outbox_path, names)
    shown = outboxreport.item(state, rates, config.outbox_path, max_bytes)
    if args.json:
        _print_json(shown)
    else:
        for line in outboxreport.table(shown):
            _print(line)
    return 1 if outboxreport.is_bad(state) else 0


def _plan_asked(points: str, period_s: str) -> tuple[int, float]:
    try:
        asked = int(points), float(period_s)
    except ValueError:
        asked = 0, 0.0
    if not (1 <= asked[0] <= MOST_PLANNED_POINTS and 0 < asked[1] <= MOST_PLANNED_PERIOD_S):
        raise Misconfigured(
            f"--plan {points} {period_s}: write a number of points up to {MOST_PLANNED_POINTS} and"
            f" a period up to {MOST_PLANNED_PERIOD_S} s, such as --plan 200 900"
        )
    return asked


def _print_json(data: object) -> None:
    _print(json.dumps(data, ensure_ascii=False, indent=2))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
