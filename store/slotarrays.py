"""Slots of one point as columns: summed over any periods exactly as the store sums them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.clock import from_us
from core.intensity import PeriodEnergy
from core.openslots import SlotRows
from store import arrays

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from core.energy import Figures
    from core.exactmath import Int64s

    Mask = NDArray[np.bool_]

Slot = tuple[int | None, int, int, int]  # energy, estimated, measured, flags as stored


@dataclass(frozen=True, slots=True)
class SlotArrays:
    """Slots in order of time, one row each; slots of which nothing is to be said have no row.

    Where `known` is false, energy is unknown and its number is 0.
    """

    start_us: Int64s
    energy_e6: Int64s
    known: Mask
    estimated_e6: Int64s
    measured_us: Int64s
    flags: Int64s

    def __len__(self) -> int:
        return len(self.start_us)

    @classmethod
    def computed(cls, begin_us: int, figures: Figures) -> SlotArrays:
        """Return the slots that the pure function gave for slots from `begin_us` on."""
        rows = SlotRows.of_point(0, begin_us, figures)
        return cls(
            rows.start_us,
            rows.energy_e6,
            rows.known,
            rows.estimated_e6,
            rows.measured_us,
            rows.flags,
        )

    @classmethod
    def join(cls, parts: Iterable[SlotArrays]) -> SlotArrays:
        """Return the slots of parts that follow one another."""
        nothing = np.zeros(0, np.int64)
        held = [cls(nothing, nothing, np.zeros(0, np.bool_), nothing, nothing, nothing), *parts]
        return cls(*(np.concatenate([getattr(part, name) for part in held]) for name in _COLUMNS))

    def take(self, which: NDArray[Any] | slice) -> SlotArrays:
        """Return the slots at these places, under a mask, or of a slice."""
        return SlotArrays(*(getattr(self, name)[which] for name in _COLUMNS))

    def within(self, begin_us: int, end_us: int) -> SlotArrays:
        """Return the slots that begin in [begin, end)."""
        return self.take(slice(*np.searchsorted(self.start_us, (begin_us, end_us))))

    def same(self, other: SlotArrays) -> bool:
        """Tell whether both hold the same slots, bit for bit."""
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in _COLUMNS)

    def rows(self) -> dict[int, Slot]:
        """Return (energy, estimated, measured, flags) of each slot by its start, as stored."""
        columns = (
            column.tolist()
            for column in (
                self.start_us, self.energy_e6, self.known,
                self.estimated_e6, self.measured_us, self.flags,
            )
        )  # fmt: skip
        return {
            start: (energy if known else None, estimated, measured, flags)
            for start, energy, known, estimated, measured, flags in zip(*columns, strict=True)
        }

    def sums(self, bounds: Sequence[tuple[int, int]]) -> list[PeriodEnergy]:
        """Return the energy of each period; a slot belongs to the one in which it begins."""
        found: list[PeriodEnergy] = []
        for begin_us, end_us in bounds:
            part = self.within(begin_us, end_us)
            energy = int(part.energy_e6.sum()) if part.known.any() else None
            found.append(
                PeriodEnergy(
                    begin_us,
                    end_us,
                    energy,
                    int(part.estimated_e6.sum()),
                    int(part.measured_us.sum()),
                    int(np.bitwise_or.reduce(part.flags)),
                )
            )
        return found


_COLUMNS = tuple(SlotArrays.__dataclass_fields__)


async def stored(
    connection: AsyncConnection[Any], point_id: int, begin_us: int, end_us: int
) -> SlotArrays:
    """Return the stored slots of a point that begin in [begin, end)."""
    cursor = arrays.read_columns(connection.cursor())
    await cursor.execute(
        "select array_agg(slot_start order by slot_start), array_agg(coalesce(energy_e6, 0)"
        " order by slot_start), array_agg((energy_e6 is not null)::int order by slot_start),"
        " array_agg(estimated_e6 order by slot_start), array_agg(measured_us order by slot_start),"
        " array_agg(flags order by slot_start) from slot_energy"
        " where point_id = %s and slot_start >= %s and slot_start < %s",
        (point_id, from_us(begin_us), from_us(end_us)),
        binary=True,
    )
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return SlotArrays.join([])
    start, energy, known, estimated, measured, flags = row
    return SlotArrays(start, energy, known > 0, estimated, measured, flags.astype(np.int64))


async def put(
    connection: AsyncConnection[Any],
    rows: Sequence[tuple[int, int, Slot | None]],
    computed_at: datetime,
) -> None:
    """Overwrite single slots (point number, start, slot); None: there is to be no row."""
    for number, start, slot in rows:
        if slot is None:
            await connection.execute(
                "delete from slot_energy where point_id = %s and slot_start = %s",
                (number, from_us(start)),
            )
    kept = [(number, start, slot) for number, start, slot in rows if slot is not None]
    await connection.execute(
        "insert into slot_energy (point_id, slot_start, energy_e6, estimated_e6, measured_us,"
        " flags, computed_at) select p, t, e, x, m, f, %s from unnest(%s::int[],"
        " %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[])"
        " as k(p, t, e, x, m, f) on conflict (point_id, slot_start) do update set"
        " energy_e6 = excluded.energy_e6, estimated_e6 = excluded.estimated_e6,"
        " measured_us = excluded.measured_us, flags = excluded.flags,"
        " computed_at = excluded.computed_at",
        (
            computed_at,
            [number for number, _, _ in kept],
            [from_us(start) for _, start, _ in kept],
            *([slot[place] for _, _, slot in kept] for place in range(4)),
        ),
    )
