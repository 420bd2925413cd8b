"""Indicator definitions as data: which energy, which output, which boundary, which version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import tomlfile
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.plant import Point

OutputKind = Literal["tapping", "weighing", "stock", "correction"]
_Text = dict[Literal["zh", "en"], str]


class _IndicatorTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    name: _Text
    unit: str
    energy_unit: str
    output_unit: str = "t"
    carriers: Annotated[tuple[str, ...], Field(min_length=1)]
    roles: tuple[str, ...] = ()
    output: Annotated[tuple[OutputKind, ...], Field(min_length=1)]
    product: str
    source: Annotated[str, Field(min_length=3)]
    boundary: _Text
    formula: str
    formula_version: Annotated[int, Field(ge=1)]


class _IndicatorFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    indicator: dict[str, _IndicatorTable]


@dataclass(frozen=True, slots=True)
class Indicator:
    """Energy over output of one boundary; empty `roles` takes points of every role."""

    id: str
    name: Mapping[str, str]
    unit: str
    energy_unit: str
    output_unit: str
    carriers: tuple[str, ...]
    roles: tuple[str, ...]
    output: tuple[str, ...]
    product: str
    source: str
    boundary: Mapping[str, str]
    formula: str
    formula_version: int

    def counts(self, point: Point) -> bool:
        """Tell whether a point of the unit belongs to the numerator."""
        return (
            point.energy_unit is not None
            and point.carrier in self.carriers
            and (not self.roles or point.role in self.roles)
        )


def parse(text: str, name: str) -> dict[str, Indicator]:
    """Read definitions; raises Misconfigured with every problem, its file, line and key."""
    table = tomlfile.validate(tomlfile.parse(text, name), _IndicatorFile)
    return {key: Indicator(id=key, **dict(row)) for key, row in table.indicator.items()}


@lru_cache(maxsize=1)
def catalogue() -> dict[str, Indicator]:
    """Return the shipped indicators by id."""
    path = resources.files("core") / "data" / "indicators.toml"
    return parse(path.read_text("utf-8"), "core/data/indicators.toml")


def find(indicator: str) -> Indicator:
    """Return the indicator of this id; raises Rejected naming those there are."""
    known = catalogue()
    if indicator not in known:
        raise Rejected(
            f"no indicator has the id {indicator[:120]!r}; known are {', '.join(sorted(known))}",
            reason="unknown_indicator",
        )
    return known[indicator]
