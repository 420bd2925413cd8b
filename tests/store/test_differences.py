"""Laws of the difference of two figures: exact, and only where both are known."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from store import differences

AMOUNTS = st.one_of(
    st.none(),
    st.decimals(-(10**12), 10**12, places=6, allow_nan=False, allow_infinity=False).map(
        lambda number: f"{number:f}"
    ),
)
VERDICTS = ("within", "exceeds", "indeterminate", "incomplete", "not_applicable")
JUDGED = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(VERDICTS))


def figure(value: str | None, unit: str = "kWh") -> dict[str, Any]:
    return {key: {"value": value, "unit": unit} for key in differences.AMOUNTS}


def rows(judged: dict[str, str]) -> list[dict[str, Any]]:
    return [{"limit": key, "force": "target", "verdict": word} for key, word in judged.items()]


@given(AMOUNTS, AMOUNTS)
def test_a_difference_is_exact_and_unknown_where_one_is(
    before: str | None, after: str | None
) -> None:
    found = differences.difference(figure(before), figure(after))
    for key in differences.AMOUNTS:
        if before is None or after is None:
            assert found[key] == {"value": None, "unit": "kWh"}
        else:
            assert Decimal(found[key]["value"]) == Decimal(after) - Decimal(before)


def test_amounts_of_two_units_have_no_difference() -> None:
    found = differences.difference(figure("1", "kgce"), figure("2", "kWh"))
    assert found["energy"] == {"value": None, "unit": "kWh"}


@given(JUDGED, JUDGED)
def test_a_flip_is_another_verdict_on_a_limit_that_both_were_held_against(
    before: dict[str, str], after: dict[str, str]
) -> None:
    found = differences.flips(rows(before), rows(after))
    assert {(flip.limit, flip.before, flip.after) for flip in found} == {
        (limit, before[limit], after[limit])
        for limit in before.keys() & after.keys()
        if before[limit] != after[limit]
    }
    assert differences.flips(rows(before), rows(before)) == []


def test_a_flip_reads_from_and_to() -> None:
    (flip,) = differences.flips(rows({"a": "within"}), rows({"a": "exceeds"}))
    assert flip.item() == {"limit": "a", "force": "target", "from": "within", "to": "exceeds"}
