"""Promises of the MQTT wire functions."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import mqttwire
from deploy.mqttwire import Kind, Packet


@pytest.mark.parametrize(
    ("granted", "wanted", "is_covered"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/b", "a/b/c", False),
        ("a/b/c", "a/b", False),
        ("+/b", "a/b", True),
        ("+/b", "+/b", True),
        ("a/b", "+/b", False),
        ("a/+", "a/#", False),
        ("a/#", "a/#", True),
        ("a/#", "a/+/c", True),
        ("a/#", "a", True),
        ("a/#", "b", False),
        ("#", "a/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/+", "a/", True),
        ("a", "#", False),
    ],
)
def test_a_grant_covers_exactly_what_it_can_match(
    granted: str, wanted: str, *, is_covered: bool
) -> None:
    assert mqttwire.covers(granted, wanted) is is_covered


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a/+/c", True),
        ("#", True),
        ("a/#", True),
        ("", False),
        ("a#", False),
        ("#/a", False),
        ("a/b+", False),
        ("x" * 1025, False),
    ],
)
def test_filters_put_wildcards_where_the_standard_does(text: str, *, is_one: bool) -> None:
    assert mqttwire.is_filter(text) is is_one


connects = st.builds(
    mqttwire.Connect,
    client_id=st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=40),
    keep_alive_s=st.integers(0, 65535),
    is_clean=st.booleans(),
    will=st.none()
    | st.builds(
        mqttwire.Will,
        topic=st.text("abc/", min_size=1, max_size=20),
        message=st.binary(max_size=40),
        qos=st.integers(0, 2),
        is_retained=st.booleans(),
    ),
    username=st.text("abc.", max_size=20),
    password=st.none() | st.binary(max_size=40),
)


@given(connects)
def test_a_connect_reads_back_as_it_was_written(connect: mqttwire.Connect) -> None:
    data = mqttwire.encode_connect(connect)
    head = 2 if data[1] < 128 else 3
    assert mqttwire.parse_connect(Packet(data[0] >> 4, data[0] & 15, data[head:])) == connect


@given(st.integers(0, 15), st.integers(0, 15), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_as_malformed(kind: int, flags: int, body: bytes) -> None:
    packet = Packet(kind, flags, body)
    for parse in (
        mqttwire.parse_connect,
        mqttwire.parse_publish,
        mqttwire.parse_subscribe,
        mqttwire.parse_unsubscribe,
        mqttwire.check_from_client,
    ):
        with contextlib.suppress(mqttwire.Malformed):
            parse(packet)


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_lengths_are_seven_bits_a_byte(size: int) -> None:
    data = mqttwire.encode(Packet(Kind.PUBLISH, 0, bytes(size)))
    digits = data[1 : len(data) - size]
    assert sum((digit & 127) << 7 * at for at, digit in enumerate(digits)) == size
    assert [digit >> 7 for digit in digits] == [1] * (len(digits) - 1) + [0]


def test_the_secret_is_not_in_the_printed_connect() -> None:
    connect = mqttwire.Connect("id", 0, is_clean=True, will=None, username="u", password=b"s3cret")
    assert "s3cret" not in f"{connect} {connect!r}"
