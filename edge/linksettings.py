"""How an agent's links are set: brokers, certificates, the outbox's place, the clock's bounds.

The tables `[broker]`, `[destination.NAME]`, `[outbox]` and `[clock]` of edge.toml. Promises: every
named file was read before anything starts, and no message repeats a secret.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core import wire
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from core.errors import Problem
    from core.tomlfile import Document
    from core.wire import Sign

MAIN: Final = "main"  # the destination that the table [broker] describes
MOST_DESTINATIONS: Final = 4  # two data centres are the duty; each has a window in memory
MOST_SECRET_CHARS: Final = 4_096
PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
Key = tuple[str | int, ...]
_STRICT: Final = ConfigDict(extra="forbid", frozen=True)
_FILES: Final = ("ca_file", "certificate_file", "certificate_key_file")


class Broker(BaseModel):
    """Where the envelopes go: mqtt:// or mqtts://, an account or a certificate, the authority."""

    model_config = _STRICT

    url: str
    protocol: Literal["3.1.1", "5", "auto"] = "3.1.1"
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    certificate_key_file: str | None = None

    @field_validator("url")
    @classmethod
    def _is_broker(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise ValueError("write mqtt://host:port, or mqtts://host:port for TLS")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("a broker's url ends with its port")
        try:
            _ = parts.port
        except ValueError as error:
            raise ValueError("the port is a number from 1 to 65535") from error
        return url

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username beside it")
        for name in _FILES:
            if getattr(self, name) is not None and not self.tls:
                raise ValueError(f"{name} needs an mqtts:// url: without TLS it would do nothing")
        if (self.certificate_file is None) != (self.certificate_key_file is None):
            raise ValueError("certificate_file and certificate_key_file come together")
        return self

    @property
    def tls(self) -> bool:
        """Tell whether the broker is spoken to through TLS."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def host(self) -> str:
        """Return the broker's host."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the broker's port, the scheme's own where none is written."""
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]


class OutboxSettings(BaseModel):
    """Where envelopes wait, how many megabytes of them, and for how many days.

    The defaults hold half a year of quarter-hour data, or a week at one a second, for the numbers
    of points that `danhao edge outbox --plan` tells (docs/edge.md).
    """

    model_config = _STRICT

    path: str = "outbox.sqlite"
    max_mb: Annotated[int, Field(ge=1, le=65_536)] = 1_024
    keep_days: Annotated[float, Field(gt=0, le=3_650)] = 190


class ClockSettings(BaseModel):
    """From which offset to the server a reading is `uncertain`."""

    model_config = _STRICT

    most_offset_s: Annotated[float, Field(ge=0.5, le=240)] = 5.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends: the agent of a site, and what signs its envelopes where the plant asks for it."""

    site: str
    agent: str
    sign: Sign | None = field(default=None, repr=False)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """One place that envelopes go to: its name, its broker, and what opens the door there."""

    name: str
    broker: Broker
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    certificate_key_file: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Return what TLS shall check and show, None where the broker is spoken to in the clear.

        Raises OSError or ssl.SSLError where a file is gone or is no certificate any more.
        """
        if not self.broker.tls:
            return None
        authority = None if self.ca_file is None else str(self.ca_file)
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _Socket
        if self.certificate_file is not None:
            context.load_cert_chain(self.certificate_file, self.certificate_key_file, _no_password)
        return context


