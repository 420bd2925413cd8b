"""What the wire contract promises: round trips, bounds, and a reason for every refusal."""

from __future__ import annotations

import base64
import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core import wire
from core.errors import Misconfigured, Rejected
from core.quality import Quality
from core.reading import Reading
from core.wire_pb2 import Envelope, Packet

POINTS = st.sampled_from([f"gh-al.potline-{n}.ac-import" for n in range(4)])
TIMES = st.integers(0, 4_102_444_800_000_000)
COUNTS = st.integers(-(1 << 63), (1 << 63) - 1)
FLOATS = st.floats(allow_nan=False)
READINGS = st.builds(
    Reading, POINTS, TIMES, st.one_of(COUNTS, FLOATS), st.sampled_from(list(Quality)[:2])
) | st.builds(Reading, POINTS, TIMES, st.none(), st.just(Quality.BAD))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=64)


def encoded(*readings: Reading, counters: tuple[str, ...] = (), sequence: int = 7) -> bytes:
    return wire.encode(
        readings,
        agent="gw-01",
        epoch="e1",
        sequence=sequence,
        oldest=3,
        sent_us=1_000,
        counters=counters,
    )


def private_pem(key: object) -> bytes:
    assert isinstance(key, Ed25519PrivateKey)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@given(st.lists(READINGS, max_size=40))
def test_what_is_encoded_is_unpacked_counts_first_and_in_order_of_time(
    readings: list[Reading],
) -> None:
    packet, envelope = wire.unpack(encoded(*readings))
    assert (envelope.agent, envelope.epoch, envelope.sequence) == ("gw-01", "e1", 7)
    assert (envelope.oldest, envelope.sent_us) == (3, 1_000)
    assert packet.signature == b""
    counts = [r for r in readings if isinstance(r.value, int)]
    others = [r for r in readings if not isinstance(r.value, int)]
    expected = sorted(counts, key=lambda r: r.measured_us)
    expected += sorted(others, key=lambda r: r.measured_us)
    assert len(envelope.count) == len(counts)
    for reading, row in zip(expected, wire.rows(envelope), strict=True):
        assert row[:2] == (reading.point, reading.measured_us)
        assert row[3] == int(reading.quality)
        assert math.isnan(row[2]) if reading.value is None else row[2] == reading.value


def test_all_good_readings_carry_no_quality_column() -> None:
    _, envelope = wire.unpack(encoded(Reading("a.b.c", 5, 1), Reading("a.b.d", 4, 2.5)))
    assert list(envelope.quality) == []


def test_a_counter_without_value_stays_among_the_counts() -> None:
    bad = Reading("a.b.c", 5, None, Quality.BAD)
    _, envelope = wire.unpack(encoded(bad, counters=("a.b.c",)))
    assert (list(envelope.count), list(envelope.value)) == ([0], [])
    assert list(envelope.quality) == [2]


def test_readings_of_one_instant_keep_their_order() -> None:
    rows = [Reading("a.b.c", 5, n) for n in (3, 1, 2)]
    _, envelope = wire.unpack(encoded(*rows))
    assert list(envelope.count) == [3, 1, 2]


def test_an_envelope_over_one_mebibyte_is_refused_by_its_sender() -> None:
    rows = [Reading("a.b.c", n * 10_000_000_000, float(n)) for n in range(90_000)]
    with pytest.raises(Rejected, match="send fewer") as caught:
        encoded(*rows)
    assert caught.value.reason == "too_large"


def test_a_payload_over_one_mebibyte_is_refused_by_its_receiver() -> None:
    with pytest.raises(Rejected) as caught:
        wire.unpack(b"\n" * (wire.MOST_PAYLOAD_BYTES + 1))
    assert caught.value.reason == "too_large"


@given(st.binary(max_size=200))
def test_any_bytes_are_unpacked_or_unreadable(payload: bytes) -> None:
    try:
        wire.unpack(payload)
    except Rejected as error:
        if error.reason != "unreadable":
            raise


@pytest.mark.parametrize(
    "envelope",
    [
        Envelope(agent=""),
        Envelope(agent="No Slug"),
        Envelope(agent="gw-01", epoch="e" * 65),
        Envelope(agent="gw-01", sequence=1 << 63),
        Envelope(agent="gw-01", points=["a.b.c"], point=[0], dt_us=[0]),
        Envelope(agent="gw-01", points=["a.b.c"], point=[0], count=[1]),
        Envelope(agent="gw-01", points=["a.b.c"], point=[1], dt_us=[0], count=[1]),
        Envelope(agent="gw-01", points=["a.b.c"], point=[0], dt_us=[0], count=[1], quality=[0, 0]),
    ],
    ids=str,
)
def test_an_envelope_whose_columns_disagree_is_unreadable(envelope: Envelope) -> None:
    payload = Packet(envelope=envelope.SerializeToString()).SerializeToString()
    with pytest.raises(Rejected) as caught:
        wire.unpack(payload)
    assert caught.value.reason == "unreadable"


