"""What the outbox promises: kept is kept, numbered without a hole, bounded, loss is counted.

Every promise that does not speak of a disk is made on a disk and in memory alike.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import wire
from core.errors import Misconfigured, Rejected
from core.reading import Reading
from core.wire import Receipt
from core.wire_pb2 import Envelope
from edge import clockwatch, outboxstate
from edge.outbox import MOST_PLACED_ROWS, Outbox, Withheld
from edge.outlet import News
from tests.edge.boxes import DAY_US, Box, noisy, readings, receipt, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["disk", "memory"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "outbox.sqlite" if request.param == "disk" else None)
    yield box
    box.box.close()


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "outbox.sqlite")
    yield box
    box.box.close()


@pytest.fixture(params=["disk", "memory"])
def twofold(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    """Yield an outbox for two data centres."""
    path = tmp_path / "outbox.sqlite" if request.param == "disk" else None
    box = Box(path, "main", "province")
    yield box
    box.box.close()


def test_sequences_start_at_one_and_grow_by_one_over_restarts(filed: Box) -> None:
    assert [filed.box.append(readings(), 0) for _ in range(3)] == [1, 2, 3]
    epoch = filed.box.epoch
    box = filed.again()
    assert box.epoch == epoch
    assert box.append(readings(), 0) == 4
    assert waiting(box) == [1, 2, 3, 4]


def test_an_outbox_in_memory_begins_a_new_epoch_each_time() -> None:
    kept = Box(None)
    kept.box.append(readings(), 0)
    epoch = kept.box.epoch
    box = kept.again()
    assert box.epoch != epoch
    assert box.in_memory
    assert box.append(readings(), 0) == 1
    box.close()


@pytest.mark.parametrize("rows", [2, 400])
def test_what_is_kept_comes_back_as_an_envelope(kept: Box, rows: int) -> None:
    sent = [Reading("a.b.c", n, 42 + n) for n in range(rows - 1)] + [Reading("a.b.d", 6, 1.5)]
    kept.box.append(sent, 99)
    (held,) = kept.main.peek(0, 10)
    assert (held.kept_us, held.rows) == (99, rows)
    head = wire.header(agent="gw-01", epoch="e", sequence=held.sequence, oldest=1, sent_us=3)
    _, envelope = wire.unpack(wire.seal(head + held.body))
    assert [Reading(*row[:3]) for row in wire.rows(envelope)] == sent


def test_a_receipt_marks_and_deletes_nothing(kept: Box) -> None:
    box, outlet = kept.box, kept.main
    for _ in range(6):
        box.append(readings(), 0)
    assert outlet.apply(receipt(box, 4, (2, 2)), 1) is News.PROGRESS
    assert waiting(box) == [2, 5, 6]
    assert outlet.apply(receipt(box, 5), 2) is News.PROGRESS
    assert waiting(box) == [6]
    assert outlet.apply(receipt(box, 4, (2, 2)), 3) is News.NOTHING
    state = box.state()
    assert (state.held, state.depth, state.of("main").committed) == (6, 1, 5)
    assert outlet.oldest() == 1


def test_a_receipt_of_another_epoch_means_nothing(kept: Box) -> None:
    kept.box.append(readings(), 0)
    assert kept.main.apply(Receipt("s1", "another", 1), 0) is News.NOTHING
    assert waiting(kept.box) == [1]


def test_another_store_is_sent_all_that_is_held(kept: Box) -> None:
    box, outlet = kept.box, kept.main
    for _ in range(4):
        box.append(readings(), 0)
    outlet.apply(receipt(box, 4), 1)
    outlet.set_aside(3)
    assert waiting(box) == []
    assert outlet.apply(receipt(box, 1, store="s2"), 2) is News.NEW_STORE
    assert waiting(box) == [2, 3, 4]
    box.append(readings(), 0)  # what the first store said is on the disk with this
    # Back to the first store: what it holds is still known.
    assert outlet.apply(receipt(box, 4, store="s1"), 3) is News.NEW_STORE
    assert waiting(box) == [5]


def test_each_destination_has_its_own_progress_and_nothing_of_one_changes_the_other(
    twofold: Box,
) -> None:
    box = twofold.box
    for _ in range(5):
        box.append(readings(), 10)
    box.outlet("province").apply(receipt(box, 3, (2, 2), store="p"), 1)
    box.outlet("main").set_aside(5)
    assert waiting(box, "main") == [1, 2, 3, 4]
    assert waiting(box, "province") == [2, 4, 5]
    state = box.state()
    assert (state.depth, state.of("main").depth, state.of("province").depth) == (4, 4, 3)
    assert (state.of("main").set_aside, state.of("province").set_aside) == (1, 0)
    assert (state.of("province").store, state.of("main").store) == ("p", "")


def test_a_destination_that_is_added_later_gets_all_that_is_held(filed: Box) -> None:
    for _ in range(3):
        filed.box.append(readings(), 0)
    filed.main.apply(receipt(filed.box, 3), 0)
    filed.destinations = ("main", "province")
    box = filed.again()
    assert waiting(box, "main") == []
    assert waiting(box, "province") == [1, 2, 3]


def test_progress_survives_a_clean_stop_and_an_append(filed: Box) -> None:
    for _ in range(3):
        filed.box.append(readings(), 0)
    filed.main.apply(receipt(filed.box, 2), 1)
    assert waiting(filed.again()) == [3]


def test_a_receipt_of_more_than_was_ever_sent_starts_a_new_epoch(filed: Box) -> None:
    """The file is an old copy: its next numbers would be taken for envelopes already stored."""
    box = filed.box
    for number in range(4):
        box.append(readings(value=number), 0)
    epoch = box.epoch
    assert filed.main.apply(receipt(box, 5), 1) is News.NEW_EPOCH
    assert box.epoch != epoch
    assert waiting(box) == [1, 2, 3, 4]
    assert box.append(readings(), 0) == 5
    assert filed.again().epoch == box.epoch


def test_a_new_epoch_counts_from_one_without_the_holes_of_the_old(twofold: Box) -> None:
    box = twofold.box
    for number in range(9):
        box.append(readings(value=number), number)
    for name in ("main", "province"):
        box.outlet(name).apply(receipt(box, 6, (1, 2)), 0)
    with box._changing():
        box._free(200)  # the first that both have: 3 and those behind it, not 1 and 2
    assert box.state().first_sequence == 1
    held = waiting(box)
    left = box.state().held
    assert box.outlet("main").apply(receipt(box, 99), 0) is News.NEW_EPOCH
    assert waiting(box) == list(range(1, left + 1))
    assert waiting(box, "province") == waiting(box)
    kept = [each.kept_us for each in box.outlet("main").peek(0, 99)]
    assert kept == sorted(kept)
    assert {0, 1, 6, 7, 8} <= set(kept)
    assert len(held) < left


def test_peek_is_bounded_in_rows_and_bytes(kept: Box) -> None:
    for _ in range(5):
        kept.box.append(readings(50), 0)
    assert [held.sequence for held in kept.main.peek(1, 2)] == [2, 3]
    assert [held.sequence for held in kept.main.peek(0, 10, most_bytes=1)] == [1]
    assert [held.sequence for held in kept.main.peek(1, 9, upto=3)] == [2, 3]


def test_when_full_what_everybody_has_goes_first_and_then_the_oldest_which_is_counted(
    twofold: Box,
) -> None:
    box = twofold.again(most_bytes=64 << 10)
    for _ in range(20):
        box.append(noisy(100), 0)
    for name in ("main", "province"):
        box.outlet(name).apply(receipt(box, 20, (1, 5)), 1)  # 1 to 5 are lacked, 6 to 20 are not
    state = box.state()
    while state.first_sequence == 1:
        box.append(noisy(100), 0)
        state = box.state()
        if state.lost_envelopes == 0:
            assert waiting(box)[:5] == [1, 2, 3, 4, 5]
    assert state.payload_bytes <= 64 << 10
    assert state.lost_envelopes == state.first_sequence - 1 == 1
    assert state.lost_readings == 100
    assert state.of("main").lost_envelopes == 1
    assert state.held == 1 + state.last_sequence - state.first_sequence - 15  # all of 6 to 20
    assert box.outlet("main").oldest() == 2


def test_a_dead_data_centre_costs_the_living_one_nothing_and_is_itself_bounded(
    twofold: Box,
) -> None:
    box = twofold.again(most_bytes=64 << 10)
    for number in range(1, 200):
        box.append(noisy(100), 0)
        assert waiting(box, "main") == [number]
        box.outlet("main").apply(receipt(box, number), 0)
    state = box.state()
    assert state.of("main").lost_envelopes == 0
    assert state.of("province").lost_envelopes == state.lost_envelopes > 0
    assert state.of("province").depth == state.held
    assert state.payload_bytes <= 64 << 10


def test_age_empties_the_outbox_and_the_numbers_go_on(filed: Box) -> None:
    box = filed.again(keep_us=35 * DAY_US)
    for day in range(4):
        box.append(readings(), day * DAY_US)
    filed.main.apply(receipt(box, 1), 0)
    assert box.trim(37 * DAY_US) == 1  # days 0 and 1 are too old, and 1 was received
    assert waiting(box) == [3, 4]
    assert box.trim(100 * DAY_US) == 2
    assert filed.main.oldest() == 5
    assert filed.again().append(readings(), 0) == 5


def test_an_envelope_set_aside_stays_held_and_is_counted(filed: Box) -> None:
    for _ in range(3):
        filed.box.append(readings(), 0)
    filed.main.set_aside(2)
    filed.main.set_aside(2)
    box = filed.again()
    assert waiting(box) == [1, 3]
    assert (box.state().set_aside, box.state().held, box.state().depth) == (1, 3, 2)


def test_readings_that_no_payload_takes_are_refused_before_they_are_numbered(kept: Box) -> None:
    many = [Reading("a.b.c", n * 10**10, float(n)) for n in range(90_000)]
    with pytest.raises(Rejected) as caught:
        kept.box.append(many, 0)
    assert caught.value.reason == "too_large"
    assert kept.box.append(readings(), 0) == 1


def test_two_agents_cannot_use_one_outbox(filed: Box) -> None:
    assert filed.path is not None
    with pytest.raises(Misconfigured, match="another agent uses it"):
        Outbox(filed.path, most_bytes=1 << 20, keep_us=DAY_US)


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot write there"):
        Outbox(tmp_path / "nowhere" / "x.sqlite", most_bytes=1 << 20, keep_us=DAY_US)


def test_only_its_owner_may_read_the_file(filed: Box) -> None:
    assert filed.path is not None
    assert stat.S_IMODE(filed.path.stat().st_mode) == 0o600


def test_another_process_may_look_while_the_agent_uses_it(filed: Box) -> None:
    assert filed.path is not None
    for number in range(3):
        filed.box.append(readings(2), 50_000_000 * number)
    state, rates = outboxstate.inspect(filed.path)
    assert (state.epoch, state.depth, state.oldest_us) == (filed.box.epoch, 3, 0)
    assert rates["main"].kept == pytest.approx(4 / 100)
    assert rates["main"].received is None
    with pytest.raises(Misconfigured, match="has the agent run"):
        outboxstate.inspect(filed.path.with_name("none"))


def test_the_rate_of_receipts_is_of_whole_minutes(filed: Box) -> None:
    assert filed.path is not None
    for _ in range(40):
        filed.box.append(readings(3), 0)
    for minute in range(4):
        filed.main.apply(receipt(filed.box, 10 * (minute + 1)), minute * 60_000_000)
    filed.box.append(readings(), 0)  # writes the progress
    _, rates = outboxstate.inspect(filed.path)
    # The first receipt tells where the store stands, not how fast it is.
    assert rates["main"].received == pytest.approx(2 * 30 / 120)


def test_the_accounting_of_bytes_is_what_the_rows_hold(twofold: Box) -> None:
    box = twofold.again(most_bytes=40 << 10)
    for number in range(60):
        box.append(noisy(10 + number), 0)
        if number % 7 == 0:
            box.outlet("main").apply(receipt(box, number + 1), 0)
    (rows,) = box._database.execute("SELECT sum(length(body) + 64) FROM envelope").fetchone()
    assert box.state().payload_bytes == rows <= 40 << 10
    (count,) = box._database.execute("SELECT count(*) FROM envelope").fetchone()
    assert box.state().held == count


def test_a_file_of_the_first_version_goes_on_with_what_it_holds(filed: Box) -> None:
    assert filed.path is not None
    for _ in range(4):
        filed.box.append(readings(), 5)
    epoch = filed.box.epoch
    with filed.box._database.transaction():
        execute = filed.box._database.execute
        for table in ("progress", "aside", "withheld", "passage"):
            execute(f"DROP TABLE {table}")
        execute("ALTER TABLE envelope ADD COLUMN aside INTEGER NOT NULL DEFAULT 0")
        execute("UPDATE envelope SET aside = 1 WHERE sequence = 4")
        execute("DELETE FROM meta WHERE name = 'bytes'")
        execute(
            "CREATE TABLE progress (store TEXT PRIMARY KEY, committed INTEGER NOT NULL,"
            " missing TEXT NOT NULL, at_us INTEGER NOT NULL) WITHOUT ROWID"
        )
        execute("INSERT INTO progress VALUES ('s1', 2, '[[1, 1]]', 7)")
        execute("INSERT INTO meta VALUES ('store', 's1')")
        execute("PRAGMA user_version = 1")
    filed.box._database.close()
    box = filed.open()
    assert (box.epoch, waiting(box)) == (epoch, [1, 3])
    assert box.append(readings(), 6) == 5
    assert box.state().payload_bytes > 0


class Model:
    """What an outbox with any number of destinations should say, told by sets."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.last = 0
        self.stores = dict.fromkeys(names, "")
        self.received: dict[tuple[str, str], set[int]] = {}

    def receipt(self, name: str, store: str, upto: int, gap: int) -> tuple[tuple[int, int], ...]:
        """Note and return a store's word: all up to `upto` but for one hole that it had before."""
        self.stores[name] = store
        had = self.received.setdefault((name, store), set())
        had |= {number for number in range(1, upto + 1) if number != gap}
        top = max(had, default=0)
        return tuple((n, n) for n in range(1, top + 1) if n not in had)

    def top(self, name: str) -> int:
        return max(self.received.get((name, self.stores[name]), {0}), default=0)

    def waiting(self, name: str) -> list[int]:
        had = self.received.get((name, self.stores[name]), set())
        return [number for number in range(1, self.last + 1) if number not in had]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just(("append",)),
            st.tuples(
                st.just("receipt"),
                st.sampled_from(["main", "province"]),
                st.integers(0, 40),
                st.integers(1, 40),
                st.integers(1, 2),
            ),
            st.just(("reopen",)),
        ),
        max_size=40,
    )
)
def test_any_history_leaves_each_destination_exactly_what_its_store_does_not_hold(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[Any, ...]]
) -> None:
    names = ("main", "province")
    kept = Box(tmp_path_factory.mktemp("box") / "outbox.sqlite", *names)
    model = Model(names)
    for event in history:
        if event[0] == "append":
            model.last += 1
            assert kept.box.append(readings(), 0) == model.last
        elif event[0] == "reopen":
            kept.again()
        elif event[2] <= model.last:
            _, name, upto, gap, number = event
            missing = model.receipt(name, f"s{number}", upto, gap)
            told = receipt(kept.box, model.top(name), *missing, store=f"s{number}")
            kept.box.outlet(name).apply(told, model.last)
    for name in names:
        assert waiting(kept.box, name) == model.waiting(name)
        assert kept.box.state().of(name).depth == len(model.waiting(name))
    kept.box.close()


