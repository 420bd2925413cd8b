"""Delivery to a real inbox, and to servers that fail in every way they can."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from ingest import notifier, webhook
from ingest.alerting import Alerting
from ingest.notifier import Notifier
from ingest.transports import open_transport
from tests.edge.certificates import Authority
from tests.fixtures.service import free_port
from tests.ingest.alertworld import NOW, SECRET, Desk, channel, month
from tests.ingest.world import eventually
from tests.simulators.inbox import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from ingest.channels import Channel
    from store.connection import Pool

DEADLINE_S = 20.0


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Post:
    """A notifier, its clock, and a store with one alert that was raised."""

    def __init__(self, pool: Pool, receiver: Channel) -> None:
        self.clock = Clock()
        self.channel = receiver
        self.desk = Desk(pool, Alerting([receiver]), NOW - timedelta(minutes=2))
        self.notifier = Notifier(pool, receiver, self.clock)

    async def raise_alert(self) -> None:
        for _ in range(2):
            await self.desk.see(month("exceeds"))

    async def step(self) -> int:
        async with open_transport(self.channel) as link:
            return await self.notifier.step(link)

    async def attempts(self) -> list[tuple[Any, ...]]:
        query = "select status, outcome, detail from delivery_attempt order by attempt_id"
        return await self.desk.rows(query)

    async def states(self) -> list[tuple[Any, ...]]:
        query = "select state, attempts, receipt from notification order by number"
        return await self.desk.rows(query)


class Handler(BaseHTTPRequestHandler):
    """Answers what the test says: bytes, status, headers; counts what arrived."""

    server: Answering

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(self.path)
        self.server.reply(self)

    def log_message(self, *_: Any) -> None:
        pass


class Answering(HTTPServer):
    def __init__(self, reply: Callable[[Handler], None], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply = reply
        self.seen: list[str] = []
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, *_: Any) -> None:
        pass  # whom it does not know it does not speak to


@contextmanager
def answering(
    reply: Callable[[Handler], None], tls: ssl.SSLContext | None = None
) -> Iterator[Answering]:
    with Answering(reply, tls) as server:
        worker = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        worker.start()
        try:
            yield server
        finally:
            server.shutdown()
            worker.join(10)


def says(status: int, body: bytes, **headers: str) -> Callable[[Handler], None]:
    def reply(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return reply


async def test_an_alert_arrives_and_its_receipt_is_kept(pool: Pool, tmp_path: Path) -> None:
    clock = Clock()
    with running(tmp_path / "inbox", SECRET.encode(), clock) as server:
        post = Post(pool, channel(tmp_path, server.url))
        await post.raise_alert()
        assert await post.step() == 1
        assert await post.step() == 0
        (item,) = await asyncio.to_thread(server.inbox.items)
    assert await post.states() == [("delivered", 1, "inbox-000001")]
    (kept,) = await post.desk.kept()
    assert kept.delivered_at is not None
    assert kept.deliveries == [
        {"channel": "regulator", "state": "delivered", "attempts": 1, "receipt": "inbox-000001"}
    ]
    assert item["body"]["alert"]["id"] == str(kept.id)
    ((key, body),) = await post.desk.rows("select notification::text, body from notification")
    assert (item["key"], item["raw"]) == (key, body)


async def test_a_second_delivery_of_the_same_is_the_same(pool: Pool, tmp_path: Path) -> None:
    """As after a kill between the answer and the commit."""
    clock = Clock()
    with running(tmp_path / "inbox", SECRET.encode(), clock) as server:
        post = Post(pool, channel(tmp_path, server.url))
        await post.raise_alert()
        await post.step()
        async with pool.connection() as link:
            await link.execute(
                "update notification set state = 'waiting', receipt = null, attempts = 0"
            )
        post.clock.move(5)
        await post.step()
        (item,) = await asyncio.to_thread(server.inbox.items)
    assert item["times"] == 2
    assert await post.states() == [("delivered", 1, "inbox-000001")]


async def test_an_outage_of_the_receiver_loses_nothing(pool: Pool, tmp_path: Path) -> None:
    port = free_port()
    post = Post(pool, channel(tmp_path, f"http://127.0.0.1:{port}/alerts"))
    await post.raise_alert()
    assert await post.step() == 1
    assert await post.step() == 0  # not before its time
    ((status, outcome, detail),) = await post.attempts()
    assert (status, outcome) == (None, "failed")
    assert "ConnectError" in detail
    post.clock.move(2)
    with running(tmp_path / "inbox", SECRET.encode(), post.clock, port):
        assert await post.step() == 1
    assert await post.states() == [("delivered", 2, "inbox-000001")]
    assert post.notifier.failed == post.notifier.delivered == 1


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (says(500, b"{}"), "answered 500"),
        (says(401, b'{"receipt":"no"}'), "answered 401"),
        (says(302, b"", Location="http://127.0.0.1:9/elsewhere"), "answered 302"),
        (says(307, b"", Location="/elsewhere"), "answered 307"),
        (says(200, b""), "without JSON"),
        (says(200, b"<html>welcome</html>"), "without JSON"),
        (says(200, b"[" * 60_000), "without JSON"),
        (says(200, b"[]"), "without a receipt"),
        (says(200, b'{"receipt":null}'), "without a receipt"),
        (says(200, b'{"receipt":""}'), "without a receipt"),
        (says(200, b'{"receipt":7}'), "without a receipt"),
        (says(200, json.dumps({"receipt": "r" * 201}).encode()), "without a receipt"),
        (says(200, b'{"receipt":"a\\u0000b"}'), "cannot be printed"),
        (says(200, b'{"receipt":"\\ud800"}'), "cannot be printed"),
        (says(200, b'{"receipt":"r"}' + b" " * 70_000), "more than"),
        (says(204, b""), "without JSON"),
    ],
)
async def test_what_is_no_receipt_is_tried_again(
    pool: Pool, tmp_path: Path, reply: Callable[[Handler], None], detail: str
) -> None:
    with answering(reply) as server:
        post = Post(pool, channel(tmp_path, f"http://127.0.0.1:{server.server_port}/alerts"))
        await post.raise_alert()
        await post.step()
        assert server.seen == ["/alerts"]
    assert await post.states() == [("waiting", 1, None)]
    assert detail in (await post.attempts())[0][2]
    assert (await post.desk.kept())[0].delivered_at is None


async def test_a_receiver_that_drips_is_given_up_in_time(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def drip(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not over.wait(0.02):
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    monkeypatch.setattr(webhook, "DEADLINE_S", 0.3)
    with answering(drip) as server:
        post = Post(pool, channel(tmp_path, f"http://127.0.0.1:{server.server_port}/alerts"))
        await post.raise_alert()
        async with asyncio.timeout(DEADLINE_S):
            await post.step()
        over.set()
    assert "no whole answer" in (await post.attempts())[0][2]


async def test_a_secret_that_is_gone_is_an_attempt_without_the_secret_told(
    pool: Pool, tmp_path: Path
) -> None:
    post = Post(pool, channel(tmp_path))
    await post.raise_alert()
    (tmp_path / "secret").unlink()
    await post.step()
    assert "not sent" in (await post.attempts())[0][2]
    (tmp_path / "secret").write_text(SECRET)
    with running(tmp_path / "inbox", SECRET.encode(), post.clock) as server:
        again_at = channel(tmp_path, server.url)
        again = Notifier(pool, again_at, post.clock)
        post.clock.move(2)
        async with open_transport(again_at) as link:
            await again.step(link)
    assert await post.states() == [("delivered", 2, "inbox-000001")]


async def test_a_receiver_that_demands_a_certificate_is_a_failed_attempt_not_the_end(
    pool: Pool, tmp_path: Path
) -> None:
    """By TLS 1.3 the demand comes with the answer, as an error that is not httpx's own."""
    authority = Authority(tmp_path)
    shown = authority.issue("receiver")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_cert_chain(shown.certificate, shown.key)
    with answering(says(200, b'{"receipt":"r"}'), tls) as server:
        url = f"https://127.0.0.1:{server.server_port}/alerts"
        post = Post(pool, channel(tmp_path, url, ca_file=authority.file))
        await post.raise_alert()
        await post.step()
        assert server.seen == []
    assert [(row[0], row[1]) for row in await post.attempts()] == [(None, "failed")]
    assert [row[0] for row in await post.states()] == ["waiting"]


