"""Promises of eligibility: what was found bars, and nothing but a completed retrofit clears."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import eligibility
from core.benchmarking import Position
from core.eligibility import Eligibility, Found, Retrofit

MONTH = 30 * 86_400_000_000
OCTOBER = 684 * MONTH
FOUND = Found(
    "b-1", "gh-al", "al.liquid.ac", "cn-qh", "2026-10", OCTOBER, Position.LAGGARD, OCTOBER + 1, "qh"
)
DONE = Retrofit(
    "t-1", "gh-al", ("al.liquid.ac",), OCTOBER + MONTH, "cathodes", "No. 7", OCTOBER + MONTH, "qh"
)


def state(findings: list[Found], retrofits: list[Retrofit]) -> Eligibility:
    return eligibility.standing("gh-al", findings, retrofits).eligibility


@pytest.mark.parametrize(
    ("position", "wanted"),
    [
        (Position.LAGGARD, Eligibility.BARRED),
        (Position.NON_PARTICIPANT, Eligibility.BARRED),
        (Position.MIDDLE, Eligibility.CLEAR),
        (Position.LEADER, Eligibility.CLEAR),
        (Position.NOT_COMPARABLE, Eligibility.CLEAR),
    ],
)
def test_who_lags_or_took_no_part_is_barred_and_nobody_else(
    position: Position, wanted: Eligibility
) -> None:
    assert state([replace(FOUND, position=position)], []) is wanted


def test_a_better_rank_later_clears_nothing() -> None:
    better = replace(
        FOUND, benchmark="b-2", period="2026-11", period_end_us=OCTOBER + MONTH,
        position=Position.LEADER,
    )  # fmt: skip
    assert state([FOUND, better], []) is Eligibility.BARRED


def test_a_record_of_a_completed_retrofit_clears() -> None:
    found = eligibility.standing("gh-al", [FOUND], [DONE])
    assert found.eligibility is Eligibility.CLEAR
    assert found.lifted_by(FOUND) == DONE


@pytest.mark.parametrize(
    "retrofit",
    [
        replace(DONE, completed_us=OCTOBER - 1),
        replace(DONE, indicators=("fesi.smelting",)),
        replace(DONE, site="nx-fa"),
    ],
    ids=["done before the period ended", "of another figure", "of another plant"],
)
def test_another_retrofit_clears_nothing(retrofit: Retrofit) -> None:
    assert state([FOUND], [retrofit]) is Eligibility.BARRED


def test_who_lags_again_after_the_retrofit_is_barred_again() -> None:
    again = replace(FOUND, benchmark="b-3", period="2027-01", period_end_us=OCTOBER + 3 * MONTH)
    found = eligibility.standing("gh-al", [again, FOUND], [DONE])
    assert [one.benchmark for one in found.barring] == ["b-3"]


@given(st.data())
def test_the_answer_does_not_depend_on_the_order_of_the_records(data: st.DataObject) -> None:
    findings = [
        replace(FOUND, benchmark=f"b-{n}", period_end_us=OCTOBER + n * MONTH, position=position)
        for n, position in enumerate(data.draw(st.lists(st.sampled_from(Position), max_size=4)))
    ]
    retrofits = [
        replace(DONE, retrofit=f"t-{n}", completed_us=OCTOBER + when * MONTH)
        for n, when in enumerate(data.draw(st.lists(st.integers(0, 5), max_size=3)))
    ]
    answers = {
        str(eligibility.standing("gh-al", list(a), list(b)).item("Asia/Shanghai"))
        for a in itertools.permutations(findings)
        for b in itertools.permutations(retrofits)
    }
    assert len(answers) == 1


def test_the_item_names_clause_findings_and_what_lifted_them() -> None:
    item = eligibility.standing("gh-al", [FOUND], []).item("Asia/Shanghai")
    assert (item["eligibility"], item["clause"]) == ("barred", "B04")
    assert item["findings"][0]["bars"] is True
    cleared = eligibility.standing("gh-al", [FOUND], [DONE]).item("Asia/Shanghai")
    assert (cleared["eligibility"], cleared["clause"]) == ("clear", None)
    assert cleared["findings"][0]["lifted_by"] == "t-1"
    assert cleared["retrofits"][0]["document"] == "No. 7"
