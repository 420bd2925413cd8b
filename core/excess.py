"""Why a figure is over its limit: the excess E - L x O split into causes that add up to it exactly.

With the reference's loads p (process) and z (beside it) per hour, its rate r, its intensity s, and
the unit's own T hours of work, output O, output Q as the reference's grade would need energy for:

    reference   (s - L) x O                         the unit at its reference, against the limit
    mix         (p + z) / r x (Q - O)               a grade that costs more per counted tonne
    rate        (f x p + z) x (T - Q / r)           hours beyond those the reference needs for Q
    stoppage    energy of idle time
    auxiliary   energy beside the process - reference load x its hours; recovery alike
    accounts    energy booked by facts - the reference's per output x O
    doubt       what doubtful time booked - the load of the rest of the period x its hours
    process     what remains of the process: its energy - (f x p x T + (1 - f) x p x Q / r)

Doubtful time, which was not read all through, counts everywhere else as if it had run like the
rest of the period.

Promise: fractions, the parts sum to the excess to the last digit. What rests on something unknown
is not zero and not guessed: those causes have no amount, and one remainder names them together.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from core import decimals
from core.baseline import Origin
from core.producing import Group, Share, hours_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.baseline import Baseline, Response
    from core.indicators import Indicator
    from core.producing import Seen


class Cause(StrEnum):
    """What an excess is made of, in the order in which it is told."""

    REFERENCE = "reference"
    RATE = "rate"
    MIX = "mix"
    STOPPAGE = "stoppage"
    AUXILIARY = "auxiliary"
    RECOVERY = "recovery"
    ACCOUNTS = "accounts"
    PROCESS = "process"
    DOUBT = "doubt"


class Why(StrEnum):
    """Why causes are not told apart, or why a cause has no part in an indicator."""

    NO_PROCESS_METER = "no_process_meter"
    NO_REFERENCE = "no_reference"
    FIXED_SHARE_UNKNOWN = "fixed_share_unknown"
    GRADE_RESPONSE_UNKNOWN = "grade_response_unknown"
    NOT_COUNTED = "not_counted"  # the indicator counts nothing of the kind


@dataclass(frozen=True, slots=True)
class Part:
    """One cause: its amount in the energy unit, None where it is in the remainder.

    `evidence` holds exact numbers by name; `give` is how far the amount may be off by a derived
    share (two standard errors); `why` says why it is nothing of itself.
    """

    cause: Cause
    amount: Fraction | None
    evidence: Mapping[str, Fraction | None] = field(default_factory=dict)
    give: Fraction | None = None
    why: Why | None = None


@dataclass(frozen=True, slots=True)
class Remainder:
    """The sum of causes that are not told apart, and for want of what."""

    causes: tuple[Cause, ...]
    amount: Fraction
    why: tuple[Why, ...]


@dataclass(frozen=True, slots=True)
class Excess:
    """The excess over a limit, below it where negative, and what it is made of."""

    amount: Fraction
    limit: Fraction
    seen: Seen
    parts: tuple[Part, ...]
    remainder: Remainder | None = None

    def told(self) -> list[tuple[tuple[Cause, ...], Fraction]]:
        """Return every amount with its causes; they sum to the excess."""
        found: list[tuple[tuple[Cause, ...], Fraction]] = [
            ((part.cause,), part.amount) for part in self.parts if part.amount is not None
        ]
        if self.remainder is not None:
            found.append((self.remainder.causes, self.remainder.amount))
        return found

    def printed(self, scale: Fraction = Fraction(1)) -> list[int]:
        """Return the told amounts times `scale` in millionths, summing to the excess printed."""
        return apportioned([amount * scale for _, amount in self.told()], decimals.E6)


def refusal(indicator: Indicator) -> str | None:
    """Say why an indicator's excess has no such split; None where it has one."""
    if indicator.metered != "sum":
        return f"{indicator.id} is a mean over time: there is no energy to split"
    if indicator.against is not None or indicator.is_share:
        return f"{indicator.id} is a share or a change in per cent: there is no energy to split"
    return None


