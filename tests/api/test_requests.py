"""Promises of times, ranges, pages and cursors."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import requests
from api.problems import ProblemError
from api.requests import Window
from core.clock import to_us
from core.periods import Period

ZONE = "Asia/Shanghai"
NOW_US = to_us(datetime(2026, 11, 21, 4, tzinfo=UTC))


def _us(year: int, month: int, day: int, hour: int = 0) -> int:
    return to_us(datetime(year, month, day, hour, tzinfo=UTC))


def test_a_range_defaults_to_the_current_month_of_the_plant() -> None:
    span = requests.span(None, None, NOW_US, ZONE)
    assert (span.from_us, span.until_us) == (_us(2026, 10, 31, 16), _us(2026, 11, 30, 16))


@pytest.mark.parametrize(
    "text", ["2026-10-01T00:00:00+08:00", "2026-10-01T00:00:00 08:00", "2026-09-30T16:00:00Z"]
)
def test_an_instant_is_read_with_offset_even_where_the_plus_was_lost(text: str) -> None:
    assert requests.instant("from", text) == _us(2026, 9, 30, 16)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-10-01", "2026-10-01T00:00:00", "0001-01-01T00:00:00+08:00",
     "9999-12-31T23:59:59-08:00", "1969-12-31T23:00:00Z", "2026-13-01T00:00:00Z", "x" * 9999],
)  # fmt: skip
def test_a_bad_time_names_its_parameter(text: str) -> None:
    with pytest.raises(ProblemError, match="Parameter `to`") as caught:
        requests.span(None, text, NOW_US, ZONE)
    assert caught.value.status == 422


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ProblemError, match="before `from`"):
        requests.span("2026-02-01T00:00:00Z", "2026-01-01T00:00:00Z", NOW_US, ZONE)


def test_a_range_that_begins_after_this_month_is_empty_and_no_error() -> None:
    span = requests.span("2027-01-01T00:00:00Z", None, NOW_US, ZONE)
    assert span.from_us == span.until_us


@given(st.lists(st.one_of(st.integers(-(2**62), 2**62), st.text()), min_size=1, max_size=3))
def test_a_cursor_gives_back_its_key(key: list[int | str]) -> None:
    cursor = requests.encode_cursor(*key)
    assert requests.decode_cursor(cursor, *(type(part) for part in key)) == key


@given(st.text(max_size=80))
def test_a_forged_cursor_is_a_422_and_never_a_fault(cursor: str) -> None:
    with suppress(ProblemError):
        key = requests.decode_cursor(cursor, int)
        assert key is not None
        assert isinstance(key[0], int)


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(ProblemError):
        requests.decode_cursor(requests.encode_cursor("gh-al"), int)
    with pytest.raises(ProblemError):
        requests.decode_cursor(requests.encode_cursor(None), int)
    with pytest.raises(ProblemError):
        requests.decode_cursor(requests.encode_cursor(2**70), int)


@given(st.sets(st.text(min_size=1, max_size=4), max_size=30), st.integers(1, 7))
def test_pages_of_ids_join_to_the_whole_list(found: set[str], limit: int) -> None:
    ids = sorted(found)
    pages: list[str] = []
    cursor: str | None = None
    for _ in range(len(ids) + 1):
        page, cursor = requests.page_of_ids(ids, ids, limit, cursor)
        assert len(page) <= limit
        pages += page
        if cursor is None:
            break
    assert pages == ids


def test_pages_of_periods_join_to_the_whole_range_and_end_at_the_present() -> None:
    whole, following = requests.page_of_periods(
        Period.DAY, Window(None, None, 500, None), NOW_US, ZONE
    )
    assert following is None
    assert len(whole) == 21  # the 1st to the 21st of November, in plant time
    parts: list[tuple[int, int]] = []
    cursor: str | None = None
    while True:
        page, cursor = requests.page_of_periods(
            Period.DAY, Window(None, None, 4, cursor), NOW_US, ZONE
        )
        parts += page
        if cursor is None:
            break
    assert parts == whole


def test_a_range_of_two_centuries_costs_one_page() -> None:
    asked = Window("1970-01-01T00:00:00Z", None, 10, None)
    page, following = requests.page_of_periods(Period.SLOT, asked, NOW_US, ZONE)
    assert len(page) == 10
    assert following is not None
