"""What comes over the programs by itself: kills, cuts, restarts, old receipts, a restored store."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from core.clock import from_us
from core.wire import instant
from deploy.faultworld import book, ledger, meters
from deploy.faultworld.gateway import POLL_S
from deploy.faultworld.schedule import EVERY_S, Kind
from deploy.faultworld.source import CLIENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from deploy.faultworld.world import World

BROKER_DOWN_S: Final = 15.0
MOST_BACKFILL: Final = 8


async def rage(world: World) -> None:
    """Let the schedule's kinds happen, each in its own time, until the schedule calms down."""
    happenings = _happenings()
    async with asyncio.TaskGroup() as tasks:
        for kind in sorted(EVERY_S):
            if kind in world.schedule.kinds:
                tasks.create_task(_often(world, kind, happenings[kind]))


async def _often(
    world: World, kind: Kind, happening: Callable[[World, Random], Awaitable[str | None]]
) -> None:
    draws = world.schedule.stream(f"times of {kind}")
    end_s = world.length_s
    while True:
        await asyncio.sleep(draws.expovariate(world.schedule.strength / EVERY_S[kind]))
        if world.loop.time() > end_s:
            return
        where = await happening(world, draws)
        if where is not None:
            world.schedule.happened(kind, where)


async def _stale(world: World, draws: Random) -> str | None:
    topics = world.broker.topics_of_receipts()
    if not topics:
        return None
    topic = draws.choice(topics)
    retain = draws.random() < 0.5  # noqa: PLR2004 - as often as not
    world.broker.tell_again(topic, draws.random(), retain=retain)
    return topic


async def _forget_retained(world: World, _: Random) -> str:
    world.broker.forget_retained()
    return ""


async def _forget_session(world: World, _: Random) -> str:
    world.broker.forget_session(CLIENT)
    return CLIENT


async def _cut(world: World, draws: Random) -> str | None:
    clients = world.broker.clients()
    if not clients:
        return None
    client = draws.choice(clients)
    world.broker.cut(client)
    return client


async def _restart_broker(world: World, draws: Random) -> str:
    down_s = ledger.jitter(draws, BROKER_DOWN_S)
    world.broker.restart(down_s)
    return f"for {down_s:.1f} s"


async def _kill_agent(world: World, draws: Random) -> str | None:
    gateway = draws.choice(world.gateways)
    if not gateway.up():
        return None
    gateway.fall()
    return gateway.agent


async def _spoil(world: World, draws: Random) -> str | None:
    gateway = draws.choice(world.gateways)
    if not gateway.up():
        return None
    gateway.fall()
    lost, life = gateway.ended_with()
    gateway.lost_before += lost
    world.owed -= book.keys_in(gateway.disk.path)
    world.book.spoil(life, gateway.disk.path)
    gateway.disk.scribble()
    return gateway.agent


async def _backfill(world: World, draws: Random) -> str | None:
    """Send readings of the past once more, in another grouping, by hand."""
    reached = min(len(world.meters.instants_us), int(world.loop.time() / POLL_S))
    if reached == 0:
        return None
    agent = draws.choice(meters.AGENTS)
    first = draws.randrange(reached)
    last = min(reached, first + draws.randrange(1, MOST_BACKFILL))
    readings = [each for n in range(first, last) for each in world.meters.poll(agent, n)]
    world.book.offered(readings)
    rows = [
        {
            "point": each.point,
            "measured_at": instant(from_us(each.measured_us)),
            "value": each.value,
            "quality": each.quality.word,
        }
        for each in readings
    ]
    topic = f"danhao/v1/{meters.SITE}/{agent}/readings"
    payload = json.dumps({"agent": agent, "readings": rows}).encode()
    world.broker.publish(topic, payload, retain=False)
    return f"{agent} {first}..{last}"


async def _kill_ingest(world: World, draws: Random) -> str | None:
    worker = draws.choice(world.workers)
    if not worker.up():
        return None
    worker.fall()
    return worker.name


async def _freeze(world: World, draws: Random) -> str | None:
    worker = draws.choice(world.workers)
    if worker.life is None or not worker.up():
        return None
    seconds = draws.uniform(*ledger.FROZEN_S)
    worker.life.freeze(seconds)
    return f"{worker.name} for {seconds:.1f} s"


async def _out(world: World, draws: Random) -> str:
    seconds = ledger.jitter(draws, ledger.OUT_S)
    world.ledger.go_out(seconds)
    return f"for {seconds:.1f} s"


async def _restore(world: World, _: Random) -> str | None:
    """Put an older store back, as a person does: with ingest stopped. The first time, keep one."""
    if world.back_up():
        return None
    for worker in world.workers:
        worker.fall()
    world.restore()
    return "restored"


def _happenings() -> dict[Kind, Callable[[World, Random], Awaitable[str | None]]]:
    return {
        Kind.RECEIPT_STALE: _stale,
        Kind.RETAINED_FORGOTTEN: _forget_retained,
        Kind.SESSION_FORGOTTEN: _forget_session,
        Kind.CONNECTION_CUT: _cut,
        Kind.BROKER_RESTARTED: _restart_broker,
        Kind.AGENT_KILLED: _kill_agent,
        Kind.OUTBOX_CORRUPT: _spoil,
        Kind.BACKFILL: _backfill,
        Kind.INGEST_KILLED: _kill_ingest,
        Kind.INGEST_STALLED: _freeze,
        Kind.STORE_OUT: _out,
        Kind.STORE_RESTORED: _restore,
    }
