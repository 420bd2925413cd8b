"""A figure at the end of its period, told from its days: band, chance to break a limit, when.

What is foreseen is not the figure but its halves, since a month's figure is no mean of days: the
numerator left over by the past at its usual ratio (core.ahead), and the output to come, planned or
as of late. The figure follows by the one formula there is, numerator over denominator of the whole
period, so that what is known of the period keeps its full weight.

The day figures are the unit's own results; nothing here knows what is metered or how it is counted.
Statistics in float64; what must be exact is in core.headroom.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import numpy as np

from core import ahead
from core.ahead import Behind
from core.facts import DAY_US
from core.flags import Flag
from core.headroom import Coming, rounded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from core.ahead import Mixture
    from core.corrections import Dated
    from core.exactmath import Floats

HISTORY_DAYS: Final = 91  # a quarter: two months before any day of a month
LEAST_DAYS: Final = 3  # of the period, with a figure: fewer tell nothing
LEAST_COVERAGE: Final = 0.80  # of the period so far
LEAST_DAY_COVERAGE: Final = 0.90  # of a day that tells of others: what the law asks of a period
# Weighings and analyses come a day late, over a weekend three: until then a day without is unknown.
LATE_DAYS: Final = 3
QUANTILES: Final = (0.025, 0.10, 0.50, 0.90, 0.975)
# What one expects of a day without having seen any: 2 % of ratio, a tenth of output.
USUAL_RATIO_SPREAD: Final = 0.02
USUAL_OUTPUT_SPREAD: Final = 0.10
HALVINGS: Final = 36  # of sixty times the spread: to a millionth of a millionth of it
MOST_INSTANTS: Final = 64  # at which it is asked how likely the running figure is beyond a limit
# The output ahead at five points of a normal distribution (Gauss and Hermite).
_NODES: Final = np.array([-2.856970013872806, -1.355626179974266, 0.0, 1.355626179974266,
                          2.856970013872806])  # fmt: skip
_WEIGHTS: Final = np.array([0.011257411327721, 0.222075922005613, 0.533333333333333,
                            0.222075922005613, 0.011257411327721])  # fmt: skip
# With these a day's half is not nothing but not known yet, however long one waits.
UNKNOWN: Final = (
    Flag.STOCK_NOT_TAKEN | Flag.GRADE_MISSING | Flag.FACTOR_UNKNOWN | Flag.CARRIER_UNMETERED
    | Flag.UNIT_UNFIT | Flag.BASE_MISSING | Flag.MULTIPLIER_UNKNOWN
)  # fmt: skip


class Reason(StrEnum):
    """Why there is no forecast."""

    TOO_FEW_DAYS = "too_few_days"
    LOW_COVERAGE = "low_coverage"
    FIGURE_UNKNOWN = "figure_unknown"
    NOT_COMPUTED = "not_computed"


@dataclass(frozen=True, slots=True)
class Day:
    """What is known of one day: numerator and denominator, None where unknown."""

    begin_us: int
    end_us: int
    above: Fraction | None
    below: Fraction | None
    usable: bool  # enough of it is measured, and nothing that is missing will stay missing


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days in a row of which both halves are known together; most are of one day."""

    begin_us: int
    end_us: int
    above: float
    below: float


@dataclass(frozen=True, slots=True)
class Course:
    """What is to come of a period, or of the part of it in which a limit holds: [since, until)."""

    since_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """A ratio at the end of a course: how it is spread, by what has been and what may come.

    `above`, `below` are the halves so far, `usual` the ratio that the mixture's sums are counted
    from, per `scale` of output. Spans lead from the course's begin to `instants_us`, the last of
    which is its end; `made` is the output of each at five points of its distribution.
    """

    above: float
    below: float
    usual: float
    scale: float
    sums: Mixture
    made: Floats
    coming: Coming
    instants_us: tuple[int, ...]

    def chance_below(self, bound: float, span: int = -1) -> float:
        """Return how likely the ratio at the end of a span lies below a bound."""
        return float(self._below(np.array([bound]), span)[0])

    def quantiles(self, shares: Sequence[float] = QUANTILES) -> list[float]:
        """Return the ratios below which the figure stays with these probabilities, rising."""
        wanted = np.array(shares)
        low, high = (np.full(len(wanted), bound) for bound in self._range())
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            short = self._below(middle, -1) < wanted
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        found: list[float] = ((low + high) / 2).tolist()
        return found

    def _range(self) -> tuple[float, float]:
        """Return ratios far outside of what is possible."""
        total = np.maximum(self.below + self.made[-1], 1e-12 * self.scale)
        far = 60 * float(self.sums.scale[:, -1].max()) + 1e-9
        reach = np.abs(self.sums.centre[:, -1]).max() + far
        left_over = self.above - self.usual * self.below
        ends = [
            self.usual + (left_over + sign * reach * self.scale) / total for sign in (-1.0, 1.0)
        ]
        return float(ends[0].min()), float(ends[1].max())

    def _below(self, bound: Floats, span: int) -> Floats:
        left_over = self.above - self.usual * self.below
        total = self.below + self.made[span]
        needed = ((bound[:, None] - self.usual) * total[None, :] - left_over) / self.scale
        found: Floats = self.sums.below(needed, span) @ _WEIGHTS
        return found