def test_the_first_byte_tells_the_encodings_apart() -> None:
    assert wire.is_json(b'{"agent":"gw-01"}')
    assert not wire.is_json(encoded(Reading("a.b.c", 5, 1)))
    assert not wire.is_json(b"")


def test_a_signature_holds_for_its_key_and_its_bytes_only() -> None:
    sign, key = wire.signer(private_pem(Ed25519PrivateKey.generate()))
    _, stranger = wire.signer(private_pem(Ed25519PrivateKey.generate()))
    payload = wire.encode(
        [Reading("a.b.c", 5, 1)],
        agent="gw-01",
        epoch="e1",
        sequence=1,
        oldest=1,
        sent_us=0,
        sign=sign,
        key=key,
    )
    packet, _ = wire.unpack(payload)
    assert packet.key == key
    assert wire.verify(packet, key)
    assert not wire.verify(packet, stranger)
    packet.envelope += b"\x18\x02"
    assert not wire.verify(packet, key)
    assert not wire.verify(Packet(envelope=b"x"), key)


@pytest.mark.parametrize("key", ["", "ed25519:", "ed25519:AAAA", "rsa:" + "A" * 44, "ed25519:!"])
def test_a_key_that_is_none_is_a_configuration_error(key: str) -> None:
    with pytest.raises(Misconfigured, match="is no key"):
        wire.verify(Packet(), key)


def test_only_an_ed25519_private_key_signs() -> None:
    other = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(Misconfigured, match="Ed25519"):
        wire.signer(other)
    with pytest.raises(Misconfigured, match="PEM"):
        wire.signer(b"not a key")


@st.composite
def receipts(draw: st.DrawFn) -> wire.Receipt:
    bounds = sorted(draw(st.sets(st.integers(1, 10**15), max_size=12)))
    spans = tuple(zip(bounds[::2], bounds[1::2], strict=False))
    committed = draw(st.integers(spans[-1][1] if spans else 0, wire.MOST_SEQUENCE))
    return wire.Receipt(draw(TEXT.filter(bool)), draw(TEXT), committed, spans)


@given(receipts())
def test_a_receipt_survives_json(receipt: wire.Receipt) -> None:
    assert wire.Receipt.from_json(receipt.to_json()) == receipt


def test_a_receipt_has_the_form_of_the_contract_and_covers_all_but_what_is_missing() -> None:
    receipt = wire.Receipt("s", "e", 1234, ((1201, 1203),))
    assert json.loads(receipt.to_json()) == {
        "store": "s",
        "epoch": "e",
        "committed": 1234,
        "missing": [[1201, 1203]],
    }
    held = [1, 1200, 1204, 1234]
    assert [n for n in (0, *held, 1201, 1202, 1203, 1235) if receipt.covers(n)] == held