def split(seen: Seen, limit: Fraction, baseline: Baseline | None) -> Excess:
    """Split the excess of a span over a limit against the unit's reference."""
    amount = seen.energy - limit * seen.output
    stoppage = Part(
        Cause.STOPPAGE, seen.idle, {"hours": hours_of(seen.idle_us), "energy": seen.idle}
    )
    if Group.PROCESS not in seen.shares or baseline is None:
        metered = Group.PROCESS in seen.shares
        untold = Why.NO_REFERENCE if metered else Why.NO_PROCESS_METER
        return _with_remainder(seen, limit, amount, [stoppage] if metered else [], [untold])
    known = [
        _reference(seen, limit, baseline),
        stoppage,
        _beside(seen, baseline, Group.AUXILIARY, Cause.AUXILIARY),
        _beside(seen, baseline, Group.RECOVERY, Cause.RECOVERY),
        _accounts(seen, baseline),
        _doubt(seen, baseline),
    ]
    answers, why = _answers(seen, baseline)
    return _with_remainder(seen, limit, amount, [*known, *answers], why)


def _with_remainder(
    seen: Seen, limit: Fraction, amount: Fraction, known: Sequence[Part], why: Sequence[Why]
) -> Excess:
    """Return the parts in their order; what no part tells is one remainder by its causes."""
    by_cause = {part.cause: part for part in known}
    parts = tuple(by_cause.get(cause, Part(cause, None)) for cause in Cause)
    untold = tuple(part.cause for part in parts if part.amount is None)
    rest = amount - sum((part.amount or Fraction(0) for part in parts), Fraction(0))
    remainder = Remainder(untold, rest, tuple(why)) if untold else None
    return Excess(amount, limit, seen, parts, remainder)


def _reference(seen: Seen, limit: Fraction, baseline: Baseline) -> Part:
    evidence = {"intensity": baseline.intensity, "limit": limit, "output": seen.output}
    return Part(Cause.REFERENCE, (baseline.intensity - limit) * seen.output, evidence)


def _beside(seen: Seen, baseline: Baseline, group: Group, cause: Cause) -> Part:
    share = seen.shares.get(group)
    if share is None:
        return Part(cause, Fraction(0), why=Why.NOT_COUNTED)
    load, reference = _load(seen, baseline, group), baseline.power(group)
    hours = hours_of(seen.working_us)
    evidence = {"hours": hours, "load": load, "reference_load": reference}
    return Part(cause, (load - reference) * hours, evidence)


def _load(seen: Seen, baseline: Baseline, group: Group) -> Fraction:
    """Return a group's energy per hour of work; the reference's where no hour of it is known."""
    own = seen.shares.get(group, Share()).power
    return baseline.power(group) if own is None else own


def _accounts(seen: Seen, baseline: Baseline) -> Part:
    per_output = baseline.seen.booked / baseline.seen.output
    if not seen.booked and not per_output:
        return Part(Cause.ACCOUNTS, Fraction(0), why=Why.NOT_COUNTED)
    evidence = {"energy": seen.booked, "reference_per_output": per_output}
    return Part(Cause.ACCOUNTS, seen.booked - per_output * seen.output, evidence)


def _doubt(seen: Seen, baseline: Baseline) -> Part:
    """Return what doubtful time booked beyond the load of the rest; below it energy is missing."""
    booked, like_the_rest = Fraction(0), Fraction(0)
    for group, share in seen.shares.items():
        booked += share.doubtful
        like_the_rest += _load(seen, baseline, group) * hours_of(share.doubtful_us)
    hours = max(hours_of(share.doubtful_us) for share in seen.shares.values())
    evidence = {"hours": hours, "energy": booked, "like_the_rest": like_the_rest}
    return Part(Cause.DOUBT, booked - like_the_rest, evidence)


def _answers(seen: Seen, baseline: Baseline) -> tuple[list[Part], list[Why]]:
    """Return rate, mix and process as far as the shares are known, and which are not."""
    made, why = _equivalent(seen, baseline.seen, baseline.grade)
    if made is None:
        return [], [*why, *_unknown_fixed(baseline.fixed)]
    mix = _mix(seen, baseline, made)
    if baseline.fixed.value is None:
        return [mix], _unknown_fixed(baseline.fixed)
    return [mix, *_rate_and_process(seen, baseline, made, baseline.fixed.value)], []


