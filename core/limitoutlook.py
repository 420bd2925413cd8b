"""The outlook on one limit: how likely it is broken, what the rest must keep, when it is crossed.

A lower limit mirrors an upper one. What a limit needs to be moved and nobody declared makes the
outlook incomplete, as it does a verdict, unless it could but relax the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from core import decimals, headroom, periods
from core.headroom import Coming
from core.limits import Policy
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.forecast import Forecast
    from core.headroom import Allowed, Halves, Scale
    from core.limits import Limit
    from core.verdicts import Held

Span = tuple[int, int]
LIKELY: Final = 0.9  # from here on the outlook says what will be; between, it is indeterminate
EARLY: Final = 0.1  # a crossing lies with 80 % between these chances of its having come
LATE: Final = 0.9
PLACES: Final = 4  # of a chance


@dataclass(frozen=True)
class Part:
    """A part of a period: what is known of it up to `cut_us`, what is foreseen from `since_us`.

    `doubt` is the relative uncertainty of the figures so far.
    """

    span_us: Span
    cut_us: int
    since_us: int
    so_far: Halves
    scale: Scale
    doubt: Fraction
    foreseen: Forecast | None

    @cached_property
    def figure(self) -> Fraction:
        """Return the figure at the end as it is printed: as likely to be higher as lower."""
        assert self.foreseen is not None  # noqa: S101 - asked for where there is one
        (ratio,) = self.foreseen.quantiles((0.5,))
        return headroom.rounded(self.scale.figure(Fraction(ratio)))

    def pace(self, able: Allowed) -> Fraction | None:
        """Return the ratio of the rest that leads to that figure; None without a rest."""
        if able.coming <= 0:
            return None
        total = self.so_far.below + able.coming
        return (self.scale.ratio(self.figure) * total - self.so_far.above) / able.coming


def item(
    held: Held, limit: Limit, span: Span, part: Part | None, made: Sequence[tuple[Span, Fraction]]
) -> dict[str, Any]:
    """Return the outlook on a limit over the span in which it holds, as JSON carries it.

    `made` is the output so far of each stretch in which the limit stands still.
    """
    zone = held.site.timezone
    told: dict[str, Any] = {
        "limit": limit.id,
        "force": limit.force.value,
        "level": limit.level,
        "cmp": limit.cmp.value,
        "own_value": decimals.show(limit.value),
        "limit_value": None,
        "unit": limit.unit,
        "lapsed": limit.lapsed(held.bound_us[0], zone),
        "from": periods.render(span[0], zone),
        "until": periods.render(span[1], zone),
        "value": None,
        "over_now": None,
        "outlook": Verdict.INCOMPLETE.value,
        "chance_exceeds": None,
        "headroom": None,
        "crossing": None,
        "missing": [],
    }
    if part is None:
        return told
    foreseen = part.foreseen
    coming = Coming(Fraction(0)) if foreseen is None else foreseen.coming
    course = (part.since_us, part.span_us[1])
    able = headroom.allowed(limit, held.conditions, part.scale, made, (course, coming))
    told["missing"] = list(able.missing)
    at_end = able.at_end
    if at_end is None or (able.missing and not _only_relaxes(limit)):
        return told
    if not able.missing:
        told["limit_value"] = decimals.show(part.scale.figure(at_end))
    if part.so_far.below > 0:
        told["over_now"] = _breaks(able, part)
    if part.since_us >= part.span_us[1]:
        # The part in which the limit holds is over: what is so far is the end.
        return told | _settled(part, able)
    return told if foreseen is None else told | _foreseen(held, able, part, foreseen)


def _settled(part: Part, able: Allowed) -> dict[str, Any]:
    """Return how it ended, where anything was made."""
    if part.so_far.below <= 0:
        return {}
    ratio = part.so_far.above / part.so_far.below
    return {
        "value": decimals.show(part.scale.figure(ratio)),
        "outlook": _word(float(_breaks(able, part)), able),
    }


def _foreseen(held: Held, able: Allowed, part: Part, foreseen: Forecast) -> dict[str, Any]:
    """Return what is to be said where some of the limit's time is to come."""
    assert able.at_end is not None  # noqa: S101 - the caller has looked
    chance = _chance(able, foreseen, able.at_end)
    return {
        "value": decimals.show(part.figure),
        "chance_exceeds": round(chance, PLACES),
        "outlook": _word(chance, able),
        "headroom": _headroom(held, able, part),
        "crossing": _crossing(held.site.timezone, able, part, foreseen),
    }


