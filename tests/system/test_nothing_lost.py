"""Whatever is killed, what the outbox wrote is in the store exactly once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from functools import partial
from pathlib import Path

import psycopg
import pytest

from core import wire
from core.wire_pb2 import Envelope
from edge import outboxfile
from tests.fixtures.service import Service, data_directory, wait_until
from tests.system.test_up import descendants

pytestmark = pytest.mark.system

SEED = 20261121
KILLS = 8
PROGRAMS = 5


def victims(service: Service) -> dict[str, int]:
    """Return the children of the service by the program that each runs."""
    found: dict[str, int] = {}
    for pid in descendants(service.process.pid):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent != service.process.pid:
            continue
        line = b" ".join(words).decode("utf-8", "replace")
        for name, mark in (
            ("postgres", "bin/postgres"),
            ("broker", "deploy.broker"),
            ("ingest", "ingest run"),
            ("edge", "edge run"),
            ("simulator", "simulate plant"),
        ):
            if mark in line:
                found[name] = pid
    return found


def recent(service: Service) -> int:
    """Count the readings of the last hour, -1 while the database is out."""
    try:
        return int(
            service.query("select count(*) from reading where ts > now() - interval '1 hour'")[0][0]
        )
    except psycopg.Error:
        return -1


def written(outbox: Path) -> set[tuple[str, int]]:
    """Return (point, instant) of every reading that the outbox holds."""
    with contextlib.closing(outboxfile.open_to_read(outbox)) as file:
        bodies = [row[0] for row in file.execute("select body from envelope")]
    return {
        (point, measured_us)
        for body in bodies
        for point, measured_us, _, _ in wire.rows(Envelope.FromString(body))
    }


def ledger(service: Service, since_us: int) -> set[tuple[str, int]]:
    rows = service.query(
        "select p.point, (extract(epoch from r.ts) * 1000000)::bigint from reading r"
        " join point p using (point_id) where r.ts >= to_timestamp(%s)",
        since_us / 1e6,
    )
    assert len(rows) == len(set(rows))
    return {(row[0], int(row[1])) for row in rows}


def test_kills_at_random_lose_nothing_and_double_nothing() -> None:
    draw = random.Random(SEED)  # noqa: S311 - a replayable fault, no secret
    with data_directory() as path:
        service = Service(path, "--demo")
        try:
            service.wait_ready()
            outbox = path / "demo" / "gh_al" / "outbox.sqlite"
            wait_until(outbox.exists, 60, "the outbox")
            for _ in range(KILLS):
                wait_until(lambda: len(victims(service)) == PROGRAMS, 60, "all programs")
                name = draw.choice(["postgres", "broker", "ingest", "edge"])
                os.kill(victims(service)[name], signal.SIGKILL)
                seen = recent(service)
                wait_until(partial(_more_than, service, seen), 90, f"readings after {name} died")
            wait_until(lambda: "edge" in victims(service), 30, "the agent")
            expected = written(outbox)
            assert expected
            first = min(measured_us for _, measured_us in expected)
            wait_until(
                lambda: expected <= ledger(service, first), 90, "what the outbox held to be stored"
            )
            kept = service.query("select count(*), count(distinct (point_id, ts)) from reading")[0]
            assert kept[0] == kept[1]
            assert service.query("select reason, count(*) from dead_letter group by 1") == []
        finally:
            service.stop()


def _more_than(service: Service, seen: int) -> bool:
    return recent(service) > seen