async def test_a_wrong_secret_is_mended_and_then_delivers(pool: Pool, tmp_path: Path) -> None:
    with running(tmp_path / "inbox", b"another secret of theirs", Clock()) as server:
        post = Post(pool, channel(tmp_path, server.url))
        await post.raise_alert()
        await post.step()
        assert (await post.attempts())[0][:2] == (401, "failed")
        (tmp_path / "secret").write_text("another secret of theirs")
        post.clock.move(2)
        await post.step()
    assert [row[0] for row in await post.states()] == ["delivered"]


async def test_one_alerts_notifications_keep_their_order(pool: Pool, tmp_path: Path) -> None:
    post = Post(pool, channel(tmp_path, f"http://127.0.0.1:{free_port()}/alerts"))
    await post.raise_alert()
    await post.step()
    for _ in range(6):
        await post.desk.see(month("within"))
    post.clock.move(0.5)
    assert await post.step() == 0  # the first still waits, so the second does
    post.clock.move(600)
    with running(tmp_path / "inbox", SECRET.encode(), post.clock) as server:
        there = channel(tmp_path, server.url)
        async with open_transport(there) as link:
            again = Notifier(pool, there, post.clock)
            assert [await again.step(link) for _ in range(3)] == [1, 1, 0]
        items = await asyncio.to_thread(server.inbox.items)
    assert [item["body"]["type"] for item in reversed(items)] == ["alert.firing", "alert.resolved"]


