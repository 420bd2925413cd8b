"""The public JSON of signing in, of a caller's own sessions, and of the audit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from api.schemas import Schema


class SessionItem(Schema):
    """Who is signed in; `csrf` goes into the X-CSRF-Token header of every write by cookie."""

    name: str
    role: str
    scope: list[str]
    csrf: str | None
    expires_at: datetime | None
    how: Literal["token", "password", "provider"]
    leave: str | None = Field(description="Where a browser goes to sign out at its provider too.")


class PasswordIn(Schema):
    """Name and password of a local account."""

    name: str = Field(min_length=1, max_length=256)
    password: str = Field(min_length=1, max_length=1024)


class NewPasswordIn(Schema):
    """A new password of one's own, and the one it replaces."""

    old: str = Field(min_length=1, max_length=1024)
    new: str = Field(min_length=1, max_length=1024)


class NamesItem(Schema):
    """A name in both languages of the page."""

    zh: str
    en: str


class WayItem(Schema):
    """An identity provider; a browser begins at `begin?to=<path of the page>`."""

    id: str
    name: NamesItem
    begin: str


class WaysItem(Schema):
    """Which ways there are to sign in."""

    password: bool
    token: bool
    providers: list[WayItem]


class OwnSessionItem(Schema):
    """A session of the caller; `current` is the one that asks."""

    id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    browser: str
    current: bool


class AuditItem(Schema):
    """Who did what to which subject."""

    number: int
    at: datetime
    who: str
    role: str
    action: str
    subject: str
    detail: dict[str, Any]
