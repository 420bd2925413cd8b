"""Benchmarks: the ranking as far as a caller may see it, recording it, and how a plant stands."""

from typing import Annotated, Final, TypeVar
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.responses import Response

from api import access, answers, problems, requests
from api.access import Action
from api.benchmark_schemas import (
    BenchmarkIn,
    BenchmarkItem,
    Called,
    Jurisdiction,
    RecordedBenchmark,
    RetrofitIn,
    RetrofitItem,
    StandingItem,
)
from api.deps import Caller, Shared, View, allow, look
from api.requests import AsOf
from api.schemas import Page, Problem
from core import benchmarking, benchmarkrules, indicators, spans
from core.benchmarking import Benchmark, Question
from core.clock import from_us, to_us
from core.eligibility import Retrofit
from core.errors import Rejected
from core.indicators import Indicator
from core.spans import NamedSpan
from store import access as tokens
from store import benchmarks
from store.benchmarks import MOST_CALLED

MOST_BODY_BYTES: Final = 64 * 1024  # five hundred names
router = APIRouter(tags=["benchmarks"])
Model = TypeVar("Model", bound=BaseModel)
PERIOD_WORDS: Final = "A month as 2026-10, a quarter as 2026-Q3, a year as 2026."


@router.get(
    "/api/v1/benchmarks",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(BenchmarkItem),
)
async def get_benchmark(
    shared: Shared,
    caller: Caller,
    indicator: str,
    period: Annotated[str, Query(description=PERIOD_WORDS)],
    jurisdiction: Jurisdiction,
    called: Annotated[list[Called] | None, Query(max_length=MOST_CALLED)] = None,
    as_of: AsOf = None,
) -> Response:
    """Rank the plants of a jurisdiction by one figure.

    Who may see the whole jurisdiction sees every plant. Others see their own plants, how many
    there are, and quartiles that give no other plant's figure away.
    """
    async with look(shared, caller) as view:
        asked = Question(_indicator(indicator), jurisdiction, period, tuple(called or ()))
        _check_reach(view, asked)
        known_at = requests.as_of(as_of, view.now_us)
        found = await _gather(view, asked, _span(period), known_at)
        if access.holds(caller.scope, jurisdiction):
            return answers.json(benchmarking.whole(found).item())
        own = {site.id for site in view.sites()}
        secret = await benchmarks.secret(view.connection)
        return answers.json(benchmarking.part(found, own.__contains__, secret).item())


@router.get(
    "/api/v1/benchmarks/recorded",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(Page[RecordedBenchmark]),
)
async def list_recorded(shared: Shared, caller: Caller) -> Response:
    """List the rankings that were recorded of jurisdictions that the caller may see wholly."""
    async with look(shared, caller) as view:
        found = await benchmarks.recorded(view.connection)
    return answers.page(
        [
            {
                "benchmark": one.benchmark,
                "version": one.version,
                "recorded_at": answers.utc(one.recorded_at),
                "recorded_by": one.recorded_by,
                "body": one.body,
            }
            for one in found
            if access.holds(caller.scope, one.jurisdiction)
        ]
    )


@router.post(
    "/api/v1/benchmarks",
    status_code=201,
    dependencies=[allow(Action.RECORD_BENCHMARK)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": BenchmarkIn.model_json_schema()}},
        }
    },
    response_model=RecordedBenchmark,
    responses={
        **answers.documented(RecordedBenchmark)["responses"],
        409: {"model": Problem, "description": "The period is not over."},
    },
)
async def record_benchmark(request: Request, shared: Shared, caller: Caller) -> Response:
    """Record a ranking: from now on it bars who lags and who took no part (clause B04)."""
    raw = await requests.body(request, MOST_BODY_BYTES, "call up fewer enterprises")
    body = _read(raw, BenchmarkIn)
    async with look(shared, caller) as view:
        asked = Question(
            _indicator(body.indicator), body.jurisdiction, body.period, tuple(body.called)
        )
        _check_whole(view, body.jurisdiction)
        _check_reach(view, asked)
        span = _span(body.period)
        end_us = _end(view, body.jurisdiction, span)
        if end_us > view.now_us:
            text = f"{body.period} is not over: a finding needs a closed period."
            raise problems.ProblemError(409, text, "not_over")
        found = await _gather(view, asked, span, None)
        now = shared.clock()
        async with view.connection.transaction():
            identifier, version = await benchmarks.record(
                view.connection, found, end_us, f"user:{caller.name}", now
            )
            await tokens.record(
                view.connection,
                at=now,
                who=caller.name,
                role=caller.role,
                action="record_benchmark",
                subject=f"{asked.jurisdiction}/{asked.indicator.id}/{asked.period}",
                detail={"benchmark": identifier, "version": version},
            )
    return answers.json(
        {
            "benchmark": identifier,
            "version": version,
            "recorded_at": answers.utc(now),
            "recorded_by": f"user:{caller.name}",
            "body": benchmarking.whole(found).item(),
        },
        201,
    )


