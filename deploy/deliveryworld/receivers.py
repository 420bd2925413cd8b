"""Receivers of a schedule: the real code of `simulators.regulator` behind a way that loses things.

The bytes of each request are read, and those of each answer written, by the receiver's own HTTP
server; only the socket between them is not there. Promise: what a receiver has taken lies in its
own inbox, whatever its sender hears of it.
"""

from __future__ import annotations

import asyncio
import http.client
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import httpx

from deploy.deliveryworld.fortune import Trouble
from simulators import regulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from deploy.deliveryworld.fortune import Fortune
    from deploy.faultworld.clock import VirtualLoop

SECRET: Final = "the secret of the drill"  # noqa: S105 - of a drill that reaches nobody
LATE_S: Final = 60.0  # either side of the sender's deadline
ANSWER_S: Final = 0.2
_STATUSES: Final = (302, 401, 429, 500, 502, 503)
_WRONG: Final = (
    b"",
    b"{}",
    b"[]",
    b"<html>welcome</html>",
    b'{"receipt":""}',
    b'{"receipt":7}',
    b'{"receipt":"' + b"r" * 300 + b'"}',
)


class Receiver:
    """One receiver: its real inbox and server code, and how it fares."""

    def __init__(self, name: str, folder: Path, fortune: Fortune, loop: VirtualLoop) -> None:
        self.name = name
        self.inbox = regulator.Inbox(folder / f"{name}.sqlite")
        self.server = regulator.Server(0, SECRET.encode(), self.inbox, loop.now)
        self.down_until = float("-inf")
        self.ill_until = float("-inf")
        self.dead = False
        self.refuses: bytes | None = None  # whatever names this unit
        self._fortune = fortune
        self._loop = loop
        self._draws = fortune.stream(f"receiver {name}")
        self._on_the_way: set[asyncio.Task[httpx.Response]] = set()

    def close(self) -> None:
        """Let the files go."""
        self.server.server_close()
        self.inbox.close()

    @property
    def url(self) -> str:
        """Return the address that its channel is declared with."""
        return self.server.url

    async def exchange(self, request: httpx.Request) -> httpx.Response:
        """Carry one request there and its answer back, with what may befall either."""
        if self._out():
            raise httpx.ConnectError("nobody listens", request=request)
        body = await request.aread()
        if self._fortune.strikes(Trouble.REQUEST_LOST, self.name):
            raise httpx.ReadError("the connection was reset", request=request)
        late_s = self._delay(Trouble.REQUEST_LATE)
        if self._fortune.strikes(Trouble.REQUEST_DOUBLED, self.name):
            self._send(request, body, late_s + self._draws.random() * LATE_S)
        answer = await asyncio.shield(self._send(request, body, late_s))
        slow_s = self._delay(Trouble.ANSWER_SLOW)
        await asyncio.sleep(slow_s + self._draws.random() * ANSWER_S)
        if self._fortune.strikes(Trouble.ANSWER_LOST, self.name):
            raise httpx.RemoteProtocolError("the connection was closed", request=request)
        if self._fortune.strikes(Trouble.RECEIPT_WRONG, self.name):
            return httpx.Response(200, content=self._draws.choice(_WRONG), request=request)
        return answer

    def _out(self) -> bool:
        return self.dead or self._loop.time() < self.down_until

    def _delay(self, trouble: Trouble) -> float:
        strikes = self._fortune.strikes(trouble, self.name)
        return self._draws.random() * LATE_S if strikes else 0.0

    def _send(
        self, request: httpx.Request, body: bytes, late_s: float
    ) -> asyncio.Task[httpx.Response]:
        """Put a request on its way: it arrives even if its sender gives up meanwhile."""
        task = self._loop.create_task(self._arrive(request, body, late_s))
        self._on_the_way.add(task)
        task.add_done_callback(self._arrived)
        return task

    def _arrived(self, task: asyncio.Task[httpx.Response]) -> None:
        self._on_the_way.discard(task)
        if not task.cancelled():
            task.exception()  # of one that its sender no longer waits for

    async def _arrive(self, request: httpx.Request, body: bytes, late_s: float) -> httpx.Response:
        await asyncio.sleep(late_s)
        if self._out():
            raise httpx.ReadError("the connection was reset", request=request)
        ill = self._loop.time() < self.ill_until
        if ill or self._fortune.strikes(Trouble.ANSWER_500, self.name):
            return httpx.Response(self._draws.choice(_STATUSES), request=request)
        if self.refuses is not None and self.refuses in body and not self._fortune.calm:
            return httpx.Response(400, request=request)
        return answered(self.server, request, body)


def answered(server: regulator.Server, request: httpx.Request, body: bytes) -> httpx.Response:
    """Let the receiver's own server read a request and return what it answers."""
    head = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1".encode()]
    head += [name + b": " + value for name, value in request.headers.raw]
    line = _Line(b"\r\n".join([*head, b"Connection: close", b"", body]))
    regulator.Handler(line, ("127.0.0.1", 0), server)  # type: ignore[arg-type]  # all of a socket that it uses
    answer = http.client.HTTPResponse(_Line(line.sent))  # type: ignore[arg-type]  # as above
    answer.begin()
    content = answer.read()
    return httpx.Response(answer.status, content=content, request=request)


class _Line:
    """As much of a socket as an HTTP server uses: bytes that came, bytes that go."""

    def __init__(self, came: bytes) -> None:
        self._came = came
        self.sent = b""

    def makefile(self, *_: Any) -> io.BytesIO:
        """Return what came as a file."""
        return io.BytesIO(self._came)

    def sendall(self, data: bytes) -> None:
        """Keep what goes."""
        self.sent += bytes(data)

    def settimeout(self, _: float | None) -> None:
        """Nobody is waited for."""


@contextmanager
def mounted(receivers: Mapping[str, Receiver]) -> Iterator[None]:
    """Lead every HTTP request of the block to one of these receivers, by its address."""
    by_port = {httpx.URL(each.url).port: each for each in receivers.values()}

    async def handle(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        return await by_port[request.url.port].exchange(request)

    with mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle):
        yield
