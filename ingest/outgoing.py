"""What is posted to other people's hosts: which addresses, by which client, how much comes back.

Promise: plain http is for this machine only, no redirect is followed, no proxy and no `.netrc` is
asked, an answer is read no further than its bound, and behind a gate the connection goes to an
address that was judged, whatever the name leads to a moment later.
"""

from __future__ import annotations

import logging
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from core.errors import Misconfigured, Problem
from ingest import addresses

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ingest.addresses import Gate

TLS_PORT: Final = 443
PORT: Final = 80


def check_address(value: object, teller: str) -> str:
    """Return an address that may be posted to; raises ValueError with one sentence.

    `teller` is what tells the receiver who sends, instead of an account in the address.
    """
    text = value if isinstance(value, str) else ""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
        raise ValueError("write https://host/path")
    if any(each.isspace() or each == "%" for each in parts.hostname):
        raise ValueError("write https://host/path: the host holds a sign that no name has")
    if parts.username or parts.password:
        raise ValueError(f"leave the account out of the address: {teller} tells who sends")
    _ = parts.port  # raises ValueError where it is none
    try:
        httpx.URL(text).host.encode("idna")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(f"write https://host/path: the host is no name ({error})") from error
    if parts.scheme == "http" and not addresses.is_here(parts.hostname):
        raise ValueError("use https: plain http is for this machine only")
    return text


def host(url: str) -> str:
    """Return the host that an address names."""
    return urlsplit(url).hostname or ""


def client(
    trust: ssl.SSLContext,
    timeout: httpx.Timeout,
    most_connections: int,
    gate: Gate | None = None,
) -> httpx.AsyncClient:
    """Return a client for one receiver, behind a gate if there is one; the caller closes it."""
    # It logs every address at INFO, and the address of a chat's webhook is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    limits = httpx.Limits(max_connections=most_connections, max_keepalive_connections=1)
    plain = httpx.AsyncHTTPTransport(verify=trust, trust_env=False, limits=limits)
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=timeout,
        trust_env=False,
        transport=plain if gate is None else _Gated(plain, gate),
        headers={"User-Agent": "danhao"},
    )


class _Gated(httpx.AsyncBaseTransport):
    """Sends to the address that the gate permitted; TLS still asks for the name's certificate."""

    def __init__(self, inner: httpx.AsyncBaseTransport, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; the host in its header and in TLS stays what a person wrote."""
        wanted = request.url
        port = wanted.port or (TLS_PORT if wanted.scheme == "https" else PORT)
        name = wanted.raw_host.decode("ascii")  # as it goes over the line, in IDNA
        permitted = await self._gate.permitted(name, port)
        request.extensions = {**request.extensions, "sni_hostname": name}
        for address in permitted[:-1]:
            request.url = wanted.copy_with(host=address)
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue  # nothing was sent: the next address of the same name may answer
        request.url = wanted.copy_with(host=permitted[-1])
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what is open."""
        await self._inner.aclose()


def trusted(
    ca_file: Path | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """Return whom a client trusts and what it shows; raises Misconfigured for unreadable files."""
    try:
        trust = ssl.create_default_context(cafile=ca_file)
        if certificate is not None:
            trust.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        message = f"holds no certificate that can be used ({error}): write PEM"
        raise Misconfigured([Problem(str(ca_file or certificate), message)]) from error
    return trust


async def exchange(
    link: httpx.AsyncClient, url: str, content: bytes, headers: Mapping[str, str], most_bytes: int
) -> tuple[int, bytes]:
    """Post once; return the status and the answer, of which a longer one is cut past its bound."""
    async with link.stream("POST", url, content=content, headers=headers) as answer:
        found = b""
        async for part in answer.aiter_bytes():
            found += part
            if len(found) > most_bytes:
                break  # judged as it stands: no answer that counts is so long
        return answer.status_code, found
