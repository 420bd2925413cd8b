"""Servers that fill up, lose everything or are cut off in mid-sentence lose and double nothing."""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import conninfo

from deploy import parentdeath, postgres
from store import migrate
from tests.fixtures.proxy import Proxy
from tests.fixtures.service import wait_until
from tests.system import road

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.broker import Broker

pytestmark = [pytest.mark.system, pytest.mark.slow]

CUTS = 10
MOST_CUT_BYTES = 120_000  # a batch of ours is up to some 800 kB of COPY
RESTARTS = 5
DISK_MB = 160
LEFT_KB = 6_000  # too little for the backlog, enough to begin


def test_a_line_that_is_cut_in_the_middle_of_a_copy_costs_nothing(
    database_url: str, broker: Broker, tmp_path: Path
) -> None:
    draw = random.Random(road.SEED)  # noqa: S311 - replayable faults
    server = int(str(conninfo.conninfo_to_dict(database_url)["port"]))
    with Proxy(server) as proxy:
        through = database_url.replace(f":{server}/", f":{proxy.port}/")
        with road.running(tmp_path, through, broker.port) as (way, truth):
            way.drain()
            for number in range(CUTS):
                proxy.cut_after(draw.randrange(500, MOST_CUT_BYTES), reset=number % 2 == 1)
                wait_until(lambda: not proxy.armed, 60, f"cut {number + 1}")
            road.await_all(database_url, truth)
            told = road.check(database_url, truth)
    assert proxy.cuts == CUTS
    print(f"{told}, after {CUTS} cuts")  # noqa: T201 - the counts are the point of this test


def test_a_database_that_falls_silent_is_left_and_found_again(
    database_url: str, broker: Broker, tmp_path: Path
) -> None:
    server = int(str(conninfo.conninfo_to_dict(database_url)["port"]))
    with Proxy(server) as proxy:
        through = database_url.replace(f":{server}/", f":{proxy.port}/")
        with road.running(tmp_path, through, broker.port) as (way, truth):
            way.drain()
            wait_until(lambda: road.stored(database_url) > 0, 60, "the first readings")
            proxy.deaf()
            before = _still(database_url)
            assert before < len(truth.shown), "the backlog was drained before the silence"
            proxy.hear()
            road.await_all(database_url, truth)
            print(road.check(database_url, truth))  # noqa: T201 - as above


def _still(database: str) -> int:
    """Return how many readings are stored once no more come."""
    seen = [road.stored(database)]

    def stands() -> bool:
        seen.append(road.stored(database))
        return len(seen) > 20 and len(set(seen[-20:])) == 1  # a second of looks

    wait_until(stands, 30, "the silence")
    return seen[-1]


def test_a_broker_that_loses_everything_again_and_again_costs_nothing(
    database_url: str, broker: Broker, tmp_path: Path
) -> None:
    with road.running(tmp_path, database_url, broker.port) as (way, truth):
        way.drain()
        in_time = 0
        for number in range(1, RESTARTS + 1):
            reached = len(truth.shown) * number // (2 * RESTARTS)
            wait_until(lambda: road.stored(database_url) >= reached, 90, "some more readings")  # noqa: B023 - waited for at once
            in_time += road.stored(database_url) < len(truth.shown)
            broker.kill()
            for left in (tmp_path / "broker").glob("*.db*"):
                left.unlink()
            broker.start()
        road.await_all(database_url, truth)
        told = road.check(database_url, truth)
    assert in_time > 0, "the backlog was drained before any broker died"
    print(f"{told}, after {RESTARTS} brokers, {in_time} of them before the end")  # noqa: T201 - as above


@contextmanager
def small_disk(size_mb: int) -> Iterator[Path]:
    """Yield a folder on a file system of its own, of so many megabytes."""
    if os.geteuid() != 0:
        pytest.skip("needs root, who may mount a small file system")
    folder = Path(tempfile.mkdtemp(prefix="danhao-small-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m,mode=0711", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        folder.rmdir()
        pytest.skip(f"this machine mounts nothing: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def test_a_disk_that_is_full_under_the_database_costs_nothing_once_there_is_room(
    broker: Broker, tmp_path: Path
) -> None:
    with small_disk(DISK_MB) as folder:
        server = postgres.EmbeddedPostgres(
            folder / "postgres",
            parentdeath.unprivileged_user(),
            settings={"fsync": "off", "shared_buffers": "16MB", "max_wal_size": "48MB"},
            system_folder=folder / "system",
        )
        with server.running() as url:
            migrate.migrate(url)
            with road.running(tmp_path, url, broker.port) as (way, truth):
                ballast = folder / "ballast"
                free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
                ballast.write_bytes(b"\0" * (free - (LEFT_KB << 10)))
                way.drain()
                wait_until(lambda: _is_full(way, url), 90, "the disk to be full")
                before = max(0, road.stored(url))
                assert before < len(truth.shown), "the disk was not full"
                ballast.unlink()
                if not _answers(url):  # a full disk under its log ends the server itself
                    server.stop()
                    server.start()
                road.await_all(url, truth)
                told = road.check(url, truth)
    print(f"{told}; {before} were stored when the disk was full")  # noqa: T201 - as above


def _is_full(way: road.Road, url: str) -> bool:
    """Tell whether the server has refused a batch for want of room, or is no more for that."""
    return "No space left" in way.log("ingest") or not _answers(url)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