def _mix(seen: Seen, baseline: Baseline, made: Fraction) -> Part:
    if seen.mass is None:
        return Part(Cause.MIX, Fraction(0), why=Why.NOT_COUNTED)
    per_output = (baseline.power(Group.PROCESS) + baseline.beside) / baseline.rate
    evidence = {
        "grade_ratio": seen.grade_ratio,
        "reference_grade_ratio": baseline.seen.grade_ratio,
        "output": seen.output,
        "equivalent_output": made,
    }
    give = _give(baseline, Fraction(0), per_output * _graded(seen, baseline.seen))
    return Part(Cause.MIX, per_output * (made - seen.output), evidence, give)


def _rate_and_process(
    seen: Seen, baseline: Baseline, made: Fraction, fixed: Fraction
) -> tuple[Part, Part]:
    load, beside = baseline.power(Group.PROCESS), baseline.beside
    hours, needed_h = hours_of(seen.working_us), made / baseline.rate
    graded_h = _graded(seen, baseline.seen) / baseline.rate
    steady = fixed * load + beside
    rate = Part(
        Cause.RATE,
        steady * (hours - needed_h),
        {
            "hours": hours,
            "hours_at_reference_rate": needed_h,
            "rate": made / hours if hours else None,
            "reference_rate": baseline.rate,
            "load_at_any_rate": steady,
        },
        _give(baseline, load * (hours - needed_h), steady * graded_h),
    )
    used = seen.process.producing
    used += _load(seen, baseline, Group.PROCESS) * hours_of(seen.process.doubtful_us)
    at_reference = fixed * load * hours + (1 - fixed) * load * needed_h
    process = Part(
        Cause.PROCESS,
        used - at_reference,
        {"energy": used, "at_reference": at_reference},
        _give(baseline, load * (hours - needed_h), (1 - fixed) * load * graded_h),
    )
    return rate, process


def _equivalent(seen: Seen, reference: Seen, grade: Response) -> tuple[Fraction | None, list[Why]]:
    """Return the output that at the reference's grade would need as much energy; None: unknown."""
    if seen.mass is None or reference.grade_ratio is None:
        return seen.output, []
    graded = _graded(seen, reference)
    if grade.value is None:
        return (None, [Why.GRADE_RESPONSE_UNKNOWN]) if graded else (seen.output, [])
    return seen.output + (1 - grade.value) * graded, []


def _graded(seen: Seen, reference: Seen) -> Fraction:
    """Return how much more the same mass would count at the reference's grade."""
    if seen.mass is None or reference.grade_ratio is None:
        return Fraction(0)
    return seen.mass * reference.grade_ratio - seen.output


def _unknown_fixed(fixed: Response) -> list[Why]:
    return [Why.FIXED_SHARE_UNKNOWN] if fixed.value is None else []


def _give(baseline: Baseline, by_fixed: Fraction, by_grade: Fraction) -> Fraction | None:
    """Return how far an amount may be off by derived shares; None where they are declared."""
    parts = [
        (response.error or Fraction(0)) * by
        for response, by in ((baseline.fixed, by_fixed), (baseline.grade, by_grade))
        if response.origin is Origin.DERIVED and by
    ]
    if not parts:
        return None
    return 2 * decimals.square_root(sum((part**2 for part in parts), Fraction(0)))


def apportioned(amounts: Sequence[Fraction], scale: int) -> list[int]:
    """Return amounts in units of 1/scale as integers whose sum is the rounded sum of all.

    Each is rounded down, and the largest rests are rounded up; the first of equal ones.
    """
    exact = [amount * scale for amount in amounts]
    total = round(sum(exact, Fraction(0)))  # half to even, as every printed figure
    floors = [each.numerator // each.denominator for each in exact]
    order = sorted(range(len(exact)), key=lambda place: (floors[place] - exact[place], place))
    for place in order[: total - sum(floors)]:
        floors[place] += 1
    return floors
