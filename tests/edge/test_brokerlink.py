"""Both versions of MQTT, TLS with and without a client's certificate, against real brokers."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttConnectError

from edge import brokerlink
from edge.brokerlink import Protocols
from edge.linksettings import Broker as BrokerSettings
from edge.linksettings import Destination
from tests.edge.certificates import Authority
from tests.edge.plant import BASE, running, store_behind, until
from tests.edge.test_publisher import at, keep, publisher
from tests.fixtures.broker import Broker, mosquitto_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.outbox import Outbox
    from tests.edge.certificates import Pair

pytestmark = pytest.mark.broker

_TLS = """\
listener {port} 127.0.0.1
allow_anonymous true
cafile {authority}
certfile {certificate}
keyfile {key}
tls_version tlsv1.2
require_certificate {required}
use_identity_as_username {required}
listener {plain} 127.0.0.1
allow_anonymous true
log_dest none
{user}
"""
_RIGHTS = """\
listener {port} 127.0.0.1
allow_anonymous true
acl_file {acl}
log_dest none
{user}
"""
_AMQTT = """\
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
"""


class Configured(Broker):
    """A broker with a configuration of the test's own."""

    def __init__(self, folder: Path, command: Any) -> None:
        super().__init__(folder)
        self._configured = command

    def _command(self) -> list[str]:
        command: list[str] = self._configured(self.port)
        return command


def mosquitto(folder: Path, text: str, **values: object) -> Broker:
    program = mosquitto_program()
    if program is None:
        pytest.skip("needs the Mosquitto of the distribution")
    file = folder / "mosquitto.conf"
    user = "user root" if os.geteuid() == 0 else ""

    def command(port: int) -> list[str]:
        file.write_text(text.format(port=port, user=user, **values))
        return [str(program), "-c", str(file)]

    return Configured(folder, command)


class Secure:
    """A Mosquitto that speaks TLS on one port, and in the clear to the test's store on another."""

    def __init__(self, folder: Path, *, mutual: bool) -> None:
        self.authority = Authority(folder)
        self.agent = self.authority.issue("gh-al.gw-01")
        server = self.authority.issue("broker")
        self.plain = Broker(folder).port
        self.broker = mosquitto(
            folder,
            _TLS,
            authority=self.authority.file,
            certificate=server.certificate,
            key=server.key,
            required=str(mutual).lower(),
            plain=self.plain,
        )

    def destination(
        self, protocol: str, pair: Pair | None = None, authority: Authority | None = None
    ) -> Destination:
        return Destination(
            "main",
            BrokerSettings.model_validate(
                {"url": f"mqtts://127.0.0.1:{self.broker.port}", "protocol": protocol}
            ),
            ca_file=(authority or self.authority).file,
            certificate_file=None if pair is None else pair.certificate,
            certificate_key_file=None if pair is None else pair.key,
        )


@pytest.fixture
def secure(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Secure]:
    made = Secure(tmp_path, mutual=getattr(request, "param", True))
    made.broker.start()
    yield made
    made.broker.stop()


@pytest.mark.parametrize("protocol", ["3.1.1", "5", "auto"])
async def test_each_version_of_mqtt_drains_the_outbox(
    protocol: str, box: Outbox, broker: Broker
) -> None:
    keep(box, 30)
    sender = publisher(at(broker.port, protocol=protocol), box)
    async with store_behind(broker.port) as store, running(sender.run()):
        await until(lambda: box.state().depth == 0)
    assert store.sequences == list(range(1, 31))


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
@pytest.mark.parametrize("secure", [False, True], indirect=True, ids=["tls", "mutual-tls"])
async def test_tls_and_mutual_tls_carry_the_same(
    secure: Secure, protocol: str, box: Outbox
) -> None:
    keep(box, 5)
    async with store_behind(secure.plain) as store:
        destination = secure.destination(protocol, secure.agent)
        async with running(publisher(destination, box).run()):
            await until(lambda: box.state().depth == 0)
    assert store.sequences == [1, 2, 3, 4, 5]


async def test_without_its_certificate_an_agent_is_not_let_in_and_keeps_everything(
    secure: Secure, box: Outbox
) -> None:
    keep(box, 1)
    sender = publisher(secure.destination("3.1.1"), box)
    async with running(sender.run()):
        await until(lambda: sender.counts.failures >= 1)
    assert (sender.counts.connections, box.state().depth) == (0, 1)


