"""The whole write path under the design load: agents, Mosquitto, `danhao ingest run`, PostgreSQL.

All on this machine, the load included. Prints a line a minute to standard error: what was
committed, how late the receipts came, what the processes take. At the end every reading and the
energy of all points together are compared with what was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psycopg

from core import plant as plants
from core.clock import to_us, utc_now
from core.errors import Retryable
from deploy import parentdeath
from deploy.benches import load, servers
from deploy.benches.measured import Measured
from store import connection, totals
from store import plants as declared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from deploy.benches.load import Load, Sent
    from store.connection import Pool

NAMES: Final = ("ingest.sustained", "ingest.rss_growth_mb")
OPTIONS: Final = ("seconds", "points")
SECONDS: Final = 30
POINTS: Final = 100_000
SITES: Final = 10
AGENTS: Final = 10
GOAL: Final = 1.0  # of what is offered
MOST_GROWTH_MB: Final = 64.0
SETTLE_S: Final = 300.0
MINUTE_S: Final = 60
# Every live point keeps a leaf of the key's index in use: 8 kB each must fit (docs/servers.md).
_SETTINGS: Final = {"shared_buffers": "2GB", "max_wal_size": "8GB"}
_POLL_S: Final = 0.25


def measure(seconds: int | None = None, points: int | None = None) -> list[Measured]:
    """Run the load for so many seconds; raises Retryable where readings or energy are wrong."""
    offered = load.Load(
        SITES, AGENTS, (points or POINTS) // (SITES * AGENTS), to_us(_start(seconds or SECONDS))
    )
    with (
        servers.database(_SETTINGS) as url,
        servers.mosquitto() as (port, broker),
        tempfile.TemporaryDirectory() as folder,
    ):
        asyncio.run(_declare(url, offered))
        with _ingest(url, port, Path(folder) / "ingest.log") as pid:
            return _loaded(
                url, port, offered, seconds or SECONDS, {"ingest": pid, "broker": broker}
            )


def _start(seconds: int) -> datetime:
    """Begin the readings early enough that the last one is measured now, not ahead of now."""
    now = utc_now().astimezone(UTC)
    return datetime.fromtimestamp(int(now.timestamp()) - seconds, UTC)


async def _declare(url: str, offered: Load) -> None:
    pool = await connection.open_pool(url, application="danhao bench", most=1)
    try:
        for site in range(offered.sites):
            plant = plants.parse(offered.plant(site), f"site-{site}.toml")
            async with pool.connection() as link:
                await declared.apply(link, plant, utc_now())
    finally:
        await pool.close()


@contextlib.contextmanager
def _ingest(url: str, port: int, log: Path) -> Iterator[int]:
    """Run `danhao ingest run` and yield its process once it hears the broker."""
    given = {"DANHAO_DATABASE_URL": url, "DANHAO_MQTT_URL": f"mqtt://127.0.0.1:{port}"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "danhao", "ingest", "run"],
            env=os.environ | given,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            **parentdeath.spawn_arguments(),
        )
        try:
            deadline = time.monotonic() + SETTLE_S
            while b"connected to the broker" not in log.read_bytes():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Retryable(f"ingest does not start: {log.read_text('utf-8')[-2000:]}")
                time.sleep(_POLL_S)
            yield process.pid
        finally:
            process.terminate()
            process.wait()


def _loaded(
    url: str, port: int, offered: Load, seconds: int, processes: dict[str, int]
) -> list[Measured]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    sender = context.Process(target=load.run, args=(port, offered, seconds, True, there))
    sender.start()
    there.close()
    watch = Watch(url, offered, processes)
    try:
        took_s, sent = _followed(here, watch)
    finally:
        sender.join(5.0)
        sender.kill()
    asyncio.run(_settled(url))
    found = asyncio.run(_counted(url))
    _compare(found, offered, seconds, sent)
    rate = found.readings / took_s
    beside = (
        ("readings/s", rate),
        ("readings", float(found.readings)),
        *watch.figures(found.readings),
    )
    return [
        Measured(
            "ingest.sustained", "ratio", GOAL, (seconds / max(took_s - 1, seconds),), beside=beside
        ),
        Measured("ingest.rss_growth_mb", "MB", MOST_GROWTH_MB, (watch.growth_mb(),), at_most=True),
    ]


def _followed(pipe: Connection, watch: Watch) -> tuple[float, Sent]:
    """Print what the load reports until it is done; return how long it took."""
    while True:
        try:
            kind, number, sent = pipe.recv()
        except EOFError as error:
            raise Retryable("the load ended before it was done") from error
        watch.look(number, sent)
        if kind == "done":
            return number, sent


class Watch:
    """What the processes take, minute by minute."""

    def __init__(self, url: str, offered: Load, processes: dict[str, int]) -> None:
        self._url = url
        self._offered = offered
        self._processes = processes
        self._postgres = _postmaster(url)
        self._cpu = self._cpu_now()
        self._began = time.monotonic()
        self._told = 0.0
        self._rss: list[float] = []

    def look(self, second: float, sent: Sent) -> None:
        """Note the memory, and print a line a minute."""
        rss = {name: servers.rss_mb(pid) for name, pid in self._processes.items()}
        self._rss.append(rss["ingest"])
        if time.monotonic() - self._told < MINUTE_S:
            return
        self._told = time.monotonic()
        lags = np.array(sent.lags_s or [0.0])
        committed = asyncio.run(_enveloped(self._url)) * min(load.MOST_ROWS, self._offered.points)
        sys.stderr.write(
            f"{second:7.0f} s  committed {committed:,}  receipts after"
            f" {np.median(lags):.2f} s (99 %: {np.quantile(lags, 0.99):.2f} s)"
            f"  load behind {sent.behind_s:.1f} s"
            f"  ingest {rss['ingest']:.0f} MB, broker {rss['broker']:.0f} MB\n"
        )
        sys.stderr.flush()

    def growth_mb(self) -> float:
        """Return by how much ingest's memory grew from the first to the last third."""
        third = max(1, len(self._rss) // 3)
        return float(np.median(self._rss[-third:]) - np.median(self._rss[third - 1 : 2 * third]))

    def figures(self, readings: int) -> tuple[tuple[str, float], ...]:
        """Return processor seconds per million readings of each process."""
        used = {name: now - self._cpu[name] for name, now in self._cpu_now().items()}
        spent = [(f"{name} s/M", seconds / readings * 1e6) for name, seconds in used.items()]
        return (*spent, ("ingest MB", self._rss[-1]))

    def _cpu_now(self) -> dict[str, float]:
        own = {name: servers.cpu_s(pid) for name, pid in self._processes.items()}
        return own | {"postgres": sum(servers.cpu_s(pid) for pid in servers.family(self._postgres))}


def _postmaster(url: str) -> int:
    """Return the process that all of PostgreSQL's descend from, 0 where it runs elsewhere."""
    with psycopg.connect(url) as link:
        return servers.parent(link.info.backend_pid)


async def _enveloped(url: str) -> int:
    pool = await _pool(url)
    try:
        async with pool.connection() as link:
            return await totals.enveloped(link)
    finally:
        await pool.close()


async def _counted(url: str) -> totals.Totals:
    pool = await _pool(url)
    try:
        async with pool.connection() as link:
            return await totals.count(link)
    finally:
        await pool.close()


async def _settled(url: str) -> None:
    """Wait until every slot of what came is computed."""
    pool = await _pool(url)
    deadline = time.monotonic() + SETTLE_S
    try:
        async with pool.connection() as link:
            while await totals.waiting(link):
                await link.commit()
                if time.monotonic() > deadline:
                    raise Retryable(f"marks still wait after {SETTLE_S:.0f} s")
                await asyncio.sleep(_POLL_S)
    finally:
        await pool.close()


async def _pool(url: str) -> Pool:
    return await connection.open_pool(url, application="danhao bench", most=1)


def _compare(found: totals.Totals, offered: Load, seconds: int, sent: Sent) -> None:
    """Hold the ledger against what was sent; raises Retryable with every difference."""
    first, last = sum(offered.counts(0)), sum(offered.counts(seconds - 1))
    wanted: dict[str, tuple[Any, Any]] = {
        "readings": (found.readings, seconds * offered.readings_per_second),
        "receipts": (sent.receipted, sent.envelopes),
        "dead letters": (found.dead_letters, 0),
        "energy [1e-6 kWh]": (found.energy_e6, (last - first) * SITES * AGENTS * 1_000_000),
    }
    wrong = [f"{name}: {has:,}, not {due:,}" for name, (has, due) in wanted.items() if has != due]
    if wrong:
        raise Retryable("the ledger is wrong: " + "; ".join(wrong))