class Secrets:
    """Reads the files that a configuration names, and collects what is wrong with them."""

    def __init__(self, document: Document, folder: Path) -> None:
        self._document = document
        self._folder = folder
        self.problems: list[Problem] = []

    def destinations(self) -> dict[str, dict[str, Any]]:
        """Return, by destination, what a Destination holds beside its name and its broker."""
        return {name: self.opened(path) for name, path, _ in _tables(self._document)}

    def signer(self) -> tuple[Sign | None, str]:
        """Return what signs envelopes and its public key."""
        content = self._read(("key_file",))
        if content is None:
            return None, ""
        try:
            return wire.signer(content)
        except Misconfigured as error:
            self._problem(("key_file",), str(error))
            return None, ""

    def opened(self, path: Key) -> dict[str, Any]:
        """Return what a Destination holds beside its name and the broker whose table is here."""
        table = _at(self._document.data, path)
        files = {
            name: self._folder / table[name]
            for name in _FILES
            if self._read((*path, name)) is not None
        }
        self._check_certificates(path, files)
        return {"password": self._password((*path, "password_file")), **files}

    def _check_certificates(self, path: Key, files: dict[str, Path]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if "ca_file" in files:
            try:
                context.load_verify_locations(files["ca_file"])
            except (OSError, ssl.SSLError):
                self._problem((*path, "ca_file"), "holds no certificate in PEM: take the broker's")
        if {"certificate_file", "certificate_key_file"} <= files.keys():
            try:
                context.load_cert_chain(
                    files["certificate_file"], files["certificate_key_file"], _no_password
                )
            except (OSError, ValueError, ssl.SSLError):
                self._problem(
                    (*path, "certificate_file"),
                    "and certificate_key_file are no pair in PEM without a password",
                )

    def _password(self, key: Key) -> str | None:
        """Return the broker's password; a line end after it is not part of it."""
        content = self._read(key)
        if content is None:
            return None
        text = content.decode("utf-8", "replace").rstrip("\r\n")
        if not text or len(text) > MOST_SECRET_CHARS or "\n" in text or "�" in text:
            self._problem(key, "does not hold one line with a password")
            return None
        return text

    def _read(self, key: Key) -> bytes | None:
        named = _at(self._document.data, key)
        if not isinstance(named, str):
            return None
        try:
            return (self._folder / named).read_bytes()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self._problem(key, f"{named} cannot be read: {reason}")
            return None

    def _problem(self, key: Key, message: str) -> None:
        self.problems.append(self._document.problem(key, message))


def account_problems(document: Document) -> Iterator[Problem]:
    """Find an account inside a url and take it out, so that no message repeats a password."""
    for path, table in (*_destination_tables(document), *_device_tables(document)):
        url = table.get("url")
        if isinstance(url, str) and "@" in url:
            scheme, _, rest = url.partition("://")
            table["url"] = f"{scheme}://{rest.rpartition('@')[2]}"
            yield document.problem(
                (*path, "url"), "an account goes into username and password_file, never into a url"
            )


def name_problems(document: Document) -> Iterator[Problem]:
    """Find a second destination of the name that [broker] has, and more than there may be."""
    others = document.data.get("destination")
    if not isinstance(others, dict):
        return
    if MAIN in others:
        yield document.problem(("destination", MAIN), "is what [broker] describes: choose a name")
    if len(others) >= MOST_DESTINATIONS:
        yield document.problem(
            ("destination",), f"with [broker] there are more than {MOST_DESTINATIONS} destinations"
        )


def _tables(document: Document) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Yield (name, path, table) of every destination that is a table, whatever else is wrong."""
    broker = document.data.get("broker")
    if isinstance(broker, dict):
        yield MAIN, ("broker",), broker
    others = document.data.get("destination")
    for name, table in others.items() if isinstance(others, dict) else ():
        if isinstance(table, dict):
            yield name, ("destination", name), table


def _destination_tables(document: Document) -> Iterator[tuple[Key, dict[str, Any]]]:
    for _, path, table in _tables(document):
        yield path, table


def _device_tables(document: Document) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Yield (path, table) of every broker that a device names, as `mqtt-in` does."""
    devices = document.data.get("device")
    for index, _ in enumerate(devices if isinstance(devices, list) else ()):
        path: Key = ("device", index, "broker")
        table = _at(document.data, path)
        if isinstance(table, dict):
            yield path, table


def _at(data: Any, path: Key) -> Any:
    for part in path:
        if isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            data = data.get(part) if isinstance(data, dict) else None
    return data


class _Socket(ssl.SSLSocket):
    """A socket that a failed handshake closes: paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's own
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


def _no_password() -> str:
    """Refuse to ask a person: an agent starts alone."""
    raise ValueError("the key has a password")
