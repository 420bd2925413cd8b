"""Why a unit's figure is over its limit: slots and facts of the period and of those before it.

The figure is made by the same pure functions as the stored one. Nothing here is stored: the same
question asked later may know more. Bounded by how many periods before are looked at.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import baseline as baselines
from core import decimals, excess, excesstext, limits, periods, producing, verdicts
from core.byfacts import Told
from core.clock import to_us
from core.decimals import show_known
from core.errors import Rejected
from core.limits import Comparison, LimitKind
from core.periods import Period
from core.producing import Group, Slots
from core.verdicts import Held
from store import figures, output, slotarrays
from store.figures import Asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.baseline import Baseline, Response, Way
    from core.excess import Excess
    from core.facts import Answers
    from core.indicators import Indicator
    from core.intensity import Intensity
    from core.limits import Limit
    from core.plant import Plant, Unit
    from core.producing import Seen, Trace
    from core.verdicts import Standing
    from store.figures import Wanted
    from store.slotarrays import SlotArrays

Bound = tuple[int, int]
# Periods before that may be the reference: a year of months, a month of days.
MOST_BEFORE: Final[Mapping[Period, int]] = {
    Period.YEAR: 3,
    Period.MONTH: 12,
    Period.DAY: 30,
    Period.SHIFT: 30,
    Period.HOUR: 24,
}
# Where none of the kind qualifies, as in a plant's first month, these may.
_SHORTER: Final[Mapping[Period, Period]] = {Period.YEAR: Period.MONTH, Period.MONTH: Period.DAY}
_FORCES: Final = ("mandatory", "target", "reference")
_UPPER: Final = frozenset({Comparison.AT_MOST, Comparison.BELOW})


@dataclass(frozen=True, slots=True)
class Question:
    """One period of a unit in an indicator, which limit (None: the gravest), which reference."""

    unit: Unit
    indicator: Indicator
    period: Period
    bound_us: Bound
    limit: Limit | None
    way: Way


@dataclass(frozen=True, slots=True)
class _Span:
    """What the store answered about one span, and the law's figure of it."""

    wanted: Wanted
    told: Told
    figure: Intensity
    inputs: Mapping[str, Any]


class Reader:
    """The slots and facts of a unit around one question."""

    def __init__(
        self, plant: Plant, asked: Question, now_us: int, slots: Mapping[str, SlotArrays]
    ) -> None:
        self.plant, self.asked, self.now_us = plant, asked, now_us
        self.slots = slots
        self.zone = plant.sites[asked.unit.site].timezone
        self._wanted: dict[Bound, Wanted] = {}

    def wanted(self, bound: Bound) -> Wanted:
        """Return what a span asks for, the same as for its stored figure."""
        if bound not in self._wanted:
            asked = Asked(self.asked.unit, self.asked.indicator, [bound])
            (self._wanted[bound],) = figures.wanted_of(self.plant, asked, self.now_us)
        return self._wanted[bound]

    def questions(self, bound: Bound) -> list[output.Span]:
        """Return what is to be asked of facts for a span."""
        return self.wanted(bound).questions()

    def settle(self, bounds: Sequence[Bound], answers: Answers) -> list[output.Span]:
        """End open spans where their stocks were last taken; return what is to be asked of these.

        Else energy since then would stand beside output up to then, which the figure does not.
        """
        for bound in bounds:
            self._wanted[bound] = self.wanted(bound).settled(answers)
        ended = [bound for bound in bounds if self._wanted[bound].is_ended]
        return [one for bound in ended for one in self.questions(bound)]

    def span(self, bound: Bound, answers: Answers) -> _Span:
        """Return the law's figure of a span."""
        wanted = self.wanted(bound)
        told = Told(wanted.scope, answers)
        energies = [(point, self.slots[point.id].sums(parts)) for point, parts in wanted.cuts(told)]
        made = wanted.made(energies, told, self.now_us)
        return _Span(wanted, told, made.found, made.inputs)

    def trace(self, found: _Span) -> Trace:
        """Return the slots of a span on one grid."""
        span, indicator = found.wanted.span, self.asked.indicator
        metered = []
        for point in found.wanted.points:
            own = self.slots[point.id].within(*span)
            slots = Slots(own.start_us, own.energy_e6, own.known, own.measured_us)
            measured = found.told.measured(point) if indicator.in_coal_equivalent else None
            metered.append((point, slots, measured))
        return producing.trace(indicator, span, self.now_us, metered)

    def mass(self, found: _Span) -> Fraction | None:
        """Return what was weighed, where the output counts it by grade."""
        asked, produced = self.asked, found.wanted.produced(found.told)
        terms = asked.indicator.output_terms(asked.unit.output_by)
        if asked.indicator.base_grade is None or terms or produced is None:
            return None
        return Fraction(produced.mass_e6) / decimals.E6


