"""One figure a plant: its units' figures of a period put together, and why it may not be ranked.

A limit binds a unit, a benchmark an enterprise. Energies and outputs add up exactly; months of one
unit err together, so their uncertainties add, those of several units by squares. Promise: what is
not known of one unit leaves the plant without a figure, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals
from core.indicators import Metered
from core.intensity import PER_CENT
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.benchmarkrules import Rule
    from core.indicators import Indicator
    from core.plant import Plant, Unit


class Why(StrEnum):
    """Why a plant is not ranked; the first three: it took no part."""

    NOT_CONNECTED = "not_connected"  # called up, and no site of this store
    NOT_DECLARED = "not_declared"  # makes the product and does not declare the indicator
    NO_DATA = "no_data"  # no figure of any of its units
    NO_OUTPUT = "no_output"  # energy without output: perhaps it stood still
    INCOMPLETE = "incomplete"  # too little was measured, or one of its units is unknown
    FLAGGED = "flagged"  # the figure is not the indicator's: what it lacks is in its flags
    OTHER_FORMULA = "other_formula"  # computed by an older formula than the others
    NOT_ADDITIVE = "not_additive"  # several units of an indicator that does not add up


ABSENT: Final = frozenset({Why.NOT_CONNECTED, Why.NOT_DECLARED, Why.NO_DATA})
WHY_WORDS: Final[Mapping[Why, Mapping[str, str]]] = {
    Why.NOT_CONNECTED: {"zh": "未接入", "en": "not connected"},
    Why.NOT_DECLARED: {"zh": "未申报该指标", "en": "does not declare the indicator"},
    Why.NO_DATA: {"zh": "无数据", "en": "no data"},
    Why.NO_OUTPUT: {"zh": "无产量", "en": "no output"},
    Why.INCOMPLETE: {"zh": "数据不完整", "en": "incomplete"},
    Why.FLAGGED: {"zh": "口径不符", "en": "not by the same definition"},
    Why.OTHER_FORMULA: {"zh": "计算版本不同", "en": "computed by an older formula"},
    Why.NOT_ADDITIVE: {"zh": "多单元不可合并", "en": "several units that do not add up"},
}


@dataclass(frozen=True, slots=True)
class UnitFigure:
    """One stored figure of a unit; `levels` are its verdicts against the national levels."""

    unit: str
    energy: Fraction | None
    output: Fraction | None
    value: Fraction | None
    uncertainty: Fraction | None
    completeness: Fraction
    flags: tuple[str, ...]
    formula_version: int
    levels: Mapping[int, str]
    result: str
    closed: bool

    @classmethod
    def of(cls, unit: str, figures: Mapping[str, Any], result: str, *, closed: bool) -> UnitFigure:
        """Read a stored result's figures."""
        return cls(
            unit,
            _read(figures["energy"]["value"]),
            _read(figures["output"]["value"]),
            _read(figures["intensity"]["value"]),
            _read(figures["intensity"]["uncertainty"]),
            Fraction(str(figures["completeness"])),
            tuple(figures["flags"]),
            figures["formula_version"],
            _levels(figures["verdicts"]),
            result,
            closed,
        )


@dataclass(frozen=True, slots=True)
class PlantFigure:
    """A plant's figure of a period; `why` None: it may be ranked."""

    site: str
    why: Why | None
    units: tuple[str, ...] = ()
    value: Fraction | None = None
    uncertainty: Fraction | None = None
    completeness: Fraction = Fraction(0)
    flags: tuple[str, ...] = ()
    formula_version: int | None = None
    levels: Mapping[int, str] = field(default_factory=dict)
    results: tuple[str, ...] = ()
    closed: bool = False

    @property
    def took_part(self) -> bool:
        """Tell whether the plant took part in the benchmarking."""
        return self.why not in ABSENT


def units_of(plant: Plant, site: str, indicator: Indicator) -> list[Unit] | None:
    """Return the units whose figures make the plant's; None: it makes no such product.

    Of a unit and one inside it that declare the same, the outer one counts. An empty list: the
    plant makes the product and declares the indicator for no unit.
    """
    own = [unit for _, unit in sorted(plant.units.items()) if unit.site == site]
    declaring = {unit.id: unit for unit in own if indicator.id in unit.indicators}
    if not declaring and not any(unit.product == indicator.product for unit in own):
        return None
    return [unit for unit in declaring.values() if not _inside(plant, unit, declaring)]


def _inside(plant: Plant, unit: Unit, declaring: Mapping[str, Unit]) -> bool:
    seen = {unit.id}
    parent = unit.parent
    while parent is not None and parent not in seen:
        if parent in declaring:
            return True
        seen.add(parent)
        above = plant.units.get(parent)
        parent = None if above is None else above.parent
    return False


