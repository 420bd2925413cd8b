"""Production facts: append-only by id and revision; the highest revision of an id counts."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from core import facts, units
from core.clock import from_us, to_us
from core.facts import Part, PeriodOutput, Way
from core.output import TONNE
from store import arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from decimal import Decimal

    from psycopg import AsyncConnection

    from core.output import OutputFact

Outcome = Literal["stored", "same", "conflict"]
Span = facts.Span


async def write(
    connection: AsyncConnection[Any],
    fact: OutputFact,
    source: str,
    recorded_at: datetime,
) -> Outcome:
    """Store a fact and mark its unit; the same again is `same`, other content a `conflict`."""
    content = (
        fact.unit,
        fact.kind,
        from_us(fact.at_us),
        fact.mass_e6,
        json.dumps(fact.grades, sort_keys=True),
        fact.stream,
        fact.amount_unit,
    )
    cursor = await connection.execute(
        "insert into output_fact (site, id, revision, unit, kind, at, mass_e6, grades, stream,"
        " amount_unit, source, recorded_at)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict do nothing returning id",
        (fact.site, fact.id, fact.revision, *content, source, recorded_at),
    )
    if await cursor.fetchone() is not None:
        await _touch(connection, fact)
        return "stored"
    cursor = await connection.execute(
        "select unit = %s and kind = %s and at = %s and mass_e6 = %s and grades = %s::jsonb"
        " and stream is not distinct from %s and amount_unit is not distinct from %s"
        " from output_fact where site = %s and id = %s and revision = %s",
        (*content, fact.site, fact.id, fact.revision),
    )
    row = await cursor.fetchone()
    return "same" if row is not None and row[0] else "conflict"


async def _touch(connection: AsyncConnection[Any], fact: OutputFact) -> None:
    """Mark what a fact may change.

    A correction may move it to another unit or period: every revision's place is touched.
    """
    cursor = await connection.execute(
        "select unit, kind, at, grades from output_fact where site = %s and id = %s",
        (fact.site, fact.id),
    )
    spans = {
        (unit, *facts.reach(kind, to_us(at), grades))
        for unit, kind, at, grades in await cursor.fetchall()
    }
    await connection.execute(
        "insert into touched_unit (unit, from_ts, until_ts)"
        " select * from unnest(%s::text[], %s::timestamptz[], %s::timestamptz[])",
        (
            [unit for unit, _, _ in sorted(spans)],
            [from_us(begin) for _, begin, _ in sorted(spans)],
            [from_us(end) for _, _, end in sorted(spans)],
        ),
    )


async def sums(
    connection: AsyncConnection[Any],
    unit: str,
    kinds: Sequence[str],
    bounds: Sequence[tuple[int, int]],
    grade: str | None = None,
) -> list[PeriodOutput | None]:
    """Return the output of a unit in each period, as `sums_of` does."""
    asked = [Span(unit, tuple(kinds), grade, begin, end) for begin, end in bounds]
    return await sums_of(connection, asked)


async def sums_of(
    connection: AsyncConnection[Any], spans: Sequence[Span], known_at: datetime | None = None
) -> list[PeriodOutput | None]:
    """Return what facts say of each span, None without any; with `known_at`, as known then.

    With a grade also the exact sum of amount * grade, and how many facts with an amount lack it.
    All spans are one question.
    """
    if not spans:
        return []
    cursor = await connection.execute(
        _SUMS,
        {
            "unit": [span.unit for span in spans],
            "kinds": [",".join(span.kinds) for span in spans],
            "grade": [span.grade or "" for span in spans],
            "stream": [span.stream for span in spans],
            "own": [span.own for span in spans],
            "way": [span.way.value for span in spans],
            "zone": [span.zone for span in spans],
            "from": arrays.Instants(np.array([span.begin_us for span in spans], np.int64)),
            "until": arrays.Instants(np.array([span.end_us for span in spans], np.int64)),
            "at": known_at,
        },
    )
    found: list[PeriodOutput | None] = [None] * len(spans)
    for place, rows in groupby(await cursor.fetchall(), key=lambda row: int(row[0])):
        found[place - 1] = _answer(spans[place - 1], [_Row(*row[1:]) for row in rows])
    return found


class _Row(NamedTuple):
    """Facts of one span in one unit: a day's, a grade's, or those of the last instant."""

    day: datetime | None
    grade: str | None
    unit: str
    at: datetime
    amount: Decimal
    graded: Decimal
    known: Decimal
    ungraded: int
    facts: int


def _answer(span: Span, rows: Sequence[_Row]) -> PeriodOutput:
    """Return a span's answer in the unit asked for; what cannot be converted is counted apart."""
    wanted = units.quantity(span.amount_unit)
    fitting = [row for row in rows if units.quantity(row.unit) == wanted]
    total = _sum(span, ((row.amount, row.unit) for row in fitting))
    return PeriodOutput(
        total.numerator if total.denominator == 1 else total,
        _sum(span, ((row.graded, row.unit) for row in fitting)),
        0 if span.grade is None else sum(row.ungraded for row in rows),
        sum(row.facts for row in rows) - sum(row.facts for row in fitting),
        max(to_us(row.at) for row in rows) if span.way is Way.LEVEL else None,
        tuple(_parts(span, fitting)) if span.way in {Way.DAY, Way.GRADE} else (),
    )


