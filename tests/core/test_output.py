"""Production facts: read exactly, or refused with one sentence and a reason of the closed list."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import output, units
from core.clock import to_us
from core.errors import Rejected

NOW = to_us(datetime(2026, 11, 21, tzinfo=UTC))
FACT = {
    "id": "tap-1",
    "revision": 0,
    "unit": "qh-fa.furnace-2",
    "kind": "tapping",
    "at": "2026-11-20T08:00:00+08:00",
    "mass_t": "6.125",
    "grades": {"Si": "0.741"},
}
REASONS = {"unreadable", "not_a_number", "future", "too_old"}


def parse(**changes: Any) -> output.OutputFact:
    return output.parse(json.dumps(FACT | changes).encode(), NOW)


def test_the_fact_of_the_contract_is_read_exactly() -> None:
    fact = parse()
    assert (fact.id, fact.revision, fact.unit, fact.kind) == (
        "tap-1",
        0,
        "qh-fa.furnace-2",
        "tapping",
    )
    assert fact.mass_e6 == 6_125_000
    assert fact.at_us == to_us(datetime(2026, 11, 20, tzinfo=UTC))
    assert fact.grades == {"Si": "0.741"}
    assert fact.site == "qh-fa"


def test_what_is_printed_is_read_back() -> None:
    fact = parse(revision=3)
    assert output.from_data(fact.item(), NOW) == fact


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": ""}, "unreadable"),
        ({"id": "a\x00b"}, "unreadable"),
        ({"id": 7}, "unreadable"),
        ({"revision": "1"}, "unreadable"),
        ({"revision": True}, "unreadable"),
        ({"revision": -1}, "unreadable"),
        ({"kind": "melting"}, "unreadable"),
        ({"at": "2026-11-20T08:00:00"}, "unreadable"),
        ({"at": "yesterday"}, "unreadable"),
        ({"at": "2026-11-21T00:05:01Z"}, "future"),
        ({"at": "1999-12-31T23:59:59Z"}, "too_old"),
        ({"mass_t": 6.125}, "unreadable"),
        ({"mass_t": "NaN"}, "not_a_number"),
        ({"mass_t": "6.1250001"}, "not_a_number"),
        ({"mass_t": "-1"}, "not_a_number"),
        ({"mass_t": "10000001"}, "not_a_number"),
        ({"grades": {"Si": 0.7}}, "not_a_number"),
        ({"grades": {"Si": "1.2"}}, "not_a_number"),
        ({"grades": ["Si"]}, "unreadable"),
        ({"stream": "Raw Coal"}, "unreadable"),
        ({"stream": ""}, "unreadable"),
        ({"stream": 7}, "unreadable"),
        ({"mass_t": None}, "unreadable"),
        ({"amount": "1", "amount_unit": "kg"}, "unreadable"),
        ({"mass_t": None, "amount": "1"}, "unreadable"),
        ({"amount_unit": "kg"}, "unreadable"),
        ({"mass_t": None, "amount": "1", "amount_unit": "lb"}, "unreadable"),
        ({"mass_t": None, "amount": 1, "amount_unit": "kg"}, "unreadable"),
        ({"mass_t": None, "amount": "1.0000001", "amount_unit": "kg"}, "not_a_number"),
        ({"mass_t": None, "amount": "-1", "amount_unit": "kg"}, "not_a_number"),
        ({"mass_t": None, "amount": "10000000001", "amount_unit": "kWh"}, "not_a_number"),
        ({"grades": {"lhv_kj_per_kg": "200001"}}, "not_a_number"),
        ({"grades": {"feed_per_product": "-1"}}, "not_a_number"),
    ],
)
def test_a_wrong_fact_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse(**changes)
    assert caught.value.reason == reason
    assert len(str(caught.value)) < 200


def test_a_correction_may_be_negative_and_a_gas_yield_above_one() -> None:
    assert parse(kind="correction", mass_t="-0.5").mass_e6 == -500_000
    assert parse(grades={"gas_yield": "290"}).grades == {"gas_yield": "290"}


@pytest.mark.parametrize("unit", sorted(units.OF_FACTS))
def test_an_amount_comes_with_its_unit_and_a_stream_and_is_read_back(unit: str) -> None:
    fact = parse(kind="receipt", stream="raw_coal", mass_t=None, amount="6.125", amount_unit=unit)
    assert (fact.stream, fact.mass_e6) == ("raw_coal", 6_125_000)
    assert fact.amount_unit == (None if unit == "t" else unit)
    assert output.from_data(fact.item(), NOW) == fact


def test_an_old_fact_is_printed_as_it_was() -> None:
    assert parse().item() == FACT | {"at": "2026-11-20T00:00:00Z"}


@pytest.mark.parametrize("kind", output.KINDS)
def test_every_kind_is_read(kind: str) -> None:
    assert parse(kind=kind).kind == kind


def test_grades_with_a_unit_of_their_own_may_be_above_one() -> None:
    grades = {"lhv_kj_per_kg": "22500.5", "lhv_kj_per_m3": "35000", "feed_per_product": "1.55"}
    assert parse(grades=grades).grades == grades


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(payload: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        output.parse(payload, NOW)
    assert caught.value.reason in REASONS


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_no_json_does_more_than_be_refused(value: object) -> None:
    for key in (*FACT, "stream", "amount", "amount_unit"):
        with contextlib.suppress(Rejected):
            output.from_data(FACT | {key: value}, NOW)
