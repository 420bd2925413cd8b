"""`danhao edge run|check|outbox CONFIG`.

Exit codes: 0 well, 1 the answer is bad news; wrong use or configuration is raised as Misconfigured.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.clock import from_us, utc_now
from core.wire import instant
from edge import config as configuration
from edge import outboxstate
from edge.agent import Agent, meters

if TYPE_CHECKING:
    import argparse

    from core.reading import Reading
    from edge.config import Configuration, Device
    from edge.outboxstate import State
    from edge.registers import Quantity


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `edge` and its leaves; each leaf sets `run`, a function from its arguments to a code."""
    edge = commands.add_parser("edge", help="the agent on a plant gateway")
    leaves = edge.add_subparsers(dest="edge_command", required=True, metavar="COMMAND")
    _leaf(leaves, "run", "read meters, keep and forward readings until stopped", run)
    _leaf(leaves, "check", "check a configuration and read every meter once", check)
    _leaf(leaves, "outbox", "show how the outbox stands", outbox)


def _leaf(
    leaves: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, run: Any
) -> None:
    leaf = leaves.add_parser(name, help=text, description=text)
    leaf.add_argument("config", type=Path, metavar="CONFIG", help="the agent's edge.toml")
    leaf.add_argument("--json", action="store_true", help="print JSON")
    leaf.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the agent until SIGTERM or SIGINT; returns 0."""
    config = configuration.load(args.config)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s danhao edge {config.settings.agent}: %(message)s",
    )
    counts = asyncio.run(_run(config))
    if args.json:
        _print_json(counts)
    return 0


async def _run(config: Configuration) -> dict[str, Any]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    agent = Agent(config, clock=utc_now, monotonic=time.monotonic)
    await agent.run(stop)
    return {
        "agent": dataclasses.asdict(agent.counts),
        "publisher": dataclasses.asdict(agent.publisher.counts),
    }


def check(args: argparse.Namespace) -> int:
    """Read every meter once and show its values; returns 1 where one did not answer in full."""
    config = configuration.load(args.config)
    found = asyncio.run(_check(config))
    if args.json:
        _print_json({"config": str(args.config), "devices": found})
    else:
        for device in found:
            _print_device(device)
    return 0 if all(device["ok"] for device in found) else 1


async def _check(config: Configuration) -> list[dict[str, Any]]:
    """Poll all meters side by side, so the slowest one's deadline is the whole wait."""
    drivers = [driver for driver, _ in meters(config, utc_now)]
    polls = await asyncio.gather(*(driver.poll() for driver in drivers))
    for driver in drivers:
        await driver.close()
    return [
        {
            "device": device.name,
            "model": config.maps[device.model].title,
            "host": device.host,
            "port": device.port,
            "unit_id": device.unit_id,
            "ok": not polled.faults,
            "faults": list(polled.faults),
            "blocks": driver.blocks,
            "readings": _shown(config, device, list(polled.readings)),
        }
        for device, driver, polled in zip(config.settings.device, drivers, polls, strict=True)
    ]


def _shown(config: Configuration, device: Device, readings: list[Reading]) -> list[dict[str, Any]]:
    quantities = config.quantities(device)
    return [
        {
            "point": reading.point,
            "quantity": quantities[reading.point].name,
            "value": reading.value,
            "display": _display(quantities[reading.point], reading),
            "unit": quantities[reading.point].unit,
            "quality": reading.quality.word,
            "measured_at": instant(from_us(reading.measured_us)),
        }
        for reading in sorted(readings, key=lambda each: each.point)
    ]


def _display(quantity: Quantity, reading: Reading) -> str | None:
    """Return what the meter's own display should show, None where it has no value."""
    if reading.value is None:
        return None
    if quantity.counter:
        return str(reading.value * quantity.unit_per_count)  # type: ignore[operator]  # counters are ints
    return f"{reading.value:.6g}"


def _print_device(device: dict[str, Any]) -> None:
    _print(f"{device['device']}: {device['model']}, {'ok' if device['ok'] else 'FAILED'}")
    for fault in device["faults"]:
        _print(f"  {fault}")
    for row in device["readings"]:
        shown = "not available" if row["display"] is None else f"{row['display']} {row['unit']}"
        _print(f"  {row['point']}  {shown}  ({row['quantity']} = {row['value']}, {row['quality']})")


def outbox(args: argparse.Namespace) -> int:
    """Show how the outbox stands; returns 1 where readings were lost, set aside, or damaged."""
    config = configuration.load(args.config)
    state = outboxstate.inspect(config.outbox_path)
    shown = _state(config, state)
    if args.json:
        _print_json(shown)
    else:
        for name, value in shown.items():
            _print(f"{name:15} {'-' if value is None else value}")
    return 1 if state.lost_envelopes or state.set_aside or state.corrupt_files else 0


def _state(config: Configuration, state: State) -> dict[str, Any]:
    oldest_us = state.oldest_us
    shown = dataclasses.asdict(state)
    shown["missing"] = [list(span) for span in state.missing]
    shown["oldest_at"] = None if oldest_us is None else instant(from_us(oldest_us))
    del shown["oldest_us"]
    shown["path"] = str(config.outbox_path)
    shown["max_bytes"] = config.settings.outbox.max_mb << 20
    return shown


def _print_json(data: object) -> None:
    _print(json.dumps(data, ensure_ascii=False, indent=2))


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
