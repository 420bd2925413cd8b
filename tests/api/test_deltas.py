"""Promises of differences: whoever applies them holds what the server holds."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api.deltas import IDENTITY, difference

DIGITS = st.one_of(st.none(), st.integers(0, 3).map(str))
FIGURE = st.fixed_dictionaries({"value": DIGITS, "unit": st.just("kWh/t")})
VERDICT = st.fixed_dictionaries(
    {"limit": st.sampled_from("abc"), "verdict": st.sampled_from(["within", "exceeds"])},
    optional={"part": FIGURE},
)
ITEM = st.fixed_dictionaries(
    {
        "indicator": st.sampled_from("xy"),
        "flags": st.lists(st.sampled_from("fg"), max_size=2),
        "intensity": st.one_of(st.none(), FIGURE),
        "verdicts": st.lists(VERDICT, max_size=3),
    }
)
VIEW = st.fixed_dictionaries(
    {"unit": st.just("u"), "live": FIGURE, "current": st.lists(ITEM, max_size=2)},
    optional={"more": DIGITS},
)


def applied(held: Any, change: Any, name: str = "") -> Any:
    """Apply a difference as the page does, written anew."""
    if not isinstance(change, dict) or held is None:
        return change
    if isinstance(held, list):
        key = IDENTITY[name]
        return [applied(one, change.get(one[key], {})) for one in held]
    return held | {each: applied(held.get(each), what, each) for each, what in change.items()}


@given(VIEW, VIEW)
def test_a_difference_applied_to_what_was_told_gives_what_is(
    told: dict[str, Any], view: dict[str, Any]
) -> None:
    change = difference(view, told)
    if change is None:
        assert told.keys() - view.keys() or _has_lost(told, view)
    else:
        assert applied(told, change) == view


def _has_lost(told: dict[str, Any], view: dict[str, Any]) -> bool:
    return bool(told["live"].keys() - view["live"].keys())


def test_one_digit_of_one_figure_is_all_that_is_told() -> None:
    def view(value: str) -> dict[str, Any]:
        other = {"indicator": "y", "energy": {"value": "7", "unit": "kWh"}}
        item = {"indicator": "x", "energy": {"value": value, "unit": "kWh"}}
        return {"unit": "u", "name": {"en": "Unit"}, "current": [item, other]}

    assert difference(view("2"), view("1")) == {"current": {"x": {"energy": {"value": "2"}}}}


def test_an_item_that_comes_or_goes_is_told_with_its_whole_list() -> None:
    one, other = {"indicator": "x", "n": 1}, {"indicator": "y", "n": 2}
    assert difference({"current": [one, other]}, {"current": [one]}) == {"current": [one, other]}
    assert difference({"current": [other]}, {"current": [one, other]}) == {"current": [other]}


def test_an_item_that_lost_a_member_is_told_with_its_whole_list() -> None:
    before = {"indicator": "x", "part": {"value": "1"}}
    assert difference({"current": [{"indicator": "x"}]}, {"current": [before]}) == {
        "current": [{"indicator": "x"}]
    }


def test_a_view_that_lost_a_member_is_told_anew() -> None:
    assert difference({"unit": "u"}, {"unit": "u", "parent": "p"}) is None
