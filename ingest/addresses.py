"""Which addresses are spoken to: rules against requests that are led astray by a name.

A name is resolved once, its addresses are judged, and the connection goes to one that was judged,
so that a second answer of the name service changes nothing. Promise: what is not of the public
network is refused unless a person wrote `private = true`; link-local addresses and those where
clouds hand out credentials are refused always.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from core.errors import Misconfigured, Problem

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]
MOST_ADDRESSES: Final = 4  # of one name are tried: a deadline stands over all of them
# Where clouds answer with credentials, by their vendors' documentation; the first three lie in
# ranges that `private` opens, the fourth is a public one.
METADATA: Final = frozenset(
    map(ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"))
)
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the real address


def refusal(address: Address, *, private: bool, here: bool = False) -> str | None:
    """Return why an address is not spoken to, None where it is.

    `private` opens what is not of the public network, `here` this machine alone.
    """
    meant = _meant(address)
    if meant.is_link_local or meant in METADATA:
        return "lies where a machine's own credentials are handed out"
    if meant.is_loopback:
        told = "is this machine: write private = true if that is meant"
        return None if private or here else told
    if meant.is_multicast or meant.is_unspecified or meant.is_reserved:
        return "is no address of one machine"
    if meant.is_global or private:
        return None
    return "is not of the public network: write private = true if that is meant"


def _meant(address: Address) -> Address:
    """Return the address that another one carries within, as translators and tunnels have it."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def literal(host: str) -> Address | None:
    """Return the address that a host is written as, None for a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def is_here(host: str) -> bool:
    """Tell whether a person wrote that this machine is meant."""
    written = literal(host)
    return host == "localhost" if written is None else written.is_loopback


async def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host in the order of preference; raises OSError."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # what the system's code for names cannot write
        raise OSError(f"{host} is no name of a machine") from error
    addresses = [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]
    return list(dict.fromkeys(addresses))


@dataclass(frozen=True, slots=True)
class Environment:
    """What a transport finds around it: the name service."""

    resolve: Resolve = look_up


AS_IT_IS: Final = Environment()


@dataclass(frozen=True, slots=True)
class Gate:
    """Lets connections through to what a receiver may be."""

    private: bool
    resolve: Resolve

    async def permitted(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to, at most MOST_ADDRESSES.

        Raises Misconfigured where all are refused, OSError where the name has none.
        """
        here = is_here(host)
        refused = ""
        passed: list[str] = []
        for address in await self.resolve(host, port):
            why = refusal(address, private=self.private, here=here)
            if why is None:
                passed.append(str(address))
            else:
                refused = refused or f"{address} {why}"
        if not passed:
            raise Misconfigured([Problem(host, refused or "has no address: mend its name")])
        return passed[:MOST_ADDRESSES]
