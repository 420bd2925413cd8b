"""A subscriber behind a store that is far too slow, run as a program: tells what it bore.

Arguments: the broker's port, the bound on its backlog in bytes, how long to work in seconds.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from core.errors import Retryable
from ingest import config
from ingest.source import Bounds, Publish
from ingest.subscriber import Subscriber

SLOW_S = 0.1  # for a batch


def resident_bytes() -> int:
    """Return how much memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


async def main(port: str, most_bytes: int, for_s: float) -> None:
    """Take in slow batches, publish a receipt all the while, and print what was seen."""
    slowest = 0.0
    told = 0

    async def receipts(publish: Publish) -> None:
        nonlocal slowest, told
        while True:
            began = time.monotonic()
            await publish("danhao/v1/gh-al/gw-01/ack", b"{}", retain=True)
            slowest, told = max(slowest, time.monotonic() - began), told + 1
            await asyncio.sleep(0.02)

    mqtt = config.Mqtt(url=f"mqtt://127.0.0.1:{port}")
    subscriber = Subscriber(mqtt, receipts, most_bytes=most_bytes)
    running = asyncio.create_task(subscriber.run())
    await subscriber.connected.wait()
    before, most, backlog = resident_bytes(), 0, 0
    print("ready", flush=True)  # noqa: T201 - to the test
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        for arrival in await subscriber.take(Bounds(4, 256 << 10, 0.05)):
            arrival.settle()
        backlog = max(backlog, subscriber.backlog_bytes)
        await asyncio.sleep(SLOW_S)
        most = max(most, resident_bytes())
    found = {
        "grown_bytes": most - before,
        "backlog_bytes": backlog,
        "received": subscriber.received,
        "pauses": subscriber.pauses,
        "connections": subscriber.connections,
        "receipts": told,
        "slowest_receipt_s": slowest,
    }
    print(json.dumps(found), flush=True)  # noqa: T201 - to the test
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
    except Retryable as error:
        sys.exit(str(error))
