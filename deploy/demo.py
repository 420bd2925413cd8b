"""The demonstration: simulated plants with meters and agents, their past, a regulator's inbox."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import plant
from deploy import datadir, ports
from edge import keys
from simulators import process

if TYPE_CHECKING:
    from core.plant import Plant

Account = tuple[str | None, Path | None]
"""A name at the broker, and the file that holds its password; None where there is none."""

AccountOf = Callable[[str, str], Account]
SecretOf = Callable[[str, str], tuple[Path, str]]

HISTORY: Final = "35d"
PLANTS: Final = ("gh_al", "qh_fa", "qh_ce")
AGENT: Final = "gw-01"
SEED: Final = 1
CHANNEL: Final = "regulator"
JURISDICTION: Final = "cn"  # told of every plant of the country


@dataclass(frozen=True, slots=True)
class Regulator:
    """The inbox's program: its danhao.toml for ingest, where it shows what arrived, arguments."""

    config: Path
    inbox_url: str
    arguments: tuple[str, ...]


class Demo:
    """Writes what the demonstration's programs need into one folder, and names the programs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs: list[tuple[str, tuple[str, ...]]] = []
        sites: dict[str, Mapping[str, Any]] = {}
        for name in PLANTS:
            text = _shipped(f"{name}.toml")
            sites.update(plant.parse(text, f"{name}.toml").declarations)
        self.plant: Plant = plant.from_json(sites)

    def regulator(self, secret_file: Path) -> Regulator:
        """Write the danhao.toml that tells alerts to a regulator's inbox, and name its program."""
        folder = self._folder / "regulator"
        datadir.make_private(folder, for_root=0o700)
        port = ports.keep(folder / "port")
        config = folder / "danhao.toml"
        address = f"http://127.0.0.1:{port}"
        key_file = folder / "alerts.key"
        if not key_file.exists():
            keys.make(key_file)
        told = channel_config(f"{address}/alerts", secret_file, key_file)
        datadir.write_private(config, told.encode())
        arguments = (
            *("simulate", "regulator", "--port", str(port)),
            *("--secret-file", str(secret_file), "--inbox", str(folder / "inbox.sqlite")),
            *("--sender-key", keys.public(key_file)),
        )
        return Regulator(config, f"{address}/inbox", arguments)

    def prepare(
        self, mqtt_url: str, account_of: AccountOf, tools: tuple[str | None, str | None]
    ) -> None:
        """Write the plants' files and the agents' edge.toml; simulators publish as `tools`."""
        username, password = tools
        password_file = self._folder / "tools.secret"
        datadir.write_private(password_file, (password or "").encode())
        account = ["--broker", mqtt_url]
        if username:
            account += ["--username", username, "--password-file", str(password_file)]
        for name in PLANTS:
            folder = self._folder / name
            datadir.make_private(folder)
            for suffix in (".toml", ".process.toml"):
                datadir.write_private(folder / f"{name}{suffix}", _shipped(name + suffix).encode())
            port = ports.keep(folder / "modbus-port")
            simulated = process.load(folder / f"{name}.toml", SEED)
            site = next(iter(simulated.plant.sites))
            edge = folder / "edge.toml"
            datadir.write_private(
                edge,
                edge_config(
                    simulated, site, port, mqtt_url, account_of(site, AGENT), folder
                ).encode(),
            )
            self._programs += [
                (
                    f"plant-{site}",
                    (
                        "simulate",
                        "plant",
                        str(folder / f"{name}.toml"),
                        "--seed",
                        str(SEED),
                        "--port",
                        str(port),
                        "--history",
                        HISTORY,
                        "--state-dir",
                        str(folder / "journal"),
                        *account,
                    ),
                ),
                (f"edge-{site}", ("edge", "run", str(edge))),
            ]

    def programs(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return (name, arguments of danhao) of each program, in the order to start them."""
        return self._programs


def channel_config(url: str, secret_file: Path, key_file: Path) -> str:
    """Return the danhao.toml of an ingest that tells a regulator of every alert."""
    quoted = json.dumps
    lines = [
        "[[channel]]",
        f"name = {quoted(CHANNEL)}",
        'kind = "webhook"',
        f"url = {quoted(url)}",
        f"secret_file = {quoted(str(secret_file))}",
        f"key_file = {quoted(str(key_file))}",
        f"jurisdiction = {quoted(JURISDICTION)}",
    ]
    return "\n".join(lines) + "\n"


def edge_config(
    simulated: process.Process,
    site: str,
    port: int,
    mqtt_url: str,
    account: Account,
    folder: Path,
) -> str:
    """Return the edge.toml of an agent that reads the simulated meters of a site."""
    quoted = json.dumps
    lines = [
        f"site = {quoted(site)}",
        f"agent = {quoted(AGENT)}",
        "",
        "[broker]",
        f"url = {quoted(mqtt_url)}",
        *([f"username = {quoted(account[0])}"] if account[0] else []),
        *([f"password_file = {quoted(str(account[1]))}"] if account[1] else []),
        "",
        "[outbox]",
        f"path = {quoted(str(folder / 'outbox.sqlite'))}",
    ]
    for meter in simulated.meters:
        lines += [
            "",
            "[[device]]",
            f"name = {quoted(meter.name)}",
            'driver = "modbus-tcp"',
            'host = "127.0.0.1"',
            f"port = {port}",
            f"unit_id = {meter.unit_id}",
            f"model = {quoted(meter.model)}",
            "period_s = 1",
            "timeout_s = 2",
            "",
            "[device.points]",
            *(f"{quoted(point)} = {quoted(quantity)}" for point, quantity in meter.points.items()),
        ]
    return "\n".join(lines) + "\n"


def _shipped(name: str) -> str:
    return (resources.files("simulators") / "plants" / name).read_text("utf-8")
