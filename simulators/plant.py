"""Whole plants in one program: their meters on Modbus TCP, their output, and their past.

The past is sent while the meters already live; both are the same functions of time, so counters
join without a seam.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core import wire
from core.clock import to_us
from core.errors import Misconfigured, Problem
from simulators import dlt645_meter, facts, history, modbus_meter, process
from simulators.link import Link
from simulators.progress import Bar
from simulators.sender import Delivery, Sender
from simulators.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from simulators.link import Broker
    from simulators.process import Process
    from simulators.processfile import MeterTable

    Clock = Callable[[], datetime]

DAY_US: Final = 86_400 * 1_000_000
LONGEST_GOODBYE_S: Final = 1.0
NOTE_LIFE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class PlantFile:
    """A plant to play, and where its meters are to be: port 0 takes a free one."""

    path: Path
    port: int = 0
    port_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What `danhao simulate plant` was asked for."""

    plants: Sequence[PlantFile]
    seed: int = 1
    broker: Broker | None = None
    history_days: int = 0
    state_dir: Path | None = None


async def run(options: Options, *, clock: Clock, stop: asyncio.Event) -> None:
    """Play the plants until stopped; raises Misconfigured before anything is sent."""
    played = [process.load(each.path, options.seed) for each in options.plants]
    _check(options, played)
    async with contextlib.AsyncExitStack() as stack:
        for each, plant in zip(options.plants, played, strict=True):
            server = modbus_meter.Meters(plant, plant.meters, clock)
            await stack.enter_async_context(server.serving(each.port))
            _announce(server.port, plant.meters, each.port_file)
        if options.broker is None:
            await stop.wait()
            return
        state = _state_dir(options, stack)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        sending = {
            tasks.create_task(_send(plant, options, options.broker, state, clock, stop))
            for plant in played
        }
        await stop.wait()
        await asyncio.wait(sending, timeout=LONGEST_GOODBYE_S)
        for task in sending:
            task.cancel()


def _check(options: Options, played: Sequence[Process]) -> None:
    problems = []
    if options.history_days and options.broker is None:
        problems.append(Problem("--history", "needs --broker URL or --data-dir DIR"))
    sites = [plant.site for plant in played]
    problems += [
        Problem(str(each.path), f"simulates {site} as a file before it does: name a site once")
        for number, (each, site) in enumerate(zip(options.plants, sites, strict=True))
        if site in sites[:number]
    ]
    if problems:
        raise Misconfigured(problems)


async def run_meter(
    file: Path,
    name: str,
    *,
    seed: int,
    port: int,
    port_file: Path | None,
    clock: Clock,
    stop: asyncio.Event,
) -> None:
    """Play one meter of a plant until stopped."""
    played = process.load(file, seed)
    meters = _named(played, file, name)
    server = modbus_meter.Meters(played, meters, clock)
    async with server.serving(port):
        _announce(server.port, meters, port_file)
        await stop.wait()


async def run_dlt645(
    file: Path,
    name: str,
    *,
    seed: int,
    port: int | None,
    port_file: Path | None,
    clock: Clock,
    stop: asyncio.Event,
) -> None:
    """Play one meter of a plant as DL/T 645 until stopped; without a port on a pseudo terminal."""
    played = process.load(file, seed)
    meters = _named(played, file, name)
    simulated = dlt645_meter.of_plant(played, meters, clock)

    def announce(line: dlt645_meter.Dlt645Line) -> None:
        where = (
            {"serial": line.path}
            if port is None
            else {"host": dlt645_meter.HOST, "port": line.port}
        )
        place = line.path or f"{dlt645_meter.HOST}:{line.port}"
        print(f"meter {simulated[0].address} on {place}", file=sys.stderr, flush=True)  # noqa: T201
        told = [
            {"name": table.name, "address": meter.address, "points": dict(table.points)}
            for table, meter in zip(meters, simulated, strict=True)
        ]
        _write_where(port_file, {**where, "meters": told})

    await dlt645_meter.run(
        simulated, port=port or 0, on_pty=port is None, announce=announce, stop=stop
    )


def _named(played: Process, file: Path, name: str) -> list[MeterTable]:
    """Return the meter of a name; raises Misconfigured with the names there are."""
    meters = [meter for meter in played.meters if meter.name == name]
    if not meters:
        known = ", ".join(meter.name for meter in played.meters)
        raise Misconfigured([Problem(str(file), f"has no meter {name!r}: it has {known}")])
    return meters


