"""The agent as a service: signals, reload of its file, systemd's watchdog, the health page."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from core.clock import utc_now
from core.errors import Misconfigured
from edge import config as configuration
from edge import health
from edge.agent import Agent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge.config import Configuration

log = logging.getLogger(__name__)

US_PER_S: Final = 1_000_000


class Notifier:
    """Tells systemd how the service stands (sd_notify); outside systemd it tells nobody."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        usec = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / US_PER_S if usec.isdecimal() else None

    def tell(self, *states: str) -> None:
        """Send states such as READY=1; a service manager that is gone is no reason to stop."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(self._address)
            sender.send("\n".join(states).encode())


async def run(config: Configuration, path: Path) -> dict[str, Any]:
    """Run the agent until a signal stops it; returns what it did."""
    stop, again = asyncio.Event(), asyncio.Event()
    notifier = Notifier(os.environ)

    def end() -> None:
        notifier.tell("STOPPING=1")
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    agent = Agent(config, clock=utc_now, monotonic=time.monotonic)
    with health.served(agent, config.settings.health, time.monotonic):
        async with asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(_reload(agent, path, again, notifier), name="reload"),
                tasks.create_task(_watch(agent, notifier), name="watchdog"),
            ]
            notifier.tell("READY=1", f"STATUS={_status(agent)}")
            await agent.run(stop)
            for task in beside:
                task.cancel()
    return {
        "agent": dataclasses.asdict(agent.counts),
        "publishers": {one.name: dataclasses.asdict(one.counts) for one in agent.publishers},
    }


async def _reload(agent: Agent, path: Path, again: asyncio.Event, notifier: Notifier) -> None:
    """Read the file again whenever told to; a bad one changes nothing."""
    while True:
        await again.wait()
        again.clear()
        # Type=notify-reload compares this instant with its own clock, in microseconds.
        notifier.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}")
        try:
            fresh = await asyncio.to_thread(configuration.load, path)
            changed = await agent.reload(fresh)
        except Misconfigured as error:
            agent.counts.refused_reloads += 1
            for problem in error.problems:
                log.error("reload refused: %s", problem)  # noqa: TRY400 - the sentence says it all
            log.error("the former configuration goes on")  # noqa: TRY400 - as above
        else:
            agent.counts.reloads += 1
            log.info("configuration read again: %s", _told(changed))
        notifier.tell("READY=1", f"STATUS={_status(agent)}")


def _told(changed: tuple[str, ...]) -> str:
    return f"began anew: {', '.join(changed)}" if changed else "nothing changed on any line"


async def _watch(agent: Agent, notifier: Notifier) -> None:
    """Tell the watchdog that the loop turns, twice as often as it asks."""
    if notifier.watchdog_s is None:
        return
    while True:
        notifier.tell("WATCHDOG=1", f"STATUS={_status(agent)}")
        await asyncio.sleep(notifier.watchdog_s / 2)


def _status(agent: Agent) -> str:
    meters = agent.counts.meters.values()
    failing = sum(meter.failing for meter in meters)
    return f"{len(meters)} devices, {failing} failing, {agent.counts.kept} readings kept"