def _parts(span: Span, rows: Sequence[_Row]) -> Iterator[Part]:
    """Yield the facts of each day or grade, units added together."""
    for day, grade in dict.fromkeys((row.day, row.grade) for row in rows):
        same = [row for row in rows if (row.day, row.grade) == (day, grade)]
        yield Part(
            None if day is None else to_us(day),
            None if grade is None else Fraction(grade),
            _sum(span, ((row.amount, row.unit) for row in same)),
            _sum(span, ((row.graded, row.unit) for row in same)),
            _sum(span, ((row.known, row.unit) for row in same)),
        )


def _sum(span: Span, amounts: Iterable[tuple[Decimal, str]]) -> Fraction:
    """Add amounts up in the unit asked for."""
    found = Fraction(0)
    for amount, unit in amounts:
        found += units.convert(Fraction(amount), unit, span.amount_unit)
    return found


def _newest(fact: str) -> str:
    """Say in SQL that a fact was known at the instant asked for, and no newer revision of it."""
    return (
        f"(%(at)s::timestamptz is null or {fact}.recorded_at <= %(at)s)"
        f" and not exists (select from output_fact r where r.site = {fact}.site"
        f" and r.id = {fact}.id and r.revision > {fact}.revision and r.revision > 0"
        " and (%(at)s::timestamptz is null or r.recorded_at <= %(at)s))"
    )


# A level is that of the last instant, all its facts added up: several heaps are one stock. How far
# back it may lie is the span's: the tolerance that the indicator's data state.
_SUMS: Final = f"""
select b.n, s.* from unnest(%(unit)s::text[], %(kinds)s::text[], %(grade)s::text[],
    %(stream)s::text[], %(own)s::bool[], %(way)s::text[], %(zone)s::text[], %(from)s, %(until)s)
    with ordinality as b(unit, kinds, grade, stream, own, way, zone, f, u, n)
cross join lateral (
    select case when b.way = '{Way.DAY}' then date_trunc('day', o.at, b.zone) end as day,
        case when b.way = '{Way.GRADE}' then o.grades ->> b.grade end as of,
        coalesce(o.amount_unit, '{TONNE}') as amount_unit,
        max(o.at),
        sum(o.mass_e6),
        coalesce(sum(o.mass_e6 * (o.grades ->> b.grade)::numeric), 0),
        coalesce(sum(o.mass_e6) filter (where o.grades ->> b.grade is not null), 0),
        count(*) filter (where o.mass_e6 <> 0 and o.grades ->> b.grade is null),
        count(*)
    from output_fact o where o.unit = b.unit and o.at >= b.f and o.at < b.u
    and o.kind = any(string_to_array(b.kinds, ','))
    and (o.stream = b.stream or (b.own and o.stream is null))
    and (b.way <> '{Way.LEVEL}' or o.at = (
        select max(l.at) from output_fact l where l.unit = b.unit and l.at >= b.f and l.at < b.u
        and l.kind = any(string_to_array(b.kinds, ','))
        and (l.stream = b.stream or (b.own and l.stream is null)) and {_newest("l")}))
    and {_newest("o")}
    group by 1, 2, 3 order by 1, 2, 3) s
order by b.n
"""  # noqa: S608 - constants only
