"""Promises of the embedded broker, kept with the real one and hostile clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from core import errors
from deploy import accounts, broker, brokercore, door, mqttwire
from deploy.mqttwire import Kind, Packet
from tests.deploy import helpers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = [pytest.mark.broker]

OWN = "danhao/v1/gh-al/gw-01"
SECRETS = {"gh-al.gw-01": "agent", "qh-fa.gw-01": "other", "ingest": "ingest", "tools": "tools"}
KNOWN = [
    accounts.agent_account("gh-al", "gw-01", "agent"),
    accounts.agent_account("qh-fa", "gw-01", "other"),
    accounts.ingest_account("ingest"),
    accounts.tools_account("tools"),
]


class ManualAck(aiomqtt.Client):
    """Acknowledges when told to, as ingest does after its commit."""

    def __init__(self, port: int, name: str, identifier: str) -> None:
        super().__init__(
            "127.0.0.1", port, username=name, password=SECRETS[name], identifier=identifier
        )
        self._client.manual_ack_set(on=True)

    def ack(self, message: aiomqtt.Message) -> None:
        self._client.ack(message.mid, message.qos)


@dataclass
class Running:
    """A broker in this process: its door, its core, its port, its accounts file."""

    front: door.Door
    core: brokercore.Core
    port: int

    def client(self, name: str, **more: object) -> aiomqtt.Client:
        return aiomqtt.Client(
            "127.0.0.1",
            self.port,
            username=name,
            password=SECRETS[name],
            **more,  # type: ignore[arg-type] # keywords of the client
        )

    async def raw(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextlib.asynccontextmanager
async def serving(limits: door.Limits | None = None) -> AsyncIterator[Running]:
    core = brokercore.Core()
    await core.start()
    front = door.Door(core, core.ticket, {known.name: known for known in KNOWN}, limits)
    port = await front.open("127.0.0.1", 0)
    try:
        yield Running(front, core, port)
    finally:
        front.close()
        await core.shutdown()


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with serving() as found:
        yield found


def connect_bytes(
    client_id: str = "x",
    *,
    name: str | None = "tools",
    password: bytes | None = b"tools",
    keep_alive_s: int = 60,
    will: mqttwire.Will | None = None,
) -> bytes:
    return mqttwire.encode_connect(
        mqttwire.Connect(
            client_id,
            keep_alive_s,
            is_clean=True,
            will=will,
            username=name,
            password=password,
        )
    )


async def exchange(found: Running, data: bytes, expected: int = 4) -> bytes:
    """Send bytes on a new connection and return what comes until its end or enough came."""
    reader, writer = await found.raw()
    try:
        writer.write(data)
        async with asyncio.timeout(10):
            try:
                return await reader.readexactly(expected)
            except asyncio.IncompleteReadError as error:
                return error.partial
            except ConnectionResetError:
                return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process or task does."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.01)


async def assert_serves(found: Running) -> None:
    """Check that a message of an honest agent still reaches an honest reader."""
    async with found.client("ingest") as reader, found.client("gh-al.gw-01") as agent:
        await reader.subscribe(f"{OWN}/readings", qos=1)
        await agent.publish(f"{OWN}/readings", b"still here", qos=1)
        async with asyncio.timeout(10):
            message = await anext(aiter(reader.messages))
        assert message.payload == b"still here"


@pytest.mark.slow
async def test_two_thousand_large_messages_arrive_once_each_in_order(running: Running) -> None:
    count, body = 2000, os.urandom(20_000)
    async with ManualAck(running.port, "ingest", "worker") as reader:
        await reader.subscribe("danhao/v1/+/+/readings", qos=1)

        async def publish() -> None:
            async with running.client("gh-al.gw-01") as agent:
                for number in range(count):
                    data = number.to_bytes(4, "big") + body
                    await agent.publish(f"{OWN}/readings", data, qos=1)

        sending = asyncio.create_task(publish())
        got = []
        async with asyncio.timeout(60):
            async for message in reader.messages:
                assert isinstance(message.payload, bytes)
                got.append(int.from_bytes(message.payload[:4], "big"))
                reader.ack(message)
                if len(got) == count:
                    break
            await sending
        assert got == list(range(count))
    assert running.core.counters["not acknowledged"] == 0


async def test_messages_thanked_for_are_passed_on_though_their_sender_leaves(
    running: Running,
) -> None:
    async with running.client("ingest") as reader:
        await reader.subscribe("danhao/v1/+/+/readings", qos=1)
        body = mqttwire.encode_publish(f"{OWN}/readings", 0, 0, b"x")
        raw, writer = await running.raw()
        writer.write(
            connect_bytes() + body * 300 + mqttwire.encode(Packet(Kind.DISCONNECT, 0, b""))
        )
        writer.write_eof()
        async with asyncio.timeout(10):
            messages = aiter(reader.messages)
            for _ in range(300):
                await anext(messages)
        assert (await raw.readexactly(4)) == b"\x20\x02\x00\x00"
        writer.close()


async def test_a_retained_receipt_waits_for_its_reader_and_is_cleared_by_an_empty_one(
    running: Running,
) -> None:
    async with running.client("ingest") as ingest:
        await ingest.publish(f"{OWN}/ack", b"old", qos=1, retain=True)
        await ingest.publish(f"{OWN}/ack", b"new", qos=1, retain=True)
    for _ in range(2):
        async with running.client("gh-al.gw-01") as agent:
            await agent.subscribe(f"{OWN}/ack", qos=1)
            async with asyncio.timeout(10):
                message = await anext(aiter(agent.messages))
            assert (message.payload, message.retain) == (b"new", True)
    async with running.client("ingest") as ingest:
        await ingest.publish(f"{OWN}/ack", b"", qos=1, retain=True)
        await ingest.publish(f"{OWN}/ack", b"live", qos=1)
    assert running.core.retained_bytes == 0
    assert not running.core.retained_messages


async def test_nobody_gets_what_he_did_not_subscribe_to(running: Running) -> None:
    async with running.client("ingest") as ingest, running.client("tools") as tools:
        await tools.subscribe("danhao/v1/#", qos=1)
        await ingest.publish(f"{OWN}/ack", b"secret", qos=1, retain=True)
        async with running.client("qh-fa.gw-01") as stranger:
            codes = await stranger.subscribe(
                [("danhao/v1/#", 1), (f"{OWN}/ack", 1), ("danhao/v1/qh-fa/gw-01/ack", 2)]
            )
            assert [getattr(code, "value", code) for code in codes] == [0x80, 0x80, 1]
            await ingest.publish("danhao/v1/qh-fa/gw-01/ack", b"own", qos=1)
            async with asyncio.timeout(10):
                message = await anext(aiter(stranger.messages))
            assert message.payload == b"own"
            assert len(stranger.messages) == 0


async def test_a_forbidden_publish_vanishes_and_ends_no_connection(running: Running) -> None:
    async with running.client("tools") as tools, running.client("qh-fa.gw-01") as agent:
        await tools.subscribe("danhao/v1/#", qos=1)
        for topic in (f"{OWN}/readings", "danhao/v1/qh-fa/gw-01/ack", "denied", "$SYS/x"):
            for qos in (0, 1, 2):
                await agent.publish(topic, b"forged", qos=qos, retain=True)
        await agent.publish("danhao/v1/qh-fa/gw-01/readings", b"own", qos=2)
        async with asyncio.timeout(10):
            message = await anext(aiter(tools.messages))
        assert message.payload == b"own"
        assert len(tools.messages) == 0
    assert running.front.counters["denied publishes"] == 12
    assert not running.core.retained_messages


async def test_a_last_will_is_published_when_its_client_vanishes_and_obeys_the_rights(
    running: Running,
) -> None:
    will = mqttwire.Will(f"{OWN}/status", b"offline", 1, is_retained=True)
    async with running.client("tools") as tools:
        await tools.subscribe("danhao/v1/#", qos=1)
        reader, writer = await running.raw()
        writer.write(connect_bytes(name="gh-al.gw-01", password=b"agent", will=will))
        assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
        writer.transport.abort()
        async with asyncio.timeout(10):
            message = await anext(aiter(tools.messages))
        assert message.payload == b"offline"
        forged = connect_bytes(name="qh-fa.gw-01", password=b"other", will=will)
        assert await exchange(running, forged) == b"\x20\x02\x00\x05"
        assert len(tools.messages) == 0


@pytest.mark.parametrize(
    ("name", "password"),
    [("tools", b"wrong"), ("nobody", b"tools"), (None, None), ("tools", None), ("", b"")],
)
async def test_strangers_are_refused(
    running: Running, name: str | None, password: bytes | None
) -> None:
    answer = await exchange(running, connect_bytes(name=name, password=password))
    assert answer == b"\x20\x02\x00\x05"
    assert running.front.connections == 0


@pytest.mark.parametrize(
    "client_id",
    ["+", "#", "$SYS", "/", "a/b/+/#", "", "x" * 65_535, "电解", "\U0001f525", "' or 1=1", "\n"],
)
async def test_odd_client_ids_are_served_like_any_other(running: Running, client_id: str) -> None:
    assert await exchange(running, connect_bytes(client_id)) == b"\x20\x02\x00\x00"
    await assert_serves(running)


def with_protocol(name: bytes, level: int) -> bytes:
    body = len(name).to_bytes(2, "big") + name + bytes((level, 2, 0, 60, 0, 1)) + b"x"
    return mqttwire.encode(Packet(Kind.CONNECT, 0, body))


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (with_protocol(b"MQTT", 5), b"\x20\x03\x00\x84"),
        (with_protocol(b"MQTT", 3), b"\x20\x02\x00\x01"),
        (with_protocol(b"MQIsdp", 3), b"\x20\x02\x00\x01"),
        (with_protocol(b"HTTP", 4), b""),
        (with_protocol(b"", 4), b""),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
        (b"\x16\x03\x01\x02\x00\x01", b""),
        (bytes(2000), b""),
        (b"\xff" * 2000, b""),
        (b"\x10\xff\xff\xff\xff\x01", b""),
        (b"\x10\xff\xff\xff\x7f", b""),
        (b"\x10\x00", b""),
        (connect_bytes() + connect_bytes(), b"\x20\x02\x00\x00"),
        (connect_bytes() + b"\xf0\x00", b"\x20\x02\x00\x00"),
        (connect_bytes() + b"\x36\x05\x00\x01x\x00\x01", b"\x20\x02\x00\x00"),
        (connect_bytes() + b"\x32\x03\x00\x09x", b"\x20\x02\x00\x00"),
        (connect_bytes() + b"\x30\x04\x00\x02\xff\xfe", b"\x20\x02\x00\x00"),
        (connect_bytes() + b"\x30\x05\x00\x03a/#", b"\x20\x02\x00\x00"),
        (connect_bytes() + b"\x82\x02\x00\x01", b"\x20\x02\x00\x00"),
        (connect_bytes() + b"\x40\x02\x00\x07" * 500, b"\x20\x02\x00\x00"),
        (connect_bytes() + b"\x62\x02\x00\x07" * 500, b"\x20\x02\x00\x00"),
    ],
)
async def test_hostile_bytes_end_at_most_their_own_connection(
    running: Running, data: bytes, answer: bytes
) -> None:
    async with running.client("tools"):
        assert await exchange(running, data) == answer
        await assert_serves(running)


async def test_a_stranger_cannot_end_or_take_over_a_session(running: Running) -> None:
    async with running.client("gh-al.gw-01", identifier="same") as agent:
        wrong = connect_bytes("same", name="gh-al.gw-01", password=b"wrong")
        assert await exchange(running, wrong) == b"\x20\x02\x00\x05"
        other = connect_bytes("same", name="qh-fa.gw-01", password=b"other")
        assert await exchange(running, other) == b"\x20\x02\x00\x00"
        await agent.publish(f"{OWN}/readings", b"x", qos=1, timeout=10)


async def test_a_client_that_returns_takes_over_from_its_former_connection(
    running: Running,
) -> None:
    old_reader, old_writer = await running.raw()
    old_writer.write(connect_bytes("same"))
    assert await old_reader.readexactly(4) == b"\x20\x02\x00\x00"
    assert await exchange(running, connect_bytes("same")) == b"\x20\x02\x00\x00"
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionResetError):
            assert await old_reader.read() == b""
    old_writer.close()
    assert running.front.counters["taken over"] == 1


async def test_silent_and_half_open_connections_are_ended() -> None:
    limits = door.Limits(connect_s=0.2, body_s=0.2)
    async with serving(limits) as found:
        assert await exchange(found, b"") == b""
        assert await exchange(found, b"\x10\x20\x00") == b""
        assert found.front.counters["closed: no CONNECT in time"] == 2
        # Half a packet after a good beginning, and silence beyond the keep-alive.
        assert len(await exchange(found, connect_bytes() + b"\x30\x7f\x00", 5)) == 4
        assert len(await exchange(found, connect_bytes(keep_alive_s=1), 5)) == 4
        await assert_serves(found)


async def test_the_number_of_connections_is_bounded() -> None:
    async with serving(door.Limits(connections=3, strangers=2)) as found:
        held = [await found.raw() for _ in range(2)]
        await asyncio.sleep(0)
        assert await exchange(found, connect_bytes("late")) == b""
        for _, writer in held:
            writer.close()
        async with asyncio.timeout(10):
            while await exchange(found, connect_bytes("later")) != b"\x20\x02\x00\x00":
                pass
        assert found.front.counters["closed: too many connections"] >= 1


@pytest.mark.slow
async def test_sixteen_mebibytes_pass_and_more_ends_the_connection(running: Running) -> None:
    async with running.client("tools") as tools, running.client("gh-al.gw-01") as agent:
        await tools.subscribe(f"{OWN}/readings", qos=1)
        payload = bytes(16 << 20)
        await agent.publish(f"{OWN}/readings", payload, qos=1, timeout=30)
        async with asyncio.timeout(30):
            message = await anext(aiter(tools.messages))
        assert message.payload == payload
        size = (16 << 20) + 2000
        topic = f"{OWN}/readings".encode()
        head = bytearray(b"\x30")
        while size:
            size, digit = divmod(size, 128)
            head.append(digit | (0x80 if size else 0))
        data = connect_bytes("big") + bytes(head) + len(topic).to_bytes(2, "big") + topic
        assert len(await exchange(running, data, 5)) == 4
        assert running.front.counters["closed: a packet beyond 16 MiB"] == 1
        await agent.publish(f"{OWN}/readings", b"x", qos=1, timeout=10)


async def test_retained_messages_are_bounded(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokercore, "MOST_RETAINED", 3)
    monkeypatch.setattr(brokercore, "MOST_RETAINED_BYTES", 1000)
    async with running.client("ingest") as ingest:
        for number in range(10):
            await ingest.publish(f"danhao/v1/s/gw-{number}/ack", b"x", qos=1, retain=True)
        await ingest.publish("danhao/v1/s/gw-0/ack", bytes(2000), qos=1, retain=True)
        await ingest.publish("danhao/v1/s/gw-0/ack", bytes(500), qos=1, retain=True)
        await ingest.publish("danhao/v1/s/gw-1/readings", b"", qos=1)
    kept = running.core.retained_messages
    assert len(kept) == 3
    assert running.core.retained_bytes == sum(len(one.data) for one in kept.values()) == 502
    assert running.front.counters["not retained: no room"] == 8


@pytest.mark.slow
async def test_a_reader_that_does_not_read_holds_up_nobody_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(brokercore, "MOST_FLYING_BYTES", 4 << 20)
    async with serving(door.Limits(write_s=0.5)) as found:
        _, writer = await found.raw()
        writer.write(connect_bytes("deaf") + mqttwire.encode_subscribe(1, [("danhao/v1/#", 0)]))
        await writer.drain()
        writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket transport has it
        async with found.client("gh-al.gw-01") as agent:
            async with asyncio.timeout(30):
                for _ in range(100):
                    await agent.publish(f"{OWN}/readings", bytes(200_000), qos=1)
        assert found.core.flying_cost <= 5 << 20
        assert found.front.counters["closed: does not read"] == 1
        writer.transport.abort()


async def test_changed_accounts_take_effect_and_end_old_connections(running: Running) -> None:
    async with running.client("tools") as tools:
        reader, writer = await running.raw()
        writer.write(connect_bytes(name="gh-al.gw-01", password=b"agent"))
        assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
        running.front.replace_accounts({known.name: known for known in KNOWN[1:]})
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()
        refused = connect_bytes(name="gh-al.gw-01", password=b"agent")
        assert await exchange(running, refused) == b"\x20\x02\x00\x05"
        await tools.publish(f"{OWN}/readings", b"x", qos=1, timeout=10)


@pytest.mark.slow
async def test_a_running_child_follows_its_accounts_file_within_a_second(tmp_path: Path) -> None:
    embedded = broker.EmbeddedBroker(tmp_path / "broker")
    embedded.prepare(KNOWN[1:])
    child = embedded.child()
    process = await asyncio.create_subprocess_exec(
        *child.argv,
        env=helpers.environment(),
        cwd=helpers.ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await until(lambda: embedded.is_ready(process.pid))
        mode = (tmp_path / "broker" / "accounts.json").stat().st_mode
        assert mode & 0o777 == 0o600
        embedded.write_accounts(KNOWN)
        async with asyncio.timeout(2):
            while True:
                try:
                    async with aiomqtt.Client(
                        "127.0.0.1", embedded.port, username="gh-al.gw-01", password="agent"
                    ):
                        break
                except aiomqtt.MqttError:
                    await asyncio.sleep(0.05)
        (tmp_path / "broker" / "accounts.json").write_text("{")  # a mistake keeps the old ones
        process.terminate()
        assert process.stderr is not None
        said = (await process.stderr.read()).decode()
        assert await process.wait() == 0
        assert "listening on 127.0.0.1" in said
        assert not any(secret in said.split() for secret in SECRETS.values() if secret != "ingest")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"host": 1}', '{"host": "127.0.0.1", "port": "x"}', "{}"]
)
def test_a_wrong_configuration_ends_with_code_2_and_names_every_key(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "broker.json"
    path.write_text(content)
    with pytest.raises(errors.Misconfigured, match=r"broker\.json"):
        broker.read_config(path)


@pytest.mark.slow
def test_wrong_use_of_the_program_ends_with_code_2(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "deploy.broker", "--config", str(tmp_path / "broker.json")],
        cwd=helpers.ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.decode().count("must be a") == 4


@pytest.mark.slow
async def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    accounts.write(tmp_path / "accounts.json", KNOWN)
    async with serving() as found:
        config = broker.Config(
            "127.0.0.1", found.port, tmp_path / "accounts.json", tmp_path / "status.json"
        )
        with pytest.raises(errors.Retryable, match=f"cannot listen on 127.0.0.1:{found.port}"):
            await broker.run(config, asyncio.Event())


@pytest.mark.slow
async def test_the_status_names_process_and_counters(tmp_path: Path) -> None:
    accounts.write(tmp_path / "accounts.json", KNOWN)
    status = tmp_path / "status.json"
    stopping = asyncio.Event()
    config = broker.Config("127.0.0.1", 0, tmp_path / "accounts.json", status)
    task = asyncio.create_task(broker.run(config, stopping))
    await until(status.exists)
    said = json.loads(status.read_text())
    assert said["pid"] == os.getpid()
    assert {"port", "connections", "in_flight_bytes", "retained", "counters"} <= set(said)
    stopping.set()
    await task
