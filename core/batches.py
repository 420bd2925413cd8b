"""Batches, not clocks: energy matched to the taps and casts that it made, exactly.

Between two taps a furnace takes energy and gives nothing; at a tap it gives all at once. Cut by the
clock, energy per tonne therefore swings with the moment of the tap. Here the energy of a batch is
that from one tap to the next, and what was made meanwhile is what was tapped and by how much more
metal the furnace holds, as far as surveys tell. Within a batch metal forms as energy comes in.

Promises: the energies of consecutive batches add up to the energy from the first tap to the last;
so does what was made, less the change of what is held. A slot whose energy is not wholly known
makes its batch unknown; such a batch is left out of a period with its energy and its metal both.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from core.decimals import E6

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.energycurve import EnergyCurve

MEAN_TAPS: Final = 8  # one tap is noise: a furnace holds back one to three of them (domain 3.4)
MOST_MEAN_TAPS: Final = 2 * MEAN_TAPS  # how far a moving mean looks back over unknown batches
TAP_KINDS: Final = frozenset({"tapping", "weighing"})


@dataclass(frozen=True, slots=True)
class ProductFact:
    """A production fact in its newest revision, as far as batches need it.

    `fits` is false where its amount is no mass: then `mass_e6` says nothing.
    """

    id: str
    kind: str
    at_us: int
    mass_e6: int | Fraction
    grades: Mapping[str, str]
    fits: bool = True


@dataclass(frozen=True, slots=True)
class Base:
    """Base tonnes: mass x grade / reference."""

    grade: str
    reference: Fraction


@dataclass(frozen=True, slots=True)
class Tap:
    """What left the unit at an instant: a tap, a haul of a potline, a cast.

    `mass_t` as weighed; `output_t` as the indicator counts it, in base tonnes where it has a
    base; `grade` the mean grade of that base. None: a fact lacks the grade.
    """

    at_us: int
    mass_t: Fraction
    output_t: Fraction | None
    grade: Fraction | None = None
    facts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """How much metal the unit held at an instant, in the tonnes of `Tap.output_t`."""

    at_us: int
    held_t: Fraction


class Holdup(StrEnum):
    """How the change of what the unit holds is known over a batch.

    `measured` by a survey after either tap, `interpolated` between surveys further apart; where
    it is `unknown`, what was tapped is taken for what was made.
    """

    MEASURED = "measured"
    INTERPOLATED = "interpolated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Batch:
    """From one tap to the next: the energy taken and the output made meanwhile."""

    start_us: int
    end_us: int
    energy: Fraction | None
    estimated: Fraction
    tap: Tap
    made_t: Fraction | None
    holdup: Holdup

    @property
    def intensity(self) -> Fraction | None:
        """Return energy over what was made; None where either is unknown or nothing was made."""
        return _ratio(self.energy, self.made_t)


@dataclass(frozen=True, slots=True)
class Matched:
    """Energy and what it made over `covered_us` of [from, until), of `taps` batches that end there.

    Of the energy `estimated` was booked across gaps. `left_out` batches that overlap the span asked
    for are unknown; `holdup` is the weakest of the batches that count.
    """

    from_us: int
    until_us: int
    covered_us: int
    energy: Fraction
    estimated: Fraction
    made_t: Fraction
    taps: int
    left_out: int
    holdup: Holdup

    @property
    def is_whole(self) -> bool:
        """Tell whether no unknown batch lies between those that count."""
        return self.covered_us == self.until_us - self.from_us

    @property
    def intensity(self) -> Fraction | None:
        """Return energy over what was made; None where nothing was."""
        return _ratio(self.energy, self.made_t)


def taps_of(facts: Iterable[ProductFact], kinds: Sequence[str], base: Base | None) -> list[Tap]:
    """Return the taps among facts of these kinds, in order of time.

    Facts of one instant are one tap. A correction belongs to the tap at or after its instant.
    """
    outputs = frozenset(kinds) & (TAP_KINDS | {"correction"})
    counted = sorted((one for one in facts if one.kind in outputs), key=lambda one: one.at_us)
    taps: list[Tap] = []
    waiting: list[ProductFact] = []
    for place, fact in enumerate(counted):
        waiting.append(fact)
        following = counted[place + 1].at_us if place + 1 < len(counted) else None
        ends = any(one.kind in TAP_KINDS and (one.mass_e6 > 0 or not one.fits) for one in waiting)
        if ends and following != fact.at_us:
            taps.append(_tap(fact.at_us, waiting, base))
            waiting = []
    return taps


def _tap(at_us: int, facts: Sequence[ProductFact], base: Base | None) -> Tap:
    mass_t = sum((Fraction(fact.mass_e6) for fact in facts), Fraction(0)) / E6
    names = tuple(fact.id for fact in facts)
    if not all(fact.fits for fact in facts):
        return Tap(at_us, mass_t, None, None, names)
    if base is None:
        return Tap(at_us, mass_t, mass_t, None, names)
    graded = [_graded_t(fact, base) for fact in facts if fact.mass_e6]
    known = [one for one in graded if one is not None]
    if len(known) < len(graded):
        return Tap(at_us, mass_t, None, None, names)
    total = sum(known, Fraction(0))
    return Tap(at_us, mass_t, total / base.reference, _ratio(total, mass_t), names)


def _graded_t(fact: ProductFact, base: Base) -> Fraction | None:
    text = fact.grades.get(base.grade)
    return None if text is None else Fraction(fact.mass_e6) / E6 * Fraction(text)


def surveys_of(facts: Iterable[ProductFact], base: Base | None) -> list[Survey]:
    """Return the surveys among stock facts, in order: what was found at one instant is added up.

    One without the grade asked for is none.
    """
    found: dict[int, list[Fraction | None]] = {}
    for fact in facts:
        if fact.kind == "stock":
            held = _graded_t(fact, base) if base else Fraction(fact.mass_e6) / E6
            found.setdefault(fact.at_us, []).append(held if fact.fits else None)
    reference = base.reference if base else Fraction(1)
    return [
        Survey(at_us, sum((one for one in held if one is not None), Fraction(0)) / reference)
        for at_us, held in sorted(found.items())
        if None not in held
    ]


def match(curve: EnergyCurve, taps: Sequence[Tap], surveys: Sequence[Survey] = ()) -> list[Batch]:
    """Return the batches between consecutive taps, which are sorted, each with its own instant.

    Between two surveys what was made is what was tapped and the change of what is held, spread
    over the batches in proportion to their time.
    """
    batches = [
        Batch(
            before.at_us,
            tap.at_us,
            curve.between(before.at_us, tap.at_us),
            curve.estimated(before.at_us, tap.at_us),
            tap,
            tap.output_t,
            Holdup.UNKNOWN,
        )
        for before, tap in pairwise(taps)
    ]
    instants = [tap.at_us for tap in taps]
    for earlier, later in pairwise(surveys):
        first = bisect_right(instants, earlier.at_us) - 1
        last = bisect_right(instants, later.at_us) - 1
        change = _change(curve, taps, (first, earlier), (last, later))
        if change is None:
            continue
        whole_us = instants[last] - instants[first]
        holdup = Holdup.MEASURED if last == first + 1 else Holdup.INTERPOLATED
        for place in range(first, last):
            batch = batches[place]
            if batch.made_t is not None:
                share = change * Fraction(batch.end_us - batch.start_us, whole_us)
                batches[place] = replace(batch, made_t=batch.made_t + share, holdup=holdup)
    return batches


def _change(
    curve: EnergyCurve,
    taps: Sequence[Tap],
    earlier: tuple[int, Survey],
    later: tuple[int, Survey],
) -> Fraction | None:
    """Return by how much more the unit holds right after the later tap than after the earlier.

    Each survey comes with the place of the last tap before it. What formed between that tap and
    the survey is told by its energy, at the intensity from survey to survey.
    """
    (first, begin), (last, end) = earlier, later
    if first < 0 or last <= first:
        return None
    tapped = [tap.output_t for tap in taps[first + 1 : last + 1]]
    known = [one for one in tapped if one is not None]
    since = curve.between(taps[first].at_us, begin.at_us)
    after = curve.between(taps[last].at_us, end.at_us)
    change = end.held_t - begin.held_t
    if since == after == 0:
        return change
    energy = curve.between(begin.at_us, end.at_us)
    made = sum(known, change)
    if energy is None or since is None or after is None or len(known) < len(tapped):
        return None
    if energy <= 0 or made <= 0:
        return None
    return change + (since - after) * made / energy


def matched(curve: EnergyCurve, batches: Sequence[Batch], start_us: int, end_us: int) -> Matched:
    """Return what of [start, end) lies in known batches; their parts make what their energy says.

    Before the first tap and after the last one nothing is known: neither energy nor metal counts.
    """
    energy = estimated = made = Fraction(0)
    covered: list[int] = []
    taps = left_out = 0
    holdups: set[Holdup] = set()
    for batch in batches[_ending(batches, start_us + 1) :]:
        low, high = max(start_us, batch.start_us), min(end_us, batch.end_us)
        if low >= high:
            break
        part = _part(curve, batch, low, high)
        if part is None:
            left_out += 1
            continue
        energy, made = energy + part[0], made + part[1]
        estimated += curve.estimated(low, high)
        covered += (low, high)
        holdups.add(batch.holdup)
        taps += batch.end_us <= end_us
    weakest = next((one for one in reversed(Holdup) if one in holdups), Holdup.UNKNOWN)
    bounds = (min(covered), max(covered)) if covered else (start_us, start_us)
    width_us = sum(covered[1::2]) - sum(covered[::2])
    return Matched(*bounds, width_us, energy, estimated, made, taps, left_out, weakest)


def _part(
    curve: EnergyCurve, batch: Batch, low_us: int, high_us: int
) -> tuple[Fraction, Fraction] | None:
    if batch.energy is None or batch.made_t is None or batch.made_t <= 0:
        return None
    if (low_us, high_us) == (batch.start_us, batch.end_us):
        return batch.energy, batch.made_t
    part = curve.between(low_us, high_us)
    if part is None or batch.energy <= 0:
        return None
    return part, batch.made_t * part / batch.energy


def moving(batches: Sequence[Batch], place: int) -> Matched | None:
    """Return energy and output of the last MEAN_TAPS known batches up to a place, None if fewer."""
    return _mean(batches[max(0, place + 1 - MOST_MEAN_TAPS) : place + 1], 0)


def tap_to_tap(batches: Sequence[Batch], start_us: int, end_us: int) -> Matched | None:
    """Return energy and output of all known batches that end in a period, at least MEAN_TAPS.

    Where the period has fewer, those before it are taken too; None where there are too few.
    """
    first, behind = _ending(batches, start_us), _ending(batches, end_us)
    if first == behind:
        return None
    low = max(0, min(first, behind - MOST_MEAN_TAPS))
    return _mean(batches[low:behind], behind - first)


def _ending(batches: Sequence[Batch], at_us: int) -> int:
    """Return the place of the first batch that ends at an instant or later."""
    return bisect_left(batches, at_us, key=lambda one: one.end_us)


def _mean(batches: Sequence[Batch], within: int) -> Matched | None:
    """Sum the known ones of the last `within` batches, and of earlier ones up to MEAN_TAPS."""
    chosen: list[Batch] = []
    left_out = 0
    for age, batch in enumerate(reversed(batches)):
        if age >= within and len(chosen) >= MEAN_TAPS:
            break
        if batch.intensity is None:
            left_out += 1
        else:
            chosen.append(batch)
    if len(chosen) < MEAN_TAPS:
        return None
    return Matched(
        chosen[-1].start_us,
        chosen[0].end_us,
        sum(one.end_us - one.start_us for one in chosen),
        sum((one.energy or Fraction(0) for one in chosen), Fraction(0)),
        sum((one.estimated for one in chosen), Fraction(0)),
        sum((one.made_t or Fraction(0) for one in chosen), Fraction(0)),
        len(chosen),
        left_out,
        max((one.holdup for one in chosen), key=list(Holdup).index),
    )


def _ratio(amount: Fraction | None, per: Fraction | None) -> Fraction | None:
    return None if amount is None or per is None or per <= 0 else amount / per
