"""DL/T 645-2007 frames: bytes to frames, questions to bytes, answers to data. Pure.

A frame is 68H, six address bytes with the lowest digits first, 68H, control, length, data with 33H
added to each byte, the sum of all before it modulo 256, 16H; any number of FEH wake the line up
before it. `question` is the only function that makes bytes for the wire, and all it can make is a
read (11H) or the read of what follows (12H): nothing here can write to a meter or command it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

START: Final = 0x68
END: Final = 0x16
WAKE: Final = 0xFE
ADDED: Final = 0x33
WAKE_BYTES: Final = 4  # section 5.2: four of them wake a meter's receiver

READ: Final = 0x11
READ_MORE: Final = 0x12
FROM_METER: Final = 0x80
ABNORMAL: Final = 0x40
FOLLOWED: Final = 0x20
FUNCTION: Final = 0x1F

OVERHEAD_BYTES: Final = 12
HEADER_BYTES: Final = 10
ADDRESS_BYTES: Final = 6
IDENTIFIER_BYTES: Final = 4
MOST_DATA_BYTES: Final = 200  # section 5.2.5: of a read; more than that is no frame of this kind
MOST_FRAME_BYTES: Final = OVERHEAD_BYTES + MOST_DATA_BYTES
MOST_SEQUENCE: Final = 255
BROADCAST: Final = "999999999999"

_ADDRESS = re.compile(r"(?:AA)*(?:[0-9]{2})*")
_ERRORS: Final = (
    "failed in a way that it does not name",
    "has no data under this identifier",
    "asks for a password",
    "cannot change its speed",
    "has fewer time zones of the year",
    "has fewer time slots of the day",
    "has fewer tariffs",
    "failed with the reserved error",
)


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame: the address as printed on the meter, the data without the 33H.

    `raw` is the frame as it came.
    """

    address: str
    control: int
    data: bytes
    raw: bytes = field(default=b"", compare=False, repr=False)

    @property
    def from_meter(self) -> bool:
        """Tell whether a meter sent it; the others are echoes of ours, or another master's."""
        return bool(self.control & FROM_METER)


@dataclass(frozen=True, slots=True)
class Question:
    """A read of one data identifier; `sequence` 0 is the first frame, 1 and up what follows it."""

    address: str
    identifier: int
    sequence: int = 0

    @property
    def function(self) -> int:
        """Return the function code that asks."""
        return READ_MORE if self.sequence else READ


@dataclass(frozen=True, slots=True)
class Answer:
    """The data of an identifier, or a part of it where more follows."""

    data: bytes
    followed: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """An abnormal answer and the error byte it names."""

    error: int

    @property
    def no_data(self) -> bool:
        """Tell whether the meter knows no such identifier."""
        return bool(self.error & 0x02)

    def __str__(self) -> str:
        named = [text for bit, text in enumerate(_ERRORS) if self.error >> bit & 1]
        return " and ".join(named) or "refused without naming an error"


def is_address(text: str) -> bool:
    """Tell whether the text is an address: 12 digits as printed, or AA for leading pairs.

    AA stands for any two digits (section 7.1.3, abbreviated addressing).
    """
    return len(text) == 2 * ADDRESS_BYTES and _ADDRESS.fullmatch(text) is not None


def is_wildcard(address: str) -> bool:
    """Tell whether more than one meter may feel addressed."""
    return "A" in address or address == BROADCAST


def matches(asked: str, answered: str) -> bool:
    """Tell whether a meter that gives this address is the one, or one of those, asked for."""
    pairs = range(0, 2 * ADDRESS_BYTES, 2)
    return all(asked[i : i + 2] in ("AA", answered[i : i + 2]) for i in pairs)


