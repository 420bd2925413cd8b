"""Requests are not led astray: what is spoken to is judged by its address, and pinned to it."""

from __future__ import annotations

import asyncio
import json
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Misconfigured
from ingest import addresses, outgoing, transports, webhook
from ingest.addresses import Environment, Gate, refusal
from ingest.channels import Webhook
from tests.edge.certificates import Authority
from tests.fixtures.service import free_port
from tests.ingest.alertworld import SECRET
from tests.ingest.letters import NOW, clock, due, names
from tests.ingest.receivers import answering, says
from tests.simulators.inbox import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ingest.receivers import Handler

INNER = ["10.0.0.5", "172.16.3.4", "192.168.1.1", "100.64.0.7", "fd12::1", "198.18.0.1"]
NEVER = [
    "169.254.169.254",
    "fe80::1",
    "0.0.0.0",  # noqa: S104 - not bound to
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "100.100.100.200",
    "fd00:ec2::254",
    "168.63.129.16",
]


@pytest.mark.parametrize("text", INNER)
def test_what_is_not_of_the_public_network_needs_a_persons_word(text: str) -> None:
    why = refusal(ip_address(text), private=False)
    assert why == "is not of the public network: write private = true if that is meant"
    assert refusal(ip_address(text), private=True) is None


@pytest.mark.parametrize("text", NEVER)
def test_where_no_receiver_can_be_is_refused_whatever_a_person_wrote(text: str) -> None:
    assert refusal(ip_address(text), private=True, here=True) is not None


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1"])
def test_this_machine_is_spoken_to_where_it_is_written_out(text: str) -> None:
    assert refusal(ip_address(text), private=False) is not None
    assert refusal(ip_address(text), private=False, here=True) is None


@pytest.mark.parametrize("text", ["8.8.8.8", "2400:3200::1", "203.119.24.1"])
def test_the_public_network_is_open(text: str) -> None:
    assert refusal(ip_address(text), private=False) is None


@given(st.ip_addresses(v=4))
def test_an_address_within_another_is_judged_as_itself(inner: addresses.Address) -> None:
    """Mapped, translated and tunnelled addresses are no way round the rules."""
    number = int(inner)
    wrapped = [
        ip_address((0xFFFF << 32) | number),  # ::ffff:a.b.c.d
        ip_address((0x0064_FF9B << 96) | number),  # 64:ff9b::a.b.c.d
        ip_address((0x2002 << 112) | (number << 80)),  # 2002:a.b:c.d::
    ]
    for private in (False, True):
        wanted = refusal(inner, private=private)
        assert [refusal(each, private=private) for each in wrapped] == [wanted] * 3


@given(st.ip_addresses(v=6))
def test_private_opens_more_and_closes_nothing(address: addresses.Address) -> None:
    if refusal(address, private=False) is None:
        assert refusal(address, private=True) is None


async def test_of_many_addresses_only_those_that_may_be_are_tried() -> None:
    resolve = names(many_example="10.0.0.1 8.8.8.8 169.254.169.254 1.1.1.1 9.9.9.9 8.8.4.4 1.0.0.1")
    permitted = await Gate(private=False, resolve=resolve).permitted("many.example", 443)
    assert permitted == ["8.8.8.8", "1.1.1.1", "9.9.9.9", "8.8.4.4"]
    assert len(permitted) == addresses.MOST_ADDRESSES


async def test_a_refusal_names_the_host_the_address_and_what_to_do() -> None:
    gate = Gate(private=False, resolve=names(inner_example="10.0.0.1"))
    with pytest.raises(Misconfigured) as caught:
        await gate.permitted("inner.example", 443)
    assert str(caught.value) == (
        "inner.example: 10.0.0.1 is not of the public network: write private = true if that is"
        " meant"
    )


async def test_this_machines_own_name_service_is_asked_for_names() -> None:
    assert await addresses.look_up("127.0.0.1", 80) == [ip_address("127.0.0.1")]


async def test_a_name_that_no_machine_can_have_is_an_ordinary_failure() -> None:
    with pytest.raises(OSError, match="is no name of a machine"):
        await addresses.look_up("a" * 64 + ".example", 80)


def hook(folder: Path, url: str, **more: object) -> Webhook:
    secret = folder / "secret"
    secret.write_text(SECRET)
    given = {"name": "r", "url": url, "secret_file": secret, "jurisdiction": "cn", **more}
    return Webhook.model_validate(given)


async def test_a_name_that_leads_to_this_machine_reaches_nothing(tmp_path: Path) -> None:
    """The classical way in: a name of the outside with an address of the inside."""
    authority = Authority(tmp_path)
    pair = authority.issue("receiver")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    with answering(says(200, b'{"receipt":"r"}'), tls) as server:
        url = f"https://rebound.example:{server.server_port}/alerts"
        channel = hook(tmp_path, url, ca_file=authority.file)
        environment = Environment(names(rebound_example="127.0.0.1"))
        async with transports.open_transport(channel, environment) as link:
            attempt = await link.send(due(), clock)
        assert server.seen == []
    assert attempt.receipt is None
    assert attempt.detail == (
        "not sent: rebound.example: 127.0.0.1 is this machine: write private = true if that is"
        " meant"
    )


