"""Where alerts are told: `[[channel]]` of danhao.toml, a webhook, a mailbox or a chat each.

Promise: every mistake is told at once with its line; a secret stands in a file of its own, is
read anew for every delivery, and is in no message.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from core import names, periods, severities, tomlfile, wire
from core.alertletter import Style
from core.errors import Misconfigured, Problem
from ingest import addresses, outgoing
from store import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.tomlfile import Document

TABLE: Final = "channel"
MOST_CHANNELS: Final = 32
LEAST_SECRET_CHARS: Final = 16
MOST_SECRET_CHARS: Final = 1_000
MOST_RECIPIENTS: Final = 20  # of one mail: more people are a list of the mail server's own
MOST_ADDRESS_CHARS: Final = 2_000
MOST_PAGE_CHARS: Final = 200
MOST_WAIT_S: Final = 7 * 86_400
_SLUG: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_HOST: Final = re.compile(r"[A-Za-z0-9.:-]{1,253}")
_HOUR: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
# What every mail server takes, and no header can be made of.
_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")


def _like(form: re.Pattern[str], told: str) -> BeforeValidator:
    """Return a check of a text by its form, which tells a person what to write."""

    def check(value: object) -> str:
        if not isinstance(value, str) or form.fullmatch(value) is None:
            raise ValueError(told)
        return value

    return BeforeValidator(check)


Mailbox = Annotated[str, _like(_MAILBOX, "write a mail address such as energy@plant.example")]
Host = Annotated[str, _like(_HOST, "write the server's name such as mail.plant.example")]
Hour = Annotated[str, _like(_HOUR, "write an hour of the day such as 08:00")]
Severity = Annotated[int, Field(ge=0, le=4)]


def _webhook(value: object) -> str:
    """Check an address; raises ValueError with one sentence."""
    return outgoing.check_address(value, "the signature")


def _page(value: object) -> str:
    """Check where the page is, for links; nothing is sent there."""
    text = value if isinstance(value, str) else ""
    parts = urlsplit(text)
    plain = not (parts.query or parts.fragment or parts.username or parts.password)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not plain:
        raise ValueError("write where the page is, such as https://danhao.plant.example")
    if len(text) > MOST_PAGE_CHARS or not text.isprintable() or " " in text:
        raise ValueError("write where the page is, such as https://danhao.plant.example")
    return text.rstrip("/")


def _scheme(value: str) -> str:
    if value not in severities.catalogue():
        known = ", ".join(severities.catalogue())
        raise ValueError(f"is no scheme of severities: write one of {known}")
    return value


def _zone(value: str) -> str:
    try:
        periods.zone(value)
    except (ValueError, Misconfigured) as error:
        raise ValueError("is no time zone: write one such as Asia/Shanghai") from error
    return value


class Receiver(BaseModel):
    """What every channel has: who is told of what, how much at once, and who if it is out."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    name: Annotated[str, Field(pattern=_SLUG, max_length=64)]
    jurisdiction: Annotated[str, Field(pattern=_SLUG, max_length=64)]
    least_severity: Severity = 0
    escalate_to: Annotated[str, Field(pattern=_SLUG, max_length=64)] | None = None
    escalate_after_s: Annotated[int, Field(ge=60, le=MOST_WAIT_S)] = 3_600
    digest: Hour | None = None
    digest_below: Annotated[int, Field(ge=1, le=4)] = 2  # what is formal waits for no digest
    timezone: Annotated[str, Field(max_length=64), BeforeValidator(_zone)] = "Asia/Shanghai"
    most_per_10_min: Annotated[int, Field(ge=1, le=600)] = 10  # EEMUA 191: what people can take in
    scheme: Annotated[str, BeforeValidator(_scheme)] = severities.OWN
    language: Literal["zh", "en", "both"] = "both"
    page_url: Annotated[str, BeforeValidator(_page)] | None = None
    private: bool = False  # before the address, which is judged by it

    def concerns(self, jurisdiction: str, severity: int) -> bool:
        """Tell whether the receiver is told of an alert there, so grave."""
        inside = names.is_within(jurisdiction, self.jurisdiction)
        return inside and severity >= self.least_severity

    def style(self) -> Style:
        """Return how its people are written to."""
        return Style(severities.catalogue()[self.scheme], self.language, self.page_url)

    def secrets(self) -> Sequence[tuple[str, Callable[[], object]]]:
        """Return what is read from files of its own, by key, to be checked when loaded."""
        return ()


