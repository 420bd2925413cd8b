"""What benchmarking rests on: the clauses of the source to the letter, and our numbers, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import decimals, names, tomlfile
from core.carriers import ExactText
from core.errors import Misconfigured
from core.flags import Flag

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

FILE: Final = "core/data/benchmarking.toml"
Level = Literal[1, 2, 3]


class ClauseKind(StrEnum):
    """What a clause does to plants."""

    DUTY = "duty"
    REWARD = "reward"
    SANCTION = "sanction"


class _Name(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    zh: Annotated[str, Field(min_length=1)]
    en: Annotated[str, Field(min_length=1)]


class _ClauseTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: ClauseKind
    name: _Name
    jurisdiction: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z0-9]+)*$")]
    source: Annotated[str, Field(min_length=3)]
    clause: Annotated[str, Field(min_length=1)]
    quote: Annotated[str, Field(min_length=3)]
    mark: Literal["verified", "third_party", "from_memory", "proposal"]
    note: str | None = None


class _RuleTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    least_completeness: Annotated[ExactText, Field(ge=0, le=1)]
    refused_flags: tuple[str, ...]
    least_ranked: Annotated[int, Field(ge=4)]
    leader_keeps_level: Level
    laggard_exceeds_level: Level
    laggard_spared_by_level: Level
    least_shown: Annotated[int, Field(ge=4)]
    noise_budget: Annotated[ExactText, Field(gt=0, le=100)]
    mark: Literal["verified", "third_party", "from_memory", "proposal"]
    note: str


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    clause: dict[str, _ClauseTable]
    sector: dict[str, tuple[str, ...]]
    rule: _RuleTable


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of the source, in its own words."""

    id: str
    kind: ClauseKind
    name: Mapping[str, str]
    jurisdiction: str
    source: str
    clause: str
    quote: str
    mark: str
    note: str | None

    def item(self) -> dict[str, Any]:
        """Return the clause as JSON carries it."""
        return {
            "clause_id": self.id,
            "kind": self.kind.value,
            "name": dict(self.name),
            "jurisdiction": self.jurisdiction,
            "source": self.source,
            "clause": self.clause,
            "quote": self.quote,
            "mark": self.mark,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """The numbers that the source does not give (core/data/benchmarking.toml says what each is)."""

    least_completeness: Decimal
    refused_flags: tuple[str, ...]
    least_ranked: int
    leader_keeps_level: int
    laggard_exceeds_level: int
    laggard_spared_by_level: int
    least_shown: int
    noise_budget: Decimal
    mark: str
    note: str

    def item(self) -> dict[str, Any]:
        """Return the rule as JSON carries it."""
        return {
            "least_completeness": decimals.show(self.least_completeness),
            "refused_flags": list(self.refused_flags),
            "least_ranked": self.least_ranked,
            "leader_keeps_level": self.leader_keeps_level,
            "laggard_exceeds_level": self.laggard_exceeds_level,
            "laggard_spared_by_level": self.laggard_spared_by_level,
            "least_shown": self.least_shown,
            "noise_budget": decimals.show(self.noise_budget),
            "mark": self.mark,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """Clauses by id, the products of each sector that they name, and our numbers."""

    clauses: Mapping[str, Clause]
    sectors: Mapping[str, tuple[str, ...]]
    rule: Rule

    def sector_of(self, product: str) -> str | None:
        """Return the sector of a product, None where the source names it not."""
        for sector, products in self.sectors.items():
            if product in products:
                return sector
        return None

    def clauses_for(self, jurisdiction: str, product: str) -> list[Clause]:
        """Return the clauses that hold there for plants of this product."""
        if self.sector_of(product) is None:
            return []
        return [
            clause
            for clause in self.clauses.values()
            if names.is_within(jurisdiction, clause.jurisdiction)
        ]


def parse(text: str, name: str) -> Rules:
    """Read clauses and rule; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _File)
    known = {str(flag.name).lower() for flag in Flag}
    found = [
        document.problem(("rule", "refused_flags"), f"no figure carries a flag {flag!r}")
        for flag in table.rule.refused_flags
        if flag not in known
    ]
    if found:
        raise Misconfigured(found)
    clauses = {
        key: Clause(id=key, **{**dict(row), "name": row.name.model_dump()})
        for key, row in table.clause.items()
    }
    return Rules(clauses, table.sector, Rule(**dict(table.rule)))


@lru_cache(maxsize=1)
def shipped() -> Rules:
    """Return the shipped clauses and rule."""
    path = resources.files("core") / "data" / "benchmarking.toml"
    return parse(path.read_text("utf-8"), FILE)
