"""The mail server of the demonstration, as a user starts it."""

from __future__ import annotations

import signal
import smtplib
import ssl
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from core.clock import utc_now
from core.errors import Misconfigured
from simulators import mailbox
from tests.fixtures.service import free_port
from tests.simulators.test_commands import run, start

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "a password of the tests"


@pytest.mark.slow
def test_a_started_mailbox_takes_a_mail_by_tls_and_an_account(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    port = free_port()
    account = ("--username", "plant", "--password-file", tmp_path / "password")
    process = start("mailbox", "--port", str(port), "--folder", tmp_path / "mails", *account)
    try:
        assert process.stderr is not None
        assert "ca_file" in process.stderr.readline()
        assert f"127.0.0.1:{port}" in process.stderr.readline()
        trust = ssl.create_default_context(cafile=tmp_path / "mails.pem")
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = "单耗", "a@b.example", "c@d.example"
        mail.set_content("hello")
        with smtplib.SMTP("localhost", port, timeout=10) as client:
            client.starttls(context=trust)
            with pytest.raises(smtplib.SMTPSenderRefused):
                client.send_message(mail)
            client.login("plant", PASSWORD)
            assert client.send_message(mail) == {}
    finally:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    box = mailbox.Mailbox(mailbox.open_folder(tmp_path / "mails"))
    assert [str(kept["Subject"]) for kept in box.mails()] == ["单耗"]
    assert (tmp_path / "mails.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--username", "x"), "--username: goes with --password-file: give both"),
        (("--certificate", "x.pem"), "--certificate: goes with --key: give both"),
        (("--certificate", "x.pem", "--key", "x.key"), "x.pem: is no certificate with its key"),
    ],
)
def test_wrong_use_is_one_sentence(tmp_path: Path, more: tuple[str, ...], told: str) -> None:
    code, _, err = run("mailbox", "--port", "0", "--folder", tmp_path / "mails", *more)
    assert code == 2
    assert err.startswith(told)


def test_a_certificate_that_is_there_stays(tmp_path: Path) -> None:
    now = utc_now()
    pair = (tmp_path / "a.pem", tmp_path / "a.key")
    mailbox.make_certificate(*pair, now)
    before = [path.read_bytes() for path in pair]
    mailbox.make_certificate(*pair, now)
    assert [path.read_bytes() for path in pair] == before


async def test_a_full_mailbox_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MOST_KEPT", 1)
    box = mailbox.Mailbox(mailbox.open_folder(tmp_path / "mails"))
    from aiosmtpd.smtp import Envelope  # noqa: PLC0415 - only here

    envelope = Envelope()
    envelope.content = b"Subject: x\r\n\r\nx\r\n"
    first = await box.handle_DATA(None, None, envelope)  # type: ignore[arg-type]
    second = await box.handle_DATA(None, None, envelope)  # type: ignore[arg-type]
    assert first.startswith("250 ")
    assert second == mailbox.FULL
    assert (box.taken, box.refused) == (1, 1)


async def test_a_port_that_is_taken_and_a_missing_certificate_are_told(tmp_path: Path) -> None:
    box = mailbox.Mailbox(mailbox.open_folder(tmp_path / "mails"))
    with pytest.raises(Misconfigured, match="needs a certificate"):
        async with mailbox.serving(box, mailbox.Door("tls")):
            pass
    async with mailbox.serving(box, mailbox.Door("none")) as port:
        with pytest.raises(Misconfigured, match="cannot be used"):
            async with mailbox.serving(box, mailbox.Door("none"), port):
                pass


def test_a_folder_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Misconfigured, match="is no folder of mail"):
        mailbox.open_folder(tmp_path / "file" / "mails")
