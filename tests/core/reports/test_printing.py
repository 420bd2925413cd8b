"""Promises of print: places, groups, signs; rounding is half-even and happens here only."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reports import printing
from core.reports.document import Day, Figure, Instant, Language, Mark, Text, percent, same
from tests.core.reports.sample import MADE_US, ZONE


@pytest.mark.parametrize(
    ("value", "places", "printed"),
    [
        ("13268.5", 0, "13\u2009268"),
        ("13269.5", 0, "13\u2009270"),
        ("9999", 0, "9999"),
        ("1234567.891", 1, "1\u2009234\u2009567.9"),
        ("-4.4", 0, "−4"),
        ("-0.04", 1, "0.0"),
        ("122.44", 1, "122.4"),
    ],
)
def test_a_figure_is_rounded_grouped_and_never_a_negative_zero(
    value: str, places: int, printed: str
) -> None:
    assert printing.rounded(value, places) == printed


@given(st.decimals(-(10**12), 10**12, places=6), st.integers(0, 6))
def test_print_is_the_decimal_rounding_whatever_the_figure(value: Decimal, places: int) -> None:
    printed = printing.rounded(f"{value:f}", places)
    read = Decimal(printed.replace(printing.THIN_SPACE, "").replace(printing.MINUS, "-"))
    assert read == value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)


@given(st.decimals(-(10**12), 10**12, places=6))
def test_an_exact_figure_keeps_every_place(value: Decimal) -> None:
    printed = printing.plain(f"{value:f}").replace(printing.THIN_SPACE, "")
    assert Decimal(printed.replace(printing.MINUS, "-")) == value


def test_a_deviation_is_signed_and_zero_says_plus_minus() -> None:
    shown = [percent(one, 1, signed=True) for one in ("0.0313", "-0.005", "0.00001")]
    assert [printing.say(one, Language.EN) for one in shown] == ["+3.1%", "−0.5%", "±0.0%"]


def test_nearly_complete_never_reads_as_complete() -> None:
    assert printing.say(percent(0.99996, 2, down=True), Language.EN) == "99.99%"
    assert printing.say(percent(1.0, 2, down=True), Language.EN) == "100.00%"


def test_what_is_absent_is_a_dash() -> None:
    assert printing.say(None, Language.ZH) == printing.say(None, Language.EN) == "—"


def test_each_kind_of_value_has_its_print() -> None:
    assert printing.say(Day("2026-10-01"), Language.ZH) == "2026-10-01"
    assert printing.say(Instant(MADE_US, ZONE), Language.EN) == "2026-11-03 12:00:00+08:00"
    assert printing.say(Mark("x", Text("超限", "exceeds")), Language.ZH) == "超限"
    assert printing.say(Figure("0.5", 1, "kWh/t"), Language.EN) == "0.5 kWh/t"
    assert printing.say(same("id-1"), Language.ZH) == "id-1"


@pytest.mark.parametrize(
    ("name", "zh", "en"),
    [
        ("2026-10", "2026年10月", "October 2026"),
        ("2026-Q3", "2026年第三季度", "Q3 2026"),
        ("2026", "2026年", "2026"),
    ],
)
def test_a_period_is_named_as_people_say_it(name: str, zh: str, en: str) -> None:
    assert printing.period(name, Language.ZH) == zh
    assert printing.period(name, Language.EN) == en
