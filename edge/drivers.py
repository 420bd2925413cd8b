"""The drivers there are, by the word that `driver` of a device names; each loaded when used.

A driver's settings module holds `KIND`: the model of its `[[device]]` table, what that model can
not see, and how its stations are made. A new protocol is such a module and one line of `KINDS`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from core.errors import Problem
    from core.tomlfile import Document
    from edge.devicesettings import DeviceSettings
    from edge.driver import Station

KINDS: Final[Mapping[str, str]] = {
    "modbus-tcp": "edge.modbus.settings",
    "modbus-rtu": "edge.modbus.settings",
    "modbus-rtu-tcp": "edge.modbus.settings",
    "dlt645": "edge.dlt645.settings",
    "mqtt-in": "edge.mqttin.settings",
}
DEFAULT: Final = "modbus-tcp"


@dataclass(frozen=True, slots=True)
class Table:
    """One `[[device]]` table as it was parsed, whatever is wrong with it, and where it stands."""

    document: Document
    index: int
    data: dict[str, Any]
    folder: Path

    def problem(self, key: Sequence[str | int], message: str) -> Problem:
        """Return a problem at a key of this device."""
        return self.document.problem(("device", self.index, *key), message)


@dataclass(frozen=True, slots=True)
class Kind:
    """One protocol: its settings, its further checks, its stations.

    `settings` holds the model by driver, for a module that serves several. `problems` gets all
    tables of the protocol at once, so that it can see two devices that do not go together; it must
    not raise for what it finds. `stations` gets the valid devices of one protocol at once, so that
    devices of one line can share it, and the folder of the file.
    """

    settings: Mapping[str, type[DeviceSettings]]
    problems: Callable[[Sequence[Table]], Iterator[Problem]]
    stations: Callable[[Sequence[Any], Path, Callable[[], datetime]], list[Station]]


def kind(name: str) -> Kind:
    """Return the protocol that a driver's word names; `name` is a key of KINDS."""
    found = importlib.import_module(KINDS[name]).KIND
    if not isinstance(found, Kind):
        raise TypeError(f"{KINDS[name]}.KIND is no Kind")
    return found
