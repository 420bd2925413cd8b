"""Replays recorded data through MQTT with its original time stamps, at any speed, in any order.

Ends well only when the store's receipt covers every envelope: what was replayed is durable then.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from core import wire
from core.errors import Misconfigured
from simulators import noise
from simulators.link import Link
from simulators.progress import Bar
from simulators.sender import Delivery, Sender
from simulators.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from core.reading import Reading
    from simulators.csvrows import Recording
    from simulators.link import Broker

MOST_READINGS: Final = 1_000
MOST_SHUFFLED_ROWS: Final = 5_000_000
FRAME_S: Final = 1.0
"""At a speed, an envelope holds what falls into this much time of the replay [s]."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to replay: speed (None is as fast as receipts come), order, who sends, patience [s]."""

    agent: str
    speed: float | None = None
    shuffle: int | None = None
    patience_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Summary:
    """What was sent and what the store has receipted."""

    rows: int
    readings: int
    envelopes: int
    receipted: int
    unreceipted: int
    resent: int
    seconds: float
    agent: str
    epoch: str
    store: str | None
    error: str | None

    def item(self) -> dict[str, object]:
        """Return the summary as `--json` prints it."""
        return asdict(self)


def batches(recording: Recording, options: Options) -> Iterator[list[Reading]]:
    """Cut a recording into envelopes, the same ones each time."""
    if options.shuffle is not None:
        yield from _by_size(iter(_shuffled(recording, options.shuffle)))
    elif options.speed is not None:
        yield from _by_time(_flat(recording), options.speed)
    else:
        yield from _by_size(_flat(recording))


async def replay(
    recording: Recording,
    broker: Broker,
    options: Options,
    *,
    clock: Callable[[], datetime],
    stop: asyncio.Event,
) -> Summary:
    """Send a recording and wait for the store's receipt of every envelope."""
    rows = recording.check()
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    sender = Sender(recording.mapping.site, options.agent, secrets.token_hex(8), clock)
    link = Link(broker)
    window = Window(sender.epoch)
    delivery = Delivery(sender, link, window)
    readings = rows * len(recording.mapping.column)
    bar = Bar(recording.path.name, readings)
    async with link.running():
        complete = await delivery.run(
            lambda first: islice(batches(recording, options), first - 1, None),
            stop=stop,
            patience_s=options.patience_s,
            pace=None if options.speed is None else _Pace(options.speed, stop).wait,
            progress=bar.show,
        )
        if link.is_up:
            offline = sender.status(wire.AgentState.OFFLINE, len(window))
            await link.publish(sender.topic("status"), offline, retain=True)
    bar.close()
    total = window.settled if complete else sum(1 for _ in batches(recording, options))
    return Summary(
        rows=rows,
        readings=readings,
        envelopes=total,
        receipted=window.settled,
        unreceipted=total - window.settled,
        resent=window.resent,
        seconds=round(loop.time() - begun_s, 3),
        agent=sender.agent,
        epoch=sender.epoch,
        store=window.store,
        error=None if complete else (link.last_error or "no receipt came"),
    )


class _Pace:
    """Holds an envelope back until its time in the replay has come."""

    def __init__(self, speed: float, stop: asyncio.Event) -> None:
        self._speed = speed
        self._stop = stop
        self._first_us: int | None = None
        self._begun_s = 0.0

    async def wait(self, readings: Sequence[Reading]) -> None:
        loop = asyncio.get_running_loop()
        last_us = readings[-1].measured_us
        if self._first_us is None:
            self._first_us, self._begun_s = readings[0].measured_us, loop.time()
        due_s = self._begun_s + (last_us - self._first_us) / 1e6 / self._speed
        try:
            await asyncio.wait_for(self._stop.wait(), timeout=max(0.0, due_s - loop.time()))
        except TimeoutError:
            return


def _flat(recording: Recording) -> Iterator[Reading]:
    for row in recording.rows():
        yield from row


def _shuffled(recording: Recording, seed: int) -> list[Reading]:
    readings = list(islice(_flat(recording), MOST_SHUFFLED_ROWS + 1))
    if len(readings) > MOST_SHUFFLED_ROWS:
        raise Misconfigured(
            f"only {MOST_SHUFFLED_ROWS} readings can be shuffled: use --from and --to"
        )
    order = np.argsort(noise.uniform(seed, 0, np.arange(len(readings), dtype=np.int64)))
    return [readings[position] for position in order]


def _by_size(readings: Iterator[Reading]) -> Iterator[list[Reading]]:
    while batch := list(islice(readings, MOST_READINGS)):
        yield batch


def _by_time(readings: Iterator[Reading], speed: float) -> Iterator[list[Reading]]:
    batch: list[Reading] = []
    for reading in readings:
        if batch and (
            len(batch) >= MOST_READINGS
            or reading.measured_us - batch[0].measured_us > FRAME_S * speed * 1e6
        ):
            yield batch
            batch = []
        batch.append(reading)
    if batch:
        yield batch
