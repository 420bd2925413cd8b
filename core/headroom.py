"""What the rest of a period must keep so that a limit holds, exactly: headroom, and the crossing.

All of it is arithmetic on the two halves of the figure: what has been used and made so far, what a
limit allows for it, and the output to come, planned or as of late. Fractions throughout, so a
person can check them by hand from the figures that are printed.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from core import corrections, decimals
from core.facts import DAY_US
from core.indicators import Metered
from core.intensity import PER_CENT
from core.limits import Comparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.corrections import Conditions, Dated
    from core.indicators import Indicator
    from core.intensity import Intensity
    from core.limits import Limit

Span = tuple[int, int]
PLAN: Final = "plan"
PACE: Final = "pace"


@dataclass(frozen=True, slots=True)
class Scale:
    """How a figure is read off its ratio of halves: figure = factor x ratio + offset."""

    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)

    def figure(self, ratio: Fraction) -> Fraction:
        """Return the figure of a ratio, in the indicator's unit."""
        return self.factor * ratio + self.offset

    def ratio(self, figure: Fraction) -> Fraction:
        """Return the ratio of a figure."""
        return (figure - self.offset) / self.factor


@dataclass(frozen=True, slots=True)
class Halves:
    """Numerator and denominator of a span."""

    above: Fraction
    below: Fraction


NOTHING: Final = Halves(Fraction(0), Fraction(0))


def halves(indicator: Indicator, found: Intensity, length_us: int) -> Halves | None:
    """Return the halves of a figure; None where it is unknown.

    A mean over time has time as its denominator: the mean of a whole is that of its parts by time.
    """
    if indicator.metered is Metered.MEAN:
        days = Fraction(length_us, DAY_US)
        return None if found.value is None else Halves(found.value * days, days)
    if found.energy is None or found.output is None or found.output <= 0:
        return None
    return Halves(found.energy, found.output)


def scale_of(indicator: Indicator, found: Intensity) -> Scale | None:
    """Return how the indicator's figures are read off ratios; None where its base is not known.

    The base year's ratio is taken out of a known figure, which core.intensity has computed.
    """
    if indicator.is_share:
        return Scale(Fraction(PER_CENT))
    if indicator.against is None:
        return Scale()
    if found.value is None or not found.energy or not found.output:
        return None
    base = found.energy / found.output / (found.value / PER_CENT + 1)
    return Scale(PER_CENT / base, Fraction(-PER_CENT))


@dataclass(frozen=True, slots=True)
class Coming:
    """The output to come: a day's as of late, and from declared instants on that of the plan."""

    per_day: Fraction
    plan: Dated = ()

    def over(self, begin_us: int, end_us: int) -> Fraction:
        """Return the output of a span."""
        edges = sorted({begin_us, end_us, *(at for at, _ in self.plan if begin_us < at < end_us)})
        return sum(
            (self._at(low) * Fraction(high - low, DAY_US) for low, high in pairwise(edges)),
            Fraction(0),
        )

    def by(self, begin_us: int, end_us: int) -> str:
        """Return whether the plan tells some of a span's output, or late days all of it."""
        return PLAN if self.plan and self.plan[0][0] < end_us and begin_us < end_us else PACE

    def _at(self, at_us: int) -> Fraction:
        place = bisect_right([since_us for since_us, _ in self.plan], at_us)
        return self.per_day if place == 0 else self.plan[place - 1][1]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch to come in which a limit stands still: its output, and the limit as a ratio."""

    span_us: Span
    output: Fraction
    bound: Fraction


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a limit allows: `so_far` for what has been made, and that of each piece to come.

    A limit that moves is the mean of its pieces by output, as verdicts take it (core.verdicts).
    """

    limit: Limit
    made: Fraction
    so_far: Fraction
    pieces: tuple[Piece, ...]
    missing: tuple[str, ...] = ()

    @property
    def is_upper(self) -> bool:
        """Tell whether more breaks the limit."""
        return is_upper(self.limit)

    @property
    def coming(self) -> Fraction:
        """Return the output to come."""
        return sum((piece.output for piece in self.pieces), Fraction(0))

    @property
    def total(self) -> Fraction:
        """Return the numerator that all of the period may have at most, or must have at least."""
        return self.so_far + sum((one.output * one.bound for one in self.pieces), Fraction(0))

    @property
    def at_end(self) -> Fraction | None:
        """Return where the limit stands at the end, as a ratio; None without output to weigh by."""
        made = self.made + self.coming
        if made > 0:
            return self.total / made
        return self.pieces[-1].bound if self.pieces else None

    def at(self, instant_us: int) -> Fraction | None:
        """Return where the limit of what has been made stands at an instant to come."""
        allowed, made = self.so_far, self.made
        for piece in self.pieces:
            low, high = piece.span_us
            share = Fraction(max(0, min(high, instant_us) - low), high - low)
            allowed += share * piece.output * piece.bound
            made += share * piece.output
        return allowed / made if made > 0 else None


