"""The lines of an evidence pack: what stands in each, their index, and the seal. Pure.

A line is one canonical JSON object with its `member`; the last but one is the index with the hash
of every line before it, the last one its seal. docs/evidence.md tells of each member.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import decimals, periods
from core.periods import SLOT_US
from store.inspector import sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from core.exactmath import Floats, Int16s, Int64s
    from store.slotarrays import SlotArrays

Member = dict[str, Any]
DAY_US: Final = 86_400_000_000
FORMAT: Final = 1


def seal(
    members: Iterable[Mapping[str, Any]],
    sign: Callable[[bytes], bytes] | None = None,
    key: str | None = None,
) -> bytes:
    """Return the pack of these members, indexed and sealed; unsigned without `sign`."""
    lines = [sealed.canonical(member).encode() for member in members]
    index = sealed.canonical(sealed.index_of(lines)).encode()
    signature = None if sign is None else base64.b64encode(sign(index)).decode()
    last = {
        "member": "seal",
        "sha256": sealed.sha256(index),
        "key": None if sign is None else key,
        "signature": signature,
    }
    return b"\n".join([*lines, index, sealed.canonical(last).encode(), b""])


def rows(name: str, table: Mapping[str, Any], wanted: Iterable[str]) -> Iterator[Member]:
    """Yield a catalogue's rows as its file has them, dates as text."""
    for key in wanted:
        if key in table:
            row = json.loads(json.dumps(table[key], default=lambda one: one.isoformat()))
            yield {"member": name, "id": key, "row": row}


def readings(
    point: str, ts_us: Int64s, value: Floats, quality: Int16s, recorded_us: Int64s
) -> Iterator[Member]:
    """Yield a line for each day (UTC) of readings; instants as differences from the one before."""
    days = ts_us // DAY_US
    for part in np.split(np.arange(len(ts_us)), np.flatnonzero(np.diff(days)) + 1):
        if not len(part):
            continue
        yield {
            "member": "readings",
            "point": point,
            "day": periods.render_utc(int(days[part[0]]) * DAY_US)[:10],
            "at_us": np.diff(ts_us[part], prepend=0).tolist(),
            "value": [_value(one) for one in value[part].tolist()],
            "quality": quality[part].tolist(),
            "recorded_us": np.diff(recorded_us[part], prepend=0).tolist(),
        }


def _value(value: float) -> float | int | None:
    """Return a reading as JSON has it: whole ones without a point, none where there is none."""
    if not math.isfinite(value):
        return None
    return int(value) if value == int(value) else value


def slots(point: str, found: SlotArrays) -> Iterator[Member]:
    """Yield a line for each day (UTC) of a point's slots: start, energy, estimated, measured."""
    days: dict[int, list[list[int | None]]] = {}
    for start, (energy, estimated, measured, _) in found.rows().items():
        days.setdefault(start // DAY_US, []).append([start, energy, estimated, measured])
    for day, lines in sorted(days.items()):
        shown = periods.render_utc(day * DAY_US)[:10]
        yield {"member": "slots", "point": point, "day": shown, "rows": lines}


def fact(
    row: Sequence[Any],
    amount_e6: int,
    grades: Mapping[str, str],
    more: Sequence[str | None],
    recorded_at_us: int,
) -> Member:
    """Return one revision of a fact: (id, revision, unit, kind, instant), then (stream, unit)."""
    return {
        "member": "fact",
        "id": row[0],
        "revision": row[1],
        "unit": row[2],
        "kind": row[3],
        "at": periods.render_utc(row[4]),
        "amount": decimals.show_e6(amount_e6),
        "amount_unit": more[1],
        "stream": more[0],
        "grades": dict(grades),
        "recorded_at": periods.render_utc(recorded_at_us),
    }


def slots_over(bound_us: tuple[int, int]) -> tuple[int, int]:
    """Widen a span to whole slots."""
    return bound_us[0] // SLOT_US * SLOT_US, -(-bound_us[1] // SLOT_US) * SLOT_US
