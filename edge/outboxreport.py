"""What `danhao edge outbox` shows: depth, bytes, oldest, rates, losses, and how long it lasts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final

from core.clock import from_us
from core.wire import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from edge.outboxplan import Plan
    from edge.outboxstate import Ahead, Rates, State

BAD_NEWS: Final = ("lost_envelopes", "set_aside", "corrupt_files", "damaged", "unplaceable")
MB: Final = 1 << 20


def is_bad(state: State) -> bool:
    """Tell whether anything was lost or given up."""
    return any(getattr(state, name) for name in BAD_NEWS)


def item(state: State, rates: Mapping[str, Rates], path: Path, max_bytes: int) -> dict[str, Any]:
    """Return how an outbox stands as JSON carries it."""
    shown = dataclasses.asdict(state)
    shown["oldest_at"] = _at(shown.pop("oldest_us"))
    shown["path"] = str(path)
    shown["max_bytes"] = max_bytes
    shown["kept_per_s"] = next((each.kept for each in rates.values()), None)
    shown["destinations"] = [
        _destination(each, rates[each.destination], state) for each in state.destinations
    ]
    return shown


def table(shown: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the same for people."""
    yield f"outbox {shown['path']}, epoch {shown['epoch']}"
    yield (
        f"  holds {shown['held']} envelopes ({shown['first_sequence']} to"
        f" {shown['last_sequence']}), {shown['payload_bytes'] / MB:.1f} of"
        f" {shown['max_bytes'] / MB:.0f} MB; the file has {shown['file_bytes'] / MB:.1f} MB"
    )
    yield f"  keeps {_number(shown['kept_per_s'])} readings/s"
    for each in shown["destinations"]:
        yield (
            f"  to {each['destination']}: {each['depth']} envelopes wait, the oldest since"
            f" {each['oldest_at'] or '-'}; receipts for {_number(each['received_per_s'])}"
            f" readings/s{_drained(each['drained_in_s'])}"
        )
    for name in ("withheld", "lost_readings", *BAD_NEWS):
        if shown[name]:
            yield f"  {name}: {shown[name]}  ({_MEANING[name]})"


def plan_item(plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON carries it."""
    return {**dataclasses.asdict(plan), "days": plan.days}


def plan_line(plan: Plan) -> str:
    """Return a plan for people."""
    bound = "its size" if plan.days_by_size < plan.days_by_age else "keep_days"
    return (
        f"{plan.points} points every {plan.period_s:g} s take {plan.bytes_per_reading:.1f} bytes a"
        f" reading: {plan.days:.1f} days without any receipt cost nothing (bounded by {bound})"
    )


def _destination(ahead: Ahead, rates: Rates, state: State) -> dict[str, Any]:
    shown = dataclasses.asdict(ahead)
    shown["oldest_at"] = _at(shown.pop("oldest_us"))
    shown["missing"] = [list(span) for span in ahead.missing]
    shown["received_per_s"] = rates.received
    shown["drained_in_s"] = _drained_in_s(ahead.depth, rates, state)
    return shown


def _drained_in_s(depth: int, rates: Rates, state: State) -> float | None:
    """Return when nothing waits any more at the present rates, None where that is not in sight."""
    if not depth or rates.received is None or rates.kept is None or not state.rows_per_envelope:
        return None
    ahead = rates.received - rates.kept
    return depth * state.rows_per_envelope / ahead if ahead > 0 else None


def _at(at_us: int | None) -> str | None:
    return None if at_us is None else instant(from_us(at_us))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _drained(seconds: float | None) -> str:
    return "" if seconds is None else f"; drained in about {seconds / 3600:.1f} h"


_MEANING: Final = {
    "withheld": "not sent before the clock is right",
    "lost_readings": "readings in the lost envelopes",
    "lost_envelopes": "dropped by size or age though some destination lacked them",
    "set_aside": "a living store never took them: see `danhao ingest dead-letters` there",
    "corrupt_files": "kept beside the outbox as *.corrupt-N",
    "damaged": "envelopes that the disk gave back changed; not sent",
    "unplaceable": "measured by a wrong clock in an earlier boot; kept, never sent",
}