def _chance(able: Allowed, foreseen: Forecast, bound: Fraction, place: int = -1) -> float:
    """Return how likely the figure of a span breaks a bound."""
    below = min(1.0, max(0.0, foreseen.chance_below(float(bound), place)))
    return 1.0 - below if able.is_upper else below


def _word(chance: float, able: Allowed) -> str:
    """Say what will be, where it is likely enough; what may only be relaxed is not yet broken."""
    if chance <= 1 - LIKELY:
        return Verdict.WITHIN.value
    if able.missing:
        return Verdict.INCOMPLETE.value
    return (Verdict.EXCEEDS if chance >= LIKELY else Verdict.INDETERMINATE).value


def _headroom(held: Held, able: Allowed, part: Part) -> dict[str, Any] | None:
    """Return the figure that the rest must keep, and how much of the numerator that is.

    `guarded` is for the whole to be within beyond its uncertainty, where the law's policy asks it.
    """
    guarded = able.limit.policy is Policy.GUARDED and (able.is_upper or part.doubt < 1)
    plain = headroom.headroom(able, part.so_far.above)
    sure = headroom.headroom(able, part.so_far.above, part.doubt) if guarded else plain
    if plain is None or sure is None:
        return None
    return {
        "value": decimals.show(part.scale.figure(plain)),
        "guarded": decimals.show(part.scale.figure(sure)),
        "unit": held.indicator.unit,
        "energy": decimals.show(headroom.left(able, part.so_far.above)),
        "energy_unit": held.indicator.energy_unit,
        "output": decimals.show(able.coming),
        "output_unit": held.indicator.output_unit,
        "reachable": not able.is_upper or plain >= 0,
    }


def _crossing(zone: str, able: Allowed, part: Part, foreseen: Forecast) -> dict[str, Any] | None:
    """Return when the running figure comes to stand on the other side of the limit."""
    is_over = part.so_far.below > 0 and _breaks(able, part)
    pace = part.pace(able)
    at_us = None if pace is None else headroom.crossing_us(able, part.so_far.above, pace)
    chances = []
    for place, instant_us in enumerate(foreseen.instants_us):
        bound = able.at(instant_us)
        chance = 0.0 if bound is None else _chance(able, foreseen, bound, place)
        chances.append(1 - chance if is_over else chance)
    early, late = (
        headroom.first_reaching(foreseen.instants_us, chances, share, part.since_us)
        for share in (EARLY, LATE)
    )
    if at_us is None and early is None:
        return None
    return {
        "to": (Verdict.WITHIN if is_over else Verdict.EXCEEDS).value,
        "at": _minute(at_us, zone),
        "on": None if at_us is None else periods.day_of(at_us, zone).isoformat(),
        "earliest": _minute(early, zone),
        "latest": _minute(late, zone),
    }


def _breaks(able: Allowed, part: Part) -> bool:
    """Tell whether what was used so far breaks what the limit allows for it."""
    return not able.limit.cmp.keeps(part.so_far.above, able.so_far)


def _only_relaxes(limit: Limit) -> bool:
    """Tell whether what a limit lacks could but raise it: it is then held as it stands."""
    return all(one.only_relaxes for one in limit.correction)


def _minute(at_us: int | None, zone: str) -> str | None:
    """Print an instant to the minute, as much as a statistic deserves."""
    if at_us is None:
        return None
    return periods.render(at_us - at_us % periods.MINUTE_US, zone)
