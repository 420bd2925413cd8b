"""Headroom and crossing, exactly: what the rest must keep makes the whole meet the limit."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from hypothesis import assume, given
from hypothesis import strategies as st

from core import headroom, limits
from core.corrections import Conditions, Correction, CorrectionKind
from core.facts import DAY_US
from core.headroom import Allowed, Coming, Piece, Scale
from core.limits import Comparison

if TYPE_CHECKING:
    from core.limits import Limit

UPPER = limits.find("cn.fesi.smelting.gb21341-2022.level-3")
PLAIN = replace(UPPER, correction=(), value=Decimal(13_350))
LOWER = replace(PLAIN, cmp=Comparison.AT_LEAST)
NOWHERE = Conditions(None, {})
amounts = st.fractions(min_value=Fraction(1, 100), max_value=10_000, max_denominator=1_000)
ratios = st.fractions(min_value=1, max_value=20_000, max_denominator=100)


def able(limit: Limit, made: Fraction, coming: Fraction, bound: Fraction | None = None) -> Allowed:
    """Return what a limit that stands still allows: ten days are to come."""
    value = Fraction(limit.value) if bound is None else bound
    piece = Piece((0, 10 * DAY_US), coming, value)
    return Allowed(limit, made, made * value, (piece,))


def test_the_figure_of_the_worked_example() -> None:
    # 600 t at 13,400 kWh/t of a limit of 13,350, 300 t to come: the rest must keep 13,250.
    found = headroom.headroom(able(PLAIN, Fraction(600), Fraction(300)), Fraction(600 * 13_400))
    assert found == 13_250


@given(
    made=amounts, coming=amounts, used=amounts, bound=ratios, limit=st.sampled_from([PLAIN, LOWER])
)
def test_a_rest_that_keeps_it_makes_the_whole_meet_the_limit_exactly(
    made: Fraction, coming: Fraction, used: Fraction, bound: Fraction, limit: Limit
) -> None:
    allowed = able(limit, made, coming, bound)
    found = headroom.headroom(allowed, used)
    assert found is not None
    assert (used + found * coming) / (made + coming) == bound == allowed.at_end


@given(
    made=amounts, coming=amounts, used=amounts, bound=ratios, doubt=st.fractions(0, Fraction(1, 2))
)
def test_a_guarded_rest_makes_the_whole_within_by_exactly_its_uncertainty(
    made: Fraction, coming: Fraction, used: Fraction, bound: Fraction, doubt: Fraction
) -> None:
    upper = headroom.headroom(able(PLAIN, made, coming, bound), used, doubt)
    lower = headroom.headroom(able(LOWER, made, coming, bound), used, doubt)
    assert upper is not None
    assert lower is not None
    whole = made + coming
    assert (used + upper * coming) / whole * (1 + doubt) == bound
    assert (used + lower * coming) / whole * (1 - doubt) == bound


def test_without_a_rest_nothing_can_be_kept_any_more() -> None:
    assert headroom.headroom(able(PLAIN, Fraction(5), Fraction(0)), Fraction(1)) is None


@given(made=amounts, coming=amounts, used=ratios, pace=ratios, bound=ratios)
def test_on_one_side_of_the_crossing_the_running_figure_is_under_on_the_other_over(
    made: Fraction, coming: Fraction, used: Fraction, pace: Fraction, bound: Fraction
) -> None:
    allowed = able(PLAIN, made, coming, bound)
    taken = used * made
    assume(used != bound)
    at_us = headroom.crossing_us(allowed, taken, pace)

    def over(instant_us: int) -> Fraction:
        output = coming * Fraction(instant_us, 10 * DAY_US)
        return taken + pace * output - bound * (made + output)

    if at_us is None:
        assert (over(10 * DAY_US) > 0) == (over(0) > 0) or over(10 * DAY_US) == 0
        return
    assert 0 < at_us <= 10 * DAY_US
    assert (over(at_us - 1) > 0) == (over(0) > 0) or over(at_us - 1) == 0
    assert (over(at_us) > 0) != (over(0) > 0) or over(at_us) == 0


def test_a_crossing_is_at_the_hour_one_computes_by_hand() -> None:
    # 20 days at 13,300 of 13,350, then 13,500 each day: 20 x 50 = d x 150, so 6 2/3 days on.
    allowed = able(PLAIN, Fraction(20), Fraction(10))
    found = headroom.crossing_us(allowed, Fraction(20 * 13_300), Fraction(13_500))
    assert found == Fraction(20, 3) * DAY_US


def test_a_plan_goes_before_the_pace_from_its_instant_on() -> None:
    coming = Coming(Fraction(100), ((3 * DAY_US, Fraction(0)), (5 * DAY_US, Fraction(50))))
    assert coming.over(0, 10 * DAY_US) == 3 * 100 + 5 * 50
    assert coming.over(4 * DAY_US, 6 * DAY_US) == 50
    assert (coming.by(0, 3 * DAY_US), coming.by(0, 4 * DAY_US)) == ("pace", "plan")
    assert Coming(Fraction(100)).by(0, DAY_US) == "pace"


@given(cut=st.integers(1, 10 * DAY_US - 1))
def test_output_to_come_adds_up_wherever_it_is_cut(cut: int) -> None:
    coming = Coming(Fraction(7), ((3 * DAY_US, Fraction(2)),))
    whole = coming.over(0, 10 * DAY_US)
    assert coming.over(0, cut) + coming.over(cut, 10 * DAY_US) == whole


def test_a_limit_that_moves_is_weighed_by_output_past_and_to_come() -> None:
    moved = Correction(
        CorrectionKind.CLINKER_SHARE, reference=Decimal("0.75"), per_point=Decimal(1)
    )
    limit = replace(PLAIN, value=Decimal(94), correction=(moved,))
    share = ((0, Fraction("0.75")), (5 * DAY_US, Fraction("0.80")), (8 * DAY_US, Fraction("0.70")))
    conditions = Conditions(None, {"clinker_share": share})
    found = headroom.allowed(
        limit,
        conditions,
        Scale(),
        [((0, 5 * DAY_US), Fraction(50)), ((5 * DAY_US, 6 * DAY_US), Fraction(10))],
        ((6 * DAY_US, 10 * DAY_US), Coming(Fraction(10))),
    )
    # Five days at 94, three at 99, two at 89, ten tonnes a day.
    assert found.at_end == Fraction(5 * 94 + 3 * 99 + 2 * 89, 10)
    assert found.at(8 * DAY_US) == Fraction(5 * 94 + 3 * 99, 8)
    assert [piece.output for piece in found.pieces] == [20, 20]
    assert found.missing == ()


def test_what_nobody_declared_is_named() -> None:
    moved = Correction(
        CorrectionKind.CLINKER_SHARE, reference=Decimal("0.75"), per_point=Decimal(1)
    )
    limit = replace(PLAIN, correction=(moved,))
    course = ((0, DAY_US), Coming(Fraction(1)))
    assert headroom.allowed(limit, NOWHERE, Scale(), [], course).missing == ("clinker_share",)


def test_a_chance_is_reached_between_the_instants_at_which_it_was_asked() -> None:
    instants, chances = [10, 20, 30], [0.0, 0.2, 0.9]
    assert headroom.first_reaching(instants, chances, 0.1, 0) == 15
    assert headroom.first_reaching(instants, chances, 0.9, 0) == 30
    assert headroom.first_reaching(instants, chances, 0.95, 0) is None
    assert headroom.first_reaching(instants, [0.5, 0.2, 0.1], 0.1, 0) == 2


def test_figures_and_ratios_are_each_other_s_inverse() -> None:
    scale = Scale(Fraction(100, 7), Fraction(-100))
    assert scale.figure(scale.ratio(Fraction("-12.5"))) == Fraction("-12.5")
