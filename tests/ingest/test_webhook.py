"""Two signatures of one body: each checked by code that is not the sender's."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core import wire
from core.errors import Misconfigured
from edge import keys
from ingest import transports, webhook
from ingest.channels import Webhook
from simulators import regulator
from store.inspector import sealed
from tests.ingest.alertworld import SECRET
from tests.ingest.letters import NOW, clock, due
from tests.ingest.receivers import Handler, answering, says
from tests.simulators.inbox import running

if TYPE_CHECKING:
    from pathlib import Path


def hook(folder: Path, url: str, *, key: bool = True) -> Webhook:
    (folder / "secret").write_text(SECRET)
    given = {
        "name": "regulator",
        "url": url,
        "secret_file": folder / "secret",
        "jurisdiction": "cn",
        **({"key_file": folder / "alerts.key"} if key else {}),
    }
    return Webhook.model_validate(given)


async def test_a_receiver_that_asks_for_the_key_takes_what_we_send(tmp_path: Path) -> None:
    keys.make(tmp_path / "alerts.key")
    with running(tmp_path / "inbox", SECRET.encode(), clock) as server:
        server.sender = regulator.public_key(keys.public(tmp_path / "alerts.key"))
        async with transports.open_transport(hook(tmp_path, server.url)) as link:
            assert (await link.send(due(), clock)).receipt == "inbox-000001"
        async with transports.open_transport(hook(tmp_path, server.url, key=False)) as link:
            assert (await link.send(due(), clock)).status == 401
        keys.make(tmp_path / "other.key")
        (tmp_path / "other.key").replace(tmp_path / "alerts.key")
        async with transports.open_transport(hook(tmp_path, server.url)) as link:
            assert (await link.send(due(), clock)).status == 401  # the key is read anew


async def test_the_signature_is_rfc_8032s_over_stamp_dot_body(tmp_path: Path) -> None:
    """Held against an Ed25519 of plain integers, the one in the evidence checker."""
    keys.make(tmp_path / "alerts.key")
    seen: list[tuple[str, bytes]] = []

    def reply(handler: Handler) -> None:
        header = handler.headers["Danhao-Signature-Ed25519"]
        seen.append((header, handler.server.bodies[-1]))
        says(200, b'{"receipt":"r"}')(handler)

    with answering(reply) as server:
        url = f"http://127.0.0.1:{server.server_port}/alerts"
        async with transports.open_transport(hook(tmp_path, url)) as link:
            await link.send(due(), clock)
    ((header, body),) = seen
    parts = dict(part.split("=", 1) for part in header.split(","))
    public = keys.public(tmp_path / "alerts.key")
    assert parts["t"] == str(int(NOW.timestamp()))
    assert parts["k"] == hashlib.sha256(public.encode()).hexdigest()[:16]
    signed = f"{parts['t']}.".encode() + body
    assert verified(public, bytes.fromhex(parts["v1"]), signed)
    assert not verified(public, bytes.fromhex(parts["v1"]), signed + b" ")


def verified(public: str, signature: bytes, signed: bytes) -> bool:
    return sealed.verified(public, base64.b64encode(signature).decode(), signed)


def test_each_attempt_is_stamped_anew(tmp_path: Path) -> None:
    keys.make(tmp_path / "alerts.key")
    signer = wire.signer((tmp_path / "alerts.key").read_bytes())
    first = webhook.sign_by_key(signer, NOW, b"{}")
    later = webhook.sign_by_key(signer, NOW + timedelta(seconds=1), b"{}")
    assert first.partition(",")[0] != later.partition(",")[0]
    assert first.partition("v1=")[2] != later.partition("v1=")[2]


async def test_a_key_that_is_gone_is_an_attempt_that_tells_so(tmp_path: Path) -> None:
    channel = hook(tmp_path, "http://127.0.0.1:9/alerts")
    with pytest.raises(Misconfigured, match="cannot be read"):
        channel.signer()
    async with transports.open_transport(channel) as link:
        attempt = await link.send(due(), clock)
    assert attempt.detail.startswith("not sent: ")
    (tmp_path / "alerts.key").write_text("no key")
    with pytest.raises(Misconfigured, match=r"alerts\.key: the key is no PEM private key"):
        channel.signer()


async def test_what_nobody_foresaw_is_an_attempt_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One channel's fault must not end the program that tells all the others."""
    keys.make(tmp_path / "alerts.key")
    broken = due(body=None)
    async with transports.open_transport(hook(tmp_path, "http://127.0.0.1:9/alerts")) as link:
        attempt = await link.send(broken, clock)
    assert attempt.receipt is None
    assert attempt.detail == "not sent: AttributeError, which nobody foresaw"
    assert f"channel regulator: AttributeError while sending {broken.id}" in caplog.text
