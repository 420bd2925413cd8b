"""Whether the gateway's clock can be believed, and what follows for readings. Pure but for `tick`.

A gateway without a battery clock boots with the time of its last shutdown or with 1970, people set
clocks by hand, and time servers step them. A reading under a wrong instant poisons a counter's
history, so: readings of a doubtful clock are flagged `uncertain` and sent; those of a clock that is
surely wrong are withheld on the disk until it is right, and then stamped anew by the time since the
boot, which no step enters. `VERDICTS` says which is which; docs/edge.md explains it.

`now` runs by the monotonic clock between two calls of `tick`, so a step of the wall clock enters
all stamps at one known moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core.clock import from_us, to_us
from core.quality import Quality
from core.reading import Reading
from core.wire_pb2 import Envelope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

BUILT_US: Final = 1_767_225_600_000_000  # 2026-01-01: this program is younger
NOISE_US: Final = 20_000  # two clocks are not read at one instant
READS: Final = 3
STEP_US: Final = 500_000  # a slewing clock is never so far from the monotonic one within a second
HELD_OFFSET_US: Final = 240_000_000  # ingest refuses what is 300 s ahead; a poll and a send fit
SETTLED_US: Final = 900_000_000  # a big step that nobody contradicts is believed after 15 minutes
FRESH_US: Final = 900_000_000  # a time server may have moved the clock since an older look
SLACK_US: Final = 1_000_000  # the newest envelope may be kept a moment after its stamp
MOST_SAMPLES: Final = 8
DRIFT: Final = 50e-6  # of a quartz clock, for the doubt of an old sample


class Trust(StrEnum):
    """How far the clock is believed."""

    RIGHT = "right"
    DOUBTED = "doubted"
    WRONG = "wrong"


class Doubt(StrEnum):
    """Why it is not."""

    NONE = ""
    IMPOSSIBLE = "the clock shows a time before this program was made"
    OFFSET = "the clock differs from the server's by more than minutes"
    DRIFTED = "the clock differs from the server's by more than the bound"
    FOLLOWS = "the clock is wrong: stamps follow the server's clock instead"
    BEHIND = "the clock is behind the newest reading kept before the start"
    JUMPED = "the clock was set by more than minutes, and nothing confirms it yet"
    STEPPED = "the clock was set, and nothing confirms it yet"


VERDICTS: Final = {
    Doubt.NONE: Trust.RIGHT,
    Doubt.DRIFTED: Trust.DOUBTED,
    Doubt.FOLLOWS: Trust.DOUBTED,
    Doubt.STEPPED: Trust.DOUBTED,
    Doubt.IMPOSSIBLE: Trust.WRONG,
    Doubt.OFFSET: Trust.WRONG,
    Doubt.BEHIND: Trust.WRONG,
    Doubt.JUMPED: Trust.WRONG,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the server's clock: how far ours is ahead of it, and how sure that is."""

    ahead_us: int
    doubt_us: int
    taken_us: int  # by the monotonic clock

    def doubt_at(self, mono_us: int) -> float:
        """Return the doubt after the clocks have drifted since."""
        return self.doubt_us + (mono_us - self.taken_us) * DRIFT


@dataclass(slots=True)
class Knowledge:
    """What is known of the clock; `judge` is a function of it."""

    wall_us: int  # by the clock as stamps use it, correction included
    mono_us: int
    synchronised: bool | None = None
    best: Sample | None = None
    corrected_us: int = 0  # what is taken off the machine's clock, to follow the server's
    behind: bool = False
    jumped_us: int | None = None  # when, by the monotonic clock
    stepped: bool = False
    timeless: bool = False  # the stores that answer tell no time


def judge(known: Knowledge, most_offset_us: int) -> Doubt:
    """Return what is wrong with the clock: measured facts before hints."""
    if known.wall_us < BUILT_US:
        return Doubt.IMPOSSIBLE
    if known.corrected_us:
        return Doubt.FOLLOWS
    if known.best is not None:
        surely_us = abs(known.best.ahead_us) - known.best.doubt_at(known.mono_us)
        if surely_us > HELD_OFFSET_US:
            return Doubt.OFFSET
        return Doubt.DRIFTED if surely_us > most_offset_us else Doubt.NONE
    if known.synchronised:
        return Doubt.NONE
    return _unmeasured(known)


