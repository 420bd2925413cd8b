"""One event of the live stream as bytes, plain and packed, made once for everybody who hears it.

Packed events are blocks of one gzip stream that need nothing before them (a full flush ends each),
so that clients which joined at different times are sent the very same blocks: a stream costs the
server one compression an event, however many listen.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

# RFC 1952: deflate, no name, no time; then the blocks; then an empty last block and the sums.
HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_LAST_BLOCK: Final = b"\x03\x00"
_LEVEL: Final = 6


class Event:
    """An encoded event; `packed` is computed when the first client wants it."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain

    @cached_property
    def packed(self) -> bytes:
        """Return the event as deflate blocks that stand by themselves."""
        press = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        return press.compress(self.plain) + press.flush(zlib.Z_FULL_FLUSH)


def encode(event: str, data: Mapping[str, Any], event_id: str | None) -> Event:
    """Return an event of server-sent events; without an id it leaves the client's as it is."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return Event(f"{head}event: {event}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n")


@dataclass(slots=True)
class Wire:
    """One client's bytes: plain, or a gzip stream with its head, blocks and end."""

    gzip: bool
    _crc: int = field(default=0, init=False)
    _size: int = field(default=0, init=False)

    def begin(self) -> bytes:
        """Return what is sent before the first event."""
        return HEAD if self.gzip else b""

    def put(self, event: Event) -> bytes:
        """Return an event as this client reads it."""
        if not self.gzip:
            return event.plain
        self._crc = zlib.crc32(event.plain, self._crc)
        self._size += len(event.plain)
        return event.packed

    def end(self) -> bytes:
        """Return what is sent after the last event."""
        if not self.gzip:
            return b""
        return _LAST_BLOCK + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)
