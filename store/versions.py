"""Writing results: overwritten while open, a new version with its cause once closed.

A closed version is never touched again, and a trigger sees to it. Promise: many figures are
written in three statements, and those that have not changed cost one comparison in the database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from core.clock import from_us
from store import causes
from store.basis import Basis
from store.causes import Change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection


@dataclass(frozen=True, slots=True)
class Figure:
    """Figures of one period as they were computed."""

    unit: str
    indicator: str
    period: str
    start_us: int
    end_us: int
    figures: Mapping[str, Any]


async def write(
    connection: AsyncConnection[Any],
    key: tuple[str, str, str],
    bounds_us: tuple[int, int],
    figures: Mapping[str, Any],
    now: datetime,
) -> bool:
    """Store figures of (unit, indicator, period); tell whether anything changed."""
    rows = [Figure(*key, *bounds_us, figures)]
    return (await write_all(connection, rows, now, now, Basis()))[0]


async def write_all(
    connection: AsyncConnection[Any],
    rows: Sequence[Figure],
    now: datetime,
    known_from: datetime,
    basis: Basis,
    why: Mapping[str, Any] | None = None,
) -> list[bool]:
    """Store figures in the caller's transaction; tell of each whether anything changed.

    An open result is overwritten. At its close it becomes version 1. A closed one is never
    touched: other figures make the next version (design 5, invariant 6), with its cause: `why`,
    or what was recorded since. `now` is when the figures were computed, `known_from` an instant
    at or after which all they rest on was read: from then on a closed version is known.
    """
    if not rows:
        return []
    texts = [json.dumps(row.figures, ensure_ascii=False, sort_keys=True) for row in rows]
    stand = await _stand(connection, rows, texts)
    closed = [from_us(row.end_us) <= now for row in rows]
    changed = [
        there.result is None or not there.same or (ends and not there.closed)
        for there, ends in zip(stand, closed, strict=True)
    ]
    again = [n for n, there in enumerate(stand) if changed[n] and there.closed]
    cause: dict[int, Mapping[str, Any]] = {}
    if why is not None:
        cause = dict.fromkeys(again, why)
    elif again:
        before = await _figures(connection, [stand[n].result for n in again])
        asked = [_change(rows[n], stand[n], old) for n, old in zip(again, before, strict=True)]
        cause = dict(zip(again, await causes.find(connection, asked, basis), strict=True))
    written = [
        _Written(
            row,
            text,
            stand[n],
            ends or stand[n].closed,
            known_from if ends or stand[n].closed else now,
            cause.get(n, causes.first()) if ends or stand[n].closed else None,
        )
        for n, (row, text, ends) in enumerate(zip(rows, texts, closed, strict=True))
        if changed[n]
    ]
    await _update(connection, [each for each in written if each.overwrites], basis)
    await _insert(connection, [each for each in written if not each.overwrites], basis)
    return changed


@dataclass(frozen=True, slots=True)
class _Stand:
    """The newest version that is stored; `result` None: there is none."""

    result: UUID | None
    closed: bool
    version: int
    same: bool
    computed_at: datetime
    declaration: int | None
    catalogue: str | None


@dataclass(frozen=True, slots=True)
class _Written:
    figure: Figure
    text: str
    stand: _Stand
    closed: bool
    at: datetime
    cause: Mapping[str, Any] | None

    @property
    def overwrites(self) -> bool:
        return self.stand.result is not None and not self.stand.closed

    @property
    def version(self) -> int:
        return self.stand.version + 1 if self.closed else 0


async def _stand(
    connection: AsyncConnection[Any], rows: Sequence[Figure], texts: Sequence[str]
) -> list[_Stand]:
    """Return what is stored of each figure, locked until the caller's transaction ends."""
    cursor = await connection.execute(
        "select r.result, coalesce(r.closed, false), coalesce(r.version, 0), r.figures = k.figures,"
        " r.computed_at, r.declaration, r.catalogue from unnest(%s::text[], %s::text[],"
        " %s::text[], %s::timestamptz[], %s::jsonb[]) with ordinality"
        " as k(unit, indicator, period, start, figures, n) left join lateral (select * from result"
        " where result.unit = k.unit and result.indicator = k.indicator"
        " and result.period = k.period and result.period_start = k.start"
        " order by version desc limit 1 for update) r on true order by k.n",
        (
            [row.unit for row in rows],
            [row.indicator for row in rows],
            [row.period for row in rows],
            [from_us(row.start_us) for row in rows],
            list(texts),
        ),
    )
    return [_Stand(*row) for row in await cursor.fetchall()]


async def _figures(
    connection: AsyncConnection[Any], ids: Sequence[UUID | None]
) -> list[Mapping[str, Any]]:
    cursor = await connection.execute(
        "select result.figures from unnest(%s::uuid[]) with ordinality as k(result, n)"
        " join result using (result) order by k.n",
        (list(ids),),
    )
    return [row[0] for row in await cursor.fetchall()]


def _change(row: Figure, there: _Stand, before: Mapping[str, Any]) -> Change:
    return Change(
        row.unit,
        row.start_us,
        row.end_us,
        there.computed_at,
        there.declaration,
        there.catalogue,
        before,
        row.figures,
    )


async def _update(connection: AsyncConnection[Any], rows: Sequence[_Written], basis: Basis) -> None:
    if rows:
        await connection.execute(
            "update result set closed = k.closed, version = k.version, figures = k.figures,"
            " computed_at = k.at, declaration = k.declaration, catalogue = k.catalogue,"
            " cause = k.cause, change = default from unnest(%s::uuid[], %s::bool[], %s::int[],"
            " %s::jsonb[], %s::timestamptz[], %s::int[], %s::text[], %s::jsonb[]) as k(result,"
            " closed, version, figures, at, declaration, catalogue, cause)"
            " where result.result = k.result",
            ([each.stand.result for each in rows], *_columns(rows, basis)),
        )


async def _insert(connection: AsyncConnection[Any], rows: Sequence[_Written], basis: Basis) -> None:
    if rows:
        await connection.execute(
            "insert into result (unit, indicator, period, period_start, period_end, closed,"
            " version, figures, computed_at, declaration, catalogue, cause)"
            " select * from unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[],"
            " %s::timestamptz[], %s::bool[], %s::int[], %s::jsonb[], %s::timestamptz[],"
            " %s::int[], %s::text[], %s::jsonb[])",
            (
                [each.figure.unit for each in rows],
                [each.figure.indicator for each in rows],
                [each.figure.period for each in rows],
                [from_us(each.figure.start_us) for each in rows],
                [from_us(each.figure.end_us) for each in rows],
                *_columns(rows, basis),
            ),
        )


def _columns(rows: Sequence[_Written], basis: Basis) -> tuple[list[Any], ...]:
    return (
        [each.closed for each in rows],
        [each.version for each in rows],
        [each.text for each in rows],
        [each.at for each in rows],
        [basis.declaration(each.figure.unit) for each in rows],
        [basis.catalogue or None for _ in rows],
        [None if each.cause is None else Jsonb(dict(each.cause)) for each in rows],
    )
