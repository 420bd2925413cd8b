"""How much room a plant will take: disk, log, network, outbox and cores, before it is bought.

A plan is a product of what a plant declares and of sizes that were measured (core/data/sizes.toml,
each with how). Promise: nothing else is in it and nothing is rounded, so that who doubts a figure
finds its factors; what depends on the engine is given for plain PostgreSQL and for TimescaleDB
side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from core import decimals, tomlfile
from core.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE: Final = "sizes.toml"
YEAR_S: Final = 365 * 86_400
DAY_S: Final = 86_400
SLOTS_A_YEAR: Final = 365 * 96
# Of one unit and indicator: hours, shifts, days, months and the year.
FIGURES_A_YEAR: Final = 365 * (24 + 3 + 1) + 12 + 1
DAYS_A_YEAR: Final = 365
PACK_AFTER_DAYS: Final = 7  # as `[store] compress_after_days` is unless a person says otherwise
OUTAGE_DAYS: Final = 30  # what an outbox should bear: longer than any repair takes
NAMES: Final = frozenset(
    {
        "reading_plain",
        "reading_packed",
        "reading_log",
        "slot",
        "figure",
        "reading_wire",
        "reading_outbox",
        "two_cores",
    }
)


def _exact(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError('write the number as a string such as "8.1"')  # noqa: TRY004 - pydantic's
    return decimals.parse(value)


class _SizeTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    value: Annotated[Decimal, BeforeValidator(_exact), Field(gt=0)]
    unit: Literal["B", "readings/s"]
    name: dict[Literal["zh", "en"], str]
    source: Annotated[str, Field(min_length=10)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    size: dict[str, _SizeTable]


@dataclass(frozen=True, slots=True)
class Size:
    """One measured size: how much, of what, and how it was found."""

    id: str
    value: Decimal
    unit: str
    name: Mapping[str, str]
    source: str


Sizes = dict[str, Size]


def parse(text: str, name: str) -> Sizes:
    """Read sizes by id; raises Misconfigured with every problem."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _File).size
    problems = [
        document.problem(("size", key), f"is no size that a plan has: {', '.join(sorted(NAMES))}")
        for key in table.keys() - NAMES
    ]
    problems += [Problem(name, f"has no [size.{key}]: add it") for key in sorted(NAMES - {*table})]
    if problems:
        raise Misconfigured(problems)
    return {
        key: Size(key, row.value, row.unit, {str(k): v for k, v in row.name.items()}, row.source)
        for key, row in table.items()
    }


@lru_cache(maxsize=1)
def catalogue() -> Sizes:
    """Return the sizes that were measured, by id."""
    path = resources.files("core") / "data" / FILE
    return parse(path.read_text("utf-8"), FILE)


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be planned for; `figures` are pairs of unit and indicator.

    `keep_days` is for how long raw readings are kept, None: for ever. Raises Misconfigured where
    the numbers are none that a plant can have.
    """

    points: int
    interval_s: Decimal
    figures: int = 0
    agents: int = 1
    keep_days: int | None = None
    pack_after_days: int = PACK_AFTER_DAYS

    def __post_init__(self) -> None:
        """Refuse what no plant has."""
        problems = [
            Problem(f"--{key}", "must be a number above zero")
            for key, value in (
                ("points", self.points),
                ("every", self.interval_s),
                ("agents", self.agents),
                ("keep-days", 1 if self.keep_days is None else self.keep_days),
                ("pack-after-days", self.pack_after_days),
            )
            if value <= 0
        ]
        if self.figures < 0:
            problems.append(Problem("--figures", "must not be below zero"))
        if problems:
            raise Misconfigured(problems)

    @property
    def readings_per_s(self) -> Fraction:
        """Return how many readings come in a second."""
        return self.points / Fraction(self.interval_s)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load takes, in bytes unless named otherwise.

    `*_year` is what a year adds while all of it is kept; `plain` and `packed` what the store holds
    in the end: of raw readings what `keep_days` keeps, of slots and figures, which stay for ever,
    those of `years`. `cores` is by proportion to what two cores were measured to take.
    """

    readings_per_s: Fraction
    readings_year: Fraction
    plain_year: Fraction
    packed_year: Fraction
    slots_year: Fraction
    figures_year: Fraction
    years: int
    plain: Fraction
    packed: Fraction
    log_day: Fraction
    network_per_s: Fraction
    outbox_per_agent: Fraction
    cores: Fraction

    def item(self) -> dict[str, Any]:
        """Return the plan as JSON carries it: decimal strings."""
        return {
            name: value if isinstance(value, int) else decimals.show(value)
            for name in self.__slots__
            for value in [getattr(self, name)]
        }


def plan(load: Load, years: int = 1, sizes: Mapping[str, Size] | None = None) -> Plan:
    """Return what a load takes after so many years of it."""
    if years <= 0:
        raise Misconfigured([Problem("--years", "must be a number above zero")])
    size = {key: Fraction(each.value) for key, each in (sizes or catalogue()).items()}
    per_s = load.readings_per_s
    per_day = per_s * DAY_S
    slots_year = load.points * SLOTS_A_YEAR * size["slot"]
    figures_year = load.figures * FIGURES_A_YEAR * size["figure"]
    days = years * DAYS_A_YEAR
    kept_days = days if load.keep_days is None else min(days, load.keep_days)
    stays = (slots_year + figures_year) * years
    return Plan(
        readings_per_s=per_s,
        readings_year=per_s * YEAR_S,
        plain_year=per_s * YEAR_S * size["reading_plain"],
        packed_year=per_s * YEAR_S * size["reading_packed"],
        slots_year=slots_year,
        figures_year=figures_year,
        years=years,
        plain=per_day * kept_days * size["reading_plain"] + stays,
        packed=per_day * _packed_per_day(kept_days, load, size) + stays,
        log_day=per_day * size["reading_log"],
        network_per_s=per_s * size["reading_wire"],
        outbox_per_agent=per_day * OUTAGE_DAYS * size["reading_outbox"] / load.agents,
        cores=2 * per_s / size["two_cores"],
    )


def _packed_per_day(kept_days: int, load: Load, size: Mapping[str, Fraction]) -> Fraction:
    """Return the bytes that the readings one a day take, the last days of them not packed yet."""
    # A day is packed once it ended so long ago: today is on top.
    fresh = min(kept_days, load.pack_after_days + 1)
    return fresh * size["reading_plain"] + (kept_days - fresh) * size["reading_packed"]