def is_upper(limit: Limit) -> bool:
    """Tell whether a limit bounds from above."""
    return limit.cmp in {Comparison.AT_MOST, Comparison.BELOW}


def allowed(
    limit: Limit,
    conditions: Conditions,
    scale: Scale,
    made: Sequence[tuple[Span, Fraction]],
    ahead: tuple[Span, Coming],
) -> Allowed:
    """Return what a limit allows of a period; `made` is the output of each piece so far."""
    missing: set[str] = set()

    def bound(at_us: int) -> Fraction:
        steps = corrections.apply(limit.correction, limit.value, conditions, at_us)
        missing.update(name for step in steps for name in step.missing)
        return scale.ratio(steps[-1].after if steps else Fraction(limit.value))

    so_far = sum((output * bound(span[0]) for span, output in made), Fraction(0))
    (begin_us, end_us), coming = ahead
    cut = corrections.pieces(limit.correction, conditions, begin_us, end_us)
    pieces = tuple(
        Piece(span, coming.over(*span), bound(span[0])) for span in cut if span[0] < span[1]
    )
    total = sum((output for _, output in made), Fraction(0))
    return Allowed(limit, total, so_far, pieces, tuple(sorted(missing)))


def headroom(able: Allowed, used: Fraction, doubt: Fraction = Fraction(0)) -> Fraction | None:
    """Return the ratio that the rest must keep so that the whole keeps the limit.

    With `doubt`, the relative uncertainty of the figure, so that the whole is `within` beyond it.
    None where no output is to come: then nothing can be mended any more.
    """
    coming = able.coming
    if coming <= 0:
        return None
    return (left(able, used, doubt)) / coming


def left(able: Allowed, used: Fraction, doubt: Fraction = Fraction(0)) -> Fraction:
    """Return what the rest may still use, or must, of the numerator; negative: it is too late."""
    guarded = 1 + doubt if able.is_upper else 1 - doubt
    return able.total / guarded - used


def crossing_us(able: Allowed, used: Fraction, pace: Fraction) -> int | None:
    """Return the instant at which the running figure comes to stand on the other side.

    The rest goes on at `pace`, a ratio. None where it stays on its side to the end.
    """
    over = used - able.so_far  # how far what was used lies beyond what is allowed for it
    for piece in able.pieces:
        gain = piece.output * (pace - piece.bound)
        if over != 0 and (over > 0) != (over + gain > 0):
            begin_us, end_us = piece.span_us
            share = -over / gain
            # The instant lies at or behind the crossing, never before it.
            return begin_us + -((-(end_us - begin_us) * share) // 1)
        over += gain
    return None


def rounded(amount: float | Fraction) -> Fraction:
    """Return a statistic as it is printed, from where on arithmetic is exact."""
    return Fraction(decimals.to_e6(Fraction(amount)), decimals.E6)


def first_reaching(
    instants_us: Sequence[int], chances: Sequence[float], share: float, begin_us: int
) -> int | None:
    """Return when a chance that starts at 0 first reaches a share, linear between instants."""
    before_us, before = begin_us, 0.0
    for at_us, chance in zip(instants_us, chances, strict=True):
        if chance >= share:
            step = (share - before) / (chance - before) if chance > before else 1.0
            return before_us + round(step * (at_us - before_us))
        before_us, before = at_us, chance
    return None


def relative_doubt(found: Intensity, scale: Scale) -> Fraction:
    """Return the relative uncertainty of a figure's ratio."""
    if found.value is None or not found.uncertainty or found.value == scale.offset:
        return Fraction(0)
    return found.uncertainty / abs(found.value - scale.offset)
