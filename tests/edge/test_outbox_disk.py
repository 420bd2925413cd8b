"""The outbox and its disk: kills, power cuts, full, read-only and damaged files."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from core.errors import Retryable
from core.reading import Reading
from edge import outbox as outboxes
from edge import outboxfallback, outboxfile
from edge.outbox import Outbox, Withheld
from edge.outboxdb import FullError
from edge.outboxfile import WornError
from tests.edge import powercut
from tests.edge.boxes import Box, noisy, readings, receipt, waiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path / "outbox.sqlite")
    yield box
    box.box.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a file system of 20 MiB of the test's own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "danhao-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs to be root and allowed to mount a tmpfs")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take all space that is left, as a log of somebody else does."""
    ballast = place / "ballast"
    block = b"\0" * 4096
    with ballast.open("ab", buffering=0) as file:
        while True:
            try:
                if file.write(block) < len(block):
                    return ballast
            except OSError:
                return ballast


def path_of(box: Box) -> Path:
    assert box.path is not None
    return box.path


def test_the_policy_is_a_write_ahead_log_synced_at_every_commit(kept: Box) -> None:
    pragma = {
        name: kept.box._database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    }
    assert pragma == {"journal_mode": "wal", "synchronous": 2}


def test_the_file_itself_stays_bounded(kept: Box) -> None:
    box = kept.again(most_bytes=MIB)
    for _ in range(250):
        box.append(noisy(1_000), 0)
    assert box.state().file_bytes <= MIB * 5 // 4 + outboxfile.SLACK_PAGES * 4096
    log = path_of(kept).with_name(path_of(kept).name + "-wal")
    assert log.stat().st_size < 16 * MIB
    assert box.state().lost_envelopes > 0


