"""Replay through a real broker, with a stand-in for the store's receipts."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from core.clock import utc_now
from simulators import mapping, replay
from simulators.csvrows import Recording
from simulators.link import broker_from
from simulators.replay import Options
from tests.simulators.standin import StandIn

if TYPE_CHECKING:
    from pathlib import Path

    from core.reading import Reading
    from tests.fixtures.broker import Broker

MAP = """
time = { column = "when", format = "%Y-%m-%d %H:%M", zone = "UTC" }
[[column]]
name = "kWh"
point = "st.works.grid"
[[column]]
name = "count"
point = "st.works.meter"
resolution = "1"
"""
ROWS = 3_000


@pytest.fixture
def recorded(tmp_path: Path) -> Recording:
    lines = ["when,kWh,count"]
    lines += [
        f"2026-{1 + n // 1440 // 28:02}-{1 + n // 1440 % 28:02} {n // 60 % 24:02}:{n % 60:02},"
        f"{n / 8},{7 * n}"
        for n in range(ROWS)
    ]
    path = tmp_path / "recorded.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return Recording(path, mapping.parse(MAP, "m.toml"))


def flat(recording: Recording, options: Options) -> list[Reading]:
    return [reading for batch in replay.batches(recording, options) for reading in batch]


def test_a_shuffle_keeps_every_reading_and_is_the_same_for_a_seed(recorded: Recording) -> None:
    plain = flat(recorded, Options("r"))
    one, again = (flat(recorded, Options("r", shuffle=5)) for _ in range(2))
    other = flat(recorded, Options("r", shuffle=6))
    assert one == again
    assert one != plain
    assert one != other
    assert set(one) == set(other) == set(plain)


def test_at_a_speed_an_envelope_holds_a_second_of_replay(recorded: Recording) -> None:
    for batch in replay.batches(recorded, Options("r", speed=600)):
        assert batch[-1].measured_us - batch[0].measured_us <= 600_000_000


@pytest.mark.parametrize("shuffle", [None, 3])
async def test_every_row_is_receipted(
    broker: Broker, recorded: Recording, shuffle: int | None
) -> None:
    options = Options("replay-01", shuffle=shuffle)
    async with StandIn(broker.url).running() as store:
        summary = await replay.replay(
            recorded,
            broker_from(broker.url, None, None),
            options,
            clock=utc_now,
            stop=asyncio.Event(),
        )
        expected = {(r.point, r.measured_us): r.value for r in flat(recorded, Options("r"))}
        assert store.readings == expected
    assert (summary.rows, summary.readings) == (ROWS, 2 * ROWS)
    assert summary.receipted == summary.envelopes == 6
    assert summary.unreceipted == 0
    assert summary.error is None
    assert json.dumps(summary.item())


async def test_a_speed_holds_the_rows_back(broker: Broker, recorded: Recording) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with StandIn(broker.url).running():
        summary = await replay.replay(
            recorded,
            broker_from(broker.url, None, None),
            Options("replay-01", speed=120_000.0),
            clock=utc_now,
            stop=asyncio.Event(),
        )
    assert summary.error is None
    assert loop.time() - begun >= (ROWS - 1) * 60 / 120_000


async def test_missing_receipts_are_counted(broker: Broker, recorded: Recording) -> None:
    summary = await replay.replay(
        recorded,
        broker_from(broker.url, None, None),
        Options("replay-01", patience_s=0.5),
        clock=utc_now,
        stop=asyncio.Event(),
    )
    assert (summary.receipted, summary.unreceipted) == (0, 6)
    assert summary.error == "no receipt came"


async def test_a_broker_that_is_not_there_is_named(recorded: Recording) -> None:
    summary = await replay.replay(
        recorded,
        broker_from("mqtt://127.0.0.1:9", None, None),
        Options("replay-01", patience_s=3.0),
        clock=utc_now,
        stop=asyncio.Event(),
    )
    assert summary.unreceipted == 6
    assert "refused" in str(summary.error)