@dataclass(frozen=True, slots=True)
class Explained:
    """The answer to one question; `split` None: energy, output or limit are not known."""

    head: Mapping[str, Any]
    told: excesstext.Told
    split: Excess | None
    reference: Baseline | None
    inputs: Mapping[str, Any]

    def item(self) -> dict[str, Any]:
        """Return it as JSON carries it."""
        if self.split is None:
            return {**self.head, **_NOTHING}
        told = excesstext.item(self.told, self.split, self.reference)
        return {**self.head, **told, "inputs": dict(self.inputs)}


async def of_period(
    connection: AsyncConnection[Any],
    plant: Plant,
    point_ids: Mapping[str, int],
    asked: Question,
    now: datetime,
) -> Explained:
    """Return why a period's figure is over its limit.

    Raises Rejected where the indicator has no such split, or no upper limit holds in the period.
    """
    spans = spans_of(plant, asked)
    span_us = (min(low for low, _ in spans), asked.bound_us[1])
    slots = {
        point.id: await slotarrays.stored(connection, point_ids[point.id], *span_us)
        for point in plant.counted(asked.unit.id, asked.indicator.counts)
    }
    reader = Reader(plant, asked, to_us(now), slots)
    questions = list(dict.fromkeys(one for span in spans for one in reader.questions(span)))
    answers = dict(zip(questions, await output.sums_of(connection, questions), strict=True))
    more = reader.settle(_judged(plant, asked), answers)
    answers |= dict(zip(more, await output.sums_of(connection, more), strict=True))
    # Half a hundred spans of exact sums: the loop that serves others does not wait for them.
    return await asyncio.to_thread(explain, reader, answers)


def spans_of(plant: Plant, asked: Question) -> list[Bound]:
    """Return the spans whose slots and facts an answer rests on; raises Rejected as `of_period`."""
    before = _before(asked, plant.sites[asked.unit.site].timezone).values()
    spans = [*_judged(plant, asked), *(bound for each in before for bound in each)]
    return list(dict.fromkeys(spans))


def _judged(plant: Plant, asked: Question) -> list[Bound]:
    """Return the period and the parts of it whose own figures its limits need."""
    held = _held(plant, asked)
    return [asked.bound_us, *verdicts.parts(held, _limits(plant, asked))]


def _held(plant: Plant, asked: Question) -> Held:
    return Held(plant.sites[asked.unit.site], asked.unit, asked.indicator, asked.bound_us)


def explain(reader: Reader, answers: Answers) -> Explained:
    """Return the answer from slots and from what facts said of `spans_of`; nothing is read here."""
    plant, asked = reader.plant, reader.asked
    judged = {span: reader.span(span, answers) for span in _judged(plant, asked)}
    known = {span: each.figure for span, each in judged.items()}
    limit, standing = _chosen(_held(plant, asked), _limits(plant, asked), known)
    span = judged[standing.part_us]
    head = _head(reader, limit, standing, span)
    told = excesstext.Told(
        asked.unit, asked.indicator, limit, standing, asked.period, asked.bound_us, reader.zone
    )
    past = _Past(reader, answers, _before(asked, reader.zone))
    trace = reader.trace(span)
    threshold = past.threshold(trace)
    own = trace.seen(span.figure, reader.mass(span), threshold)
    if own is None or standing.value is None:
        return Explained(head, told, None, None, span.inputs)
    reference = past.reference(own, threshold)
    split = excess.split(own, standing.value, reference)
    return Explained(head, told, split, reference, span.inputs)


def _limits(plant: Plant, asked: Question) -> list[Limit]:
    """Return the upper limits that hold in the period, or the one asked for."""
    refused = excess.refusal(asked.indicator)
    if refused is not None:
        raise Rejected(refused, "not_split")
    site = plant.sites[asked.unit.site]
    if asked.limit is not None and asked.limit.indicator != asked.indicator.id:
        raise Rejected(
            f"{asked.limit.id} is a limit of {asked.limit.indicator}, not of {asked.indicator.id}",
            "not_split",
        )
    of = limits.of_indicator(asked.indicator.id) if asked.limit is None else [asked.limit]
    found = [
        one
        for one in of
        if one.kind is LimitKind.LIMIT
        and one.cmp in _UPPER
        and one.part(site.jurisdiction, asked.bound_us, site.timezone) is not None
    ]
    if not found:
        name = asked.indicator.id if asked.limit is None else asked.limit.id
        raise Rejected(
            f"{name} sets no upper limit for {asked.unit.id} in this period: `danhao limits list`"
            " shows which hold when and where",
            "no_limit",
        )
    return found


def _before(asked: Question, zone: str) -> dict[Period, list[Bound]]:
    """Return the periods before by kind, the nearest first: of the same kind, then shorter ones."""
    kinds = [asked.period]
    if asked.period in _SHORTER:
        kinds.append(_SHORTER[asked.period])
    found: dict[Period, list[Bound]] = {}
    for kind in kinds:
        start, bounds = asked.bound_us[0], []
        for _ in range(MOST_BEFORE[kind]):
            bounds.append(periods.period_at(kind, start - 1, zone))
            start = bounds[-1][0]
        found[kind] = bounds
    return found