async def test_a_broker_that_another_authority_signed_is_not_spoken_to(
    secure: Secure, tmp_path: Path, box: Outbox
) -> None:
    keep(box, 1)
    other = Authority(tmp_path, "other")
    sender = publisher(secure.destination("3.1.1", secure.agent, other), box)
    async with running(sender.run()):
        await until(lambda: sender.counts.failures >= 1)
    assert sender.counts.connections == 0


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_what_is_receipted_while_the_agent_is_away_reaches_it_through_its_session(
    protocol: str, box: Outbox, broker: Broker
) -> None:
    keep(box, 3)
    async with store_behind(broker.port) as store:
        store.answering = False
        here = at(broker.port, protocol=protocol)
        async with running(publisher(here, box).run()):
            await until(lambda: len(store.sequences) == 3)
        # Not retained, so that only the kept session can bring it.
        await store._client.publish(f"{BASE}/ack", told(box, 3), qos=1)
        sender = publisher(here, box)
        async with running(sender.run()):
            await until(lambda: box.state().depth == 0)


def told(box: Outbox, committed: int) -> bytes:
    return b'{"store":"s1","epoch":"%s","committed":%d}' % (box.epoch.encode(), committed)


async def test_version_5_tells_that_a_broker_does_not_take_what_is_sent(
    tmp_path: Path, box: Outbox
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic read {BASE}/ack\ntopic write {BASE}/status\n")
    broker = mosquitto(tmp_path, _RIGHTS, acl=acl)
    broker.start()
    try:
        keep(box, 2)
        sender = publisher(at(broker.port, protocol="5"), box)
        async with running(sender.run()):
            await until(lambda: sender.counts.refused == 2)
        assert box.state().depth == 2
    finally:
        broker.stop()


async def test_auto_falls_back_where_a_broker_speaks_3_1_1_only(
    tmp_path: Path, box: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokerlink, "CALL_S", 1.0)  # amqtt does not answer what it does not know
    file = tmp_path / "amqtt.yaml"

    def command(port: int) -> list[str]:
        file.write_text(_AMQTT.format(port=port))
        script = "from amqtt.scripts.broker_script import main; main()"
        return [sys.executable, "-c", script, "-c", str(file)]

    broker = Configured(tmp_path, command)
    broker.start()
    try:
        keep(box, 5)
        async with store_behind(broker.port) as store:
            sender = publisher(at(broker.port, protocol="auto"), box)
            async with running(sender.run()):
                await until(lambda: box.state().depth == 0, 20)
        assert sender.counts.failures >= 1
        assert set(store.sequences) == {1, 2, 3, 4, 5}
    finally:
        broker.stop()


def present(protocols: Protocols) -> str:
    return protocols.present.name


def test_auto_takes_the_other_version_only_where_this_one_was_not_understood() -> None:
    chosen = Protocols("auto")
    assert present(chosen) == "V5"
    chosen.failed(ConnectionRefusedError(), connected=False)
    chosen.failed(aiomqtt.MqttError("broken"), connected=True)
    chosen.failed(MqttConnectError(5), connected=False)  # not authorised: the version was fine
    assert present(chosen) == "V5"
    chosen.failed(MqttConnectError(1), connected=False)
    assert present(chosen) == "V311"
    chosen.failed(aiomqtt.MqttError("Operation timed out"), connected=False)
    assert present(chosen) == "V5"
    fixed = Protocols("3.1.1")
    fixed.failed(MqttConnectError(1), connected=False)
    assert present(fixed) == "V311"


async def test_two_destinations_drain_side_by_side_and_a_dead_one_holds_up_nobody(
    tmp_path: Path, two_ends: Outbox, broker: Broker
) -> None:
    folder = tmp_path / "province"
    folder.mkdir()
    other = Broker(folder)
    keep(two_ends, 40)
    mine, theirs = at(broker.port), at(other.port, "province")
    senders = [publisher(mine, two_ends), publisher(theirs, two_ends)]
    async with running(senders[0].run()), running(senders[1].run()):
        async with store_behind(broker.port) as store:
            await until(lambda: two_ends.state().of("main").depth == 0)
            keep(two_ends, 5)
            senders[0].wake()
            await until(lambda: two_ends.state().of("main").depth == 0)
        assert store.sequences == list(range(1, 46))
        assert two_ends.state().of("province").depth == 45
        assert senders[1].counts.connections == 0
        other.start()
        try:
            async with store_behind(other.port, "another store") as far:
                await until(lambda: two_ends.state().of("province").depth == 0)
            assert set(far.sequences) == set(range(1, 46))
        finally:
            other.stop()
