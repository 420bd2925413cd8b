"""`[access]` of danhao.toml: how long sessions live, and which identity providers vouch for whom.

A provider's groups become a role and a scope by its grants, read in the order they are written.
Promise: who is in no group that is granted gets nothing, and grants of several groups never add up
to more than one of them says: the first that matches gives the role, and only grants of that same
role add their scopes.
"""

import ssl
import stat
from collections.abc import Collection
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from api import access
from api.access import Role
from core import names
from core.errors import Misconfigured, Rejected
from store import settings
from store.sessions import Life

MOST_PROVIDERS: Final = 20
MOST_GRANTS: Final = 500  # of one provider
MOST_SECRET_CHARS: Final = 1_000
MOST_GROUPS: Final = 1_000  # of one person; a provider that tells more is not believed
_STRICT: Final = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _address(text: str) -> str:
    """Check an address that people are sent to or tokens come from: https, but on this machine."""
    parts = urlsplit(text)
    if parts.query or parts.fragment or parts.username or parts.password or not parts.hostname:
        raise ValueError("write https://host/path, without query, fragment and password")
    if not is_safe(text):
        raise ValueError("write https://…: plain http is for this machine only")
    return text.rstrip("/")


def is_safe(address: str) -> bool:
    """Tell whether an address is https, or plain http that does not leave this machine."""
    parts = urlsplit(address)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_secret(file: Path) -> str:
    """Return a client's secret; raises ValueError where others may read it, or there is none."""
    try:
        if stat.S_IMODE(file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            raise ValueError(f"others than its owner may read the secret: chmod 600 {file}")
        secret = settings.read_text(file).strip()
    except (OSError, Misconfigured) as error:
        raise ValueError(f"{file} cannot be read: {error}") from error
    if not 0 < len(secret) <= MOST_SECRET_CHARS:
        raise ValueError(f"{file} holds no secret of 1 to {MOST_SECRET_CHARS} characters")
    return secret


def trust(file: Path | None) -> ssl.SSLContext:
    """Return whose certificates are believed; raises ValueError where the file holds none."""
    try:
        return ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{file} holds no certificates: {error}") from error


Address = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_address)]
Issuer = Annotated[str, Field(min_length=1, max_length=500)]


class Naming(BaseModel):
    """A name in both languages of the page."""

    model_config = _STRICT
    zh: str = Field(min_length=1, max_length=60)
    en: str = Field(min_length=1, max_length=60)


class Grant(BaseModel):
    """What the people of one group may do."""

    model_config = _STRICT
    group: str = Field(min_length=1, max_length=300)
    role: Role
    scope: tuple[str, ...]

    @field_validator("scope")
    @classmethod
    def _scope(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return access.parse_scope(entries)
        except Rejected as error:
            raise ValueError(str(error)) from error


class Provider(BaseModel):
    """One identity provider: OpenID Connect, found by its discovery document."""

    model_config = _STRICT
    name: Naming
    issuer: Issuer
    client_id: str = Field(min_length=1, max_length=300)
    client_secret_file: Path | None = None  # left out: a public client, proven by PKCE alone
    scopes: tuple[str, ...] = ("openid", "profile")
    groups_claim: str = Field("groups", min_length=1, max_length=200)
    name_claim: str = Field("preferred_username", min_length=1, max_length=200)
    ca_file: Path | None = None  # of a plant's own certificate authority
    grant: tuple[Grant, ...] = Field(min_length=1, max_length=MOST_GRANTS)

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, text: str) -> str:
        _address(text)
        return text  # as it is: a provider's tokens repeat it to the letter

    @field_validator("client_secret_file")
    @classmethod
    def _secret(cls, file: Path | None) -> Path | None:
        if file is not None:
            read_secret(file)
        return file

    @field_validator("ca_file")
    @classmethod
    def _authority(cls, file: Path | None) -> Path | None:
        if file is not None:
            trust(file)
        return file

    @field_validator("scopes")
    @classmethod
    def _scopes(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in scopes or any(not one.strip() or " " in one for one in scopes):
            raise ValueError("write a list of single words that holds openid")
        return scopes

    def granted(self, groups: Collection[str]) -> tuple[Role, tuple[str, ...]] | None:
        """Return role and scope of somebody in these groups, None where nothing is granted."""
        matching = [grant for grant in self.grant if grant.group in groups]
        if not matching:
            return None
        role = matching[0].role
        scope = {entry for grant in matching if grant.role is role for entry in grant.scope}
        return role, tuple(sorted(scope))


class Access(BaseModel):
    """`[access]` of danhao.toml; every key has a default."""

    model_config = _STRICT
    public_url: Address | None = None
    session_h: int = Field(12, ge=1, le=24 * 31, description="A session lives so long at most.")
    idle_min: int = Field(60, ge=5, le=60 * 24 * 31, description="Without any request.")
    provider: dict[str, Provider] = Field(default={}, max_length=MOST_PROVIDERS)

    @field_validator("provider", mode="before")
    @classmethod
    def _ids(cls, given: Any) -> Any:
        wrong = [key for key in given if not names.is_slug(key)] if isinstance(given, dict) else []
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no id: use small letters, digits and hyphens")
        return given

    @model_validator(mode="after")
    def _has_address(self) -> "Access":
        if self.provider and self.public_url is None:
            raise ValueError(
                "public_url is missing: the address that browsers use, as https://danhao.example,"
                " is where an identity provider sends people back to"
            )
        return self

    @property
    def life(self) -> Life:
        """Return how long sessions live."""
        return Life(timedelta(hours=self.session_h), timedelta(minutes=self.idle_min))
