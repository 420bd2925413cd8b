"""A unit's figures as known at two instants: how they differ, and what came between."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import answers, known, problems, requests
from api.access import Action
from api.close_schemas import DifferenceItem
from api.deps import Caller, Shared, allow, look
from api.known import Bound, Known
from api.requests import Windowed
from api.schemas import Page
from core.clock import from_us, to_us
from core.indicators import Indicator
from core.periods import Period
from store import asof, comparing, differences, standing
from store.asof import KnownAt
from store.comparing import Figures, Kept, Pair

MOST_COMPARED: Final = 400  # periods of one page: each figure is read whole, twice
router = APIRouter(tags=["intensity"], dependencies=[allow(Action.READ_FIGURES)])


@router.get("/api/v1/units/{unit}/intensity/difference", **answers.documented(Page[DifferenceItem]))
async def list_differences(
    shared: Shared,
    caller: Caller,
    unit: str,
    asked: Windowed,
    as_of: Annotated[str, Query(description="The earlier instant, RFC 3339 with offset.")],
    and_: Annotated[
        str | None, Query(alias="and", description="The later instant; default: now.")
    ] = None,
    indicator: Annotated[str | None, Query(description="Default: the unit's first.")] = None,
    period: Period = Period.MONTH,
) -> Response:
    """List a unit's figures as known at two instants: differences, flipped verdicts, causes.

    Periods that begin in [from, to) and had begun at the later instant; for a closed month the
    later figure also against the one it was closed with.
    """
    now_us = shared.now_us
    before_us = requests.as_of(as_of, now_us) or 0
    after_us = requests.as_of(and_, now_us, "and") or now_us
    if after_us < before_us:
        raise problems.bad_parameter("and", "lies before `as_of`: swap them")
    async with look(shared, caller) as view:
        found, _ = view.unit(unit)
        chosen = known.indicator_of(found, indicator)
        instants = [
            await asof.known_at(
                view.connection, found.site, view.declared.point_ids, from_us(instant)
            )
            for instant in (before_us, after_us)
        ]
        before, after = instants
        if after is None or found.id not in after.plant.units:
            return answers.page([])
        zone = after.plant.sites[found.site].timezone
        page = replace(asked, limit=min(asked.limit, MOST_COMPARED))
        bounds, following = requests.page_of_periods(period, page, after_us, zone)
        compared = _Compared(found.id, chosen, period, before, after)
        items = await compared.items(bounds)
    return answers.page(items, following)


class _Compared:
    """A unit's figures of one indicator and kind of period at two instants."""

    def __init__(
        self,
        unit: str,
        indicator: Indicator,
        period: Period,
        before: KnownAt | None,
        after: KnownAt,
    ) -> None:
        self._unit = unit
        self._indicator = indicator
        self._period = period
        self._before = before
        self._after = after

    async def items(self, bounds: Sequence[Bound]) -> list[dict[str, Any]]:
        """Return the items of periods that had begun at the later instant."""
        if not bounds:
            return []
        olds = await self._at(self._before, bounds)
        news = await self._at(self._after, bounds)
        pairs = [
            Pair(
                *bound,
                None if bound not in olds else dict(olds[bound].figures),
                0 if bound not in olds else olds[bound].version,
                dict(news[bound].figures),
                news[bound].version,
            )
            for bound in bounds
        ]
        key = (self._unit, self._indicator.id, self._period.value)
        span = (bounds[0][0], bounds[-1][1])
        kept = await comparing.versions(self._after.connection, key, span, self._after.at)
        causes = await comparing.between(self._unit, (self._before, self._after), pairs, kept)
        closed = await self._closed_with(news.values())
        return [
            self._item(olds.get(bound), news[bound], told)
            | {"close": _against_close(news[bound], closed, kept.get(bound[0], ()))}
            for bound, told in zip(bounds, causes, strict=True)
        ]

    async def _at(self, store: KnownAt | None, bounds: Sequence[Bound]) -> dict[Bound, Known]:
        if store is None or self._unit not in store.plant.units:
            return {}
        at_us = to_us(store.at)
        begun = [bound for bound in bounds if bound[0] <= at_us]
        unit = store.plant.units[self._unit]
        found = await known.figures_at(store, unit, self._indicator, self._period, begun)
        return dict(zip(begun, found, strict=True))

    async def _closed_with(self, news: Iterable[Known]) -> dict[UUID, Figures]:
        """Return the figures that months were closed with, by the id of the result."""
        closes = [each.result.close for each in news if each.result is not None]
        ids = [close.result for close in closes if close is not None]
        return await comparing.figures_of(self._after.connection, ids) if ids else {}

    def _item(
        self, old: Known | None, new: Known, causes: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        shown = ("unit", "indicator", "period", "period_start", "period_end")
        return {
            **{key: new.item[key] for key in shown},
            "before": None if old is None else old.item,
            "after": new.item,
            **_came(None if old is None else old.figures, new.figures, causes),
        }


def _against_close(
    new: Known, closed: Mapping[UUID, Figures], kept: Sequence[Kept]
) -> dict[str, Any] | None:
    """Return the figure against the one that its month was closed with, None without a close."""
    close = None if new.result is None else new.result.close
    if new.result is None or close is None:
        return None
    causes = comparing.after_version(close.version, kept)
    item = close.item(new.result.result)
    return {**item, **_came(closed.get(close.result), new.figures, causes)}


def _came(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    causes: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    flips = [] if before is None else differences.flips(before["verdicts"], after["verdicts"])
    return {
        "difference": None if before is None else differences.difference(before, after),
        "flips": [flip.item() for flip in flips],
        "kinds": standing.kinds_of(each["kinds"] for each in causes),
        "causes": list(causes),
    }
