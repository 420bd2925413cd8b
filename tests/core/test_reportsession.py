"""Both tables of reporting, walked through wholly, and what answers are worth."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import nationalreport, reportsession
from core.reportsession import FIGURES, TRANSITIONS, Event, Outcome, State, Told

NAMES = nationalreport.shipped()
DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "national-reporting.md"


def body(word: str, **more: Any) -> bytes:
    code = NAMES.codes["reply"][word]
    return json.dumps({NAMES.reply["code"]: code, NAMES.reply["message"]: "m", **more}).encode()


def test_every_state_knows_every_event() -> None:
    assert set(TRANSITIONS) == set(product(State, Event))
    assert set(FIGURES) == set(product(Told, Outcome))


def test_only_an_acceptance_leads_on_and_from_everywhere_to_ready() -> None:
    order = list(State)
    for (state, event), after in TRANSITIONS.items():
        if order.index(after) > order.index(state):
            assert event is Event.DONE
            assert order.index(after) == order.index(state) + 1
    for state in State:
        for _ in range(len(State)):
            state = reportsession.step(state, Event.DONE)  # noqa: PLW2901 - a walk
        assert state is State.READY


def test_a_lost_session_begins_anew_and_silence_changes_nothing() -> None:
    for state in State:
        assert reportsession.step(state, Event.STALE) is State.STRANGER
        assert reportsession.step(state, Event.OUT) is state


def test_a_figure_leaves_waiting_by_acceptance_by_a_newer_one_or_by_age_alone() -> None:
    leaves = {outcome for outcome in Outcome if FIGURES[Told.WAITING, outcome] is not Told.WAITING}
    assert leaves == {Outcome.ACCEPTED, Outcome.NEWER, Outcome.AGED}
    for outcome in Outcome:
        assert FIGURES[Told.ACCEPTED, outcome] is Told.ACCEPTED
        for state in Told:
            assert state is Told.WAITING or FIGURES[state, outcome] is not Told.WAITING


def test_an_acceptance_is_one_by_code_and_status_and_fields() -> None:
    assert reportsession.read(NAMES, "data", 200, body("accepted")).event is Event.DONE
    assert reportsession.read(NAMES, "data", 500, body("accepted")).event is Event.OUT
    answer = reportsession.read(NAMES, "register", 200, body("accepted"))
    assert answer.event is Event.OUT
    assert "without address, session" in answer.sentence


@pytest.mark.parametrize(
    ("word", "event"),
    [("refused", Event.REFUSED), ("unknown_session", Event.STALE), ("busy", Event.OUT)],
)
def test_other_codes_mean_what_the_mapping_says(word: str, event: Event) -> None:
    for status in (200, 400, 503):
        assert reportsession.read(NAMES, "data", status, body(word)).event is event


@pytest.mark.parametrize(
    "found",
    [b"", b"<html>", b"[]", b"null", b"{}", b'{"responseCode": 0}', b'{"responseCode": "200"}',
     b'{"responseCode": ["0000"]}', b"[" * 100_000, b"\xff\xfe"],
)  # fmt: skip
def test_what_the_mapping_does_not_know_is_no_acceptance(found: bytes) -> None:
    answer = reportsession.read(NAMES, "data", 200, found)
    assert answer.event is Event.OUT
    assert answer.sentence


@given(st.binary(max_size=200), st.integers(100, 599))
def test_no_bytes_of_chance_are_an_acceptance(found: bytes, status: int) -> None:
    answer = reportsession.read(NAMES, "data", status, found)
    assert answer.event is Event.OUT
    assert answer.sentence.isprintable()
    assert len(answer.sentence) <= reportsession.MOST_TEXT_CHARS


def test_the_table_in_the_document_is_this_one() -> None:
    assert reportsession.diagram() in DOCUMENT.read_text("utf-8")
