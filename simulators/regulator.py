"""A regulator's inbox for the demonstration: takes signed alerts and answers receipts.

It checks signatures with code of its own, written from the contract (design 4.6) and not from the
sender, so that a mistake on one side shows. Promise: bodies, waiting and the inbox are bounded;
the same key gets the same receipt, and what is not signed with the secret is not kept.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import socketserver
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from core.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOST: Final = "127.0.0.1"
MOST_BODY_BYTES: Final = 1 << 20
MOST_KEPT: Final = 100_000
MOST_SHOWN: Final = 500
MOST_KEY_CHARS: Final = 200
MOST_HEADER_CHARS: Final = 500
MOST_STAMP_DIGITS: Final = 11  # of seconds, until the year 5138
MOST_SIGNATURES: Final = 8  # of one header: a sender that changes its secret signs twice
LEAST_SECRET_BYTES: Final = 16
MOST_SECRET_BYTES: Final = 4_096
TOLERANCE: Final = timedelta(seconds=300)
SILENCE_S: Final = 5.0  # one request at a time: a sender that says nothing does not hold the line
_TABLE: Final = (
    "create table if not exists message (key text primary key, number integer not null,"
    " received_at text not null, times integer not null, signature text not null,"
    " body blob not null, receipt text not null)"
)
log = logging.getLogger(__name__)


class RefusedError(Exception):
    """What is not taken: the status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def check(secret: bytes, header: str, body: bytes, now: datetime) -> None:
    """Raise RefusedError unless the header signs these bytes, lately: 400 stale, 401 wrong."""
    stamps: list[str] = []
    offered: list[str] = []
    for part in header[:MOST_HEADER_CHARS].split(","):
        name, _, value = part.strip().partition("=")
        if name == "t":
            stamps.append(value)
        elif name == "v1" and len(offered) < MOST_SIGNATURES:
            offered.append(value)
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or not offered:
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "Danhao-Signature is not t=...,v1=...")
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    mac.update(stamps[0].encode("ascii"))
    mac.update(b".")
    mac.update(body)
    wanted = mac.hexdigest().encode()
    if not any(hmac.compare_digest(wanted, each.encode()) for each in offered):
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "the signature is not of this body and secret")
    said = int(stamps[0][:MOST_STAMP_DIGITS])
    if abs(now - datetime.fromtimestamp(said, UTC)) > TOLERANCE:
        raise RefusedError(HTTPStatus.BAD_REQUEST, "the signature is older than 300 s, or ahead")


