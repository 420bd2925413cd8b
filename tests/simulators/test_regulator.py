"""The inbox takes what is signed with its secret, once a key, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.errors import Misconfigured
from simulators import httpserver, regulator
from tests.simulators.inbox import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
SECRET = b"a secret of the tests"
BODY = '{"type":"alert.firing","单":"耗"}'.encode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[regulator.Server]:
    with running(tmp_path / "inbox.sqlite", SECRET, lambda: NOW) as found:
        yield found


def signed(body: bytes = BODY, at: datetime = NOW, secret: bytes = SECRET) -> str:
    stamp = int(at.timestamp())
    digest = hmac.new(secret, f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def send(
    server: regulator.Server, body: bytes = BODY, *, key: str = "k-1", signature: str | None = None
) -> httpx.Response:
    header = signed(body) if signature is None else signature
    headers = {"Danhao-Signature": header, "Idempotency-Key": key}
    return httpx.post(server.url, content=body, headers=headers, trust_env=False)


def shown(server: regulator.Server) -> list[dict[str, object]]:
    answer = httpx.get(server.url.replace("/alerts", "/inbox"), trust_env=False)
    found: list[dict[str, object]] = answer.json()["items"]
    return found


def test_a_signed_message_gets_a_receipt_and_is_shown_as_it_came(server: regulator.Server) -> None:
    answer = send(server)
    assert (answer.status_code, answer.json()) == (200, {"receipt": "inbox-000001"})
    (item,) = shown(server)
    assert item["raw"] == BODY.decode()
    assert item["body"] == json.loads(BODY)
    assert (item["key"], item["times"], item["signature"]) == ("k-1", 1, signed())


def test_the_same_key_gets_the_same_receipt_and_is_kept_once(server: regulator.Server) -> None:
    assert send(server).json() == send(server).json()
    ((item),) = shown(server)
    assert item["times"] == 2
    assert send(server, b"{}").status_code == 409
    assert send(server, b"{}", key="k-2").json() == {"receipt": "inbox-000002"}


@pytest.mark.parametrize(
    ("signature", "status"),
    [
        ("", 401),
        ("nonsense", 401),
        ("t=1,t=2,v1=00", 401),
        ("t=" + "9" * 30 + ",v1=00", 401),
        ("t=²,v1=00", 401),
        (signed(secret=b"another secret of ours"), 401),
        (signed(body=b"{}"), 401),
        (signed(at=NOW - timedelta(seconds=301)), 400),
        (signed(at=NOW + timedelta(seconds=301)), 400),
        (signed(at=NOW - timedelta(seconds=299)), 200),
        (signed(secret=b"the secret before") + ",v1=" + signed().partition("v1=")[2], 200),
    ],
)
def test_only_a_fresh_signature_of_these_bytes_is_taken(
    server: regulator.Server, signature: str, status: int
) -> None:
    headers = {b"Danhao-Signature": signature.encode(), b"Idempotency-Key": b"k-1"}
    answer = httpx.post(server.url, content=BODY, headers=headers, trust_env=False)
    assert answer.status_code == status
    assert len(shown(server)) == (status == 200)


def key_signed(private: Ed25519PrivateKey, body: bytes = BODY, at: datetime = NOW) -> str:
    stamp = int(at.timestamp())
    return f"t={stamp},k=0123,v1={private.sign(f'{stamp}.'.encode() + body).hex()}"


def test_where_a_senders_key_is_named_its_signature_is_asked_for_beside_the_secret(
    server: regulator.Server,
) -> None:
    private, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes_raw()
    server.sender = regulator.public_key("ed25519:" + base64.b64encode(raw).decode())
    base = {"Danhao-Signature": signed(), "Idempotency-Key": "k-1"}

    def status(header: str | None, **more: str) -> int:
        given = {} if header is None else {"Danhao-Signature-Ed25519": header}
        headers = {**base, **given, **more}
        return httpx.post(server.url, content=BODY, headers=headers, trust_env=False).status_code

    assert status(None) == 401
    assert status("nonsense") == 401
    assert status(key_signed(other)) == 401
    assert status(key_signed(private, b"{}")) == 401
    assert status(key_signed(private).replace("v1=", "v1=zz")) == 401
    assert status(key_signed(private, at=NOW - timedelta(seconds=301))) == 400
    assert shown(server) == []
    assert status(key_signed(private), **{"Danhao-Signature": signed(body=b"{}")}) == 401
    assert status(key_signed(private)) == 200
    both = key_signed(other) + ",v1=" + key_signed(private).partition("v1=")[2]
    assert status(both) == 200  # a key that takes another's place
    assert len(shown(server)) == 1


@pytest.mark.parametrize("text", ["", "ed25519:", "ed25519:AAAA", "rsa:" + "A" * 43 + "=", "é"])
def test_what_is_no_public_key_is_one_sentence(text: str) -> None:
    with pytest.raises(Misconfigured, match="--sender-key: is no public key"):
        regulator.public_key(text)


def test_bodies_are_bounded_before_they_are_read(server: regulator.Server) -> None:
    head = f"POST /alerts HTTP/1.1\r\nContent-Length: {httpserver.MOST_BODY_BYTES + 1}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.server_port), 5) as link:
        link.sendall(head.encode())
        assert link.recv(100).split()[1] == b"413"


@pytest.mark.parametrize(
    ("body", "key", "status"), [(b"not json", "k", 400), (b"{}", "", 400), (b"{}", "k" * 201, 400)]
)
def test_what_is_signed_and_wrong_is_refused(
    server: regulator.Server, body: bytes, key: str, status: int
) -> None:
    assert send(server, body, key=key).status_code == status
    assert shown(server) == []


def test_the_inbox_outlives_its_program(tmp_path: Path) -> None:
    for receipt in ("inbox-000001", "inbox-000001"):
        with running(tmp_path / "inbox.sqlite", SECRET, lambda: NOW) as server:
            assert send(server).json() == {"receipt": receipt}


def test_a_full_inbox_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regulator, "MOST_KEPT", 1)
    with closing(regulator.Inbox(tmp_path / "inbox.sqlite")) as inbox:
        inbox.take("a", "", b"{}", NOW)
        with pytest.raises(httpserver.RefusedError, match="full"):
            inbox.take("b", "", b"{}", NOW)
        assert inbox.take("a", "", b"{}", NOW) == "inbox-000001"


def test_wrong_use_is_one_sentence(tmp_path: Path) -> None:
    secret, inbox = tmp_path / "secret", tmp_path / "inbox.sqlite"
    stop = threading.Event()
    stop.set()
    with pytest.raises(Misconfigured, match="cannot be read"):
        regulator.serve(0, secret, inbox, lambda: NOW, stop)
    secret.write_bytes(b"short")
    with pytest.raises(Misconfigured, match="holds no secret"):
        regulator.serve(0, secret, inbox, lambda: NOW, stop)
    secret.write_bytes(SECRET)
    with pytest.raises(Misconfigured, match="is no inbox"):
        regulator.serve(0, secret, tmp_path, lambda: NOW, stop)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        with pytest.raises(Misconfigured, match="cannot be used"):
            regulator.serve(busy.getsockname()[1], secret, inbox, lambda: NOW, stop)
    regulator.serve(0, secret, inbox, lambda: NOW, stop)
