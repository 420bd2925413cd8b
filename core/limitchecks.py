"""What rows of a limits file say about indicators, about time and about one another.

Works on the data as written, whatever shape it is in, so that these mistakes are told together with
those of single keys; what has the wrong shape is left to the model to complain about.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from core import indicators

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.errors import Problem
    from core.tomlfile import Document

SEEDS: Final = "seeds/"  # sources that are documents given with the project: always quoted
_UPPER: Final = ("<=", "<")
# Two rows that agree in all of these are editions of one limit: only one holds on a day.
_EDITION_OF: Final = ("indicator", "level", "jurisdiction", "scheme")


def problems(document: Document) -> list[Problem]:
    """Return what does not fit together in a limits file."""
    table = document.data.get("limit")
    if not isinstance(table, dict):
        return []
    rows = {key: row for key, row in table.items() if isinstance(row, dict)}
    found = [
        document.problem(("limit", key, on), text)
        for key, row in rows.items()
        for on, text in _of_row(row)
    ]
    return found + list(_overlaps(document, rows))


def _of_row(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _of_indicator(row)
    begin, end = _day(row, "valid_from"), _day(row, "valid_to")
    if begin is not None and end is not None and end <= begin:
        yield "valid_to", "the first day without it must be a later one"
    yield from _of_trajectory(row)
    source = row.get("source")
    if isinstance(source, str) and source.startswith(SEEDS) and not row.get("quote"):
        yield "source", "a given document is quoted: add its words"
    if row.get("correction") and row.get("cmp", "<=") not in _UPPER:
        yield "correction", "only an upper limit has corrections: remove it or change cmp"


def _of_indicator(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name, unit = row.get("indicator"), row.get("unit")
    if not isinstance(name, str):
        return
    indicator = indicators.catalogue().get(name)
    if indicator is None:
        yield "indicator", f"unknown indicator {name!r}: see indicators.toml"
    elif isinstance(unit, str) and indicator.unit != unit:
        yield "unit", f"the indicator's unit is {indicator.unit}, not {unit}"


def _of_trajectory(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    trajectory = row.get("trajectory")
    if (row.get("kind") == "trajectory") != (trajectory is not None):
        yield "trajectory", 'a trajectory belongs to kind = "trajectory", which needs it'
    if isinstance(trajectory, dict):
        base, end = trajectory.get("base_year"), trajectory.get("end_year")
        if isinstance(base, int) and isinstance(end, int) and end <= base:
            yield "trajectory", "end_year must come after base_year"


def _overlaps(document: Document, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Say of two editions of one limit that both would hold on some day."""
    editions: dict[tuple[Any, ...], list[tuple[date, str]]] = {}
    for key, row in rows.items():
        begin = _day(row, "valid_from")
        which = tuple(row.get(name) for name in _EDITION_OF)
        if begin is not None and all(isinstance(one, (str, int, type(None))) for one in which):
            editions.setdefault(which, []).append((begin, key))
    for found in editions.values():
        latest: str | None = None  # the one before that holds longest
        for begin, key in sorted(found):
            if latest is not None and _holds_on(rows[latest], begin):
                place = document.where(("limit", latest)).removesuffix(f": limit.{latest}")
                yield document.problem(
                    ("limit", key, "valid_from"),
                    f"{latest!r} ({place}) limits the same in the same scheme and still holds then:"
                    " give the older one a valid_to, or set other words for scheme or level",
                )
            if latest is None or _ends_later(rows[key], rows[latest]):
                latest = key


def _holds_on(row: Mapping[str, Any], day: date) -> bool:
    end = _day(row, "valid_to")
    return end is None or day < end


def _ends_later(row: Mapping[str, Any], than: Mapping[str, Any]) -> bool:
    end, other = _day(row, "valid_to"), _day(than, "valid_to")
    return other is not None and (end is None or end > other)


def _day(row: Mapping[str, Any], key: str) -> date | None:
    value = row.get(key)
    return value if isinstance(value, date) and not isinstance(value, datetime) else None
