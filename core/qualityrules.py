"""The rules of data quality as data: what each asks for, where that is written, how to say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import decimals, tomlfile
from core.carriers import ExactText
from core.errors import Misconfigured
from core.workdays import Calendar

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from core.tomlfile import Document

FILE: Final = "core/data/quality_rules.toml"


class Index(StrEnum):
    """The six indices of DB53/T 1116-2022, in its order."""

    COMPLETENESS = "completeness"
    ACCURACY = "accuracy"
    TIMELINESS = "timeliness"
    VERIFIABILITY = "verifiability"
    VALIDITY = "validity"
    CONFORMITY = "conformity"


INDEX_NAMES: Final[Mapping[Index, Mapping[str, str]]] = {
    Index.COMPLETENESS: {"zh": "数据完整指数", "en": "completeness"},
    Index.ACCURACY: {"zh": "数据准确指数", "en": "accuracy"},
    Index.TIMELINESS: {"zh": "数据时效指数", "en": "timeliness"},
    Index.VERIFIABILITY: {"zh": "数据可验证指数", "en": "verifiability"},
    Index.VALIDITY: {"zh": "数据有效指数", "en": "validity"},
    Index.CONFORMITY: {"zh": "数据规范指数", "en": "conformity"},
}


class RuleId(StrEnum):
    """The rules that are checked: a closed list, each with its function in core.qualityscore."""

    COMPLETENESS = "completeness"
    CADENCE = "cadence"
    DAY_BOUNDARY = "day_boundary"
    CLOCK = "clock"
    DAY_MONTH_AGREEMENT = "day_month_agreement"
    HAND_ENTERED = "hand_entered"
    ESTIMATED = "estimated"
    REPAIR = "repair"
    UPLOAD = "upload"
    METERS_IN_DATE = "meters_in_date"
    VALIDITY = "validity"
    REJECTED = "rejected"


# What a rule counts by, where that is not a share alone.
_NEEDS: Final[Mapping[RuleId, str]] = {
    RuleId.DAY_BOUNDARY: "most_s",
    RuleId.CLOCK: "most_s",
    RuleId.UPLOAD: "most_s",
    RuleId.DAY_MONTH_AGREEMENT: "most_share",
    RuleId.HAND_ENTERED: "most_share",
    RuleId.ESTIMATED: "most_share",
    RuleId.REPAIR: "most_working_days",
}
_Share = Annotated[ExactText, Field(ge=0, le=1)]


class _Name(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class _RuleTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    index: Index
    name: _Name
    threshold: _Share
    most_s: Annotated[int, Field(gt=0)] | None = None
    most_share: _Share | None = None
    most_working_days: Annotated[int, Field(gt=0, le=365)] | None = None
    source: Annotated[str, Field(min_length=3)]
    paragraph: Annotated[str, Field(min_length=1)]
    quote: Annotated[str, Field(min_length=3)] | None = None
    mark: Literal["verified", "third_party", "from_memory", "proposal"]
    note: str | None = None
    finding: _Name


class _RuleFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    holidays: tuple[date, ...] = ()
    worked: tuple[date, ...] = ()
    rule: dict[RuleId, _RuleTable]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the least share of what keeps it, what counts as keeping it, and its source."""

    id: RuleId
    index: Index
    name: Mapping[str, str]
    threshold: Decimal
    source: str
    paragraph: str
    quote: str | None
    mark: str
    note: str | None
    finding: Mapping[str, str]
    most_s: int | None = None
    most_share: Decimal | None = None
    most_working_days: int | None = None

    @property
    def most_us(self) -> int:
        """Return the most time that the rule allows; only rules that need it are asked."""
        assert self.most_s is not None, f"{self.id} counts no seconds"  # noqa: S101 - a belief
        return self.most_s * 1_000_000

    def item(self) -> dict[str, Any]:
        """Return the rule as JSON carries it."""
        return {
            "rule": self.id.value,
            "index": self.index.value,
            "name": dict(self.name),
            "threshold": decimals.show(self.threshold),
            "most_s": self.most_s,
            "most_share": decimals.show_known(self.most_share),
            "most_working_days": self.most_working_days,
            "source": self.source,
            "paragraph": self.paragraph,
            "quote": self.quote,
            "mark": self.mark,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, and the calendar that working days are counted by."""

    rules: Mapping[RuleId, Rule]
    calendar: Calendar

    def __getitem__(self, rule: RuleId) -> Rule:
        return self.rules[rule]


def parse(text: str, name: str) -> Rules:
    """Read rules; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _RuleFile)
    _check(document, table)
    found = {
        key: Rule(
            id=key,
            **{
                **dict(row),
                "name": row.name.model_dump(),
                "finding": row.finding.model_dump(),
            },
        )
        for key, row in table.rule.items()
    }
    return Rules(found, Calendar(frozenset(table.holidays), frozenset(table.worked)))


def _check(document: Document, table: _RuleFile) -> None:
    """Refuse a file that leaves a rule out, or a number that a rule counts by."""
    found = [
        document.problem(("rule", rule.value), "is checked and not there: add it")
        for rule in RuleId
        if rule not in table.rule
    ]
    for rule, row in table.rule.items():
        for key in ("most_s", "most_share", "most_working_days"):
            is_needed, is_given = _NEEDS.get(rule) == key, getattr(row, key) is not None
            if is_needed != is_given:
                say = "is what the rule counts by: add it" if is_needed else "does not belong here"
                found.append(document.problem(("rule", rule.value, key), say))
    if found:
        raise Misconfigured(found)


@lru_cache(maxsize=1)
def shipped() -> Rules:
    """Return the shipped rules."""
    path = resources.files("core") / "data" / "quality_rules.toml"
    return parse(path.read_text("utf-8"), FILE)
