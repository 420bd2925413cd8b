"""What the outbox promises: kept is kept, numbered without a hole, bounded, loss is counted."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import wire
from core.errors import Misconfigured, Rejected, Retryable
from core.reading import Reading
from core.wire import Receipt
from edge import outboxfile, outboxstate
from edge.outbox import News, Outbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY_US = 86_400_000_000


class Box:
    """An outbox that can be closed and opened again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.box = self.open()

    def open(self, **limits: Any) -> Outbox:
        limits = {"most_bytes": 8 << 20, "keep_us": 35 * DAY_US, **limits}
        self.box = Outbox(self.path, **limits)
        return self.box

    def again(self, **limits: Any) -> Outbox:
        self.box.close()
        return self.open(**limits)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "outbox.sqlite")
    yield box
    box.box.close()


def readings(count: int = 1, value: int = 7) -> list[Reading]:
    return [Reading("a.b.c", n, value) for n in range(count)]


def receipt(box: Outbox, committed: int, *missing: tuple[int, int], store: str = "s1") -> Receipt:
    return Receipt(store, box.epoch, committed, missing)


def waiting(box: Outbox) -> list[int]:
    return [held.sequence for held in box.peek(0, 1_000)]


def test_sequences_start_at_one_and_grow_by_one_over_restarts(kept: Box) -> None:
    assert [kept.box.append(readings(), 0) for _ in range(3)] == [1, 2, 3]
    epoch = kept.box.epoch
    box = kept.again()
    assert box.epoch == epoch
    assert box.append(readings(), 0) == 4
    assert waiting(box) == [1, 2, 3, 4]


def test_what_is_kept_comes_back_as_an_envelope(kept: Box) -> None:
    sent = [Reading("a.b.c", 5, 42), Reading("a.b.d", 6, 1.5)]
    kept.box.append(sent, 99)
    (held,) = kept.box.peek(0, 10)
    assert (held.kept_us, held.rows) == (99, 2)
    head = wire.header(agent="gw-01", epoch="e", sequence=held.sequence, oldest=1, sent_us=3)
    _, envelope = wire.unpack(wire.seal(head + held.body))
    assert [row[:3] for row in wire.rows(envelope)] == [("a.b.c", 5, 42), ("a.b.d", 6, 1.5)]


def test_a_receipt_marks_and_deletes_nothing(kept: Box) -> None:
    box = kept.box
    for _ in range(6):
        box.append(readings(), 0)
    assert box.apply(receipt(box, 4, (2, 2)), 1) is News.PROGRESS
    assert waiting(box) == [2, 5, 6]
    assert box.apply(receipt(box, 5), 2) is News.PROGRESS
    assert waiting(box) == [6]
    assert box.apply(receipt(box, 4, (2, 2)), 3) is News.NOTHING
    state = box.state()
    assert (state.held, state.depth, state.committed) == (6, 1, 5)
    assert box.oldest() == 1


def test_a_receipt_of_another_epoch_means_nothing(kept: Box) -> None:
    kept.box.append(readings(), 0)
    assert kept.box.apply(Receipt("s1", "another", 1), 0) is News.NOTHING
    assert waiting(kept.box) == [1]


def test_another_store_is_sent_all_that_is_held(kept: Box) -> None:
    box = kept.box
    for _ in range(4):
        box.append(readings(), 0)
    box.apply(receipt(box, 4), 1)
    box.set_aside(3)
    assert waiting(box) == []
    assert box.apply(receipt(box, 1, store="s2"), 2) is News.NEW_STORE
    assert waiting(box) == [2, 3, 4]
    # Back to the first store: what it holds is still known.
    assert box.apply(receipt(box, 4, store="s1"), 3) is News.NEW_STORE
    assert waiting(box) == []


def test_progress_survives_a_clean_stop_and_an_append(kept: Box) -> None:
    for _ in range(3):
        kept.box.append(readings(), 0)
    kept.box.apply(receipt(kept.box, 2), 1)
    assert waiting(kept.again()) == [3]


def test_a_receipt_of_more_than_was_ever_sent_starts_a_new_epoch(kept: Box) -> None:
    """The file is an old copy: its next numbers would be taken for envelopes already stored."""
    box = kept.box
    for _ in range(4):
        box.append(readings(), 0)
    epoch = box.epoch
    assert box.apply(receipt(box, 5), 1) is News.NEW_EPOCH
    assert box.epoch != epoch
    assert waiting(box) == [1, 2, 3, 4]
    assert box.append(readings(), 0) == 5
    assert kept.again().epoch == box.epoch


