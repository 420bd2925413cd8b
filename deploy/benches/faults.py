"""Seeded schedules of faults over the real programs' parts: what was lost, doubled, miscounted.

    danhao bench faults --schedules 10000 --seed 0

Each schedule is one seed (deploy/faultworld, docs/faults.md). A broken one is told on standard
error with its seed and its last steps, and is played again by that seed alone.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import conninfo

from core.errors import Misconfigured
from deploy.benches import servers
from deploy.benches.measured import Measured
from deploy.faultworld.report import Totals
from deploy.faultworld.world import Simulation
from simulators.progress import Bar
from store import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES: Final = ("faults.lost", "faults.doubled", "faults.energy", "faults.broken", "faults.rate")
OPTIONS: Final = ("schedules", "seed")
SCHEDULES: Final = 400  # where nobody says how many: about a minute
MOST_SCHEDULES: Final = 10_000_000
MOST_JOBS: Final = 8  # each is a process of ours and one of the server's
CHUNK: Final = 25
# Programs are killed here, the machine is not; dead rows are cleared by the simulation itself.
_SETTINGS: Final = {"fsync": "off", "autovacuum": "off", "shared_buffers": "64MB"}
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - folders of our own are made in it, with random names
_ROOM_BYTES: Final = 4 << 30  # the server's log may grow to 2 GB


def measure(schedules: int | None = None, seed: int | None = None) -> list[Measured]:
    """Run so many schedules from a seed on; raises Misconfigured on numbers that make no sense."""
    count, first = SCHEDULES if schedules is None else schedules, 0 if seed is None else seed
    if not 1 <= count <= MOST_SCHEDULES or first < 0:
        raise Misconfigured(
            f"--schedules takes 1 to {MOST_SCHEDULES} and --seed a number from 0 on"
        )
    began = time.perf_counter()
    totals = run(first, count)
    seconds = time.perf_counter() - began
    for each in totals.stories:
        sys.stderr.write(f"{each}\n")
    return figures(totals, seconds)


def figures(totals: Totals, seconds: float) -> list[Measured]:
    """Return the figures of schedules that took so long."""
    readings = (
        ("accepted", float(totals.accepted)),
        ("stored", float(totals.stored)),
        ("reported lost", float(totals.reported_lost)),
        ("beyond restore", float(totals.beyond_restore)),
        ("receipts", float(totals.receipts)),
    )
    injected = tuple(
        (kind.replace("_", " "), float(n)) for kind, n in sorted(totals.injected.items())
    )
    difference_kwh = totals.energy_difference_e6 / 1_000_000
    rate = 60 * totals.schedules / seconds
    return [
        Measured("faults.lost", "readings", 0, (totals.lost,), at_most=True, beside=readings),
        Measured("faults.doubled", "readings", 0, (totals.doubled,), at_most=True),
        Measured("faults.energy", "kWh", 0, (difference_kwh,), at_most=True),
        Measured(
            "faults.broken",
            "of runs",
            0,
            (totals.broken,),
            at_most=True,
            beside=(("schedules", float(totals.schedules)), *injected),
        ),
        Measured("faults.rate", "per min", None, (rate,)),
    ]


def run(first: int, count: int) -> Totals:
    """Run schedules on a server of their own, side by side on the machine's cores."""
    totals = Totals()
    chunks = [
        (begin, min(CHUNK, first + count - begin)) for begin in range(first, first + count, CHUNK)
    ]
    jobs = min(os.cpu_count() or 1, MOST_JOBS, len(chunks))
    bar = Bar("schedules", count)
    with _server() as (url, folder), ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        waiting = [pool.submit(chunk, url, folder, *each) for each in chunks]
        try:
            for done in as_completed(waiting):
                totals.add(done.result())
                bar.show(totals.schedules)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C need not wait for thousands
            raise
    bar.close()
    return totals


def chunk(url: str, folder: str, first: int, count: int) -> Totals:
    """Run a few schedules in this process, in a database of its own."""
    logging.disable(logging.CRITICAL)  # the programs tell of every fault; the trace does as well
    name = f"danhao_faults_{os.getpid()}"
    own = conninfo.make_conninfo(url, dbname=name)
    with psycopg.connect(url, autocommit=True) as link:
        migrate.create_database(link, name)
    migrate.migrate(own)
    place = Path(folder) / name
    place.mkdir(exist_ok=True)
    totals = Totals()
    with Simulation(own, place) as simulation:
        for seed in range(first, first + count):
            totals.take(simulation.run(seed))
    return totals


@contextmanager
def _server() -> Iterator[tuple[str, str]]:
    """Yield a server's address and a folder, in memory where the machine has such a place."""
    roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    with servers.embedded(_SETTINGS, Path(_MEMORY) if roomy else None) as (url, folder):
        work = folder / "work"
        work.mkdir(mode=0o700)
        yield url, str(work)
