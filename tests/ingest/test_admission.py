"""Admission: each reason of the closed list, and what none of them may spoil."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core import wire
from core.quality import Quality
from core.reading import Reading
from ingest import admission
from store.retention import Retention
from tests.ingest import world

if TYPE_CHECKING:
    from ingest.admission import Admitted

TABLES = world.tables()
PRIVATE = Ed25519PrivateKey.generate()
SIGN, KEY = wire.signer(PRIVATE.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
KEYED = world.tables(KEY)
SIGNER_TOPIC = "danhao/v1/gh-al/signer/readings"


def admit(*readings: Reading, topic: str = world.TOPIC) -> Admitted:
    return admission.admit(topic, world.packet(readings, 3), TABLES, world.NOW_US)


def reasons(admitted: Admitted) -> list[str]:
    return [letter.reason for letter in admitted.letters]


def at(us: int, value: float = 1, quality: Quality = Quality.GOOD, point: str = "") -> Reading:
    return Reading(point or world.COUNTER, us, value, quality)


GOOD = at(world.NOW_US - 1_000_000)


def test_what_is_well_is_admitted_under_its_numbers() -> None:
    admitted = admit(GOOD, at(world.NOW_US, 2.5, point=world.GAUGE))
    assert admitted.rows.point_id.tolist() == [TABLES.ids[world.COUNTER], TABLES.ids[world.GAUGE]]
    assert admitted.rows.value.tolist() == [1.0, 2.5]
    assert admitted.letters == []
    assert admitted.envelope == admission.Envelope("gh-al", "gw-01", "e1", 3, 1)


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (at(world.NOW_US, point="gh-al.potline-1.nobody"), "unknown_point"),
        (at(world.NOW_US, point="no point at all"), "unknown_point"),
        (at(world.NOW_US, point=world.FOREIGN), "wrong_site"),
        (at(world.NOW_US, point="xx.yy.zz"), "wrong_site"),
        (at(world.NOW_US + 5 * world.MINUTE_US + 1), "future"),
        (at(admission.OLDEST_US - 1), "too_old"),
        (at(-(2**62)), "too_old"),
        (at(world.NOW_US, math.nan), "not_a_number"),
        (at(world.NOW_US, math.inf), "not_a_number"),
        (at(world.NOW_US, -math.inf, Quality.UNCERTAIN), "not_a_number"),
        (at(world.NOW_US, 2**53 + 1), "count_too_large"),
        (at(world.NOW_US, 1e17), "count_too_large"),
        (at(world.NOW_US, 2**32 + 0.5), "count_too_large"),
        (at(world.NOW_US, -1e300, point=world.GAUGE), "count_too_large"),
    ],
)
def test_each_fault_of_a_reading_has_its_reason_and_spoils_nothing_else(
    spoiled: Reading, reason: str
) -> None:
    admitted = admit(GOOD, spoiled)
    assert reasons(admitted) == [reason]
    assert len(admitted.rows) == 1
    assert admitted.envelope is not None
    [letter] = admitted.letters
    assert letter.point == spoiled.point
    assert letter.measured_us == spoiled.measured_us
    assert letter.detail


@pytest.mark.parametrize(
    "edge",
    [
        at(world.NOW_US + 5 * world.MINUTE_US),
        at(admission.OLDEST_US),
        at(world.NOW_US, 2**53),
        at(world.NOW_US, 2**32 - 0.5),
        at(world.NOW_US, 2**52 + 0.5, point=world.GAUGE),
        at(world.NOW_US, math.nan, Quality.BAD),
    ],
)
def test_what_lies_on_a_bound_is_within(edge: Reading) -> None:
    assert reasons(admit(edge)) == []


def test_a_bad_count_says_nothing_whatever_stands_there() -> None:
    bad = [at(world.NOW_US, value, Quality.BAD) for value in (0, 7)]
    assert all(math.isnan(value) for value in admit(*bad).rows.value.tolist())
    gauge = at(world.NOW_US, 7, Quality.BAD, world.GAUGE)
    assert admit(gauge).rows.value.tolist() == [7.0]


def test_a_reading_behind_the_horizon_is_archived_but_for_restored_spans() -> None:
    kept = Retention(world.NOW_US - 10, ((world.NOW_US - 30, world.NOW_US - 20),))
    tables = replace(TABLES, retention=kept)
    payload = world.packet([at(world.NOW_US - age) for age in (5, 15, 25, 35)], 3)
    admitted = admission.admit(world.TOPIC, payload, tables, world.NOW_US)
    assert [world.NOW_US - us for us in admitted.rows.ts_us.tolist()] == [25, 5]
    assert reasons(admitted) == ["archived", "archived"]
    assert admitted.envelope is not None


def test_a_bad_reading_without_a_number_is_kept_as_nan() -> None:
    [value] = admit(at(world.NOW_US, -math.inf, Quality.BAD)).rows.value.tolist()
    assert math.isnan(value)


@pytest.mark.parametrize(
    "topic",
    [
        "danhao/v1/gh-al/stranger/readings",
        "danhao/v1/nowhere/gw-01/readings",
        "danhao/v1/GH-AL/gw-01/readings",
        "danhao/v1/gh-al/gw 01/readings",
    ],
)
def test_a_stranger_advances_nothing(topic: str) -> None:
    admitted = admit(GOOD, topic=topic)
    assert reasons(admitted) == ["unknown_agent"]
    assert admitted.envelope is None
    assert len(admitted.rows) == 0


def test_unreadable_bytes_advance_nothing() -> None:
    admitted = admission.admit(world.TOPIC, b"\xff", TABLES, world.NOW_US)
    assert reasons(admitted) == ["unreadable"]
    assert admitted.envelope is None
    assert admitted.letters[0].payload == b"\xff"


def test_an_agent_cannot_speak_in_the_name_of_another() -> None:
    admitted = admission.admit(
        world.TOPIC, world.packet([GOOD], 1, agent="gw-02"), TABLES, world.NOW_US
    )
    assert reasons(admitted) == ["unreadable"]
    assert admitted.envelope is None


def test_an_agent_with_a_key_must_sign() -> None:
    signed = world.packet([GOOD], 1, agent="signer", sign=SIGN, key=KEY)
    unsigned = world.packet([GOOD], 1, agent="signer")
    forged = world.packet([GOOD], 1, agent="signer", sign=lambda _: b"\0" * 64, key=KEY)
    by_hand = world.by_hand([world.reading()]).replace(b"gw-01", b"signer")
    for payload in (unsigned, forged, by_hand):
        admitted = admission.admit(SIGNER_TOPIC, payload, KEYED, world.NOW_US)
        assert reasons(admitted) == ["bad_signature"]
        assert admitted.envelope is None
    assert reasons(admission.admit(SIGNER_TOPIC, signed, KEYED, world.NOW_US)) == []
    assert reasons(admission.admit(SIGNER_TOPIC, unsigned, TABLES, world.NOW_US)) == []


def test_readings_refused_while_decoding_become_letters_of_the_agent() -> None:
    payload = world.by_hand([world.reading("x"), world.reading(1)], sequence=9)
    admitted = admission.admit(world.TOPIC, payload, TABLES, world.NOW_US)
    assert reasons(admitted) == ["unreadable"]
    assert admitted.letters[0].site == "gh-al"
    assert admitted.envelope is not None
    assert admitted.envelope.sequence == 9


def test_the_same_bad_reading_in_another_envelope_is_the_same_letter() -> None:
    late = at(world.NOW_US + 6 * world.MINUTE_US)
    one, other = admit(late), admit(GOOD, late)
    assert one.letters[0].digest == other.letters[0].digest