async def test_what_hits_its_bound_is_abandoned_and_makes_room(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "MOST_ATTEMPTS", 2)
    post = Post(pool, channel(tmp_path, f"http://127.0.0.1:{free_port()}/alerts"))
    await post.raise_alert()
    await post.step()
    post.clock.move(5)
    await post.step()
    assert await post.states() == [("abandoned", 2, None)]
    assert post.notifier.abandoned == 1
    post.clock.move(1000)
    assert await post.step() == 0
    (kept,) = await post.desk.kept()
    assert kept.deliveries[0]["state"] == "abandoned"


async def test_age_is_a_bound_too(pool: Pool, tmp_path: Path) -> None:
    post = Post(pool, channel(tmp_path, f"http://127.0.0.1:{free_port()}/alerts"))
    await post.raise_alert()
    post.clock.move(notifier.MOST_AGE.total_seconds())
    await post.step()
    assert [row[0] for row in await post.states()] == ["abandoned"]


async def test_run_delivers_what_is_raised_while_it_runs(pool: Pool, tmp_path: Path) -> None:
    clock = Clock()
    with running(tmp_path / "inbox", SECRET.encode(), clock) as server:
        post = Post(pool, channel(tmp_path, server.url))
        task = asyncio.create_task(post.notifier.run())
        await post.raise_alert()
        try:
            await eventually(pool, "select state from notification", [("delivered",)])
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def test_the_signature_is_the_contracts() -> None:
    header = webhook.sign(b"secret", NOW, b'{"a":1}')
    stamp = int(NOW.timestamp())
    # printf '%s' "$t.{\"a\":1}" | openssl dgst -sha256 -hmac secret
    assert header == f"t={stamp},v1={_oracle(f'{stamp}.')}"


def _oracle(prefix: str) -> str:
    """HMAC-SHA256 by its definition (RFC 2104), written out."""
    import hashlib  # noqa: PLC0415 - only here

    key = b"secret".ljust(64, b"\0")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in key) + prefix.encode() + b'{"a":1}')
    return hashlib.sha256(bytes(each ^ 0x5C for each in key) + inner.digest()).hexdigest()


async def test_a_client_asks_no_proxy_and_follows_nothing(tmp_path: Path) -> None:
    async with webhook.client(channel(tmp_path)) as link:
        assert (link.follow_redirects, link.trust_env) == (False, False)
