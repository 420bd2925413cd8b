"""A reading is a plain fact, and many at once are the same as each alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.quality import Quality
from core.reading import Reading, at_once

VALUES = st.lists(st.one_of(st.none(), st.integers(), st.floats(allow_nan=False)), max_size=30)


@given(st.integers(), VALUES)
def test_many_at_once_are_what_each_would_be_alone(
    measured_us: int, values: list[float | int | None]
) -> None:
    points = [f"s.u.p{number}" for number in range(len(values))]
    found = list(at_once(points, measured_us, values))
    assert found == [
        Reading(point, measured_us, value, Quality.BAD if value is None else Quality.GOOD)
        for point, value in zip(points, values, strict=True)
    ]
    assert all(type(one) is Reading for one in found)
