"""The front door of the embedded broker: everything a client sends passes here first.

The broker behind it (`deploy.brokercore`) trusts what it reads: it would let a stranger take over
a session, keep a silent connection for ever, and publish any last will. So this door owns the
sockets. Promise: only whole, well-formed packets of a known account, within its topics, of at
most 16 MiB, from a client that keeps its keep-alive, go in; what breaks a rule ends its own
connection and no other. Each refusal is counted.

A PUBLISH beyond an account's rights is acknowledged and vanishes, as the standard allows (3.3.5);
a SUBSCRIBE beyond them gets 0x80; a CONNECT with a forbidden will is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from deploy import accounts, mqttwire

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_PACKET_BYTES: Final = (16 << 20) + 2 + mqttwire.MOST_TOPIC_BYTES + 2
_MOST_CONNECT_BYTES: Final = 5 * (2 + 65_535) + 10
_LARGE_BYTES: Final = 1 << 20
_MOST_LARGE_AT_ONCE: Final = 4
_MOST_FILTERS: Final = 4096
_MOST_UNRELEASED: Final = 100
_TAKEOVER_S: Final = 5.0
_SETTLE_S: Final = 3.0
_BACKLOG: Final = 64
_POLL_S: Final = 0.005
# No filter of an account can match either: the first has no `#` to itself, the second is no
# filter at all, which the broker answers with 0x80.
_NOWHERE: Final = "denied"
_NO_FILTER: Final = "#/denied"
_REFUSED_VERSION: Final = b"\x20\x02\x00\x01"
_REFUSED_VERSION_5: Final = b"\x20\x03\x00\x84\x00"
_REFUSED_ID: Final = b"\x20\x02\x00\x02"
_REFUSED_BUSY: Final = b"\x20\x02\x00\x03"
_REFUSED_ACCOUNT: Final = b"\x20\x02\x00\x05"
_LEVEL_5: Final = 5


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the door; times in seconds."""

    connect_s: float = 5.0
    body_s: float = 60.0
    write_s: float = 10.0
    connections: int = 512
    strangers: int = 64
    connections_per_account: int = 128
    packet_bytes: int = MOST_PACKET_BYTES


class Inside(Protocol):
    """What the door needs of the broker behind it."""

    async def serve(self, reader: ReadSide, writer: WriteSide) -> None:
        """Serve a connection whose first packet is a CONNECT, until it ends."""

    def backlog(self, client: str) -> int:
        """Return how many messages of this client wait to be passed on."""

    def is_full(self) -> bool:
        """Tell whether messages in flight reach their bound."""

    def may_retain(self, topic: str, size: int) -> bool:
        """Tell whether there is room to keep this message for later subscribers."""


class _Refused(Exception):  # noqa: N818 - a refusal is no error of ours
    """A CONNECT is answered with a refusal; `why` is the counter's name."""

    def __init__(self, answer: bytes, why: str) -> None:
        super().__init__(why)
        self.answer = answer


class _Gone(Exception):  # noqa: N818 - the connection's end is no error
    """The client has gone or broke a rule; the text is the counter's name."""


