"""What the checker of evidence packs misses of single changed bytes, and how quick it computes.

    danhao bench evidence --seed 0

A furnace's month, made from a seed and signed: one byte at a time is changed, a tenth of them in
index and seal, and the checker has to find it and name its line. Then a month of a reading a minute
is computed anew.
"""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import energy, indicators, plant, wire
from core.clock import to_us
from core.errors import Misconfigured
from core.facts import PeriodOutput, Way
from core.periods import SLOT_US
from deploy.benches import measured
from deploy.benches.measured import Measured
from simulators.progress import Bar
from store import basis, evidencefile, figures, packlines
from store.figures import Asked
from store.slotarrays import SlotArrays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from core.exactmath import Floats, Int64s
    from core.facts import Span
    from core.intensity import PeriodEnergy
    from core.plant import Plant
    from store.packlines import Member

NAMES: Final = ("evidence.missed_bytes", "evidence.readings_per_s")
OPTIONS: Final = ("seed",)
CHANGES: Final = 10_000
MOST_SEED: Final = 2**32
MONTH: Final = tuple(
    to_us(datetime(2026, month, 30 if month == 9 else 31, 16, tzinfo=UTC))  # noqa: PLR2004
    for month in (9, 10)
)
MINUTE_US: Final = 60_000_000
POINT: Final = "s.u.ac"
COKE: Final = "s.u.coke"
INDICATOR: Final = "fesi.comprehensive"
PLANT: Final = """
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
indicators = ["fesi.comprehensive"]
output_accuracy_percent = "0.2"
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 1000000
rated_power_kw = 60000
accuracy_percent = "0.5"
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "66" }]
[site.s.unit.u.point.coke]
kind = "gauge"
carrier = "semi_coke"
unit = "kg/h"
heating_value = [{ from = 2026-01-01T00:00:00Z, value = "26500" }]
"""


@dataclass(frozen=True, slots=True)
class _Month:
    """Readings and taps of a month; a source of figures from memory."""

    plan: Plant
    readings: dict[str, tuple[Int64s, Floats]]
    taps: Sequence[tuple[int, int, str]]  # instant, millionths of a tonne, grade

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return sums over slots."""
        slots = {point: self._slots(point) for point in {point for point, _, _ in spans}}
        return [slots[point].sums([(begin, end)])[0] for point, begin, end in spans]

    def _slots(self, point: str) -> SlotArrays:
        ts_us, value = self.readings[point]
        edges = np.arange(MONTH[0], MONTH[1] + 1, SLOT_US, dtype=np.int64)
        good = np.zeros(len(ts_us), np.int16)
        found = energy.figures(self.plan.points[point], ts_us, value, good, edges)
        return SlotArrays.computed(MONTH[0], found)

    async def outputs(self, spans: Sequence[Span]) -> list[PeriodOutput | None]:
        """Return what was tapped; nobody measured heating values."""
        return [self._output(span) if span.way is Way.SUM else None for span in spans]

    def _output(self, span: Span) -> PeriodOutput | None:
        inside = [one for one in self.taps if span.begin_us <= one[0] < span.end_us]
        graded = sum((mass * Fraction(grade) for _, mass, grade in inside), Fraction(0))
        return PeriodOutput(sum(mass for _, mass, _ in inside), graded) if inside else None


def measure(
    seed: int | None = None, changes: int = CHANGES, step_us: int = MINUTE_US
) -> list[Measured]:
    """Change so many bytes of a seed's month; raises Misconfigured on a seed without sense."""
    if seed is not None and not 0 <= seed < MOST_SEED:
        raise Misconfigured("--seed takes a number from 0 on")
    number = seed or 0
    small, large = pack(number, 15 * MINUTE_US), pack(number, step_us)
    check = evidencefile.load()
    count = 2 * (MONTH[1] - MONTH[0]) // step_us
    report = check(large)
    assert report.well, report.problems  # noqa: S101 - else nothing below means anything
    took = measured.seconds(lambda: check(large))
    missing = missed(small, changes, number, check)
    return [
        Measured(
            NAMES[0],
            "of them",
            0.0,
            (float(len(missing)),),
            at_most=True,
            beside=(("changes", float(changes)), ("pack kB", len(small) / 1e3)),
        ),
        Measured(NAMES[1], "1/s", None, (count / took,), beside=(("pack MB", len(large) / 1e6),)),
    ]