async def test_the_connection_goes_to_the_address_that_was_judged(tmp_path: Path) -> None:
    """A name service that answers another thing the second time is asked once."""
    asked: list[str] = []

    async def turning(host: str, _port: int) -> list[addresses.Address]:
        asked.append(host)
        return [ip_address("127.0.0.1") if len(asked) == 1 else ip_address("8.8.8.8")]

    with running(tmp_path / "inbox", SECRET.encode(), clock) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        async with transports.open_transport(hook(tmp_path, url), Environment(turning)) as link:
            attempt = await link.send(due(), clock)
    assert asked == ["localhost"]
    assert attempt.receipt == "inbox-000001"


async def test_the_certificate_must_be_the_names_not_the_addresss(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("receiver")  # good for 127.0.0.1, not for the name
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.certificate, pair.key)
    environment = Environment(names(named_example="127.0.0.1"))
    with answering(says(200, b'{"receipt":"r"}'), tls) as server:
        more = {"ca_file": authority.file, "private": True}
        url = f"https://named.example:{server.server_port}/alerts"
        async with transports.open_transport(hook(tmp_path, url, **more), environment) as link:
            attempt = await link.send(due(), clock)
        assert server.seen == []
        assert "certificate" in attempt.detail
        url = f"https://127.0.0.1:{server.server_port}/alerts"
        async with transports.open_transport(hook(tmp_path, url, **more), environment) as link:
            attempt = await link.send(due(), clock)
    assert attempt.receipt == "r"


@pytest.mark.parametrize("written", ["2130706433", "0x7f.1", "127.1"])
async def test_this_machine_in_disguise_is_known_by_its_address(
    tmp_path: Path, written: str
) -> None:
    channel = hook(tmp_path, f"https://{written}:{free_port()}/alerts")
    async with transports.open_transport(channel) as link:
        attempt = await link.send(due(), clock)
    assert f"not sent: {written}: 127.0.0.1 is this machine" in attempt.detail


async def test_where_the_first_address_is_out_the_next_one_is_tried(tmp_path: Path) -> None:
    with running(tmp_path / "inbox", SECRET.encode(), clock) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        environment = Environment(names(localhost="127.0.0.9 127.0.0.1"))
        async with transports.open_transport(hook(tmp_path, url), environment) as link:
            attempt = await link.send(due(), clock)
    assert attempt.receipt == "inbox-000001"


async def test_the_host_in_the_request_is_the_one_a_person_wrote(tmp_path: Path) -> None:
    seen: list[str | None] = []

    def reply(handler: Handler) -> None:
        seen.append(handler.headers["Host"])
        says(200, b'{"receipt":"r"}')(handler)

    with answering(reply) as server:
        url = f"http://localhost:{server.server_port}/alerts"
        environment = Environment(names(localhost="127.0.0.1"))
        async with transports.open_transport(hook(tmp_path, url), environment) as link:
            await link.send(due(), clock)
    assert seen == [f"localhost:{server.server_port}"]


async def test_a_redirect_is_not_followed_wherever_it_leads(tmp_path: Path) -> None:
    with (
        answering(says(200, b'{"receipt":"stolen"}')) as other,
        answering(says(307, b"", Location=f"http://127.0.0.1:{other.server_port}/")) as server,
    ):
        url = f"http://127.0.0.1:{server.server_port}/alerts"
        async with transports.open_transport(hook(tmp_path, url)) as link:
            attempt = await link.send(due(), clock)
        assert (attempt.status, attempt.receipt, other.seen) == (307, None, [])


async def test_a_name_without_an_address_is_a_failed_attempt(tmp_path: Path) -> None:
    environment = Environment(names(nowhere_example=""))
    channel = hook(tmp_path, "https://nowhere.example/alerts")
    async with transports.open_transport(channel, environment) as link:
        attempt = await link.send(due(), clock)
    assert attempt.detail == "not sent: nowhere.example: has no address: mend its name"


async def test_a_client_without_a_gate_goes_as_before(tmp_path: Path) -> None:
    import httpx  # noqa: PLC0415 - only here

    with running(tmp_path / "inbox", SECRET.encode(), clock) as server:
        async with outgoing.client(outgoing.trusted(None), httpx.Timeout(5.0), 1) as link:
            headers = {"Danhao-Signature": webhook.sign(SECRET.encode(), NOW, b"{}")}
            headers["Idempotency-Key"] = "k"
            status, answer = await outgoing.exchange(link, server.url, b"{}", headers, 100)
        await asyncio.to_thread(server.inbox.items)
    assert (status, json.loads(answer)) == (200, {"receipt": "inbox-000001"})
