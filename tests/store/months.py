"""The bridge between random months, the product's figures of them and the slow oracle's.

The product is store.figures with its sums over slots, the energy kernel, the intensities and the
verdicts; readings and facts come from memory, or from a store that they were written to.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import energy, indicators, output, plant, units
from core.corrections import Correction, CorrectionKind
from core.facts import Part, PeriodOutput, Way
from core.flags import Flag
from core.limits import Comparison, Force, Limit, Policy
from core.periods import SLOT_US, render_utc
from store import figures
from store.figures import Asked
from store.slotarrays import SlotArrays
from tests.core import month_oracle
from tests.core.month_oracle import DAY_US, EIGHT_HOURS_US, World
from tests.core.points import exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from core.facts import Span
    from core.intensity import PeriodEnergy
    from core.output import OutputFact
    from core.plant import Plant, Point
    from tests.core.month_oracle import Law, Metered

UNIT: Final = "s.u"
RATES: Final = {"kWh": "kW", "MWh": "MW", "kg": "kg/h", "t": "t/h"}
KW_OF: Final = {"kWh": 1, "MWh": 1000}
_FAR: Final = date(2100, 1, 1)


def declared(world: World) -> Plant:
    """Return the plant file that describes the month's unit."""
    unit: dict[str, Any] = {
        "name": {"zh": "炉", "en": "Furnace"},
        "kind": "submerged_arc_furnace",
        "indicators": [world.rule.id],
        "ore_grade": _dated(world.ore),
        "point": {one.key: _point(one) for one in world.metered},
    }
    for key, percent in (
        ("output_accuracy_percent", world.weighing_percent),
        ("sampling_accuracy_percent", world.sampling_percent),
    ):
        if percent is not None:
            unit[key] = exact(percent)
    site = {
        "name": {"zh": "厂", "en": "Works"},
        "jurisdiction": "cn-qh",
        "agent": {"gw-01": {}},
        "unit": {"u": unit},
    }
    return plant.from_json({"s": site})


def _dated(entries: Iterable[tuple[int, Fraction]]) -> list[dict[str, str]]:
    return [{"from": render_utc(at), "value": exact(value)} for at, value in entries]


def _point(one: Metered) -> dict[str, Any]:
    meter = one.meter
    table: dict[str, Any] = {
        "kind": one.kind,
        "carrier": one.carrier,
        "unit": RATES[one.booked_unit] if one.kind == "gauge" else one.booked_unit,
        "role": one.role,
        "sign": one.sign,
        "multiplier": _dated(meter.multipliers),
        "heating_value": _dated(one.heating),
        "max_gap_s": meter.max_gap_us // 1_000_000,
    }
    if one.accuracy_percent is not None:
        table["accuracy_percent"] = exact(one.accuracy_percent)
    if one.parent is not None:
        table["parent"] = one.parent
    if one.kind == "interval":
        table["interval_s"] = meter.interval_us // 1_000_000
    if one.kind == "counter":
        table["modulus"] = meter.modulus
        table["exchange"] = [
            {"at": render_utc(at), "closing": exact(closing), "opening": exact(opening)}
            for at, closing, opening in meter.exchanges
        ]
        if meter.rated_power_kw is not None:
            table["rated_power_kw"] = exact(meter.rated_power_kw * KW_OF[one.booked_unit])
    return table


def limits_of(world: World) -> list[Limit]:
    """Return the month's laws as rows of a catalogue."""
    return [_limit(world.rule.id, law) for law in world.laws]


def _limit(indicator: str, law: Law) -> Limit:
    correction: tuple[Correction, ...] = ()
    if law.ore_reference is not None:
        reference, per_point = Decimal(exact(law.ore_reference)), Decimal(exact(law.ore_per_point))
        correction = (
            Correction(CorrectionKind.ORE_GRADE, reference=reference, per_point=per_point),
        )
    end = _day(law.end)
    return Limit(
        id=law.id,
        indicator=indicator,
        name={"zh": "限额", "en": "limit"},
        value=Decimal(exact(law.value)),
        cmp=Comparison(law.cmp),
        unit=indicators.find(indicator).unit,
        force=Force.TARGET,
        level=None,
        scheme="provincial_target",
        jurisdiction="cn",
        valid_from=_day(law.begin),
        valid_to=None if end == _FAR else end,
        due=None,
        completeness=Decimal(exact(law.completeness)),
        policy=Policy.GUARDED if law.guarded else Policy.SIMPLE,
        source="a random law",
        clause="1",
        quote=None,
        note=None,
        correction=correction,
    )


