"""`danhao edge check`: every point read once, for a person: words, value, unit, what is wrong."""

from __future__ import annotations

import asyncio
import unicodedata
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from edge.lines import by_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edge.driver import Seen, Station

_HEADS: Final = ("POINT", "QUANTITY", "RAW", "VALUE", "UNIT", "COUNT", "MS", "")
MOST_RAW_CHARS: Final = 48  # a DL/T 645 frame with one value has 40
_RIGHT: Final = frozenset({3, 5, 6})


@dataclass(frozen=True, slots=True)
class Checked:
    """One device and what every point of it gave."""

    name: str
    title: str
    where: str
    seen: tuple[Seen, ...]

    @property
    def ok(self) -> bool:
        """Tell whether every point came and none looks wrong."""
        return bool(self.seen) and not any(one.warnings for one in self.seen)

    def item(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        return {
            "device": self.name,
            "model": self.title,
            "where": self.where,
            "ok": self.ok,
            "points": [
                {**asdict(one), "warnings": list(one.warnings)} for one in self.seen if one.point
            ],
            "texts": {one.name: one.value for one in self.seen if not one.point},
        }


async def check(stations: Sequence[Station]) -> list[Checked]:
    """Look at every device: those of one line one after another, lines side by side."""
    found: dict[str, Checked] = {}

    async def line(members: Iterable[Station]) -> None:
        for station in members:
            seen = tuple(await station.driver.look())
            name = station.driver.name
            found[name] = Checked(name, station.title, station.where, seen)
        for station in members:
            await station.driver.close()

    await asyncio.gather(*(line(members) for members in by_line(stations).values()))
    return [found[station.driver.name] for station in stations]


def table(found: Iterable[Checked]) -> Iterator[str]:
    """Yield the lines of a table, one device after another, and a last line that sums up."""
    points = wrong = 0
    for device in found:
        yield f"{device.name}: {device.title}, {device.where}: {'ok' if device.ok else 'LOOK HERE'}"
        faults = {warning for one in device.seen for warning in one.warnings}
        if len(faults) == 1 and not any(one.raw for one in device.seen) and len(device.seen) > 1:
            yield f"  all {len(device.seen)} points: {faults.pop()}"
            points, wrong = points + len(device.seen), wrong + len(device.seen)
            continue
        yield from _aligned([_HEADS, *map(_cells, device.seen)])
        points += sum(1 for one in device.seen if one.point)
        wrong += sum(1 for one in device.seen if one.warnings)
    yield (
        f"{points} points read, {wrong} to look at" if wrong else f"{points} points read, all well"
    )


def _cells(one: Seen) -> tuple[str, ...]:
    raw = one.raw if len(one.raw) <= MOST_RAW_CHARS else f"{one.raw[: MOST_RAW_CHARS - 1]}…"
    return (
        one.point or "-",
        one.name,
        raw or "-",
        "-" if one.value is None else one.value,
        one.unit,
        str(one.count) if isinstance(one.count, int) else "",
        "-" if one.latency_ms is None else f"{one.latency_ms:.1f}",
        "; ".join(one.warnings),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(_width(row[column]) for row in rows) for column in range(len(_HEADS))]
    for row in rows:
        cells = [
            f"{' ' * (width - _width(cell))}{cell}"
            if column in _RIGHT
            else f"{cell}{' ' * (width - _width(cell))}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"  {'  '.join(cells)}".rstrip()


def _width(text: str) -> int:
    """Return how many columns a terminal gives to a text; Chinese signs take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)
