"""The application, made by `create_app`: no module-level state, everything handed in."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.gzip import GZipMiddleware

from api import openapi, problems, security, static
from api.bounds import Bounds
from api.config import Settings
from api.deps import Allow, Services
from api.etags import Etags
from api.feed import Feed
from api.live import Hub
from api.metrics import Metrics
from api.oidc import clients
from api.plants import PlantCache
from api.rates import Rates
from api.routers import (
    agents,
    alerts,
    audit,
    benchmarks,
    cases,
    catalogue,
    checks,
    closes,
    dead_letters,
    differences,
    docs,
    estimates,
    evidence,
    excess,
    exports,
    forecast,
    health,
    intensity,
    live,
    oidc,
    output,
    own,
    points,
    quality,
    reports,
    series,
    session,
    silences,
    steps,
    units,
)
from store.connection import Pool

LEAST_GZIP_BYTES: Final = 2_000
ROUTERS: Final = (
    units.router,
    points.router,
    steps.router,
    intensity.router,
    differences.router,
    closes.router,
    checks.router,
    series.router,
    exports.router,
    estimates.router,
    evidence.router,
    excess.router,
    forecast.router,
    benchmarks.router,
    quality.router,
    reports.router,
    alerts.router,
    cases.router,
    silences.router,
    catalogue.router,
    agents.router,
    dead_letters.router,
    output.router,
    session.router,
    oidc.router,
    own.router,
    audit.router,
    live.router,
    health.router,
    docs.router,
)
# Routes without a declared action; everything else refuses to start without one.
PUBLIC: Final = security.SIGN_IN | {("GET", "/healthz"), ("GET", "/readyz")}
DESCRIPTION: Final = (
    "Energy per unit of product, live, against its mandated limit. Decimal figures are strings,"
    " times RFC 3339, errors problem documents (RFC 9457)."
)
log = logging.getLogger(__name__)


def create_app(
    settings: Settings,
    pool: Pool,
    clock: Callable[[], datetime],
    *,
    page: Path = static.FOLDER,
    ticks: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """Return the application over an open pool; raises where a route declares no action."""
    check_actions(ROUTERS)
    metrics = Metrics()
    shared = Services(
        settings=settings,
        pool=pool,
        clock=clock,
        ticks=ticks,
        plants=PlantCache(ticks),
        hub=Hub(metrics, settings.most_live),
        metrics=metrics,
        rates=Rates(settings.requests_per_s),
        providers=clients(settings.access, ticks),
    )
    app = _described()
    app.state.services = shared
    problems.install(app)
    app.include_router(static.page_router(page))
    app.add_middleware(Etags)
    app.add_middleware(GZipMiddleware, minimum_size=LEAST_GZIP_BYTES, compresslevel=5)
    app.add_middleware(
        security.Shell,
        pool=pool,
        clock=clock,
        ticks=ticks,
        metrics=metrics,
        life=settings.access.life,
    )
    return app


def description() -> dict[str, Any]:
    """Return the OpenAPI description; needs nothing that runs."""
    return openapi.describe(_described())


def _described() -> FastAPI:
    app = FastAPI(
        title="Danhao",
        version=program_version(),
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    for router in ROUTERS:
        app.include_router(router)
    return app


def check_actions(routers: Iterable[APIRouter]) -> None:
    """Assert that every route declares exactly one action, or is public by name."""
    for route in routes(routers):
        declared = [one for one in route.dependencies if isinstance(one.dependency, Allow)]
        public = all((method, route.path) in PUBLIC for method in route.methods or ())
        assert len(declared) == (0 if public else 1), f"{route.path} declares no action"  # noqa: S101 - a belief about our own code


def routes(routers: Iterable[APIRouter] = ROUTERS) -> list[APIRoute]:
    """Return every route of the API, the page's left out."""
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def program_version() -> str:
    """Return the installed version, or 0 in a bare checkout."""
    try:
        return version("danhao")
    except PackageNotFoundError:
        return "0"


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    shared: Services = app.state.services
    shared.feed = asyncio.create_task(Feed(shared).run(), name="live feed")
    shared.feed.add_done_callback(_report)
    bounds = asyncio.create_task(Bounds(shared).run(), name="bounds")
    try:
        yield
    finally:
        shared.hub.close()
        for task in (bounds, shared.feed):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the live feed ended: /readyz says so", exc_info=error)
