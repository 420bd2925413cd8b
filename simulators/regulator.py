"""A regulator's inbox for the demonstration: takes signed alerts and answers receipts.

It checks signatures with code of its own, written from the contract (design 4.6, docs/alerts.md)
and not from the sender, so that a mistake on one side shows. Promise: bodies, waiting and the
inbox are bounded; the same key gets the same receipt, and what is not signed with the secret, and
by the sender's key where one is named, is not kept.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from core.errors import Misconfigured, Problem
from simulators import httpserver
from simulators.httpserver import HOST, MOST_BODY_BYTES, JsonHandler, LocalServer, RefusedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MOST_KEPT: Final = 100_000
MOST_SHOWN: Final = 500
MOST_KEY_CHARS: Final = 200
MOST_HEADER_CHARS: Final = 500
MOST_STAMP_DIGITS: Final = 11  # of seconds, until the year 5138
MOST_SIGNATURES: Final = 8  # of one header: a sender that changes its secret signs twice
TOLERANCE: Final = timedelta(seconds=300)
_TABLE: Final = (
    "create table if not exists message (key text primary key, number integer not null,"
    " received_at text not null, times integer not null, signature text not null,"
    " body blob not null, receipt text not null)"
)
log = logging.getLogger(__name__)


def check(secret: bytes, header: str, body: bytes, now: datetime) -> None:
    """Raise RefusedError unless the header signs these bytes, lately: 400 stale, 401 wrong."""
    stamp, offered = _taken_apart(header, "Danhao-Signature")
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    mac.update(stamp.encode("ascii"))
    mac.update(b".")
    mac.update(body)
    wanted = mac.hexdigest().encode()
    if not any(hmac.compare_digest(wanted, each.encode()) for each in offered):
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "the signature is not of this body and secret")
    _check_fresh(stamp, now)


def check_by_key(public: Ed25519PublicKey, header: str, body: bytes, now: datetime) -> None:
    """Raise RefusedError unless the key's owner signed these bytes, lately: 400 stale, 401 wrong.

    One of the signatures is enough: a sender that changes its key signs by both for a while.
    """
    stamp, offered = _taken_apart(header, "Danhao-Signature-Ed25519")
    signed = b"%s.%s" % (stamp.encode("ascii"), body)
    if not any(_is_by(public, each, signed) for each in offered):
        raise RefusedError(HTTPStatus.UNAUTHORIZED, "the signature is not of this body and key")
    _check_fresh(stamp, now)


def public_key(text: str) -> Ed25519PublicKey:
    """Read a key as `danhao keys` prints it: "ed25519:" and the 32 bytes in base64."""
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - only here

    kind, _, encoded = text.strip().partition(":")
    try:
        raw = base64.b64decode(encoded.encode("ascii"), validate=True)
        return ed25519.Ed25519PublicKey.from_public_bytes(raw if kind == "ed25519" else b"")
    except ValueError as error:
        message = "is no public key: write ed25519:... as `danhao keys show` prints it"
        raise Misconfigured([Problem("--sender-key", message)]) from error


def _is_by(public: Ed25519PublicKey, signature: str, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only here

    try:
        public.verify(bytes.fromhex(signature), signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def _taken_apart(header: str, name: str) -> tuple[str, list[str]]:
    """Return the time stamp and the signatures of a header; raises RefusedError: 401."""
    stamps: list[str] = []
    offered: list[str] = []
    for part in header[:MOST_HEADER_CHARS].split(","):
        key, _, value = part.strip().partition("=")
        if key == "t":
            stamps.append(value)
        elif key == "v1" and len(offered) < MOST_SIGNATURES:
            offered.append(value)
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or not offered:
        raise RefusedError(HTTPStatus.UNAUTHORIZED, f"{name} is not t=...,v1=...")
    return stamps[0], offered


def _check_fresh(stamp: str, now: datetime) -> None:
    said = int(stamp[:MOST_STAMP_DIGITS])
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


class Server(LocalServer):
    """The inbox behind HTTP, on loopback, one request at a time."""

    def __init__(
        self, port: int, secret: bytes, inbox: Inbox, clock: Callable[[], datetime]
    ) -> None:
        super().__init__((HOST, port), Handler)
        self.secret = secret
        self.inbox = inbox
        self.clock = clock
        self.sender: Ed25519PublicKey | None = None  # who must have signed, beside the secret
        self.refused = 0

    @property
    def url(self) -> str:
        """Return the address that alerts are posted to."""
        return f"{super().url}/alerts"


class Handler(JsonHandler):
    """POST /alerts takes a message, GET /inbox shows them to this machine, GET /healthz is well."""

    server: Server
    server_version = "regulator"

    def post(self) -> None:
        """Take one message."""
        try:
            receipt = self._take(self._body())
        except RefusedError as error:
            self.server.refused += 1
            log.warning("refused: %s", error)
            self.answer(error.status, {"error": str(error)})
        else:
            self.answer(HTTPStatus.OK, {"receipt": receipt})

    def get(self) -> None:
        """Show what arrived."""
        if self.path == "/healthz":
            self.answer(HTTPStatus.OK, {"state": "well"})
        elif self.path != "/inbox" or not ip_address(self.client_address[0]).is_loopback:
            self.answer(HTTPStatus.NOT_FOUND, {"error": "look at /inbox"})
        else:
            shown = self.server.inbox.items()
            self.answer(
                HTTPStatus.OK, {"items": shown, "next": None, "refused": self.server.refused}
            )

    def _take(self, body: bytes) -> str:
        now = self.server.clock()
        signature = self.headers.get("Danhao-Signature", "")
        check(self.server.secret, signature, body, now)
        if self.server.sender is not None:
            signed = self.headers.get("Danhao-Signature-Ed25519", "")
            check_by_key(self.server.sender, signed, body, now)
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
        length = self.length()
        if length is None:
            raise RefusedError(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing or no number")
        if length > MOST_BODY_BYTES:
            message = f"the body is larger than {MOST_BODY_BYTES} bytes"
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        body = self.rfile.read(length)
        if len(body) < length:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body is shorter than it was said to be")
        return body


def serve(
    port: int,
    secret_file: Path,
    inbox_file: Path,
    clock: Callable[[], datetime],
    stop: threading.Event,
    sender_key: str | None = None,
) -> None:
    """Serve until `stop` is set; raises Misconfigured where port or files cannot be used."""
    secret = httpserver.read_secret(secret_file)
    sender = None if sender_key is None else public_key(sender_key)
    try:
        inbox = Inbox(inbox_file)
    except sqlite3.Error as error:
        raise Misconfigured([Problem(str(inbox_file), f"is no inbox: {error}")]) from error

    def listen(given: int) -> Server:
        server = Server(given, secret, inbox, clock)
        server.sender = sender
        return server

    with closing(inbox):
        httpserver.serve(listen, port, "the regulator's inbox", stop)


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
