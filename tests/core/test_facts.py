"""Terms of facts: each function by its rule, and what is missing is unknown with a word for it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import facts, flags
from core.clock import to_us
from core.facts import Function, Scope, Term
from tests.core.factbook import answers, fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.facts import Amount
    from core.output import OutputFact

START = datetime(2026, 9, 30, 16, tzinfo=UTC)  # 2026-10-01 in the plant
END = datetime(2026, 10, 31, 16, tzinfo=UTC)
INSIDE = START + timedelta(days=9)
SCOPE = Scope("s.u", "metal", to_us(START), to_us(END), "Asia/Shanghai")
DAY_US = 24 * facts.HOUR_US
STOCK = Term(Function.STOCK_CHANGE, "metal_in_pots", tolerance_us=DAY_US)
COAL = Term(Function.BALANCE, "raw_coal", tolerance_us=DAY_US)
TONNES = st.decimals(0, 100_000, places=6).map(lambda number: f"{number:f}")


def made(term: Term, booked: Sequence[OutputFact], unit: str = "t") -> Amount:
    asked = facts.questions(term, SCOPE, unit)
    return facts.amount(term, SCOPE, unit, answers(asked, booked))


def stock(at: datetime, amount: str, stream: str = "metal_in_pots") -> OutputFact:
    return fact(at, "stock", amount, stream)


def words(amount: Amount) -> list[str]:
    return flags.words(amount.flags)


def test_a_sum_takes_its_kinds_of_its_stream_in_its_period_only() -> None:
    term = Term(Function.SUM, "solid_waste", ("use",))
    booked = [
        fact(INSIDE, "use", "3", "solid_waste"),
        fact(INSIDE, "weighing", "5", "solid_waste"),
        fact(INSIDE, "use", "7", "other_waste"),
        fact(INSIDE, "use", "11"),
        fact(END, "use", "13", "solid_waste"),
        fact(START, "use", "17.000001", "solid_waste"),
    ]
    assert made(term, booked).value == Fraction("20.000001")


def test_a_fact_without_a_stream_is_of_the_product_and_one_that_names_it_is_too() -> None:
    term = Term(Function.SUM, None, ("weighing",))
    booked = [fact(INSIDE, "weighing", "3"), fact(INSIDE, "weighing", "4", "metal")]
    assert made(term, booked).value == 7


def test_amounts_of_one_quantity_add_up_whatever_their_unit() -> None:
    term = Term(Function.SUM, "cells", ("weighing",))
    booked = [
        fact(INSIDE, "weighing", "1.5", "cells", "MW"),
        fact(INSIDE, "weighing", "250", "cells", "kW"),
    ]
    assert made(term, booked, "MW").value == Fraction("1.75")


def test_an_amount_of_another_quantity_makes_the_sum_unknown() -> None:
    term = Term(Function.SUM, "cells", ("weighing",))
    booked = [
        fact(INSIDE, "weighing", "1.5", "cells", "MW"),
        fact(INSIDE, "weighing", "3", "cells"),
    ]
    assert (made(term, booked, "MW").value, words(made(term, booked, "MW"))) == (
        None,
        ["unit_unfit"],
    )


def test_without_facts_a_sum_is_unknown_not_zero() -> None:
    found = made(Term(Function.SUM, "slag", ("use",)), [])
    assert (found.value, words(found)) == (None, ["facts_missing"])


def test_a_content_is_mass_times_grade_over_its_reference() -> None:
    term = Term(Function.GRADED, "brine", ("charge",), grade="K", reference=Fraction(1, 2))
    booked = [
        fact(INSIDE, "charge", "100", "brine", K="0.02"),
        fact(START, "charge", "50", "brine", K="0.04"),
    ]
    assert made(term, booked).value == 8
    bare = made(term, [*booked, fact(INSIDE, "charge", "1", "brine")])
    assert (bare.value, words(bare)) == (None, ["grade_missing"])


def test_product_by_feed_is_feed_over_the_factor_of_each_fact() -> None:
    term = Term(Function.PER_GRADE, "kiln_feed", ("charge",), grade="feed_per_product")
    booked = [
        fact(INSIDE, "charge", "1550", "kiln_feed", feed_per_product="1.55"),
        fact(START, "charge", "800", "kiln_feed", feed_per_product="1.6"),
        fact(START, "charge", "1600", "kiln_feed", feed_per_product="1.6"),
    ]
    assert made(term, booked).value == 2500
    bare = made(term, [*booked, fact(INSIDE, "charge", "1", "kiln_feed")])
    assert (bare.value, words(bare)) == (None, ["grade_missing"])
    nothing = made(term, [fact(INSIDE, "charge", "5", "kiln_feed", feed_per_product="0")])
    assert (nothing.value, words(nothing)) == (None, ["grade_missing"])


def test_a_stock_changes_from_the_last_taking_before_either_bound() -> None:
    booked = [
        stock(START - timedelta(hours=20), "5000"),
        stock(START - timedelta(hours=2), "5250"),
        stock(INSIDE, "9999"),
        stock(END - timedelta(hours=1), "5301.5"),
        stock(END + timedelta(minutes=1), "1"),
    ]
    found = made(STOCK, booked)
    assert found.value == Fraction("51.5")
    assert found.item["opening"] == {"amount": "5250", "at": "2026-09-30T14:00:00Z"}
    assert found.item["closing"] == {"amount": "5301.5", "at": "2026-10-31T15:00:00Z"}


def test_a_stock_at_the_bound_counts_and_several_heaps_of_one_instant_add_up() -> None:
    booked = [stock(START, "100"), stock(START, "20"), stock(END, "90")]
    assert made(STOCK, booked).value == -30


@pytest.mark.parametrize(
    "booked",
    [
        [],
        [stock(START, "1")],
        [stock(END, "1")],
        [stock(START - timedelta(hours=24, microseconds=1), "1"), stock(END, "1")],
        [stock(START, "1"), stock(END - timedelta(hours=24, microseconds=1), "1")],
        [stock(START, "1", "other"), stock(END, "1", "other")],
    ],
)
def test_a_stock_not_taken_in_time_makes_the_change_unknown(booked: list[OutputFact]) -> None:
    found = made(STOCK, booked)
    assert (found.value, words(found)) == (None, ["stock_not_taken"])


def test_one_stock_taking_does_not_stand_at_both_bounds() -> None:
    hour = Scope("s.u", "metal", to_us(START), to_us(START) + facts.HOUR_US)
    booked = [stock(START - timedelta(hours=1), "5000")]
    told = answers(facts.questions(STOCK, hour, "t"), booked)
    found = facts.amount(STOCK, hour, "t", told)
    assert (found.value, words(found)) == (None, ["stock_not_taken"])


@given(opening=TONNES, closing=TONNES, received=TONNES, shipped=TONNES)
def test_a_balance_is_receipts_and_opening_less_closing_and_shipments(
    opening: str, closing: str, received: str, shipped: str
) -> None:
    booked = [
        stock(START, opening, "raw_coal"),
        stock(END, closing, "raw_coal"),
        fact(INSIDE, "receipt", received, "raw_coal"),
        fact(INSIDE, "shipment", shipped, "raw_coal"),
    ]
    used = made(COAL, booked).value
    assert used == Fraction(received) + Fraction(opening) - Fraction(closing) - Fraction(shipped)
    produced = Term(Function.PRODUCED, "raw_coal", tolerance_us=DAY_US)
    assert made(produced, booked).value == -used
    assert made(Term(Function.BALANCE, "raw_coal", sign=-1, tolerance_us=DAY_US), booked).value == (
        -used
    )


def test_an_open_period_closes_with_the_last_stock_taken_by_now() -> None:
    booked = [stock(START, "900"), stock(INSIDE, "910"), stock(INSIDE + timedelta(days=1), "999")]
    for late, value in ((timedelta(0), 10), (timedelta(hours=20), 10), (timedelta(days=4), None)):
        scope = replace(SCOPE, now_us=to_us(INSIDE + late))
        told = answers(facts.questions(STOCK, scope, "t"), booked)
        assert facts.amount(STOCK, scope, "t", told).value == value
    closed = replace(SCOPE, now_us=to_us(END + timedelta(days=9)))
    assert facts.questions(STOCK, closed, "t") == facts.questions(STOCK, SCOPE, "t")


def test_an_account_that_is_kept_had_no_receipt_where_none_is_booked() -> None:
    found = made(COAL, [stock(START, "900", "raw_coal"), stock(END, "400", "raw_coal")])
    assert found.value == 500
    assert (found.item["received"], found.item["gone"]) == ("0", "0")


def test_receipts_without_stock_takings_are_no_use() -> None:
    found = made(COAL, [fact(INSIDE, "receipt", "500", "raw_coal")])
    assert (found.value, words(found)) == (None, ["stock_not_taken"])


@given(st.lists(TONNES, min_size=2, max_size=6))
def test_what_stocks_changed_by_in_consecutive_periods_adds_up_to_the_whole(
    levels: list[str],
) -> None:
    edges = [START + timedelta(days=n) for n in range(len(levels))]
    booked = [stock(at, level) for at, level in zip(edges, levels, strict=True)]
    total = Fraction(0)
    for begin, end in itertools.pairwise(edges):
        scope = Scope("s.u", "metal", to_us(begin), to_us(end))
        told = answers(facts.questions(STOCK, scope, "t"), booked)
        change = facts.amount(STOCK, scope, "t", told).value
        assert change is not None
        total += change
    assert total == Fraction(levels[-1]) - Fraction(levels[0])


def test_a_sum_of_amounts_is_unknown_where_one_is() -> None:
    one, none = facts.Amount(Fraction(1)), facts.Amount(None)
    assert facts.total([one, one]) == 2
    assert facts.total([one, none]) is None
    assert facts.total([]) is None


@pytest.mark.parametrize(
    ("kind", "grades", "until"),
    [
        ("tapping", {"Si": "0.7"}, timedelta(microseconds=1)),
        ("stock", {}, timedelta(hours=facts.MOST_TOLERANCE_H)),
        ("charge", {"lhv_kj_per_kg": "22000"}, timedelta(hours=24)),
    ],
)
def test_a_fact_reaches_the_periods_that_it_may_change(
    kind: str, grades: dict[str, str], until: timedelta
) -> None:
    begin, end = facts.reach(kind, to_us(INSIDE), grades)
    assert begin <= to_us(INSIDE)
    assert end >= to_us(INSIDE + until)


def test_a_base_reaches_every_later_period() -> None:
    assert facts.reach("base", to_us(INSIDE), {}) == (to_us(INSIDE), facts.FOREVER_US)


def test_an_open_scope_ends_where_all_of_its_stocks_were_last_taken() -> None:
    scope = replace(SCOPE, now_us=to_us(INSIDE))
    asked = [facts.closing(term, scope, "t") for term in (STOCK, COAL)]
    spans = [each for each in asked if each is not None]
    hours = {"metal_in_pots": 1, "raw_coal": 5}
    taken = [stock(INSIDE - timedelta(hours=ago), "1", name) for name, ago in hours.items()]
    ended = facts.settled(scope, spans, answers(spans, taken))
    assert ended == replace(scope, end_us=to_us(INSIDE - timedelta(hours=5)))
    # Not where one of them is not known, and not where the period is closed or takes no stock.
    assert facts.settled(scope, spans, answers(spans, taken[:1])) is scope
    assert facts.settled(SCOPE, spans, answers(spans, taken)) is SCOPE
    assert facts.settled(scope, [], {}) is scope
    assert facts.closing(Term(Function.SUM, None, ("tapping",)), scope, "t") is None


def test_a_closing_stock_that_is_not_due_yet_is_not_missing() -> None:
    scope = replace(SCOPE, now_us=to_us(START + timedelta(hours=3)))
    opening = stock(START, "900")
    found = facts.amount(STOCK, scope, "t", answers(facts.questions(STOCK, scope, "t"), [opening]))
    assert (found.value, words(found)) == (None, [])
    # A day later it is.
    late = replace(SCOPE, now_us=to_us(START + timedelta(hours=25)))
    found = facts.amount(STOCK, late, "t", answers(facts.questions(STOCK, late, "t"), [opening]))
    assert (found.value, words(found)) == (None, ["stock_not_taken"])