def _unmeasured(known: Knowledge) -> Doubt:
    """Judge a clock that neither a time server nor a store has confirmed."""
    if known.behind:
        return Doubt.STEPPED if known.timeless else Doubt.BEHIND
    if known.jumped_us is not None:
        settled = known.mono_us - known.jumped_us >= SETTLED_US
        return Doubt.STEPPED if settled or known.timeless else Doubt.JUMPED
    return Doubt.STEPPED if known.stepped else Doubt.NONE


@dataclass(frozen=True, slots=True)
class Tick:
    """What a look at the clock changed: by how much `now` moved, and the doubt as it is."""

    moved_us: int
    doubt: Doubt
    trust: Trust
    changed: bool


@dataclass(frozen=True, slots=True)
class ClockState:
    """How the clock stands, for status, metrics and people; ahead is of the server's clock."""

    trust: Trust
    doubt: Doubt
    ahead_ms: float | None
    doubt_ms: float | None
    synchronised: bool | None
    steps: int


class ClockWatch:
    """The agent's clock: stamps, and what they are worth."""

    def __init__(
        self,
        *,
        wall: Callable[[], datetime],
        monotonic: Callable[[], float],
        synchronised: Callable[[], bool | None],
        most_offset_s: float = 5.0,
        newest_us: int | None = None,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._synchronised = synchronised
        self._most_offset_us = round(most_offset_s * 1e6)
        self._samples: list[Sample] = []
        self._machine_us = self._measured_us()
        mono_us = self.up_us()
        wall_us = mono_us + self._machine_us
        behind = newest_us is not None and wall_us < newest_us - SLACK_US
        self._known = Knowledge(wall_us, mono_us, behind=behind)
        self._doubt = Doubt.NONE
        self.steps = 0
        self.tick()

    @property
    def trust(self) -> Trust:
        """Return how far the clock is believed since the last tick."""
        return VERDICTS[self._doubt]

    @property
    def doubt(self) -> Doubt:
        """Return why it is not."""
        return self._doubt

    def up_us(self) -> int:
        """Return the microseconds since the boot."""
        return round(self._monotonic() * 1e6)

    def now_us(self) -> int:
        """Return the present instant as stamps use it, in microseconds since 1970."""
        return self.at_us(self.up_us())

    def at_us(self, up_us: int) -> int:
        """Return the instant that lies so long after the boot."""
        return up_us + self._machine_us - self._known.corrected_us

    @property
    def tells_age(self) -> bool:
        """Tell whether old envelopes may be deleted by it: a wrong year would take them all."""
        return self._doubt in {Doubt.NONE, Doubt.DRIFTED, Doubt.FOLLOWS}

    def now(self) -> datetime:
        """Return the present instant as stamps use it."""
        return from_us(self.now_us())

    def tick(self) -> Tick:
        """Look at the machine's clocks; to be called about once a second."""
        before_us = self._machine_us - self._known.corrected_us
        mono_us = self.up_us()
        known = self._known
        known.mono_us = mono_us
        known.synchronised = self._synchronised()
        self._take_step(self._measured_us() - self._machine_us)
        if known.synchronised:  # else the last look is the best there is, with a growing doubt
            self._samples = [each for each in self._samples if mono_us - each.taken_us < FRESH_US]
        known.best = min(self._samples, key=lambda each: each.doubt_at(mono_us), default=None)
        self._follow()
        known.wall_us = self.now_us()
        doubt = judge(known, self._most_offset_us)
        if doubt is Doubt.NONE and (known.synchronised or known.best is not None):
            known.behind = known.stepped = False
            known.jumped_us = None
        changed, self._doubt = doubt is not self._doubt, doubt
        moved_us = self._machine_us - known.corrected_us - before_us
        return Tick(moved_us, doubt, self.trust, changed)

    def learn(self, asked_us: int, server_us: int, heard_us: int) -> None:
        """Take what a store answered: its clock, between our asking and our hearing of it.

        The three instants are of `now_us` and of the server; an answer over a step is refused.
        """
        if not asked_us <= heard_us <= self.now_us():
            return
        middle_us = (asked_us + heard_us) // 2
        doubt_us = (heard_us - asked_us + 1) // 2
        self._samples.append(Sample(middle_us - server_us, doubt_us, self.up_us()))
        del self._samples[:-MOST_SAMPLES]

    def no_time(self) -> None:
        """Note that a store answered without telling its time: no better knowledge will come."""
        if not self._samples:
            self._known.timeless = True

    def state(self) -> ClockState:
        """Return how the clock stands."""
        best = self._known.best
        ahead_us = None if best is None else best.ahead_us + self._known.corrected_us
        return ClockState(
            trust=self.trust,
            doubt=self._doubt,
            ahead_ms=None if ahead_us is None else ahead_us / 1e3,
            doubt_ms=None if best is None else best.doubt_at(self._known.mono_us) / 1e3,
            synchronised=self._known.synchronised,
            steps=self.steps,
        )

    def _measured_us(self) -> int:
        """Return how far the wall clock is over the monotonic one, by the closest of some looks."""
        looks: list[tuple[int, int]] = []
        for _ in range(READS):
            before_us = self.up_us()
            wall_us = to_us(self._wall())
            after_us = self.up_us()
            looks.append((after_us - before_us, wall_us - (before_us + after_us) // 2))
        return min(looks)[1]

    def _take_step(self, step_us: int) -> None:
        """Take over what the wall clock moved against the monotonic one."""
        if abs(step_us) < NOISE_US:
            return
        known = self._known
        self._machine_us += step_us
        if abs(step_us) <= STEP_US:
            return
        self.steps += 1
        known.stepped = True
        if abs(step_us) > HELD_OFFSET_US:
            known.jumped_us = known.mono_us
        # The server's clock did not step: what is known of the difference stays known.
        known.behind = known.behind and step_us < 0
        self._samples = [
            Sample(each.ahead_us + step_us, each.doubt_us, each.taken_us) for each in self._samples
        ]

    def _follow(self) -> None:
        """Let stamps follow the server's clock where the machine's is off and has no time server.

        They follow the machine's again once it is near the server's, or has a time server.
        """
        known = self._known
        if known.best is None:
            return
        machine_ahead_us = known.best.ahead_us + known.corrected_us
        surely_us = abs(machine_ahead_us) - known.best.doubt_at(known.mono_us)
        lost = surely_us > HELD_OFFSET_US and not known.synchronised
        wanted_us = machine_ahead_us if lost else 0
        if lost and known.corrected_us and abs(known.best.ahead_us) <= self._most_offset_us:
            return  # near enough: stamps need no more steps
        moved_us = wanted_us - known.corrected_us
        known.corrected_us = wanted_us
        self._samples = [
            Sample(each.ahead_us - moved_us, each.doubt_us, each.taken_us) for each in self._samples
        ]
        known.best = Sample(
            known.best.ahead_us - moved_us, known.best.doubt_us, known.best.taken_us
        )


def flagged(readings: Sequence[Reading], trust: Trust) -> Sequence[Reading]:
    """Return readings as a clock of that trust stamps them: `uncertain` unless it is right."""
    if trust is Trust.RIGHT:
        return readings
    return [
        Reading(each.point, each.measured_us, each.value, max(each.quality, Quality.UNCERTAIN))
        for each in readings
    ]


def moved(readings: Iterable[Reading], by_us: int) -> list[Reading]:
    """Return readings with their instants moved."""
    return [
        Reading(each.point, each.measured_us + by_us, each.value, each.quality) for each in readings
    ]


def restamped(columns: bytes, by_us: int) -> bytes:
    """Return the columns of an envelope with all instants moved, and every good row uncertain."""
    envelope = Envelope.FromString(columns)
    if not by_us or not envelope.point:
        return columns
    envelope.base_us += by_us
    codes = list(envelope.quality) or [0] * len(envelope.point)
    envelope.quality[:] = [max(code, Quality.UNCERTAIN) for code in codes]
    return envelope.SerializeToString()
