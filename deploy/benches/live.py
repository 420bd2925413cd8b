"""The live stream with a full house: 600 units change, 500 viewers listen, everything is real.

`danhao api run` over an embedded PostgreSQL; a writer commits every second what 600 meters show and
the open figures of a fifth of the units, as an ingest worker does; viewers in a process of their
own read whole answers over TCP. A viewer's delay is from the commit to the arrival.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import multiprocessing
import os
import subprocess
import sys
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import indicators, periods
from core import plant as plants
from core.clock import to_us, utc_now
from core.errors import Retryable
from core.openslots import SlotRows
from core.periods import SLOT_US, Period
from deploy import parentdeath
from deploy.benches import servers, viewers
from deploy.benches.measured import Measured
from store import access, basis, connection, figures, readings, results, slots, versions
from store import plants as declared
from store.readings import Rows, Watermarks
from store.versions import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.connection import Pool
    from store.plants import Loaded

NAMES: Final = ("live.delay_p99_s", "live.kb_per_s", "live.cpu_share", "live.rss_mb")
OPTIONS: Final = ("seconds", "viewers")
SECONDS: Final = 30
VIEWERS: Final = 500
SITES: Final = 10
UNITS: Final = 60  # of each site
FIGURES_EVERY: Final = 5  # each unit's open figures are computed every so many seconds
GOAL_KB_PER_S: Final = 10.0  # of one viewer (web.md 9)
GOAL_DELAY_S: Final = 2.0  # from the register to the page (issue of part 8)
START_S: Final = 30.0
ZONE: Final = "Asia/Shanghai"
INDICATOR: Final = "al.liquid.ac"
_SITE: Final = '[site.s-{site}]\nname = {{ zh = "厂", en = "Site" }}\njurisdiction = "cn-qh"\n'
_UNIT: Final = """
[site.s-{site}.unit.u-{number}]
name = {{ zh = "系列", en = "Potline" }}
kind = "potline"
indicators = ["al.liquid.ac"]
output_accuracy_percent = "0.2"
[site.s-{site}.unit.u-{number}.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
"""


def measure(seconds: int | None = None, viewers: int | None = None) -> list[Measured]:
    """Let so many viewers watch for so many seconds; raises Retryable where one is not served."""
    with servers.database() as url:
        loaded, secret = asyncio.run(_prepared(url))
        with _api(url) as (address, pid):
            return asyncio.run(
                _watched(
                    url, loaded, (address, secret, pid), seconds or SECONDS, viewers or VIEWERS
                )
            )


async def _prepared(url: str) -> tuple[Loaded, str]:
    pool = await connection.open_pool(url, application="danhao bench", most=1)
    text = "".join(
        _SITE.format(site=site)
        + "".join(_UNIT.format(site=site, number=number) for number in range(UNITS))
        for site in range(SITES)
    )
    try:
        async with pool.connection() as link:
            await declared.apply(link, plants.parse(text, "bench"), utc_now())
            secret = await access.create_token(
                link, name="bench", role="admin", scope=("*",), now=utc_now()
            )
            return await declared.load(link), secret
    finally:
        await pool.close()


@contextlib.contextmanager
def _api(url: str) -> Iterator[tuple[str, int]]:
    """Run `danhao api run` and yield its address and process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "danhao", "api", "run", "--port", "0"],
        env=os.environ | {"DANHAO_DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        **parentdeath.spawn_arguments(),
    )
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    try:
        said = process.stdout.readline().split()
        if not said:
            raise Retryable("the API does not start: run `danhao api run` and read why")
        yield said[-1], process.pid
    finally:
        process.terminate()
        process.wait()


async def _watched(
    url: str, loaded: Loaded, api: tuple[str, str, int], seconds: int, most: int
) -> list[Measured]:
    address, secret, pid = api
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    crowd = context.Process(target=viewers.run, args=(address, secret, most, there))
    crowd.start()
    there.close()
    pool = await connection.open_pool(url, application="danhao bench", most=1)
    try:
        writer = _Writer(pool, loaded)
        await writer.prepare()
        await _ready(here, writer)
        began, cpu_s = time.monotonic(), servers.cpu_s(pid)
        here.send("count")
        for second in range(seconds):
            await writer.second()
            await asyncio.sleep(max(0.0, began + second + 1 - time.monotonic()))
        took_s, used_s = time.monotonic() - began, servers.cpu_s(pid) - cpu_s
        rss_mb = servers.rss_mb(pid)
        here.send("stop")
        seen: viewers.Seen = await asyncio.to_thread(here.recv)
    finally:
        await pool.close()
        crowd.join(5.0)
        crowd.kill()
    if seen.refused or not seen.delays_s:
        raise Retryable(f"{seen.refused} viewers were refused, {len(seen.delays_s)} delays seen")
    delays = np.array(seen.delays_s)
    beside = (
        ("viewers", float(most)),
        ("median s", float(np.median(delays))),
        ("events", float(len(delays))),
        ("resyncs", float(seen.resyncs)),
    )
    per_viewer = seen.bytes / most / took_s / 1000
    plain = seen.plain_bytes / took_s / 1000
    return [
        Measured(
            "live.delay_p99_s", "s", GOAL_DELAY_S, (float(np.quantile(delays, 0.99)),),
            at_most=True, beside=beside,
        ),
        Measured(
            "live.kb_per_s", "kB/s", GOAL_KB_PER_S, (per_viewer,), at_most=True,
            beside=(("unpacked", plain),),
        ),
        Measured("live.cpu_share", "cores", None, (used_s / took_s,)),
        Measured("live.rss_mb", "MB", None, (rss_mb,)),
    ]  # fmt: skip


