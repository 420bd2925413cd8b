"""Promises of a Mosquitto's files: who may sign in, and that certificates name the right broker."""

from __future__ import annotations

import base64
import shutil
import signal
import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from paho.mqtt.enums import CallbackAPIVersion

import danhao
from core.clock import utc_now
from core.errors import Misconfigured
from deploy import brokerfiles, certificates
from tests.deploy import helpers

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
AGENTS = [("gh-al", "gw-01"), ("qh-fa", "gw-02")]
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
PASSWD = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin")
OPENSSL = shutil.which("openssl")


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def secret(folder: Path, name: str) -> str:
    return (folder / brokerfiles.SECRETS / name).read_text().strip()


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    first = brokerfiles.write(tmp_path, AGENTS)
    before = content(tmp_path)
    assert first.added == ("gh-al.gw-01", "ingest", "qh-fa.gw-02")
    assert set(before) == {"acl", "passwords", *(f"secrets/{name}" for name in first.added)}
    assert brokerfiles.write(tmp_path, AGENTS) == brokerfiles.Written((), (), (), ())
    assert content(tmp_path) == before


def test_secrets_are_their_owners_and_stand_in_no_other_file(tmp_path: Path) -> None:
    brokerfiles.write(tmp_path, AGENTS)
    secrets = {secret(tmp_path, name) for name in ("gh-al.gw-01", "ingest", "qh-fa.gw-02")}
    assert len(secrets) == 3
    for path in (tmp_path / brokerfiles.SECRETS).iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    told = (tmp_path / "acl").read_text() + (tmp_path / "passwords").read_text()
    assert [each for each in secrets if each in told] == []
    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o640


def test_one_renewed_secret_leaves_the_others(tmp_path: Path) -> None:
    brokerfiles.write(tmp_path, AGENTS)
    before = content(tmp_path)
    done = brokerfiles.write(tmp_path, AGENTS, frozenset({"gh-al.gw-01"}))
    assert done == brokerfiles.Written((), ("gh-al.gw-01",), (), ("passwords",))
    after = content(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {
        "passwords",
        "secrets/gh-al.gw-01",
    }
    with pytest.raises(Misconfigured, match=r"no such account: gh-al\.gw-09"):
        brokerfiles.write(tmp_path, AGENTS, frozenset({"gh-al.gw-09"}))


def test_an_agent_that_is_gone_keeps_neither_account_nor_secret(tmp_path: Path) -> None:
    brokerfiles.write(tmp_path, AGENTS)
    done = brokerfiles.write(tmp_path, AGENTS[:1])
    assert done.removed == ("qh-fa.gw-02",)
    assert [name for name, text in content(tmp_path).items() if b"qh-fa" in text] == []
    assert not (tmp_path / brokerfiles.SECRETS / "qh-fa.gw-02").exists()


@pytest.mark.parametrize("row", ["../../precious", "..", ".hidden", "A"])
def test_a_muddled_password_file_ends_no_file_elsewhere(tmp_path: Path, row: str) -> None:
    folder = tmp_path / "broker"
    brokerfiles.write(folder, AGENTS)
    precious = tmp_path / "precious"
    precious.write_text("kept")
    with (folder / "passwords").open("a") as file:
        file.write(f"{row}:$7$101$AAAA$BBBB\nno colon\n")
    assert brokerfiles.write(folder, AGENTS).removed == ()
    assert precious.read_text() == "kept"
    rows = (folder / "passwords").read_text().splitlines()
    assert [each.partition(":")[0] for each in rows] == ["gh-al.gw-01", "ingest", "qh-fa.gw-02"]


@pytest.mark.parametrize(
    "row", ["", "plain", "$7$999999999$AAAA$x", "$7$0$AAAA$" + "A" * 88, "$7$101$=$" + "A" * 88]
)
def test_a_row_that_fits_no_secret_is_written_anew(tmp_path: Path, row: str) -> None:
    brokerfiles.write(tmp_path, [])
    (tmp_path / "passwords").write_text(f"ingest:{row}\n")
    assert brokerfiles.write(tmp_path, []).files == ("passwords",)
    assert brokerfiles.write(tmp_path, []).files == ()


@pytest.mark.mosquitto
def test_the_digest_is_the_one_of_mosquittos_own_tool(tmp_path: Path) -> None:
    if PASSWD is None:
        pytest.skip("the Mosquitto of the distribution is not installed")
    path = tmp_path / "passwords"
    path.touch()
    subprocess.run([PASSWD, "-b", str(path), "gh-al.gw-01", "a secret"], check=True, timeout=10)
    theirs = path.read_text().strip().partition(":")[2]
    match = brokerfiles._ROW.match(theirs)
    assert match is not None
    salt = base64.b64decode(match.group(2))
    assert brokerfiles.digest("a secret", salt, int(match.group(1))) == theirs
    assert brokerfiles._row("a secret", theirs) == theirs
    assert brokerfiles._row("another", theirs) != theirs


def test_a_renewed_certificate_keeps_the_authority(tmp_path: Path) -> None:
    assert certificates.issue(tmp_path, ["broker.example", "192.0.2.5"], NOW).new_authority
    before = content(tmp_path)
    later = certificates.issue(tmp_path, ["broker.example"], NOW + timedelta(days=800))
    after = content(tmp_path)
    assert not later.new_authority
    assert {name for name in before if before[name] != after[name]} == {"server.key", "server.pem"}
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600
    until = x509.load_pem_x509_certificate(after["server.pem"]).not_valid_after_utc
    assert until == later.until


def test_a_certificate_never_outlives_its_authority(tmp_path: Path) -> None:
    certificates.issue(tmp_path, ["broker.example"], NOW)
    end = NOW + timedelta(days=certificates.AUTHORITY_DAYS)
    assert certificates.issue(tmp_path, ["a.b"], end - timedelta(days=9)).until == end
    with pytest.raises(Misconfigured, match="has ended"):
        certificates.issue(tmp_path, ["a.b"], end)


@pytest.mark.parametrize("name", ["", "-a", "a b", "A.example", "a..b", "*.example", "a/b"])
def test_what_is_no_name_of_a_machine_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match="no name of a machine"):
        certificates.issue(tmp_path, [name], NOW)
    assert content(tmp_path) == {}


