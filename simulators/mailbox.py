"""A mail server for tests and the demonstration: takes mails by SMTP and keeps them in a folder.

The folder is a Maildir, which any mail reader opens. It listens on loopback, by TLS, STARTTLS or in
the clear, with an account if one is wanted. Promise: mails and their number are bounded; what it
answered 250 to is on the disk; it can be told to behave as mail servers do on bad days.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.policy
import ipaddress
import logging
import mailbox as standard
import os
import ssl
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final, Literal

from core.errors import Misconfigured, Problem
from simulators import httpserver
from simulators.httpserver import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from email.message import EmailMessage
    from pathlib import Path

    from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

Security = Literal["tls", "starttls", "none"]
MOST_KEPT: Final = 10_000
MOST_MAIL_BYTES: Final = 1 << 20
MOST_RECIPIENTS: Final = 100
SILENCE_S: Final = 30.0
CERTIFICATE_DAYS: Final = 365
FULL: Final = "452 4.3.1 the mailbox is full"
log = logging.getLogger(__name__)

Rule = Callable[[str], str | None]


def _well(_: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Manners:
    """How the server behaves: an answer instead of 250, for a recipient and for a mail's bytes."""

    to_recipient: Rule = _well
    to_mail: Rule = _well
    delay_s: float = 0.0
    goodbye_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Door:
    """How the server is spoken to; `account` is a name and a password, asked for if given."""

    security: Security = "starttls"
    trust: ssl.SSLContext | None = None
    account: tuple[str, str] | None = None


@dataclass
class Mailbox:
    """The folder of what arrived, and what aiosmtpd asks of its handler."""

    folder: standard.Maildir
    manners: Manners = field(default_factory=Manners)
    taken: int = 0
    refused: int = 0

    async def handle_RCPT(  # noqa: N802 - the library's name and arguments
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
        address: str,
        options: list[str],  # noqa: ARG002
    ) -> str:
        """Take a recipient, or answer as the manners say."""
        answer = self.manners.to_recipient(address)
        if answer is None and len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            answer = "452 4.5.3 too many recipients"
        if answer is not None:
            self.refused += 1
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(  # noqa: N802 - the library's name
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,
    ) -> str:
        """Keep a mail once for all its recipients, and say under which name."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        if self.manners.delay_s:
            await asyncio.sleep(self.manners.delay_s)
        answer = self.manners.to_mail(content.decode("utf-8", "replace"))
        if answer is None and len(self.folder) >= MOST_KEPT:
            answer = FULL
        if answer is not None:
            self.refused += 1
            return answer
        head = "".join(f"X-Envelope-To: {each}\r\n" for each in envelope.rcpt_tos).encode()
        name = self.folder.add(head + content)
        self.taken += 1
        return f"250 2.0.0 Ok: queued as {name.partition('.')[0]}-{self.taken}"

    async def handle_QUIT(  # noqa: N802 - the library's name
        self,
        server: SMTP,  # noqa: ARG002
        session: Session,  # noqa: ARG002
        envelope: Envelope,  # noqa: ARG002
    ) -> str:
        """Say goodbye, as late as the manners say."""
        if self.manners.goodbye_s:
            await asyncio.sleep(self.manners.goodbye_s)
        return "221 2.0.0 Bye"

    def mails(self) -> list[EmailMessage]:
        """Return what arrived, oldest first, read as a mail reader reads it."""
        kept = sorted(self.folder.keys(), key=_arrival)
        policy: Any = email.policy.default
        return [message_from_bytes(self.folder.get_bytes(key), policy=policy) for key in kept]


def _arrival(key: str) -> tuple[int, ...]:
    """Return when a mail came, by the name that a Maildir gives it: seconds, then M, P and Q."""
    parts = key.split(".")
    inner = parts[1].replace("M", " ").replace("P", " ").replace("Q", " ").split()
    return (int(parts[0]), *map(int, inner))


def open_folder(path: Path) -> standard.Maildir:
    """Open or make the folder; raises Misconfigured where it cannot be one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return standard.Maildir(path, create=True)
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"is no folder of mail: {error}")]) from error


