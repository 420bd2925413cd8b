"""Benchmarking (对标): plants of a jurisdiction ranked by a figure, and what follows from it.

Who leads, who lags and who took no part is told by the rule of core/data/benchmarking.toml; reward
and sanction carry the source's own words. A ranking is prepared evidence: nothing follows from it
until a person of the regulator records it (core.eligibility). Promise: uncertainty speaks for the
plant, and a plant that may not see the others gets nothing by which to tell one of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals, limits, plantfigures, quartiles
from core.benchmarkrules import ClauseKind
from core.limits import Comparison, LimitKind
from core.plantfigures import WHY_WORDS
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.benchmarkrules import Clause, Rules
    from core.indicators import Indicator
    from core.plantfigures import PlantFigure
    from core.quartiles import Quartiles

BEST: Final = 1  # quartiles of plants count from the best one


class Position(StrEnum):
    """Where a plant stands."""

    LEADER = "leader"
    MIDDLE = "middle"
    LAGGARD = "laggard"
    NOT_COMPARABLE = "not_comparable"
    NON_PARTICIPANT = "non_participant"


POSITION_WORDS: Final[Mapping[Position, Mapping[str, str]]] = {
    Position.LEADER: {"zh": "领先", "en": "leader"},
    Position.MIDDLE: {"zh": "中间", "en": "middle"},
    Position.LAGGARD: {"zh": "落后", "en": "laggard"},
    Position.NOT_COMPARABLE: {"zh": "不可比", "en": "not comparable"},
    Position.NON_PARTICIPANT: {"zh": "未参与", "en": "took no part"},
}
_FOLLOWS: Final[Mapping[Position, ClauseKind]] = {
    Position.LEADER: ClauseKind.REWARD,
    Position.LAGGARD: ClauseKind.SANCTION,
    Position.NON_PARTICIPANT: ClauseKind.SANCTION,
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is benchmarked: an indicator in a jurisdiction over a period named as people write it.

    `called` are enterprises that were called up by name, those of this store and others.
    """

    indicator: Indicator
    jurisdiction: str
    period: str
    called: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One plant in the benchmark.

    Equal figures share a rank. Given the uncertainties the rank lies from `rank_best` to
    `rank_worst`. `quartile` counts from the best; `gap` is how far the figure lies off the best
    quartile's bound, above 0 where it is worse; `doubtful`: the uncertainty kept it from being
    called a leader or a laggard.
    """

    figure: PlantFigure
    position: Position
    rank: int | None = None
    rank_best: int | None = None
    rank_worst: int | None = None
    quartile: int | None = None
    gap: Fraction | None = None
    doubtful: bool = False

    @property
    def follows(self) -> ClauseKind | None:
        """Return what the source makes follow: reward, sanction or nothing."""
        return _FOLLOWS.get(self.position)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A whole benchmark: rows by rank, then those not ranked; quartiles from the best one up."""

    question: Question
    rules: Rules
    rows: tuple[Row, ...]
    quartiles: Quartiles | None
    higher_is_better: bool
    is_closed: bool

    @property
    def ranked(self) -> list[Row]:
        """Return the rows that have a rank."""
        return [row for row in self.rows if row.rank is not None]

    @property
    def clauses(self) -> list[Clause]:
        """Return the clauses that hold for these plants; empty: nothing follows."""
        return self.rules.clauses_for(self.question.jurisdiction, self.question.indicator.product)

    def clause(self, row: Row) -> Clause | None:
        """Return the clause by which something follows for a plant."""
        return next((one for one in self.clauses if one.kind is row.follows), None)

    def counts(self) -> dict[str, int]:
        """Return how many plants stand where, and how many took part."""
        found = {
            position.value: sum(row.position is position for row in self.rows)
            for position in Position
        }
        part = sum(row.figure.took_part for row in self.rows)
        return {"plants": len(self.rows), "took_part": part, "ranked": len(self.ranked), **found}