def test_half_an_authority_is_told_and_not_replaced(tmp_path: Path) -> None:
    certificates.issue(tmp_path, ["a.b"], NOW)
    kept = (tmp_path / "ca.pem").read_bytes()
    (tmp_path / "ca.key").unlink()
    with pytest.raises(Misconfigured, match="bring back the other one"):
        certificates.issue(tmp_path, ["a.b"], NOW)
    other = tmp_path / "other"
    certificates.issue(other, ["a.b"], NOW)
    shutil.copy(other / "ca.key", tmp_path / "ca.key")
    with pytest.raises(Misconfigured, match=r"is not the key of ca\.pem"):
        certificates.issue(tmp_path, ["a.b"], NOW)
    assert (tmp_path / "ca.pem").read_bytes() == kept


def test_openssl_accepts_the_certificate_for_its_names_only(tmp_path: Path) -> None:
    if OPENSSL is None:
        pytest.skip("there is no openssl here")
    certificates.issue(tmp_path, ["broker.example", "192.0.2.5"], utc_now())

    def verified(*arguments: str) -> bool:
        command = [OPENSSL or "", "verify", "-purpose", "sslserver", "-x509_strict"]
        files = ["-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "server.pem")]
        done = subprocess.run(
            [*command, *arguments, *files], capture_output=True, check=False, timeout=10
        )
        return done.returncode == 0

    assert verified("-verify_hostname", "broker.example")
    assert verified("-verify_ip", "192.0.2.5")
    assert not verified("-verify_hostname", "other.example")
    assert not verified("-verify_ip", "192.0.2.6")


class Running:
    """A Mosquitto with the shipped configuration over files that `danhao broker` wrote."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        shipped = (helpers.ROOT / "deploy/systemd/mosquitto-danhao.conf").read_text("utf-8")
        text = shipped.replace("/etc/mosquitto/danhao", str(folder))
        assert text.count("listener 8883\n") == 1
        config = folder / "mosquitto.conf"
        config.write_text(text.replace("listener 8883", f"listener {port} 127.0.0.1"))
        for name in ("acl", "passwords", "server.key"):
            (folder / name).chmod(0o644)  # for the account that a Mosquitto of root changes to
        self._process = subprocess.Popen(
            [MOSQUITTO or "", "-c", str(config)], stderr=subprocess.DEVNULL
        )

    def read_again(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def connected(self, name: str) -> paho.Client:
        """Return a client that is let in; the test turns its loop."""
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(name, secret(self.folder, name))
        client.tls_set(str(self.folder / "ca.pem"))
        client.connect("localhost", self.port)
        while not client.is_connected():
            assert client.loop(5) == paho.MQTT_ERR_SUCCESS
        return client

    def lets_in(self, name: str, password: str) -> bool:
        """Tell whether an account is let in."""
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set(name, password)
        client.tls_set(str(self.folder / "ca.pem"))
        codes: list[int] = []
        client.on_connect = lambda _c, _u, _f, reason, _p: codes.append(reason.value)
        client.connect("localhost", self.port)
        while not codes:
            assert client.loop(5) in {paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_CONN_REFUSED}
        client.disconnect()
        client.loop(1)
        return codes == [0]


@pytest.fixture
def running() -> Iterator[Running]:
    if MOSQUITTO is None:
        pytest.skip("the Mosquitto of the distribution is not installed")
    with helpers.passable_folder() as folder:
        plant = Path(__file__).parent / "deployed-plant.toml"
        assert danhao.main(["broker", "accounts", "--to", str(folder), str(plant)]) == 0
        names = ["--name", "localhost", "--name", "127.0.0.1"]
        assert danhao.main(["broker", "certificate", "--to", str(folder), *names]) == 0
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        broker = Running(folder, port)
        try:
            helpers.wait_until(lambda: answers(port), 10, "Mosquitto")
            yield broker
        finally:
            broker.close()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.mosquitto
@pytest.mark.broker
def test_mosquitto_lets_in_by_tls_who_is_declared_until_it_is_not(running: Running) -> None:
    mine, ingest = secret(running.folder, "gh-al.gw-01"), secret(running.folder, "ingest")
    assert running.lets_in("gh-al.gw-01", mine)
    assert running.lets_in("ingest", ingest)
    assert not running.lets_in("gh-al.gw-01", ingest)
    assert not running.lets_in("stranger", mine)
    brokerfiles.write(running.folder, [], frozenset({"ingest"}))
    for name in ("acl", "passwords"):
        (running.folder / name).chmod(0o644)
    running.read_again()
    helpers.wait_until(lambda: not running.lets_in("gh-al.gw-01", mine), 10, "the agent is out")
    assert not running.lets_in("ingest", ingest)
    assert running.lets_in("ingest", secret(running.folder, "ingest"))


@pytest.mark.mosquitto
@pytest.mark.broker
def test_a_sighup_puts_out_who_is_gone_or_renewed_and_nobody_else(running: Running) -> None:
    names = ("gh-al.gw-01", "ingest")
    clients = {name: running.connected(name) for name in names}
    brokerfiles.write(running.folder, [("gh-al", "gw-01")], frozenset({"gh-al.gw-01"}))
    (running.folder / "passwords").chmod(0o644)
    running.read_again()
    helpers.wait_until(lambda: not stays(clients["gh-al.gw-01"]), 10, "the agent is put out")
    assert stays(clients["ingest"])
    for client in clients.values():
        client.disconnect()


def stays(client: paho.Client) -> bool:
    return client.loop(0.1) == paho.MQTT_ERR_SUCCESS and client.is_connected()


@pytest.mark.mosquitto
@pytest.mark.broker
def test_a_client_trusts_the_plants_authority_for_the_brokers_own_names_only(
    running: Running, tmp_path: Path
) -> None:
    certificates.issue(tmp_path, ["localhost"], utc_now())
    assert trusted(running, running.folder, "localhost")
    assert not trusted(running, running.folder, "other.example")
    assert not trusted(running, tmp_path, "localhost")


def trusted(running: Running, authority: Path, name: str) -> bool:
    context = ssl.create_default_context(cafile=authority / "ca.pem")
    with socket.create_connection(("127.0.0.1", running.port), 5) as link:
        try:
            context.wrap_socket(link, server_hostname=name).close()
        except ssl.SSLCertVerificationError:
            return False
    return True
