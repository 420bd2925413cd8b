"""Promises of the split: exact sums, causes as defined, and the unknown as a named remainder."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import excess, indicators
from core.baseline import Baseline, Origin, Response, Way
from core.excess import Cause, Why
from core.facts import HOUR_US
from core.periods import Period
from core.producing import Group, Seen, Share
from tests.core.excessworld import baseline, known, seen, share

# A furnace at its reference: 700 h at 27 MW, 1 MW of fans beside it, 2,450 t: 8,000 kWh/t.
PROCESS, FANS = Group.PROCESS, Group.AUXILIARY
REFERENCE = seen(2450, {PROCESS: share(18_900_000, 700), FANS: share(700_000, 700)}, idle_h=20)
LIMIT = Fraction(7900)


def amounts(
    one: Seen, base: Baseline | None, limit: Fraction = LIMIT
) -> dict[Cause, Fraction | None]:
    found = excess.split(one, limit, base)
    assert sum((amount for _, amount in found.told()), Fraction(0)) == found.amount
    assert found.amount == one.energy - limit * one.output
    return {part.cause: part.amount for part in found.parts}


def nonzero(found: dict[Cause, Fraction | None]) -> dict[Cause, Fraction | None]:
    return {cause: amount for cause, amount in found.items() if amount != 0}


def test_the_reference_itself_is_over_by_nothing_but_its_distance_and_its_idle_time() -> None:
    found = amounts(REFERENCE, baseline(REFERENCE))
    assert nonzero(found) == {Cause.REFERENCE: 100 * 2450}


def test_idle_burn_is_the_energy_of_idle_time_and_nothing_else_changes() -> None:
    stood = seen(
        2450 * Fraction(6, 7),
        {PROCESS: share(16_200_000, 600), FANS: share(600_000, 600)},
        idle=54_000,
        idle_h=120,
    )
    found = nonzero(amounts(stood, baseline(REFERENCE)))
    assert found == {Cause.REFERENCE: 100 * 2100, Cause.STOPPAGE: 54_000}


def test_a_slower_rate_costs_what_runs_at_any_rate_for_the_hours_beyond() -> None:
    # A fifth of 27 MW is needed at any rate: at four fifths of the rate 22.68 MW.
    slow = seen(1960, {PROCESS: share(22_680 * 700, 700), FANS: share(700_000, 700)})
    found = nonzero(amounts(slow, baseline(REFERENCE)))
    # 1,960 t would have taken 560 h; 140 h more at 5.4 MW and the fans' 1 MW.
    assert found == {Cause.REFERENCE: 100 * 1960, Cause.RATE: 140 * 6_400}


def test_a_poorer_grade_costs_as_the_response_says() -> None:
    graded = seen(2450, {PROCESS: share(18_900_000, 700), FANS: share(700_000, 700)}, mass=2450)
    # The same tonnes and energy, a twentieth less counted: half of it is the grade's doing.
    poor = seen(
        Fraction("2327.5"), {PROCESS: share(18_900_000, 700), FANS: share(700_000, 700)}, mass=2450
    )
    found = amounts(poor, baseline(graded, fixed="0", grade="0.5"))
    assert found[Cause.MIX] == 8000 * Fraction("61.25")
    # The other half is a process that took as much for less.
    assert found[Cause.PROCESS] == 27_000 * 700 - 18_900_000 * Fraction("2388.75") / 2450
    whole = amounts(poor, baseline(graded, fixed="0", grade="0"))
    assert whole[Cause.MIX] == 8000 * Fraction("122.5")
    assert {Cause.RATE, Cause.PROCESS}.isdisjoint(nonzero(whole))


def test_auxiliaries_are_held_against_their_own_load_and_a_worse_process_is_the_rest() -> None:
    found = nonzero(
        amounts(
            seen(2450, {PROCESS: share(19_000_000, 700), FANS: share(770_000, 700)}),
            baseline(REFERENCE),
        )
    )
    assert found == {Cause.REFERENCE: 245_000, Cause.AUXILIARY: 70_000, Cause.PROCESS: 100_000}


def test_recovery_that_failed_and_fuel_by_account_have_parts_of_their_own() -> None:
    groups = {PROCESS: share(700_000, 700), Group.RECOVERY: share(-70_000, 700)}
    reference = seen(1000, groups, booked=500_000)
    month = seen(
        1000, {PROCESS: share(700_000, 700), Group.RECOVERY: share(-35_000, 700)}, booked=550_000
    )
    found = nonzero(amounts(month, baseline(reference), Fraction(1130)))
    assert found == {Cause.RECOVERY: 35_000, Cause.ACCOUNTS: 50_000}


def test_energy_that_is_missing_is_doubt_below_zero_and_no_saving_of_the_process() -> None:
    # 70 hours were lost to a reset: the law's sum lacks them, their output is there.
    lost = seen(
        2450,
        {PROCESS: share(27_000 * 630, 630, 0, 70), FANS: share(630_000, 630, 70_000, 70)},
    )
    found = nonzero(amounts(lost, baseline(REFERENCE)))
    assert found == {Cause.REFERENCE: 245_000, Cause.DOUBT: -27_000 * 70}


def test_what_rests_on_an_unknown_share_is_one_remainder_by_name() -> None:
    slow = seen(1960, {PROCESS: share(22_680 * 700, 700), FANS: share(700_000, 700)})
    found = excess.split(slow, LIMIT, baseline(REFERENCE, fixed=None))
    assert found.remainder is not None
    assert found.remainder.causes == (Cause.RATE, Cause.PROCESS)
    assert found.remainder.why == (Why.FIXED_SHARE_UNKNOWN,)
    assert found.remainder.amount == 140 * 6_400
    untold = [part.cause for part in found.parts if part.amount is None]
    assert untold == [Cause.RATE, Cause.PROCESS]


def test_an_unknown_grade_response_takes_rate_and_process_with_it_only_where_grades_differ() -> (
    None
):
    groups = {PROCESS: share(18_900_000, 700), FANS: share(700_000, 700)}
    reference = seen(2450, groups, mass=2450)
    base = baseline(reference, grade=None)
    poor = excess.split(seen(2400, groups, mass=2450), LIMIT, base)
    assert poor.remainder is not None
    assert poor.remainder.causes == (Cause.RATE, Cause.MIX, Cause.PROCESS)
    assert poor.remainder.why == (Why.GRADE_RESPONSE_UNKNOWN,)
    same = excess.split(seen(2400, groups, mass=2400), LIMIT, base)
    assert same.remainder is None


@pytest.mark.parametrize(
    ("one", "why", "told"),
    [
        (REFERENCE, Why.NO_REFERENCE, {Cause.STOPPAGE}),
        (seen(10, {FANS: share(700, 7)}), Why.NO_PROCESS_METER, set()),
        (seen(10, {}, booked=700), Why.NO_PROCESS_METER, set()),
    ],
)
def test_without_a_reference_or_a_meter_of_the_process_the_rest_is_named(
    one: Seen, why: Why, told: set[Cause]
) -> None:
    found = excess.split(one, LIMIT, None)
    assert found.remainder is not None
    assert found.remainder.why == (why,)
    assert set(found.remainder.causes) == set(Cause) - told
    assert sum((amount for _, amount in found.told()), Fraction(0)) == found.amount


def test_a_cause_that_the_indicator_does_not_count_is_nothing_and_says_so() -> None:
    bare = seen(2450, {PROCESS: share(18_900_000, 700)})
    parts = {part.cause: part for part in excess.split(bare, LIMIT, baseline(bare)).parts}
    for cause in (Cause.AUXILIARY, Cause.RECOVERY, Cause.ACCOUNTS, Cause.MIX):
        assert parts[cause].amount == 0
        assert parts[cause].why is Why.NOT_COUNTED


def test_a_derived_share_says_how_far_it_may_move_its_parts() -> None:
    slow = seen(1960, {PROCESS: share(22_680 * 700, 700), FANS: share(700_000, 700)})
    derived = Response("fixed_share", Fraction("0.2"), Origin.DERIVED, Fraction("0.01"), 12)
    base = Baseline(REFERENCE, Period.MONTH, Way.BEST, 12, derived, known("grade_response", None))
    parts = {part.cause: part for part in excess.split(slow, LIMIT, base).parts}
    # One hundredth of 27 MW for 140 hours, two standard errors.
    assert parts[Cause.RATE].give == parts[Cause.PROCESS].give == 2 * 270 * 140
    assert parts[Cause.STOPPAGE].give is None


@pytest.mark.parametrize(
    ("indicator", "refused"),
    [
        ("fesi.smelting", False),
        ("fesi.comprehensive", False),
        ("al.alumina", False),
        ("cement.slag_use", True),
        ("industry.energy_per_value_added", True),
        ("ferroalloy.dust_concentration", True),
    ],
)
def test_what_is_no_energy_over_output_has_no_split(indicator: str, *, refused: bool) -> None:
    assert (excess.refusal(indicators.find(indicator)) is not None) == refused


# Fractions of a prime: nothing cancels, and drawing them is quick.
exact = st.integers(-(10**12), 10**12).map(lambda number: Fraction(number, 997))
positive = st.integers(1, 10**12).map(lambda number: Fraction(number, 991))
ratio = st.integers(0, 983).map(lambda number: Fraction(number, 983))


@st.composite
def spans(draw: st.DrawFn, groups: frozenset[Group], *, graded: bool) -> Seen:
    """Draw a span; what is not idle is producing or doubtful time of every group."""
    hours = draw(st.integers(1, 9000))
    shares: dict[Group, Share] = {}
    for group in sorted(groups):
        producing = draw(st.integers(1, hours))
        energy = draw(positive if group is PROCESS else exact)
        doubtful_us = (hours - producing) * HOUR_US
        shares[group] = Share(energy, producing * HOUR_US, draw(exact), doubtful_us)
    return seen(
        draw(positive),
        shares,
        idle=draw(exact),
        idle_h=draw(st.integers(0, 500)),
        booked=draw(exact),
        mass=draw(positive) if graded else None,
    )


@given(st.data(), exact, st.sets(st.sampled_from([FANS, Group.RECOVERY])))
def test_parts_and_remainder_sum_to_the_excess_whatever_they_are_made_of(
    data: st.DataObject, limit: Fraction, more: set[Group]
) -> None:
    groups, graded = frozenset({PROCESS, *more}), data.draw(st.booleans())
    one, reference = (data.draw(spans(groups, graded=graded)) for _ in range(2))
    fixed, grade = (data.draw(st.none() | ratio) for _ in range(2))
    base = Baseline(
        reference,
        Period.MONTH,
        Way.MEDIAN,
        1,
        known("fixed_share", fixed),
        known("grade_response", grade),
    )
    found = excess.split(one, limit, data.draw(st.sampled_from([base, None])))
    told = found.told()
    assert sum((amount for _, amount in told), Fraction(0)) == found.amount
    assert found.amount == one.energy - limit * one.output
    assert sorted(cause for causes, _ in told for cause in causes) == sorted(Cause)
    printed = found.printed()
    assert sum(printed) == round(found.amount * 10**6)
    for (_, amount), one_printed in zip(told, printed, strict=True):
        assert abs(amount * 10**6 - one_printed) < 1


@given(st.data(), exact)
def test_a_share_moves_amounts_between_its_causes_and_no_other(
    data: st.DataObject, limit: Fraction
) -> None:
    groups = frozenset({PROCESS, FANS})
    one, reference = (data.draw(spans(groups, graded=True)) for _ in range(2))
    splits = [
        excess.split(
            one,
            limit,
            Baseline(reference, Period.MONTH, Way.MEDIAN, 1, *(
                known(name, data.draw(ratio)) for name in ("fixed_share", "grade_response")
            )),
        )
        for _ in range(2)
    ]  # fmt: skip
    moved = {Cause.RATE, Cause.MIX, Cause.PROCESS}
    first, second = ({part.cause: part.amount for part in each.parts} for each in splits)
    for cause in set(Cause) - moved:
        assert first[cause] == second[cause]
    assert sum(first[cause] or 0 for cause in moved) == sum(second[cause] or 0 for cause in moved)


@given(st.lists(exact, max_size=12), st.sampled_from([1, 10, 1000, 10**6]))
def test_apportioned_amounts_sum_to_the_rounded_sum_and_none_is_off_by_a_unit(
    amounts: list[Fraction], scale: int
) -> None:
    found = excess.apportioned(amounts, scale)
    assert sum(found) == round(sum(amounts, Fraction(0)) * scale)
    assert all(abs(one * scale - each) < 1 for one, each in zip(amounts, found, strict=True))