def _announce(port: int, meters: Sequence[MeterTable], path: Path | None) -> None:
    """Say where the meters are: on stderr for people, in a file for programs."""
    print(f"{len(meters)} meters on {modbus_meter.HOST}:{port}", file=sys.stderr, flush=True)  # noqa: T201
    data = {
        "host": modbus_meter.HOST,
        "port": port,
        "meters": [
            {
                "name": meter.name,
                "unit_id": meter.unit_id,
                "model": meter.model,
                "points": dict(meter.points),
            }
            for meter in meters
        ],
    }
    _write_where(path, data)


def _write_where(path: Path | None, data: dict[str, object]) -> None:
    """Write for programs where meters are, so that nobody reads half of it."""
    if path is None:
        return
    beside = path.with_name(f"{path.name}.new")
    beside.write_text(json.dumps(data, indent=1), encoding="utf-8")
    beside.replace(path)


def _state_dir(options: Options, stack: contextlib.AsyncExitStack) -> Path:
    if options.state_dir is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="danhao-sim-")))
    options.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return options.state_dir


async def _send(
    played: Process,
    options: Options,
    broker: Broker,
    state: Path,
    clock: Clock,
    stop: asyncio.Event,
) -> None:
    """Send the past, then tappings as they fall, over one connection."""
    link = Link(broker)
    journal = facts.FactJournal(state / f"{played.site}.facts.sqlite", played.digest)
    try:
        publisher = facts.FactPublisher(played, journal, link, clock)
        now_us = to_us(clock())
        past = _Past(played, options, state, link, clock, publisher.store_changed)
        async with link.running(), asyncio.TaskGroup() as tasks:
            others = [
                tasks.create_task(publisher.run(now_us - options.history_days * DAY_US)),
                tasks.create_task(past.note_life()),
            ]
            if options.history_days:
                await past.send(stop)
            await stop.wait()
            for other in others:
                other.cancel()
    finally:
        journal.close()


class _Past:
    """Sends the past and writes down how far the store has it."""

    def __init__(
        self,
        played: Process,
        options: Options,
        state: Path,
        link: Link,
        clock: Clock,
        on_new_store: Callable[[], None],
    ) -> None:
        self._played = played
        self._path = state / f"{played.site}.history.json"
        loaded = history.load(self._path, played.digest)
        self._journal = history.extended(loaded, to_us(clock()), options.history_days * DAY_US)
        self._on_new_store = on_new_store
        self._clock = clock
        self._kept = bool(options.history_days)
        self._link = link
        if self._kept:
            history.save(self._path, self._journal)
            agent = played.history_agent
            sender = Sender(played.site, agent, self._journal.epoch, clock, self._journal.first)
            window = Window(sender.epoch)
            window.store = self._journal.store
            self._delivery = Delivery(sender, link, window)

    async def note_life(self) -> None:
        """Write down until when the meters live, now and then; until cancelled."""
        while self._kept:
            self._save(replace(self._journal, live_until_us=to_us(self._clock())))
            await asyncio.sleep(NOTE_LIFE_S)

    def _save(self, journal: history.Journal) -> None:
        self._journal = journal
        history.save(self._path, journal)

    async def send(self, stop: asyncio.Event) -> bool:
        """Send what the store has not receipted; return whether all of it is receipted now."""
        played, journal = self._played, self._journal
        points = played.points
        begin_s = asyncio.get_running_loop().time()
        first = max(journal.committed + 1, journal.first)
        bar = Bar(f"{played.site} past", journal.next - first)
        window = self._delivery.window
        store = window.store

        def progress(_: int) -> None:
            bar.show(window.settled)
            nonlocal store
            if store is not None and window.store != store:
                self._on_new_store()
            store = window.store

        complete = await self._delivery.run(
            lambda start: history.envelopes(journal, played, points, start),
            stop=stop,
            start=first,
            progress=progress,
        )
        bar.close()
        if not complete and not stop.is_set():
            print(  # noqa: T201 - people watch this program
                f"{played.site}: the store changed again and again: the past is not sent",
                file=sys.stderr,
                flush=True,
            )
        if complete:
            self._save(replace(self._journal, store=window.store, committed=self._journal.next - 1))
            seconds = asyncio.get_running_loop().time() - begin_s
            print(  # noqa: T201 - people watch this program
                f"{played.site}: {window.settled} envelopes of the past receipted, {seconds:.1f} s",
                file=sys.stderr,
                flush=True,
            )
            sender = self._delivery.sender
            offline = sender.status(wire.AgentState.OFFLINE)
            await self._link.publish(sender.topic("status"), offline, retain=True)
        return complete
