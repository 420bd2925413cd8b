"""Promises of the broker's accounts, also with the Mosquitto of the distribution."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import threading
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from core import errors
from deploy import accounts
from tests.deploy import helpers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN = "danhao/v1/gh-al/gw-01"
AGENT = accounts.agent_account("gh-al", "gw-01", "agent-secret")
INGEST = accounts.ingest_account("ingest-secret")
TOOLS = accounts.tools_account("tools-secret")
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
PASSWD = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin")


@pytest.mark.parametrize(
    ("account", "topic", "may_publish", "may_subscribe"),
    [
        (AGENT, f"{OWN}/readings", True, False),
        (AGENT, f"{OWN}/output", True, False),
        (AGENT, f"{OWN}/status", True, False),
        (AGENT, f"{OWN}/ack", False, True),
        (AGENT, "danhao/v1/gh-al/gw-02/readings", False, False),
        (AGENT, "danhao/v1/qh-fa/gw-01/ack", False, False),
        (AGENT, "danhao/v1/gh-al/+/ack", False, False),
        (AGENT, "#", False, False),
        (AGENT, "$SYS/#", False, False),
        (INGEST, f"{OWN}/ack", True, False),
        (INGEST, f"{OWN}/readings", False, True),
        (INGEST, "danhao/v1/+/+/readings", False, True),
        (INGEST, "danhao/v1/#", False, False),
        (TOOLS, f"{OWN}/readings", True, True),
        (TOOLS, f"{OWN}/ack", False, True),
        (TOOLS, "danhao/v1/#", False, True),
        (TOOLS, "#", False, False),
        (TOOLS, "other", False, False),
    ],
)
def test_each_account_has_exactly_the_rights_of_the_contract(
    account: accounts.Account, topic: str, *, may_publish: bool, may_subscribe: bool
) -> None:
    assert account.may_publish(topic) is may_publish
    assert account.may_subscribe(topic) is may_subscribe


def test_the_file_keeps_digests_only_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    accounts.write(path, [AGENT, INGEST, TOOLS])
    assert path.stat().st_mode & 0o777 == 0o600
    assert "agent-secret" not in path.read_text()
    read = accounts.read(path)
    assert read == {"gh-al.gw-01": AGENT, "ingest": INGEST, "tools": TOOLS}
    assert read["ingest"].sha256 == hashlib.sha256(b"ingest-secret").hexdigest()
    assert read["ingest"].is_secret(b"ingest-secret")
    assert not read["ingest"].is_secret(b"")


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    digest = "0" * 64
    rows = (
        '{"name": "A B", "sha256": "DIGEST", "publish": [], "subscribe": []}',
        '{"name": "a", "sha256": "12", "publish": [], "subscribe": []}',
        '{"name": "b", "sha256": "DIGEST", "publish": ["a#"], "subscribe": []}',
        '{"name": "c", "sha256": "DIGEST", "publish": [], "subscribe": []}',
        '{"name": "c", "sha256": "DIGEST", "publish": [], "subscribe": []}',
        "7",
    )
    path.write_text(f'{{"accounts": [{", ".join(rows)}]}}'.replace("DIGEST", digest))
    with pytest.raises(errors.Misconfigured) as refusal:
        accounts.read(path)
    assert len(refusal.value.problems) == 5
    path.write_text('{"accounts": {}}')
    with pytest.raises(errors.Misconfigured, match="must be a list"):
        accounts.read(path)


@pytest.mark.parametrize(
    ("site", "agent"), [("gh/al", "gw"), ("gh-al", "+"), ("", "gw"), ("A", "b")]
)
def test_an_agent_whose_name_is_no_slug_gets_no_account(site: str, agent: str) -> None:
    with pytest.raises(errors.Rejected):
        accounts.agent_account(site, agent, "secret")


def test_secrets_are_random_and_long() -> None:
    assert len({accounts.new_secret() for _ in range(100)}) == 100
    assert len(accounts.new_secret()) >= 43


@pytest.fixture
def mosquitto() -> Iterator[int]:
    """Run Mosquitto with the generated rights; yields its port."""
    if MOSQUITTO is None or PASSWD is None:
        pytest.skip("the Mosquitto of the distribution is not installed")
    with helpers.passable_folder() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        probe.close()
        (folder / "acl").write_text(accounts.mosquitto_acl([AGENT, INGEST, TOOLS]))
        passwords = folder / "passwords"
        passwords.touch()
        for name in ("gh-al.gw-01", "ingest", "tools"):
            secret = {"gh-al.gw-01": "agent-secret"}.get(name, f"{name}-secret")
            subprocess.run([PASSWD, "-b", str(passwords), name, secret], check=True)
        for path in (passwords, folder / "acl"):
            path.chmod(0o644)
        (folder / "conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous false\n"
            f"password_file {passwords}\nacl_file {folder / 'acl'}\n"
        )
        process = subprocess.Popen(
            [MOSQUITTO, "-c", str(folder / "conf")], stderr=subprocess.DEVNULL
        )
        try:
            helpers.wait_until(lambda: answers(port), 10, "Mosquitto")
            yield port
        finally:
            process.terminate()
            process.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Listener:
    """A client that notes what it gets, on a thread of its own."""

    def __init__(self, port: int, name: str, secret: str, wanted: str) -> None:
        self.got: list[str] = []
        self.arrived = threading.Condition()
        self.ready = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.username_pw_set(name, secret)
        self.client.on_message = self._note
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(wanted, 1)
        self.client.loop_start()
        assert self.ready.wait(10)

    def _note(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        with self.arrived:
            self.got.append(message.topic)
            self.arrived.notify_all()

    def wait_for(self, topic: str) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: topic in self.got, 10)

    def publish(self, topic: str) -> None:
        self.client.publish(topic, b"x", 1).wait_for_publish(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.mosquitto
@pytest.mark.broker
def test_mosquitto_grants_the_same_rights(mosquitto: int) -> None:
    agent = Listener(mosquitto, "gh-al.gw-01", "agent-secret", "danhao/v1/#")
    ingest = Listener(mosquitto, "ingest", "ingest-secret", "danhao/v1/+/+/readings")
    tools = Listener(mosquitto, "tools", "tools-secret", "danhao/v1/#")
    try:
        agent.publish("danhao/v1/qh-fa/gw-09/readings")
        agent.publish(f"{OWN}/ack")
        agent.publish(f"{OWN}/readings")
        ingest.wait_for(f"{OWN}/readings")
        tools.wait_for(f"{OWN}/readings")
        ingest.publish(f"{OWN}/readings")
        ingest.publish(f"{OWN}/ack")
        tools.wait_for(f"{OWN}/ack")
        agent.wait_for(f"{OWN}/ack")
        assert tools.got == [f"{OWN}/readings", f"{OWN}/ack"]
        assert ingest.got == [f"{OWN}/readings"]
        assert agent.got == [f"{OWN}/ack"]
    finally:
        for client in (agent, ingest, tools):
            client.close()
