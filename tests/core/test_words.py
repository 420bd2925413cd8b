"""The small words that everything shares: names, flags, qualities, units, errors."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import flags, names, quality, units
from core.clock import utc_now
from core.errors import DanhaoError, Misconfigured, Problem, Rejected, Retryable, first_line
from core.flags import Flag


@pytest.mark.parametrize("text", ["gh-al", "a", "1", "gw-01", "a" * 63])
def test_a_slug_is_lower_case_letters_digits_and_inner_hyphens(text: str) -> None:
    assert names.is_slug(text)
    assert names.is_point(f"{text}.u.p")


@pytest.mark.parametrize(
    "text", ["", "-a", "a-", "A", "a_b", "a.b", "a/b", "a+", "#", "a\n", "a" * 64, "铝", "a b"]
)
def test_anything_else_is_no_slug_and_gets_into_no_topic(text: str) -> None:
    assert not names.is_slug(text)
    assert not names.is_point(f"s.u.{text}")
    assert names.parse_topic(f"danhao/v1/{text}/gw-01/readings") is None
    assert names.parse_topic(f"danhao/v1/gh-al/{text}/readings") is None


@given(st.from_regex(rf"\A{names.SLUG}\Z"), st.from_regex(rf"\A{names.SLUG}\Z"))
def test_a_topic_is_read_as_it_is_written(site: str, agent: str) -> None:
    for kind in names.KINDS:
        topic = names.Topic(site, agent, kind)
        assert names.parse_topic(str(topic)) == topic


@given(st.text(max_size=60))
def test_any_text_is_a_topic_of_ours_or_none(text: str) -> None:
    assert names.parse_topic(text) is None
    assert names.parse_topic(f"danhao/v1/{text}") is None or text.count("/") == 2


def test_a_point_knows_its_unit_and_site() -> None:
    assert names.unit_of("gh-al.potline-1.ac-import") == "gh-al.potline-1"
    assert names.site_of("gh-al.potline-1.ac-import") == "gh-al"


def test_flags_are_words_in_json_in_the_order_of_their_bits() -> None:
    assert flags.words(Flag.SPIKE | Flag.ROLLOVER | Flag.ESTIMATED) == [
        "rollover",
        "spike",
        "estimated",
    ]
    assert flags.words(0) == []
    assert len(set(flags.words(2 ** len(Flag) - 1))) == len(Flag)


def test_the_bits_of_flags_never_move_for_they_are_stored() -> None:
    assert [(flag.name, int(flag)) for flag in Flag][:5] == [
        ("ROLLOVER", 1),
        ("RESET", 2),
        ("EXCHANGE", 4),
        ("GAP", 8),
        ("IMPLAUSIBLE", 16),
    ]


def test_qualities_are_numbers_on_the_wire_and_words_in_json() -> None:
    assert {word: int(found) for word, found in quality.BY_WORD.items()} == {
        "good": 0,
        "uncertain": 1,
        "bad": 2,
    }
    assert all(found.word == word for word, found in quality.BY_WORD.items())


def test_units_convert_exactly_within_a_quantity_only() -> None:
    assert units.convert(Fraction(36), "MJ", "kWh") == 10
    assert units.convert(Fraction(1), "GWh", "Wh") == 10**9
    assert units.convert(Fraction(1), "kg", "t") == Fraction(1, 1000)
    with pytest.raises(ValueError, match="kWh is energy and t is mass"):
        units.convert(Fraction(1), "kWh", "t")


def test_every_rate_integrates_to_a_unit_there_is() -> None:
    assert set(units.RATES.values()) <= set(units.BOOKED)


def test_an_error_is_sorted_by_what_the_caller_may_do() -> None:
    assert {found.__mro__[1] for found in (Retryable, Rejected, Misconfigured)} == {DanhaoError}
    assert Rejected("no", "future").reason == "future"


def test_a_misconfiguration_carries_all_its_problems_one_a_line() -> None:
    error = Misconfigured([Problem("f.toml:1: a", "is wrong"), Problem("f.toml:2: b", "is too")])
    assert str(error) == "f.toml:1: a: is wrong\nf.toml:2: b: is too"
    assert len(error.problems) == 2
    assert Misconfigured("set the port").problems[0].message == "set the port"


def test_the_one_reader_of_the_clock_gives_utc() -> None:
    offset = utc_now().utcoffset()
    assert offset is not None
    assert offset.total_seconds() == 0


@pytest.mark.parametrize("outer", ["cn", "cn-qh", "cn-qh-xn"])
def test_a_jurisdiction_lies_in_itself_and_in_those_above_it(outer: str) -> None:
    assert names.is_within("cn-qh-xn", outer)


@pytest.mark.parametrize("outer", ["cn-q", "cn-qhx", "cn-qh-xn-1", "qh", ""])
def test_it_lies_in_none_below_it_or_that_only_looks_alike(outer: str) -> None:
    assert not names.is_within("cn-qh-xn", outer)


def test_an_error_says_its_first_line_or_else_its_kind() -> None:
    assert first_line(ValueError("what\nwhere")) == "what"
    assert first_line(ValueError()) == "ValueError"
