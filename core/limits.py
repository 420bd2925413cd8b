"""The catalogue of limits: the law as data, each row with force, clause, validity and source."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from core import decimals, indicators, periods, tomlfile
from core.clock import from_us
from core.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_COMPLETENESS: Final = Decimal("0.90")


class Force(StrEnum):
    """What a limit binds to: the law, an aim of a plan, or a benchmark."""

    MANDATORY = "mandatory"
    TARGET = "target"
    REFERENCE = "reference"


class Comparison(StrEnum):
    """How the figure must stand to the limit; at a strict one equality fails."""

    AT_MOST = "<="
    BELOW = "<"
    AT_LEAST = ">="
    ABOVE = ">"


def _decimal(value: object) -> Decimal:
    if not isinstance(value, str):
        raise ValueError('write the number as a string such as "12750"')  # noqa: TRY004 - pydantic wants ValueError
    return decimals.parse(value)


_Exact = Annotated[Decimal, BeforeValidator(_decimal)]


class _LimitTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    indicator: str
    name: dict[Literal["zh", "en"], str]
    value: _Exact
    cmp: Comparison
    unit: str
    force: Force
    level: Literal[1, 2, 3] | None = None
    scheme: str
    jurisdiction: str
    valid_from: date
    valid_to: date | None = None
    due: date | None = None
    completeness: Annotated[_Exact, Field(ge=0, le=1)] = DEFAULT_COMPLETENESS
    guard_band: bool = True
    source: Annotated[str, Field(min_length=3)]
    clause: Annotated[str, Field(min_length=1)]
    quote: str | None = None
    note: str | None = None


class _LimitFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    limit: dict[str, _LimitTable]


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of one source; dates are days of plant time, `valid_to` the first day without it.

    `due` is when a target was to be met: past it the limit is lapsed and is judged all the same.
    `guard_band` False sets the uncertainty to zero in its verdict.
    """

    id: str
    indicator: str
    name: Mapping[str, str]
    value: Decimal
    cmp: Comparison
    unit: str
    force: Force
    level: int | None
    scheme: str
    jurisdiction: str
    valid_from: date
    valid_to: date | None
    due: date | None
    completeness: Decimal
    guard_band: bool
    source: str
    clause: str
    quote: str | None
    note: str | None

    def applies(self, jurisdiction: str, start_us: int, timezone: str) -> bool:
        """Tell whether the limit is in force where and when a period begins."""
        inside = jurisdiction == self.jurisdiction or jurisdiction.startswith(
            self.jurisdiction + "-"
        )
        day = from_us(start_us).astimezone(periods.zone(timezone)).date()
        return inside and self.valid_from <= day and (self.valid_to is None or day < self.valid_to)

    def lapsed(self, start_us: int, timezone: str) -> bool:
        """Tell whether the target's due date lies before the period."""
        day = from_us(start_us).astimezone(periods.zone(timezone)).date()
        return self.due is not None and day > self.due


def parse(text: str, name: str) -> dict[str, Limit]:
    """Read a catalogue; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _LimitFile)
    known = indicators.catalogue()
    problems = []
    for limit_id, row in table.limit.items():
        indicator = known.get(row.indicator)
        if indicator is None:
            message = f"unknown indicator {row.indicator!r}: see indicators.toml"
            problems.append(document.problem(("limit", limit_id, "indicator"), message))
        elif indicator.unit != row.unit:
            message = f"the indicator's unit is {indicator.unit}, not {row.unit}"
            problems.append(document.problem(("limit", limit_id, "unit"), message))
    if problems:
        raise Misconfigured(problems)
    return {limit_id: Limit(id=limit_id, **dict(row)) for limit_id, row in table.limit.items()}


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Limit]:
    """Return the shipped limits by id."""
    path = resources.files("core") / "data" / "limits.toml"
    return parse(path.read_text("utf-8"), "core/data/limits.toml")


def find(limit_id: str) -> Limit:
    """Return the limit of this id; raises Rejected naming the nearest ids."""
    limits = catalogue()
    if limit_id not in limits:
        near = difflib.get_close_matches(limit_id, limits, n=3, cutoff=0.3)
        hint = f"; did you mean {', '.join(near)}?" if near else ": `danhao limits list` names all"
        raise Rejected(f"no limit has the id {limit_id[:120]!r}{hint}", reason="unknown_limit")
    return limits[limit_id]


def of_indicator(indicator: str) -> list[Limit]:
    """Return the limits of an indicator, sorted by id."""
    return sorted(
        (limit for limit in catalogue().values() if limit.indicator == indicator),
        key=lambda limit: limit.id,
    )
