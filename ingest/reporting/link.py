"""One POST to a platform and what came back: bounded in time and bytes, no redirect, no proxy."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from core.reportsession import line
from ingest import outgoing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingest.reporting.config import Platform

DEADLINE_S: Final = 30.0  # of the whole exchange, however slowly it drips
_TIMEOUT: Final = httpx.Timeout(15.0, connect=5.0)
MOST_ANSWER_BYTES: Final = 1 << 20  # tables of codes are the largest: some thousand rows


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back: `status` None where nothing did, and then why in one sentence."""

    took_ms: int
    status: int | None
    body: bytes
    failure: str


def client(platform: Platform) -> httpx.AsyncClient:
    """Return a client for one platform; the caller closes it.

    Raises Misconfigured where its certificates cannot be read.
    """
    trust = outgoing.trusted(
        platform.ca_file, platform.certificate_file, platform.certificate_key_file
    )
    return outgoing.client(trust, _TIMEOUT, most_connections=1)


async def post(link: httpx.AsyncClient, url: str, message: Mapping[str, Any]) -> Exchange:
    """Send a message once; raises nothing but cancellation."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    status: int | None = None
    body = b""
    failure = ""
    try:
        async with asyncio.timeout(DEADLINE_S):
            status, body = await _exchange(link, url, message)
    except TimeoutError:
        status, failure = None, f"no whole answer within {DEADLINE_S:.0f} s"
    except (httpx.HTTPError, OSError) as error:
        # What TLS 1.3 says of a certificate comes while reading, and past the client's own errors.
        status, failure = None, f"{type(error).__name__}: {error}".rstrip(": ")
    if len(body) > MOST_ANSWER_BYTES:
        status, failure = None, f"answered with more than {MOST_ANSWER_BYTES} bytes"
    return Exchange(round((loop.time() - began) * 1000), status, body, line(failure))


async def _exchange(
    link: httpx.AsyncClient, url: str, message: Mapping[str, Any]
) -> tuple[int, bytes]:
    content = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return await outgoing.exchange(link, url, content, headers, MOST_ANSWER_BYTES)
