"""Agents as the store knows them: progress of their outboxes, their last word, worker leases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg.types.json import Jsonb

from core.progress import Progress, Spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg.types.multirange import Multirange

    from core.wire import Status

MOST_EPOCHS: Final = 100_000  # read back on a connect: one an agent

_LAST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Epoch:
    """One outbox's life."""

    site: str
    agent: str
    epoch: str


async def progress(
    connection: AsyncConnection[Any], epochs: Iterable[Epoch]
) -> dict[Epoch, Progress]:
    """Return and lock the progress of these epochs; nothing committed yet where there is no row."""
    wanted = sorted(set(epochs))  # in one order everywhere, so that two writers cannot deadlock
    found = {each: Progress() for each in wanted}
    if not wanted:
        return found
    cursor = await connection.execute(
        f"select {_PROGRESS} from agent_epoch"  # noqa: S608 - constants only
        " where (site, agent, epoch) in (select * from unnest(%s::text[], %s::text[], %s::text[]))"
        " order by site, agent, epoch for update",
        ([e.site for e in wanted], [e.agent for e in wanted], [e.epoch for e in wanted]),
    )
    return found | dict(map(_row, await cursor.fetchall()))


async def save(
    connection: AsyncConnection[Any], states: Mapping[Epoch, Progress], now: datetime
) -> None:
    """Store the progress of epochs, in the transaction of the readings it speaks of."""
    rows = sorted(states.items(), key=lambda each: each[0])
    if not rows:
        return
    await connection.execute(
        "insert into agent_epoch as known (site, agent, epoch, committed, missing, lost, oldest,"
        " first_at, updated_at, missing_since) select s, a, e, c, m::int8multirange,"
        " l::int8multirange, o, %(now)s, %(now)s, case when m <> '{}' then %(now)s end"
        " from unnest(%(sites)s::text[], %(agents)s::text[], %(epochs)s::text[],"
        " %(committed)s::bigint[], %(missing)s::text[], %(lost)s::text[], %(oldest)s::bigint[])"
        " as t(s, a, e, c, m, l, o)"
        " on conflict (site, agent, epoch) do update set committed = excluded.committed,"
        " missing = excluded.missing, lost = excluded.lost, oldest = excluded.oldest,"
        " updated_at = excluded.updated_at,"
        " missing_since = case when excluded.missing_since is not null"
        "  then coalesce(known.missing_since, excluded.missing_since) end",
        {
            "now": now,
            "sites": [epoch.site for epoch, _ in rows],
            "agents": [epoch.agent for epoch, _ in rows],
            "epochs": [epoch.epoch for epoch, _ in rows],
            "committed": [state.committed for _, state in rows],
            "missing": [_multirange(state.missing) for _, state in rows],
            "lost": [_multirange(state.lost) for _, state in rows],
            "oldest": [state.oldest for _, state in rows],
        },
    )


async def newest_epochs(
    connection: AsyncConnection[Any], only: Sequence[tuple[str, str]] | None = None
) -> dict[Epoch, Progress]:
    """Return the epoch that each agent wrote last, of all agents or of these (site, agent)."""
    where, parameters = "true", {}
    if only is not None:
        where = "(site, agent) in (select * from unnest(%(sites)s::text[], %(agents)s::text[]))"
        parameters = {"sites": [site for site, _ in only], "agents": [agent for _, agent in only]}
    cursor = await connection.execute(
        f"select distinct on (site, agent) {_PROGRESS} from agent_epoch where {where}"  # noqa: S608 - constants only
        f" order by site, agent, updated_at desc, first_at desc limit {MOST_EPOCHS}",
        parameters,
    )
    return dict(map(_row, await cursor.fetchall()))


async def report(
    connection: AsyncConnection[Any], site: str, agent: str, status: Status, seen_at: datetime
) -> None:
    """Keep an agent's last word; the last to arrive counts, for a will is written long before.

    A broker repeats the word it retains to whoever connects: that is no sign of life.
    """
    await connection.execute(
        "insert into agent_status (site, agent, state, at, epoch, depth, oldest_at,"
        " clock_offset_ms, troubles, seen_at) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (site, agent) do update set state = excluded.state, at = excluded.at,"
        " epoch = excluded.epoch, depth = excluded.depth, oldest_at = excluded.oldest_at,"
        " clock_offset_ms = excluded.clock_offset_ms, troubles = excluded.troubles,"
        " seen_at = case when (agent_status.state, agent_status.at, agent_status.epoch) ="
        " (excluded.state, excluded.at, excluded.epoch) then agent_status.seen_at"
        " else excluded.seen_at end",
        (
            site, agent, status.state.value, status.at, status.epoch, status.depth,
            status.oldest_at, status.clock_offset_ms, Jsonb(dict(status.troubles)), seen_at,
        ),
    )  # fmt: skip


_PROGRESS: Final = "site, agent, epoch, committed, missing, lost, oldest"


def _row(row: Sequence[Any]) -> tuple[Epoch, Progress]:
    site, agent, epoch, committed, missing, lost, oldest = row
    return Epoch(site, agent, epoch), Progress(committed, _spans(missing), _spans(lost), oldest)


def _multirange(spans: Spans) -> str:
    """Return spans as PostgreSQL writes a multirange: half-open."""
    # The last sequence of all has no successor in bigint.
    ends = ["" if last == _LAST else str(last + 1) for _, last in spans]
    ranges = [f"[{first},{end})" for (first, _), end in zip(spans, ends, strict=True)]
    return "{" + ",".join(ranges) + "}"


def _spans(ranges: Multirange[int]) -> Spans:
    spans: list[tuple[int, int]] = []
    for each in ranges:
        assert each.lower is not None, "sequences begin at 1"  # noqa: S101 - a belief
        spans.append((each.lower, _LAST if each.upper is None else each.upper - 1))
    return tuple(spans)