def stretches(days: Sequence[Day]) -> list[Stretch]:
    """Join days until both halves are known: a day without a tap is part of the next one's.

    A day that is not usable ends a stretch and belongs to none. Days at the end whose facts may
    yet come are left out; after LATE_DAYS the half that has not come counts as nothing.
    """
    found: list[Stretch] = []
    open_: list[Day] = []
    for day in days:
        if open_ and (not day.usable or day.begin_us != open_[-1].end_us):
            open_ = []
        if not day.usable:
            continue
        open_.append(day)
        if _known(open_, "above") and _known(open_, "below"):
            found.append(_joined(open_))
            open_ = []
    waited = bool(open_) and open_[-1].end_us - open_[0].begin_us > LATE_DAYS * DAY_US
    if waited and (_known(open_, "above") or _known(open_, "below")):
        found.append(_joined(open_))
    return found


def _known(days: Sequence[Day], half: str) -> bool:
    return any(getattr(day, half) is not None for day in days)


def _joined(days: Sequence[Day]) -> Stretch:
    above = float(sum(day.above for day in days if day.above is not None))
    below = float(sum(day.below for day in days if day.below is not None))
    return Stretch(days[0].begin_us, days[-1].end_us, above, below)


def days_known(found: Sequence[Stretch], begin_us: int, end_us: int) -> float:
    """Return how many days of a span have a figure."""
    known = sum(max(0, min(each.end_us, end_us) - max(each.begin_us, begin_us)) for each in found)
    return known / DAY_US


def make(
    found: Sequence[Stretch],
    so_far: tuple[float, float],
    known_until_us: int,
    course: Course,
    plan: Dated = (),
) -> Forecast | None:
    """Return the forecast of a period of which `so_far` is known; None without any output yet.

    From declared instants on the plan says what is made; else output goes on as of late.
    """
    lately = [each for each in found if each.end_us > known_until_us - HISTORY_DAYS * DAY_US]
    output = sum(each.below for each in lately)
    if output <= 0 or course.since_us >= course.until_us:
        return None
    begin, end = (
        np.array([(edge - known_until_us) / DAY_US for edge in edges])
        for edges in ([each.begin_us for each in lately], [each.end_us for each in lately])
    )
    above, below = (
        np.array(half) for half in zip(*((each.above, each.below) for each in lately), strict=True)
    )
    usual = float(above.sum() / output)
    scale = float(output / (end - begin).sum())
    instants = _instants(course)
    first = (course.since_us - known_until_us) / DAY_US
    spans = [(first, (at_us - known_until_us) / DAY_US) for at_us in instants]
    left_over = Behind(begin, end, (above - usual * below) / scale)
    sums = ahead.foresee(left_over, spans, USUAL_RATIO_SPREAD * abs(usual))
    made = ahead.foresee(Behind(begin, end, below / scale), spans, USUAL_OUTPUT_SPREAD)
    per_day = rounded(max(0.0, float(made.mean[-1]) * scale / (spans[-1][1] - first)))
    coming = Coming(per_day, plan)
    mean = np.array([float(coming.over(course.since_us, at_us)) for at_us in instants])
    spread = made.deviation * scale
    nodes = np.maximum(mean[:, None] + spread[:, None] * _NODES[None, :], 0.0)
    return Forecast(so_far[0], so_far[1], usual, scale, sums, nodes, coming, instants)


def _instants(course: Course) -> tuple[int, ...]:
    """Return instants of a course, a day apart where it is not too long, the last one its end."""
    length_us = course.until_us - course.since_us
    count = min(MOST_INSTANTS, max(1, length_us // DAY_US))
    return tuple(course.since_us + length_us * (one + 1) // count for one in range(count))
