"""One signed POST of a notification, and what its answer means (design 4.6).

Promise: bounded in time and in bytes, follows no redirect, asks no proxy and no `.netrc`, goes to
no address that its channel may not reach; delivered means 2xx with `{"receipt": ...}` and nothing
else does.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpx

from core import sending
from core.errors import Misconfigured
from ingest import outgoing
from ingest.addresses import AS_IT_IS, Gate
from store.notifications import Attempt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from ingest.addresses import Environment
    from ingest.channels import Webhook
    from store.notifications import Due

DEADLINE_S: Final = 20.0  # of the whole exchange, however slowly it drips
_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
MOST_ANSWER_BYTES: Final = 65_536
MOST_RECEIPT_CHARS: Final = 200
MOST_DETAIL_CHARS: Final = 300
KEY_NAME_CHARS: Final = 16


def sign(secret: bytes, at: datetime, body: bytes) -> str:
    """Return the header that proves who sent these bytes, and when."""
    stamp = str(int(at.timestamp()))
    digest = hmac.digest(secret, stamp.encode() + b"." + body, "sha256").hex()
    return f"t={stamp},v1={digest}"


def sign_by_key(signer: tuple[Callable[[bytes], bytes], str], at: datetime, body: bytes) -> str:
    """Return the header that anyone with the public key can check, who sent these bytes, and when.

    `k` names the key, so that a receiver knows two while one takes the other's place.
    """
    private, public = signer
    stamp = str(int(at.timestamp()))
    signature = private(stamp.encode() + b"." + body).hex()
    return f"t={stamp},k={key_name(public)},v1={signature}"


def key_name(public: str) -> str:
    """Return the short name of a public key "ed25519:<base64>": a hash of it as it is written."""
    return hashlib.sha256(public.encode()).hexdigest()[:KEY_NAME_CHARS]


@dataclass(frozen=True, slots=True)
class Link:
    """An open way to one webhook: a transport."""

    channel: Webhook
    client: httpx.AsyncClient

    async def send(self, due: Due, clock: Callable[[], datetime]) -> Attempt:
        """Send a notification once and return how it went; raises nothing but cancellation."""
        at = clock()
        loop = asyncio.get_running_loop()
        began = loop.time()
        status: int | None = None
        receipt: str | None = None
        try:
            async with asyncio.timeout(DEADLINE_S):
                status, answer = await self._exchange(due, at)
            receipt, detail = _judge(status, answer)
        except TimeoutError:
            detail = f"no whole answer within {DEADLINE_S:.0f} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # Not all errors of TLS are httpx's: a late demand for a client certificate is not.
            detail = f"{type(error).__name__}: {error}".rstrip(": ")
        except Misconfigured as error:
            detail = f"not sent: {error}"
        took_ms = round((loop.time() - began) * 1000)
        return Attempt(at, took_ms, status, receipt, sending.one_line(detail, MOST_DETAIL_CHARS))

    async def _exchange(self, due: Due, at: datetime) -> tuple[int, bytes]:
        body = due.body.encode()
        headers = {
            "Content-Type": "application/json",
            "Danhao-Signature": sign(self.channel.secret(), at, body),
            "Idempotency-Key": str(due.id),
        }
        signer = self.channel.signer()
        if signer is not None:
            headers["Danhao-Signature-Ed25519"] = sign_by_key(signer, at, body)
        return await outgoing.exchange(
            self.client, self.channel.url, body, headers, MOST_ANSWER_BYTES
        )


def client(channel: Webhook, environment: Environment = AS_IT_IS) -> httpx.AsyncClient:
    """Return a client for one channel; the caller closes it.

    Raises Misconfigured where the channel's certificates cannot be read.
    """
    gate = Gate(channel.private, environment.resolve)
    trust = outgoing.trusted(channel.ca_file)
    return outgoing.client(trust, _TIMEOUT, most_connections=2, gate=gate)


@asynccontextmanager
async def open_link(channel: Webhook, environment: Environment) -> AsyncIterator[Link]:
    """Open the way to a webhook; raises Misconfigured where certificates cannot be read."""
    async with client(channel, environment) as link:
        yield Link(channel, link)


def _judge(status: int, answer: bytes) -> tuple[str | None, str]:
    """Return the receipt, None where there is none, and one sentence."""
    if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's range of success
        return None, f"answered {status}"
    if len(answer) > MOST_ANSWER_BYTES:
        return None, f"answered {status} with more than {MOST_ANSWER_BYTES} bytes"
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None, f"answered {status} without JSON"
    receipt = found.get("receipt") if isinstance(found, dict) else None
    if not isinstance(receipt, str) or not 0 < len(receipt) <= MOST_RECEIPT_CHARS:
        return None, f"answered {status} without a receipt"
    if not receipt.isprintable():
        return None, f"answered {status} with a receipt that cannot be printed"
    return receipt, f"answered {status} with a receipt"