def test_peek_is_bounded_in_rows_and_bytes(kept: Box) -> None:
    for _ in range(5):
        kept.box.append(readings(50), 0)
    assert [held.sequence for held in kept.box.peek(1, 2)] == [2, 3]
    assert [held.sequence for held in kept.box.peek(0, 10, most_bytes=1)] == [1]


def test_more_than_the_file_may_hold_drops_the_oldest_and_counts_what_nobody_received(
    kept: Box,
) -> None:
    box = kept.again(most_bytes=64 << 10)
    for _ in range(10):
        box.append(readings(100), 0)
    box.apply(receipt(box, 10), 1)
    while box.oldest() <= 13:
        box.append(readings(100), 0)
    state = box.state()
    assert state.payload_bytes <= 64 << 10
    assert state.first_sequence == box.oldest()
    assert state.lost_envelopes == state.first_sequence - 11
    assert state.lost_readings == 100 * state.lost_envelopes
    assert state.last_sequence == state.first_sequence + state.held - 1


def test_the_file_itself_stays_bounded(kept: Box) -> None:
    box = kept.again(most_bytes=1 << 20)
    for _ in range(400):
        box.append(readings(2_000), 0)
    assert box.state().file_bytes <= (1 << 20) * 5 // 4 + outboxfile.SLACK_PAGES * 4096
    assert kept.path.with_name(kept.path.name + "-wal").stat().st_size < 16 << 20


def test_age_empties_the_outbox_and_the_numbers_go_on(kept: Box) -> None:
    box = kept.box
    for day in range(4):
        box.append(readings(), day * DAY_US)
    box.apply(receipt(box, 1), 0)
    assert box.trim(37 * DAY_US) == 1  # days 0 and 1 are too old, and 1 was received
    assert waiting(box) == [3, 4]
    assert box.trim(100 * DAY_US) == 2
    assert box.oldest() == 5
    assert kept.again().append(readings(), 0) == 5


def test_an_envelope_set_aside_stays_held_and_is_counted(kept: Box) -> None:
    for _ in range(3):
        kept.box.append(readings(), 0)
    kept.box.set_aside(2)
    kept.box.set_aside(2)
    box = kept.again()
    assert waiting(box) == [1, 3]
    assert (box.state().set_aside, box.state().held, box.state().depth) == (1, 3, 2)


def test_readings_that_no_payload_takes_are_refused_before_they_are_numbered(kept: Box) -> None:
    many = [Reading("a.b.c", n * 10**10, float(n)) for n in range(90_000)]
    with pytest.raises(Rejected) as caught:
        kept.box.append(many, 0)
    assert caught.value.reason == "too_large"
    assert kept.box.append(readings(), 0) == 1