class Door:
    """Accepts connections on one TCP address and hands the good ones to the broker."""

    def __init__(
        self,
        inside: Inside,
        ticket: str,
        known: Mapping[str, accounts.Account],
        limits: Limits | None = None,
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.limits = limits or Limits()
        self.inside = inside
        self.ticket = ticket.encode()
        self.large = asyncio.Semaphore(_MOST_LARGE_AT_ONCE)
        self._known = known
        self._strangers = 0
        self._open: dict[tuple[str, str], Connection] = {}
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses for 0."""
        self._server = await asyncio.start_server(self._accept, host, port, backlog=256)
        address = self._server.sockets[0].getsockname()
        return int(address[1])

    def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._open.values()):
            connection.abort()

    def replace_accounts(self, known: Mapping[str, accounts.Account]) -> None:
        """Take new accounts; connections of those that changed or went are ended."""
        self._known = known
        for connection in list(self._open.values()):
            if known.get(connection.account.name) != connection.account:
                self.counters["revoked"] += 1
                connection.abort()

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._open)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counters["accepted"] += 1
        try:
            await self._serve(reader, writer)
        except _Refused as refusal:
            self.counters[f"refused: {refusal}"] += 1
            await self._answer(writer, refusal.answer)
        except (_Gone, mqttwire.Malformed) as error:
            self.counters[f"closed: {error}"] += 1
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self.counters["closed: connection lost"] += 1
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = await self._admit(reader, writer)
        try:
            await self.inside.serve(connection.read_side, connection.write_side)
        finally:
            connection.abort()
            if self._open.get(connection.key) is connection:
                del self._open[connection.key]
            connection.ended.set()

    async def _admit(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Connection:
        """Read and judge the CONNECT."""
        if self._strangers >= self.limits.strangers or self.connections >= self.limits.connections:
            raise _Gone("too many connections")
        self._strangers += 1
        try:
            async with asyncio.timeout(self.limits.connect_s):
                packet = await read_packet(reader, _MOST_CONNECT_BYTES)
                connect = mqttwire.parse_connect(packet)
        except mqttwire.WrongVersion as error:
            answer = _REFUSED_VERSION_5 if error.level == _LEVEL_5 else _REFUSED_VERSION
            raise _Refused(answer, "wrong protocol version") from None
        except TimeoutError:
            raise _Gone("no CONNECT in time") from None
        finally:
            self._strangers -= 1
        return await self._judge(connect, reader, writer)

    async def _judge(
        self,
        connect: mqttwire.Connect,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> Connection:
        account = self._known.get(connect.username or "")
        if account is None or not account.is_secret(connect.password or b""):
            raise _Refused(_REFUSED_ACCOUNT, "wrong account or password")
        if connect.will is not None and not account.may_publish(connect.will.topic):
            raise _Refused(_REFUSED_ACCOUNT, "forbidden will")
        if not connect.client_id and not connect.is_clean:
            raise _Refused(_REFUSED_ID, "no client id for a session")
        key = (account.name, connect.client_id or secrets.token_hex(16))
        await self._take_over(key)
        of_account = sum(1 for name, _ in self._open if name == account.name)
        if of_account >= self.limits.connections_per_account:
            raise _Refused(_REFUSED_BUSY, "too many connections of an account")
        connection = Connection(self, account, key, connect, reader, writer)
        self._open[key] = connection
        self.counters["connected"] += 1
        return connection

    async def _take_over(self, key: tuple[str, str]) -> None:
        """End the account's older connection with this client id, its will included (3.1.4)."""
        while (older := self._open.get(key)) is not None:
            self.counters["taken over"] += 1
            older.abort()
            async with asyncio.timeout(_TAKEOVER_S):
                await older.ended.wait()

    async def _answer(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        """Say why before hanging up, to a client that may not be listening."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self.limits.connect_s):
                writer.write(answer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()


class Connection:
    """One admitted client: its account, its two sides, its end."""

    def __init__(
        self,
        door: Door,
        account: accounts.Account,
        key: tuple[str, str],
        connect: mqttwire.Connect,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.door = door
        self.account = account
        self.key = key
        self.ended = asyncio.Event()
        self._transport = writer.transport
        # A name of our own for each connection: ids of clients, however odd, stay outside, and
        # the broker never mixes up an ending connection with the one that follows it.
        self.client = secrets.token_hex(16)
        inner = replace(connect, client_id=self.client, username=self.client, password=door.ticket)
        # No session outlives its connection: the receipt of design 4.2 makes up for it, and an
        # absent client's queue cannot grow. Keep-alive is the door's to watch.
        inner = replace(inner, is_clean=True, keep_alive_s=0)
        if inner.will is not None and not door.inside.may_retain(
            inner.will.topic, len(inner.will.message)
        ):
            inner = replace(inner, will=replace(inner.will, is_retained=False))
        self.read_side = ReadSide(self, reader, inner, connect.keep_alive_s * 1.5 or None)
        self.write_side = WriteSide(self, writer, door.limits.write_s)
        sock = writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def abort(self) -> None:
        """End the connection at once; the broker reads its end and publishes the will."""
        self.read_side.is_over = True
        self._transport.abort()


class ReadSide:
    """What the broker reads: the client's packets, judged and, where need be, rewritten."""

    def __init__(
        self,
        connection: Connection,
        reader: asyncio.StreamReader,
        connect: mqttwire.Connect,
        silence_s: float | None,
    ) -> None:
        self.is_over = False
        self._connection = connection
        self._door = connection.door
        self._reader = reader
        self._silence_s = silence_s
        self._data = mqttwire.encode_connect(connect)
        self._at = 0
        self._filters: set[str] = set()
        self._unreleased: set[int] = set()

    async def read(self, n: int = -1) -> bytes:
        """Return the next bytes; fewer than asked for mean the end."""
        if self._at == len(self._data):
            self._data, self._at = await self._next(), 0
        end = len(self._data) if n < 0 else self._at + n
        piece = self._data[self._at : end]
        self._at += len(piece)
        return piece

    def feed_eof(self) -> None:
        """Let the next read be the end."""
        self.is_over = True

    async def _next(self) -> bytes:
        """Return the next packet for the broker, or nothing at the connection's end."""
        # The broker handles each packet in a task of its own and drops what has not begun when
        # the connection ends: give the last one its turn.
        await asyncio.sleep(0)
        if self.is_over:
            return b""
        try:
            packet = await self._receive()
            data = await self._judge(packet)
        except (_Gone, mqttwire.Malformed) as error:
            self._door.counters[f"closed: {error}"] += 1
        except (OSError, asyncio.IncompleteReadError):
            self._door.counters["closed: connection lost"] += 1
        else:
            if packet.kind == mqttwire.Kind.DISCONNECT:
                self.is_over = True
                await self._settle()
            return data
        self.is_over = True
        await self._settle()
        return b""

    async def _receive(self) -> mqttwire.Packet:
        try:
            async with asyncio.timeout(self._silence_s):
                first = await self._reader.readexactly(1)
        except TimeoutError:
            raise _Gone("silent beyond its keep-alive") from None
        try:
            async with asyncio.timeout(self._door.limits.body_s):
                size = await read_length(self._reader)
                if size > self._door.limits.packet_bytes:
                    raise _Gone("a packet beyond 16 MiB")
                crowd = self._door.large if size > _LARGE_BYTES else contextlib.nullcontext()
                async with crowd:
                    body = await self._reader.readexactly(size)
        except TimeoutError:
            raise _Gone("a packet that does not end") from None
        return mqttwire.Packet(first[0] >> 4, first[0] & 15, body)

    async def _judge(self, packet: mqttwire.Packet) -> bytes:
        mqttwire.check_from_client(packet)
        if packet.kind == mqttwire.Kind.PUBLISH:
            return await self._judge_publish(packet)
        if packet.kind == mqttwire.Kind.SUBSCRIBE:
            return self._judge_subscribe(packet)
        if packet.kind == mqttwire.Kind.UNSUBSCRIBE:
            self._filters.difference_update(mqttwire.parse_unsubscribe(packet))
        if packet.kind == mqttwire.Kind.PUBREL:
            self._unreleased.discard(int.from_bytes(packet.body, "big"))
        return mqttwire.encode(packet)

    async def _judge_publish(self, packet: mqttwire.Packet) -> bytes:
        publish = mqttwire.parse_publish(packet)
        counters = self._door.counters
        counters["published"] += 1
        if packet.qos > 1:
            self._unreleased.add(publish.packet_id)
            if len(self._unreleased) > _MOST_UNRELEASED:
                raise _Gone("too many unreleased QoS 2 messages")
        if not self._connection.account.may_publish(publish.topic):
            counters["denied publishes"] += 1
            return mqttwire.encode_publish(_NOWHERE, packet.qos, publish.packet_id)
        size = len(packet.body) - publish.payload_at
        if packet.is_retained and size and not self._door.inside.may_retain(publish.topic, size):
            counters["not retained: no room"] += 1
            packet = packet._replace(flags=packet.flags & ~1)
        await self._wait_for_room()
        return mqttwire.encode(packet)

    def _judge_subscribe(self, packet: mqttwire.Packet) -> bytes:
        packet_id, wanted = mqttwire.parse_subscribe(packet)
        answered = []
        for text, qos in wanted:
            if not mqttwire.is_filter(text) or not self._connection.account.may_subscribe(text):
                self._door.counters["denied subscriptions"] += 1
                answered.append((_NO_FILTER, qos))
                continue
            self._filters.add(text)
            answered.append((text, min(qos, 1)))  # a lower one may be granted (3.8.4)
        if len(self._filters) > _MOST_FILTERS:
            raise _Gone("too many subscriptions")
        return mqttwire.encode_subscribe(packet_id, answered)

    async def _wait_for_room(self) -> None:
        """Hold this publisher back, by TCP, while the broker has more than it can pass on."""
        inside = self._door.inside
        is_counted = False
        while inside.backlog(self._connection.client) >= _BACKLOG or inside.is_full():
            if not is_counted:
                is_counted = True
                self._door.counters["held back"] += 1
            if self.is_over:
                raise _Gone("ended while held back")
            await asyncio.sleep(_POLL_S)  # the broker tells nobody when it has room again

    async def _settle(self) -> None:
        """Wait until what this client was thanked for is passed on; the broker drops the rest."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLE_S):
                await asyncio.sleep(0)
                while self._door.inside.backlog(self._connection.client):  # noqa: ASYNC110 - see above
                    await asyncio.sleep(_POLL_S)


class WriteSide:
    """What the broker writes to: the socket, with a bound on how long a client may not read."""

    def __init__(
        self, connection: Connection, writer: asyncio.StreamWriter, write_s: float
    ) -> None:
        self._connection = connection
        self._writer = writer
        self._write_s = write_s
        self._peer: tuple[str, int] = writer.get_extra_info("peername")[:2]

    def write(self, data: bytes) -> None:
        """Write one whole packet, if the connection is still there."""
        if not self._writer.is_closing():
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait for the client to read; one that does not is cut off."""
        try:
            async with asyncio.timeout(self._write_s):
                await self._writer.drain()
        except TimeoutError:
            self._connection.door.counters["closed: does not read"] += 1
            self._connection.abort()
            raise ConnectionResetError("the client does not read") from None

    def get_peer_info(self) -> tuple[str, int]:
        """Return address and port of the client."""
        return self._peer

    def get_ssl_info(self) -> None:
        """Return nothing: there is no TLS on loopback."""

    async def close(self) -> None:
        """Flush and close, within bounds."""
        if not self._writer.is_closing():
            with contextlib.suppress(OSError):
                await self.drain()
            self._writer.close()


async def read_packet(reader: asyncio.StreamReader, most_bytes: int) -> mqttwire.Packet:
    """Read one packet of bounded size."""
    first = (await reader.readexactly(1))[0]
    if first >> 4 != mqttwire.Kind.CONNECT:
        raise mqttwire.Malformed("the first packet is no CONNECT")
    size = await read_length(reader)
    if size > most_bytes:
        raise mqttwire.Malformed("a CONNECT is too long")
    return mqttwire.Packet(first >> 4, first & 15, await reader.readexactly(size))


async def read_length(reader: asyncio.StreamReader) -> int:
    """Read the remaining length of a packet: at most four bytes of seven bits (2.2.3)."""
    size = 0
    for index in range(mqttwire.MOST_LENGTH_BYTES):
        digit = (await reader.readexactly(1))[0]
        size |= (digit & 0x7F) << 7 * index
        if digit < 0x80:  # noqa: PLR2004 - the continuation bit
            return size
    raise mqttwire.Malformed("a remaining length has more than four bytes")
