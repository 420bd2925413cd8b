"""The catalogue of limits: the law as data, each row with force, clause, validity and source.

What a source sets without a number of its own is kept beside it as an unnumbered row.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import decimals, indicators, periods, tomlfile
from core.carriers import ExactText, Mark
from core.clock import from_us
from core.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from core.errors import Problem
    from core.tomlfile import Document

DEFAULT_COMPLETENESS: Final = Decimal("0.90")
SEEDS: Final = "seeds/"  # sources that are documents given with the project: always quoted


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


class LimitKind(StrEnum):
    """What the value is: only a `limit` is judged.

    A `trigger` is passed, not kept: above it something else is to be done. A `trajectory` is a
    change against a base year, so no period of a unit can be held against it.
    """

    LIMIT = "limit"
    TRIGGER = "trigger"
    TRAJECTORY = "trajectory"


class _TrajectoryTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    base_year: Annotated[int, Field(ge=2000, le=2100)]
    end_year: Annotated[int, Field(ge=2000, le=2100)]
    path: Literal["not_stated"]


class _LimitTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    indicator: str
    name: dict[Literal["zh", "en"], str]
    kind: LimitKind = LimitKind.LIMIT
    value: ExactText
    cmp: Comparison
    unit: str
    unit_in_text: str | None = None
    force: Force
    level: Literal[1, 2, 3] | None = None
    scheme: str
    jurisdiction: str
    valid_from: date
    valid_to: date | None = None
    due: date | None = None
    trajectory: _TrajectoryTable | None = None
    completeness: Annotated[ExactText, Field(ge=0, le=1)] = DEFAULT_COMPLETENESS
    guard_band: bool = True
    mark: Mark | None = None
    source: Annotated[str, Field(min_length=3)]
    clause: Annotated[str, Field(min_length=1)]
    quote: str | None = None
    note: str | None = None


class _UnnumberedTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: dict[Literal["zh", "en"], str]
    refers_to: dict[Literal["zh", "en"], str]
    force: Force
    jurisdiction: str
    valid_from: date
    due: date | None = None
    source: Annotated[str, Field(min_length=3)]
    clause: Annotated[str, Field(min_length=1)]
    quote: str
    note: str | None = None


class _LimitFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    limit: dict[str, _LimitTable]
    unnumbered: dict[str, _UnnumberedTable] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A value that is a change against `base_year`, to be reached by the end of `end_year`."""

    base_year: int
    end_year: int
    path: str

    def even_change(self, value: Decimal, year: int) -> Decimal:
        """Return the change against the base year [%] that an even path has at a year's end.

        An aid to read the value, not what the source says: it states no path.
        """
        with localcontext() as context:
            context.prec = 28
            share = Decimal(year - self.base_year) / Decimal(self.end_year - self.base_year)
            return ((1 + value / 100) ** share - 1) * 100


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of one source; dates are days of plant time, `valid_to` the first day without it.

    `due` is when a target was to be met: past it the limit is lapsed and is judged all the same.
    `guard_band` False sets the uncertainty to zero in its verdict. `unit_in_text` is the unit as
    the source writes it where that is not `unit`; `mark` tells how well the value was read.
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
    kind: LimitKind = LimitKind.LIMIT
    unit_in_text: str | None = None
    trajectory: Trajectory | None = None
    mark: Mark | None = None

    def item(self) -> dict[str, Any]:
        """Return the limit as JSON carries it: exact strings, ISO days, whether it is computed.

        `later` says what an indicator that does not compute yet waits for, else it is null.
        """
        indicator = indicators.find(self.indicator)
        return {
            **_plain(self),
            "value": decimals.show(self.value),
            "completeness": decimals.show(self.completeness),
            "computes": indicator.computes,
            "later": None if indicator.later is None else dict(indicator.later),
        }

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


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """What a source sets by reference, without a number of its own: listed, never judged."""

    id: str
    name: Mapping[str, str]
    refers_to: Mapping[str, str]
    force: Force
    jurisdiction: str
    valid_from: date
    due: date | None
    source: str
    clause: str
    quote: str
    note: str | None

    def item(self) -> dict[str, Any]:
        """Return the row as JSON carries it."""
        return _plain(self)


def _plain(row: Limit | Unnumbered) -> dict[str, Any]:
    data = dataclasses.asdict(row)
    for key in ("valid_from", "valid_to", "due"):
        if data.get(key) is not None:
            data[key] = data[key].isoformat()
    return data


def parse(text: str, name: str) -> dict[str, Limit]:
    """Read a catalogue's limits; raises Misconfigured with every problem, its file, line, key."""
    return _limits(_checked(text, name))


def _checked(text: str, name: str) -> _LimitFile:
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _LimitFile)
    problems = [p for key, row in table.limit.items() for p in _problems(document, key, row)]
    if problems:
        raise Misconfigured(problems)
    return table


def _limits(table: _LimitFile) -> dict[str, Limit]:
    return {
        key: Limit(
            **{
                **dict(row),
                "id": key,
                "trajectory": row.trajectory and Trajectory(**dict(row.trajectory)),
            }
        )
        for key, row in table.limit.items()
    }


def _problems(document: Document, key: str, row: _LimitTable) -> Iterator[Problem]:
    path = ("limit", key)
    indicator = indicators.catalogue().get(row.indicator)
    if indicator is None:
        message = f"unknown indicator {row.indicator!r}: see indicators.toml"
        yield document.problem((*path, "indicator"), message)
    elif indicator.unit != row.unit:
        message = f"the indicator's unit is {indicator.unit}, not {row.unit}"
        yield document.problem((*path, "unit"), message)
    if row.valid_to is not None and row.valid_to <= row.valid_from:
        yield document.problem((*path, "valid_to"), "the first day without it must be a later one")
    if (row.kind is LimitKind.TRAJECTORY) != (row.trajectory is not None):
        message = 'a trajectory belongs to kind = "trajectory", which needs it'
        yield document.problem((*path, "trajectory"), message)
    if row.trajectory is not None and row.trajectory.end_year <= row.trajectory.base_year:
        yield document.problem((*path, "trajectory"), "end_year must come after base_year")
    if row.source.startswith(SEEDS) and not row.quote:
        yield document.problem((*path, "source"), "a given document is quoted: add its words")


@lru_cache(maxsize=1)
def _shipped() -> _LimitFile:
    path = resources.files("core") / "data" / "limits.toml"
    return _checked(path.read_text("utf-8"), "core/data/limits.toml")


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Limit]:
    """Return the shipped limits by id."""
    return _limits(_shipped())


@lru_cache(maxsize=1)
def unnumbered() -> dict[str, Unnumbered]:
    """Return the shipped rows that set no number of their own, by id."""
    return {key: Unnumbered(id=key, **dict(row)) for key, row in _shipped().unnumbered.items()}


def find(limit_id: str) -> Limit:
    """Return the limit of this id; raises Rejected naming the nearest ids."""
    limits = catalogue()
    if limit_id not in limits:
        near = difflib.get_close_matches(limit_id, limits, n=3, cutoff=0.3)
        hint = f"; did you mean {', '.join(near)}?" if near else ": `danhao limits list` names all"
        raise Rejected(f"no limit has the id {limit_id[:120]!r}{hint}", reason="unknown_limit")
    return limits[limit_id]


@lru_cache(maxsize=256)
def of_indicator(indicator: str) -> Sequence[Limit]:
    """Return the limits of an indicator, sorted by id."""
    found = (limit for limit in catalogue().values() if limit.indicator == indicator)
    return tuple(sorted(found, key=lambda limit: limit.id))
