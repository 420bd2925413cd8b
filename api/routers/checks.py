"""Checks on meters: the newest run of each site, and a site's runs; runs are made by `danhao`."""

from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from api import answers, requests
from api.access import Action
from api.check_schemas import CheckItem
from api.deps import Caller, Shared, allow, look
from api.requests import Cursor, Limit
from api.schemas import Page
from core import periods
from core.clock import to_us
from core.meterchecks import findings, words
from core.meterchecks.findings import Finding
from core.plant import Site
from store import meterchecks
from store.meterchecks import Kept

DEFAULT_RUNS: Final = 20  # of one page: a report of a plant of 400 meters is 60 kB
router = APIRouter(tags=["checks"], dependencies=[allow(Action.READ_FIGURES)])


@router.get("/api/v1/checks", **answers.documented(Page[CheckItem]))
async def list_checks(
    shared: Shared, caller: Caller, limit: Limit = DEFAULT_RUNS, cursor: Cursor = None
) -> Response:
    """List the newest run of checks on the meters of each site in the caller's scope.

    A site on whose meters no check was ever run is left out.
    """
    async with look(shared, caller) as view:
        sites = {site.id: site for site in view.sites()}
        found = await meterchecks.newest(view.connection, sorted(sites))
    items = [_item(sites[site], kept) for site, kept in sorted(found.items())]
    shown, following = requests.page_of_ids(items, sorted(found), limit, cursor)
    return answers.page(shown, following)


@router.get("/api/v1/sites/{site}/checks", **answers.documented(Page[CheckItem]))
async def list_runs(
    shared: Shared,
    caller: Caller,
    site: str,
    limit: Limit = DEFAULT_RUNS,
    cursor: Cursor = None,
) -> Response:
    """List the runs of checks on a site's meters, newest first, as they were kept."""
    before = requests.decode_cursor(cursor, int)
    async with look(shared, caller) as view:
        found = view.site(site)
        most = min(limit, meterchecks.MOST_REPORTS - 1)
        runs = await meterchecks.of_site(
            view.connection, found.id, None if before is None else before[0], most + 1
        )
    more = runs[most:]
    following = requests.encode_cursor(to_us(runs[most - 1].checked_at)) if more else None
    return answers.page([_item(found, one) for one in runs[:most]], following)


def _item(site: Site, kept: Kept) -> dict[str, Any]:
    report = dict(kept.report)
    return {
        "check": kept.id,
        **report,
        "checked_at": periods.render_utc(to_us(kept.checked_at)),
        "findings": [
            {**one, "text": _said(findings.of_item(one), site)} for one in report["findings"]
        ],
        "unchecked": [
            {**one, "text": {lang: words.reason(one["reason"], lang) for lang in words.LANGUAGES}}
            for one in report["unchecked"]
        ],
    }


def _said(found: Finding, site: Site) -> dict[str, str]:
    return {lang: words.sentence(found, lang, site.timezone) for lang in words.LANGUAGES}
