"""What the store says of the work on it, as gauges: every queue, lag, loss and age.

Figures are sums and extremes over the whole installation, for metrics bear no name of a plant and
their number must not grow with it; `danhao doctor` names who is meant. Promise: what is unknown has
no series, rather than a zero.
"""

from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection

from api.metrics import Metrics
from core import conditionfile
from core.clock import to_us
from core.plant import Plant
from store import checkups, policies
from store.checkups import Checkup, Work
from store.deliveries import Fared
from store.watched import AgentSeen


async def measure(
    metrics: Metrics, connection: AsyncConnection[Any], plant: Plant, now: datetime
) -> None:
    """Set every gauge anew."""
    seen = await checkups.look(connection, now)
    kept = await policies.watched(connection)
    _work(metrics, seen.work, now)
    _agents(metrics, plant, seen, now)
    _alarms(metrics, seen)
    _channels(metrics, seen.channels, now)
    _reports(metrics, seen, now)
    metrics.forget("danhao_policy_failures")
    for policy in kept:
        metrics.set("danhao_policy_failures", policy.failures, policy=policy.policy)


def _work(metrics: Metrics, work: Work, now: datetime) -> None:
    metrics.set("danhao_ingest_workers", work.workers)
    metrics.set("danhao_sites_without_worker", len(work.idle_sites))
    metrics.set("danhao_marks_waiting", work.slots_marked, of="points")
    metrics.set("danhao_marks_waiting", work.units_marked, of="units")
    metrics.set("danhao_oldest_mark_age_seconds", _age_s(work.oldest_mark_at, now) or 0)
    metrics.set("danhao_database_clock_offset_seconds", (now - work.asked_at).total_seconds())
    metrics.set("danhao_dead_letters_open", work.letters_open)
    metrics.set("danhao_dead_letters_removed_total", work.letters_removed)
    newest = work.newest_figure_at
    at_s = None if newest is None else to_us(newest) / 1_000_000
    _set_known(metrics, "danhao_newest_figure_timestamp_seconds", at_s)


def _agents(metrics: Metrics, plant: Plant, seen: Checkup, now: datetime) -> None:
    heard = [seen.agents[key] for key in plant.agents if key in seen.agents]
    most = timedelta(seconds=float(conditionfile.catalogue()["agent_silent"].raise_at))
    silent = sum(now - each.heard_at > most for each in heard)
    metrics.set("danhao_agents_heard", len(heard) - silent, state="heard")
    metrics.set("danhao_agents_heard", silent, state="silent")
    metrics.set("danhao_agents_heard", len(plant.agents) - len(heard), state="never")
    depths = [each.depth for each in heard if each.depth is not None]
    _set_known(metrics, "danhao_outbox_envelopes", sum(depths) if depths else None)
    ages = [_age_s(each.oldest_at, now) for each in heard if each.depth]
    _set_known(metrics, "danhao_outbox_oldest_age_seconds", _most(ages))
    metrics.set("danhao_envelopes_missing", sum(each.missing for each in heard))
    metrics.set("danhao_envelopes_lost", sum(each.lost for each in heard))
    offsets = [each.clock_offset_ms for each in heard]
    off_ms = _most([None if offset is None else abs(offset) for offset in offsets])
    _set_known(metrics, "danhao_agent_clock_offset_seconds", off_ms and off_ms / 1000)
    _troubles(metrics, heard)


def _troubles(metrics: Metrics, heard: list[AgentSeen]) -> None:
    metrics.forget("danhao_agent_troubles")
    counted: dict[str, int] = {}
    for each in heard:
        for kind, count in each.troubles.items():
            counted[kind] = counted.get(kind, 0) + count
    for kind, count in counted.items():
        metrics.set("danhao_agent_troubles", count, kind=kind)


def _alarms(metrics: Metrics, seen: Checkup) -> None:
    for severity in range(5):
        standing = seen.alarms.firing.get(severity, 0)
        metrics.set("danhao_alerts", standing, severity=str(severity))
    metrics.set("danhao_cases_open", seen.alarms.cases_open)
    metrics.set("danhao_cases_lapsed", seen.alarms.cases_lapsed)
    for each in seen.bounds:
        metrics.set("danhao_bound_hits_total", each.hits, bound=each.bound)


def _channels(metrics: Metrics, channels: list[Fared], now: datetime) -> None:
    metrics.forget("danhao_channel_waiting")
    metrics.forget("danhao_channel_oldest_age_seconds")
    for each in channels:
        metrics.set("danhao_channel_waiting", each.waiting, channel=each.channel)
        age_s = _age_s(each.oldest_at, now) or 0
        metrics.set("danhao_channel_oldest_age_seconds", age_s, channel=each.channel)


def _reports(metrics: Metrics, seen: Checkup, now: datetime) -> None:
    waiting = sum(each.waiting for each in seen.reports)
    metrics.set("danhao_report_figures_waiting", waiting)
    oldest_s = _most([_age_s(each.oldest_at, now) for each in seen.reports])
    metrics.set("danhao_report_oldest_age_seconds", oldest_s or 0)


def _set_known(metrics: Metrics, name: str, value: float | None) -> None:
    metrics.forget(name)
    if value is not None:
        metrics.set(name, value)


def _age_s(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else (now - at).total_seconds()


def _most(values: list[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
