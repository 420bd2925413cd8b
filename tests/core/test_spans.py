"""Promises of named spans: what people write, in the plant's calendar."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import spans
from core.clock import to_us
from core.periods import Period

ZONE = "Asia/Shanghai"


def at(text: str) -> int:
    return to_us(datetime.fromisoformat(f"{text}T00:00:00+08:00"))


@pytest.mark.parametrize(
    ("text", "begin", "end", "kind", "parts"),
    [
        ("2026-10", "2026-10-01", "2026-11-01", Period.MONTH, 1),
        ("2026-12", "2026-12-01", "2027-01-01", Period.MONTH, 1),
        ("2026-Q3", "2026-07-01", "2026-10-01", Period.MONTH, 3),
        ("2026-Q4", "2026-10-01", "2027-01-01", Period.MONTH, 3),
        ("2026", "2026-01-01", "2027-01-01", Period.YEAR, 1),
    ],
)
def test_months_quarters_and_years_are_read(
    text: str, begin: str, end: str, kind: Period, parts: int
) -> None:
    found = spans.parse(text)
    assert found.bounds(ZONE) == (at(begin), at(end))
    assert found.kind is kind
    assert len(found.parts(ZONE)) == parts


@given(st.integers(2000, 2100), st.integers(1, 4), st.sampled_from([ZONE, "UTC", "Europe/Berlin"]))
def test_parts_join_to_the_whole(year: int, quarter: int, zone: str) -> None:
    found = spans.parse(f"{year}-Q{quarter}")
    parts = found.parts(zone)
    assert (parts[0][0], parts[-1][1]) == found.bounds(zone)
    assert all(a[1] == b[0] for a, b in pairwise(parts))


@pytest.mark.parametrize(
    "text", ["", "2026-13", "2026-Q5", "2026-q1", "26", "2026-1", "2026-10-01"]
)
def test_anything_else_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="2026-Q3"):
        spans.parse(text)