def _day(instant_us: int) -> date:
    days = (instant_us + EIGHT_HOURS_US) // DAY_US
    return min(_FAR, date(1970, 1, 1) + timedelta(days=min(days, 99_999)))


def slots_of(point: Point, one: Metered, span: tuple[int, int]) -> SlotArrays:
    """Return the slots of a span from everything that arrived of a point."""
    first = {arrival.at: arrival for arrival in reversed(one.arrivals)}
    kept = [first[at] for at in sorted(first)]
    edges = np.arange(span[0], span[1] + 1, SLOT_US, dtype=np.int64)
    found = energy.figures(
        point,
        np.array([arrival.at for arrival in kept], np.int64),
        np.array([float(arrival.value) for arrival in kept], np.float64),
        np.array([arrival.quality for arrival in kept], np.int16),
        edges,
        one.meter.confirmed_us,
    )
    return SlotArrays.computed(span[0], found)


def facts_of(world: World) -> list[OutputFact]:
    """Return what the scales and the laboratory sent, in the order in which it came."""
    found = [_fact(world, fact) for fact in world.facts]
    found += [
        {
            "id": f"sample-{number}",
            "unit": UNIT,
            "kind": "charge",
            "at": render_utc(sample.at),
            "stream": sample.carrier,
            "amount": exact(sample.mass_kg),
            "amount_unit": "kg",
            "grades": {}
            if sample.kj_per_kg is None
            else {"lhv_kj_per_kg": exact(sample.kj_per_kg)},
        }
        for number, sample in enumerate(world.samples)
    ]
    return [output.from_data(data, world.month[1] + 90 * DAY_US) for data in found]


def _fact(world: World, fact: month_oracle.Fact) -> dict[str, Any]:
    grade = world.rule.grade or "Si"
    return {
        "id": fact.id,
        "revision": fact.revision,
        "unit": UNIT,
        "kind": fact.kind,
        "at": render_utc(fact.at),
        "mass_t": exact(fact.mass_t),
        "grades": {} if fact.grade is None else {grade: exact(fact.grade)},
    }


@dataclass(frozen=True, slots=True)
class Memory:
    """A source of figures: slots and facts that were never stored."""

    world: World
    plant: Plant
    facts: Sequence[OutputFact]

    async def energies(self, spans: Sequence[tuple[str, int, int]]) -> list[PeriodEnergy]:
        """Return sums over the slots of the month."""
        slots = {point: self._slots(point) for point in {point for point, _, _ in spans}}
        return [slots[point].sums([(begin, end)])[0] for point, begin, end in spans]

    def _slots(self, point: str) -> SlotArrays:
        (metered,) = (one for one in self.world.metered if f"{UNIT}.{one.key}" == point)
        return slots_of(self.plant.points[point], metered, self.world.month)

    async def outputs(self, spans: Sequence[Span]) -> list[PeriodOutput | None]:
        """Return sums over facts, each in its newest revision."""
        return [_answer(span, self.facts) for span in spans]


def newest(facts: Iterable[OutputFact]) -> list[OutputFact]:
    """Return the highest revision of each fact."""
    found: dict[str, OutputFact] = {}
    for fact in facts:
        if fact.id not in found or found[fact.id].revision < fact.revision:
            found[fact.id] = fact
    return list(found.values())


