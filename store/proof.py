"""Proof that two stores hold the same: counts, counter sums, energy, verdicts, and digests of them.

Everything is counted in one snapshot. Promise: a reading, a slot or a verdict that differs in one
bit gives another digest of its point, unit or table; what differs is told by name, and figures
that a person can check (rows, first and last value, sums) stand beside the digests.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from psycopg import sql

from core import decimals, periods
from store import blocks, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg import AsyncConnection

    from core.exactmath import Floats
    from store.blocks import Block

MOST_DIFFERENCES: Final = 100  # told one by one; the others as a number
MILLION: Final = 1_000_000
_ROW: Final = np.dtype([("ts", "<i8"), ("recorded", "<i8"), ("value", "<f8"), ("quality", "<i2")])
_LOW_BITS: Final = 32


@dataclass(slots=True)
class Tally:
    """Readings of one point as they pass in order of time: how many, their ends, sum and digest.

    `sum_e6` adds up the finite values, each rounded to a millionth: exact in any order.
    """

    rows: int = 0
    first: tuple[int, float] | None = None
    last: tuple[int, float] | None = None
    sum_e6: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, block: Block) -> None:
        """Take the next readings of the point; where blocks are cut makes no difference."""
        if not len(block):
            return
        packed = np.empty(len(block), _ROW)
        packed["ts"], packed["recorded"] = block.ts_us, block.recorded_us
        packed["value"] = np.where(np.isnan(block.value), np.nan, block.value)  # one NaN of many
        packed["quality"] = block.quality
        self.digest.update(packed.tobytes())
        if self.first is None:
            self.first = (int(block.ts_us[0]), float(block.value[0]))
        self.last = (int(block.ts_us[-1]), float(block.value[-1]))
        self.rows += len(block)
        self.sum_e6 += _sum_e6(block.value)

    def figures(self) -> dict[str, Any]:
        """Return what a person and a program compare, as JSON holds it."""
        return {
            "rows": self.rows,
            "first": _end(self.first),
            "last": _end(self.last),
            "sum": decimals.show_e6(self.sum_e6),
            "sha256": self.digest.hexdigest(),
        }


@dataclass(slots=True)
class Tallies:
    """The readings of all points, by name."""

    names: Mapping[int, str]
    by_point: dict[str, Tally] = field(default_factory=dict)

    def add(self, block: Block) -> None:
        """Take the next block of a day; blocks come by day, then by point, then by time."""
        for number, rows in block.runs():
            self.by_point.setdefault(self.names[number], Tally()).add(block.take(rows))

    @property
    def rows(self) -> int:
        """Return how many readings passed."""
        return sum(tally.rows for tally in self.by_point.values())

    def figures(self) -> dict[str, dict[str, Any]]:
        """Return the figures of each point, in order of name."""
        return {point: tally.figures() for point, tally in sorted(self.by_point.items())}


async def of_store(
    connection: AsyncConnection[Any], watch: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Return the proof of a store, within the caller's snapshot; `watch` hears of readings read."""
    tallies = Tallies(await tables.point_names(connection))
    for day in await blocks.stored_days(connection):
        async for block in blocks.read(connection, day, day + blocks.DAY_US):
            tallies.add(block)
            watch(tallies.rows)
    return await with_tallies(connection, tallies)


async def with_tallies(connection: AsyncConnection[Any], tallies: Tallies) -> dict[str, Any]:
    """Return the proof of a store whose readings have been counted in this same snapshot."""
    counts = {tables.READING: tallies.rows}
    for table in await tables.kept(connection):
        statement = sql.SQL("select count(*) from {}").format(sql.Identifier(table.name))
        row = await (await connection.execute(statement)).fetchone()
        counts[table.name] = int(row[0]) if row else 0
    energy = await (await connection.execute(_ENERGY)).fetchall()
    verdicts = await (await connection.execute(_VERDICTS)).fetchall()
    return {
        "rows": dict(sorted(counts.items())),
        "readings": tallies.figures(),
        "energy": {
            row[0]: {
                "slots": row[1],
                "sum": decimals.show_e6(int(row[2])),
                "estimated": decimals.show_e6(int(row[3])),
                "sha256": row[4],
            }
            for row in energy
        },
        "verdicts": {
            f"{unit} {indicator}": {"results": number, "sha256": digest}
            for unit, indicator, number, digest in verdicts
        },
    }


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Return what differs between two proofs, a sentence each, MOST_DIFFERENCES at most."""
    found: list[str] = []
    for part, what in _PARTS.items():
        a, b = one[part], other[part]
        found += [
            f"{what} {key}: {_told(a.get(key), b.get(key))}"
            for key in sorted(set(a) | set(b))
            if a.get(key) != b.get(key)
        ]
    if len(found) > MOST_DIFFERENCES:
        rest = len(found) - MOST_DIFFERENCES
        found = [*found[:MOST_DIFFERENCES], f"and {rest} more"]
    return found


_PARTS: Final = {
    "rows": "rows of",
    "readings": "readings of",
    "energy": "energy of",
    "verdicts": "results of",
}
# What was computed when is left out: computing again must not look like another figure.
_ENERGY: Final = (
    "select p.point, count(*), coalesce(sum(energy_e6), 0), coalesce(sum(estimated_e6), 0),"
    " encode(sha256(convert_to(string_agg(concat_ws(',', extract(epoch from slot_start)::bigint,"
    "  coalesce(energy_e6::text, '-'), estimated_e6, measured_us, flags), ';'"
    "  order by slot_start), 'utf8')), 'hex')"
    " from slot_energy join point p using (point_id) group by p.point order by p.point"
)
_VERDICTS: Final = (
    "select unit, indicator, count(*), encode(sha256(convert_to(string_agg(concat_ws(',', period,"
    "  extract(epoch from period_start)::bigint, extract(epoch from period_end)::bigint, closed,"
    "  version, figures), ';' order by period collate \"C\", period_start, version), 'utf8')),"
    "  'hex')"
    " from result group by unit, indicator order by unit, indicator"
)


def _told(a: Any, b: Any) -> str:
    if isinstance(a, dict) and isinstance(b, dict):
        parts = [
            f"{key} {a.get(key)} and {b.get(key)}"
            for key in dict.fromkeys([*a, *b])
            if key != "sha256" and a.get(key) != b.get(key)
        ]
        return ", ".join(parts) or "the same number with other contents"
    return f"{_one(a)} and {_one(b)}"


def _one(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return " ".join(f"{key} {each}" for key, each in value.items() if key != "sha256")
    return str(value)


def _end(end: tuple[int, float] | None) -> list[Any] | None:
    if end is None:
        return None
    at_us, value = end
    return [periods.render_utc(at_us), None if np.isnan(value) else value]


def _sum_e6(value: Floats) -> int:
    """Return the sum of finite values in millionths, each rounded half-even, exactly."""
    known = value[np.isfinite(value)]
    whole = np.floor(known)
    parts = np.rint((known - whole) * MILLION).astype(np.int64)
    # Split, for a block of values of 2^53 would run over in 64 bits.
    count = whole.astype(np.int64)
    high, low = count >> _LOW_BITS, count & ((1 << _LOW_BITS) - 1)
    total = (int(high.sum()) << _LOW_BITS) + int(low.sum())
    return total * MILLION + int(parts.sum())
