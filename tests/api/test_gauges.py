"""The gauges say what the store says; what is unknown has no series, and no plant has a name."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from prometheus_client.parser import text_string_to_metric_families

from api import gauges, metrics
from api.metrics import Metrics
from core.plant import Plant
from store import leases, plants, watched
from tests.api import world

if TYPE_CHECKING:
    import httpx

    from store.connection import Pool

# Written as things happen; every other series is written by each scrape of a store with all in it.
BY_EVENT = {
    "danhao_http_requests_total",
    "danhao_http_seconds_total",
    "danhao_live_clients",
    "danhao_live_events_total",
    "danhao_live_resyncs_total",
    "danhao_live_refused_total",
    "danhao_live_failures_total",
    "danhao_sign_in_throttled_total",
    "danhao_sign_ins_total",
    "danhao_sessions_stolen_total",
    "danhao_channel_failures",
    "danhao_channel_open",
    metrics.OVERFLOW,
}


async def measured(pool: Pool, plant: Plant | None = None) -> Metrics:
    found = Metrics()
    async with pool.connection() as connection:
        declared = (await plants.load(connection)).plant if plant is None else plant
        await gauges.measure(found, connection, declared, world.NOW)
    return found


def names(text: str) -> set[str]:
    return {s.name for f in text_string_to_metric_families(text) for s in f.samples}


async def test_what_the_store_holds_is_what_the_gauges_say(
    tokens: dict[str, str], pool: Pool
) -> None:
    del tokens  # they come with the plants and the readings
    now = world.NOW
    async with pool.connection() as link:
        await leases.register(link, UUID(int=1), timedelta(minutes=1))
        await leases.take(link, UUID(int=1), ["gh-al"], timedelta(minutes=1))
        await link.execute(
            "update agent_status set oldest_at = %s, clock_offset_ms = -1500,"
            """ troubles = '{"set_aside": 2}'""",
            (now - timedelta(minutes=7),),
        )
        await watched.hit(link, bound="x", hits=3, detail="so", at=now)
    found = await measured(pool)
    value = found.value
    assert value("danhao_ingest_workers") == 1
    assert value("danhao_sites_without_worker") == 1
    assert value("danhao_outbox_envelopes") == 3
    assert value("danhao_outbox_oldest_age_seconds") == 420
    assert value("danhao_agent_clock_offset_seconds") == 1.5
    assert value("danhao_agent_troubles", kind="set_aside") == 2
    assert value("danhao_envelopes_missing") == 3
    assert value("danhao_agents_heard", state="heard") == 1
    assert value("danhao_agents_heard", state="never") == 1
    assert value("danhao_bound_hits_total", bound="x") == 3
    assert value("danhao_dead_letters_open") == 3
    assert value("danhao_newest_figure_timestamp_seconds") == now.timestamp()
    assert "gh-al" not in found.text()


async def test_what_is_unknown_has_no_series_and_what_is_gone_loses_its_own(pool: Pool) -> None:
    found = Metrics()
    for name in ("danhao_outbox_envelopes", "danhao_newest_figure_timestamp_seconds"):
        found.set(name, 9)
    found.set("danhao_channel_waiting", 9, channel="gone")
    async with pool.connection() as connection:
        await gauges.measure(found, connection, Plant(), world.NOW)
    told = names(found.text())
    assert "danhao_ingest_workers" in told
    assert told.isdisjoint(
        {
            "danhao_outbox_envelopes",
            "danhao_outbox_oldest_age_seconds",
            "danhao_newest_figure_timestamp_seconds",
            "danhao_agent_clock_offset_seconds",
            "danhao_channel_waiting",
        }
    )


async def test_a_scrape_writes_every_series_that_help_promises(
    client: httpx.AsyncClient, tokens: dict[str, str], pool: Pool
) -> None:
    async with pool.connection() as link:
        await link.execute(
            "update agent_status set oldest_at = %s, troubles = '{\"disk\": 1}'", (world.NOW,)
        )
        await link.execute(
            "insert into policy_run (policy, started_at) values ('retain', %s)", (world.NOW,)
        )
        await link.execute(
            "insert into notification (notification, kind, channel, body, created_at, next_at,"
            " state) values"
            " (gen_random_uuid(), 'bundle', 'city', '{}', %(now)s, %(now)s, 'waiting')",
            {"now": world.NOW},
        )
    answer = await client.get("/metrics", headers=world.bearer(tokens["admin"]))
    promised = set(metrics._HELP) - BY_EVENT
    assert promised - names(answer.text) == set()
    # Nothing is written that has no help: a rule could not be held against it.
    assert names(answer.text) - set(metrics._HELP) == set()
