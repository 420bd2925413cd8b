"""Settings of ingest: `[mqtt] [ingest] [store] [[channel]]` of danhao.toml, and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, InstanceOf

from core import conditionfile
from core.conditions import Condition
from core.errors import Misconfigured, Problem
from ingest import channels
from ingest.channels import Channel
from store import settings
from store.policies import Keep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.tomlfile import Document
    from store.settings import Database

VARIABLES: Final = {
    "url": "DANHAO_MQTT_URL",
    "username": "DANHAO_MQTT_USERNAME",
    "password_file": "DANHAO_MQTT_PASSWORD_FILE",
    "ca_file": "DANHAO_MQTT_CA_FILE",
}
PORT: Final = 1883
TLS_PORT: Final = 8883
MOST_PASSWORD_CHARS: Final = 1_000


def _mqtt_url(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("write mqtt://host:port or mqtts://host:port")  # noqa: TRY004 - pydantic's
    parts = urlsplit(value)
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname or parts.path.strip("/"):
        raise ValueError("write mqtt://host:port or mqtts://host:port")
    if parts.username or parts.password:
        raise ValueError("name the account in username and password_file, not in the address")
    _ = parts.port  # raises ValueError where it is none
    return value


class Mqtt(BaseModel):
    """`[mqtt]`: which broker, as whom; the password stands in a file of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    url: Annotated[str, BeforeValidator(_mqtt_url)]
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,23}$")] = "danhao-ingest"

    @property
    def host(self) -> str:
        """Return the name of the broker's machine."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the broker's port."""
        return urlsplit(self.url).port or (TLS_PORT if self.tls else PORT)

    @property
    def tls(self) -> bool:
        """Tell whether the connection is encrypted."""
        return self.url.startswith("mqtts:")

    @property
    def address(self) -> str:
        """Return host and port for people."""
        return f"{self.host}:{self.port}"

    def password(self) -> str | None:
        """Read the password anew, so that a changed file counts from the next connection on."""
        if self.password_file is None:
            return None
        text = settings.read_text(self.password_file).rstrip("\r\n")
        if not 0 < len(text) <= MOST_PASSWORD_CHARS:
            raise Misconfigured([Problem(str(self.password_file), "holds no password")])
        return text


class Ingest(BaseModel):
    """`[ingest]`: how one worker writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    batch_messages: Annotated[int, Field(ge=1, le=10_000)] = 256
    batch_kib: Annotated[int, Field(ge=1, le=65_536)] = 512
    batch_ms: Annotated[int, Field(ge=1, le=10_000)] = 100
    backlog_mib: Annotated[int, Field(ge=1, le=4_096)] = 32


class Conditions(BaseModel):
    """`[conditions]`: a file of one's own that replaces, adds to and ends shipped conditions."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: Path | None = None

    def read(self) -> dict[str, Condition]:
        """Return what is watched; raises Misconfigured with every problem of the file."""
        if self.file is None:
            return conditionfile.catalogue()
        text = settings.read_text(self.file)
        return conditionfile.parse(text, str(self.file), conditionfile.catalogue())


class Settings(BaseModel):
    """Everything one ingest worker is told; `conditions` None: the shipped ones."""

    model_config = ConfigDict(frozen=True)
    database: settings.Database
    mqtt: Mqtt
    ingest: Ingest
    channels: tuple[Channel, ...] = ()
    keep: Keep = Keep()
    conditions: dict[str, InstanceOf[Condition]] | None = None


def load(
    environment: Mapping[str, str], path: Path | None = None, database: Database | None = None
) -> Settings:
    """Return the settings; raises Misconfigured with every problem of every table."""
    document = settings.read_file(environment, path)
    problems: list[Problem] = []
    overlay = {
        key: (variable, environment[variable])
        for key, variable in VARIABLES.items()
        if environment.get(variable)
    }
    store = mqtt = ingest = keep = None
    try:
        store = database or settings.database(environment, document)
    except Misconfigured as error:
        problems += error.problems
    try:
        mqtt = _broker(document, overlay)
    except Misconfigured as error:
        problems += error.problems
    try:
        ingest = settings.section(document, "ingest", Ingest, {})
    except Misconfigured as error:
        problems += error.problems
    try:
        keep = settings.section(document, "store", Keep, {})
    except Misconfigured as error:
        problems += error.problems
    watched: dict[str, Condition] | None = None
    try:
        watched = settings.section(document, "conditions", Conditions, {}).read()
    except Misconfigured as error:
        problems += error.problems
    told: tuple[Channel, ...] = ()
    try:
        told = channels.load(document)
    except Misconfigured as error:
        problems += error.problems
    if store is None or mqtt is None or ingest is None or keep is None or problems:
        raise Misconfigured(problems)
    return Settings(
        database=store,
        mqtt=mqtt,
        ingest=ingest,
        channels=told,
        keep=keep,
        conditions=watched,
    )


def _broker(document: Document, overlay: Mapping[str, tuple[str, str]]) -> Mqtt:
    if "mqtt" not in document.data and "url" not in overlay:
        raise Misconfigured("no broker is named: set DANHAO_MQTT_URL or write [mqtt] url")
    return settings.section(document, "mqtt", Mqtt, overlay)