def instants(box: Outbox) -> list[list[int]]:
    return [
        [row[1] for row in wire.rows(Envelope.FromString(held.body))]
        for held in box.outlet("main").peek(0, 100)
    ]


def test_what_waits_for_the_clock_is_not_offered_and_what_comes_after_it_is(kept: Box) -> None:
    box = kept.box
    box.append(readings(2), 0, withheld=Withheld("boot", 1))
    box.append(readings(), 0)
    assert waiting(box) == [2]
    assert (box.state().withheld, box.state().depth, box.state().held) == (1, 1, 2)
    kept.main.apply(receipt(box, 2, (1, 1)), 0)
    assert waiting(box) == []
    assert box.place("boot", 0, clockwatch.restamped) == 1
    assert waiting(box) == [1]


def test_a_right_clock_stamps_anew_what_waited_by_the_time_since_the_boot(kept: Box) -> None:
    box = kept.box
    wrong_boot_us = 5  # the clock began near 1970, so that up to now it showed up + 5
    for up_us in (1_000, 2_000, 3_000):
        measured = [Reading("a.b.c", wrong_boot_us + up_us - 10 + n, n) for n in range(2)]
        box.append(measured, wrong_boot_us + up_us, withheld=Withheld("boot", up_us))
    right_boot_us = 1_790_000_000_000_000
    assert box.place("boot", right_boot_us, clockwatch.restamped) == 3
    assert instants(box) == [
        [right_boot_us + up_us - 10 + n for n in range(2)] for up_us in (1_000, 2_000, 3_000)
    ]
    assert [held.kept_us for held in kept.main.peek(0, 9)] == [
        right_boot_us + up_us for up_us in (1_000, 2_000, 3_000)
    ]
    assert box.place("boot", 0, clockwatch.restamped) == 0  # once


