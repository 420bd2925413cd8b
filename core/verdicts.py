"""Verdicts: a unit's figures of one period held against the limits of the law.

Full-value comparison of unrounded figures (design 4.6). A limit is compared with the figure of the
time in which it holds, never with a mixed one: where it begins or ends inside a period, that part
has its own energy, output and completeness. Corrections move the limit; where their inputs change
inside the part, the limit is the mean of the pieces' limits by output, which is what the correction
gives for the mean input. What a correction needs and nobody declared makes a verdict incomplete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from core import corrections, decimals, flags, periods
from core.corrections import Conditions
from core.limits import Limit, LimitKind, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from core.corrections import Step
    from core.indicators import Indicator
    from core.intensity import Intensity
    from core.plant import Site, Unit

MOST_PIECES_SHOWN: Final = 31  # of one verdict: daily values of a month; `more_pieces` counts on

MOST_KEPT: Final = 4096  # numbers of limits and their words: some times as many as rows shipped
_NONE: Final = Fraction(0)

Span = tuple[int, int]


class Verdict(StrEnum):
    """The finding on one figure against one limit."""

    WITHIN = "within"
    EXCEEDS = "exceeds"
    INDETERMINATE = "indeterminate"
    INCOMPLETE = "incomplete"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Held:
    """What is held against limits: one indicator of a unit over one period [begin, end)."""

    site: Site
    unit: Unit
    indicator: Indicator
    bound_us: Span
    _known: list[Conditions] = field(default_factory=list, compare=False, repr=False)

    @property
    def conditions(self) -> Conditions:
        """Return what was declared that moves limits."""
        if not self._known:
            values = {**self.site.values, **self.unit.values}
            self._known.append(Conditions(self.site.altitude_m, values))
        return self._known[0]

    def part(self, limit: Limit) -> Span | None:
        """Return the part of the period in which the limit is to be kept; None: in none."""
        if limit.kind is not LimitKind.LIMIT:
            return None
        return limit.part(self.site.jurisdiction, self.bound_us, self.site.timezone)


def parts(held: Held, limits: Sequence[Limit]) -> list[Span]:
    """Return the spans inside the period whose own figures its verdicts need, if any."""
    conditions = held.conditions
    found: set[Span] = set()
    for limit in limits:
        part = held.part(limit)
        if part is not None:
            found.add(part)
            if limit.correction:
                found.update(corrections.pieces(limit.correction, conditions, *part))
    return sorted(found - {held.bound_us})


def judge(
    found: Intensity, limit: Limit, *, applies: bool, bound: Fraction | None = None
) -> Verdict:
    """Return the verdict on a figure against one limit, or against `bound`, the limit moved."""
    if not applies or limit.kind is not LimitKind.LIMIT:
        return Verdict.NOT_APPLICABLE
    if found.value is None or found.completeness < _exact(limit.completeness):
        return Verdict.INCOMPLETE
    guarded = limit.policy is Policy.GUARDED
    room = (_exact(limit.value) if bound is None else bound) - found.value
    doubt = found.uncertainty if guarded and found.uncertainty else _NONE
    keeps = limit.cmp.keeps(doubt, room)
    if doubt and keeps is not limit.cmp.keeps(-doubt, room):
        return Verdict.INDETERMINATE
    return Verdict.WITHIN if keeps else Verdict.EXCEEDS


@lru_cache(maxsize=MOST_KEPT)
def _exact(value: Decimal) -> Fraction:
    return Fraction(value)


@lru_cache(maxsize=MOST_KEPT)
def _text(value: Decimal) -> str:
    return decimals.show(value)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A stretch with one set of inputs: its output by which it weighs, how the limit moved."""

    span_us: Span
    output: Fraction
    steps: Sequence[Step]
    value: Fraction


@dataclass(frozen=True, slots=True)
class _Moved:
    """A limit where it stands for one part of a period; `value` None: no output to weigh by."""

    value: Fraction | None
    pieces: Sequence[_Piece]

    @property
    def missing(self) -> list[str]:
        """Return the inputs that nobody declared for some of the time."""
        steps = [step for piece in self.pieces for step in piece.steps]
        return sorted({name for step in steps for name in step.missing})

    @property
    def may_tighten(self) -> bool:
        """Tell whether what is missing could lower the limit."""
        steps = [step for piece in self.pieces for step in piece.steps]
        return any(step.missing and not step.correction.only_relaxes for step in steps)


