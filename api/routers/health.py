"""Whether the process lives, whether it can serve, and its numbers for Prometheus."""

from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from api import answers
from api import gauges as work_gauges
from api.access import Action
from api.deps import Services, Shared, allow
from api.metrics import MEDIA_TYPE
from api.security import STORE_IS_OUT
from core.circuits import State
from core.clock import to_us
from core.errors import Misconfigured
from store import circuits as stored_circuits
from store import migrate, notifications, views

FRESH_S: Final = 120.0  # a reading younger than this means that the path runs
router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=None)
async def healthz() -> Response:
    """Tell that the process answers; says nothing of the store."""
    return answers.json({"status": "ok"}, headers={"Cache-Control": "no-store"})


@router.get("/readyz", response_model=None)
async def readyz(shared: Shared) -> Response:
    """Tell whether requests can be served: 200, or 503 naming what is out.

    Freshness is told and does not make unready: the page must show that nothing arrives.
    """
    checks = await _checks(shared)
    ready = all(checks[name] == "ok" for name in ("database", "migrations", "live"))
    return answers.json(
        {"status": "ok" if ready else "unready", "checks": checks},
        200 if ready else 503,
        headers={"Cache-Control": "no-store"},
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {MEDIA_TYPE: {}}, "description": "Prometheus' text format."},
        **answers.documented(None)["responses"],
    },
    dependencies=[allow(Action.READ_METRICS)],
)
async def metrics(shared: Shared) -> Response:
    """Write the counters and gauges of this process in Prometheus' text format."""
    try:
        await _measure(shared)
        shared.metrics.set("danhao_store_up", 1)
    except STORE_IS_OUT:
        shared.metrics.set("danhao_store_up", 0)
    return Response(shared.metrics.text(), media_type=MEDIA_TYPE)


async def _checks(shared: Services) -> dict[str, str]:
    checks = {
        "database": "ok",
        "migrations": "unknown",
        "freshness": "unknown",
        "live": "ok" if shared.feed_runs() else "out",
    }
    try:
        async with shared.pool.connection() as connection:
            checks["migrations"] = "pending" if await migrate.pending(connection) else "ok"
            if checks["migrations"] == "ok":
                newest = await views.newest_reading_at(connection)
                checks["freshness"] = (
                    "none" if newest is None else _freshness(shared, to_us(newest))
                )
    except Misconfigured:
        checks["migrations"] = "contradictory"
    except STORE_IS_OUT:
        checks["database"] = "out"
    return checks


def _freshness(shared: Services, newest_us: int) -> str:
    return "ok" if shared.now_us - newest_us <= FRESH_S * 1_000_000 else "stale"


async def _measure(shared: Services) -> None:
    gauges = shared.metrics
    async with shared.pool.connection() as connection:
        found = await views.freshness(connection, shared.clock())
        declared = await shared.plants.get(connection)
        known = await views.agents(connection, sorted(declared.plant.agents))
        told = await notifications.counts(connection)
        circuits = await stored_circuits.states(connection)
        await work_gauges.measure(shared.metrics, connection, declared.plant, shared.clock())
    gauges.forget("danhao_notifications")
    for state, count in told.items():
        gauges.set("danhao_notifications", count, state=state)
    gauges.forget("danhao_channel_failures")
    gauges.forget("danhao_channel_open")
    for channel, circuit in circuits.items():
        gauges.set("danhao_channel_failures", circuit.failures, channel=channel)
        gauges.set("danhao_channel_open", circuit.state is State.OPEN, channel=channel)
    gauges.set("danhao_points_reporting", found.points)
    gauges.set("danhao_touched_spans", found.touched)
    if found.newest_reading_at is not None:
        newest_s = to_us(found.newest_reading_at) / 1_000_000
        gauges.set("danhao_newest_reading_timestamp_seconds", newest_s)
    gauges.forget("danhao_dead_letters_last_day")
    for reason, count in found.dead_letters.items():
        gauges.set("danhao_dead_letters_last_day", count, reason=reason)
    states: dict[str, int] = {}
    for agent in known.values():
        state = agent.state if agent.state in ("online", "offline") else "unknown"
        states[state] = states.get(state, 0) + 1
    gauges.forget("danhao_agents")
    for state, count in states.items():
        gauges.set("danhao_agents", count, state=state)
