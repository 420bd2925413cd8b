"""The judge of deliveries can fail: each mistake of the programs is found within some seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from core import delivery
from deploy.deliveryworld.fortune import Fortune, Trouble
from deploy.faultworld.schedule import Kind
from ingest import webhook
from ingest.notifier import Notifier
from store import notifications

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from core.delivery import Plan, Terms, Waiting
    from deploy.deliveryworld.world import Simulation
    from store.notifications import Due

SEEDS = 12
STRENGTH = 4.0
FIRST = 4  # the rarest of them shows soon from here on
_plan, _claim, _queues = delivery.plan, notifications.claim, delivery._queues


async def no_mark_before_the_attempt(connection: Any, one: UUID, at: datetime) -> Due | None:
    found = await _claim(connection, one, at)
    await connection.execute(
        "update notification set tried_at = null where notification = %s and attempts = 0", (one,)
    )
    return found


def no_order_of_one_alert(waiting: Iterable[Waiting]) -> list[list[Waiting]]:
    return [[row] for queue in _queues(waiting) for row in queue]


def no_rate(waiting: Iterable[Waiting], sent: int, now: datetime, terms: Terms) -> Plan:
    return _plan(waiting, 0 * sent, now, terms)


def any_answer_is_a_receipt(status: int, answer: bytes) -> tuple[str | None, str]:
    return "r", f"answered {status} with {len(answer)} bytes"


async def nobody_else_is_told(self: Notifier, now: datetime) -> None:
    del self, now


MUTANTS = [
    (
        (notifications, "claim", no_mark_before_the_attempt),
        {Trouble.ANSWER_LOST, Trouble.REQUEST_LATE},
        {Kind.INGEST_KILLED_IN_WRITE},
        "came 2 times",
    ),
    ((delivery, "_queues", no_order_of_one_alert), {Trouble.REQUEST_LOST}, set(), "out of order"),
    ((delivery, "plan", no_rate), set(), set(), "messages within ten minutes"),
    (
        (webhook, "_judge", any_answer_is_a_receipt),
        {Trouble.ANSWER_500},
        set(),
        "a receipt that its receiver did not give",
    ),
    (
        (Notifier, "_escalate", nobody_else_is_told),
        {Trouble.RECEIVER_DEAD},
        set(),
        "nobody was told",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("where", "troubles", "kinds", "told"), MUTANTS)
def test_a_mistake_is_found(
    deliveries: Simulation,
    where: tuple[Any, str, Any],
    troubles: set[Trouble],
    kinds: set[Kind],
    told: str,
) -> None:
    owner, name, mutant = where
    with mock.patch.object(owner, name, mutant):
        for seed in range(FIRST, FIRST + SEEDS):
            drawn = Fortune(seed, frozenset(kinds), STRENGTH, 0, troubles=frozenset(troubles))
            faults = deliveries.run(drawn).faults
            if any(told in each for each in faults):
                return
    pytest.fail(f"{name} was not found within {SEEDS} seeds")
