"""DL/T 645 frames: recorded ones, round trips through an encoder of their own, and bad lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.dlt645 import frame, items
from edge.dlt645.frame import Answer, Frame, Question, Receiver, Refusal
from tests.core import given_data

ADDRESS = "121078563412"

addresses = st.text("0123456789", min_size=12, max_size=12)
identifiers = st.integers(0, 0xFFFFFFFF)
noise = st.binary(max_size=40).map(lambda raw: raw.replace(b"\x68", b"\x67"))


def spoken(address: str, control: int, data: bytes) -> bytes:
    """Encode a frame as section 5.2 of the standard says, independently of the code under test."""
    pairs = [int(address[i : i + 2], 16) for i in (10, 8, 6, 4, 2, 0)]
    body = [0x68, *pairs, 0x68, control, len(data), *((each + 0x33) % 256 for each in data)]
    return bytes([*body, sum(body) % 256, 0x16])


def recorded() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(given_data.path("dlt645/frames.json").read_text("utf-8"))
    return loaded


@pytest.mark.parametrize("number", range(3))
def test_a_recorded_exchange_is_asked_to_the_byte_and_read_as_displayed(number: int) -> None:
    pair = recorded()["pairs"][number]
    asked = Question(ADDRESS, int(pair["di"], 16))
    assert frame.question(asked).hex() == pair["request"]
    (found,) = Receiver().feed(bytes.fromhex(pair["response"]))
    answered = frame.answer(asked, found)
    assert isinstance(answered, Answer)
    item = next(
        item for item in items.builtin().items.values() if item.identifier == asked.identifier
    )
    value = item.decode(answered.data, 0)
    assert value is not None
    shown = value * float(item.unit_per_count) if item.counter else value
    assert shown == pytest.approx(pair["value"], rel=1e-12)
    assert (item.unit, answered.followed) == (pair["unit"], False)


def test_the_recorded_refusal_is_read_by_its_name() -> None:
    (found,) = Receiver().feed(bytes.fromhex(recorded()["error"]["response"]))
    assert found == Frame("123456781012", 0xD1, b"\x01")
    refusal = frame.answer(Question("123456781012", 0), found)
    assert refusal == Refusal(1)
    assert "does not name" in str(refusal)


def test_frames_of_a_public_record_of_a_real_meter_are_read() -> None:
    # 360docs.net and others, "DLT645-2007报文解析": meter 000000000161, 0.26 kWh and 100.1 V.
    energy, volts = Question("000000000161", 0x00010000), Question("000000000161", 0x02010100)
    assert frame.question(energy).hex(" ") == (
        "fe fe fe fe 68 61 01 00 00 00 00 68 11 04 33 33 34 33 14 16"
    )
    received = Receiver().feed(
        bytes.fromhex("68610100000000689108333334335933 3333 8A16".replace(" ", ""))
        + bytes.fromhex("686101000000006891063334343534431016")
    )
    shown = [frame.answer(energy, received[0]), frame.answer(volts, received[1])]
    table = items.builtin().items
    assert isinstance(shown[0], Answer)
    assert isinstance(shown[1], Answer)
    assert table["forward_active_energy"].decode(shown[0].data, 0) == 26
    assert table["voltage_a"].decode(shown[1].data, 0) == 100.1


@given(addresses, identifiers, st.integers(0, 255))
def test_a_question_is_what_the_standard_writes_and_only_ever_a_read(
    address: str, identifier: int, sequence: int
) -> None:
    asked = frame.question(Question(address, identifier, sequence), wake_bytes=0)
    data = identifier.to_bytes(4, "little") + (bytes([sequence]) if sequence else b"")
    assert asked == spoken(address, 0x12 if sequence else 0x11, data)
    assert asked[8] in (0x11, 0x12)


@pytest.mark.parametrize(
    "asked",
    [Question("12345678901", 0), Question("12AA34567890", 0), Question(ADDRESS, 0, 256)],
)
def test_a_question_to_no_address_is_refused(asked: Question) -> None:
    with pytest.raises(ValueError, match="no "):
        frame.question(asked)


@given(addresses, identifiers, st.binary(max_size=196), st.sampled_from([0x91, 0xB1]))
def test_what_a_meter_says_arrives_whole(
    address: str, identifier: int, data: bytes, control: int
) -> None:
    raw = spoken(address, control, identifier.to_bytes(4, "little") + data)
    (found,) = Receiver().feed(b"\xfe\xfe" + raw)
    asked = Question(address, identifier)
    assert frame.answer(asked, found) == Answer(data, control == 0xB1)


@given(
    st.lists(st.tuples(addresses, st.binary(min_size=4, max_size=60)), min_size=1, max_size=4),
    noise,
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
)
def test_frames_are_found_in_pieces_of_any_size_with_noise_between(
    told: list[tuple[str, bytes]], between: bytes, cuts: list[int]
) -> None:
    stream = b"".join(between + b"\xfe" * 4 + spoken(a, 0x91, data) for a, data in told)
    receiver = Receiver()
    found: list[Frame] = []
    position = 0
    while position < len(stream):
        size = cuts[position % len(cuts)]
        found += receiver.feed(stream[position : position + size])
        position += size
    assert found == [Frame(address, 0x91, data) for address, data in told]
    assert receiver.noise_bytes == len(told) * (len(between) - between.count(0xFE))


@given(st.binary(max_size=400))
def test_no_noise_makes_the_receiver_fail_or_keep_more_than_a_frame(raw: bytes) -> None:
    receiver = Receiver()
    receiver.feed(raw)
    assert receiver.clear() < frame.MOST_FRAME_BYTES


@given(addresses, st.binary(min_size=4, max_size=60), st.data())
def test_one_wrong_byte_is_never_read_as_a_frame(
    address: str, data: bytes, draw: st.DataObject
) -> None:
    raw = bytearray(spoken(address, 0x91, data))
    position = draw.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= draw.draw(st.integers(1, 255))
    assert Receiver().feed(bytes(raw)) == []


def test_a_whole_frame_behind_a_broken_start_is_found_at_once() -> None:
    broken = spoken(ADDRESS, 0x91, bytes(60))[:20]
    whole = spoken(ADDRESS, 0x91, b"\x00\x00\x01\x00\x12")
    receiver = Receiver()
    assert receiver.feed(broken + whole) == [Frame(ADDRESS, 0x91, b"\x00\x00\x01\x00\x12")]
    assert receiver.noise_bytes == 20


def test_a_damaged_frame_is_counted_once_however_it_arrives() -> None:
    raw = bytearray(spoken(ADDRESS, 0x91, b"\x00\x00\x01\x00"))
    raw[-2] ^= 1
    receiver = Receiver()
    for byte in bytes(raw) + b"\xfe" * 20:
        receiver.feed(bytes([byte]))
    assert receiver.damaged == 1


def test_echoes_other_meters_and_late_answers_are_no_answers() -> None:
    asked = Question(ADDRESS, 0x00010000)
    (echo,) = Receiver().feed(frame.question(asked))
    other = Frame("000000000001", 0x91, bytes.fromhex("0000010012345678"))
    late = Frame(ADDRESS, 0x91, bytes.fromhex("0000020012345678"))
    following = Frame(ADDRESS, 0x92, bytes.fromhex("000001001234567801"))
    short = Frame(ADDRESS, 0x91, b"\x00\x00")
    assert not echo.from_meter
    for wrong in (echo, other, late, following, short):
        assert frame.answer(asked, wrong) is None


def test_a_following_frame_answers_its_own_number_only() -> None:
    asked = Question(ADDRESS, 0x00010000, 2)
    told = Frame(ADDRESS, 0xB2, bytes.fromhex("00000100123402"))
    assert frame.answer(asked, told) == Answer(b"\x12\x34", followed=True)
    assert frame.answer(Question(ADDRESS, 0x00010000, 1), told) is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (0x01, "does not name"),
        (0x02, "no data under this identifier"),
        (0x04, "password"),
        (0x08, "speed"),
        (0x10, "time zones"),
        (0x20, "time slots"),
        (0x40, "tariffs"),
        (0x42, "no data under this identifier and has fewer tariffs"),
        (0x00, "without naming"),
    ],
)
def test_an_abnormal_answer_is_told_by_name(error: int, text: str) -> None:
    refusal = frame.answer(Question(ADDRESS, 1), Frame(ADDRESS, 0xD1, bytes([error])))
    assert refusal == Refusal(error)
    assert text in str(refusal)


@pytest.mark.parametrize(
    ("asked", "others"),
    [("AAAAAAAAAAAA", True), ("AAAAAAAA0161", False), ("000000000161", False)],
)
def test_aa_stands_for_any_two_digits(asked: str, *, others: bool) -> None:
    assert frame.is_address(asked)
    assert frame.matches(asked, "000000000161")
    assert frame.matches(asked, "000000000162") is others
    assert frame.is_wildcard(asked) is ("AA" in asked)


@pytest.mark.parametrize("text", ["", "1234", "12345678901G", "00AA00000001", "0000000000011"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert not frame.is_address(text)
