"""The answer that carries a live stream: writes with a deadline, ends when anybody leaves.

It ends when the client goes, does not read for SEND_S, loses its session, or the process stops.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.events import Wire
from api.live import CLOSE, Client, Hub

SEND_S: Final = 10.0
CHECK_S: Final = 30.0  # how long a revoked session may go on watching
HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "Vary": "Accept-Encoding",
}


class LiveResponse(Response):
    """Streams one client's queue; `is_alive` says whether its session still holds."""

    media_type = "text/event-stream"

    def __init__(
        self,
        hub: Hub,
        client: Client,
        ticks: Callable[[], float],
        is_alive: Callable[[], Awaitable[bool]],
        *,
        gzip: bool,
    ) -> None:
        super().__init__(headers=HEADERS | ({"Content-Encoding": "gzip"} if gzip else {}))
        del self.headers["content-length"]
        self._hub = hub
        self._client = client
        self._ticks = ticks
        self._is_alive = is_alive
        self._wire = Wire(gzip)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until one side leaves."""
        pump = asyncio.ensure_future(self._pump(send))
        watch = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({pump, watch}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self._client, self._ticks())
            for task in (pump, watch):
                task.cancel()
            done = await asyncio.gather(pump, watch, return_exceptions=True)
        for outcome in done:
            if isinstance(outcome, Exception) and not isinstance(outcome, TimeoutError | OSError):
                raise outcome

    async def _pump(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await self._write(send, self._wire.begin())
        checked = self._ticks()
        while (event := await self._client.queue.get()) is not CLOSE:
            await self._write(send, self._wire.put(event))
            if self._ticks() - checked >= CHECK_S:
                checked = self._ticks()
                if not await self._is_alive():
                    break
        await send({"type": "http.response.body", "body": self._wire.end(), "more_body": False})

    async def _write(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(SEND_S):
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
