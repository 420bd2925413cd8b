"""Receivers of this machine that answer what a test says."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


class Handler(BaseHTTPRequestHandler):
    """Answers what the test says: bytes, status, headers; keeps what arrived."""

    server: Answering

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(self.path)
        self.server.bodies.append(body)
        self.server.reply(self)

    def log_message(self, *_: Any) -> None:
        pass


class Answering(HTTPServer):
    """Listens on this machine and keeps the paths and bodies of what came."""

    def __init__(self, reply: Callable[[Handler], None], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = reply
        self.seen: list[str] = []
        self.bodies: list[bytes] = []
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: Any) -> None:
        pass  # whom it does not know it does not speak to


@contextmanager
def answering(
    reply: Callable[[Handler], None], tls: ssl.SSLContext | None = None
) -> Iterator[Answering]:
    """Yield a server that answers by `reply`; it is closed at the end."""
    with Answering(reply, tls) as server:
        worker = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        worker.start()
        try:
            yield server
        finally:
            server.shutdown()
            worker.join(10)


def says(status: int, body: bytes, **headers: str) -> Callable[[Handler], None]:
    """Return what answers with this."""

    def reply(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply
