"""One sign-in at an identity provider as the browser carries it: a secret and what follows from it.

Pure. `state` binds the answer to this browser, `nonce` the token to this sign-in, the PKCE verifier
the code to us; all three are derived, so that the server remembers nothing of a sign-in that was
begun. Nobody but the browser has the cookie, and each value tells nothing about the others.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

MOST_AGE_S: Final = 600
MOST_COOKIE_CHARS: Final = 2_000
MOST_PLACE_CHARS: Final = 1_000
HOME: Final = "/"


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in that was begun: at which provider, when, and where the person wants to be after."""

    provider: str
    secret: str
    begun_s: int
    place: str

    @property
    def state(self) -> str:
        """Return what the provider hands back to us."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """Return what the identity token repeats."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """Return what only we can show when the code is traded (RFC 7636)."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """Return what the provider knows of the verifier."""
        return _text(hashlib.sha256(self.verifier.encode()).digest())

    def cookie(self) -> str:
        """Return the value of the browser's cookie."""
        place = _text(self.place.encode())
        return ".".join((self.provider, str(self.begun_s), self.secret, place))

    def _derived(self, purpose: str) -> str:
        told = f"danhao sign-in {purpose} {self.provider} {self.begun_s}"
        return _text(hmac.digest(self.secret.encode(), told.encode(), "sha256"))


def read(cookie: str, provider: str, now_s: int) -> Flow | None:
    """Return the sign-in of a cookie, None where it is none, of another provider, or too old."""
    parts = cookie.split(".")
    if len(cookie) > MOST_COOKIE_CHARS or len(parts) != 4:  # noqa: PLR2004 - the four of `cookie`
        return None
    named, begun, secret, place = parts
    if named != provider or not (begun.isdecimal() and begun.isascii()) or not secret:
        return None
    begun_s = int(begun[:12])
    if not 0 <= now_s - begun_s <= MOST_AGE_S:
        return None
    try:
        told = base64.urlsafe_b64decode(place + "=" * (-len(place) % 4)).decode()
    except (ValueError, binascii.Error):
        return None
    return Flow(provider, secret, begun_s, local(told))


def local(place: str | None) -> str:
    """Return a path of our own page; anything that could lead elsewhere is the home page."""
    if place is None or len(place) > MOST_PLACE_CHARS or not place.startswith("/"):
        return HOME
    # `//host` and `/\host` are other hosts to a browser, and it drops control characters.
    if place[1:2] in ("/", "\\") or not place.isprintable() or "#" in place or "\\" in place:
        return HOME
    return place


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
