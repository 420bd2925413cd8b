"""Spans of a unit at work, written down by hand: energies by group, hours, output."""

from __future__ import annotations

from fractions import Fraction

from core.baseline import Baseline, Origin, Response, Way
from core.facts import HOUR_US
from core.periods import Period
from core.producing import Group, Seen, Share

NAMES = ("fixed_share", "grade_response")


def share(energy: object, hours: int, doubtful: object = 0, doubtful_h: int = 0) -> Share:
    return Share(
        Fraction(str(energy)), hours * HOUR_US, Fraction(str(doubtful)), doubtful_h * HOUR_US
    )


def seen(
    output: object,
    shares: dict[Group, Share],
    *,
    idle: object = 0,
    idle_h: int = 0,
    booked: object = 0,
    mass: object = None,
) -> Seen:
    """Return a span whose energy is what its parts say."""
    parts = [Fraction(str(idle)), Fraction(str(booked))]
    parts += [each.producing + each.doubtful for each in shares.values()]
    work_us = max((s.producing_us + s.doubtful_us for s in shares.values()), default=0)
    return Seen(
        (0, work_us + idle_h * HOUR_US),
        sum(parts, Fraction(0)),
        Fraction(str(output)),
        None if mass is None else Fraction(str(mass)),
        shares,
        parts[0],
        idle_h * HOUR_US,
        parts[1],
    )


def known(name: str, value: object) -> Response:
    return Response(name, None if value is None else Fraction(str(value)),
                    Origin.UNKNOWN if value is None else Origin.DECLARED)  # fmt: skip


def baseline(reference: Seen, fixed: object = "0.2", grade: object = "0.5") -> Baseline:
    return Baseline(
        reference, Period.MONTH, Way.MEDIAN, 12, known(NAMES[0], fixed), known(NAMES[1], grade)
    )
