"""How well forecasts are calibrated, and how many hours before a plain threshold they warn.

    danhao bench forecast --months 1000 --seed 0

Simulated months of five kinds of unit (deploy.benches.forecastmonths). Bands: how often the figure
at the end lies within what was said on several days of the month. Warning: from when on, for good,
a chance of 90 % to end over a limit is told, against a running figure that stands over it. And how
often the truth lies within the uncertainty of a figure (core.uncertainty), of meters, scales and
gaps whose errors are as large as declared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from core import forecast
from core.errors import Misconfigured
from core.facts import DAY_US
from core.forecast import Course, Stretch
from deploy.benches import measuredmonths
from deploy.benches.forecastmonths import DAY_HOURS, MONTH_DAYS, PAST_DAYS, PROCESSES
from deploy.benches.measured import Measured
from simulators.progress import Bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.exactmath import Bools, Floats
    from core.forecast import Forecast
    from deploy.benches.forecastmonths import Hours

NAMES: Final = (
    "forecast.band95",
    "forecast.band80",
    "forecast.lead_h",
    "forecast.false_alarms",
    "forecast.measured95",
)
OPTIONS: Final = ("months", "seed")
MONTHS: Final = 1_000
MOST_MONTHS: Final = 100_000
DAYS: Final = (3, 6, 10, 15, 20, 25, 28)  # of the month, on whose evening a band is told
EVERY: Final = 2  # of so many months one is looked at day by day for the warning
LIKELY: Final = 0.5
SURE: Final = 0.9
TOLERANCE: Final = 0.02  # of a share of 95 %; of one of 80 % twice as much


def measure(months: int | None = None, seed: int | None = None) -> list[Measured]:
    """Foresee so many months from a seed on; raises Misconfigured on numbers without sense."""
    count, first = MONTHS if months is None else months, 0 if seed is None else seed
    if not len(PROCESSES) <= count <= MOST_MONTHS or first < 0:
        raise Misconfigured(
            f"--months takes {len(PROCESSES)} to {MOST_MONTHS} and --seed a number from 0 on"
        )
    lived = months_of(first, count)
    return [*figures(told(lived)), measured95(first, count)]


@dataclass(frozen=True, slots=True)
class Month:
    """A simulated month: which process, what was used and made by day and by hour, a limit."""

    kind: str
    hours: Hours
    used: Floats
    made: Floats
    limit: float

    @property
    def figure(self) -> float:
        """Return the figure at the end."""
        return self.ratio(MONTH_DAYS * DAY_HOURS)

    def ratio(self, hours: int) -> float:
        """Return the running figure after so many hours of the month."""
        span = slice(PAST_DAYS * DAY_HOURS, PAST_DAYS * DAY_HOURS + hours)
        return float(self.hours.used[span].sum() / self.hours.made[span].sum())

    def running(self) -> Floats:
        """Return the running figure after each hour of the month."""
        used, made = (
            np.cumsum(each[PAST_DAYS * DAY_HOURS :]) for each in (self.hours.used, self.hours.made)
        )
        found: Floats = used / np.maximum(made, 1e-9)
        return found

    def foreseen(self, day: int) -> Forecast:
        """Return what is foreseen on the evening of a day."""
        until = PAST_DAYS + day
        stretches = [
            Stretch(one * DAY_US, (one + 1) * DAY_US, used, made)
            for one, (used, made) in enumerate(
                zip(self.used[:until].tolist(), self.made[:until].tolist(), strict=True)
            )
        ]
        so_far = (
            float(self.used[PAST_DAYS:until].sum()),
            float(self.made[PAST_DAYS:until].sum()),
        )
        course = Course(until * DAY_US, (PAST_DAYS + MONTH_DAYS) * DAY_US)
        found = forecast.make(stretches, so_far, until * DAY_US, course)
        assert found is not None, "every month makes something"  # noqa: S101 - a belief
        return found


def months_of(first: int, count: int) -> list[Month]:
    """Return months of all processes in turn; limits lie about where the figures do."""
    kinds = list(PROCESSES)
    found = []
    for number in range(first, first + count):
        draw = np.random.default_rng(number)
        kind = kinds[number % len(kinds)]
        hours = PROCESSES[kind](draw)
        used, made = hours.days()
        past = float(used[:PAST_DAYS].sum() / made[:PAST_DAYS].sum())
        found.append(Month(kind, hours, used, made, past * (1 + draw.normal(0, 0.003))))
    return found


@dataclass(frozen=True, slots=True)
class Warned:
    """From which hour of the month on, for good, it was told that it ends over; None: never.

    `likely`: as likely as not; `sure`: with SURE; `plain`: the running figure stands over. Whether
    it was told once, though it ended within, is in the second half.
    """

    ends_over: bool
    late: bool  # the running figure was within when a forecast was first told
    plain_h: int
    likely_h: int
    sure_h: int
    plain_once: bool
    likely_once: bool
    sure_once: bool


@dataclass(slots=True)
class Told:
    """What was told of months, by process and day: whether bands held; when it was warned."""

    held: dict[tuple[str, int], list[tuple[bool, bool, float]]] = field(default_factory=dict)
    warnings: list[Warned] = field(default_factory=list)

    def shares(self, place: int, kind: str | None = None, day: int | None = None) -> float:
        """Return how often a band held, of all or of one process or day."""
        rows = [
            row
            for (one, on), rows in self.held.items()
            if kind in {None, one} and day in {None, on}
            for row in rows
        ]
        return float(np.mean([row[place] for row in rows]))


def told(months: Sequence[Month]) -> Told:
    """Foresee months day by day: all of them on DAYS, one of EVERY on every day."""
    found = Told()
    chances: dict[int, list[float]] = {}
    days = range(forecast.LEAST_DAYS, MONTH_DAYS)
    bar = Bar("days", len(days))
    # Day by day, not month by month: what depends on the day alone is computed once.
    for day in days:
        for number, month in enumerate(months):
            warned = number // len(PROCESSES) % EVERY == 0
            if day not in DAYS and not warned:
                continue
            foreseen = month.foreseen(day)
            if day in DAYS:
                low, tenth, _, ninetieth, high = foreseen.quantiles()
                figure = month.figure
                row = (low <= figure <= high, tenth <= figure <= ninetieth, (high - low) / figure)
                found.held.setdefault((month.kind, day), []).append(row)
            if warned:
                chances.setdefault(number, []).append(1 - foreseen.chance_below(month.limit))
        bar.show(day - days.start + 1)
    bar.close()
    found.warnings = [_warning(months[number], by_day) for number, by_day in chances.items()]
    return found


def _warning(month: Month, chances: Sequence[float]) -> Warned:
    """Return when it was told of a month that it ends over, and when its running figure said so."""
    first_h = forecast.LEAST_DAYS * DAY_HOURS
    over = month.running()[first_h - 1 :] > month.limit
    likely, sure = (np.array(chances) >= share for share in (LIKELY, SURE))
    return Warned(
        month.figure > month.limit,
        not over[0],
        first_h + _for_good(over),
        first_h + DAY_HOURS * _for_good(likely),
        first_h + DAY_HOURS * _for_good(sure),
        bool(over.any()),
        bool(likely.any()),
        bool(sure.any()),
    )


def _for_good(said: Bools) -> int:
    """Return the place from which on it is said until the end."""
    silent = np.flatnonzero(~said)
    return int(silent[-1]) + 1 if len(silent) else 0


def figures(found: Told) -> list[Measured]:
    """Return the figures of what was told."""
    ended = [one for one in found.warnings if one.ends_over]
    kept = [one for one in found.warnings if not one.ends_over]
    late = [one for one in ended if one.late]
    lead = np.array([one.plain_h - one.likely_h for one in late] or [0])
    sure = np.array([one.plain_h - one.sure_h for one in late] or [0])
    beside = (
        ("mean", float(lead.mean())),
        ("p10", float(np.quantile(lead, 0.1))),
        ("p90", float(np.quantile(lead, 0.9))),
        ("sure: median", float(np.median(sure))),
        ("sure: mean", float(sure.mean())),
        ("months", float(len(late))),
        ("of over", float(len(ended))),
    )
    false = [_share(kept, each) for each in ("sure_once", "likely_once", "plain_once")]
    return [
        _band(found, "forecast.band95", 0, 0.95, TOLERANCE),
        _band(found, "forecast.band80", 1, 0.80, 2 * TOLERANCE),
        Measured("forecast.lead_h", "h", 0, (float(np.median(lead)),), beside=beside),
        Measured(
            "forecast.false_alarms",
            "share",
            1 - SURE,
            (false[0],),
            at_most=True,
            beside=(("likely", false[1]), ("plain", false[2]), ("months", float(len(kept)))),
        ),
    ]


def _share(warnings: Sequence[Warned], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in warnings] or [0.0]))


def _band(found: Told, name: str, place: int, wanted: float, tolerance: float) -> Measured:
    """Return how far the share of a band that held lies from the share that it promises."""
    share = found.shares(place)
    beside = [("coverage", share)]
    beside += [(kind, found.shares(place, kind=kind)) for kind in PROCESSES]
    beside += [(f"day {day}", found.shares(place, day=day)) for day in DAYS]
    if place == 0:
        beside += [
            (f"half-width % day {day}", 50 * found.shares(2, day=day)) for day in (DAYS[0], DAYS[3])
        ]
    off = abs(share - wanted)
    return Measured(name, "off", tolerance, (off,), at_most=True, beside=tuple(beside))


def measured95(first: int, count: int) -> Measured:
    """Return how far the share of truths within a figure's uncertainty lies from 95 %."""
    held, of_classes = measuredmonths.shares(first, count)
    long, _ = measuredmonths.shares(first, count, measuredmonths.LONG)
    beside = (
        ("coverage", held),
        ("of classes", of_classes),
        ("long outages", long),
        ("months", float(count)),
    )
    off = abs(held - 0.95)
    return Measured("forecast.measured95", "off", TOLERANCE, (off,), at_most=True, beside=beside)
