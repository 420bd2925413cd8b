"""Why over: the split of an excess sums to it, and planted causes are found again.

    danhao bench excess --months 1000

Each seed is a unit with a year behind it and a month with planted causes (excessmonths), explained
by the code that the API runs, once with its shares declared and once with what is derived. Held
against the truth: by how many watt-hours the printed parts miss the printed excess; how many of the
planted causes are found within a fifth or 0.3 % of the energy; how often the gravest one is
told as the gravest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import limits
from core.baseline import Way
from core.errors import Misconfigured
from core.excess import Cause
from core.periods import Period
from deploy.benches import excessmonths
from deploy.benches.measured import Measured
from simulators.progress import Bar
from store import excesses
from store.excesses import Question, Reader

if TYPE_CHECKING:
    from deploy.benches.excessmonths import Month, World
    from store.excesses import Explained

NAMES: Final = (
    "excess.missed_wh",
    "excess.causes_found",
    "excess.gravest_found",
    "excess.causes_derived",
    "excess.gravest_derived",
)
OPTIONS: Final = ("months",)
MONTHS: Final = 1_000
MOST_MONTHS: Final = 100_000
NEAR: Final = 0.2  # of the planted amount
SMALL: Final = 0.003  # of the month's energy
GOAL_FOUND: Final = 0.95
WH_OF: Final = {"kWh": 1_000.0, "kgce": 1_000 / 0.1229}


@dataclass(slots=True)
class Tally:
    """What came of many months: misses in the print, and per cause how far it was from truth."""

    missed_wh: float = 0.0
    inexact: int = 0
    off: dict[Cause, list[float]] = field(default_factory=dict)  # per cent of the energy
    hits: dict[Cause, int] = field(default_factory=dict)
    found: int = 0
    within: int = 0  # what the answer itself says it may be off, and SMALL
    planted: int = 0
    untold: int = 0
    gravest: int = 0
    judged: int = 0

    def add(self, explained: Explained, world: World) -> None:
        """Count one month in."""
        split, reference = explained.split, explained.reference
        assert split is not None, "every month of the bench is known"  # noqa: S101 - a belief
        assert reference is not None, "and has a year behind it"  # noqa: S101 - the same
        unit = world.indicator.energy_unit
        self.missed_wh = max(self.missed_wh, missed(explained.item()) * WH_OF[unit])
        told = sum((amount for _, amount in split.told()), Fraction(0))
        self.inexact += told != split.amount
        before = next(month for month in world.months if month.bound == reference.seen.span_us)
        true = truth(world, before)
        given = {part.cause: part.amount for part in split.parts}
        give = {part.cause: float(part.give or 0) for part in split.parts}
        energy = float(split.seen.energy)
        for cause in sorted(world.planted):
            self.planted += 1
            amount = given[cause]
            if amount is None:
                self.untold += 1
                continue
            error = abs(float(amount) - true[cause])
            self.off.setdefault(cause, []).append(100 * error / energy)
            near = error <= max(NEAR * abs(true[cause]), SMALL * energy)
            self.found += near
            self.hits[cause] = self.hits.get(cause, 0) + near
            self.within += error <= give[cause] + SMALL * energy
        self._rank(true, given)

    def _rank(self, true: dict[Cause, float], given: dict[Cause, Fraction | None]) -> None:
        known = {c: float(given[c] or 0) for c in excessmonths.PLANTABLE if given[c] is not None}
        if len(known) == len(excessmonths.PLANTABLE):
            self.judged += 1
            self.gravest += max(known, key=lambda c: known[c]) == max(
                excessmonths.PLANTABLE, key=lambda c: true[c]
            )


def missed(item: dict[str, Any]) -> float:
    """Return by how much the printed parts miss the printed excess."""
    parts = [Fraction(one["value"]) for one in item["parts"] if one["value"] is not None]
    rest = item["remainder"]
    if rest is not None:
        parts.append(Fraction(rest["value"]))
    return abs(float(sum(parts, Fraction(0)) - Fraction(item["excess"]["value"])))


def truth(world: World, before: Month) -> dict[Cause, float]:
    """Return what each cause took in the last month against a month before, knowing everything."""
    kind, physics, now = world.kind, world.physics, world.months[-1]
    fixed = physics.fixed * kind.load
    load, beside = before.process / before.hours, before.beside / before.hours
    recovered = before.recovered / before.hours
    rate = before.output_t / before.hours
    needs = excessmonths.grade_needs(physics, now.lived.grade, before.lived.grade)
    made = now.output_t * needs
    beyond = now.hours - made / rate
    return {
        Cause.STOPPAGE: now.idle,
        Cause.AUXILIARY: now.beside - beside * now.hours,
        Cause.MIX: (load + beside - recovered) / rate * (made - now.output_t),
        Cause.RATE: (fixed + beside - recovered) * beyond,
        Cause.PROCESS: now.process - fixed * now.hours - (load - fixed) * made / rate,
        Cause.DOUBT: -now.lost,
    }


def explain(world: World, *, declared: bool) -> Explained:
    """Explain the last month of a world by the code behind the API."""
    plan = world.plant(declared=declared)
    asked = Question(
        plan.units["s.u"],
        world.indicator,
        Period.MONTH,
        world.months[-1].bound,
        limits.of_indicator(world.kind.indicator)[-1],
        Way.MEDIAN,
    )
    reader = Reader(plan, asked, world.months[-1].bound[1], world.slots())
    spans = excesses.spans_of(plan, asked)
    questions = [one for span in spans for one in reader.questions(span)]
    return excesses.explain(reader, world.answers(questions))


def run(first: int, months: int) -> tuple[Tally, Tally]:
    """Explain so many months; return what came of them with declared and with derived shares."""
    declared, derived = Tally(), Tally()
    bar = Bar("months explained", months)
    for seed in range(first, first + months):
        world = excessmonths.world(seed)
        declared.add(explain(world, declared=True), world)
        derived.add(explain(world, declared=False), world)
        bar.show(seed - first + 1)
    bar.close()
    return declared, derived


def measure(months: int | None = None) -> list[Measured]:
    """Explain so many months; raises Misconfigured on impossible numbers."""
    count = MONTHS if months is None else months
    if not 1 <= count <= MOST_MONTHS:
        raise Misconfigured(f"--months takes 1 to {MOST_MONTHS}")
    return figures(*run(0, count))


def figures(declared: Tally, derived: Tally) -> list[Measured]:
    """Return what the bench gives.

    Beside it each cause's share found, and the 95th percentile of its error [% of the energy].
    """
    missed_wh = max(declared.missed_wh, derived.missed_wh)
    inexact = (("inexact sums", float(declared.inexact + derived.inexact)),)
    found = [Measured(NAMES[0], "Wh", 0.0, (missed_wh,), at_most=True, beside=inexact)]
    for tally, (name, gravest), goal in (
        (declared, NAMES[1:3], GOAL_FOUND),
        (derived, NAMES[3:5], None),
    ):
        known = tally.planted - tally.untold
        beside = [
            pair
            for cause, off in sorted(tally.off.items())
            for pair in (
                (f"{cause} found", tally.hits[cause] / len(off)),
                (f"{cause} off %", float(np.quantile(off, 0.95))),
            )
        ]
        beside += [
            ("within plus_minus", tally.within / max(known, 1)),
            ("planted", float(tally.planted)),
            ("not told apart", float(tally.untold)),
        ]
        found.append(
            Measured(name, "ratio", goal, (tally.found / max(known, 1),), beside=tuple(beside))
        )
        share = tally.gravest / max(tally.judged, 1)
        judged = (("months", float(tally.judged)),)
        found.append(Measured(gravest, "ratio", goal, (share,), beside=judged))
    return found
