"""What the publisher takes for its link to a broker: aiomqtt's calls, on the simulated broker."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Self
from unittest import mock

import aiomqtt

from deploy.faultworld.broker import HOP_S, Message
from deploy.faultworld.schedule import Kind
from edge import brokerlink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.faultworld.broker import Broker, Link
    from deploy.faultworld.process import Process
    from deploy.faultworld.schedule import Schedule

_GRANTED: Final = 1


class _Messages:
    """The messages of a client, one after the other until its connection is gone."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SimpleNamespace:
        return await self._client.next_message()


class Client:
    """One MQTT connection of an agent, as edge.brokerlink makes them."""

    def __init__(self, network: Network, *_: Any, **named: Any) -> None:
        self._network = network
        self.identifier = str(named.get("identifier"))
        self._process = network.process_of(self.identifier)
        will = named.get("will")
        self._will = None if will is None else Message(will.topic, will.payload, will.retain)
        self._link: Link | None = None
        self._arrived = asyncio.Event()
        self.messages = _Messages(self)

    async def __aenter__(self) -> Self:
        await self._step()
        try:
            self._link = self._network.broker.connect(
                self.identifier,
                persistent=True,
                arrived=self._arrived.set,
                will=self._will,
            )
        except OSError as error:
            raise aiomqtt.MqttError(str(error)) from error
        await self._step()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._link is not None and self._link.up and self._process.alive:
            self._network.broker.cut(self.identifier, farewell=True)

    async def subscribe(self, topic: Any, *_: Any, **__: Any) -> tuple[int, ...]:
        """Subscribe to a topic, or to a list of (topic, QoS)."""
        wanted = [topic] if isinstance(topic, str) else [each[0] for each in topic]
        link = await self._standing()
        self._network.broker.subscribe(link, wanted)
        await self._step()
        return tuple(_GRANTED for _ in wanted)

    async def publish(
        self, topic: str, payload: bytes = b"", *_: Any, retain: bool = False, **__: Any
    ) -> None:
        """Publish and wait for the broker's answer, which may be lost after it took the message."""
        await self._standing()
        await self._step()
        link = await self._standing()
        self._network.broker.publish(topic, payload, retain=retain)
        if self._network.schedule.hit(Kind.ANSWER_OF_BROKER_LOST, self.identifier):
            self._network.broker.cut(self.identifier)
        await self._step()
        if not link.up:
            raise aiomqtt.MqttError("the simulated connection was lost")

    async def next_message(self) -> SimpleNamespace:
        """Return the next message, acknowledged as aiomqtt does, on arrival."""
        while True:
            link = await self._standing()
            found = self._network.broker.fetch(link)
            if found is not None:
                number, message = found
                self._network.broker.acknowledge(link, number)
                return SimpleNamespace(
                    topic=aiomqtt.Topic(message.topic),
                    payload=message.payload,
                    retain=message.retain,
                    qos=1,
                    properties=None,
                )
            self._arrived.clear()
            await _either(self._arrived, link.lost)

    async def _standing(self) -> Link:
        await self._process.thawed()
        if self._link is None or not self._link.up:
            raise aiomqtt.MqttError("the simulated connection is lost")
        return self._link

    async def _step(self) -> None:
        draws = self._network.schedule.stream(f"network of {self.identifier}")
        await asyncio.sleep(HOP_S * (0.2 + draws.random()))
        await self._process.thawed()


class Network:
    """The clients of one schedule, and which program each belongs to."""

    def __init__(self, broker: Broker, schedule: Schedule) -> None:
        self.broker = broker
        self.schedule = schedule
        self._processes: dict[str, Process] = {}

    def belongs_to(self, identifier: str, process: Process) -> None:
        """Say whose client a name is."""
        self._processes[identifier] = process

    def process_of(self, identifier: str) -> Process:
        """Return the program of a client."""
        return self._processes[identifier]

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Put the simulated client in the place of edge.brokerlink's for the block."""

        def client(*arguments: Any, **named: Any) -> Client:
            return Client(self, *arguments, **named)

        with mock.patch.object(brokerlink, "client", client):
            yield


async def _either(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    waiting = [asyncio.ensure_future(each.wait()) for each in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