def missed(pack_: bytes, changes: int, seed: int, check: Callable[..., Any]) -> list[str]:
    """Return the changes that were not found, or named by another line."""
    draw = random.Random(seed)  # noqa: S311 - a replayable choice, no secret
    ends = [one.start() for one in re.finditer(b"\n", pack_)]
    bar = Bar("changing bytes", changes)
    found: list[str] = []
    try:
        for number in range(changes):
            low = ends[-3] + 1 if number % 10 == 0 else 0
            place = draw.randrange(low, len(pack_))
            byte = draw.choice([one for one in range(256) if one != pack_[place]])
            wrong = pack_[:place] + bytes([byte]) + pack_[place + 1 :]
            line = 1 + sum(1 for end in ends if end < place)
            named = re.findall(r"line (\d+)", " ".join(check(wrong).problems))
            if named[:1] != [str(line)]:
                found.append(f"byte {place} to {byte}")
            bar.show(number + 1)
    finally:
        bar.close()
    return found


def pack(seed: int, step_us: int) -> bytes:
    """Return the signed pack of a seed's month, with a reading every so often."""
    month = _month(seed, step_us)
    asked = Asked(month.plan.units["s.u"], indicators.find(INDICATOR), [(MONTH[0], MONTH[1])])
    now = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(hours=1)
    ((figure,),) = _now(figures.compute_all(month, month.plan, [asked], now))
    private = Ed25519PrivateKey.from_private_bytes(random.Random(seed).randbytes(32))  # noqa: S311
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return packlines.seal(_members(month, figure, to_us(now)), *wire.signer(pem))


def _now(work: Any) -> Any:
    """Run what never waits: its source answers from memory."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited for something")


def _month(seed: int, step_us: int) -> _Month:
    draw = np.random.default_rng(seed)
    ts_us = np.arange(MONTH[0] - step_us, MONTH[1] + 2 * step_us, step_us, dtype=np.int64)
    rise = draw.integers(0, 12 * step_us // MINUTE_US, len(ts_us))
    counts = (900_000 + np.cumsum(rise)) % 1_000_000
    taps = [
        (at, int(draw.integers(5_000_000, 9_000_000)), f"0.7{int(draw.integers(10, 60))}")
        for at in range(MONTH[0] + 7 * MINUTE_US, MONTH[1], 240 * MINUTE_US)
    ]
    readings = {
        POINT: (ts_us, counts.astype(np.float64)),
        COKE: (ts_us, np.round(draw.normal(900, 40, len(ts_us)), 3)),
    }
    return _Month(plant.parse(PLANT, "bench.toml"), readings, taps)


def _members(month: _Month, figure: dict[str, Any], now_us: int) -> Iterator[Member]:
    files = {name: tomllib.loads(text) for name, text in basis.catalogue().files.items()}
    limits = files["limits.toml"]["limit"]
    points = sorted(month.readings)
    yield {
        "member": "evidence",
        "format": packlines.FORMAT,
        "of": f"s.u {INDICATOR}",
        "unit": "s.u",
        "begin_us": MONTH[0],
        "end_us": MONTH[1],
        "now_us": now_us,
        "points": points,
    }
    yield {
        "member": "declaration",
        "site": "s",
        "version": 1,
        "declared": dict(month.plan.to_json("s")),
    }
    rule = files["indicators.toml"]["indicator"]
    yield from packlines.rows("indicator", rule, [INDICATOR])
    yield from packlines.rows(
        "carrier", files["carriers.toml"]["carrier"], rule[INDICATOR]["carriers"]
    )
    own = sorted(key for key, row in limits.items() if row["indicator"] == INDICATOR)
    yield from packlines.rows("limit", limits, own)
    for point in points:
        ts_us, value = month.readings[point]
        still = np.zeros(len(ts_us), np.int64)
        yield from packlines.readings(point, ts_us, value, still.astype(np.int16), still)
    for number, (at_us, mass_e6, grade) in enumerate(month.taps):
        key = (f"tap-{number}", 0, "s.u", "tapping", at_us)
        yield packlines.fact(key, mass_e6, {"Si": grade}, (None, None), at_us)
    yield {"member": "figure", "result": "0", "catalogue": None, "figures": figure}
