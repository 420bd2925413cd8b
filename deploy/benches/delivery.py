"""Seeded schedules of faults over the delivery of alerts: lost, doubled, out of order.

    danhao bench delivery --schedules 1000 --seed 0

Each schedule is one seed (deploy/deliveryworld, docs/faults.md); beside them goes a walk: each kind
of fault of the database and the notifier once at every single statement of a small schedule (from
200 schedules on; at every seventh where fewer are asked for). A broken one is told on standard
error with its seed and its last steps.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import conninfo

from core.errors import Misconfigured
from deploy.benches import servers
from deploy.benches.measured import Measured
from deploy.deliveryworld import fortune
from deploy.deliveryworld.report import SUMS, Totals
from deploy.deliveryworld.world import Simulation
from deploy.faultworld.schedule import Kind
from simulators.progress import Bar
from store import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES: Final = (
    "delivery.lost",
    "delivery.doubled",
    "delivery.disordered",
    "delivery.broken",
    "delivery.walk_broken",
    "delivery.rate",
)
OPTIONS: Final = ("schedules", "seed")
SCHEDULES: Final = 40  # where nobody says how many
MOST_SCHEDULES: Final = 1_000_000
MOST_JOBS: Final = 8  # each is a process of ours and one of the server's
CHUNK: Final = 10
WALKED: Final = (
    Kind.INGEST_KILLED_IN_WRITE,
    Kind.COMMIT_FAILED,
    Kind.COMMIT_ANSWER_LOST,
    Kind.STATEMENT_FAILED,
)
WHOLE_WALK_FROM: Final = 200  # schedules: whoever asks for so many has the time for every place
STRIDE: Final = 7
MOST_PLACES: Final = 100_000  # of one kind in one walk: a walk that does not end stops there
_SETTINGS: Final = {"fsync": "off", "autovacuum": "off", "shared_buffers": "64MB"}


def measure(schedules: int | None = None, seed: int | None = None) -> list[Measured]:
    """Run so many schedules from a seed on; raises Misconfigured on numbers that make no sense."""
    count, first = SCHEDULES if schedules is None else schedules, 0 if seed is None else seed
    if not 1 <= count <= MOST_SCHEDULES or first < 0:
        raise Misconfigured(
            f"--schedules takes 1 to {MOST_SCHEDULES} and --seed a number from 0 on"
        )
    began = time.perf_counter()
    found, walked = run(first, count)
    seconds = time.perf_counter() - began
    for each in (*found.stories, *walked.stories):
        sys.stderr.write(f"{each}\n")
    return figures(found, walked, seconds)


def figures(found: Totals, walked: Totals, seconds: float) -> list[Measured]:
    """Return the figures of schedules and walks that took so long together."""
    counted = tuple((name.replace("_", " "), float(found.sums[name])) for name in SUMS)
    injected = tuple((kind.replace("_", " "), float(n)) for kind, n in _sorted(found))
    places = tuple((kind.replace("_", " "), float(n)) for kind, n in _sorted(walked))
    runs, walks = ("schedules", float(found.schedules)), ("schedules", float(walked.schedules))

    def none_of(
        name: str, unit: str, value: float, beside: tuple[tuple[str, float], ...] = ()
    ) -> Measured:
        return Measured(name, unit, 0, (value,), at_most=True, beside=beside)

    rate = 60 * (found.schedules + walked.schedules) / seconds
    return [
        none_of("delivery.lost", "told", found.sums["lost"], counted),
        none_of("delivery.doubled", "told", found.sums["doubled"]),
        none_of("delivery.disordered", "alerts", found.sums["disordered"]),
        none_of("delivery.broken", "of runs", found.broken, (runs, *injected)),
        none_of("delivery.walk_broken", "of runs", walked.broken, (walks, *places)),
        Measured("delivery.rate", "per min", None, (rate,)),
    ]


def run(first: int, count: int) -> tuple[Totals, Totals]:
    """Run schedules and walks on a server of their own, side by side on the machine's cores."""
    found, walked = Totals(), Totals()
    chunks = [
        (begin, min(CHUNK, first + count - begin)) for begin in range(first, first + count, CHUNK)
    ]
    jobs = min(os.cpu_count() or 1, MOST_JOBS)
    stride = 1 if count >= WHOLE_WALK_FROM else STRIDE
    bar = Bar("schedules", count)
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it, with a random name
    place = memory if os.access(memory, os.W_OK) else None
    with (
        servers.embedded(_SETTINGS, place) as (url, folder),
        ProcessPoolExecutor(jobs, get_context("spawn")) as pool,
    ):
        work = folder / "work"
        work.mkdir(mode=0o700)
        waiting = {pool.submit(chunk, url, str(work), *each): found for each in chunks}
        waiting |= {
            pool.submit(walk, url, str(work), first, kind, stride): walked for kind in WALKED
        }
        try:
            for done in as_completed(waiting):
                waiting[done].add(done.result())
                bar.show(found.schedules)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C need not wait for thousands
            raise
    bar.close()
    return found, walked


def chunk(url: str, folder: str, first: int, count: int) -> Totals:
    """Run a few schedules in this process, in a database of its own."""
    totals = Totals()
    with _simulation(url, folder) as simulation:
        for seed in range(first, first + count):
            totals.take(simulation.run(fortune.draw(seed)))
    return totals


def walk(url: str, folder: str, seed: int, kind: Kind, stride: int) -> Totals:
    """Let one kind of fault happen once at every place (or every so many-th) of a schedule."""
    totals = Totals()
    with _simulation(url, folder) as simulation:
        for place in range(1, MOST_PLACES, stride):
            steps = fortune.walk(seed, kind, place)
            totals.take(simulation.run(steps))
            if steps.asked < place:
                return totals
    raise AssertionError(f"no end of places for {kind}")


def _simulation(url: str, folder: str) -> Simulation:
    logging.disable(logging.CRITICAL)  # the programs tell of every fault; the trace does as well
    name = f"danhao_delivery_{os.getpid()}"
    own = conninfo.make_conninfo(url, dbname=name)
    with psycopg.connect(url, autocommit=True) as link:
        migrate.create_database(link, name)
    migrate.migrate(own)
    place = Path(folder) / name
    place.mkdir(exist_ok=True)
    return Simulation(own, place)


def _sorted(totals: Totals) -> Iterator[tuple[str, int]]:
    yield from sorted(totals.injected.items())
