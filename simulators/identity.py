"""A small identity provider for tests and for trying out: OpenID Connect, people from a file.

Tokens are written and signed with code of its own, from the specification and not from the library
that checks them, so that a mistake on one side shows. Promise: a code is good once, for a minute,
for the client, the address and the PKCE verifier it was given for; nobody else gets a token.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
from dataclasses import dataclass, field
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from core import tomlfile
from core.errors import Misconfigured, Problem
from simulators import httpserver
from simulators.httpserver import HOST, MOST_BODY_BYTES, JsonHandler, LocalServer, RefusedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from pathlib import Path

MOST_PEOPLE: Final = 1_000
MOST_OPEN: Final = 1_000  # codes, and access tokens; the oldest make room
CODE_S: Final = 60
TOKEN_S: Final = 300
COORDINATE_BYTES: Final = 32  # of P-256
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person the provider knows."""

    subject: str
    name: str
    password: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registered:
    """The one client: who may ask for tokens, and where its people go back to."""

    client_id: str
    redirect_uri: str
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class _Code:
    person: Somebody
    nonce: str
    challenge: str
    until_s: int


class Key:
    """A signing key, P-256, with its name."""

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        self.name = secrets.token_hex(8)

    def published(self) -> dict[str, str]:
        """Return the public half as RFC 7517 writes it."""
        numbers = self._private.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "alg": "ES256",
            "use": "sig",
            "kid": self.name,
            "x": _text(numbers.x.to_bytes(COORDINATE_BYTES, "big")),
            "y": _text(numbers.y.to_bytes(COORDINATE_BYTES, "big")),
        }

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return the claims as a signed token (RFC 7515, compact)."""
        header = {"alg": "ES256", "typ": "JWT", "kid": self.name}
        body = f"{_json(header)}.{_json(claims)}"
        pair = decode_dss_signature(self._private.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{body}.{_text(b''.join(n.to_bytes(COORDINATE_BYTES, 'big') for n in pair))}"


@dataclass(slots=True)
class Provider:
    """What the provider knows; `spoil` and `sign` are where tests make it lie."""

    issuer: str
    people: Mapping[str, Somebody]
    client: Registered
    clock: Callable[[], datetime]
    groups_in_token: bool = True  # otherwise in userinfo only, as some providers have it
    key: Key = field(default_factory=Key)
    spoil: Callable[[dict[str, Any]], object] = lambda _claims: None
    sign: Callable[[Mapping[str, Any]], str] | None = None
    _codes: dict[str, _Code] = field(default_factory=dict)
    _tokens: dict[str, Somebody] = field(default_factory=dict)

    def now_s(self) -> int:
        """Return the present in whole seconds."""
        return int(self.clock().timestamp())

    def discovery(self) -> dict[str, Any]:
        """Return the discovery document."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/leave",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            "authorization_response_iss_parameter_supported": True,
        }

    def check(self, asked: Mapping[str, str]) -> None:
        """Check a request to sign in; raises RefusedError, and nobody is sent anywhere."""
        wanted = {
            "client_id": self.client.client_id,
            "redirect_uri": self.client.redirect_uri,
            "response_type": "code",
            "code_challenge_method": "S256",
        }
        for key, value in wanted.items():
            if asked.get(key) != value:
                raise RefusedError(HTTPStatus.BAD_REQUEST, f"{key} is not {value}")
        if "openid" not in asked.get("scope", "").split():
            raise RefusedError(HTTPStatus.BAD_REQUEST, "scope lacks openid")
        for key in ("state", "nonce", "code_challenge"):
            if not asked.get(key):
                raise RefusedError(HTTPStatus.BAD_REQUEST, f"{key} is missing")

    def admit(self, asked: Mapping[str, str]) -> str:
        """Return where the browser goes back to: with a code, or with an error."""
        self.check(asked)
        back = {"state": asked["state"], "iss": self.issuer}
        person = self.people.get(asked.get("person", ""))
        if person is None or not hmac.compare_digest(
            person.password.encode(), asked.get("password", "").encode()
        ):
            return f"{self.client.redirect_uri}?{urlencode({'error': 'access_denied', **back})}"
        code = secrets.token_urlsafe(24)
        _put(
            self._codes,
            code,
            _Code(person, asked["nonce"], asked["code_challenge"], self.now_s() + CODE_S),
        )
        return f"{self.client.redirect_uri}?{urlencode({'code': code, **back})}"

    def trade(self, form: Mapping[str, str], account: tuple[str, str] | None) -> dict[str, Any]:
        """Return the tokens of a code, which is good once; raises RefusedError."""
        client_id, secret = account or (form.get("client_id"), form.get("client_secret"))
        if client_id != self.client.client_id or secret != self.client.secret:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "invalid_client")
        code = self._codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            code is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != self.client.redirect_uri
            or code.until_s <= self.now_s()
            or not hmac.compare_digest(code.challenge, _text(verifier))
        ):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid_grant")
        access = secrets.token_urlsafe(24)
        _put(self._tokens, access, code.person)
        now_s = self.now_s()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": code.person.subject,
            "aud": self.client.client_id,
            "iat": now_s,
            "exp": now_s + TOKEN_S,
            "nonce": code.nonce,
            "preferred_username": code.person.name,
        }
        if self.groups_in_token:
            claims["groups"] = list(code.person.groups)
        self.spoil(claims)
        return {
            "token_type": "Bearer",
            "expires_in": TOKEN_S,
            "access_token": access,
            "id_token": (self.sign or self.key.sign)(claims),
        }

    def logout_token(self, subject: str) -> str:
        """Return a word that a person signed out here (Back-Channel Logout 1.0)."""
        now_s = self.now_s()
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": subject,
            "aud": self.client.client_id,
            "iat": now_s,
            "exp": now_s + TOKEN_S,
            "jti": secrets.token_hex(8),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
        self.spoil(claims)
        return (self.sign or self.key.sign)(claims)

    def about(self, token: str) -> dict[str, Any]:
        """Return what userinfo tells of whom an access token belongs to; raises RefusedError."""
        person = self._tokens.get(token)
        if person is None:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "invalid_token")
        return {
            "sub": person.subject,
            "preferred_username": person.name,
            "groups": list(person.groups),
        }


