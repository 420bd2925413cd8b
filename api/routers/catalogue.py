"""The law as this program ships it: indicators and limits, the same for every caller."""

import difflib
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.catalogue_schemas import IndicatorItem, LimitItem
from api.deps import allow
from api.requests import DEFAULT_LIMIT, Cursor
from api.requests import Limit as PageLimit
from api.schemas import Page
from core import decimals, indicators, limits
from core.indicators import Indicator

NEAR: Final = 3
router = APIRouter(tags=["catalogue"], dependencies=[allow(Action.READ_LAW)])


@router.get("/api/v1/indicators", **answers.documented(Page[IndicatorItem]))
async def list_indicators(limit: PageLimit = DEFAULT_LIMIT, cursor: Cursor = None) -> Response:
    """List the indicator definitions."""
    known = sorted(indicators.catalogue())
    shown, following = requests.page_of_ids(known, known, limit, cursor)
    items = [_indicator_item(indicators.catalogue()[one]) for one in shown]
    return answers.page(items, following, answers.KEPT)


@router.get("/api/v1/limits", **answers.documented(Page[LimitItem]))
async def list_limits(
    indicator: str | None = None,
    limit: PageLimit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List the limits, of one indicator where it is named."""
    if indicator is not None and indicator not in indicators.catalogue():
        raise problems.bad_parameter("indicator", f"no indicator has the id {indicator[:200]!r}")
    known = sorted(
        one.id for one in limits.catalogue().values() if indicator in (None, one.indicator)
    )
    shown, following = requests.page_of_ids(known, known, limit, cursor)
    items = [limits.catalogue()[one].item() for one in shown]
    return answers.page(items, following, answers.KEPT)


@router.get("/api/v1/limits/{limit}", **answers.documented(LimitItem))
async def get_limit(limit: str) -> Response:
    """Show one limit; an unknown id is a 404 that names the nearest ones."""
    found = limits.catalogue().get(limit)
    if found is None:
        near = difflib.get_close_matches(limit[:200], limits.catalogue(), n=NEAR, cutoff=0.4)
        raise problems.not_found(f"No limit has the id {limit[:200]!r}.", "unknown_limit", near)
    return answers.json(found.item(), headers=answers.KEPT)


def _indicator_item(indicator: Indicator) -> dict[str, Any]:
    return {
        "id": indicator.id,
        "name": dict(indicator.name),
        "unit": indicator.unit,
        "energy_unit": indicator.energy_unit,
        "output_unit": indicator.output_unit,
        "carriers": list(indicator.carriers),
        "roles": list(indicator.roles),
        "output": list(indicator.output),
        "product": indicator.product,
        "boundary": dict(indicator.boundary),
        "formula": indicator.formula,
        "formula_version": indicator.formula_version,
        "source": indicator.source,
        "computes": indicator.computes,
        "later": None if indicator.later is None else dict(indicator.later),
        "requires": [list(group) for group in indicator.requires],
        "base_grade": None
        if indicator.base_grade is None
        else {
            "grade": indicator.base_grade.grade,
            "reference": decimals.show(indicator.base_grade.reference),
        },
        "metered": indicator.metered.value,
        "accounts": indicator.accounts,
        "numerator": [term.item() for term in indicator.numerator],
        "denominator": [term.item() for term in indicator.denominator],
        "output_by": {
            name: [term.item() for term in terms] for name, terms in indicator.output_by.items()
        },
        "parameters": {role: one.item() for role, one in indicator.role_factors.items()},
        "mark": None if indicator.mark is None else indicator.mark.value,
        "note": indicator.note,
    }