def question(asked: Question, wake_bytes: int = WAKE_BYTES) -> bytes:
    """Return the bytes that ask; raises ValueError where the address or the numbers are none."""
    if not is_address(asked.address):
        raise ValueError(f"no address of a meter: {asked.address!r}")
    if not 0 <= asked.sequence <= MOST_SEQUENCE:
        raise ValueError(f"no frame sequence: {asked.sequence}")
    data = asked.identifier.to_bytes(IDENTIFIER_BYTES, "little")
    if asked.sequence:
        data += bytes([asked.sequence])
    head = bytes([START, *bytes.fromhex(asked.address)[::-1], START, asked.function, len(data)])
    body = head + bytes((byte + ADDED) & 0xFF for byte in data)
    return bytes([WAKE]) * wake_bytes + body + bytes([sum(body) & 0xFF, END])


def answer(asked: Question, frame: Frame) -> Answer | Refusal | None:
    """Return what a frame answers to a question, None where it is not its answer.

    Not its answer are echoes, other meters, and late answers to an earlier question.
    """
    if not frame.from_meter or frame.control & FUNCTION != asked.function:
        return None
    if not matches(asked.address, frame.address):
        return None
    if frame.control & ABNORMAL:
        return Refusal(frame.data[0]) if len(frame.data) == 1 else None
    identifier = int.from_bytes(frame.data[:IDENTIFIER_BYTES], "little")
    data = frame.data[IDENTIFIER_BYTES:]
    if len(frame.data) < IDENTIFIER_BYTES or identifier != asked.identifier:
        return None
    if asked.sequence:
        if not data or data[-1] != asked.sequence:
            return None
        data = data[:-1]
    return Answer(data, bool(frame.control & FOLLOWED))


class Receiver:
    """Finds whole frames in what a line delivers, in pieces of any size and with noise between.

    Never holds more than one frame's bytes back. `noise_bytes` counts what belonged to no frame,
    `damaged` how often something began like one and failed its checksum or its end, `frames` the
    whole ones.
    """

    def __init__(self) -> None:
        self._waiting = b""
        self.noise_bytes = 0
        self.damaged = 0
        self.frames = 0

    def feed(self, received: bytes) -> list[Frame]:
        """Take the next bytes; returns the frames that they complete."""
        self._waiting += received
        frames: list[Frame] = []
        while (found := self._next()) is not None:
            frames.append(found)
        self.frames += len(frames)
        return frames

    def clear(self) -> int:
        """Forget a frame that was begun; returns its bytes."""
        waiting, self._waiting = len(self._waiting), b""
        return waiting

    def _next(self) -> Frame | None:
        """Cut the next whole frame off, or everything that can no longer become one."""
        waiting = self._waiting
        broken: list[int] = []
        hopeful = len(waiting)
        start = waiting.find(START)
        while start >= 0:
            end = _end(waiting, start)
            if end is None:
                # It may become a frame; a whole one behind it would show that it is noise.
                hopeful = min(hopeful, start)
            elif end and _is_whole(waiting[start:end]):
                self._drop(start, broken)
                self._waiting = waiting[end:]
                return _frame(waiting[start:end])
            elif end:
                broken.append(start)
            start = waiting.find(START, start + 1)
        self._drop(hopeful, broken)
        self._waiting = waiting[hopeful:]
        return None

    def _drop(self, before: int, broken: list[int]) -> None:
        self.noise_bytes += before - self._waiting.count(WAKE, 0, before)
        self.damaged += sum(start < before for start in broken)


def _end(waiting: bytes, start: int) -> int | None:
    """Return where a frame that starts here ends, 0 where none does, None where it is too early."""
    second = start + HEADER_BYTES - 3
    if second < len(waiting) and waiting[second] != START:
        return 0
    if start + HEADER_BYTES > len(waiting):
        return None
    length = waiting[start + HEADER_BYTES - 1]
    if length > MOST_DATA_BYTES:
        return 0
    end = start + OVERHEAD_BYTES + length
    return end if end <= len(waiting) else None


def _is_whole(raw: bytes) -> bool:
    return raw[-1] == END and sum(raw[:-2]) & 0xFF == raw[-2]


def _frame(raw: bytes) -> Frame:
    address = raw[1 : 1 + ADDRESS_BYTES][::-1].hex().upper()
    data = bytes((byte - ADDED) & 0xFF for byte in raw[HEADER_BYTES:-2])
    return Frame(address, raw[HEADER_BYTES - 2], data, raw)
