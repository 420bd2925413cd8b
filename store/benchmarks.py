"""Benchmarks: plants' figures gathered for a ranking, recorded rankings, retrofits, standings.

A ranking is computed from stored results when it is asked for; what a person of the regulator
records is kept as it was, a new version a time. Nothing here knows who is asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg.types.json import Jsonb

from core import benchmarking, eligibility, names, plantfigures
from core.benchmarking import Position
from core.clock import from_us, to_us
from core.eligibility import Found, Retrofit
from core.plantfigures import PlantFigure, UnitFigure, Why

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.benchmarking import Benchmark, Question
    from core.benchmarkrules import Rules
    from core.eligibility import Standing
    from core.plant import Plant, Site
    from core.spans import NamedSpan

MOST_RECORDS: Final = 1_000  # of one question to what was recorded: the newest ones
MOST_CALLED: Final = 500  # enterprises named in one question
_LOCK: Final = 0x62656E6368  # "bench": one record at a time


async def gather(
    connection: AsyncConnection[Any],
    plant: Plant,
    question: Question,
    span: NamedSpan,
    rules: Rules,
    known_at: datetime | None = None,
) -> Benchmark:
    """Return the ranking of every plant of the jurisdiction and of who was called up.

    With `known_at` it rests on the closed versions known then.
    """
    sites = sites_in(plant, question.jurisdiction)
    units: dict[str, list[str]] = {}
    for site in sites:
        found = plantfigures.units_of(plant, site.id, question.indicator)
        if found is not None or site.id in question.called:
            units[site.id] = [unit.id for unit in found or ()]
    stored = await _figures(connection, plant, question, span, units, known_at)
    figures = [
        plantfigures.combine(
            site, question.indicator, {one: stored[one] for one in own}, rules.rule
        )
        for site, own in units.items()
    ]
    figures += [
        PlantFigure(name, Why.NOT_CONNECTED) for name in sorted(set(question.called) - set(units))
    ]
    return benchmarking.benchmark(question, figures, rules)


def sites_in(plant: Plant, jurisdiction: str) -> list[Site]:
    """Return the sites of a jurisdiction and of those inside it, sorted by id."""
    return [
        site
        for _, site in sorted(plant.sites.items())
        if names.is_within(site.jurisdiction, jurisdiction)
    ]


async def _figures(
    connection: AsyncConnection[Any],
    plant: Plant,
    question: Question,
    span: NamedSpan,
    units: Mapping[str, Sequence[str]],
    known_at: datetime | None,
) -> dict[str, list[UnitFigure | None]]:
    """Return of each unit its figures of the period's parts; None where nothing is stored."""
    wanted = [
        (unit, bound[0])
        for site, own in units.items()
        for bound in span.parts(plant.sites[site].timezone)
        for unit in own
    ]
    cursor = await connection.execute(
        "select k.n, r.result, r.figures - 'inputs', r.closed"
        " from unnest(%(units)s::text[], %(starts)s::timestamptz[]) with ordinality k(u, s, n)"
        " cross join lateral (select result, figures, closed from result"
        "  where unit = k.u and indicator = %(indicator)s and period = %(period)s"
        "  and period_start = k.s"
        "  and (%(at)s::timestamptz is null or (closed and computed_at <= %(at)s))"
        "  order by version desc limit 1) r",
        {
            "units": [unit for unit, _ in wanted],
            "starts": [from_us(start) for _, start in wanted],
            "indicator": question.indicator.id,
            "period": span.kind.value,
            "at": known_at,
        },
    )
    rows = {row[0]: row[1:] for row in await cursor.fetchall()}
    found: dict[str, list[UnitFigure | None]] = {}
    for number, (unit, _) in enumerate(wanted, start=1):
        row = rows.get(number)
        figure = None
        if row is not None:
            figure = UnitFigure.of(unit, row[1], str(row[0]), closed=row[2])
        found.setdefault(unit, []).append(figure)
    return found


async def secret(connection: AsyncConnection[Any]) -> bytes:
    """Return what concealed quartiles are drawn with: nobody outside the store knows it."""
    cursor = await connection.execute("select secret from store_identity")
    row = await cursor.fetchone()
    assert row is not None, "the first migration creates the identity"  # noqa: S101 - a belief
    return bytes(row[0])


@dataclass(frozen=True, slots=True)
class Recorded:
    """A benchmark as the regulator recorded it: the newest version of its question."""

    benchmark: str
    indicator: str
    jurisdiction: str
    period: str
    period_end: datetime
    version: int
    body: Mapping[str, Any]
    recorded_at: datetime
    recorded_by: str