def benchmark(question: Question, figures: Sequence[PlantFigure], rules: Rules) -> Benchmark:
    """Rank plants by their figures and say of each where it stands."""
    figures = plantfigures.newest_formula(figures)
    higher = is_higher_better(question.indicator)
    sign = -1 if higher else 1  # below, less is better
    able = sorted(
        (one for one in figures if one.why is None and one.value is not None),
        key=lambda one: (sign * (one.value or 0), one.site),
    )
    field = _Field.of(able, sign)
    bounds = quartiles.exact(field.values) if len(able) >= rules.rule.least_ranked else None
    ranked = [_ranked(one, sign, field, bounds, rules) for one in able]
    rest = [
        Row(one, Position.NOT_COMPARABLE if one.took_part else Position.NON_PARTICIPANT)
        for one in sorted(figures, key=lambda one: (not one.took_part, one.site))
        if one.why is not None or one.value is None
    ]
    shown = None
    if bounds is not None:
        shown = quartiles.Quartiles(sign * bounds.first, sign * bounds.median, sign * bounds.third)
    closed = all(one.closed for one in figures if one.results) and any(
        one.results for one in figures
    )
    return Benchmark(question, rules, (*ranked, *rest), shown, higher, closed)


def is_higher_better(indicator: Indicator) -> bool:
    """Tell whether the law wants much of it, as of a recovery: by the limits that it sets."""
    kept = [one for one in limits.of_indicator(indicator.id) if one.kind is LimitKind.LIMIT]
    return bool(kept) and all(one.cmp in (Comparison.AT_LEAST, Comparison.ABOVE) for one in kept)


@dataclass(frozen=True, slots=True)
class _Field:
    """All ranked figures, less is better: sorted, and with each its uncertainty off and on."""

    values: Sequence[Fraction]
    least: Sequence[Fraction]
    most: Sequence[Fraction]

    @classmethod
    def of(cls, able: Sequence[PlantFigure], sign: int) -> _Field:
        """Sort the figures once, so that a ranking of many plants is quick."""
        pairs = [_signed(one, sign) for one in able]
        return cls(
            sorted(value for value, _ in pairs),
            sorted(value - doubt for value, doubt in pairs),
            sorted(value + doubt for value, doubt in pairs),
        )


def _ranked(
    one: PlantFigure, sign: int, field: _Field, bounds: Quartiles | None, rules: Rules
) -> Row:
    value, doubt = _signed(one, sign)
    position, doubtful = _position(one, (value, doubt), bounds, rules)
    return Row(
        one,
        position,
        rank=bisect_left(field.values, value) + 1,
        # Those surely better, whatever the uncertainties; all but those surely worse.
        rank_best=bisect_left(field.most, value - doubt) + 1,
        rank_worst=bisect_right(field.least, value + doubt),
        quartile=None if bounds is None else _quartile(value, bounds),
        gap=None if bounds is None else value - bounds.first,
        doubtful=doubtful,
    )


def _signed(one: PlantFigure, sign: int) -> tuple[Fraction, Fraction]:
    return sign * (one.value or Fraction(0)), one.uncertainty or Fraction(0)


def _quartile(value: Fraction, bounds: Quartiles) -> int:
    return BEST + sum(value > each for each in (bounds.first, bounds.median, bounds.third))


def _position(
    one: PlantFigure,
    figure: tuple[Fraction, Fraction],
    bounds: Quartiles | None,
    rules: Rules,
) -> tuple[Position, bool]:
    """Return where a ranked plant stands, and whether only doubt kept it in the middle."""
    value, doubt = figure
    rule = rules.rule
    if one.levels.get(rule.laggard_exceeds_level) == Verdict.EXCEEDS:
        return Position.LAGGARD, False
    if bounds is None or bounds.first == bounds.third:
        return Position.MIDDLE, False
    spared = one.levels.get(rule.laggard_spared_by_level) == Verdict.WITHIN
    if value > bounds.third and not spared:
        is_sure = value - doubt > bounds.third
        return (Position.LAGGARD, False) if is_sure else (Position.MIDDLE, True)
    if value > bounds.first:
        return Position.MIDDLE, False
    # Where the indicator has no such level there is nothing to keep but the quartile.
    kept = one.levels.get(rule.leader_keeps_level, Verdict.WITHIN.value)
    if kept == Verdict.WITHIN:
        return Position.LEADER, False
    return Position.MIDDLE, kept == Verdict.INDETERMINATE