def test_a_full_disk_is_told_and_the_readings_are_taken_when_there_is_room(
    kept: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = kept.box
    box.append(readings(), 0)
    database = box._database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    (most,) = database.execute("PRAGMA max_page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    # As if the disk were full, not the file at its bound.
    monkeypatch.setattr(database, "at_page_limit", lambda _size: False)
    with pytest.raises(FullError, match="full"):
        box.append(noisy(2_000), 0)
    assert box.write_errors == 2
    last = box.state().last_sequence
    database.execute(f"PRAGMA max_page_count = {most}")
    assert box.append(noisy(2_000), 0) == last + 1
    assert waiting(box) == list(range(1, last + 2))


def test_a_file_at_its_page_limit_makes_room_by_itself(kept: Box) -> None:
    box = kept.box
    box.append(noisy(500), 0)
    (pages,) = box._database.execute("PRAGMA page_count").fetchone()
    box._database.execute(f"PRAGMA max_page_count = {pages + 10}")
    box._most_bytes = box._bytes + 100_000  # what the accounting would still allow
    for _ in range(50):
        box.append(noisy(500), 0)
    assert box.state().lost_envelopes > 0


def test_a_disk_that_others_fill_costs_nothing_while_receipts_come(small_disk: Path) -> None:
    kept = Box(small_disk / "outbox.sqlite")
    box = kept.box
    for _ in range(100):
        box.append(noisy(500), 0)
    fill(small_disk)
    last = 0
    for _ in range(600):  # some 3 MB through a disk that has nothing left
        last = box.append(noisy(500), 0)
        kept.main.apply(receipt(box, last), 0)
    assert last == 700
    assert box.state().lost_envelopes == 0
    box.close()


def test_a_full_disk_without_receipts_refuses_and_drops_nothing_that_it_took(
    small_disk: Path,
) -> None:
    kept = Box(small_disk / "outbox.sqlite")
    box, taken = kept.box, 0
    for _ in range(50):
        taken = box.append(noisy(500), 0)
    ballast = fill(small_disk)
    refused = 0
    while refused < 3:
        try:
            taken = box.append(noisy(2_000), 0)
        except FullError:
            refused += 1
            fill(small_disk)
    assert waiting(box) == list(range(1, taken + 1))
    ballast.unlink()
    assert box.append(readings(), 0) == taken + 1
    box.reserve()
    assert (small_disk / "outbox.sqlite.reserve").stat().st_size == outboxfile.RESERVE_BYTES
    box = kept.again()
    assert waiting(box) == list(range(1, taken + 2))
    assert box.state().lost_envelopes == box.state().corrupt_files == 0
    box.close()


def test_a_disk_that_is_read_only_at_the_start_is_gone_round_in_memory(small_disk: Path) -> None:
    kept = Box(small_disk / "outbox.sqlite")
    kept.box.append(readings(), 0)
    kept.box.close()
    again = partial(outboxes.opened, path_of(kept), most_bytes=1 << 30, keep_us=10**15)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    box = again()
    assert box.in_memory
    assert box.state().in_memory
    assert box.append(readings(), 0) == 1
    box.close()
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    box = again()
    assert not box.in_memory
    assert box.append(readings(), 0) == 2
    box.close()


def test_a_disk_that_turns_read_only_is_left_after_a_while_with_what_waits(kept: Box) -> None:
    box = kept.box
    for _ in range(5):
        box.append(noisy(50), 0)
    box.append(readings(), 3, withheld=Withheld("boot-1", 77))
    kept.main.apply(receipt(box, 2), 0)
    epoch = box.epoch
    box._database.execute("PRAGMA query_only = ON")  # what SQLite then says is that of such a disk
    with pytest.raises(WornError, match="read-only"):
        box.append(readings(), 0)
    assert waiting(box) == [3, 4, 5]  # still sent
    with pytest.raises(WornError):
        box.append(readings(), outboxfallback.PATIENCE_US - 1)
    assert not box.state().in_memory
    taken = kept.main.peek(0, 9)
    assert box.append(readings(), outboxfallback.PATIENCE_US) == 5
    assert box.in_memory
    assert box.epoch != epoch
    left = kept.main.peek(0, 9)
    assert [each.body for each in left[:3]] == [each.body for each in taken]
    assert [each.sequence for each in left] == [1, 2, 3, 5]
    assert box.state().withheld == 1
    # The next start tries the disk first, where everything still is.
    box = kept.again()
    assert box.epoch == epoch
    assert waiting(box) == [3, 4, 5] or waiting(box) == [1, 2, 3, 4, 5]


def test_a_disk_that_comes_back_in_time_is_not_left(kept: Box) -> None:
    kept.box._database.execute("PRAGMA query_only = ON")
    with pytest.raises(WornError):
        kept.box.append(readings(), 0)
    kept.box._database.execute("PRAGMA query_only = OFF")
    assert kept.box.append(readings(), outboxfallback.PATIENCE_US - 1) == 1
    kept.box._database.execute("PRAGMA query_only = ON")
    with pytest.raises(WornError):
        kept.box.append(readings(), outboxfallback.PATIENCE_US + 1)
    assert not kept.box.in_memory


@pytest.mark.parametrize("damage", ["header", "middle", "empty-of-sense"])
def test_a_damaged_file_is_set_aside_and_a_new_epoch_begins(kept: Box, damage: str) -> None:
    for _ in range(100):
        kept.box.append(noisy(100), 0)
    epoch = kept.box.epoch
    kept.box.close()
    path = path_of(kept)
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:100] = os.urandom(100)
    elif damage == "middle":
        data[8192:-4096] = os.urandom(len(data) - 8192 - 4096)
    else:
        data = bytearray(b"not a database at all" * 500)
    path.write_bytes(data)
    box = kept.open()
    assert box.epoch != epoch
    assert box.append(readings(), 0) == 1
    assert box.state().corrupt_files == 1
    (aside,) = outboxfile.corrupt_files(path)
    assert aside.name == "outbox.sqlite.corrupt-1"
    assert aside.read_bytes() == bytes(data)


def test_damage_found_while_running_begins_a_new_epoch_too(kept: Box) -> None:
    for _ in range(1_000):
        kept.box.append(noisy(100), 0)
    kept.box._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    epoch = kept.box.epoch
    with path_of(kept).open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(4096)
        file.write(os.urandom(size - 4096))
    kept.box._database.execute("PRAGMA shrink_memory")
    assert kept.box.append(readings(), 0) == 1
    assert kept.box.epoch != epoch
    assert kept.box.state().corrupt_files == 1
    assert waiting(kept.box) == [1]


def test_one_envelope_that_rotted_is_set_aside_alone_and_counted(kept: Box) -> None:
    for _ in range(3):
        kept.box.append([Reading("a.b.c", n, n) for n in range(300)], 0)
    with kept.box._database.transaction():
        (body,) = kept.box._database.execute(
            "SELECT body FROM envelope WHERE sequence = 2"
        ).fetchone()
        rotten = bytearray(body)
        rotten[len(rotten) // 2] ^= 0x10
        kept.box._database.execute(
            "UPDATE envelope SET body = ? WHERE sequence = 2", (bytes(rotten),)
        )
    assert waiting(kept.box) == [1, 3]
    assert (kept.box.state().damaged, kept.box.state().depth) == (1, 2)


def test_only_a_few_damaged_files_are_kept(kept: Box) -> None:
    for _ in range(6):
        kept.box.close()
        path_of(kept).write_bytes(b"broken" * 1_000)
        kept.open()
    names = [path.name for path in outboxfile.corrupt_files(path_of(kept))]
    assert names == [f"outbox.sqlite.corrupt-{n}" for n in (4, 5, 6)]


WRITER = """
import sys
from pathlib import Path
from core.reading import Reading
from edge.outbox import Outbox
box = Outbox(Path(sys.argv[1]), most_bytes=64 << 20, keep_us=10**15)
limit = int(sys.argv[2])
box._database.execute(f"PRAGMA synchronous = {sys.argv[3]}")
while limit:
    last = box.append([Reading("a.b.c", n, n * n) for n in range(100)], 0)
    sys.stdout.write(f"{last}\\n")
    sys.stdout.flush()
    limit -= 1
"""


def test_a_writer_killed_at_any_moment_loses_nothing_that_it_had_kept(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    promised = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), "-1", "FULL"],
            stdout=subprocess.PIPE,
            text=True,
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
        assert last >= promised >= start + 40
        assert waiting(box) == list(range(1, last + 1))
        assert box.state().corrupt_files == 0
        box.close()


def lost_by_cuts(tmp_path: Path, policy: str, count: int) -> list[int]:
    """Return, for each of many cuts, how many envelopes are gone that append returned for.

    Every write and sync of a writer is recorded, and the disk rebuilt as a cut leaves it: what
    was written after the last sync of its file survives in part, by a draw, sector by sector.
    """
    if shutil.which("strace") is None:
        pytest.skip("needs strace, to record what a process writes and syncs")
    folder = tmp_path / "live"
    folder.mkdir()
    path = folder / "outbox.sqlite"
    command = [sys.executable, "-c", WRITER, str(path), "30", policy]
    calls = powercut.record(command, folder, tmp_path / "trace")
    promises = powercut.promises(calls)
    assert [number for _, number in promises] == list(range(1, 31))
    draw = random.Random(20261121)  # noqa: S311 - a replayable fault, no secret
    lost = []
    for number, (cut, promised) in enumerate(powercut.cuts(calls, promises, draw, count)):
        left = tmp_path / f"cut-{number}"
        powercut.rebuild(calls[:cut], folder, left, draw)
        box = Outbox(left / "outbox.sqlite", most_bytes=64 << 20, keep_us=10**15)
        kept = waiting(box)
        assert kept == list(range(1, len(kept) + 1))
        lost.append(max(0, promised - len(kept)))
        box.close()
    return lost


def test_a_power_cut_at_any_moment_loses_nothing_that_append_returned_for(tmp_path: Path) -> None:
    assert lost_by_cuts(tmp_path, "FULL", 60) == [0] * 60


def test_the_cuts_would_find_an_outbox_that_does_not_sync(tmp_path: Path) -> None:
    assert sum(lost_by_cuts(tmp_path, "NORMAL", 10)) > 10


def test_a_slow_or_busy_file_is_retryable(kept: Box) -> None:
    kept.box._database.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(path_of(kept), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    begun = time.monotonic()
    with pytest.raises(Retryable, match="locked"):
        kept.box.append(readings(), 0)
    assert time.monotonic() - begun < 5
    other.execute("ROLLBACK")
    other.close()
    assert kept.box.append(readings(), 0) == 1
