"""The benchmarking and the data-quality report of some sites: gathered, judged, made a document.

Promise: a report shows what the routes show the same caller, no plant more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core import benchmarking, benchmarkrules, indicators, qualityrules, qualityscore
from core.benchmarking import Question
from core.clock import from_us
from core.errors import Rejected
from core.reports import benchmark as benchmark_report
from core.reports import quality as quality_report
from core.reports.document import Text
from store import benchmarks
from store import quality as gathering

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import AsyncConnection

    from api.reporting.gather import Asked
    from core.benchmarking import View
    from core.plant import Site
    from core.reports.document import Document

MOST_RANKINGS: Final = 100  # of one report: an indicator in a jurisdiction each
MOST_SCORED: Final = 200  # sites of one report
PROVINCE_PARTS: Final = 2  # cn-qh of cn-qh-xn


async def benchmark(
    connection: AsyncConnection[Any],
    asked: Asked,
    holds: Callable[[str], bool] | None = None,
    jurisdiction: str | None = None,
) -> Document:
    """Return the benchmarking report: every indicator that a site of the jurisdiction declares.

    Without a jurisdiction, of the provinces that the sites lie in. `holds` tells whether the
    caller sees a whole jurisdiction; where not, his own sites and concealed quartiles. Left out:
    who asks for every site of the store sees them, who asks for some sees what those would see.
    """
    if holds is None:
        every = len(asked.sites) == len(asked.plant.sites)
        return await benchmark(connection, asked, lambda _: every, jurisdiction)
    places = [jurisdiction] if jurisdiction else sorted({province(one) for one in asked.sites})
    questions = [one for place in places for one in _questions(asked, place)]
    if len(questions) > MOST_RANKINGS:
        raise Rejected(
            f"this report would have {len(questions)} rankings, at most {MOST_RANKINGS}: ask for"
            " one jurisdiction",
            "report_too_long",
        )
    secret = await benchmarks.secret(connection)
    own = {site.id for site in asked.sites}
    views: list[View] = []
    for question in questions:
        found = await benchmarks.gather(
            connection,
            asked.plant,
            question,
            asked.span,
            benchmarkrules.shipped(),
            None if asked.as_of_us is None else from_us(asked.as_of_us),
        )
        if holds(question.jurisdiction):
            views.append(benchmarking.whole(found))
        else:
            views.append(benchmarking.part(found, own.__contains__, secret))
    seen = sorted({row.figure.site for view in views for row in view.rows})
    standings = await benchmarks.standings(connection, seen) if asked.as_of_us is None else {}
    about = benchmark_report.About(
        _subject(asked.sites, places),
        asked.span.text,
        asked.sites[0].timezone if asked.sites else "UTC",
        asked.now_us,
        {site.id: Text(**site.name) for site in asked.plant.sites.values() if site.id in seen},
        asked.as_of_us,
    )
    return benchmark_report.build(views, about, list(standings.values()))


async def quality(connection: AsyncConnection[Any], asked: Asked) -> Document:
    """Return the data-quality report of the sites, by what the ledger holds now."""
    if asked.as_of_us is not None:
        raise Rejected("data quality is told of what is there now: leave out as_of", "as_of")
    if len(asked.sites) > MOST_SCORED:
        raise Rejected(
            f"this report would have {len(asked.sites)} sites, at most {MOST_SCORED}: ask for one",
            "report_too_long",
        )
    scores = [
        qualityscore.score(
            await gathering.gather(
                connection,
                gathering.Asked(
                    asked.plant,
                    site,
                    asked.point_ids,
                    asked.span.bounds(site.timezone),
                    asked.now_us,
                ),
            ),
            qualityrules.shipped(),
        )
        for site in asked.sites
    ]
    about = quality_report.About(
        _subject(asked.sites, sorted({site.jurisdiction for site in asked.sites})),
        asked.span.text,
        asked.sites[0].timezone if asked.sites else "UTC",
        asked.now_us,
        {site.id: Text(**site.name) for site in asked.sites},
    )
    return quality_report.build(scores, about)


def province(site: Site) -> str:
    """Return the province that a site lies in: the first two parts of its jurisdiction."""
    return "-".join(site.jurisdiction.split("-")[:PROVINCE_PARTS])


def _questions(asked: Asked, jurisdiction: str) -> list[Question]:
    """Return a question for each indicator that somebody there declares."""
    inside = {site.id for site in benchmarks.sites_in(asked.plant, jurisdiction)}
    declared = {
        indicator
        for unit in asked.plant.units.values()
        if unit.site in inside
        for indicator in unit.indicators
    }
    catalogue = indicators.catalogue()
    return [
        Question(catalogue[one], jurisdiction, asked.span.text)
        for one in sorted(declared)
        if one in catalogue and catalogue[one].computes
    ]


def _subject(sites: Sequence[Site], places: Sequence[str]) -> Text:
    if len(sites) == 1:
        return Text(**sites[0].name)
    words = ", ".join(places)
    return Text(words, words)
