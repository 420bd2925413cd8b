"""`danhao up`: arguments of the one command that runs everything on this machine."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from pathlib import Path
from typing import Final

from deploy import datadir, up

DEFAULT_PORT: Final = 8080
MOST_PORT: Final = 65_535
_DURATION: Final = re.compile(r"^(\d{1,7})(s|m|h)?$")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, None: 1}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `up`."""
    parser = commands.add_parser("up", help="run everything on this machine")
    parser.add_argument(
        "--demo", action="store_true", help="add a simulated plant with its meters and agent"
    )
    parser.add_argument("--data-dir", type=Path, help="where everything is kept")
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="default 8080")
    parser.add_argument(
        "--for",
        dest="lasting",
        type=_duration,
        metavar="90s",
        help="stop so long after `ready`; exit code 0",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    path = options.data_dir or datadir.default_path(os.environ, Path.home())
    settings = up.Settings(
        data_dir=path,
        port=options.port,
        demo=options.demo,
        lasting_s=options.lasting,
        database_url=os.environ.get("DANHAO_DATABASE_URL") or None,
        mqtt_url=os.environ.get("DANHAO_MQTT_URL") or None,
        mqtt_username=os.environ.get("DANHAO_MQTT_USERNAME") or None,
        mqtt_password_file=os.environ.get("DANHAO_MQTT_PASSWORD_FILE") or None,
    )
    return asyncio.run(up.run(settings))


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to 65535")
    return int(text)


def _duration(text: str) -> float:
    match = _DURATION.match(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90s, 15m or 2h")
    return float(int(match.group(1)) * _SECONDS[match.group(2)])