def _move(
    limit: Limit, conditions: Conditions, part: Span, known: Mapping[Span, Intensity]
) -> _Moved:
    found: list[_Piece] = []
    for span in corrections.pieces(limit.correction, conditions, *part):
        steps = corrections.apply(limit.correction, limit.value, conditions, span[0])
        value = steps[-1].after if steps else _exact(limit.value)
        found.append(_Piece(span, known[span].output or Fraction(0), steps, value))
    if len(found) == 1:
        return _Moved(found[0].value, found)
    output = sum((piece.output for piece in found), Fraction(0))
    if output <= 0:
        return _Moved(None, found)
    return _Moved(sum((p.output * p.value for p in found), Fraction(0)) / output, found)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a limit stands for the part of a period in which it holds, unrounded.

    `value` None: it cannot be told, `missing` names inputs that nobody declared, if any.
    """

    part_us: Span
    value: Fraction | None
    missing: tuple[str, ...]
    verdict: Verdict


def standing(held: Held, limit: Limit, known: Mapping[Span, Intensity]) -> Standing | None:
    """Return where a limit stands in a period and its verdict; None where it is not to be kept.

    `known` holds the figures of the period and of its `parts`.
    """
    part = held.part(limit)
    if part is None:
        return None
    moved = _move(limit, held.conditions, part, known)
    value = None if moved.missing else moved.value
    return Standing(part, value, tuple(moved.missing), _finding(known[part], limit, moved))


def _finding(figure: Intensity, limit: Limit, moved: _Moved) -> Verdict:
    if moved.value is None:
        return Verdict.INCOMPLETE
    verdict = judge(figure, limit, applies=True, bound=moved.value)
    if (
        verdict is not Verdict.INCOMPLETE
        and moved.missing
        and (moved.may_tighten or verdict is not Verdict.WITHIN)
    ):
        return Verdict.INCOMPLETE
    return verdict


def _verdict(held: Held, limit: Limit, known: Mapping[Span, Intensity]) -> dict[str, Any]:
    """Return one verdict as JSON keeps it; what has nothing to say is left out."""
    part = held.part(limit)
    item: dict[str, Any] = {
        "limit": limit.id,
        "force": limit.force.value,
        "level": limit.level,
        "cmp": limit.cmp.value,
        "limit_value": _text(limit.value),
        "verdict": Verdict.NOT_APPLICABLE.value,
        "lapsed": limit.lapsed(held.bound_us[0], held.site.timezone),
    }
    if part is None:
        return item
    figure = known[part]
    if limit.correction:
        moved = _move(limit, held.conditions, part, known)
        item["verdict"] = _finding(figure, limit, moved).value
        item |= _told(limit, moved, held.site.timezone)
    else:
        item["verdict"] = judge(figure, limit, applies=True).value
    if limit.policy is not Policy.GUARDED:
        item["policy"] = limit.policy.value
    if part != held.bound_us:
        item["part"] = _part(figure, part, held.site.timezone)
    return item


def _told(limit: Limit, moved: _Moved, timezone: str) -> dict[str, Any]:
    """Say where the limit stood by itself, where it was moved to and by what."""
    told: dict[str, Any] = {"own_value": _text(limit.value)}
    missing = moved.missing
    if missing:
        told["missing"] = missing
    elif moved.value is not None:
        told["limit_value"] = decimals.show(moved.value)
    if len(moved.pieces) == 1:
        told["corrections"] = _steps(moved.pieces[0])
        return told
    told["pieces"] = [
        {
            **_bounds(piece.span_us, timezone),
            "output": decimals.show(piece.output),
            "limit_value": decimals.show(piece.value),
            "corrections": _steps(piece),
        }
        for piece in moved.pieces[:MOST_PIECES_SHOWN]
    ]
    if len(moved.pieces) > MOST_PIECES_SHOWN:
        told["more_pieces"] = len(moved.pieces) - MOST_PIECES_SHOWN
    return told


def _steps(piece: _Piece) -> list[dict[str, Any]]:
    return [step.item() for step in piece.steps if not step.missing]


def _part(figure: Intensity, part: Span, timezone: str) -> dict[str, Any]:
    return {
        **_bounds(part, timezone),
        "energy": decimals.show_known(figure.energy),
        "output": decimals.show_known(figure.output),
        "value": decimals.show_known(figure.value),
        "uncertainty": decimals.show_known(figure.uncertainty),
        "completeness": round(float(figure.completeness), 6),
    }


def _bounds(span: Span, timezone: str) -> dict[str, str]:
    return {
        "from": periods.render(span[0], timezone),
        "until": periods.render(span[1], timezone),
    }


def figures(
    held: Held,
    known: Mapping[Span, Intensity],
    limits: Sequence[Limit],
    inputs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the figures of a period item (design 4.4) as JSON keeps them.

    `known` holds the figures of the period and of the `parts` of it; `inputs` says what the
    figures were computed from, and gets what corrections of limits read.
    """
    found, indicator = known[held.bound_us], held.indicator
    return {
        "energy": {
            "value": decimals.show_known(found.energy),
            "estimated": decimals.show(found.estimated),
            "unit": indicator.energy_unit,
        },
        "output": {"value": decimals.show_known(found.output), "unit": indicator.output_unit},
        "intensity": {
            "value": decimals.show_known(found.value),
            "unit": indicator.unit,
            "uncertainty": decimals.show_known(found.uncertainty),
        },
        "completeness": round(float(found.completeness), 6),
        "flags": flags.words(found.flags),
        "verdicts": [_verdict(held, limit, known) for limit in limits],
        "formula_version": indicator.formula_version,
        "product": held.unit.product,
        "inputs": {**inputs, **_conditions(held, limits)},
    }


def _conditions(held: Held, limits: Sequence[Limit]) -> dict[str, Any]:
    """Return what was declared for the corrections of the limits that apply, as evidence."""
    used = [limit for limit in limits if limit.correction and held.part(limit) is not None]
    names = {name for limit in used for one in limit.correction for name in one.inputs}
    if not names:
        return {}
    zone = held.site.timezone
    values = held.conditions.item(names, *held.bound_us)
    return {
        "conditions": {
            "altitude_m": held.site.altitude_m,
            **{
                name: [{"from": periods.render(at, zone), "value": value} for at, value in entries]
                for name, entries in values.items()
            },
        }
    }
