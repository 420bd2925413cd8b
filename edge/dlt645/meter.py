"""Driver: one DL/T 645-2007 meter on a line that others may share.

A poll holds the line for at most `timeout_s`. Each question has `answer_s` for its answer; what
arrives meanwhile and is no answer to it (echoes, other meters, noise, damaged frames) is passed
over. The first question that stays unanswered ends the poll and is asked last from then on: a dead
meter costs its line one or two `answer_s`, and an identifier that a meter ignores costs the other
identifiers nothing.

Answers bear no number, so one that comes too late could be taken for the next poll's. A meter
answers in order: after a silence it is asked for something else first, and what was late has come
by then. If that stays unanswered too, `REST_S` of peace take its place.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from core.clock import from_us, to_us
from core.quality import Quality
from core.reading import Reading
from edge.dlt645 import frame, freeze, items
from edge.dlt645.frame import Answer, Question, Refusal
from edge.dlt645.freeze import Book
from edge.driver import Polled, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from edge.dlt645.items import Item, Read
    from edge.dlt645.line import Line, Port

ATTEMPTS: Final = 2  # of a meter that answered last time: a lost byte is not worth a gap
MOST_FOLLOWING: Final = 8  # frames after the first: 63 tariffs fill two
REST_S: Final = 30.0  # no answer is under way for that long, not even on a radio link
PROBE: Final = freeze.CLOCK_TIME
MOST_SHOWN_BYTES: Final = 64
MOST_FREEZE_AGE_US: Final = 2 * 86_400_000_000  # older: switched off, or its clock is wrong
CLOCK_DOUBT_S: Final = 60.0  # of a day: 0.07 %, about what a class 0.2S chain leaves in doubt


class _SilentError(Exception):
    """A question that brought no answer; the message says what came instead."""


class Dlt645Meter:
    """One meter: `points` are its items by point id."""

    def __init__(  # noqa: PLR0913 - one argument for each fact about a meter
        self,
        name: str,
        *,
        line: Line,
        address: str,
        points: Mapping[str, Item],
        answer_s: float,
        timeout_s: float,
        clock: Callable[[], datetime],
        zone: ZoneInfo,
        freeze_days: int = 1,
        clock_doubt_s: float = CLOCK_DOUBT_S,
        most_doubt_s: float = math.inf,
    ) -> None:
        self._name = name
        self._line = line
        self._address = address
        self._answer_s = answer_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._clock_doubt_us = clock_doubt_s * 1e6
        self._most_doubt_us = most_doubt_s * 1e6
        self._points = dict(points)
        self._counters = frozenset(point for point, item in points.items() if item.counter)
        self._reads = items.plan(points)
        self._frozen = items.frozen(points)
        self._book = Book(freeze_days, zone)
        self._freeze_fault = ""
        self._answering = False
        self._in_doubt = False
        self._rests_until_s = -math.inf
        self._frame = ""
        self._raw: dict[str, tuple[str, float | None]] = {}
        self._found: list[Reading] = []
        self._faults: list[str] = []
        self._late = 0

    @property
    def name(self) -> str:
        """Return the device's name."""
        return self._name

    @property
    def counters(self) -> frozenset[str]:
        """Return the points whose values are counts."""
        return self._counters

    @property
    def blocks(self) -> int:
        """Return how many reads a poll makes, freezes apart."""
        return len(self._reads)

    @property
    def rests_s(self) -> float:
        """Return for how many seconds the meter is left alone; see REST_S."""
        return self._rests_until_s - asyncio.get_running_loop().time()

    async def poll(self) -> Polled:
        """Ask for everything once; see Driver."""
        if (rests_s := self.rests_s) > 0:
            self._late = 0
            return self._polled([], [f"did not answer and is left alone for {rests_s:.0f} s"])
        async with self._line.turn():
            self._found, self._faults, self._late = [], [], 0
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._read_all()
                self._answering = True
            except TimeoutError:
                self._in_doubt = True
                self._faults.append(f"was not done within {self._timeout_s:g} s")
            except _SilentError as error:
                self._answering = bool(self._found)
                self._faults.append(str(error))
            except OSError as error:
                self._faults.append(error.strerror or str(error))
                await self._line.close()
            return self._polled(self._found, self._faults)

    def _polled(self, found: list[Reading], faults: list[str]) -> Polled:
        where = f"{self._name} ({self._line}, meter {self._address})"
        told = [*faults, self._freeze_fault] if self._freeze_fault else faults
        return Polled(found, tuple(f"{where} {fault}" for fault in told), self._late)

    async def look(self) -> list[Seen]:
        """Poll once and tell each point for a person; see Driver."""
        polled = await self.poll()
        read = {reading.point: reading for reading in polled.readings}
        return [self._seen(point, read.get(point), polled.faults) for point in self._points]

    def _seen(self, point: str, reading: Reading | None, faults: tuple[str, ...]) -> Seen:
        item = self._points[point]
        raw, latency_ms = self._raw.get(point, ("", None))
        if reading is None:
            waits = item.frozen and not faults
            reason = (
                ("waits for the next freeze",) if waits else faults or ("was not read in time",)
            )
            return Seen(point, item.name, raw, unit=item.unit, warnings=reason)
        warnings = ("the meter marks it as not available",) if reading.value is None else ()
        return Seen(
            point,
            item.name,
            raw,
            reading.value,
            item.display(reading.value),
            item.unit,
            reading.quality.word,
            latency_ms,
            warnings,
        )

    async def close(self) -> None:
        """Let the line go; another meter's next turn opens it again."""
        async with self._line.turn():
            await self._line.close()

    async def _read_all(self) -> None:
        if self._in_doubt:
            await self._settle()
        for read in tuple(self._reads):
            try:
                await self._take(read)
            except _SilentError:
                if read in self._reads:  # else it was a block, and has been asked in pieces
                    self._reads.remove(read)
                    self._reads.append(read)
                raise
        if self._frozen:
            await self._take_freeze()

    async def _settle(self) -> None:
        """See that no late answer is under way any more, or leave the meter alone until then.

        One probe at a time: the answer to an earlier one would prove nothing.
        """
        try:
            await self._ask(PROBE)
        except _SilentError:
            self._rests_until_s = asyncio.get_running_loop().time() + REST_S
            raise
        finally:
            self._in_doubt = False

    async def _take(self, read: Read) -> None:
        asked_us = to_us(self._clock())
        answered = await self._ask(read.identifier)
        answered_us = to_us(self._clock())
        if isinstance(answered, Refusal):
            await self._refused(read, answered)
            return
        # The meter looked at its register somewhere between question and answer: half-way is
        # wrong by at most half of that. A count whose instant is in more doubt than allowed is
        # left out; the next one carries its energy.
        measured_us = (asked_us + answered_us) // 2
        is_late = answered_us - asked_us > 2 * self._most_doubt_us
        for part in read.parts:
            self._raw[part.point] = self._frame, (answered_us - asked_us) / 1e3
            if is_late and part.item.counter:
                self._late += 1
                continue
            value = part.item.decode(answered, part.offset)
            quality = Quality.BAD if value is None else Quality.GOOD
            self._found.append(Reading(part.point, measured_us, value, quality))

    async def _refused(self, read: Read, refusal: Refusal) -> None:
        if not (read.is_block and refusal.no_data):
            self._faults.append(f"{refusal}: {read.identifier:08X}")
            return
        # It does not know the block: ask for its values one by one, from now on.
        position = self._reads.index(read)
        self._reads[position : position + 1] = smaller = items.pieces(read)
        for piece in smaller:
            await self._take(piece)

    async def _take_freeze(self) -> None:
        """Read one freeze where one is due: its instant, its counts, its instant again."""
        now_us = to_us(self._clock())
        number = self._book.due(now_us)
        if number is None:
            return
        self._freeze_fault = ""
        instant = await self._ask(freeze.INSTANT | number)
        if isinstance(instant, Refusal):
            self._no_freeze(number, f"{instant}: {freeze.INSTANT | number:08X}", now_us)
            return
        instant_us = self._book.instant(instant)
        if instant_us is None:
            self._no_freeze(number, "has no daily freeze yet", now_us)
            return
        if number == 1 and now_us - instant_us > MOST_FREEZE_AGE_US:
            self._freeze_fault = f"made its latest daily freeze at {from_us(instant_us)}"
        if not self._book.is_new(number, instant_us):
            self._book.took(number, instant_us, now_us)
            return
        told: list[tuple[Read, bytes | Refusal, str]] = []
        for read in self._frozen:
            answered = await self._ask(freeze.numbered(read.identifier, number))
            told.append((read, answered, self._frame))
        doubt_us = await self._clock_error_us()
        if await self._ask(freeze.INSTANT | number) != instant or doubt_us is None:
            self._book.later(now_us)  # a new day began in between, or is about to
            return
        self._book.took(number, instant_us, now_us)
        self._freeze_readings(instant_us, told, doubt_us)

    def _freeze_readings(
        self, instant_us: int, told: list[tuple[Read, bytes | Refusal, str]], doubt_us: int
    ) -> None:
        wrong_clock = abs(doubt_us) > self._clock_doubt_us
        if wrong_clock:
            self._freeze_fault = (
                f"has a clock that is {doubt_us / 1e6:+.0f} s off, so its daily freezes are"
                " uncertain: set it right"
            )
        if instant_us > to_us(self._clock()) + self._clock_doubt_us:
            self._freeze_fault = f"has a daily freeze of {from_us(instant_us)}: set its clock right"
            return
        for read, answered, raw in told:
            if isinstance(answered, Refusal):
                self._faults.append(f"{answered}: {read.identifier:08X}")
                continue
            for part in read.parts:
                self._raw[part.point] = raw, None
                value = part.item.decode(answered, part.offset)
                quality = Quality.UNCERTAIN if wrong_clock else Quality.GOOD
                if value is None:
                    quality = Quality.BAD
                self._found.append(Reading(part.point, instant_us, value, quality))

    def _no_freeze(self, number: int, fault: str, now_us: int) -> None:
        """Note that a freeze is not there; that an early one is not is no fault."""
        if number == 1:
            self._freeze_fault = fault
        self._book.none(now_us)

    async def _clock_error_us(self) -> int | None:
        """Return how far the meter's clock is ahead of ours, None where that cannot be told."""
        asked_us = to_us(self._clock())
        time = await self._ask(freeze.CLOCK_TIME)
        answered_us = to_us(self._clock())
        date = await self._ask(freeze.CLOCK_DATE)
        if isinstance(time, Refusal) or isinstance(date, Refusal):
            return 0  # a meter that does not tell its clock is not doubted for that
        shown_us = self._book.clock(date, time)
        return None if shown_us is None else shown_us - (asked_us + answered_us) // 2

    async def _ask(self, identifier: int) -> bytes | Refusal:
        """Return the whole data of an identifier, over as many frames as it takes."""
        data = b""
        asked = Question(self._address, identifier)
        for sequence in range(MOST_FOLLOWING + 1):
            answered = await self._exchange(replace(asked, sequence=sequence))
            if isinstance(answered, Refusal):
                return answered
            data += answered.data
            if not answered.followed:
                return data
        raise _SilentError(f"sends more than {MOST_FOLLOWING} further frames for {identifier:08X}")

    async def _exchange(self, asked: Question) -> Answer | Refusal:
        attempts = ATTEMPTS if self._answering and not self._in_doubt else 1
        while True:
            attempts -= 1
            port = await self._line.port()
            self._line.unasked_bytes += port.discard()
            receiver = frame.Receiver()
            try:
                async with asyncio.timeout(self._answer_s):
                    answered, self._frame = await _answered(port, receiver, asked)
            except TimeoutError:
                heard = receiver.clear() + receiver.noise_bytes + receiver.damaged + receiver.frames
                self._line.heard(anything=heard > 0)
                self._in_doubt = True
                if attempts <= 0:
                    raise _SilentError(self._silence(asked, receiver)) from None
                continue
            self._line.heard(anything=True)
            return answered

    def _silence(self, asked: Question, receiver: frame.Receiver) -> str:
        """Say what came instead of an answer."""
        within = f"within {self._answer_s:g} s ({asked.identifier:08X} was asked)"
        if receiver.damaged:
            return f"sent a damaged answer, {receiver.damaged} wrong checksums {within}"
        if receiver.noise_bytes:
            return f"sent {receiver.noise_bytes} bytes that are no frame {within}"
        if receiver.frames:
            return f"did not answer, only frames of others came, {within}"
        return f"did not answer {within}"


async def _answered(
    port: Port, receiver: frame.Receiver, asked: Question
) -> tuple[Answer | Refusal, str]:
    """Ask and return the answer, with its frame in hex for a person."""
    port.send(frame.question(asked))
    while True:
        for found in receiver.feed(await port.receive()):
            answered = frame.answer(asked, found)
            if answered is not None:
                return answered, found.raw[:MOST_SHOWN_BYTES].hex()
