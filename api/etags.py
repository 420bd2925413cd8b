"""Answers that have not changed are not sent again: every JSON answer to a GET has an ETag.

The tag is a digest of the answer's bytes, so it is right for any route; what is saved is the
transfer: a program that asks every minute and names the tag it has transfers next to nothing.
Whether a browser may keep an answer is said apart from it, by Cache-Control.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


def tag_of(body: bytes) -> str:
    """Return the entity tag of an answer's bytes."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def matches(asked: str, tag: str) -> bool:
    """Tell whether an If-None-Match names this tag; weak comparison (RFC 9110 13.1.2)."""
    return asked.strip() == "*" or tag in [
        one.strip().removeprefix("W/") for one in asked.split(",")
    ]


class Etags:
    """The middleware: a whole JSON answer with status 200 gets its tag, or becomes a 304."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; what is no GET passes through."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("if-none-match", "")
        await self._app(scope, receive, _Tagging(send, asked))


class _Tagging:
    """Holds the start of an answer back until its body is there; streams are left alone."""

    def __init__(self, send: Send, asked: str) -> None:
        self._send = send
        self._asked = asked
        self._start: dict[str, Any] | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _may_be_tagged(message):
            self._start = dict(message)
            return
        start, self._start = self._start, None
        if start is None:
            await self._send(message)
            return
        if message.get("more_body", False):
            await self._send(start)
            await self._send(message)
            return
        tag = tag_of(message.get("body", b""))
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["ETag"] = tag
        if not matches(self._asked, tag):
            await self._send({**start, "headers": headers.raw})
            await self._send(message)
            return
        del headers["content-length"]
        del headers["content-type"]
        await self._send({**start, "status": 304, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": b""})


def _may_be_tagged(start: Message) -> bool:
    headers = Headers(raw=list(start["headers"]))
    is_json = headers.get("content-type", "").startswith("application/json")
    kept = "no-store" not in headers.get("cache-control", "")
    return start["status"] == 200 and is_json and kept and "etag" not in headers  # noqa: PLR2004 - HTTP's OK