class Server(LocalServer):
    """The provider behind HTTP, on loopback, one request at a time."""

    def __init__(
        self,
        port: int,
        people: Mapping[str, Somebody],
        client: Registered,
        clock: Callable[[], datetime],
    ) -> None:
        super().__init__((HOST, port), Handler)
        self.provider = Provider(self.url, people, client, clock)


class Handler(JsonHandler):
    """Discovery, keys, a page to sign in on, tokens, userinfo, and the way out."""

    server: Server
    server_version = "identity"

    def get(self) -> None:
        """Answer what browsers and clients read."""
        provider = self.server.provider
        parts = urlsplit(self.path)
        asked = dict(parse_qsl(parts.query))
        try:
            if parts.path == "/.well-known/openid-configuration":
                self.answer(HTTPStatus.OK, provider.discovery())
            elif parts.path == "/keys":
                self.answer(HTTPStatus.OK, {"keys": [provider.key.published()]})
            elif parts.path == "/authorize":
                provider.check(asked)
                self._page(_form(provider.people.values(), asked))
            elif parts.path == "/userinfo":
                token = self.headers.get("Authorization", "").partition(" ")[2]
                self.answer(HTTPStatus.OK, provider.about(token))
            elif parts.path == "/leave":
                self._redirect(asked.get("post_logout_redirect_uri", ""))
            else:
                self.answer(HTTPStatus.NOT_FOUND, {"error": "there is nothing here"})
        except RefusedError as error:
            self.answer(error.status, {"error": str(error)})

    def post(self) -> None:
        """Take a sign-in, or a code to trade."""
        provider = self.server.provider
        try:
            form = self._body()
            if self.path == "/authorize":
                self._redirect(provider.admit(form))
            elif self.path == "/token":
                self.answer(HTTPStatus.OK, provider.trade(form, self._account()))
            else:
                self.answer(HTTPStatus.NOT_FOUND, {"error": "there is nothing here"})
        except RefusedError as error:
            self.answer(error.status, {"error": str(error)})

    def _body(self) -> dict[str, str]:
        length = self.length()
        if length is None or length > MOST_BODY_BYTES:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the body has no length, or is too large")
        return dict(parse_qsl(self.rfile.read(length).decode("utf-8", "replace")))

    def _account(self) -> tuple[str, str] | None:
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
        except ValueError as error:
            raise RefusedError(HTTPStatus.UNAUTHORIZED, "invalid_client") from error
        return unquote(name), unquote(secret)

    def _redirect(self, address: str) -> None:
        if not address.startswith(("http://", "https://")) or not address.isprintable():
            raise RefusedError(HTTPStatus.BAD_REQUEST, "that is nowhere to go")
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _page(self, text: str) -> None:
        body = text.encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def read_people(path: Path) -> dict[str, Somebody]:
    """Read `[person.<id>]` tables of name, password, groups; raises Misconfigured with all."""
    try:
        document = tomlfile.parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeError) as error:
        raise Misconfigured([Problem(str(path), f"cannot be read: {error}")]) from error
    rows = document.data.get("person")
    if not isinstance(rows, dict) or not 0 < len(rows) <= MOST_PEOPLE or len(document.data) > 1:
        message = f"holds no [person.<id>] tables, something else, or over {MOST_PEOPLE}"
        raise Misconfigured([Problem(str(path), message)])
    found: dict[str, Somebody] = {}
    problems: list[Problem] = []
    for key, row in rows.items():
        person = _somebody(key, row)
        if person is None:
            advice = 'write name = "…", password = "…", groups = ["…"]'
            problems.append(document.problem(("person", key), advice))
        else:
            found[key] = person
    if problems:
        raise Misconfigured(problems)
    return found