async def record(
    connection: AsyncConnection[Any],
    found: Benchmark,
    period_end_us: int,
    who: str,
    now: datetime,
) -> tuple[str, int]:
    """Keep a ranking as it is and where each plant stands; return its id and version.

    The caller's transaction holds others back until it ends.
    """
    await connection.execute("select pg_advisory_xact_lock(%s)", (_LOCK,))
    asked = found.question
    cursor = await connection.execute(
        "insert into benchmark (indicator, jurisdiction, period, period_end, version, body,"
        " recorded_at, recorded_by) select %(i)s, %(j)s, %(p)s, %(end)s,"
        " coalesce(max(version), 0) + 1, %(body)s, %(now)s, %(who)s from benchmark"
        " where indicator = %(i)s and jurisdiction = %(j)s and period = %(p)s"
        " returning benchmark, version",
        {
            "i": asked.indicator.id,
            "j": asked.jurisdiction,
            "p": asked.period,
            "end": from_us(period_end_us),
            "body": Jsonb(benchmarking.whole(found).item()),
            "now": now,
            "who": who,
        },
    )
    row = await cursor.fetchone()
    assert row is not None, "an insert returns its row"  # noqa: S101 - a belief
    await connection.execute(
        "insert into benchmark_finding (benchmark, site, position)"
        " select %s, * from unnest(%s::text[], %s::text[])",
        (
            row[0],
            [one.figure.site for one in found.rows],
            [one.position.value for one in found.rows],
        ),
    )
    return str(row[0]), int(row[1])


async def recorded(
    connection: AsyncConnection[Any], jurisdictions: Sequence[str] | None = None
) -> list[Recorded]:
    """Return the newest version of each recorded benchmark, the latest period first.

    Of jurisdictions, those at or inside one of them; None: all.
    """
    cursor = await connection.execute(
        "select * from (select distinct on (indicator, jurisdiction, period) benchmark, indicator,"
        " jurisdiction, period, period_end, version, body, recorded_at, recorded_by"
        " from benchmark where %(all)s or exists (select from unnest(%(in)s::text[]) j"
        "  where starts_with(jurisdiction || '-', j || '-'))"
        " order by indicator, jurisdiction, period, version desc) b"
        " order by period_end desc, indicator, jurisdiction limit %(most)s",
        {
            "all": jurisdictions is None,
            "in": list(jurisdictions or ()),
            "most": MOST_RECORDS,
        },
    )
    return [Recorded(str(row[0]), *row[1:]) for row in await cursor.fetchall()]


async def add_retrofit(
    connection: AsyncConnection[Any], done: Retrofit, recorded_at: datetime
) -> str:
    """Keep a completed retrofit and return its id; the id in `done` is not looked at."""
    cursor = await connection.execute(
        "insert into retrofit (site, indicators, completed_at, what, document, recorded_at,"
        " recorded_by) values (%s, %s, %s, %s, %s, %s, %s) returning retrofit",
        (
            done.site,
            list(done.indicators),
            from_us(done.completed_us),
            done.what,
            done.document,
            recorded_at,
            done.recorded_by,
        ),
    )
    row = await cursor.fetchone()
    assert row is not None, "an insert returns its row"  # noqa: S101 - a belief
    return str(row[0])


async def standings(connection: AsyncConnection[Any], sites: Iterable[str]) -> dict[str, Standing]:
    """Return how each of these plants stands by all that is recorded of it."""
    wanted = sorted(sites)
    cursor = await connection.execute(
        "select b.benchmark, f.site, b.indicator, b.jurisdiction, b.period, b.period_end,"
        " f.position, b.recorded_at, b.recorded_by from benchmark_finding f"
        " join benchmark b using (benchmark) where f.site = any(%s)"
        " and not exists (select from benchmark n where n.indicator = b.indicator"
        "  and n.jurisdiction = b.jurisdiction and n.period = b.period and n.version > b.version)",
        (wanted,),
    )
    findings = [
        Found(str(r[0]), r[1], r[2], r[3], r[4], to_us(r[5]), Position(r[6]), to_us(r[7]), r[8])
        for r in await cursor.fetchall()
    ]
    cursor = await connection.execute(
        "select retrofit, site, indicators, completed_at, what, document, recorded_at, recorded_by"
        " from retrofit where site = any(%s)",
        (wanted,),
    )
    retrofits = [
        Retrofit(str(r[0]), r[1], tuple(r[2]), to_us(r[3]), r[4], r[5], to_us(r[6]), r[7])
        for r in await cursor.fetchall()
    ]
    return {site: eligibility.standing(site, findings, retrofits) for site in wanted}
