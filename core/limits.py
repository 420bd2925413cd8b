"""The catalogue of limits: the law as data, each row with force, clause, validity and source.

What a source sets without a number of its own is kept beside it as an unnumbered row.
"""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from core import corrections, decimals, indicators, limitchecks, names, periods, tomlfile
from core.carriers import ExactText, Mark
from core.corrections import Correction, CorrectionTable
from core.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

DEFAULT_COMPLETENESS: Final = Decimal("0.90")
SEEDS: Final = limitchecks.SEEDS


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

    def keeps(self, value: Fraction, bound: Fraction) -> bool:
        """Tell whether a value keeps a bound, at full value."""
        if self is Comparison.AT_MOST:
            return value <= bound
        if self is Comparison.BELOW:
            return value < bound
        return value >= bound if self is Comparison.AT_LEAST else value > bound


class LimitKind(StrEnum):
    """What the value is: only a `limit` is judged.

    A `trigger` is passed, not kept: above it something else is to be done. A `trajectory` is a
    change against a base year, so no period of a unit can be held against it.
    """

    LIMIT = "limit"
    TRIGGER = "trigger"
    TRAJECTORY = "trajectory"


class Policy(StrEnum):
    """How uncertainty enters a verdict: the guard-band policy of a limit (domain 2.9)."""

    GUARDED = "guarded"  # fails only beyond U, passes only within it; between: indeterminate
    SIMPLE = "simple"  # full-value comparison, U is not looked at


POLICY_WORDS: Final[Mapping[Policy, str]] = {
    Policy.GUARDED: "exceeds if value - U is beyond the limit, within if value + U is not",
    Policy.SIMPLE: "full value against the limit, whatever U is",
}


def _listed(value: object) -> object:
    """Take one correction for a list of one."""
    return [value] if isinstance(value, dict) else value


_Day = Annotated[date, Field(ge=date(1900, 1, 1), lt=date(2200, 1, 1))]


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
    valid_from: _Day
    valid_to: _Day | None = None
    due: _Day | None = None
    trajectory: _TrajectoryTable | None = None
    completeness: Annotated[ExactText, Field(ge=0, le=1)] = DEFAULT_COMPLETENESS
    policy: Policy = Policy.GUARDED
    correction: Annotated[tuple[CorrectionTable, ...], BeforeValidator(_listed)] = ()
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
    `unit_in_text` is the unit as the source writes it where that is not `unit`; `mark` tells how
    well the value was read; `correction` what moves the value, in order.
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
    policy: Policy
    source: str
    clause: str
    quote: str | None
    note: str | None
    kind: LimitKind = LimitKind.LIMIT
    unit_in_text: str | None = None
    trajectory: Trajectory | None = None
    mark: Mark | None = None
    correction: tuple[Correction, ...] = ()

    def item(self) -> dict[str, Any]:
        """Return the limit as JSON carries it: exact strings, ISO days, whether it is computed.

        `later` says what an indicator that does not compute yet waits for, else it is null.
        """
        indicator = indicators.find(self.indicator)
        return {
            **_plain(self),
            "value": decimals.show(self.value),
            "completeness": decimals.show(self.completeness),
            "correction": [one.item() for one in self.correction],
            "computes": indicator.computes,
            "later": None if indicator.later is None else dict(indicator.later),
        }

    def applies(self, jurisdiction: str, start_us: int, timezone: str) -> bool:
        """Tell whether the limit is in force there at an instant."""
        return self.part(jurisdiction, (start_us, start_us + 1), timezone) is not None

    def part(
        self, jurisdiction: str, bound_us: tuple[int, int], timezone: str
    ) -> tuple[int, int] | None:
        """Return the part of a period in which the limit is in force there; None: in none."""
        begin = max(bound_us[0], periods.midnight(self.valid_from, timezone))
        end = bound_us[1]
        if self.valid_to is not None:
            end = min(end, periods.midnight(self.valid_to, timezone))
        return (begin, end) if begin < end and self._holds_in(jurisdiction) else None

    def _holds_in(self, jurisdiction: str) -> bool:
        return names.is_within(jurisdiction, self.jurisdiction)

    def lapsed(self, start_us: int, timezone: str) -> bool:
        """Tell whether the target's due date lies before the period."""
        if self.due is None:
            return False
        return start_us >= periods.midnight(self.due + timedelta(days=1), timezone)


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


@lru_cache(maxsize=1024)
def parse(text: str, name: str) -> dict[str, Limit]:
    """Read a catalogue's limits; raises Misconfigured with every problem, its file, line, key."""
    return _limits(_checked(text, name))


def _checked(text: str, name: str) -> _LimitFile:
    document = tomlfile.parse(text, name)
    unfitting = limitchecks.problems(document)
    try:
        table = tomlfile.validate(document, _LimitFile)
    except Misconfigured as error:
        raise Misconfigured([*error.problems, *unfitting]) from error
    if unfitting:
        raise Misconfigured(unfitting)
    return table


def _limits(table: _LimitFile) -> dict[str, Limit]:
    return {
        key: Limit(
            **{
                **dict(row),
                "id": key,
                "trajectory": row.trajectory and Trajectory(**dict(row.trajectory)),
                "correction": tuple(corrections.of_table(one) for one in row.correction),
            }
        )
        for key, row in table.limit.items()
    }


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
