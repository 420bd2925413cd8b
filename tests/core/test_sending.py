"""Promises of what senders have in common: waits grow to a bound, a note is one bounded line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core import sending


@given(st.integers(0, 10**6), st.floats(1, 100), st.floats(100, 10_000))
def test_waiting_grows_and_is_bounded(failures: int, least: float, most: float) -> None:
    now = sending.back_off_s(failures, least, most)
    assert least <= now <= most
    assert now <= sending.back_off_s(failures + 1, least, most)
    assert sending.back_off_s(10**6, least, most) == most


@given(st.text(max_size=200), st.integers(1, 50))
def test_what_is_noted_is_one_printable_line_within_its_bound(text: str, most: int) -> None:
    noted = sending.one_line(text, most)
    assert noted.isprintable()
    assert len(noted) <= most
    if text.isascii() and text.isalnum():
        assert noted == text[:most]