def serve(
    port: int,
    people_file: Path,
    client: Registered,
    clock: Callable[[], datetime],
    stop: threading.Event,
) -> None:
    """Serve until `stop` is set; raises Misconfigured where port or file cannot be used."""
    people = read_people(people_file)
    httpserver.serve(
        lambda given: Server(given, people, client, clock), port, "the identity provider", stop
    )


def _somebody(key: str, row: object) -> Somebody | None:
    if not isinstance(row, dict) or set(row) != {"name", "password", "groups"}:
        return None
    name, password, groups = row["name"], row["password"], row["groups"]
    texts = [name, password, *(groups if isinstance(groups, list) else [None])]
    if not all(isinstance(text, str) and text for text in texts):
        return None
    return Somebody(f"subject-of-{key}", name, password, tuple(groups))


def _form(people: Any, asked: Mapping[str, str]) -> str:
    """Return the page to sign in on: who, and the password."""
    kept = "".join(
        f'<input type="hidden" name="{escape(key)}" value="{escape(value)}">'
        for key, value in asked.items()
    )
    options = "".join(
        f'<option value="{escape(one.subject.removeprefix("subject-of-"))}">'
        f"{escape(one.name)}</option>"
        for one in people
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<title>Simulated identity provider</title></head><body>"
        "<h1>Simulated identity provider</h1>"
        f'<form method="post" action="/authorize">{kept}'
        f'<p><label>Person <select name="person">{options}</select></label></p>'
        '<p><label>Password <input name="password" type="password"></label></p>'
        '<p><button type="submit">Sign in</button></p></form></body></html>'
    )


def _put(table: dict[str, Any], key: str, value: Any) -> None:
    table[key] = value
    while len(table) > MOST_OPEN:
        del table[next(iter(table))]


def _json(data: Mapping[str, Any]) -> str:
    return _text(json.dumps(data).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
