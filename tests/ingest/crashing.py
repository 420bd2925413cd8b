"""A worker that is killed right after a commit, before it settles anything: run as a program."""

from __future__ import annotations

import asyncio
import os
import signal

from ingest import config, service
from ingest.writer import Writer
from tests.ingest import world


async def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve with the environment's settings until the first commit."""
    setattr(Writer, "_after", _die)  # noqa: B010 - the crash under test, which no type allows
    asyncio.run(service.run(config.load(os.environ), lambda: world.NOW))


if __name__ == "__main__":
    main()
