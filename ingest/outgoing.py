"""What is posted to other people's hosts: which addresses, by which client, how much comes back.

Promise: plain http is for this machine only, no redirect is followed, no proxy and no `.netrc` is
asked, and an answer is read no further than its bound.
"""

from __future__ import annotations

import logging
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from core.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def check_address(value: object, teller: str) -> str:
    """Return an address that may be posted to; raises ValueError with one sentence.

    `teller` is what tells the receiver who sends, instead of an account in the address.
    """
    text = value if isinstance(value, str) else ""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
        raise ValueError("write https://host/path")
    if parts.username or parts.password:
        raise ValueError(f"leave the account out of the address: {teller} tells who sends")
    _ = parts.port  # raises ValueError where it is none
    if parts.scheme == "http" and not _is_here(parts.hostname):
        raise ValueError("use https: plain http is for this machine only")
    return text


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def client(
    trust: ssl.SSLContext, timeout: httpx.Timeout, most_connections: int
) -> httpx.AsyncClient:
    """Return a client for one receiver; the caller closes it."""
    # It logs every address at INFO, and the address of a chat's webhook is a secret.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=timeout,
        trust_env=False,
        verify=trust,
        limits=httpx.Limits(max_connections=most_connections, max_keepalive_connections=1),
        headers={"User-Agent": "danhao"},
    )


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