@dataclass(frozen=True, slots=True)
class View:
    """What one caller may see of a benchmark: his rows, and quartiles, exact or concealed.

    `is_whole`: all rows are his. Else the quartiles are concealed, or None where too few plants
    are ranked to hide one among them.
    """

    benchmark: Benchmark
    rows: tuple[Row, ...]
    quartiles: Quartiles | None
    is_whole: bool

    def item(self) -> dict[str, Any]:
        """Return the view as JSON carries it."""
        found, asked = self.benchmark, self.benchmark.question
        shown = self.quartiles
        return {
            "indicator": asked.indicator.id,
            "product": asked.indicator.product,
            "sector": found.rules.sector_of(asked.indicator.product),
            "jurisdiction": asked.jurisdiction,
            "period": asked.period,
            "closed": found.is_closed,
            "unit": asked.indicator.unit,
            "higher_is_better": found.higher_is_better,
            "counts": found.counts(),
            "quartiles": None
            if shown is None
            else {
                "first": decimals.show(shown.first),
                "median": decimals.show(shown.median),
                "third": decimals.show(shown.third),
                "concealed": not self.is_whole,
            },
            "plants": [_item(found, row, is_whole=self.is_whole) for row in self.rows],
            "clauses": [one.item() for one in found.clauses],
            "rule": found.rules.rule.item(),
        }


def whole(found: Benchmark) -> View:
    """Return what the regulator of the whole jurisdiction sees."""
    return View(found, found.rows, found.quartiles, is_whole=True)


def part(found: Benchmark, sees: Callable[[str], bool], secret: bytes) -> View:
    """Return what a caller sees who may see some of the sites, or one of them."""
    own = tuple(row for row in found.rows if sees(row.figure.site))
    return View(found, own, _concealed(found, secret), is_whole=False)


def _concealed(found: Benchmark, secret: bytes) -> Quartiles | None:
    """Return quartiles for who may not see the plants, from the best one up."""
    rule, asked = found.rules.rule, found.question
    span = reference_range(asked.indicator)
    if len(found.ranked) < rule.least_shown or span is None:
        return None
    values = [row.figure.value for row in found.ranked if row.figure.value is not None]
    question = f"{asked.indicator.id}|{asked.jurisdiction}|{asked.period}"
    drawn = quartiles.conceal(values, float(rule.noise_budget), span, secret, question)
    if found.higher_is_better:
        return quartiles.Quartiles(drawn.third, drawn.median, drawn.first)
    return drawn


def reference_range(indicator: Indicator) -> tuple[Fraction, Fraction] | None:
    """Return the range of the national levels and a twentieth more; None where there are none."""
    levels = [
        Fraction(one.value) for one in limits.of_indicator(indicator.id) if one.level is not None
    ]
    if not levels:
        return None
    more = max(map(abs, levels)) * quartiles.RANGE
    return min(levels) - more, max(levels) + more


def _item(found: Benchmark, row: Row, *, is_whole: bool) -> dict[str, Any]:
    figure, clause = row.figure, found.clause(row)
    return {
        "site": figure.site,
        "units": list(figure.units),
        "value": decimals.show_known(figure.value),
        "uncertainty": decimals.show_known(figure.uncertainty),
        "completeness": round(float(figure.completeness), 6),
        "flags": list(figure.flags),
        "levels": {str(level): verdict for level, verdict in sorted(figure.levels.items())},
        "rank": row.rank,
        # How sure a rank is tells of the neighbours' figures, and so does the exact gap.
        "rank_best": row.rank_best if is_whole else None,
        "rank_worst": row.rank_worst if is_whole else None,
        "quartile": row.quartile,
        "gap_to_best_quartile": decimals.show_known(row.gap) if is_whole else None,
        "position": row.position.value,
        "doubtful": row.doubtful,
        "why": None if figure.why is None else figure.why.value,
        "why_text": None if figure.why is None else dict(WHY_WORDS[figure.why]),
        "follows": None if clause is None else clause.kind.value,
        "clause": None if clause is None else clause.id,
        "results": list(figure.results),
    }
