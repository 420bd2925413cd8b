"""Names of things: slugs joined by dots, and the MQTT topics made of them (design 4.1, 4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

SLUG: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
SITE_PATTERN: Final = rf"^{SLUG}$"
UNIT_PATTERN: Final = rf"^{SLUG}\.{SLUG}$"
POINT_PATTERN: Final = rf"^{SLUG}\.{SLUG}\.{SLUG}$"
_SLUG = re.compile(rf"^{SLUG}$")
_POINT = re.compile(POINT_PATTERN)

ROOT: Final = "danhao/v1"
KINDS: Final = ("readings", "output", "status", "ack")
MOST_POINT_ID_CHARS: Final = 191


@dataclass(frozen=True, slots=True)
class Topic:
    """`danhao/v1/{site}/{agent}/{kind}`, taken apart."""

    site: str
    agent: str
    kind: str

    def __str__(self) -> str:
        return f"{ROOT}/{self.site}/{self.agent}/{self.kind}"


def is_slug(text: str) -> bool:
    """Tell whether the text may name a site, an agent, or the last part of a unit or point."""
    return _SLUG.fullmatch(text) is not None


def is_point(text: str) -> bool:
    """Tell whether the text has the form `site.unit.point`."""
    return len(text) <= MOST_POINT_ID_CHARS and _POINT.fullmatch(text) is not None


def parse_topic(topic: str) -> Topic | None:
    """Take a topic apart, or return None where it is not one of ours."""
    parts = topic.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != ROOT:  # noqa: PLR2004 - the grammar's five levels
        return None
    site, agent, kind = parts[2:]
    if not (is_slug(site) and is_slug(agent) and kind in KINDS):
        return None
    return Topic(site, agent, kind)


def site_of(identifier: str) -> str:
    """Return the site that a unit or point belongs to."""
    return identifier.partition(".")[0]


def unit_of(point: str) -> str:
    """Return the unit that a point belongs to."""
    return point.rpartition(".")[0]


def beside(point: str, name: str | None) -> str | None:
    """Return the point meant by `point` (of its own unit) or `unit.point` (of its site)."""
    if name is None:
        return None
    return f"{site_of(point) if '.' in name else unit_of(point)}.{name}"


def is_within(jurisdiction: str, outer: str) -> bool:
    """Tell whether a jurisdiction is another one or lies in it: cn-qh is in cn, cn-qhx is not."""
    return f"{jurisdiction}-".startswith(f"{outer}-")
