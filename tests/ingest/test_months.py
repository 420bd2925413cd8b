"""Random months that go the real way, message by message, give what the slow computation says."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core.clock import from_us
from store import figures
from tests.core import random_months
from tests.ingest.ledgerroad import Road
from tests.store import months
from tests.store.months import UNIT

if TYPE_CHECKING:
    from store.connection import Pool
    from tests.core.month_oracle import World

# Of 10,000 months a few for which the store, the writer and the calculator are asked as well.
SEEDS = range(3, 11)


def messages(world: World) -> list[list[tuple[str, int, float, int]]]:
    """Return the month's readings as they come: points mixed, each in its order of arrival."""
    draw = random.Random(world.seed)  # noqa: S311 - a replayable month, no secret
    queues = [
        [
            (f"{UNIT}.{one.key}", arrival.at, float(arrival.value), arrival.quality)
            for arrival in one.arrivals
        ]
        for one in world.metered
    ]
    sent: list[list[tuple[str, int, float, int]]] = []
    while any(queues):
        message = []
        for queue in queues:
            length = draw.randrange(12)
            message += queue[:length]
            del queue[:length]
        if message:
            sent.append(message)
    return sent


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_random_month_of_the_store_is_what_the_slow_computation_says(
    pool: Pool, seed: int
) -> None:
    world = random_months.make(seed)
    plan = months.declared(world)
    # The clock of the ledger stands after the month: facts and readings come in late.
    road = await Road.begin(pool, plan, from_us(world.month[1]) + timedelta(days=80))
    sent = messages(world)
    for number, message in enumerate(sent):
        await road.send(message)
        if number % 4 == 0:
            while await road.calculator.step():
                pass
    for fact in months.facts_of(world):
        await road.send_fact(fact.item())
    await road.compute()
    for one in world.metered:
        await road.confirm(f"{UNIT}.{one.key}", sorted(one.meter.confirmed_us))
    await road.compute()
    async with pool.connection() as link:
        source = figures.Stored(link, road.declared.ids)
        found = await months.of_source(world, plan, source)
    assert found == months.of_oracle(world), f"seed {seed}"
    assert road.writer.counters.new > 0
