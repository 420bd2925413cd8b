"""The forecast of one period of a unit as people read it: figure, limits, headroom, cost.

Put together from the unit's day figures, its figures so far (both computed by core.intensity) and
what was declared. What is statistics is in core.forecast, what is exact in core.headroom; a limit
is held against the part of the period in which it holds, as verdicts are (core.verdicts).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from core import (
    corrections,
    decimals,
    flags,
    forecast,
    forecasttext,
    headroom,
    ladder,
    limitoutlook,
    periods,
)
from core.facts import DAY_US
from core.forecast import Course, Reason
from core.headroom import NOTHING, Scale
from core.limitoutlook import Part
from core.periods import Period
from core.plantfile import PLAN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from core.forecast import Day, Forecast, Stretch
    from core.headroom import Halves
    from core.indicators import Indicator
    from core.intensity import Intensity
    from core.limits import Limit
    from core.verdicts import Held

Span = tuple[int, int]
_COSTS: Final = ("treads", "surcharge", "value", "p10", "p90", "falls_at")
SHARES: Final = ("p2_5", "p10", "value", "p90", "p97_5")  # of forecast.QUANTILES, in order


@dataclass(frozen=True, slots=True)
class Past:
    """What a forecast rests on: the days until `today_us`, begun before, and what they tell.

    `known_until_us` is the end of the last day with a figure: from there on all is yet to come.
    """

    days: Sequence[Day]
    stretches: Sequence[Stretch]
    begin_us: int
    today_us: int

    @property
    def known_until_us(self) -> int:
        """Return the end of the last day of the period with a figure, else its begin."""
        ends = [each.end_us for each in self.stretches]
        return max([self.begin_us, *ends])

    @property
    def days_known(self) -> float:
        """Return how many days of the period have a figure."""
        return forecast.days_known(self.stretches, self.begin_us, self.today_us)


def past_of(days: Sequence[Day], begin_us: int, today_us: int) -> Past:
    """Return what days tell, of a period that began at `begin_us`."""
    return Past(days, forecast.stretches(days), begin_us, today_us)


@dataclass(frozen=True)
class Outlook:
    """A period [begin, end) as it is foreseen at `now_us`.

    `known` holds the figures of [begin, known until), of the parts of it that verdicts need, and
    of [begin, today), the last of which says how much of the period so far is measured.
    """

    held: Held
    period: Period
    past: Past
    known: Mapping[Span, Intensity]
    limits: Sequence[Limit]
    now_us: int

    @property
    def indicator(self) -> Indicator:
        """Return what is foreseen."""
        return self.held.indicator

    @property
    def until_us(self) -> int:
        """Return until when the period is known."""
        return self.past.known_until_us

    @property
    def so_far_us(self) -> Span:
        """Return the part of the period that is known."""
        return self.past.begin_us, self.until_us

    @cached_property
    def reasons(self) -> list[Reason]:
        """Return why there is no forecast, if there is none."""
        if not self.indicator.computes:
            return [Reason.NOT_COMPUTED]
        found = []
        if self.past.days_known < forecast.LEAST_DAYS:
            found.append(Reason.TOO_FEW_DAYS)
        if self.coverage < forecast.LEAST_COVERAGE:
            found.append(Reason.LOW_COVERAGE)
        if not found and (self.scale is None or self.whole is None):
            found.append(Reason.FIGURE_UNKNOWN)
        return found

    @property
    def coverage(self) -> float:
        """Return how much of the period until today is measured, or has a figure by facts alone."""
        elapsed = self.known.get((self.past.begin_us, self.past.today_us))
        if elapsed is None:
            return 1.0  # it began today
        days = (self.past.today_us - self.past.begin_us) / DAY_US
        return max(float(elapsed.completeness), self.past.days_known / days)

    @cached_property
    def scale(self) -> Scale | None:
        """Return how figures are read off ratios."""
        so_far = self.known.get(self.so_far_us)
        return None if so_far is None else headroom.scale_of(self.indicator, so_far)

    def halves(self, part: Span) -> Halves | None:
        """Return the halves of the known part of a span; nothing of one that has not begun."""
        if part[0] >= part[1]:
            return NOTHING
        found = self.known.get(part)
        return None if found is None else headroom.halves(self.indicator, found, part[1] - part[0])

    @cached_property
    def whole(self) -> Part | None:
        """Return the forecast of the whole period; None where it cannot be told."""
        part = self.part(self.held.bound_us)
        return None if part is None or part.foreseen is None else part

    def part(self, span: Span) -> Part | None:
        """Return what is known and foreseen of a part of the period."""
        scale, cut_us = self.scale, min(span[1], self.until_us)
        so_far = self.halves((span[0], cut_us))
        if so_far is None or scale is None:
            return None
        since_us = max(span[0], self.until_us)
        foreseen = forecast.make(
            self.past.stretches,
            (float(so_far.above), float(so_far.below)),
            self.until_us,
            Course(since_us, span[1]),
            self.held.unit.values.get(PLAN, ()),
        )
        doubt = headroom.relative_doubt(self.known[self.so_far_us], scale)
        return Part(span, cut_us, since_us, so_far, scale, doubt, foreseen)

    def item(self) -> dict[str, Any]:
        """Return it as JSON carries it."""
        zone = self.held.site.timezone
        reasons = self.reasons
        item: dict[str, Any] = {
            "unit": self.held.unit.id,
            "indicator": self.indicator.id,
            "period": self.period.value,
            "period_start": periods.render(self.held.bound_us[0], zone),
            "period_end": periods.render(self.held.bound_us[1], zone),
            "known_until": periods.render(self.until_us, zone),
            "days_known": round(self.past.days_known, 2),
            "reasons": [reason.value for reason in reasons],
            "so_far": self._so_far(),
            "ahead": None,
            "forecast": None,
            "limits": [],
            "cost": None,
        }
        if not reasons and self.whole is not None and self.whole.foreseen is not None:
            figure = _figure(self.whole, self.indicator.unit)
            item["ahead"] = self._ahead(self.whole.foreseen)
            item["forecast"] = figure
            item["limits"] = list(self._limits(self.whole))
            item["cost"] = self._cost(figure, self.whole)
        return item | {"sentence": forecasttext.sentences(item)}

    def _limits(self, whole: Part) -> Iterator[dict[str, Any]]:
        """Yield the outlook on each limit that holds in some of the period."""
        for limit in self.limits:
            span = self.held.part(limit)
            if span is None:
                continue
            part = whole if span == whole.span_us else self.part(span)
            made = self._made(limit, span)
            yield limitoutlook.item(self.held, limit, span, part, made)

    def _made(self, limit: Limit, span: Span) -> list[tuple[Span, Fraction]]:
        """Return the output so far of each stretch in which a limit stands still."""
        begin, cut = span[0], min(span[1], self.until_us)
        if begin >= cut:
            return []
        found = []
        for piece in corrections.pieces(limit.correction, self.held.conditions, begin, cut):
            halves = self.halves(piece)
            found.append((piece, Fraction(0) if halves is None else halves.below))
        return found

    def _so_far(self) -> dict[str, Any] | None:
        found = self.known.get(self.so_far_us)
        if found is None:
            return None
        return {
            "energy": {
                "value": decimals.show_known(found.energy),
                "estimated": decimals.show(found.estimated),
                "unit": self.indicator.energy_unit,
            },
            "output": {
                "value": decimals.show_known(found.output),
                "unit": self.indicator.output_unit,
            },
            "intensity": {
                "value": decimals.show_known(found.value),
                "unit": self.indicator.unit,
                "uncertainty": decimals.show_known(found.uncertainty),
            },
            "completeness": round(float(found.completeness), 6),
            "flags": flags.words(found.flags),
        }

    def _ahead(self, whole: Forecast) -> dict[str, Any]:
        """Return what is to come: the output of the rest, and by what it is told."""
        span = (self.until_us, self.held.bound_us[1])
        return {
            "from": periods.render(span[0], self.held.site.timezone),
            "days": round((span[1] - span[0]) / DAY_US, 2),
            "output": {
                "value": decimals.show(whole.coming.over(*span)),
                "unit": self.indicator.output_unit,
            },
            "by": whole.coming.by(*span),
        }

    def _cost(self, figure: Mapping[str, Any], whole: Part) -> dict[str, Any] | None:
        """Return what the stepped price adds; None where it does not go by this figure."""
        if self.indicator.id != ladder.INDICATOR or whole.foreseen is None:
            return None
        day = periods.day_of(self.held.bound_us[0], self.held.site.timezone)
        step = ladder.step_on(day)
        base = {
            "goes_by": Period.YEAR.value,
            "indicative": self.period is not Period.YEAR,
            "surcharge_unit": "CNY/kWh",
            "unit": "CNY",
        }
        if step is None:
            return dict.fromkeys(("step", *_COSTS)) | base
        made = whole.so_far.below + whole.foreseen.coming.over(whole.since_us, whole.span_us[1])
        costs = {
            name: ladder.cost(Fraction(value), Fraction(step.kwh_per_t), Fraction(value) * made)
            for name, value in ((name, figure[name]) for name in ("p10", "value", "p90"))
        }
        likely = costs["value"]
        return {
            **base,
            "step": {
                "value": str(step.kwh_per_t),
                "unit": self.indicator.unit,
                "source": step.source,
                "mark": step.mark.value,
            },
            "treads": likely.treads,
            "surcharge": decimals.show(likely.surcharge),
            "value": decimals.show(likely.cny),
            "p10": decimals.show(costs["p10"].cny),
            "p90": decimals.show(costs["p90"].cny),
            "falls_at": decimals.show_known(likely.falls_at),
        }


def _figure(whole: Part, unit: str) -> dict[str, Any]:
    """Return the figure at the end with its two bands: P2.5 to P97.5 and P10 to P90."""
    assert whole.foreseen is not None  # noqa: S101 - the caller has looked
    found = {
        name: decimals.show(whole.scale.figure(Fraction(ratio)))
        for name, ratio in zip(SHARES, sorted(whole.foreseen.quantiles()), strict=True)
    }
    return {"value": found["value"], "unit": unit, **found}