@asynccontextmanager
async def serving(box: Mailbox, door: Door, port: int = 0) -> AsyncIterator[int]:
    """Yield the port that it listens at; raises Misconfigured where that cannot be used."""
    try:
        from aiosmtpd import smtp  # noqa: PLC0415 - only the simulator needs it
    except ImportError as error:
        message = "needs aiosmtpd: pip install 'danhao[simulators]'"
        raise Misconfigured([Problem("simulate mailbox", message)]) from error
    encrypted = door.security != "none"
    if encrypted and door.trust is None:
        raise Misconfigured([Problem("--security", f"{door.security} needs a certificate")])

    def answering() -> asyncio.Protocol:
        return smtp.SMTP(
            box,
            hostname="mailbox.localhost",
            ident="mailbox",
            data_size_limit=MOST_MAIL_BYTES,
            tls_context=door.trust if door.security == "starttls" else None,
            require_starttls=door.security == "starttls",
            auth_required=door.account is not None,
            auth_require_tls=door.security == "starttls",
            authenticator=None if door.account is None else _asking(door.account),
            timeout=SILENCE_S,
            loop=asyncio.get_running_loop(),
        )

    loop = asyncio.get_running_loop()
    trust = door.trust if door.security == "tls" else None
    try:
        server = await loop.create_server(answering, HOST, port, ssl=trust)
    except OSError as error:
        message = f"port {port} on {HOST} cannot be used ({error.strerror}): give another"
        raise Misconfigured(message) from error
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await server.wait_closed()


def _asking(account: tuple[str, str]) -> Callable[..., AuthResult]:
    """Return what compares an account, in the same time whatever is wrong with it."""
    from aiosmtpd.smtp import AuthResult, LoginPassword  # noqa: PLC0415 - as above

    def ask(
        server: SMTP,  # noqa: ARG001 - the library's arguments
        session: Session,  # noqa: ARG001
        envelope: Envelope,  # noqa: ARG001
        mechanism: str,  # noqa: ARG001
        given: LoginPassword | Any,
    ) -> AuthResult:
        offered = (given.login, given.password) if isinstance(given, LoginPassword) else (b"", b"")
        same = [
            compare_digest(wanted.encode(), bytes(got))
            for wanted, got in zip(account, offered, strict=True)
        ]
        return AuthResult(success=all(same), handled=False)

    return ask


def door_of(
    folder: Path,
    security: Security,
    shown: tuple[Path | None, Path | None],
    account: tuple[str | None, Path | None],
    now: dt.datetime,
) -> Door:
    """Return how a mailbox of the command line is spoken to; raises Misconfigured.

    Without a certificate it makes one of its own beside the folder.
    """
    username, password_file = account
    if (username is None) != (password_file is None):
        raise Misconfigured([Problem("--username", "goes with --password-file: give both")])
    pair = None
    if username is not None and password_file is not None:
        pair = (username, httpserver.read_secret(password_file).decode())
    if security == "none":
        return Door(security, None, pair)
    certificate, key = shown
    if (certificate is None) != (key is None):
        raise Misconfigured([Problem("--certificate", "goes with --key: give both")])
    if certificate is None or key is None:
        certificate = folder.with_name(f"{folder.name}.pem")
        key = folder.with_name(f"{folder.name}.key")
        make_certificate(certificate, key, now)
        log.warning("senders trust it by ca_file = %s", certificate)
    return Door(security, trust_of(certificate, key), pair)


def trust_of(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what the server shows; raises Misconfigured for files that cannot be used."""
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        trust.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        message = f"is no certificate with its key ({error}): write PEM"
        raise Misconfigured([Problem(str(certificate), message)]) from error
    return trust


def make_certificate(certificate: Path, key: Path, now: dt.datetime) -> None:
    """Write a certificate for this machine that signs itself, and its key, if they are not there.

    A sender trusts it by naming the file as its `ca_file`.
    """
    if certificate.exists() and key.exists():
        return
    from cryptography import x509  # noqa: PLC0415 - only here
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - the same
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - the same

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "danhao simulated mailbox")])
    here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(here), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        certificate.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(key, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise Misconfigured([Problem(str(certificate), f"cannot be made: {error}")]) from error


async def serve(box: Mailbox, door: Door, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    async with serving(box, door, port) as given:
        log.warning("the mailbox listens at %s:%d (%s)", HOST, given, door.security)
        await stop.wait()
