"""A unit's own reference: its producing time in one previous period, and how it answers to load.

The reference is a period that was, not an average: the best one by energy of producing time per
output, or the middle one of those that qualify. Two shares say how the process answers: how much
of its load it needs at any rate (`fixed_share`), and how far energy per weighed tonne follows the
grade (`grade_response`). They are declared, or derived across the previous periods where these
are many and differ enough; else they are unknown, and what rests on them is not told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from core.producing import Group, hours_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.exactmath import Floats
    from core.periods import Period
    from core.producing import Seen

FIXED_SHARE: Final = "fixed_share"
GRADE_RESPONSE: Final = "grade_response"
IDLE_SHARE: Final = "idle_share"
DEFAULT_IDLE_SHARE: Final = Fraction(1, 3)  # of the power at work: below it nothing is made
LEAST_COMPLETENESS: Final = Fraction(9, 10)
LEAST_PRODUCING: Final = Fraction(1, 10)  # of a period: less says little of the unit at work
LEAST_PERIODS: Final = 8  # to derive two shares and their errors from
# A standard error with which a part is still worth telling: at a rate a tenth off it moves half a
# per cent of the energy, at a grade three hundredths off three thousandths.
MOST_ERROR: Final[Mapping[str, float]] = {FIXED_SHARE: 0.05, GRADE_RESPONSE: 0.1}
_SHARE_PLACES: Final = 3
_PLAUSIBLE: Final = (-1.0, 0.95)  # of a fixed share; a potline's is negative: more load, more volts


class Way(StrEnum):
    """Which of the previous periods is the reference."""

    BEST = "best"
    MEDIAN = "median"


class Origin(StrEnum):
    """Where a share comes from."""

    DECLARED = "declared"
    DERIVED = "derived"
    DEFAULT = "default"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Response:
    """A share with its origin; None: unknown. `error` is the standard error of a derived one."""

    name: str
    value: Fraction | None
    origin: Origin
    error: Fraction | None = None
    periods: int = 0


@dataclass(frozen=True, slots=True)
class Baseline:
    """The reference period of a kind, which of how many it is, and how the process answers."""

    seen: Seen
    period: Period
    way: Way
    of: int
    fixed: Response
    grade: Response

    @property
    def rate(self) -> Fraction:
        """Return output per hour of work."""
        return self.seen.output / hours_of(self.seen.working_us)

    def power(self, group: Group) -> Fraction:
        """Return a group's energy per hour of producing time; none where it has no meter."""
        share = self.seen.shares.get(group)
        return Fraction(0) if share is None else share.power or Fraction(0)

    @property
    def beside(self) -> Fraction:
        """Return the energy per hour of what runs beside the process, recovery deducted."""
        return self.power(Group.AUXILIARY) + self.power(Group.RECOVERY)

    @property
    def intensity(self) -> Fraction:
        """Return energy over output of producing time."""
        return intensity_of(self.seen)


def intensity_of(seen: Seen) -> Fraction:
    """Return energy of producing time over the output that time makes; facts as booked.

    Doubtful time counts as if it had run like the rest.
    """
    load = sum((share.power or Fraction(0) for share in seen.shares.values()), Fraction(0))
    return load * hours_of(seen.working_us) / seen.output + seen.booked / seen.output


def fitting(seen: Sequence[Seen], groups: frozenset[Group]) -> list[Seen]:
    """Return the periods that can be a reference: complete, at work, with these groups metered."""
    return [each for each in seen if _fits(each, groups)]


def _fits(seen: Seen, groups: frozenset[Group]) -> bool:
    length_us = seen.span_us[1] - seen.span_us[0]
    return (
        seen.completeness >= LEAST_COMPLETENESS
        and seen.output > 0
        and seen.shares.keys() == groups
        and all(one.producing_us >= LEAST_PRODUCING * length_us for one in seen.shares.values())
        and (seen.mass is None or seen.mass > 0)
        and seen.process.producing > 0
    )


def choose(known: Sequence[Seen], way: Way) -> Seen | None:
    """Return the reference among fitting periods; None where there is none.

    Of an even number the better one of the two in the middle.
    """
    ordered = sorted(known, key=lambda each: (intensity_of(each), each.span_us))
    if not ordered:
        return None
    return ordered[0 if way is Way.BEST else (len(ordered) - 1) // 2]


def declared(name: str, value: Fraction) -> Response:
    """Return a share that the plant declares."""
    return Response(name, value, Origin.DECLARED)


def derive(known: Sequence[Seen], *, by_grade: bool) -> tuple[Response, Response]:
    """Derive (fixed share, grade response) across periods by least squares.

    Rate over power: energy is metered well and output in taps, so the rate is what scatters, and
    regressing it leaves the slope unbiased. r/r0 = c + 1/(1 - f) * (p/p0 - 1) + (1 - k) *
    (w/w0 - 1), w the grade ratio.
    """
    nothing = tuple(_unknown(name, len(known)) for name in (FIXED_SHARE, GRADE_RESPONSE))
    if len(known) < LEAST_PERIODS:
        return nothing[0], nothing[1]
    power = np.array([float(each.process.power or 0) for each in known])
    rate = np.array([float(each.output / hours_of(each.working_us)) for each in known])
    columns = [np.ones(len(known)), _relative(power)]
    if by_grade:
        columns.append(_relative(np.array([float(each.grade_ratio or 0) for each in known])))
    fit = _least_squares(np.column_stack(columns), rate / rate.mean())
    if fit is None:
        return nothing[0], nothing[1]
    slope, error = fit
    fixed = nothing[0]
    if slope[1] > 0:
        share = 1 - 1 / slope[1]
        fixed = _response(FIXED_SHARE, share, error[1] / slope[1] ** 2, len(known), _PLAUSIBLE)
    grade = nothing[1]
    if by_grade:
        grade = _response(GRADE_RESPONSE, 1 - slope[2], error[2], len(known), (-0.5, 1.5))
    return fixed, grade


def _relative(values: Floats) -> Floats:
    found: Floats = values / values.mean() - 1
    return found


def _least_squares(design: Floats, values: Floats) -> tuple[Floats, Floats] | None:
    """Return (coefficients, standard errors); None where the columns do not tell them apart."""
    rows, columns = design.shape
    if np.linalg.matrix_rank(design) < columns:
        return None
    inverse = np.linalg.inv(design.T @ design)
    slope = inverse @ design.T @ values
    rest = values - design @ slope
    variance = float(rest @ rest) / (rows - columns)
    return slope, np.sqrt(np.diag(inverse) * variance)


def _response(
    name: str, share: float, error: float, periods: int, plausible: tuple[float, float]
) -> Response:
    if not (plausible[0] <= share <= plausible[1] and error <= MOST_ERROR[name]):
        return _unknown(name, periods, error)
    return Response(name, _rounded(share), Origin.DERIVED, _rounded(error), periods)


def _unknown(name: str, periods: int, error: float | None = None) -> Response:
    known = error is not None and np.isfinite(error)
    return Response(
        name,
        None,
        Origin.UNKNOWN,
        _rounded(error) if known and error is not None else None,
        periods,
    )


def _rounded(value: float) -> Fraction:
    return Fraction(f"{float(value):.{_SHARE_PLACES}f}")
