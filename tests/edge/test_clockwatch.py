"""The clock: steps found, offsets measured, and what readings of a doubtful clock become."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import wire
from core.clock import from_us
from core.quality import Quality
from core.reading import Reading
from core.wire_pb2 import Envelope
from edge import clockwatch
from edge.clockwatch import BUILT_US, HELD_OFFSET_US, SETTLED_US, VERDICTS, ClockWatch, Doubt, Trust

if TYPE_CHECKING:
    from datetime import datetime

S = 1_000_000
HOUR = 3_600 * S
T0 = 1_790_000_000 * S


class Machine:
    """A machine whose clocks the test sets: `up_s` never steps."""

    def __init__(self, wall_us: int = T0, *, synchronised: bool | None = False) -> None:
        self.up_s = 100.0
        self.over_us = wall_us - 100 * S
        self.synchronised = synchronised

    def wall(self) -> datetime:
        return from_us(self.over_us + round(self.up_s * S))

    def watch(self, newest_us: int | None = None) -> ClockWatch:
        return ClockWatch(
            wall=self.wall,
            monotonic=lambda: self.up_s,
            synchronised=lambda: self.synchronised,
            newest_us=newest_us,
        )

    def run(self, watch: ClockWatch, seconds: int = 1) -> list[clockwatch.Tick]:
        ticks = []
        for _ in range(seconds):
            self.up_s += 1
            ticks.append(watch.tick())
        return ticks

    def ask(self, watch: ClockWatch, ahead_us: int, way_us: int = 200_000) -> None:
        """Ask a server whose clock the machine's is ahead of; the answer takes its time."""
        asked_us = watch.now_us()
        server_us = self.over_us + round(self.up_s * S) - ahead_us
        self.up_s += way_us / S
        watch.learn(asked_us, server_us, watch.now_us())


def test_a_clock_that_nobody_contradicts_is_right() -> None:
    machine = Machine()
    watch = machine.watch(newest_us=T0 - HOUR)
    ticks = machine.run(watch, 60)
    assert {(tick.trust, tick.moved_us, tick.changed) for tick in ticks} == {
        (Trust.RIGHT, 0, False)
    }
    assert watch.now_us() == T0 + 60 * S
    state = watch.state()
    assert (state.ahead_ms, state.synchronised, state.steps) == (None, False, 0)


def test_stamps_run_by_the_monotonic_clock_until_a_step_is_seen() -> None:
    machine = Machine()
    watch = machine.watch()
    machine.over_us += 10 * S
    machine.up_s += 0.5
    assert watch.now_us() == T0 + S // 2
    (tick,) = machine.run(watch)
    assert (tick.moved_us, tick.doubt, tick.changed) == (10 * S, Doubt.STEPPED, True)
    assert watch.now_us() == T0 + 11 * S + S // 2
    assert watch.steps == 1


def test_two_clocks_that_are_not_read_at_one_instant_are_no_step() -> None:
    machine = Machine()
    watch = machine.watch()
    for jitter_us in (3_000, -12_000, 19_000, 0):
        machine.over_us = T0 - 100 * S + jitter_us
        assert machine.run(watch)[0].moved_us == 0
    machine.over_us = T0 - 100 * S + 150_000  # slewed over minutes: taken over without a word
    (tick,) = machine.run(watch)
    assert (tick.moved_us, tick.trust) == (150_000, Trust.RIGHT)


def test_a_year_before_this_program_was_made_is_wrong_until_the_clock_is_set() -> None:
    machine = Machine(wall_us=0)
    watch = machine.watch()
    assert (watch.trust, watch.doubt) == (Trust.WRONG, Doubt.IMPOSSIBLE)
    assert not watch.tells_age
    machine.over_us += T0
    machine.synchronised = True
    (tick,) = machine.run(watch)
    assert (tick.trust, tick.moved_us) == (Trust.RIGHT, T0)


def test_a_boot_behind_what_was_kept_before_is_wrong_even_when_its_year_is_possible() -> None:
    """A gateway without a battery clock goes on from its last shutdown."""
    machine = Machine()
    watch = machine.watch(newest_us=T0 + 40 * 60 * S)
    assert watch.doubt is Doubt.BEHIND
    machine.run(watch, 3_000)  # it stays as late as it was, though it has passed that instant
    assert watch.doubt is Doubt.BEHIND
    machine.synchronised = True
    machine.over_us += 2 * HOUR
    (tick,) = machine.run(watch)
    assert (tick.trust, tick.moved_us) == (Trust.RIGHT, 2 * HOUR)


def test_the_offset_to_the_server_is_measured_with_its_doubt() -> None:
    machine = Machine()
    watch = machine.watch()
    machine.ask(watch, ahead_us=1_500_000, way_us=4 * S)
    machine.ask(watch, ahead_us=1_500_000, way_us=100_000)
    machine.run(watch)
    state = watch.state()
    assert state.ahead_ms == pytest.approx(1_550, abs=1)  # the server answered at once
    assert state.doubt_ms == pytest.approx(50, abs=1)
    assert state.trust is Trust.RIGHT


@given(
    st.integers(-10_000_000, 10_000_000),
    st.integers(0, 5_000_000),
    st.integers(0, 5_000_000),
)
def test_the_true_offset_always_lies_within_the_doubt(
    ahead_us: int, to_us: int, back_us: int
) -> None:
    machine = Machine()
    watch = machine.watch()
    asked_us = watch.now_us()
    machine.up_s += to_us / S
    server_us = watch.now_us() - ahead_us
    machine.up_s += back_us / S
    watch.learn(asked_us, server_us, watch.now_us())
    machine.run(watch)
    state = watch.state()
    assert state.ahead_ms is not None
    assert state.doubt_ms is not None
    assert abs(state.ahead_ms - ahead_us / 1e3) <= state.doubt_ms + 0.01


def test_an_offset_over_the_bound_flags_and_one_of_minutes_holds_a_synchronised_clock() -> None:
    machine = Machine(synchronised=True)
    watch = machine.watch()
    machine.ask(watch, ahead_us=8 * S)
    machine.run(watch)
    assert (watch.trust, watch.doubt) == (Trust.DOUBTED, Doubt.DRIFTED)
    other = machine.watch()
    machine.ask(other, ahead_us=HELD_OFFSET_US + 2 * S)
    machine.run(other)
    assert other.doubt is Doubt.OFFSET  # one of two clocks with authority is wrong: a person looks
    assert not other.tells_age


@pytest.mark.parametrize("ahead_us", [-30 * 365 * 24 * HOUR, -2 * HOUR, 2 * HOUR])
def test_a_wrong_clock_without_a_time_server_follows_the_store(ahead_us: int) -> None:
    true_us = T0
    machine = Machine(wall_us=true_us + ahead_us)
    watch = machine.watch()
    machine.ask(watch, ahead_us=ahead_us, way_us=100_000)
    (tick,) = machine.run(watch)
    assert tick.doubt is Doubt.FOLLOWS
    assert watch.now_us() == pytest.approx(true_us + 1_100_000, abs=60_000)
    state = watch.state()
    assert state.ahead_ms == pytest.approx(ahead_us / 1e3, abs=60)  # of the machine's own clock
    assert watch.tells_age
    moves = [tick.moved_us for tick in machine.run(watch, 600)]
    assert moves == [0] * 600
    machine.over_us -= ahead_us  # somebody sets it right, and the store agrees
    machine.run(watch)
    machine.ask(watch, ahead_us=0, way_us=100_000)
    machine.run(watch, 2)
    assert watch.trust is Trust.RIGHT
    assert watch.now_us() == machine.over_us + round(machine.up_s * S)


def test_a_big_step_without_any_witness_holds_for_a_while_and_is_then_flagged() -> None:
    machine = Machine()
    watch = machine.watch()
    machine.over_us += 2 * HOUR
    machine.run(watch)
    assert (watch.trust, watch.doubt) == (Trust.WRONG, Doubt.JUMPED)
    machine.run(watch, SETTLED_US // S + 1)
    assert (watch.trust, watch.doubt) == (Trust.DOUBTED, Doubt.STEPPED)
    assert not watch.tells_age


def test_a_step_that_the_store_contradicts_is_taken_back() -> None:
    machine = Machine()
    watch = machine.watch()
    machine.ask(watch, ahead_us=0, way_us=10_000)
    machine.run(watch)
    machine.over_us += 2 * HOUR  # by hand, and wrong: what the store said stays known
    ticks = machine.run(watch, 3)
    assert ticks[0].doubt is Doubt.FOLLOWS
    assert sum(tick.moved_us for tick in ticks) == pytest.approx(0, abs=10_000)


def test_a_store_that_tells_no_time_leaves_doubt_but_holds_nothing_for_ever() -> None:
    machine = Machine()
    watch = machine.watch(newest_us=T0 + HOUR)
    assert watch.trust is Trust.WRONG
    watch.no_time()
    machine.run(watch)
    assert (watch.trust, watch.doubt) == (Trust.DOUBTED, Doubt.STEPPED)


def test_an_answer_over_a_step_is_refused() -> None:
    machine = Machine()
    watch = machine.watch()
    asked_us = watch.now_us()
    machine.over_us -= HOUR
    machine.run(watch)
    watch.learn(asked_us, T0, watch.now_us())
    machine.run(watch)
    assert watch.state().ahead_ms is None


def test_every_doubt_has_its_verdict() -> None:
    assert VERDICTS.keys() == set(Doubt)
    assert BUILT_US < T0


def test_readings_of_a_doubtful_clock_are_uncertain_and_bad_ones_stay_bad() -> None:
    given_readings = [Reading("a.b.c", 1, 5), Reading("a.b.d", 2, None, Quality.BAD)]
    assert clockwatch.flagged(given_readings, Trust.RIGHT) is given_readings
    for trust in (Trust.DOUBTED, Trust.WRONG):
        flagged = clockwatch.flagged(given_readings, trust)
        assert [each.quality for each in flagged] == [Quality.UNCERTAIN, Quality.BAD]
        assert [each.measured_us for each in flagged] == [1, 2]


@given(
    st.lists(
        st.builds(
            Reading,
            st.sampled_from(["a.b.c", "a.b.d"]),
            st.integers(-(10**15), 10**15),
            st.one_of(st.integers(0, 2**53), st.floats(0, 1e9)),
            st.sampled_from([Quality.GOOD, Quality.UNCERTAIN]),
        ),
        min_size=1,
        max_size=20,
    ),
    st.integers(-(10**16), 10**16),
)
def test_an_envelope_stamped_anew_differs_in_its_instants_only(
    readings: list[Reading], by_us: int
) -> None:
    before = wire.rows(Envelope.FromString(wire.columns(readings)))
    after = wire.rows(Envelope.FromString(clockwatch.restamped(wire.columns(readings), by_us)))
    assert [row[1] for row in after] == [row[1] + by_us for row in before]
    assert [(row[0], row[2]) for row in after] == [(row[0], row[2]) for row in before]
    if by_us:
        assert {row[3] for row in after} == {Quality.UNCERTAIN}