def test_what_another_boot_withheld_is_never_sent_and_is_counted(filed: Box) -> None:
    filed.box.append(readings(), 0, withheld=Withheld("old boot", 1))
    filed.box.append(readings(), 0, withheld=Withheld("this boot", 1))
    box = filed.again()
    assert box.abandon("this boot") == 1
    assert box.abandon("this boot") == 0
    assert box.place("this boot", 7, clockwatch.restamped) == 1
    assert waiting(box) == [2]
    assert box.state().unplaceable == 1
    assert waiting(filed.again()) == [2]


def test_age_does_not_take_what_waits_for_the_clock(filed: Box) -> None:
    box = filed.again(keep_us=DAY_US)
    box.append(readings(), 5, withheld=Withheld("boot", 5))  # by a clock in 1970
    box.append(readings(), 400 * DAY_US)
    assert box.trim(400 * DAY_US) == 0
    box.place("boot", 400 * DAY_US, clockwatch.restamped)
    assert waiting(box) == [1, 2]
    assert box.trim(400 * DAY_US) == 0


def test_many_that_waited_are_placed_in_several_transactions(filed: Box) -> None:
    count = 2 * MOST_PLACED_ROWS + 1
    for up_us in range(count):
        filed.box.append(readings(), up_us, withheld=Withheld("boot", up_us))
    assert filed.box.place("boot", 10**15, clockwatch.restamped) == count
    assert [each.kept_us for each in filed.main.peek(0, count)] == [
        10**15 + up_us for up_us in range(count)
    ]
