"""The regulator's inbox, running in the test's own process."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from simulators import regulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path


@contextmanager
def running(
    path: Path, secret: bytes, clock: Callable[[], datetime], port: int = 0
) -> Iterator[regulator.Server]:
    """Yield an inbox that listens; it is closed at the end."""
    with (
        closing(regulator.Inbox(path)) as kept,
        regulator.Server(port, secret, kept, clock) as server,
    ):
        worker = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        worker.start()
        try:
            yield server
        finally:
            server.shutdown()
            worker.join(10)
