"""What a client of the live stream would hear next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api.live import Client


def next_text(client: Client) -> str:
    """Return the next event as text; fails where the stream ends instead."""
    event = client.queue.get_nowait()
    assert event is not None
    return event.plain.decode()