def _answer(span: Span, facts: Iterable[OutputFact]) -> PeriodOutput | None:
    inside = [
        fact
        for fact in facts
        if fact.kind in span.kinds
        and span.begin_us <= fact.at_us < span.end_us
        and (fact.stream == span.stream or (span.own and fact.stream is None))
    ]
    if not inside:
        return None
    assert span.way in {Way.SUM, Way.DAY}
    by_day: dict[int, list[OutputFact]] = defaultdict(list)
    for fact in inside:
        by_day[fact.at_us - (fact.at_us + EIGHT_HOURS_US) % DAY_US].append(fact)
    parts = tuple(_part(span, day, held) for day, held in sorted(by_day.items()))
    return PeriodOutput(
        sum((part.amount_e6 for part in parts), Fraction(0)),
        sum((part.graded_e6 for part in parts), Fraction(0)),
        sum(1 for fact in inside if fact.mass_e6 and (span.grade or "") not in fact.grades)
        if span.grade
        else 0,
        parts=parts if span.way is Way.DAY else (),
    )


def _part(span: Span, day: int, facts: Sequence[OutputFact]) -> Part:
    amounts = [
        (
            units.convert(Fraction(fact.mass_e6), fact.amount_unit or "t", span.amount_unit),
            fact.grades.get(span.grade or ""),
        )
        for fact in facts
    ]
    graded = [(amount, Fraction(grade)) for amount, grade in amounts if grade is not None]
    return Part(
        day,
        None,
        sum((amount for amount, _ in amounts), Fraction(0)),
        sum((amount * grade for amount, grade in graded), Fraction(0)),
        sum((amount for amount, _ in graded), Fraction(0)),
    )


async def of_memory(world: World) -> dict[str, Any]:
    """Return the product's figure of the month from memory."""
    plan = declared(world)
    return await of_source(world, plan, Memory(world, plan, newest(facts_of(world))))


async def of_source(world: World, plan: Plant, source: figures.Source) -> dict[str, Any]:
    """Return the product's figure of the month."""
    asked = Asked(plan.units[UNIT], indicators.find(world.rule.id), [world.month])
    rows = limits_of(world)
    now = datetime.fromtimestamp(world.now / 1_000_000, UTC)
    found = await figures.compute_all(source, plan, [asked], now, lambda _: rows)
    return _comparable(found[0][0])


def _comparable(figure: Mapping[str, Any]) -> dict[str, Any]:
    """Return what both sides say of a month."""
    return {
        "energy": figure["energy"]["value"],
        "estimated": figure["energy"]["estimated"],
        "output": figure["output"]["value"],
        "value": figure["intensity"]["value"],
        "uncertainty": figure["intensity"]["uncertainty"],
        "completeness": figure["completeness"],
        "flags": figure["flags"],
        "verdicts": {one["limit"]: one["verdict"] for one in figure["verdicts"]},
        "parts": {
            one["limit"]: [one["part"][key] for key in ("energy", "output", "value", "uncertainty")]
            for one in figure["verdicts"]
            if "part" in one
        },
    }


def of_oracle(world: World) -> dict[str, Any]:
    """Return what the slow oracle says of the month."""
    spans = {law.id: month_oracle.part_of(world, law) for law in world.laws}
    found = {
        span: month_oracle.figure(world, span)
        for span in {world.month, *spans.values()}
        if span is not None
    }
    whole = found[world.month]
    said: dict[str, str] = {}
    parts: dict[str, list[str | None]] = {}
    for law in world.laws:
        span = spans[law.id]
        if span is None:
            said[law.id] = "not_applicable"
            continue
        said[law.id] = month_oracle.verdict(world, law, found[span])
        if span != world.month:
            parts[law.id] = _told(found[span])
    energy_shown, output_shown, value, uncertainty = _told(whole)
    return {
        "energy": energy_shown,
        "estimated": month_oracle.shown(whole.estimated),
        "output": output_shown,
        "value": value,
        "uncertainty": uncertainty,
        "completeness": round(float(whole.completeness), 6),
        "flags": [flag.name.lower() for flag in Flag if flag in whole.flags and flag.name],
        "verdicts": said,
        "parts": parts,
    }


def _told(found: month_oracle.Found) -> list[str | None]:
    plain = [
        None if value is None else month_oracle.shown(value)
        for value in (found.energy, found.output, found.value)
    ]
    squared = found.doubt_squared
    return [*plain, None if squared is None else month_oracle.shown_root(squared)]