@router.get(
    "/api/v1/sites/{site}/standing",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(StandingItem),
)
async def get_standing(shared: Shared, caller: Caller, site: str) -> Response:
    """Show whether a plant is barred from public funds, by which findings, and what lifted them."""
    async with look(shared, caller) as view:
        found = view.site(site)
        standing = (await benchmarks.standings(view.connection, [found.id]))[found.id]
    return answers.json(standing.item(found.timezone))


@router.post(
    "/api/v1/sites/{site}/retrofits",
    status_code=201,
    dependencies=[allow(Action.RECORD_BENCHMARK)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": RetrofitIn.model_json_schema()}},
        }
    },
    **answers.documented(RetrofitItem),
)
async def record_retrofit(request: Request, shared: Shared, caller: Caller, site: str) -> Response:
    """Record that a plant completed a retrofit: the one thing that lifts what bars it."""
    body = _read(await requests.body(request, MOST_BODY_BYTES, "shorten the text"), RetrofitIn)
    async with look(shared, caller) as view:
        found = view.site(site)
        completed_us = requests.instant("completed_at", body.completed_at)
        if completed_us > view.now_us:
            raise problems.bad_parameter("completed_at", "lies ahead: record what is completed")
        now = shared.clock()
        done = Retrofit(
            "",
            found.id,
            tuple(sorted({_indicator(one).id for one in body.indicators})),
            completed_us,
            body.what,
            body.document,
            to_us(now),
            f"user:{caller.name}",
        )
        async with view.connection.transaction():
            identifier = await benchmarks.add_retrofit(view.connection, done, now)
            await tokens.record(
                view.connection,
                at=now,
                who=caller.name,
                role=caller.role,
                action="record_retrofit",
                subject=found.id,
                detail={"retrofit": identifier, "document": body.document},
            )
    return answers.json({**done.item(found.timezone), "retrofit": str(UUID(identifier))}, 201)


async def _gather(
    view: View, asked: Question, span: NamedSpan, known_at_us: int | None
) -> Benchmark:
    return await benchmarks.gather(
        view.connection,
        view.declared.plant,
        asked,
        span,
        benchmarkrules.shipped(),
        None if known_at_us is None else from_us(known_at_us),
    )


def _check_whole(view: View, jurisdiction: str) -> None:
    if not access.holds(view.caller.scope, jurisdiction):
        raise problems.forbidden(f"{jurisdiction} lies outside the scope of your token.")


def _check_reach(view: View, asked: Question) -> None:
    """Let pass who may see all of the jurisdiction or a plant in it; check who is called up."""
    if not access.holds(view.caller.scope, asked.jurisdiction):
        inside = benchmarks.sites_in(view.declared.plant, asked.jurisdiction)
        if not {site.id for site in inside} & {site.id for site in view.sites()}:
            raise problems.forbidden(f"{asked.jurisdiction} lies outside the scope of your token.")
        if asked.called:
            raise problems.forbidden("Only who sees the whole jurisdiction calls up enterprises.")
    sites = view.declared.plant.sites
    within = {site.id for site in benchmarks.sites_in(view.declared.plant, asked.jurisdiction)}
    foreign = sorted(one for one in asked.called if one in sites and one not in within)
    if foreign:
        raise problems.bad_parameter("called", f"{foreign[0]} lies in another jurisdiction")


def _end(view: View, jurisdiction: str, span: NamedSpan) -> int:
    """Return the end of the period at the plant where it ends last."""
    zones = {site.timezone for site in benchmarks.sites_in(view.declared.plant, jurisdiction)}
    return max(span.bounds(zone)[1] for zone in zones or {"UTC"})


def _indicator(name: str) -> Indicator:
    try:
        return indicators.find(name)
    except Rejected as error:
        raise problems.bad_parameter("indicator", str(error)) from error


def _span(text: str) -> NamedSpan:
    try:
        return spans.parse(text)
    except ValueError as error:
        raise problems.bad_parameter("period", str(error)) from error


def _read(raw: bytes, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise RequestValidationError(
            [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()]
        ) from error