def test_a_full_disk_is_told_and_the_readings_are_taken_when_there_is_room(
    kept: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = kept.box
    box.append(readings(), 0)
    connection = box._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (most,) = connection.execute("PRAGMA max_page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    # As if the disk were full, not the file at its bound.
    monkeypatch.setattr(box, "_at_page_limit", lambda _size: False)
    many = [Reading("a.b.c", n * n, n * n) for n in range(2_000)]
    with pytest.raises(Retryable, match="full"):
        box.append(many, 0)
    assert box.write_errors == 1
    last = box.state().last_sequence
    connection.execute(f"PRAGMA max_page_count = {most}")
    assert box.append(many, 0) == last + 1
    assert waiting(box) == list(range(1, last + 2))


def test_a_file_at_its_page_limit_makes_room_by_itself(kept: Box) -> None:
    box = kept.box
    box.append(readings(500), 0)
    (pages,) = box._connection.execute("PRAGMA page_count").fetchone()
    box._connection.execute(f"PRAGMA max_page_count = {pages + 10}")
    box._most_bytes = box._bytes + 100_000  # what the accounting would still allow
    for _ in range(50):
        box.append(readings(500), 0)
    assert box.state().lost_envelopes > 0


@pytest.mark.parametrize("damage", ["header", "middle", "empty-of-sense"])
def test_a_damaged_file_is_set_aside_and_a_new_epoch_begins(kept: Box, damage: str) -> None:
    for _ in range(200):
        kept.box.append(readings(100), 0)
    epoch = kept.box.epoch
    kept.box.close()
    data = bytearray(kept.path.read_bytes())
    if damage == "header":
        data[:100] = os.urandom(100)
    elif damage == "middle":
        data[8192:-4096] = os.urandom(len(data) - 8192 - 4096)
    else:
        data = bytearray(b"not a database at all" * 500)
    kept.path.write_bytes(data)
    box = kept.open()
    assert box.epoch != epoch
    assert box.append(readings(), 0) == 1
    assert box.state().corrupt_files == 1
    (aside,) = outboxfile.corrupt_files(kept.path)
    assert aside.name == "outbox.sqlite.corrupt-1"
    assert aside.read_bytes() == bytes(data)


def test_damage_found_while_running_begins_a_new_epoch_too(kept: Box) -> None:
    for _ in range(2_000):
        kept.box.append(readings(100), 0)
    kept.box._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    epoch = kept.box.epoch
    with kept.path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    kept.box._connection.execute("PRAGMA shrink_memory")
    assert kept.box.append(readings(), 0) == 1
    assert kept.box.epoch != epoch


def test_only_a_few_damaged_files_are_kept(kept: Box) -> None:
    for _ in range(6):
        kept.box.close()
        kept.path.write_bytes(b"broken" * 1_000)
        kept.open()
    names = [path.name for path in outboxfile.corrupt_files(kept.path)]
    assert names == [f"outbox.sqlite.corrupt-{n}" for n in (4, 5, 6)]


def test_two_agents_cannot_use_one_outbox(kept: Box) -> None:
    with pytest.raises(Misconfigured, match="another agent uses it"):
        Outbox(kept.path, most_bytes=1 << 20, keep_us=DAY_US)


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot write there"):
        Outbox(tmp_path / "nowhere" / "x.sqlite", most_bytes=1 << 20, keep_us=DAY_US)


def test_a_file_of_a_later_version_is_left_alone(kept: Box) -> None:
    kept.box.append(readings(), 0)
    kept.box._connection.execute("PRAGMA user_version = 99")
    kept.box.close()
    with pytest.raises(Misconfigured, match="later agent"):
        kept.open()
    assert outboxfile.corrupt_files(kept.path) == []
    connection = sqlite3.connect(kept.path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    assert waiting(kept.open()) == [1]


def test_the_file_is_its_owners_only(kept: Box) -> None:
    kept.box.append(readings(), 0)
    for suffix in ("", "-wal", "-shm", ".lock"):
        mode = kept.path.with_name(kept.path.name + suffix).stat().st_mode
        assert stat.S_IMODE(mode) & 0o077 == 0


def test_an_outbox_is_inspected_while_its_agent_uses_it(kept: Box) -> None:
    for _ in range(3):
        kept.box.append(readings(2), 50)
    state = outboxstate.inspect(kept.path)
    assert (state.epoch, state.depth, state.oldest_us) == (kept.box.epoch, 3, 50)
    with pytest.raises(Misconfigured, match="has the agent run"):
        outboxstate.inspect(kept.path.with_name("none"))


WRITER = """
import sys
from pathlib import Path
from core.reading import Reading
from edge.outbox import Outbox
box = Outbox(Path(sys.argv[1]), most_bytes=64 << 20, keep_us=10**15)
while True:
    print(box.append([Reading("a.b.c", n, n) for n in range(100)], 0), flush=True)
"""


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_loses_nothing_that_it_had_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    promised = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            start = promised
            for line in child.stdout:
                promised = int(line)
                if promised >= start + 40:
                    break
            child.send_signal(signal.SIGKILL)
            promised = max([promised, *(int(line) for line in child.stdout if line.endswith("\n"))])
        box = Outbox(path, most_bytes=64 << 20, keep_us=10**15)
        last = box.state().last_sequence
        assert last >= promised
        assert [held.sequence for held in box.peek(0, 10_000, 1 << 30)] == list(range(1, last + 1))
        assert box.state().corrupt_files == 0
        box.close()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.just(("append",)),
            st.tuples(st.just("receipt"), st.integers(0, 40), st.integers(1, 2)),
            st.just(("reopen",)),
        ),
        max_size=40,
    )
)
def test_any_history_leaves_exactly_what_the_present_store_does_not_hold(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[Any, ...]]
) -> None:
    kept = Box(tmp_path_factory.mktemp("box") / "outbox.sqlite")
    last = 0
    held: dict[str, int] = {}
    store = ""
    for event in history:
        if event[0] == "append":
            last += 1
            assert kept.box.append(readings(), 0) == last
        elif event[0] == "reopen":
            kept.again()
        elif event[1] <= last:
            store = f"s{event[2]}"
            held[store] = max(held.get(store, 0), event[1])
            kept.box.apply(receipt(kept.box, event[1], store=store), last)
    assert waiting(kept.box) == list(range(held.get(store, 0) + 1, last + 1))
    kept.box.close()
