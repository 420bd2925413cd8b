"""One POST to a platform and what came back: bounded in time and bytes, no redirect, no proxy."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from core.errors import Misconfigured, Problem
from core.reportsession import line

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
    try:
        trust = ssl.create_default_context(cafile=platform.ca_file)
        if platform.certificate_file is not None:
            trust.load_cert_chain(platform.certificate_file, platform.certificate_key_file)
    except (OSError, ssl.SSLError) as error:
        where = str(platform.ca_file or platform.certificate_file)
        message = f"holds no certificate that can be used ({error}): write PEM"
        raise Misconfigured([Problem(where, message)]) from error
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=_TIMEOUT,
        trust_env=False,
        verify=trust,
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        headers={"User-Agent": "danhao"},
    )


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
    async with link.stream("POST", url, content=content, headers=headers) as answer:
        found = b""
        async for part in answer.aiter_bytes():
            found += part
            if len(found) > MOST_ANSWER_BYTES:
                break
        return answer.status_code, found
