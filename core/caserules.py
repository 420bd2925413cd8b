"""The rules of cases as data: who ends which, how long a step may take, what causes there are.

`core/data/cases.toml` has them with their sources; without a source there is no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import tomlfile
from core.cases import WIDER, Closes
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.errors import Problem
    from core.tomlfile import Document

FILE: Final = "core/data/cases.toml"
SEVERITIES: Final = range(5)
MOST_WORKING_DAYS: Final = 250  # of one step: a year of them
MOST_PLAN_DAYS: Final = 366
_Days = Annotated[int, Field(ge=0, le=MOST_WORKING_DAYS)]
_Severity = Annotated[int, Field(ge=0, le=4)]


class _Name(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class _Terms(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    closes: Closes
    repair: _Days | None = None
    acknowledge: _Days | None = None
    explain: _Days | None = None
    plan: _Days | None = None
    answer: _Days | None = None
    escalates_to: _Severity
    source: Annotated[str, Field(min_length=3)]
    mark: Literal["verified", "third_party", "from_memory", "proposal"]


class _Cause(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: _Name
    proof: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    same_day_least_h: Annotated[int, Field(ge=0, le=24)]
    plan_overdue_severity: _Severity
    most_plan_days: Annotated[int, Field(ge=1, le=MOST_PLAN_DAYS)]
    severity: dict[Annotated[str, Field(pattern="^[0-4]$")], _Terms]
    cause: Annotated[
        dict[Annotated[str, Field(pattern="^[a-z][a-z_]{0,39}$")], _Cause], Field(min_length=1)
    ]


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for cases of one severity; times in working days, None: no clock runs."""

    closes: Closes
    repair: int | None
    acknowledge: int | None
    explain: int | None
    plan: int | None
    answer: int | None
    escalates_to: int
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause that a plant may give; `proof` asks for an attachment."""

    id: str
    name: Mapping[str, str]
    proof: bool

    def item(self) -> dict[str, Any]:
        """Return the cause as JSON carries it."""
        return {"cause": self.id, "name": dict(self.name), "proof": self.proof}


@dataclass(frozen=True, slots=True)
class CaseRules:
    """The terms of each severity, the causes, and what plans are held to."""

    terms: Mapping[int, Terms]
    causes: Mapping[str, Cause]
    same_day_least_h: int
    plan_overdue_severity: int
    most_plan_days: int

    @property
    def closes_at(self) -> dict[int, Closes]:
        """Return what ends a case of each severity."""
        return {severity: terms.closes for severity, terms in self.terms.items()}


def parse(text: str, name: str) -> CaseRules:
    """Read the rules of cases; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _File)
    problems = list(_check(document, table))
    if problems:
        raise Misconfigured(problems)
    return CaseRules(
        {int(key): Terms(**dict(row)) for key, row in table.severity.items()},
        {key: Cause(key, row.name.model_dump(), row.proof) for key, row in table.cause.items()},
        table.same_day_least_h,
        table.plan_overdue_severity,
        table.most_plan_days,
    )


@lru_cache(maxsize=1)
def shipped() -> CaseRules:
    """Return the shipped rules."""
    path = resources.files("core") / "data" / "cases.toml"
    return parse(path.read_text("utf-8"), FILE)


def _check(document: Document, table: _File) -> Iterator[Problem]:
    missing = [each for each in SEVERITIES if str(each) not in table.severity]
    for each in missing:
        yield document.problem(("severity", str(each)), "is a severity and not there: add it")
    known = [(each, table.severity[str(each)]) for each in SEVERITIES if each not in missing]
    widest = 0
    for severity, row in known:
        at = ("severity", str(severity))
        if row.escalates_to < severity:
            yield document.problem((*at, "escalates_to"), f"is less grave than {severity} itself")
        if WIDER.index(row.closes) < widest:
            message = "is less than what a lesser severity asks for: a graver case needs as many"
            yield document.problem((*at, "closes"), message)
        widest = max(widest, WIDER.index(row.closes))
        if row.repair is not None and row.closes is not Closes.RECOVERY:
            message = "is for cases that end with their alert: leave it out, or close by recovery"
            yield document.problem((*at, "repair"), message)
