"""OpenID Connect: one sign-in by authorization code with PKCE, at a provider found by discovery.

The browser carries one secret cookie from the beginning to the end of a sign-in; `state`, `nonce`
and the PKCE verifier are derived from it, so nothing is kept here and nobody can fill a table.
Promise: an identity is believed only from a token that the provider signed with a key it publishes,
for this client, for this very sign-in, and in time; whatever else comes is a word of
`oidc_answers.Why`.
"""

import base64
import hmac
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import httpx
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from api import access_settings
from api.access_settings import Access, Provider
from api.oidc_answers import (
    Endpoints,
    SignInError,
    Why,
    check_subject,
    endpoints_of,
    has_many,
    signs,
)
from api.oidc_flow import Flow

if TYPE_CHECKING:
    import ssl

# Signatures by key pairs only: with a shared secret, whoever may check could also sign.
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
)  # fmt: skip
LEEWAY_S: Final = 60  # clocks of provider and server may differ so much
MOST_ANSWER_BYTES: Final = 1 << 20
MOST_TOKEN_CHARS: Final = 65_536
MOST_LOGOUT_AGE_S: Final = 300  # an old one may have been replayed by whoever saw it
LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
MOST_NAME_CHARS: Final = 100
MOST_CODE_CHARS: Final = 4_096
MOST_KEYS: Final = 100
KNOWN_S: Final = 600.0  # how long discovery and keys are believed
KEYS_AGAIN_S: Final = 30.0  # keys are asked for again at most so often, whatever tokens name
TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
DISCOVERY: Final = "/.well-known/openid-configuration"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the provider vouches for."""

    subject: str
    name: str
    groups: frozenset[str]


class Client:
    """This service as a client of one provider."""

    def __init__(
        self,
        provider_id: str,
        provider: Provider,
        redirect_uri: str,
        ticks: Callable[[], float],
    ) -> None:
        self.id = provider_id
        self.provider = provider
        self.redirect_uri = redirect_uri
        self._ticks = ticks
        self._trust: ssl.SSLContext | None = None
        self._endpoints: Endpoints | None = None
        self._endpoints_at = float("-inf")
        self._keys: KeySet | None = None
        self._keys_at = float("-inf")

    async def address(self, flow: Flow) -> str:
        """Return where the browser goes to sign in."""
        async with self._http() as http:
            endpoints = await self._found(http)
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self.provider.scopes),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
        }
        mark = "&" if "?" in endpoints.authorization else "?"
        return f"{endpoints.authorization}{mark}{urlencode(asked)}"

    async def leaving(self, back: str) -> str | None:
        """Return where the browser goes to sign out at the provider too, None where it cannot."""
        async with self._http() as http:
            endpoints = await self._found(http)
        if endpoints.end_session is None:
            return None
        asked = {"client_id": self.provider.client_id, "post_logout_redirect_uri": back}
        mark = "&" if "?" in endpoints.end_session else "?"
        return f"{endpoints.end_session}{mark}{urlencode(asked)}"

    async def finish(self, answer: Mapping[str, str], flow: Flow, now: datetime) -> Person:
        """Return who signed in; raises SignInError with the word for the page."""
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise SignInError(Why.STALE, "the answer belongs to another sign-in")
        if "error" in answer:
            raise SignInError(Why.DENIED, f"the provider said {answer['error'][:100]!r}")
        code = answer.get("code", "")
        if not 0 < len(code) <= MOST_CODE_CHARS:
            raise SignInError(Why.PROVIDER, "the answer holds no code")
        async with self._http() as http:
            endpoints = await self._found(http)
            said = answer.get("iss")
            if said != self.provider.issuer and (said is not None or endpoints.names_itself):
                raise SignInError(Why.PROVIDER, "the answer comes from another provider")
            given = await self._trade(http, endpoints, code, flow)
            claims = await self._claims(http, endpoints, given, flow, now)
            if self._read(claims, self.provider.groups_claim) is None:
                claims |= await self._more(http, endpoints, given, claims["sub"])
        return self._person(claims)

    async def _trade(
        self, http: httpx.AsyncClient, endpoints: Endpoints, code: str, flow: Flow
    ) -> dict[str, Any]:
        """Trade the code for tokens; the verifier proves that we began this sign-in."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": flow.verifier,
        }
        headers = {}
        secret = self._secret()
        if secret is None or endpoints.secret_in_body:
            form["client_id"] = self.provider.client_id
            if secret is not None:
                form["client_secret"] = secret
        else:
            account = f"{quote(self.provider.client_id, safe='')}:{quote(secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(account.encode()).decode()}"
        return await self._ask(http, "POST", endpoints.token, data=form, headers=headers)

    async def _claims(
        self,
        http: httpx.AsyncClient,
        endpoints: Endpoints,
        given: Mapping[str, Any],
        flow: Flow,
        now: datetime,
    ) -> dict[str, Any]:
        """Return the claims of the identity token, all of them checked."""
        text = given.get("id_token")
        if not isinstance(text, str) or len(text) > MOST_TOKEN_CHARS:
            raise SignInError(Why.PROVIDER, "the answer holds no identity token")
        try:
            token = await self._verified(http, endpoints, text)
            client_id = self.provider.client_id
            self._for_us(
                now,
                nonce={"essential": True, "value": flow.nonce},
                azp={"essential": has_many(token.claims.get("aud")), "value": client_id},
            ).validate(token.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise SignInError(Why.PROVIDER, f"the identity token is not good: {error}") from error
        check_subject(token.claims["sub"])
        return dict(token.claims)

    def _for_us(self, now: datetime, **more: Any) -> jwt.JWTClaimsRegistry:
        """Return what each token has to say: from the provider, to us, of somebody, in time."""
        return jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.provider.issuer},
            aud={"essential": True, "value": self.provider.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            **more,
        )

    async def signed_out(self, text: str, now: datetime) -> str:
        """Return whose sessions the provider ends (Back-Channel Logout 1.0); raises SignInError."""
        if not 0 < len(text) <= MOST_TOKEN_CHARS:
            raise SignInError(Why.PROVIDER, "there is no logout token")
        async with self._http() as http:
            endpoints = await self._found(http)
            try:
                claims = (await self._verified(http, endpoints, text)).claims
                self._for_us(now, jti={"essential": True}).validate(claims)
            except (JoseError, ValueError, TypeError, KeyError) as error:
                raise SignInError(Why.PROVIDER, f"the logout token is not good: {error}") from error
        events = claims.get("events")
        if not isinstance(events, Mapping) or LOGOUT not in events or "nonce" in claims:
            raise SignInError(Why.PROVIDER, "the token is no logout token")
        if now.timestamp() - claims["iat"] > MOST_LOGOUT_AGE_S:
            raise SignInError(Why.PROVIDER, "the logout token is old")
        check_subject(claims["sub"])
        return str(claims["sub"])

    async def _verified(
        self, http: httpx.AsyncClient, endpoints: Endpoints, text: str
    ) -> jwt.Token:
        """Return a token that was signed with a published key; asks for new keys once."""
        keys = await self._published(http, endpoints, again=False)
        try:
            return jwt.decode(text, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            # Providers change their keys: those that are known may be the old ones.
            newer = await self._published(http, endpoints, again=True)
            if newer is keys:
                raise
        return jwt.decode(text, newer, algorithms=ALGORITHMS)

    async def _published(
        self, http: httpx.AsyncClient, endpoints: Endpoints, *, again: bool
    ) -> KeySet:
        age_s = self._ticks() - self._keys_at
        if self._keys is not None and age_s < (KEYS_AGAIN_S if again else KNOWN_S):
            return self._keys
        told = await self._ask(http, "GET", endpoints.keys)
        rows = told.get("keys")
        usable = [row for row in rows if signs(row)] if isinstance(rows, list) else []
        if not 0 < len(usable) <= MOST_KEYS:
            raise SignInError(Why.PROVIDER, f"{endpoints.keys} publishes no keys, or too many")
        try:
            self._keys = KeySet.import_key_set({"keys": usable})
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise SignInError(Why.PROVIDER, f"{endpoints.keys} is no key set: {error}") from error
        self._keys_at = self._ticks()
        return self._keys

    async def _more(
        self,
        http: httpx.AsyncClient,
        endpoints: Endpoints,
        given: Mapping[str, Any],
        subject: str,
    ) -> dict[str, Any]:
        """Ask for what the identity token leaves out, where the provider has a place for that."""
        token = given.get("access_token")
        if endpoints.userinfo is None or not isinstance(token, str):
            return {}
        headers = {"Authorization": f"Bearer {token}"}
        told = await self._ask(http, "GET", endpoints.userinfo, headers=headers)
        if told.get("sub") != subject:
            raise SignInError(Why.PROVIDER, "the provider tells of another person")
        claims = {self.provider.groups_claim, self.provider.name_claim}
        kept = {claim.partition(".")[0] for claim in claims}
        return {claim: value for claim, value in told.items() if claim in kept}

    def _person(self, claims: Mapping[str, Any]) -> Person:
        groups = self._read(claims, self.provider.groups_claim)
        listed = [groups] if isinstance(groups, str) else groups
        if not isinstance(listed, list) or len(listed) > access_settings.MOST_GROUPS:
            listed = []
        name = self._read(claims, self.provider.name_claim)
        subject = str(claims["sub"])
        shown = name if isinstance(name, str) and name.strip() else subject
        plain = "".join(letter for letter in shown if letter.isprintable())[:MOST_NAME_CHARS]
        return Person(
            subject,
            f"{plain.strip()}@{self.id}",
            frozenset(one for one in listed if isinstance(one, str)),
        )

    @staticmethod
    def _read(claims: Mapping[str, Any], path: str) -> Any:
        """Return a claim by its name, or by a path such as `realm_access.roles`."""
        if path in claims:
            return claims[path]
        found: Any = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    async def _found(self, http: httpx.AsyncClient) -> Endpoints:
        """Return the provider's endpoints by its discovery document."""
        if self._endpoints is None or self._ticks() - self._endpoints_at >= KNOWN_S:
            issuer = self.provider.issuer
            told = await self._ask(http, "GET", f"{issuer.rstrip('/')}{DISCOVERY}")
            if told.get("issuer") != issuer:
                raise SignInError(Why.PROVIDER, f"{issuer} says that it is another issuer")
            self._endpoints = endpoints_of(told)
            self._endpoints_at = self._ticks()
        return self._endpoints

    async def _ask(
        self, http: httpx.AsyncClient, method: str, address: str, **request: Any
    ) -> dict[str, Any]:
        """Return a JSON object; raises SignInError where there is none, or too much of it."""
        try:
            async with http.stream(method, address, **request) as answer:
                parts: list[bytes] = []
                size = 0
                async for part in answer.aiter_bytes():
                    size += len(part)
                    if size > MOST_ANSWER_BYTES:
                        raise SignInError(Why.PROVIDER, f"{address} answers without end")
                    parts.append(part)
        except httpx.HTTPError as error:
            what = str(error) or type(error).__name__
            raise SignInError(Why.PROVIDER, f"{address} does not answer: {what}") from error
        if answer.status_code != httpx.codes.OK:
            raise SignInError(Why.PROVIDER, f"{address} answers {answer.status_code}")
        try:
            told = msgspec.json.decode(b"".join(parts))
        except msgspec.DecodeError as error:
            raise SignInError(Why.PROVIDER, f"{address} does not answer in JSON") from error
        if not isinstance(told, dict):
            raise SignInError(Why.PROVIDER, f"{address} answers something else than an object")
        return told

    def _secret(self) -> str | None:
        """Read the client's secret anew each time, so that none stays in memory."""
        file = self.provider.client_secret_file
        try:
            return None if file is None else access_settings.read_secret(file)
        except ValueError as error:
            raise SignInError(Why.PROVIDER, str(error)) from error

    def _http(self) -> httpx.AsyncClient:
        """Return a client for a few requests: no redirect is followed, no proxy asked."""
        logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs addresses with codes
        if self._trust is None:
            self._trust = access_settings.trust(self.provider.ca_file)
        return httpx.AsyncClient(
            verify=self._trust,
            timeout=TIMEOUT,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json", "User-Agent": "danhao"},
        )


def clients(settings: Access, ticks: Callable[[], float]) -> dict[str, Client]:
    """Return a client for each provider of the settings."""
    found: dict[str, Client] = {}
    for key, provider in settings.provider.items():
        back = f"{settings.public_url}/api/v1/session/oidc/{key}/callback"
        found[key] = Client(key, provider, back, ticks)
    return found
