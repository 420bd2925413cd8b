"""Totals of the whole ledger: what a bench or a person compares with what was sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import AsyncConnection


@dataclass(frozen=True, slots=True)
class Totals:
    """Readings, dead letters, and the energy of all slots of all points in 1e-6 of their units."""

    readings: int
    dead_letters: int
    energy_e6: int


async def count(connection: AsyncConnection[Any]) -> Totals:
    """Count the ledger; reads every reading's index entry, so it takes seconds a 10 million."""
    cursor = await connection.execute(
        "select (select count(*) from reading), (select count(*) from dead_letter),"
        " (select coalesce(sum(energy_e6), 0)::numeric::text from slot_energy)"
    )
    row = await cursor.fetchone()
    assert row is not None, "a count has one row"  # noqa: S101 - a belief
    return Totals(row[0], row[1], int(row[2]))


async def enveloped(connection: AsyncConnection[Any]) -> int:
    """Return how many envelopes are committed, of all outboxes together."""
    cursor = await connection.execute("select coalesce(sum(committed), 0)::bigint from agent_epoch")
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def waiting(connection: AsyncConnection[Any]) -> int:
    """Return how many marks of slots are not computed yet."""
    cursor = await connection.execute("select count(*) from touched")
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])
