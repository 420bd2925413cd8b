"""Data quality: the score of a month by the regulator's rules, and what breaks which rule."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.quality_schemas import QualityItem, QualitySummary
from api.requests import Cursor
from api.schemas import Page
from core import periods, qualityrules, qualityscore
from core.periods import Period
from core.plant import Site
from core.qualityscore import Score
from store import quality
from store.quality import Asked

MOST_SITES = 20  # of one page: each is a look at a month of its data
router = APIRouter(tags=["quality"], dependencies=[allow(Action.READ_FIGURES)])
Month = Annotated[
    str | None, Query(description="Such as 2026-10, in the plant's time; default: this month.")
]


@router.get("/api/v1/quality", **answers.documented(Page[QualitySummary]))
async def list_quality(
    shared: Shared,
    caller: Caller,
    month: Month = None,
    limit: Annotated[int, Query(ge=1, le=MOST_SITES)] = MOST_SITES,
    cursor: Cursor = None,
) -> Response:
    """List the scores of the sites in the caller's scope, computed for this answer."""
    async with look(shared, caller) as view:
        sites = view.sites()
        some, following = requests.page_of_ids(sites, [site.id for site in sites], limit, cursor)
        found = [await _score(view, site, month) for site in some]
    return answers.page([_summary(one) for one in found], following)


@router.get("/api/v1/sites/{site}/quality", **answers.documented(QualityItem))
async def get_quality(shared: Shared, caller: Caller, site: str, month: Month = None) -> Response:
    """Show the score of a site's month: every rule with its source, every finding with its rule."""
    async with look(shared, caller) as view:
        found = await _score(view, view.site(site), month)
    return answers.json(found.item())


async def _score(view: View, site: Site, month: str | None) -> Score:
    asked = Asked(
        view.declared.plant, site, view.declared.point_ids, _bounds(view, site, month), view.now_us
    )
    seen = await quality.gather(view.connection, asked)
    return qualityscore.score(seen, qualityrules.shipped())


def _bounds(view: View, site: Site, month: str | None) -> tuple[int, int]:
    if month is None:
        return periods.period_at(Period.MONTH, view.now_us, site.timezone)
    try:
        found = periods.parse_month(month, site.timezone)
    except ValueError as error:
        raise problems.bad_parameter("month", str(error)) from error
    if found[0] > view.now_us:
        raise problems.bad_parameter("month", "has not begun: ask for one that has")
    return found


def _summary(found: Score) -> dict[str, object]:
    item = found.item()
    return {
        **{
            key: item[key]
            for key in (
                "site",
                "period_start",
                "period_end",
                "closed",
                "score",
                "indices",
                "computed_at",
            )
        },
        "broken": [one.rule.id.value for one in found.checked if one.findings],
        "unchecked": [one.rule.id.value for one in found.checked if one.share is None],
        "findings": len(found.findings),
    }
