"""How each channel of alerts has fared: its circuit, kept where every program can see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.circuits import Circuit, State

if TYPE_CHECKING:
    from psycopg import AsyncConnection

_SELECT = (
    "select channel, state, failures, failing_since, open_until, tried_at, delivered_at, detail"
    " from delivery_circuit"
)


async def find(connection: AsyncConnection[Any], channel: str) -> Circuit:
    """Return the circuit of a channel; one that was never tried is closed."""
    cursor = await connection.execute(f"{_SELECT} where channel = %s", (channel,))
    row = await cursor.fetchone()
    return Circuit() if row is None else _circuit(row)


async def states(connection: AsyncConnection[Any]) -> dict[str, Circuit]:
    """Return the circuit of every channel that was ever tried, in the order of their names."""
    cursor = await connection.execute(f"{_SELECT} order by channel")
    return {row[0]: _circuit(row) for row in await cursor.fetchall()}


async def save(connection: AsyncConnection[Any], channel: str, circuit: Circuit) -> None:
    """Keep how a channel has fared; a part of the caller's transaction."""
    await connection.execute(
        "insert into delivery_circuit (channel, state, failures, failing_since, open_until,"
        " tried_at, delivered_at, detail) values (%s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (channel) do update set state = excluded.state,"
        " failures = excluded.failures, failing_since = excluded.failing_since,"
        " open_until = excluded.open_until, tried_at = excluded.tried_at,"
        " delivered_at = excluded.delivered_at, detail = excluded.detail",
        (
            channel,
            circuit.state.value,
            circuit.failures,
            circuit.failing_since,
            circuit.open_until,
            circuit.tried_at,
            circuit.delivered_at,
            circuit.detail,
        ),
    )


def _circuit(row: Any) -> Circuit:
    return Circuit(State(row[1]), *row[2:])
