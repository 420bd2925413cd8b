"""TCP ports on loopback that stay the same over restarts as long as they are free."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from core import errors
from deploy import datadir

if TYPE_CHECKING:
    from pathlib import Path


def keep(path: Path) -> int:
    """Return the port noted in the file while it is free, else a free one, noted there.

    Addresses that people wrote down stay true that way. Raises `Retryable` when no port is free.
    """
    noted = path.read_text("utf-8", "replace").strip() if path.exists() else "0"
    last = int(noted) if noted.isdecimal() and len(noted) <= len("65535") else 0
    for wanted in (last, 0):
        with socket.socket() as probe:
            # As servers do: connections of the last run that linger do not make it busy.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except (OSError, OverflowError):
                continue
            port = int(probe.getsockname()[1])
        datadir.write_private(path, f"{port}\n".encode())
        return port
    raise errors.Retryable("no TCP port is free on 127.0.0.1: try again later")