def _chosen(
    held: Held, rows: Sequence[Limit], known: Mapping[Bound, Intensity]
) -> tuple[Limit, Standing]:
    """Return the gravest limit: exceeded ones by force, then the highest; else the nearest.

    Without a figure, or with a limit that cannot be told, what is asked for has no answer yet:
    the first one is returned and its item says so.
    """
    standing = [(one, verdicts.standing(held, one, known)) for one in rows]
    ranked = sorted(
        ((one, each) for one, each in standing if each is not None),
        key=lambda pair: _rank(pair[0], pair[1], known[pair[1].part_us]),
    )
    return ranked[0]


def _rank(limit: Limit, standing: Standing, figure: Intensity) -> tuple[int, int, Fraction, str]:
    value = standing.value
    if value is None:
        return 2, 0, Fraction(0), limit.id
    force = _FORCES.index(limit.force.value)
    if figure.value is not None and figure.value > value:
        return 0, force, -value, limit.id
    return 1, 0, value, limit.id


_NOTHING: Final[Mapping[str, Any]] = dict.fromkeys(
    ("excess", "parts", "remainder", "time", "reference", "sentence", "inputs")
)


def _head(reader: Reader, limit: Limit, standing: Standing, span: _Span) -> dict[str, Any]:
    asked, figure = reader.asked, span.figure
    part = None if standing.part_us == asked.bound_us else standing.part_us
    return {
        "unit": asked.unit.id,
        "indicator": asked.indicator.id,
        "period": asked.period.value,
        "period_start": periods.render(asked.bound_us[0], reader.zone),
        "period_end": periods.render(asked.bound_us[1], reader.zone),
        "closed": asked.bound_us[1] <= reader.now_us,
        "part": None
        if part is None
        else {
            "from": periods.render(part[0], reader.zone),
            "until": periods.render(part[1], reader.zone),
        },
        "limit": {
            "id": limit.id,
            "force": limit.force.value,
            "cmp": limit.cmp.value,
            "value": show_known(standing.value),
            "own_value": decimals.show(limit.value),
            "missing": list(standing.missing),
        },
        "verdict": standing.verdict.value,
        "energy": {
            "value": show_known(figure.energy),
            "estimated": decimals.show(figure.estimated),
            "unit": asked.indicator.energy_unit,
        },
        "output": {
            "value": show_known(figure.output),
            "unit": asked.indicator.output_unit,
        },
        "intensity": {
            "value": show_known(figure.value),
            "unit": asked.indicator.unit,
            "uncertainty": show_known(figure.uncertainty),
        },
        "completeness": round(float(figure.completeness), 6),
        "computed_at": periods.render_utc(reader.now_us),
    }


class _Past:
    """The periods before; those of a shorter kind count where none of the same qualifies."""

    def __init__(
        self,
        reader: Reader,
        answers: Answers,
        bounds: Mapping[Period, Sequence[Bound]],
    ) -> None:
        self._reader, self._answers, self._bounds = reader, answers, bounds
        self._same = self._traced(bounds[reader.asked.period])

    def threshold(self, own: Trace) -> float:
        """Return the power below which a slot is idle: a share of what the past shows at work.

        Without any past the period itself shows it.
        """
        level = producing.level([trace for _, trace in self._same])
        if level is None or level <= 0:
            level = producing.level([own]) or 0.0
        idle = _declared(self._reader, baselines.IDLE_SHARE)
        return float(baselines.DEFAULT_IDLE_SHARE if idle is None else idle) * level

    def reference(self, own: Seen, threshold: float) -> Baseline | None:
        """Return the reference, of the first kind of periods that has one."""
        reader = self._reader
        if Group.PROCESS not in own.shares:
            return None
        for kind, bounds in self._bounds.items():
            traced = self._same if kind is reader.asked.period else self._traced(bounds)
            seen = [trace.seen(span.figure, reader.mass(span), threshold) for span, trace in traced]
            fitting = baselines.fitting(
                [each for each in seen if each is not None], frozenset(own.shares)
            )
            chosen = baselines.choose(fitting, reader.asked.way)
            if chosen is not None:
                shares = baselines.derive(fitting, by_grade=own.mass is not None)
                fixed, grade = (_or_declared(reader, each) for each in shares)
                way = reader.asked.way
                return baselines.Baseline(chosen, kind, way, len(fitting), fixed, grade)
        return None

    def _traced(self, bounds: Sequence[Bound]) -> list[tuple[_Span, Trace]]:
        found = [self._reader.span(bound, self._answers) for bound in bounds]
        return [(span, self._reader.trace(span)) for span in found]


def _or_declared(reader: Reader, derived: Response) -> Response:
    value = _declared(reader, derived.name)
    return derived if value is None else baselines.declared(derived.name, value)


def _declared(reader: Reader, name: str) -> Fraction | None:
    """Return the value in force at the period's start that the unit declares."""
    found = None
    for since_us, value in reader.asked.unit.values.get(name, ()):
        if since_us <= reader.asked.bound_us[0]:
            found = value
    return found
