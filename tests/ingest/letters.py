"""Notifications that are due, and a clock, for the tests of transports."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from store.notifications import Due
from tests.core.alertbodies import body

if TYPE_CHECKING:
    from ingest.addresses import Resolve

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
NOTIFICATION = UUID("0d5f8f0e-6a5e-4b36-8a39-3f2b8f4c7d10")
ALERT = UUID("8a3f6a4e-52f3-4f5c-9c0b-9d0c5a0d2f11")


def clock() -> datetime:
    return NOW


def due(message: dict[str, Any] | None = None, *, body_text: str | None = None, **more: Any) -> Due:
    """Return a notification whose turn has come, of a message or of whatever text."""
    said = json.dumps(body("firing") if message is None else message, ensure_ascii=False)
    text = said if body_text is None else body_text
    given: dict[str, Any] = {
        "id": NOTIFICATION,
        "alert": ALERT,
        "channel": "tested",
        "body": text,
        "created_at": NOW,
        "attempts": 0,
        "kind": "firing",
        **more,
    }
    return Due(**given)


def names(**known: str) -> Resolve:
    """Return a name service that knows these names, dots written as underscores."""
    from ingest.addresses import Address, literal  # noqa: PLC0415 - only here

    table = {name.replace("_", "."): text.split() for name, text in known.items()}

    async def resolve(host: str, _port: int) -> list[Address]:
        found = [literal(text) for text in table.get(host, [host])]
        return [address for address in found if address is not None]

    return resolve