def test_a_receipt_names_at_most_a_hundred_ranges() -> None:
    spans = tuple((n * 2, n * 2) for n in range(1, 102))
    most = wire.Receipt("s", "e", 300, spans[:100])
    assert wire.Receipt.from_json(most.to_json()) == most
    with pytest.raises(ValueError, match="more than 100"):
        wire.Receipt("s", "e", 300, spans).to_json()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 10_000,
        b"x" * (wire.MOST_RECEIPT_BYTES + 1),
        b'{"store":"","epoch":"e","committed":1,"missing":[]}',
        b'{"store":"s","epoch":"e","committed":-1,"missing":[]}',
        b'{"store":"s","epoch":"e","committed":true,"missing":[]}',
        b'{"store":"s","epoch":"e","committed":1.5,"missing":[]}',
        b'{"store":"s","epoch":7,"committed":1,"missing":[]}',
        b'{"store":"s","epoch":"e","committed":9,"missing":[[3]]}',
        b'{"store":"s","epoch":"e","committed":9,"missing":[[5,4]]}',
        b'{"store":"s","epoch":"e","committed":9,"missing":[[5,6],[6,7]]}',
        b'{"store":"s","epoch":"e","committed":9,"missing":[[9,10]]}',
    ],
)
def test_a_receipt_that_breaks_the_contract_is_unreadable(payload: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        wire.Receipt.from_json(payload)
    assert caught.value.reason == "unreadable"


@given(st.lists(TEXT, max_size=5))
def test_a_receipt_of_facts_survives_json(ids: list[str]) -> None:
    receipt = wire.OutputReceipt(tuple(ids))
    assert wire.OutputReceipt.from_json(receipt.to_json()) == receipt


@given(
    st.sampled_from(wire.AgentState),
    st.datetimes(timezones=st.just(UTC)),
    st.integers(0, 1 << 40),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_status_survives_json(
    state: wire.AgentState,
    at: datetime,
    depth: int,
    oldest_at: datetime | None,
    offset: float | None,
) -> None:
    status = wire.Status(state, at, "e1", depth, oldest_at, offset)
    assert wire.Status.from_json(status.to_json()) == status


def test_a_status_has_the_form_of_the_contract() -> None:
    plant_time = datetime(2026, 11, 21, 13, tzinfo=timezone(timedelta(hours=8)))
    status = wire.Status(wire.AgentState.ONLINE, plant_time, "e1", 3)
    assert json.loads(status.to_json()) == {
        "state": "online",
        "at": "2026-11-21T05:00:00Z",
        "epoch": "e1",
        "depth": 3,
        "oldest_at": None,
        "clock_offset_ms": None,
    }


@pytest.mark.parametrize(
    "payload",
    [
        b'{"state":"asleep","at":"2026-11-21T05:00:00Z"}',
        b'{"state":"online","at":"2026-11-21T05:00:00"}',
        b'{"state":"online","at":12}',
        b'{"state":"online","at":"2026-11-21T05:00:00Z","clock_offset_ms":NaN}',
        b'{"state":"online","at":"2026-11-21T05:00:00Z","depth":-1}',
    ],
)
def test_a_status_that_breaks_the_contract_is_unreadable(payload: bytes) -> None:
    with pytest.raises(Rejected):
        wire.Status.from_json(payload)


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        wire.instant(datetime(2026, 11, 21))  # noqa: DTZ001 - naive on purpose


def test_the_light_part_of_the_contract_loads_no_numpy_and_no_cryptography() -> None:
    code = (
        "import core.wire, sys; print([m for m in ('numpy', 'cryptography') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_a_public_key_is_written_as_base64_of_its_32_bytes() -> None:
    private = Ed25519PrivateKey.generate()
    _, key = wire.signer(private_pem(private))
    assert base64.b64decode(key.removeprefix("ed25519:")) == private.public_key().public_bytes_raw()


def test_a_receipt_may_tell_the_stores_clock_and_which_status_it_answers() -> None:
    at = datetime(2026, 11, 21, 5, 0, 1, tzinfo=UTC)
    receipt = wire.Receipt("s", "e", 4, at=at, status_at=at - timedelta(seconds=1))
    told = json.loads(receipt.to_json())
    assert list(told)[:4] == ["store", "epoch", "committed", "missing"]
    assert (told["at"], told["status_at"]) == ("2026-11-21T05:00:01Z", "2026-11-21T05:00:00Z")
    read = wire.Receipt.from_json(receipt.to_json())
    assert (read.at, read.status_at) == (receipt.at, receipt.status_at)


@pytest.mark.parametrize("odd", ["1", "null", '"yesterday"', '"2026-11-21T05:00:01"', "[]"])
def test_a_clock_that_is_none_does_not_spoil_a_receipt(odd: str) -> None:
    payload = f'{{"store":"s","epoch":"e","committed":4,"missing":[],"at":{odd},"status_at":{odd}}}'
    read = wire.Receipt.from_json(payload.encode())
    assert read == wire.Receipt("s", "e", 4)
    assert (read.at, read.status_at) == (None, None)


def test_troubles_of_a_status_come_last_and_only_where_there_are_any() -> None:
    at = datetime(2026, 11, 21, 5, 0, 1, tzinfo=UTC)
    well = wire.Status(wire.AgentState.ONLINE, at, "e1", 3)
    assert "troubles" not in json.loads(well.to_json())
    ill = wire.Status(wire.AgentState.ONLINE, at, "e1", 3, troubles={"lost_readings": 7})
    assert list(json.loads(ill.to_json()))[-1] == "troubles"
    assert wire.Status.from_json(ill.to_json()) == ill


@pytest.mark.parametrize("odd", ["7", "null", '["x"]', '{"x":-1,"y":"z","w":true,"v":1.5}'])
def test_troubles_that_are_none_do_not_spoil_a_status(odd: str) -> None:
    payload = f'{{"state":"online","at":"2026-11-21T05:00:01Z","troubles":{odd}}}'
    assert wire.Status.from_json(payload.encode()).troubles == {}