class Inbox:
    """What arrived, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._link = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._link.execute("pragma journal_mode = wal")
        self._link.execute("pragma synchronous = full")
        self._link.execute(_TABLE)

    def take(self, key: str, signature: str, body: bytes, now: datetime) -> str:
        """Keep a message and return its receipt; the same key again gets the same receipt."""
        with self._link:
            self._link.execute("begin immediate")
            row = self._link.execute(
                "select body, receipt from message where key = ?", (key,)
            ).fetchone()
            if row is None:
                return self._keep(key, signature, body, now)
            if row[0] != body:
                raise RefusedError(HTTPStatus.CONFLICT, "the key is known with another body")
            self._link.execute("update message set times = times + 1 where key = ?", (key,))
            return str(row[1])

    def _keep(self, key: str, signature: str, body: bytes, now: datetime) -> str:
        (number,) = self._link.execute(
            "select coalesce(max(number), 0) + 1 from message"
        ).fetchone()
        if number > MOST_KEPT:
            raise RefusedError(HTTPStatus.INSUFFICIENT_STORAGE, "the inbox is full")
        receipt = f"inbox-{number:06d}"
        self._link.execute(
            "insert into message values (?, ?, ?, 1, ?, ?, ?)",
            (key, number, _utc(now), signature, body, receipt),
        )
        return receipt

    def items(self) -> list[dict[str, Any]]:
        """Return the newest messages, newest first, at most MOST_SHOWN."""
        rows = self._link.execute(
            "select key, received_at, times, signature, body, receipt from message"
            " order by number desc limit ?",
            (MOST_SHOWN,),
        ).fetchall()
        return [
            {
                "key": key,
                "received_at": received_at,
                "times": times,
                "signature": signature,
                "receipt": receipt,
                "raw": body.decode("utf-8", "replace"),
                "body": json.loads(body),
            }
            for key, received_at, times, signature, body, receipt in rows
        ]

    def close(self) -> None:
        """Close the file."""
        self._link.close()


class Server(HTTPServer):
    """The inbox behind HTTP, on loopback, one request at a time."""

    allow_reuse_address = True

    def __init__(
        self, port: int, secret: bytes, inbox: Inbox, clock: Callable[[], datetime]
    ) -> None:
        super().__init__((HOST, port), Handler)
        self.secret = secret
        self.inbox = inbox
        self.clock = clock
        self.refused = 0

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the library's names
        """Log a sender that went away in one line."""
        log.warning("a request from %s failed", client_address)

    @property
    def url(self) -> str:
        """Return the address that alerts are posted to."""
        return f"http://{HOST}:{self.server_port}/alerts"


class Handler(BaseHTTPRequestHandler):
    """POST /alerts takes a message, GET /inbox shows them to this machine, GET /healthz is well."""

    server: Server
    timeout = SILENCE_S
    server_version = "regulator"
    sys_version = ""

    def do_POST(self) -> None:
        """Take one message."""
        try:
            receipt = self._take(self._body())
        except RefusedError as error:
            self.server.refused += 1
            log.warning("refused: %s", error)
            self._answer(error.status, {"error": str(error)})
        else:
            self._answer(HTTPStatus.OK, {"receipt": receipt})

    def do_GET(self) -> None:
        """Show what arrived."""
        if self.path == "/healthz":
            self._answer(HTTPStatus.OK, {"state": "well"})
        elif self.path != "/inbox" or not ip_address(self.client_address[0]).is_loopback:
            self._answer(HTTPStatus.NOT_FOUND, {"error": "look at /inbox"})
        else:
            shown = self.server.inbox.items()
            self._answer(
                HTTPStatus.OK, {"items": shown, "next": None, "refused": self.server.refused}
            )

    def _take(self, body: bytes) -> str:
        now = self.server.clock()
        signature = self.headers.get("Danhao-Signature", "")
        check(self.server.secret, signature, body, now)
        key = self.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= MOST_KEY_CHARS:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "Idempotency-Key is missing or too long")
        try:
            json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from error
        return self.server.inbox.take(key, signature, body, now)

    def _body(self) -> bytes:
        if self.path != "/alerts":
            raise RefusedError(HTTPStatus.NOT_FOUND, "post to /alerts")
        text = self.headers.get("Content-Length", "")
        if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 - digits far beyond the bound
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing or no number")
        if int(text) > MOST_BODY_BYTES:
            message = f"the body is larger than {MOST_BODY_BYTES} bytes"
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        body = self.rfile.read(int(text))
        if len(body) < int(text):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is shorter than it was said to be")
        return body

    def _answer(self, status: HTTPStatus, data: dict[str, Any]) -> None:
        body = json.dumps(data, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Leave the access log out; refusals are logged where they happen."""


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
    port: int,
    secret_file: Path,
    inbox_file: Path,
    clock: Callable[[], datetime],
    stop: threading.Event,
) -> None:
    """Serve until `stop` is set; raises Misconfigured where port or files cannot be used."""
    secret = read_secret(secret_file)
    try:
        inbox = Inbox(inbox_file)
    except sqlite3.Error as error:
        raise Misconfigured([Problem(str(inbox_file), f"is no inbox: {error}")]) from error
    with closing(inbox):
        try:
            server = Server(port, secret, inbox, clock)
        except OSError as error:
            message = f"port {port} on {HOST} cannot be used ({error.strerror}): give another"
            raise Misconfigured(message) from error
        with server:
            worker = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
            worker.start()
            log.warning("the regulator's inbox listens at %s", server.url)
            stop.wait()
            server.shutdown()
            worker.join(SILENCE_S)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