async def _ready(here: Any, writer: _Writer) -> None:
    """Go on writing until every viewer is connected."""
    deadline = time.monotonic() + START_S
    while not here.poll():
        if time.monotonic() > deadline:
            raise Retryable(f"the viewers are not connected after {START_S:.0f} s")
        await writer.second()
        await asyncio.sleep(1.0)
    here.recv()


class _Writer:
    """Commits what an ingest worker would: last readings every second, open figures in turn."""

    def __init__(self, pool: Pool, loaded: Loaded) -> None:
        self._pool = pool
        self._loaded = loaded
        self._numbers = np.array(sorted(loaded.ids.values()), np.int64)
        self._units = sorted(loaded.plant.units)
        self._marks = Watermarks.empty()
        self._model: dict[Period, tuple[tuple[int, int], dict[str, Any]]] = {}
        self._basis: basis.Basis = basis.Basis()
        self._second = 0

    async def prepare(self) -> None:
        """Compute the open month and day of one unit; the others get the like."""
        now = utc_now()
        first = self._units[0]
        unit = self._loaded.plant.units[first]
        number = self._loaded.ids[f"{first}.ac"]
        async with self._pool.connection() as link:
            month = periods.period_at(Period.MONTH, to_us(now), ZONE)
            starts = np.arange(month[0], to_us(now) - SLOT_US, SLOT_US, dtype=np.int64)
            one = np.ones(len(starts), np.int64)
            rows = SlotRows(
                one * number, starts, one * 37_500_000, one > 0, one * 0, one * SLOT_US, one * 0
            )
            await slots.write(link, rows, now)
            for kind in (Period.MONTH, Period.DAY):
                bounds = periods.period_at(kind, to_us(now), ZONE)
                (found,) = await figures.compute(
                    link, self._loaded.plant, self._loaded.ids, unit, indicators.find(INDICATOR),
                    [bounds], now,
                )  # fmt: skip
                self._model[kind] = (bounds, found)
            self._basis = await basis.of_plant(link, self._loaded.plant, now)

    async def second(self) -> None:
        """Commit one second of the plants and announce it."""
        self._second += 1
        units = self._units[self._second % FIGURES_EVERY :: FIGURES_EVERY]
        rows = [
            Figure(unit, INDICATOR, kind.value, *bounds, _moved(found, self._second * 7919 + place))
            for place, unit in enumerate(units)
            for kind, (bounds, found) in self._model.items()
        ]
        async with self._pool.connection() as link:
            now = utc_now()
            await versions.write_all(link, rows, now, now + timedelta(0), self._basis)
            await self._readings(link)
        async with self._pool.connection() as link:
            await results.announce(link)

    async def _readings(self, link: Any) -> None:
        now = utc_now()
        count = len(self._numbers)
        power_kw = 400_000 + (self._numbers * 7919 + self._second * 104_729) % 9973 / 7
        at_us = np.full(count, to_us(now), np.int64)
        rows = Rows(self._numbers, at_us, power_kw, np.zeros(count, np.int16))
        await readings.write_latest(link, rows, power_kw)


def _moved(found: dict[str, Any], seed: int) -> dict[str, Any]:
    """Return the figures with digits of their own, as a second more of energy gives."""
    moved = copy.deepcopy(found)
    draw = np.random.default_rng(seed)
    for name in ("energy", "output", "intensity"):
        moved[name]["value"] = f"{draw.integers(10**10, 10**11) / 10**6:.6f}"
    moved["intensity"]["uncertainty"] = f"{draw.integers(10**6, 10**7) / 10**5:.5f}"
    moved["completeness"] = float(draw.integers(9_000, 10_000)) / 10_000
    return moved
