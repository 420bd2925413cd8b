"""A notification as a mail: made in both languages, handed to a mail server, and what it answers.

Promise: nothing is said to a server whose certificate does not prove its name; the same
notification is the same mail, byte for byte and by its Message-ID, at every attempt; delivered
means that the server took it over for every recipient it does not refuse for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from email.header import Header
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import compat32
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

import aiosmtplib

from core import alertletter, sending
from core.errors import Misconfigured
from ingest import outgoing
from ingest.addresses import Gate
from store.notifications import Attempt

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Collection, Sequence
    from datetime import datetime
    from uuid import UUID

    from ingest.addresses import Environment
    from ingest.channels import Mail
    from store.notifications import Due

DEADLINE_S: Final = 30.0  # of the whole conversation; a greeting may be held back on purpose
CONNECT_S: Final = 5.0  # of one address
ANSWER_S: Final = 20.0
GOODBYE_S: Final = 1.0  # after the deadline's end: a receipt is never lost over a goodbye
PORTS: Final = {"tls": 465, "starttls": 587, "none": 25}
MOST_HELD: Final = 1_000  # mails that some have and others not yet; older ones go to all again
MOST_DETAIL_CHARS: Final = 300
MOST_RECEIPT_CHARS: Final = 200
_LINES: Final = compat32.clone(linesep="\r\n")
_PASSING: Final = range(400, 500)  # SMTP's range of "try again" (RFC 5321, 4.2.1)
_TAKEN: Final = 250


def message(channel: Mail, due: Due) -> bytes:
    """Return the mail of a notification, the same bytes each time.

    Raises ValueError where the notification cannot be put into words.
    """
    told = alertletter.letter(json.loads(due.body), channel.style())
    domain = channel.sender.rpartition("@")[2]
    mail = MIMEMultipart("alternative", boundary=f"danhao-{due.id}")
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.recipients)
    # Encoded whole: the library's other way of folding drops spaces between encoded words.
    mail["Subject"] = Header(told.subject, "utf-8", header_name="Subject").encode()
    mail["Date"] = format_datetime(due.created_at)
    mail["Message-ID"] = f"<{due.id}@{domain}>"
    if due.alert is not None:
        # One conversation an alert: readers put its mails together.
        mail["References"] = mail["In-Reply-To"] = f"<alert-{due.alert}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
    mail["X-Danhao-Notification"] = str(due.id)
    for kind, text in (("plain", told.text), ("html", told.html)):
        # In UTF-8 it is base64: lines are short and 7-bit, whatever a server on the way can carry.
        mail.attach(MIMEText(text.replace("\n", "\r\n"), kind, "utf-8"))
    return mail.as_bytes(policy=_LINES)


class Link:
    """The way to one mail server: a transport; a connection a mail."""

    def __init__(self, channel: Mail, gate: Gate, trust: ssl.SSLContext) -> None:
        self._channel = channel
        self._gate = gate
        self._trust = trust
        self._done: dict[UUID, frozenset[str]] = {}  # who has a mail that others still wait for
        self.forgotten = 0  # mails that go to all again, as too many waited

    async def send(self, due: Due, clock: Callable[[], datetime]) -> Attempt:
        """Send a notification once and return how it went; raises nothing but cancellation."""
        at = clock()
        loop = asyncio.get_running_loop()
        began = loop.time()
        link: aiosmtplib.SMTP | None = None
        status: int | None = None
        receipt: str | None = None
        try:
            mail = message(self._channel, due)
            async with asyncio.timeout(DEADLINE_S):
                link = await self._connect()
                status, receipt, detail = await self._hand_over(link, due, mail)
        except TimeoutError:
            detail = f"no whole answer within {DEADLINE_S:.0f} s"
        except aiosmtplib.SMTPResponseException as error:
            status, detail = error.code, f"answered {error.code} {error.message}"
        except (aiosmtplib.SMTPException, OSError) as error:
            detail = f"{type(error).__name__}: {error}"
        except Misconfigured as error:
            detail = f"not sent: {error}"
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            detail = f"not sent: the notification cannot be put into words ({error})"
        finally:
            if link is not None:
                await _part(link, politely=receipt is not None)
        took_ms = round((loop.time() - began) * 1000)
        return Attempt(at, took_ms, status, receipt, sending.one_line(detail, MOST_DETAIL_CHARS))

    async def _hand_over(
        self, link: aiosmtplib.SMTP, due: Due, mail: bytes
    ) -> tuple[int | None, str | None, str]:
        """Give the mail to the server; return its code, the receipt if there is one, a sentence."""
        done = self._done.get(due.id, frozenset())
        wanted = [each for each in self._channel.recipients if each not in done]
        try:
            refused, answer = await link.sendmail(self._channel.sender, wanted, mail)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return self._refused(due, len(done), error.recipients)
        waiting = [one for one in refused.values() if one.code in _PASSING]
        if waiting:
            self._hold(due.id, done | (set(wanted) - set(refused)))
            first = waiting[0]
            told = f"{len(waiting)} of {len(self._channel.recipients)} recipients have to wait"
            return first.code, None, f"{told}: {first.code} {first.message}"
        self._done.pop(due.id, None)
        return _TAKEN, _receipt(answer), _told(len(self._channel.recipients), refused.values())

    def _refused(
        self, due: Due, done: int, refused: Sequence[aiosmtplib.SMTPRecipientRefused]
    ) -> tuple[int | None, str | None, str]:
        """Judge a server that took none of those asked for: the rest may have it already."""
        first = refused[0]
        if done and all(each.code not in _PASSING for each in refused):
            self._done.pop(due.id, None)
            told = f"taken for {done} recipients, {len(refused)} are refused for good"
            return first.code, f"taken for {done}", f"{told}: {first.code} {first.message}"
        told = f"no recipient is taken: {first.code} {first.message}"
        return first.code, None, told

    def _hold(self, notification: UUID, done: frozenset[str]) -> None:
        while len(self._done) >= MOST_HELD and notification not in self._done:
            del self._done[next(iter(self._done))]
            self.forgotten += 1
        self._done[notification] = done

    async def _connect(self) -> aiosmtplib.SMTP:
        """Return a connection that is encrypted as the channel says, to an address it may reach."""
        channel = self._channel
        port = channel.port or PORTS[channel.security]
        permitted = await self._gate.permitted(channel.host, port)
        link = aiosmtplib.SMTP(
            hostname=channel.host,  # whose certificate must be shown
            sock=await _socket(permitted, port),
            use_tls=channel.security == "tls",
            start_tls=channel.security == "starttls",
            tls_context=self._trust,
            local_hostname=channel.sender.rpartition("@")[2],
            timeout=ANSWER_S,
        )
        await link.connect()
        password = channel.password()
        if channel.username is not None and password is not None:
            try:
                await link.login(channel.username, password)
            except BaseException:
                link.close()
                raise
        return link


@contextlib.asynccontextmanager
async def open_link(channel: Mail, environment: Environment) -> AsyncIterator[Link]:
    """Open the way to a mail server; raises Misconfigured where certificates cannot be read."""
    trust = outgoing.trusted(channel.ca_file)
    yield Link(channel, Gate(channel.private, environment.resolve), trust)


async def _socket(permitted: Sequence[str], port: int) -> socket.socket:
    """Return a connection to the first address that answers; raises OSError."""
    loop = asyncio.get_running_loop()
    failed: OSError | None = None
    for address in permitted:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        link = socket.socket(family, socket.SOCK_STREAM)
        link.setblocking(False)  # noqa: FBT003 - the library's
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.sock_connect(link, (address, port))
        except BaseException as error:
            link.close()
            if not isinstance(error, OSError):
                raise
            failed = error
        else:
            return link
    raise failed or OSError("no address answered")


async def _part(link: aiosmtplib.SMTP, *, politely: bool) -> None:
    """Close a connection, with a goodbye where all went well; what counts was answered before."""
    try:
        if politely:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                async with asyncio.timeout(GOODBYE_S):
                    await link.quit()
    finally:
        link.close()


def _receipt(answer: str) -> str:
    """Return what the server calls the mail in its own books, as it said it."""
    return sending.one_line(answer, MOST_RECEIPT_CHARS) or "taken"


def _told(recipients: int, refused: Collection[aiosmtplib.SMTPResponse]) -> str:
    """Say for how many the server took it, and why not for the others."""
    told = f"taken for {recipients - len(refused)} of {recipients} recipients"
    first = next(iter(refused), None)
    return told if first is None else f"{told}, refused for good: {first.code} {first.message}"