def combine(
    site: str,
    indicator: Indicator,
    figures: Mapping[str, Sequence[UnitFigure | None]],
    rule: Rule,
) -> PlantFigure:
    """Return a plant's figure from each unit's figures of the period's parts, in their order."""
    units = tuple(sorted(figures))
    if not units:
        return PlantFigure(site, Why.NOT_DECLARED)
    all_of = [one for unit in units for one in figures[unit]]
    known = [one for one in all_of if one is not None]
    if all(one.energy is None and one.value is None for one in known):
        return PlantFigure(site, Why.NO_DATA, units)
    value, why = _value(indicator, known)
    found = PlantFigure(
        site,
        why,
        units,
        value,
        _uncertainty(figures, known, value),
        min(one.completeness for one in known) if len(known) == len(all_of) else Fraction(0),
        tuple(sorted({flag for one in known for flag in one.flags})),
        max(one.formula_version for one in known),
        _worst(known),
        tuple(one.result for one in known),
        all(one.closed for one in known),
    )
    return found if why is not None else _comparable(found, known, rule)


def _value(indicator: Indicator, known: Sequence[UnitFigure]) -> tuple[Fraction | None, Why | None]:
    if any(one.value is None for one in known):
        lacks_output = all(one.output is None or one.output <= 0 for one in known)
        return None, Why.NO_OUTPUT if lacks_output else Why.INCOMPLETE
    if len(known) == 1:
        return known[0].value, None
    if indicator.metered is Metered.MEAN or indicator.against is not None:
        return None, Why.NOT_ADDITIVE
    energy = sum((one.energy or Fraction(0) for one in known), Fraction(0))
    output = sum((one.output or Fraction(0) for one in known), Fraction(0))
    if output <= 0:
        return None, Why.NO_OUTPUT
    return energy / output * (PER_CENT if indicator.is_share else 1), None


def _comparable(found: PlantFigure, known: Sequence[UnitFigure], rule: Rule) -> PlantFigure:
    """Say why a figure that is known may not stand beside those of others."""
    why = None
    if found.completeness < Fraction(rule.least_completeness):
        why = Why.INCOMPLETE
    elif set(found.flags) & set(rule.refused_flags):
        why = Why.FLAGGED
    elif len({one.formula_version for one in known}) > 1:
        why = Why.OTHER_FORMULA
    return found if why is None else _because(found, why)


def newest_formula(found: Sequence[PlantFigure]) -> list[PlantFigure]:
    """Take those out of the ranking that an older formula computed than the others."""
    newest = max((one.formula_version or 0 for one in found if one.why is None), default=0)
    return [
        _because(one, Why.OTHER_FORMULA)
        if one.why is None and (one.formula_version or 0) < newest
        else one
        for one in found
    ]


def _because(found: PlantFigure, why: Why) -> PlantFigure:
    return replace(found, why=why)


def _uncertainty(
    figures: Mapping[str, Sequence[UnitFigure | None]],
    known: Sequence[UnitFigure],
    value: Fraction | None,
) -> Fraction | None:
    """Return the plant's U: of each unit its months' weighed by output, of units by squares."""
    if value is None or any(one.uncertainty is None for one in known):
        return None
    if len(known) == 1:
        return known[0].uncertainty
    total = sum((one.output or Fraction(0) for one in known), Fraction(0))
    if total <= 0:
        return None
    squares = Fraction(0)
    for unit in sorted(figures):
        weighed = sum(
            ((one.uncertainty or 0) * (one.output or 0) for one in figures[unit] if one),
            Fraction(0),
        )
        squares += (weighed / total) ** 2
    return decimals.square_root(squares)


def _levels(verdicts: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    found: dict[int, list[str]] = {}
    for one in verdicts:
        if one.get("level") is not None and one["verdict"] != Verdict.NOT_APPLICABLE:
            found.setdefault(one["level"], []).append(one["verdict"])
    return {level: _worst_of(each) for level, each in found.items()}


def _worst(known: Sequence[UnitFigure]) -> dict[int, str]:
    levels = sorted({level for one in known for level in one.levels})
    return {
        level: _worst_of([one.levels[level] for one in known if level in one.levels])
        for level in levels
    }


# Of several verdicts the first of these that is among them.
_ORDER: Final = (Verdict.EXCEEDS, Verdict.INCOMPLETE, Verdict.INDETERMINATE, Verdict.WITHIN)


def _worst_of(verdicts: Sequence[str]) -> str:
    return next(one.value for one in _ORDER if one.value in verdicts)


def _read(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)
