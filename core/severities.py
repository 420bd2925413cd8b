"""Severities 0 to 4 in the words of those who are told: schemes of tiers, as data.

Tiers of different offices run opposite ways (domain 3.5), so a tier is shown with the name of
its scheme. Promise: every scheme shows every severity, as exactly one tier.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import tomlfile
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.errors import Problem

FILE: Final = "core/data/severity_schemes.toml"
OWN: Final = "danhao"
SEVERITIES: Final = range(5)
Colour = Literal["green", "blue", "yellow", "orange", "red"]


@dataclass(frozen=True, slots=True)
class Tier:
    """What one severity is called in a scheme."""

    code: str
    name: Mapping[str, str]
    colour: Colour


@dataclass(frozen=True, slots=True)
class Scheme:
    """Tiers of one addressee; `mapping` tells whether it was them who said what is which."""

    id: str
    name: Mapping[str, str]
    source: str
    standing: str
    mapping: str
    tiers: tuple[Tier, ...]

    def tier(self, severity: int) -> Tier:
        """Return what a severity of 0 to 4 is called."""
        return self.tiers[severity]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    zh: Annotated[str, Field(min_length=1, max_length=80)]
    en: Annotated[str, Field(min_length=1, max_length=80)]


class _Tier(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    severities: Annotated[list[Annotated[int, Field(ge=0, le=4)]], Field(min_length=1)]
    code: Annotated[str, Field(min_length=1, max_length=8)]
    name: _Words
    colour: Colour


class _Scheme(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: _Words
    source: Annotated[str, Field(min_length=3)]
    standing: Literal["own", "verified", "proposal"]
    mapping: Literal["own", "proposal"]
    tier: Annotated[list[_Tier], Field(min_length=1, max_length=5)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    scheme: dict[str, _Scheme]


Schemes = dict[str, Scheme]


def parse(text: str, name: str) -> Schemes:
    """Read schemes by their ids; raises Misconfigured with every problem."""
    document = tomlfile.parse(text, name)
    schemes: Schemes = {}
    problems: list[Problem] = []
    for identity, table in tomlfile.validate(document, _File).scheme.items():
        shown: dict[int, Tier] = {}
        for position, row in enumerate(table.tier):
            tier = Tier(row.code, MappingProxyType(row.name.model_dump()), row.colour)
            for severity in row.severities:
                if severity in shown:
                    place = ("scheme", identity, "tier", position, "severities")
                    message = f"severity {severity} has a tier already: name it once"
                    problems.append(document.problem(place, message))
                shown[severity] = tier
        missing = [str(severity) for severity in SEVERITIES if severity not in shown]
        if missing:
            message = f"shows no severity {', '.join(missing)}: add it to a tier"
            problems.append(document.problem(("scheme", identity), message))
            continue
        schemes[identity] = Scheme(
            identity,
            MappingProxyType(table.name.model_dump()),
            table.source,
            table.standing,
            table.mapping,
            tuple(shown[severity] for severity in SEVERITIES),
        )
    if problems:
        raise Misconfigured(problems)
    return schemes


def shown(scheme: str, severity: int) -> dict[str, object]:
    """Return a severity as JSON shows it in a shipped scheme."""
    tier = catalogue()[scheme].tier(severity)
    return {"scheme": scheme, "code": tier.code, "name": dict(tier.name), "colour": tier.colour}


@lru_cache(maxsize=1)
def catalogue() -> Schemes:
    """Return the shipped schemes."""
    path = resources.files("core") / "data" / "severity_schemes.toml"
    return parse(path.read_text("utf-8"), FILE)
