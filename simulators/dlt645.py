"""DL/T 645-2007 as a meter speaks it (pure): written apart from the edge's reading of it.

Two implementations of one protocol: a mistake in one can not be hidden by the same one in the
other. Requests are taken apart byte by byte, answers are built the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    Show = Callable[[str], bytes | None]

LEAST_REQUEST_BYTES: Final = 12
MOST_REQUEST_DATA: Final = 50  # of a write, the longest request there is
MOST_ANSWER_BYTES: Final = 196  # what one answer holds beside its identifier
ERR_NO_DATA: Final = 2
ERR_OTHER: Final = 1


def number(value: int, size: int, *, signed: bool = False) -> bytes:
    """Return a number as BCD bytes, the lowest first; raises ValueError where it does not fit."""
    digits = str(abs(value)).rjust(2 * size, "0")
    if len(digits) > 2 * size or (value < 0 and not signed):
        raise ValueError(f"{value} does not fit {size} bytes")
    pairs = [digits[i : i + 2] for i in range(0, 2 * size, 2)]
    arranged = [int(pair[0]) * 16 + int(pair[1]) for pair in pairs]
    if signed:
        if arranged[0] >= 0x80:  # noqa: PLR2004 - the sign's bit
            raise ValueError(f"{value} leaves no bit for its sign in {size} bytes")
        if value < 0:
            arranged[0] += 0x80
    return bytes(reversed(arranged))


def date_time(local: datetime) -> dict[str, bytes]:
    """Return the identifiers that show the clock of a meter: date with weekday, and time."""
    weekday = local.isoweekday() % 7
    date = [weekday, local.day, local.month, local.year % 100]
    time = [local.second, local.minute, local.hour]
    return {
        "04000101": b"".join(number(part, 1) for part in date),
        "04000102": b"".join(number(part, 1) for part in time),
    }


def frozen_at(local: datetime) -> bytes:
    """Return the instant of a freeze as 050600NN shows it."""
    parts = [local.minute, local.hour, local.day, local.month, local.year % 100]
    return b"".join(number(part, 1) for part in parts)


@dataclass(slots=True)
class SimulatedMeter:
    """One meter: its printed address, and what it shows by identifier (as upper-case hex)."""

    address: str
    shows: Mapping[str, bytes] | None = None
    show: Show | None = None
    answer_bytes: int = MOST_ANSWER_BYTES
    reads: list[str] = field(default_factory=list)
    others: int = 0

    def answer(self, request: bytes) -> bytes | None:
        """Return the answer to one whole request without its wake-up bytes, None for silence."""
        if not self._is_for_me(request):
            return None
        control, length = request[8], request[9]
        body = [(each + 256 - 0x33) % 256 for each in request[10 : 10 + length]]
        if control == 0x11 and length >= 4:  # noqa: PLR2004 - identifier
            return self._read(body, 0)
        if control == 0x12 and length == 5:  # noqa: PLR2004 - identifier and sequence
            return self._read(body, body[4])
        self.others += 1
        return self._frame(control | 0xC0, bytes([ERR_OTHER]))

    def _is_for_me(self, request: bytes) -> bool:
        if len(request) < LEAST_REQUEST_BYTES or sum(request[:-2]) % 256 != request[-2]:
            return False
        own = self._own()
        return all(asked in (0xAA, mine) for asked, mine in zip(request[1:7], own, strict=True))

    def _own(self) -> bytes:
        pairs = [self.address[i : i + 2] for i in range(0, 12, 2)]
        return bytes(int(pair, 16) for pair in reversed(pairs))

    def _read(self, body: list[int], sequence: int) -> bytes:
        name = "".join(f"{each:02X}" for each in reversed(body[:4]))
        self.reads.append(name)
        data = self.show(name) if self.show is not None else (self.shows or {}).get(name)
        control = 0x92 if sequence else 0x91
        if data is None:
            return self._frame(control + 0x40, bytes([ERR_NO_DATA]))
        begin = sequence * self.answer_bytes
        part = data[begin : begin + self.answer_bytes]
        if begin + self.answer_bytes < len(data):
            control += 0x20
        tail = bytes([sequence]) if sequence else b""
        return self._frame(control, bytes(body[:4]) + part + tail)

    def _frame(self, control: int, body: bytes) -> bytes:
        shifted = bytes((each + 0x33) % 256 for each in body)
        inner = bytes([0x68]) + self._own() + bytes([0x68, control, len(body)]) + shifted
        return b"\xfe\xfe\xfe\xfe" + inner + bytes([sum(inner) % 256, 0x16])


def requests(waiting: bytearray) -> list[bytes]:
    """Cut whole requests off what has arrived; what is no request is thrown away."""
    found: list[bytes] = []
    while True:
        begin = waiting.find(0x68)
        if begin < 0:
            waiting.clear()
            return found
        del waiting[:begin]
        if len(waiting) < LEAST_REQUEST_BYTES:
            return found
        end = 12 + waiting[9]
        if waiting[7] != 0x68 or waiting[9] > MOST_REQUEST_DATA:  # noqa: PLR2004 - second start
            del waiting[0]
            continue
        if len(waiting) < end:
            return found
        request = bytes(waiting[:end])
        if request[-1] != 0x16 or sum(request[:-2]) % 256 != request[-2]:  # noqa: PLR2004 - end byte
            del waiting[0]
            continue
        found.append(request)
        del waiting[:end]
