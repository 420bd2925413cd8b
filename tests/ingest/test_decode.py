"""Both encodings to columns; a bad reading spoils itself, never its neighbours."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import wire
from core.errors import Rejected
from core.quality import Quality
from core.reading import Reading
from core.wire_pb2 import Envelope
from ingest import decode
from tests.ingest import world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.decode import Decoded

AT = "2026-11-21T07:00:00Z"
AT_US = world.NOW_US - 60 * world.MINUTE_US
NUMBERS = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
READINGS = st.lists(
    st.builds(
        Reading,
        st.sampled_from(["a.b.c", "a.b.d", "a.b.e"]),
        st.integers(0, 2**52),
        NUMBERS,
        st.sampled_from(Quality),
    ),
    max_size=30,
)


def rows(decoded: Decoded) -> list[tuple[str, int, float, int]]:
    columns = zip(
        [decoded.names[i] for i in decoded.name],
        decoded.ts_us.tolist(),
        decoded.value.tolist(),
        decoded.quality.tolist(),
        strict=True,
    )
    return list(columns)


def refusal(payload: bytes) -> tuple[str, str]:
    with pytest.raises(Rejected) as caught:
        decode.decode(payload)
    return caught.value.reason, str(caught.value)


def by_hand(*readings: object, **more: object) -> Decoded:
    return decode.decode(world.by_hand(readings, **more))


@given(READINGS)
def test_what_an_agent_encodes_is_decoded(readings: Sequence[Reading]) -> None:
    payload = world.packet(readings, 7, oldest=3)
    decoded = decode.decode(payload)
    assert (decoded.agent, decoded.epoch, decoded.sequence, decoded.oldest) == (
        "gw-01", "e1", 7, 3,
    )  # fmt: skip
    wanted = [(r.point, r.measured_us, float(r.value or 0), int(r.quality)) for r in readings]
    assert sorted(rows(decoded)) == sorted(wanted)
    assert not decoded.refused


def test_json_by_hand_is_decoded_with_its_defaults() -> None:
    decoded = by_hand(
        world.reading(123456), world.reading(1.5, measured_at=AT, quality="uncertain")
    )
    assert (decoded.agent, decoded.epoch, decoded.sequence) == ("gw-01", "", 0)
    assert rows(decoded) == [(world.COUNTER, AT_US, 123456.0, 0), (world.COUNTER, AT_US, 1.5, 1)]


def test_decimals_are_kept_as_sent() -> None:
    decoded = by_hand(world.reading(4294967295.999999))
    assert rows(decoded)[0][2] == 4294967295.999999


def test_an_offset_is_followed_and_a_time_without_one_spoils_its_reading_only() -> None:
    decoded = by_hand(
        world.reading(measured_at="2026-11-21T15:00:00+08:00"),
        world.reading(measured_at="2026-11-21T07:00:00"),
    )
    assert [row[1] for row in rows(decoded)] == [AT_US]
    assert [each.reason for each in decoded.refused] == ["unreadable"]


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (world.reading("12"), "unreadable"),
        (world.reading(value=True), "unreadable"),
        (world.reading([1]), "unreadable"),
        (world.reading(None), "not_a_number"),
        (world.reading(2**53 + 1), "count_too_large"),
        (world.reading(10**400), "count_too_large"),
        (world.reading(1e17), "count_too_large"),
        (world.reading(quality="fine"), "unreadable"),
        (world.reading(quality=0), "unreadable"),
        (world.reading(point=7), "unreadable"),
        (world.reading(measured_at=5), "unreadable"),
        (world.reading(measured_at="yesterday"), "unreadable"),
        ({"value": 1}, "unreadable"),
        ("what", "unreadable"),
        (None, "unreadable"),
    ],
)
def test_a_bad_reading_spoils_itself_and_not_its_envelope(spoiled: object, reason: str) -> None:
    decoded = by_hand(world.reading(1), spoiled, world.reading(2), sequence=4)
    assert [row[2] for row in rows(decoded)] == [1, 2]
    assert [each.reason for each in decoded.refused] == [reason]
    assert decoded.sequence == 4


def test_null_is_well_where_the_quality_is_bad() -> None:
    [row] = rows(by_hand(world.reading(None, quality="bad")))
    assert math.isnan(row[2])
    assert row[3] == Quality.BAD


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_numbers_that_are_none_reach_admission_as_such(literal: str) -> None:
    payload = world.by_hand([world.reading("@"), world.reading(2)]).replace(
        b'"@"', literal.encode()
    )
    decoded = decode.decode(payload)
    assert not math.isfinite(rows(decoded)[0][2])
    assert rows(decoded)[1][2] == 2


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b'{"agent":"gw-01"}',
        b'{"agent":"gw-01","readings":{}}',
        b'{"agent":7,"readings":[]}',
        b"{" * 100_000,
        b'{"agent":"gw-01","readings":[],"sequence":0}',
        b'{"agent":"gw-01","readings":[],"sequence":9223372036854775808}',
        b'{"agent":"gw-01","readings":[],"sequence":1.5}',
        b'{"agent":"gw-01","readings":[],"sequence":1,"oldest":-1}',
        b'{"agent":"gw-01","readings":[],"epoch":"a\\u0000"}',
        b'{"agent":"gw-01","readings":[],"epoch":"\\ud800"}',
        b'{"agent":"gw-01","readings":[],"epoch":"' + b"x" * 65 + b'"}',
    ],
)
def test_a_message_that_is_none_is_unreadable(payload: bytes) -> None:
    assert refusal(payload)[0] == "unreadable"


def test_two_mebibytes_are_too_large_in_either_encoding() -> None:
    assert refusal(b"{" + b" " * (2 << 20))[0] == "too_large"
    assert refusal(b"\n" + b"\0" * (2 << 20))[0] == "too_large"


def test_more_rows_than_the_bound_are_too_large() -> None:
    rows_over = decode.MOST_ROWS + 1
    envelope = Envelope(
        agent="gw-01", points=["a.b.c"], point=[0] * rows_over, dt_us=[0] * rows_over,
        count=[0] * rows_over,
    )  # fmt: skip
    reason, detail = refusal(wire.seal(envelope.SerializeToString()))
    assert reason == "too_large"
    assert str(decode.MOST_ROWS) in detail


def test_a_count_beyond_2_to_the_53_spoils_itself_even_where_a_double_hides_it() -> None:
    at = range(3)
    readings = [
        Reading("a.b.c", i, value) for i, value in zip(at, (1, 2**53 + 1, 2**53), strict=True)
    ]
    decoded = decode.decode(world.packet(readings, 1))
    assert [row[2] for row in rows(decoded)] == [1, 2.0**53]
    [refused] = decoded.refused
    assert refused.reason == "count_too_large"
    assert str(2**53 + 1) in refused.detail


def test_an_unknown_quality_code_spoils_its_row() -> None:
    envelope = Envelope(
        agent="gw-01", points=["a.b.c"], point=[0, 0], base_us=5, dt_us=[0, 1],
        value=[1.0, 2.0], quality=[9, 1],
    )  # fmt: skip
    decoded = decode.decode(wire.seal(envelope.SerializeToString()))
    assert rows(decoded) == [("a.b.c", 6, 2.0, 1)]
    assert decoded.refused[0].reason == "unreadable"


@given(st.binary(max_size=300))
def test_any_bytes_are_decoded_or_refused_with_a_reason(payload: bytes) -> None:
    reason = "unreadable"
    try:
        decode.decode(payload)
    except Rejected as error:
        reason = error.reason
    assert reason == "unreadable"


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(["point", "measured_at", "value", "quality"])


@given(st.lists(JSON | st.dictionaries(KEYS, JSON | st.just(AT) | st.just("good")), max_size=6))
def test_any_json_among_the_readings_is_a_row_or_a_refusal(readings: list[object]) -> None:
    payload = json.dumps({"agent": "gw-01", "readings": [*readings, world.reading(5)]}).encode()
    decoded = decode.decode(payload)
    assert len(decoded.ts_us) + len(decoded.refused) == len(readings) + 1
    assert rows(decoded)[-1][2] == 5
