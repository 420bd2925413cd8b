"""Mail through a real mail server: SMTP on a socket, TLS, accounts, and its answers on bad days."""

from __future__ import annotations

import asyncio
import email.policy
import re
import socket
import ssl
from contextlib import asynccontextmanager
from email import message_from_bytes
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import alertletter
from ingest import mail, transports
from ingest.addresses import Environment
from ingest.channels import Mail
from simulators import mailbox
from simulators.mailbox import Door, Mailbox, Manners
from tests.core.alertbodies import body, bundle, condition
from tests.edge.certificates import Authority
from tests.fixtures.service import free_port
from tests.ingest.letters import ALERT, NOTIFICATION, clock, due, names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.notifications import Attempt

PASSWORD = "the password of the tests"


class Post:
    """A mail server with TLS, and a channel that goes there."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        pair = self.authority.issue("mail server")
        self.trust = mailbox.trust_of(pair.certificate, pair.key)
        self.box = Mailbox(mailbox.open_folder(folder / "mails"))
        self.folder = folder
        self.port = 0

    @asynccontextmanager
    async def open(
        self, security: mailbox.Security = "starttls", account: tuple[str, str] | None = None
    ) -> AsyncIterator[Post]:
        trust = None if security == "none" else self.trust
        async with mailbox.serving(self.box, Door(security, trust, account)) as port:
            self.port = port
            yield self

    def channel(self, **more: Any) -> Mail:
        given = {
            "name": "mails",
            "kind": "mail",
            "jurisdiction": "cn",
            "host": "127.0.0.1",
            "port": self.port,
            "sender": "danhao@plant.example",
            "recipients": ("first@office.example", "second@office.example"),
            "ca_file": self.authority.file,
            **more,
        }
        return Mail.model_validate(given)


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


async def send(
    channel: Mail, message: dict[str, Any] | None = None, **more: Any
) -> tuple[Attempt, Attempt]:
    """Send the same notification twice by one transport."""
    async with transports.open_transport(channel, **more) as link:
        return await link.send(due(message), clock), await link.send(due(message), clock)


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
async def test_a_mail_is_read_back_as_it_was_told(post: Post, security: mailbox.Security) -> None:
    message = body("finding")
    async with post.open(security):
        channel = post.channel(security=security)
        async with transports.open_transport(channel) as link:
            attempt = await link.send(due(message), clock)
    assert (attempt.status, attempt.detail) == (250, "taken for 2 of 2 recipients")
    assert attempt.receipt is not None
    assert "queued as" in attempt.receipt
    (kept,) = post.box.mails()
    told = alertletter.letter(message, post.channel(port=25).style())
    assert kept["Subject"] == told.subject
    assert kept["Message-ID"] == f"<{NOTIFICATION}@plant.example>"
    assert kept["References"] == f"<alert-{ALERT}@plant.example>"
    assert kept["Auto-Submitted"] == "auto-generated"
    assert kept["To"] == "first@office.example, second@office.example"
    assert kept.get_all("X-Envelope-To") == ["first@office.example", "second@office.example"]
    text, page = kept.get_body(("plain",)), kept.get_body(("html",))
    assert text is not None
    assert page is not None
    assert text.get_content().replace("\r\n", "\n") == told.text
    assert page.get_content().replace("\r\n", "\n") == told.html
    assert "判定超限" in told.text


async def test_the_same_notification_is_the_same_mail_at_every_attempt(post: Post) -> None:
    async with post.open():
        first, second = await send(post.channel())
    assert first.receipt is not None
    assert second.receipt is not None
    mails = post.box.mails()
    assert mails[0].as_bytes() == mails[1].as_bytes()
    assert mail.message(post.channel(), due()) == mail.message(post.channel(), due())
    other = due(body("resolved"))
    assert mail.message(post.channel(), other) != mail.message(post.channel(), due())


async def test_a_bundle_is_one_mail_without_a_conversation(post: Post) -> None:
    message = bundle("digest", *(body("firing", condition()) for _ in range(3)))
    async with post.open(), transports.open_transport(post.channel()) as link:
        await link.send(due(message, alert=None), clock)
    (kept,) = post.box.mails()
    assert kept["References"] is None
    assert "3" in kept["Subject"]


async def test_lines_are_short_and_seven_bit_whatever_is_told(post: Post) -> None:
    long = condition(sentence={"zh": "长" * 500, "en": "x" * 500})
    raw = mail.message(post.channel(port=25), due(body("firing", long)))
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322, 2.1.1
    assert raw.isascii()


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(zh=st.text(max_size=400), en=st.text(max_size=400))
def test_whatever_is_told_reads_back_the_same(post: Post, zh: str, en: str) -> None:
    message = body("firing", condition(sentence={"zh": zh, "en": en}))
    channel = post.channel(port=25)
    raw = mail.message(channel, due(message))
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    read: Any = message_from_bytes(raw, policy=email.policy.default)
    told = alertletter.letter(message, channel.style())
    assert read["Subject"] == told.subject
    text = read.get_body(("plain",)).get_content()
    assert text.replace("\r\n", "\n") == told.text


async def test_a_name_with_line_ends_adds_no_header(post: Post) -> None:
    nasty = {"zh": "甲\r\nBcc: thief@x.example", "en": "A\r\nBcc: thief@x.example"}
    raw = mail.message(post.channel(port=25), due(body("firing", condition(sentence=nasty))))
    assert b"\nBcc:" not in raw


async def test_a_server_nobody_vouches_for_hears_nothing(post: Post, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    for security in ("starttls", "tls"):
        async with post.open(security):
            channel = post.channel(security=security, ca_file=stranger.file)
            attempt, _ = await send(channel)
        assert attempt.receipt is None
        assert "certificate verify failed" in attempt.detail
    assert post.box.taken == post.box.refused == 0


async def test_a_certificate_of_another_name_is_refused(post: Post) -> None:
    environment = Environment(names(mail_example="127.0.0.1"))
    async with post.open():
        channel = post.channel(host="mail.example", private=True)
        attempt, _ = await send(channel, environment=environment)
    assert "certificate verify failed" in attempt.detail
    assert post.box.taken == 0


async def test_a_server_that_offers_no_starttls_hears_nothing(post: Post) -> None:
    """Somebody in between may take the offer out: plain text is no way on."""
    async with post.open("none"):
        attempt, _ = await send(post.channel(security="starttls"))
    assert attempt.receipt is None
    assert "STARTTLS" in attempt.detail
    assert post.box.taken == post.box.refused == 0


async def test_a_name_that_leads_inside_reaches_nothing(post: Post) -> None:
    environment = Environment(names(mail_example="127.0.0.1"))
    async with post.open():
        attempt, _ = await send(post.channel(host="mail.example"), environment=environment)
    assert attempt.detail == (
        "not sent: mail.example: 127.0.0.1 is this machine: write private = true if that is meant"
    )


async def test_an_account_is_shown_after_tls_and_its_password_read_anew(
    post: Post, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    async with post.open(account=("danhao", PASSWORD)):
        channel = post.channel(username="danhao", password_file=secret)
        async with transports.open_transport(channel) as link:
            refused = await link.send(due(), clock)
            secret.write_text(PASSWORD + "\n")
            taken = await link.send(due(), clock)
    assert (refused.status, refused.receipt) == (535, None)
    assert PASSWORD not in refused.detail
    assert "wrong" not in refused.detail
    assert taken.receipt is not None


async def test_without_an_account_a_server_that_wants_one_says_so(post: Post) -> None:
    async with post.open(account=("danhao", PASSWORD)):
        attempt, _ = await send(post.channel())
    assert (attempt.status, attempt.receipt) == (530, None)


async def test_who_has_a_mail_does_not_get_it_again_while_others_wait(post: Post) -> None:
    """A greylisted recipient is tried again alone."""
    waits = ["450 4.2.0 greylisted"]
    post.box.manners = Manners(
        to_recipient=lambda who: waits.pop() if who.startswith("second") and waits else None
    )
    async with post.open():
        first, second = await send(post.channel())
    assert (first.status, first.receipt) == (450, None)
    assert first.detail == "1 of 2 recipients have to wait: 450 4.2.0 greylisted"
    assert second.receipt is not None
    told = [kept.get_all("X-Envelope-To") for kept in post.box.mails()]
    assert told == [["first@office.example"], ["second@office.example"]]


async def test_a_recipient_that_is_refused_for_good_holds_up_nobody(post: Post) -> None:
    post.box.manners = Manners(
        to_recipient=lambda who: "550 5.1.1 no such user" if who.startswith("second") else None
    )
    async with post.open():
        attempt, _ = await send(post.channel())
    assert attempt.receipt is not None
    assert attempt.detail == (
        "taken for 1 of 2 recipients, refused for good: 550 5.1.1 no such user"
    )


async def test_a_mail_that_nobody_may_have_is_not_delivered(post: Post) -> None:
    post.box.manners = Manners(to_recipient=lambda _: "550 5.1.1 no such user")
    async with post.open():
        first, second = await send(post.channel())
    assert (first.status, first.receipt) == (second.status, second.receipt) == (550, None)
    assert first.detail == "no recipient is taken: 550 5.1.1 no such user"


async def test_some_had_it_and_the_rest_is_refused_for_good_later(post: Post) -> None:
    answers = ["550 5.1.1 no such user", "450 4.2.0 greylisted"]
    post.box.manners = Manners(
        to_recipient=lambda who: answers.pop() if who.startswith("second") else None
    )
    async with post.open():
        first, second = await send(post.channel())
    assert first.receipt is None
    assert second.receipt == "taken for 1"
    assert "1 are refused for good" in second.detail


async def test_a_mail_that_is_refused_whole_is_not_delivered(post: Post) -> None:
    post.box.manners = Manners(to_mail=lambda _: "554 5.7.1 looks like spam")
    async with post.open():
        attempt, _ = await send(post.channel())
    assert (attempt.status, attempt.receipt) == (554, None)
    assert attempt.detail == "answered 554 5.7.1 looks like spam"


async def test_a_server_that_is_out_is_a_failed_attempt(post: Post) -> None:
    attempt, _ = await send(post.channel(port=free_port()))
    assert attempt.receipt is None
    assert "ConnectionRefusedError" in attempt.detail


async def test_a_server_that_says_nothing_is_given_up_in_time(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "DEADLINE_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with asyncio.timeout(10):
            attempt, _ = await send(post.channel(port=silent.getsockname()[1]))
    assert attempt.detail.startswith("no whole answer within")


class Cutting:
    """Passes bytes on to a mail server, and cuts the line after so many pieces from there."""

    def __init__(self, port: int, pieces: int) -> None:
        self._port = port
        self._left = pieces

    async def pass_on(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, there = await asyncio.open_connection("127.0.0.1", self._port)

        async def outwards() -> None:
            while data := await near.read(65_536):
                there.write(data)
            there.close()

        sending = asyncio.create_task(outwards())
        try:
            while self._left > 0 and (data := await far.read(65_536)):
                self._left -= 1
                back.write(data)
                await back.drain()
        finally:
            sending.cancel()
            back.close()
            there.close()


async def test_wherever_the_line_is_cut_it_is_an_attempt_and_the_mail_comes_in_the_end(
    post: Post,
) -> None:
    """Fail at the n-th answer, for every n until one run passes untouched."""
    attempts: list[Attempt] = []
    async with post.open():
        while len(attempts) < 60:
            cutting = Cutting(post.port, len(attempts))
            server = await asyncio.start_server(cutting.pass_on, "127.0.0.1", 0)
            async with server:
                channel = post.channel(port=server.sockets[0].getsockname()[1])
                async with transports.open_transport(channel) as link:
                    attempts.append(await link.send(due(), clock))
            assert attempts[-1].detail
            if attempts[-1].receipt is not None:
                break
    assert attempts[-1].receipt is not None
    assert len(attempts) > 5  # greeting, hello, TLS, hello, sender, recipients, data, and the mail
    mails = post.box.mails()
    assert {str(kept["Message-ID"]) for kept in mails} == {f"<{NOTIFICATION}@plant.example>"}
    assert 1 <= len(mails) <= 3  # it may have arrived before its answer was cut off


async def test_a_goodbye_that_is_not_answered_costs_no_receipt(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "GOODBYE_S", 0.05)
    post.box.manners = Manners(goodbye_s=60)
    async with post.open():
        attempt, _ = await send(post.channel())
    assert attempt.receipt is not None


async def test_what_cannot_be_put_into_words_is_an_attempt_not_the_end(post: Post) -> None:
    async with transports.open_transport(post.channel(port=25)) as link:
        for text in ("[]", "{", '{"type":"alert.firing","alert":{"severity":77}}'):
            attempt = await link.send(due(body_text=text), clock)
            assert attempt.receipt is None
            assert "cannot be put into words" in attempt.detail


async def test_cancelling_goes_through(post: Post) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        task = asyncio.create_task(send(post.channel(port=silent.getsockname()[1])))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_memory_of_who_has_a_mail_is_bounded(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "MOST_HELD", 1)
    post.box.manners = Manners(
        to_recipient=lambda who: "450 later" if who.startswith("second") else None
    )
    async with post.open(), transports.open_transport(post.channel()) as link:
        assert isinstance(link, transports.Guarded)
        await link.send(due(), clock)
        await link.send(due(id=ALERT), clock)
        assert isinstance(link.inner, mail.Link)
        assert set(link.inner._done) == {ALERT}
        assert link.inner.forgotten == 1


def test_the_mail_server_of_tests_is_a_real_one(tmp_path: Path) -> None:
    """It is spoken to by the standard library's client as well."""
    import smtplib  # noqa: PLC0415 - only here

    authority = Authority(tmp_path)
    pair = authority.issue("mail server")
    box = Mailbox(mailbox.open_folder(tmp_path / "mails"))

    def talk(port: int) -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.starttls(context=ssl.create_default_context(cafile=authority.file))
            client.ehlo()
            client.mail("a@b.example")
            client.rcpt("c@d.example")
            return client.data(b"Subject: hello\r\n\r\nhello\r\n")

    async def run() -> tuple[int, bytes]:
        door = Door("starttls", mailbox.trust_of(pair.certificate, pair.key))
        async with mailbox.serving(box, door) as port:
            return await asyncio.to_thread(talk, port)

    code, said = asyncio.run(run())
    assert code == 250
    assert re.match(rb"2\.0\.0 Ok: queued as \S+", said)
    assert [kept["Subject"] for kept in box.mails()] == ["hello"]
