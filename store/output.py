"""Production facts: append-only by id and revision; the highest revision of an id counts."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from core.clock import from_us
from core.intensity import PeriodOutput

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


async def sums(
    connection: AsyncConnection[Any],
    unit: str,
    kinds: Sequence[str],
    bounds: Sequence[tuple[int, int]],
    grade: str | None = None,
) -> list[PeriodOutput | None]:
    """Return the output of a unit in each period, None without facts.

    With a `grade` also the exact sum of mass * grade, and how many facts with a mass lack it.
    """
    if not bounds:
        return []
    cursor = await connection.execute(
        "with newest as ("
        " select distinct on (f.site, f.id) f.unit, f.kind, f.at, f.mass_e6,"
        "  (f.grades ->> %(grade)s)::numeric as grade from output_fact f"
        " where (f.site, f.id) in (select site, id from output_fact where unit = %(unit)s"
        "   and at >= %(first)s and at < %(last)s)"
        " order by f.site, f.id, f.revision desc)"
        " select b.n, sum(o.mass_e6)::bigint, coalesce(sum(o.mass_e6 * o.grade), 0),"
        " count(*) filter (where o.mass_e6 <> 0 and o.grade is null)"
        " from unnest(%(from)s::timestamptz[], %(until)s::timestamptz[])"
        " with ordinality as b(f, u, n)"
        " left join newest o on o.at >= b.f and o.at < b.u and o.unit = %(unit)s"
        " and o.kind = any(%(kinds)s)"
        " group by b.n order by b.n",
        {
            "unit": unit,
            "kinds": list(kinds),
            "grade": grade or "",
            "first": from_us(bounds[0][0]),
            "last": from_us(bounds[-1][1]),
            "from": [from_us(begin) for begin, _ in bounds],
            "until": [from_us(end) for _, end in bounds],
        },
    )
    return [
        None if row[1] is None else PeriodOutput(row[1], Fraction(row[2]), row[3])
        for row in await cursor.fetchall()
    ]
