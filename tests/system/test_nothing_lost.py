"""Whatever is killed, what the outbox wrote is in the store exactly once."""

from __future__ import annotations

import operator
import os
import random
import signal
from functools import partial
from pathlib import Path

import psycopg
import pytest

from core import wire
from core.clock import to_us, utc_now
from core.wire_pb2 import Envelope
from edge import outboxstate
from simulators import process
from tests.fixtures.service import Service, data_directory, wait_until
from tests.system.test_up import descendants

pytestmark = pytest.mark.system

SEED = 20261121
KILLS = 8


PROGRAMS = {
    "postgres": "bin/postgres",
    "broker": "deploy.broker",
    "ingest": "ingest run",
    "edge": "edge run",
}


def victims(service: Service) -> dict[str, list[int]]:
    """Return the children of the service by the program that each runs."""
    found: dict[str, list[int]] = {}
    for pid in sorted(descendants(service.process.pid)):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            parent = int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
        line = b" ".join(words).decode("utf-8", "replace")
        for name, mark in PROGRAMS.items():
            if mark in line and parent == service.process.pid:
                found.setdefault(name, []).append(pid)
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
    return {
        (point, measured_us)
        for _, body in outboxstate.bodies(outbox)
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


def facts(service: Service, folder: Path) -> tuple[set[str], set[str]]:
    """Return the ids of production facts that happened, and those that are stored.

    Both of the span from the first stored one to a minute ago.
    """
    happened: set[str] = set()
    stored: set[str] = set()
    until_us = to_us(utc_now()) - 60_000_000
    for plant_file in sorted(folder.glob("*/*.process.toml")):
        simulated = process.load(plant_file.with_name(plant_file.name.replace(".process", "")), 1)
        rows = service.query(
            "select id, (extract(epoch from at) * 1000000)::bigint from output_fact"
            " where site = %s",
            simulated.site,
        )
        if not rows:
            return {f"any of {simulated.site}"}, stored
        first_us = min(int(row[1]) for row in rows)
        stored |= {row[0] for row in rows if int(row[1]) < until_us}
        happened |= {fact.id for fact in simulated.facts(first_us, until_us)}
    return happened, stored


def test_kills_at_random_lose_nothing_and_double_nothing() -> None:
    draw = random.Random(SEED)  # noqa: S311 - a replayable fault, no secret
    with data_directory() as path:
        service = Service(path, "--demo")
        try:
            service.wait_ready()
            wait_until(lambda: recent(service) > 0, 120, "live readings")
            killed = [draw.choice(sorted(PROGRAMS)) for _ in range(KILLS)]
            for name in [*sorted(PROGRAMS), *killed]:
                wait_until(lambda: victims(service).keys() == PROGRAMS.keys(), 60, "all programs")
                os.kill(draw.choice(victims(service)[name]), signal.SIGKILL)
                seen = recent(service)
                wait_until(partial(_more_than, service, seen), 90, f"readings after {name} died")
            expected: set[tuple[str, int]] = set()
            for outbox in sorted(path.glob("demo/*/outbox.sqlite")):
                expected |= written(outbox)
            assert expected
            first = min(measured_us for _, measured_us in expected)
            wait_until(lambda: expected <= ledger(service, first), 120, "what the outboxes held")
            wait_until(
                lambda: operator.eq(*facts(service, path / "demo")), 120, "the production facts"
            )
            kept = service.query("select count(*), count(distinct (point_id, ts)) from reading")[0]
            assert kept[0] == kept[1]
            assert service.query("select reason, count(*) from dead_letter group by 1") == []
            happened, stored = facts(service, path / "demo")
            print(  # noqa: T201 - the counts are the point of this test
                f"{len(expected)} readings of the outboxes, {len(stored)} of {len(happened)} facts,"
                f" {kept[0]} readings in all; none missing, none twice, after {4 + KILLS} kills"
            )
        finally:
            service.stop()


def _more_than(service: Service, seen: int) -> bool:
    return recent(service) > seen
