"""How long a rule takes to be rehearsed over 90 days of 500 points, all of it from a store.

    danhao bench rehearse

A hundred potlines with five meters each, a slot of each every quarter of an hour as ingest leaves
them, a tapping every eight hours; holes and guessed slots among them. Measured is what the command
`danhao alerts rehearse` does with an open connection: declarations, slots and facts are read, all
findings made, the rule replayed, rings counted. `rehearse.other_per_s` is the rate of figures that
are not made in columns (core.pastfindings).
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import output
from core import plant as declared
from core.clock import from_us, to_us
from core.limits import Force
from core.openslots import SlotRows
from core.periods import SLOT_US, Period
from deploy.benches import servers
from deploy.benches.measured import Measured
from ingest import alert_commands
from simulators.progress import Bar
from store import connection, plants, rehearsals, slots
from store import output as facts
from store.rehearsals import Chosen

if TYPE_CHECKING:
    from core.rehearsed import Rehearsed
    from store.connection import Pool
    from store.plants import Loaded

NAMES: Final = ("rehearse.limits_s", "rehearse.silence_s", "rehearse.other_per_s")
GOAL_S: Final = 10.0
ROUNDS: Final = 3
UNITS: Final = 100
POINTS: Final = 5  # of each unit
DAYS: Final = 90
OTHER_UNITS: Final = 2  # asked as figures of another kind are: for the rate, not for the time
OTHER_DAYS: Final = 10
TAP_H: Final = 8
DAY_US: Final = 96 * SLOT_US
UNTIL: Final = datetime(2026, 11, 20, 16, tzinfo=UTC)
BEGIN: Final = UNTIL - timedelta(days=DAYS)
SPAN: Final = (to_us(BEGIN), to_us(UNTIL))
SEED: Final = 90_500
# What the potlines need: about the law's 13,350 kWh/t, each a little other, wandering by days.
SLOT_KWH: Final = 2_680.0
TAP_T: Final = 32.12
LOST, GUESSED = 0.002, 0.002
SITE: Final = """
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
"""
UNIT: Final = """
[site.s.unit.u-{number}]
name = {{ zh = "系列", en = "Potline" }}
kind = "potline"
indicators = ["al.liquid.ac"]
output_accuracy_percent = "0.1"
"""
POINT: Final = """
[site.s.unit.u-{number}.point.ac-{point}]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.2"
"""


def measure() -> list[Measured]:
    """Fill a store and rehearse rules over it."""
    # Filling is not measured, only reading.
    with servers.database({"fsync": "off", "shared_buffers": "512MB"}) as url:
        return asyncio.run(_measure(url))


async def _measure(url: str) -> list[Measured]:
    pool = await connection.open_pool(url, application="danhao bench", most=1)
    try:
        loaded = await fill(pool, UNITS, DAYS)
        law = await _rounds(pool, "mandatory-month")
        silence = await _rounds(pool, "point_silent")
        rate = await _other(pool, loaded)
    finally:
        await pool.close()
    return [
        _measured("rehearse.limits_s", law),
        _measured("rehearse.silence_s", silence),
        Measured("rehearse.other_per_s", "per s", None, (rate,)),
    ]


def _measured(name: str, rounds: Rounds) -> Measured:
    found = rounds.found[-1]
    beside = (
        ("cpu s", statistics.median(rounds.cpu_s)),
        ("load", os.getloadavg()[0]),
        ("points", float(UNITS * POINTS)),
        ("alerts", float(len(found.watched))),
        ("looks", float(found.looks)),
        ("rings", float(len(found.rings))),
    )
    return Measured(name, "s", GOAL_S, tuple(rounds.seconds), at_most=True, beside=beside)


@dataclass(slots=True)
class Rounds:
    """What rounds of a rehearsal took, by the clock and of this process, and what they found."""

    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    found: list[Rehearsed] = field(default_factory=list)


async def _rounds(pool: Pool, name: str) -> Rounds:
    played = alert_commands.find(name, None)
    rounds = Rounds()
    for _ in range(ROUNDS):
        began, used = time.perf_counter(), time.process_time()
        async with pool.connection() as link:
            loaded = await plants.load(link)
            _, found = await alert_commands.play(link, loaded, played, SPAN)
        rounds.seconds.append(time.perf_counter() - began)
        rounds.cpu_s.append(time.process_time() - used)
        rounds.found.append(found)
    return rounds


async def _other(pool: Pool, loaded: Loaded) -> float:
    """Return how many figures a second are judged by the functions of the live path."""
    span = (SPAN[1] - OTHER_DAYS * DAY_US, SPAN[1])
    units = frozenset(f"s.u-{number}" for number in range(OTHER_UNITS))
    chosen = Chosen(Force.MANDATORY, Period.MONTH, span, units)
    series = [
        replace(one, made=None, standings=()) for one in rehearsals.series_of(loaded.plant, chosen)
    ]
    began = time.perf_counter()
    async with pool.connection() as link:
        await rehearsals.one_by_one(link, loaded, series, span, rehearsals.HOUR_US)
    return len(series) * OTHER_DAYS * 24 / (time.perf_counter() - began)


async def fill(pool: Pool, units: int, days: int) -> Loaded:
    """Declare so many potlines and store their last days: slots as they came, and tappings."""
    text = SITE + "".join(
        UNIT.format(number=number)
        + "".join(POINT.format(number=number, point=point) for point in range(POINTS))
        for number in range(units)
    )
    random = np.random.default_rng(SEED)
    need = 1 + 0.01 * random.standard_normal(units)
    bar = Bar("days", days)
    async with pool.connection() as link:
        await plants.apply(link, declared.parse(text, "bench"), BEGIN)
        loaded = await plants.load(link)
    numbers = np.array(
        [[loaded.ids[f"s.u-{n}.ac-{point}"] for point in range(POINTS)] for n in range(units)]
    )
    for day in range(days):
        need += 0.002 * random.standard_normal(units)
        begin_us = SPAN[1] - (days - day) * DAY_US
        async with pool.connection() as link:
            await slots.write(link, _slots(random, numbers, need, begin_us), UNTIL)
            for number in range(units):
                await _tap(link, random, number, begin_us)
        bar.show(day + 1)
    bar.close()
    return loaded


def _slots(random: Any, numbers: Any, need: Any, begin_us: int) -> SlotRows:
    """Return a day's slots of all points in order of time, as they are written when they come."""
    shape = (96, *numbers.shape)
    energy = SLOT_KWH * need[None, :, None] * (1 + 0.02 * random.standard_normal(shape))
    draw = random.random(shape).ravel()
    lost, guessed = draw < LOST, draw > 1 - GUESSED
    energy_e6 = np.where(lost, 0, np.rint(energy * 1e6).astype(np.int64).ravel())
    starts = np.repeat(begin_us + np.arange(96) * SLOT_US, numbers.size)
    return SlotRows(
        np.tile(numbers.ravel(), 96),
        starts,
        energy_e6,
        ~lost,
        np.where(guessed, energy_e6, 0),
        np.where(lost | guessed, 0, SLOT_US),
        np.zeros_like(starts),
    )


async def _tap(link: Any, random: Any, number: int, begin_us: int) -> None:
    for hour in range(number % TAP_H, 24, TAP_H):
        at_us = begin_us + hour * 4 * SLOT_US
        fact: dict[str, Any] = {
            "id": f"tap-{number}-{at_us}",
            "unit": f"s.u-{number}",
            "kind": "tapping",
            "at": from_us(at_us).isoformat(),
            "mass_t": f"{TAP_T * (1 + 0.01 * random.standard_normal()):.3f}",
        }
        await facts.write(link, output.from_data(fact, to_us(UNTIL)), "bench", UNTIL)
