"""What a reload of edge.toml changes: lines that begin anew, and what needs a new start. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edge.config import Configuration
    from edge.driver import Station

_FIXED = (
    "site",
    "agent",
    "key_file",
    "broker",
    "destination",
    "outbox",
    "clock",
    "health",
)  # of Settings


def problems(old: Configuration, new: Configuration) -> list[Problem]:
    """Return what differs and can not be changed in a running agent."""
    changed = [
        name
        for name in _FIXED
        if getattr(old.settings, name, None) != getattr(new.settings, name, None)
    ]
    if not changed and (old.key, old.destinations) != (new.key, new.destinations):
        changed = ["the files that it names"]
    return [
        Problem(name, "changes with a new start only: restart the agent (no reading is lost)")
        for name in changed
    ]


def changed(old: Mapping[str, Sequence[Station]], new: Mapping[str, Sequence[Station]]) -> set[str]:
    """Return the lines that came, went, or have other devices or other settings."""
    return {
        name
        for name in old.keys() | new.keys()
        if [_content(station) for station in old.get(name, ())]
        != [_content(station) for station in new.get(name, ())]
    }


def _content(station: Station) -> tuple[object, ...]:
    return station.driver.name, station.period_s, station.same