class Webhook(Receiver):
    """A receiver that takes a signed POST and answers with a receipt."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, BeforeValidator(_webhook), Field(max_length=MOST_ADDRESS_CHARS)]
    secret_file: Path
    key_file: Path | None = None
    ca_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _judged(cls, value: str, info: ValidationInfo) -> str:
        return _permitted(value, outgoing.host(value), info)

    def secret(self) -> bytes:
        """Read the secret anew, so that a changed file counts from the next delivery on."""
        return _secret(self.secret_file).encode()

    def signer(self) -> tuple[Callable[[bytes], bytes], str] | None:
        """Return what signs by Ed25519 and its public key, None where no key is named."""
        if self.key_file is None:
            return None
        try:
            return wire.signer(settings.read_text(self.key_file).encode())
        except Misconfigured as error:
            if any(problem.where for problem in error.problems):
                raise
            raise Misconfigured([Problem(str(self.key_file), str(error))]) from error

    def secrets(self) -> Sequence[tuple[str, Callable[[], object]]]:
        """Return the secret of the HMAC and the key of Ed25519."""
        return (("secret_file", self.secret), ("key_file", self.signer))


class Mail(Receiver):
    """Mailboxes behind a mail server; what is said to it is encrypted."""

    kind: Literal["mail"] = "mail"
    host: Host
    security: Literal["tls", "starttls", "none"] = "starttls"
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    sender: Mailbox
    recipients: Annotated[list[Mailbox], Field(min_length=1, max_length=MOST_RECIPIENTS)]
    username: Annotated[str, Field(min_length=1, max_length=320)] | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    @field_validator("host")
    @classmethod
    def _judged(cls, value: str, info: ValidationInfo) -> str:
        return _permitted(value, value, info)

    @field_validator("security")
    @classmethod
    def _encrypted(cls, value: str, info: ValidationInfo) -> str:
        if value == "none" and not addresses.is_here(str(info.data.get("host", "localhost"))):
            raise ValueError("write tls or starttls: plain text is for this machine only")
        return value

    @field_validator("password_file")
    @classmethod
    def _of_an_account(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("username", "") is None:
            raise ValueError("is for an account: write its username, too")
        return value

    def password(self) -> str | None:
        """Read the password anew, None where none is named."""
        if self.password_file is None:
            return None
        text = settings.read_text(self.password_file).rstrip("\r\n")
        if not 0 < len(text) <= MOST_SECRET_CHARS:
            raise Misconfigured([Problem(str(self.password_file), "holds no password")])
        return text

    def secrets(self) -> Sequence[tuple[str, Callable[[], object]]]:
        """Return the account's password."""
        return (("password_file", self.password),)


class Chat(Receiver):
    """A chat room by the library Apprise; its address is a secret and stands in a file."""

    kind: Literal["chat"] = "chat"
    address_file: Path

    def address(self) -> str:
        """Read the address anew: one line as Apprise or the chat itself writes it."""
        text = settings.read_text(self.address_file).strip()
        if not 0 < len(text) <= MOST_ADDRESS_CHARS or not text.isprintable() or "://" not in text:
            message = "holds no address of a chat: write one line such as wecombot://KEY"
            raise Misconfigured([Problem(str(self.address_file), message)])
        return text

    def secrets(self) -> Sequence[tuple[str, Callable[[], object]]]:
        """Return the address."""
        return (("address_file", self.address),)


Channel = Annotated[Webhook | Mail | Chat, Field(discriminator="kind")]
KINDS: Final[dict[str, type[Webhook | Mail | Chat]]] = {
    "webhook": Webhook,
    "mail": Mail,
    "chat": Chat,
}


class _Unknown(Receiver):
    """A channel of no kind we know: what all have in common is checked all the same."""

    model_config = ConfigDict(extra="ignore")


