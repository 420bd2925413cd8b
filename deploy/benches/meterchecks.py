"""Bench of the checks on meters: drifts named, scale faults caught, false alarms on clean traces.

    danhao bench meters --traces 200 --seed 1000

Plants of forty meters (deploy.benches.metertraces) with faults planted by the seed: which meter,
since when, which sign. A drift is 2 %, at once in half of the runs and growing until the end in
the other half, and has lasted 30 to 60 of 90 days. Beside the share of runs in which the right
meter and no other is named stand those in which it was told at all, and the share among the
meters of which the checks themselves say, of the same plant before the fault, that 2 % of them
would be named (`sharpness`): some drifts no balance can tell from another meter's.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np

from core.clock import to_us
from core.meterchecks import judging
from deploy.benches import metertraces
from deploy.benches.measured import Measured
from store.bar import Bar

if TYPE_CHECKING:
    from core.meterchecks.findings import Report
    from deploy.benches.metertraces import Trace

NAMES: Final = ("meters.drift_named", "meters.scale_caught", "meters.false_alarms")
OPTIONS: Final = ("traces", "seed")
TRACES: Final = 200
DAYS: Final = 90
ERROR: Final = 0.02
LASTED_DAYS: Final = (30, 60)
BEGIN_US: Final = to_us(datetime(2026, 6, 30, 16, tzinfo=UTC))
LEAST_NAMED: Final = 0.95
# Shown over true: a lost or added digit, kWh for MWh, transformers of another ratio, a phase.
FACTORS: Final = (
    10.0, 0.1, 1000.0, 0.001, 1.25, 0.8, 4 / 3, 0.75, 1.5, 2.0, 0.5, 5.0, 0.2, 2 / 3, 1 / 3,
)  # fmt: skip


@dataclass(slots=True)
class Tally:
    """What came of runs: planted, found (named or among those told), named right, named wrong."""

    planted: int = 0
    found: int = 0
    named: int = 0
    wrong: int = 0
    missed: list[str] = field(default_factory=list)

    def add(self, what: str, meter: str, report: Report) -> bool:
        """Count one run with one fault of one meter; tell whether it alone was named."""
        named = {one.named for one in report.findings if one.named is not None}
        told = {point for one in report.findings for point in one.candidates} | named
        self.planted += 1
        self.found += meter in told
        self.named += named == {meter}
        self.wrong += bool(named - {meter})
        if named != {meter}:
            self.missed.append(what)
        return named == {meter}

    @property
    def share(self) -> float:
        """Return the share of runs in which the right meter and no other was named."""
        return self.named / self.planted if self.planted else 0.0


def measure(traces: int | None, seed: int | None) -> list[Measured]:
    """Run all three; `traces` is how many plants of each, `seed` the first one's."""
    count = TRACES if traces is None else traces
    bar = Bar("plants")
    total = 3 * count
    drift, scale, alarms, told_apart = Tally(), Tally(), 0, []
    for run, each in enumerate(range(seed or 0, (seed or 0) + count)):
        before = clean(each)
        alarms += len(before.findings)
        bar(3 * run + 1, total)
        is_named = drifted(each, drift)
        if identifiable(each, before):
            told_apart.append(is_named)
        bar(3 * run + 2, total)
        scaled(each, scale)
        bar(3 * run + 3, total)
    bar.close()
    for what in (*drift.missed, *scale.missed):
        sys.stderr.write(f"  not named alone: {what}\n")
    return [
        Measured(
            NAMES[0], "share", LEAST_NAMED, (drift.share,),
            beside=(
                ("runs", drift.planted), ("found", drift.found), ("named wrong", drift.wrong),
                ("identifiable", len(told_apart)), ("of these named", sum(told_apart)),
            ),
        ),
        Measured(
            NAMES[1], "share", 1.0, (scale.found / max(scale.planted, 1),),
            beside=(("runs", scale.planted), ("named", scale.named), ("named wrong", scale.wrong)),
        ),
        Measured(
            NAMES[2], "alarms", 0.0, (float(alarms),), at_most=True, beside=(("traces", count),)
        ),
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drift:
    """What a seed plants: which meter, from which hour on, how much."""

    meter: int
    since: int
    error: float


def planted(seed: int, *, days: int = DAYS, meters: int = 40) -> Drift:
    """Return the drift of a seed."""
    random = np.random.default_rng((seed, 1))
    meter = int(random.integers(0, meters))
    since = (days - int(random.integers(*LASTED_DAYS, endpoint=True))) * 24
    return Drift(meter, since, ERROR if random.random() < 0.5 else -ERROR)  # noqa: PLR2004 - a coin


def identifiable(seed: int, before: Report, *, days: int = DAYS, meters: int = 40) -> bool:
    """Tell whether the checks say of the plant without the fault that they would name it."""
    point = f"s.u.{metertraces.name(planted(seed, days=days, meters=meters).meter)}"
    return any(one.point == point and one.named <= ERROR for one in before.sharpness)


def drifted(seed: int, tally: Tally, *, days: int = DAYS, meters: int = 40) -> bool:
    """Let one meter of a plant drift and count what is found."""
    what = planted(seed, days=days, meters=meters)
    given = metertraces.trace(seed, days=days, meters=meters)
    given = given.drifting(what.meter, what.since, what.error, slowly=seed % 2 == 1)
    return _counted(given, what.meter, f"seed {seed} {what.error:+.0%}", tally)


def scaled(seed: int, tally: Tally, *, days: int = DAYS, meters: int = 40) -> bool:
    """Let one meter of a plant show a wrong factor from a day on and count what is found."""
    random = np.random.default_rng((seed, 2))
    given = metertraces.trace(seed, days=days, meters=meters)
    meter = int(random.integers(0, meters))
    since = int(random.integers(days * 24 // 3, days * 24 - 72))
    factor = FACTORS[seed % len(FACTORS)]
    return _counted(given.scaled(meter, since, factor), meter, f"seed {seed} x{factor:g}", tally)


def clean(seed: int, *, days: int = DAYS, meters: int = 40) -> Report:
    """Check a plant whose meters are all within their class."""
    given = metertraces.trace(seed, days=days, meters=meters)
    return judging.check(metertraces.seen_of(given, BEGIN_US))


def _counted(given: Trace, meter: int, what: str, tally: Tally) -> bool:
    report = judging.check(metertraces.seen_of(given, BEGIN_US))
    return tally.add(what, f"s.u.{given.network.named(meter)}", report)
