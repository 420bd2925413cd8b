"""Promises of the stream's bytes: one compression serves clients that joined at any time."""

from __future__ import annotations

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from api.events import Event, Wire, encode

TEXTS = st.lists(st.binary(max_size=300), max_size=8)


@given(TEXTS, st.integers(0, 8))
def test_whoever_joins_later_reads_all_that_came_after_from_the_same_blocks(
    texts: list[bytes], joined: int
) -> None:
    events = [Event(text) for text in texts]
    for first in (0, joined):
        wire = Wire(gzip=True)
        heard = [wire.begin(), *(wire.put(event) for event in events[first:]), wire.end()]
        assert gzip.decompress(b"".join(heard)) == b"".join(texts[first:])


def test_an_event_is_compressed_once_however_many_hear_it() -> None:
    event = encode("units", {"items": []}, "a-1")
    first, second = Wire(gzip=True), Wire(gzip=True)
    assert first.put(event) is second.put(event)


def test_each_event_can_be_read_as_soon_as_it_has_come() -> None:
    events = [encode("heartbeat", {"at": str(number)}, None) for number in range(3)]
    wire, reader = Wire(gzip=True), zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert reader.decompress(wire.begin()) == b""
    for event in events:
        assert reader.decompress(wire.put(event)) == event.plain


def test_a_client_that_takes_no_gzip_reads_the_text() -> None:
    event = encode("units", {"items": [1]}, "a-1")
    wire = Wire(gzip=False)
    said = wire.begin() + wire.put(event) + wire.end()
    assert said == b'id: a-1\nevent: units\ndata: {"items":[1]}\n\n'
