"""What simulated receivers share: an HTTP server on loopback, its JSON answers, its secret.

Promise: one request at a time, bodies and waiting are bounded, no name is looked up, and a sender
that goes away costs one line of log.
"""

from __future__ import annotations

import json
import logging
import socketserver
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, Final

from core.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from http import HTTPStatus
    from pathlib import Path

HOST: Final = "127.0.0.1"
MOST_BODY_BYTES: Final = 1 << 20
MOST_LENGTH_DIGITS: Final = 9  # of Content-Length: far beyond the bound
LEAST_SECRET_BYTES: Final = 16
MOST_SECRET_BYTES: Final = 4_096
SILENCE_S: Final = 5.0  # one request at a time: a sender that says nothing does not hold the line
log = logging.getLogger(__name__)


class RefusedError(Exception):
    """What is not taken: the status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class LocalServer(HTTPServer):
    """A server on loopback, one request at a time."""

    allow_reuse_address = True
    scheme = "http"

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the library's names
        """Log a sender that went away in one line."""
        log.warning("a request from %s failed", client_address)

    @property
    def url(self) -> str:
        """Return the address that senders go to."""
        return f"{self.scheme}://{HOST}:{self.server_port}"


class JsonHandler(BaseHTTPRequestHandler, ABC):
    """A handler that waits for nobody long and answers in JSON."""

    timeout = SILENCE_S
    sys_version = ""

    @abstractmethod
    def get(self) -> None:
        """Answer a GET."""

    @abstractmethod
    def post(self) -> None:
        """Answer a POST."""

    def do_GET(self) -> None:
        """Do as the library names it."""
        self.get()

    def do_POST(self) -> None:
        """Do as the library names it."""
        self.post()

    def length(self) -> int | None:
        """Return how long the body is said to be, None where that is missing or no number."""
        text = self.headers.get("Content-Length", "")
        if not text.isdecimal() or len(text) > MOST_LENGTH_DIGITS:
            return None
        return int(text)

    def answer(self, status: HTTPStatus, data: dict[str, Any]) -> None:
        """Answer with data."""
        self.send(status, json.dumps(data, ensure_ascii=False).encode())

    def send(self, status: HTTPStatus, body: bytes) -> None:
        """Answer with bytes that are said to be JSON, whatever they are."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Leave the access log out; what matters is counted or logged where it happens."""


def read_secret(path: Path) -> bytes:
    """Return the secret shared with the sender; raises Misconfigured with one sentence."""
    try:
        with path.open("rb") as file:
            secret = file.read(MOST_SECRET_BYTES + 1).strip()
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    if not LEAST_SECRET_BYTES <= len(secret) <= MOST_SECRET_BYTES:
        message = f"holds no secret of {LEAST_SECRET_BYTES} to {MOST_SECRET_BYTES} bytes"
        raise Misconfigured([Problem(str(path), message)])
    return secret


def serve(
    listen: Callable[[int], LocalServer], port: int, name: str, stop: threading.Event
) -> None:
    """Serve until `stop` is set; raises Misconfigured where the port cannot be used."""
    try:
        server = listen(port)
    except OSError as error:
        message = f"port {port} on {HOST} cannot be used ({error.strerror}): give another"
        raise Misconfigured(message) from error
    with server:
        worker = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        worker.start()
        log.warning("%s listens at %s", name, server.url)
        stop.wait()
        server.shutdown()
        worker.join(SILENCE_S)
