"""One line's turns, in a time of their own: what a dead device may cost the living ones."""

from __future__ import annotations

import math
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.breaker import Event, State
from edge.driver import Driver, Station
from edge.schedule import MOST_SHARE, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOUR_S = 3_600.0


class Told:
    """Stands for a driver: the schedule only passes it on."""

    def __init__(self, name: str) -> None:
        self.name = name


def station(name: str, period_s: float, most_s: float) -> Station:
    return Station(cast("Driver", Told(name)), "line", period_s, most_s)


class Line:
    """Walks a schedule in virtual time; `costs` says how long a poll takes, None for no answer."""

    def __init__(
        self, stations: Sequence[Station], cost_s: Callable[[str, float], float | None]
    ) -> None:
        self.now_s = 0.0
        self.schedule = Schedule(stations, 0.0)
        self.cost_s = cost_s
        self.begun: dict[str, list[float]] = defaultdict(list)
        self.wasted_s = 0.0

    def run(self, until_s: float) -> None:
        while self.now_s < until_s:
            turn = self.schedule.turn(self.now_s)
            if turn.seat is None:
                assert turn.at_s > self.now_s
                self.now_s = min(turn.at_s, until_s)
                continue
            station, began_s = turn.seat.station, self.now_s
            self.begun[station.driver.name].append(began_s)
            cost_s = self.cost_s(station.driver.name, began_s)
            self.now_s += station.most_s if cost_s is None else cost_s
            event = Event.SILENT if cost_s is None else Event.ANSWERED
            self.wasted_s += self.now_s - began_s if cost_s is None else 0.0
            next_s = (math.floor(self.now_s / station.period_s) + 1) * station.period_s
            self.schedule.done(turn.seat, event, began_s, self.now_s, next_s)

    def gaps_s(self, name: str, after_s: float) -> list[float]:
        begun = [at_s for at_s in self.begun[name] if at_s >= after_s]
        return [later - earlier for earlier, later in pairwise(begun)]


def thirty(period_s: float, most_s: float) -> list[Station]:
    return [station(f"m{number}", period_s, most_s) for number in range(30)]


def test_on_a_shared_line_27_meters_keep_their_period_beside_three_dead_ones() -> None:
    """30 meters, 20 ms each, every 10 s; three never answer within their second."""
    dead = {"m3", "m17", "m29"}
    line = Line(thirty(10.0, 1.0), lambda name, _: None if name in dead else 0.02)
    line.run(HOUR_S)
    for name in {f"m{number}" for number in range(30)} - dead:
        gaps_s = line.gaps_s(name, after_s=20.0)
        assert len(gaps_s) >= 350
        assert all(abs(gap_s - 10.0) <= 0.5 for gap_s in gaps_s), name
    for name in dead:
        assert 60 <= len(line.begun[name]) <= 80  # once a minute, in what time the others leave


def test_a_full_line_gives_the_dead_no_more_than_their_share() -> None:
    """The living ones need 96 % of the line: no gap is left that a dead one's second fits in."""
    dead = {"m0", "m1", "m2"}
    line = Line(thirty(1.0, 1.0), lambda name, _: None if name in dead else 0.96 / 27)
    line.run(HOUR_S / 2)
    assert line.wasted_s / (HOUR_S / 2) <= MOST_SHARE * 1.01
    assert all(len(line.begun[name]) >= 15 for name in dead)  # and still they are tried
    assert min(len(line.begun[f"m{n}"]) for n in range(3, 30)) >= 0.93 * HOUR_S / 2


def test_the_first_to_answer_after_the_line_was_out_wakes_all_others() -> None:
    out_until_s = 1_000.0
    line = Line(thirty(10.0, 0.5), lambda _, now_s: None if now_s < out_until_s else 0.02)
    line.run(2 * HOUR_S)
    firsts = [min(at for at in line.begun[name] if at >= out_until_s) for name in line.begun]
    assert len(firsts) == 30
    assert max(firsts) - out_until_s < 60.0 + 30 * 0.5
    assert all(seat.breaker.state is State.WELL for seat in line.schedule.seats)


def test_a_dead_line_is_tried_by_its_devices_in_turn_without_a_busy_loop() -> None:
    line = Line(thirty(1.0, 0.5), lambda _name, _now: None)
    line.run(HOUR_S)
    assert all(50 <= len(begun) <= 120 for begun in line.begun.values())


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.5, 60), st.floats(0.05, 5), st.floats(0.001, 0.05), st.booleans()),
        min_size=1,
        max_size=12,
    ),
)
def test_every_device_gets_its_turns_whatever_the_others_do(
    rows: list[tuple[float, float, float, bool]],
) -> None:
    stations = [station(f"m{i}", row[0], row[1]) for i, row in enumerate(rows)]
    costs = {f"m{i}": None if row[3] else row[2] for i, row in enumerate(rows)}
    line = Line(stations, lambda name, _: costs[name])
    line.run(1_800.0)
    living = [i for i, row in enumerate(rows) if not row[3]]
    assert len(line.begun) == len(rows)
    used_s = sum(rows[i][2] / rows[i][0] for i in living)
    if living and used_s < 0.5:
        for i in living:
            assert len(line.begun[f"m{i}"]) >= 0.8 * 1_800.0 / rows[i][0] - 2
