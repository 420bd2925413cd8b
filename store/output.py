"""Production facts: append-only by id and revision; the highest revision of an id counts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from core.clock import from_us
from core.intensity import PeriodOutput
from store import arrays

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.output import OutputFact

Outcome = Literal["stored", "same", "conflict"]


async def write(
    connection: AsyncConnection[Any],
    fact: OutputFact,
    source: str,
    recorded_at: datetime,
) -> Outcome:
    """Store a fact and mark its unit; the same again is `same`, other content a `conflict`."""
    cursor = await connection.execute(
        "insert into output_fact (site, id, revision, unit, kind, at, mass_e6, grades, source,"
        " recorded_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict do nothing returning id",
        (
            fact.site,
            fact.id,
            fact.revision,
            fact.unit,
            fact.kind,
            from_us(fact.at_us),
            fact.mass_e6,
            json.dumps(fact.grades, sort_keys=True),
            source,
            recorded_at,
        ),
    )
    if await cursor.fetchone() is not None:
        # A correction may move a fact to another unit or period: every revision's place is touched.
        await connection.execute(
            "insert into touched_unit (unit, from_ts, until_ts)"
            " select distinct unit, at, at + interval '1 microsecond' from output_fact"
            " where site = %s and id = %s",
            (fact.site, fact.id),
        )
        return "stored"
    cursor = await connection.execute(
        "select unit = %s and kind = %s and at = %s and mass_e6 = %s and grades = %s::jsonb"
        " from output_fact where site = %s and id = %s and revision = %s",
        (
            fact.unit,
            fact.kind,
            from_us(fact.at_us),
            fact.mass_e6,
            json.dumps(fact.grades, sort_keys=True),
            fact.site,
            fact.id,
            fact.revision,
        ),
    )
    row = await cursor.fetchone()
    return "same" if row is not None and row[0] else "conflict"


@dataclass(frozen=True, slots=True)
class Span:
    """A period of a unit whose output is asked for, of these kinds, with a grade or without."""

    unit: str
    kinds: tuple[str, ...]
    grade: str | None
    begin_us: int
    end_us: int


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
    """Return the output of each span, None without facts; with `known_at`, as it was known then.

    With a grade also the exact sum of mass * grade, and how many facts with a mass lack it.
    """
    if not spans:
        return []
    cursor = await connection.execute(
        _SUMS,
        {
            "unit": [span.unit for span in spans],
            "kinds": [",".join(span.kinds) for span in spans],
            "grade": [span.grade or "" for span in spans],
            "from": arrays.Instants(np.array([span.begin_us for span in spans], np.int64)),
            "until": arrays.Instants(np.array([span.end_us for span in spans], np.int64)),
            "at": known_at,
        },
    )
    return [
        None if row[0] is None else PeriodOutput(row[0], Fraction(row[1]), row[2])
        for row in await cursor.fetchall()
    ]


_SUMS: Final = (
    "select s.mass, s.graded, s.ungraded from unnest(%(unit)s::text[], %(kinds)s::text[],"
    " %(grade)s::text[], %(from)s, %(until)s) with ordinality as b(unit, kinds, grade, f, u, n)"
    " cross join lateral (select sum(o.mass_e6)::bigint as mass,"
    "  coalesce(sum(o.mass_e6 * (o.grades ->> b.grade)::numeric), 0) as graded,"
    "  count(*) filter (where o.mass_e6 <> 0 and o.grades ->> b.grade is null) as ungraded"
    "  from output_fact o where o.unit = b.unit and o.at >= b.f and o.at < b.u"
    "  and o.kind = any(string_to_array(b.kinds, ','))"
    "  and (%(at)s::timestamptz is null or o.recorded_at <= %(at)s)"
    "  and not exists (select from output_fact r where r.site = o.site and r.id = o.id"
    "   and r.revision > o.revision and r.revision > 0"
    "   and (%(at)s::timestamptz is null or r.recorded_at <= %(at)s))) s order by b.n"
)