def load(document: Document) -> tuple[Channel, ...]:
    """Return the channels of danhao.toml; raises Misconfigured with every problem."""
    given: Any = document.data.get(TABLE, [])
    if not isinstance(given, list):
        raise Misconfigured([document.problem((TABLE,), "write [[channel]] in double brackets")])
    if len(given) > MOST_CHANNELS:
        message = f"holds {len(given)} channels, at most {MOST_CHANNELS}: remove some"
        raise Misconfigured([document.problem((TABLE,), message)])
    channels: list[tuple[int, Webhook | Mail | Chat]] = []
    problems: list[Problem] = []
    for position, table in enumerate(given):
        channel = _channel(document, position, table, problems)
        if channel is None:
            continue
        if channel.name in {each.name for _, each in channels}:
            message = f"{channel.name!r} is the name of another channel: choose one of its own"
            problems.append(document.problem((TABLE, position, "name"), message))
        channels.append((position, channel))
        problems += _secret_problems(document, position, channel)
    problems += _escalation_problems(document, given, channels)
    if problems:
        raise Misconfigured(problems)
    return tuple(channel for _, channel in channels)


def _channel(
    document: Document, position: int, table: Any, problems: list[Problem]
) -> Webhook | Mail | Chat | None:
    """Read one table; None where it has problems, which are added."""
    kind = table.get("kind", "webhook") if isinstance(table, dict) else "webhook"
    known = KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        message = f"write one of {', '.join(KINDS)}"
        problems.append(document.problem((TABLE, position, "kind"), message))
    try:
        found = (known or _Unknown).model_validate(table)
    except ValidationError as error:
        # What was found stays out: an address may hold a secret.
        problems += [
            Problem(each.where, each.message.partition(" (found ")[0])
            for each in tomlfile.problems(document, error, (TABLE, position))
        ]
        return None
    return None if isinstance(found, _Unknown) else found


def _secret_problems(
    document: Document, position: int, channel: Webhook | Mail | Chat
) -> list[Problem]:
    found: list[Problem] = []
    for key, read in channel.secrets():
        try:
            read()
        except Misconfigured as error:
            place = (TABLE, position, key)
            found += [document.problem(place, str(problem)) for problem in error.problems]
    return found


def _escalation_problems(
    document: Document, given: Sequence[Any], channels: Sequence[tuple[int, Receiver]]
) -> list[Problem]:
    """Tell of second channels that are not there, or lead round in a circle."""
    written = {table.get("name") for table in given if isinstance(table, dict)}
    following = {channel.name: channel.escalate_to for _, channel in channels}
    found: list[Problem] = []
    for position, channel in channels:
        if channel.escalate_to is None:
            continue
        place = (TABLE, position, "escalate_to")
        if channel.escalate_to not in written:
            message = f"{channel.escalate_to!r} is no channel of this file: write the name of one"
            found.append(document.problem(place, message))
        elif channel.name in _after(channel.escalate_to, following):
            message = "leads back to this channel: let it end at another"
            found.append(document.problem(place, message))
    return found


def _after(name: str, following: dict[str, str | None]) -> set[str]:
    """Return a channel and all that come after it."""
    seen: set[str] = set()
    step: str | None = name
    while step is not None and step not in seen:
        seen.add(step)
        step = following.get(step)
    return seen


def _permitted(value: str, host: str, info: ValidationInfo) -> str:
    """Refuse an address that is written out and is never spoken to."""
    written = addresses.literal(host)
    if written is not None:
        here = addresses.is_here(host)
        why = addresses.refusal(written, private=bool(info.data.get("private")), here=here)
        if why is not None:
            raise ValueError(f"{host} {why}")
    return value


def _secret(path: Path) -> str:
    text = settings.read_text(path).strip()
    if not LEAST_SECRET_CHARS <= len(text) <= MOST_SECRET_CHARS:
        message = f"holds no secret of {LEAST_SECRET_CHARS} to {MOST_SECRET_CHARS} characters"
        raise Misconfigured([Problem(str(path), message)])
    return text
