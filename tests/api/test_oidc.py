"""Promises of what is believed of an identity provider: a real one over HTTP, and one that lies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from api import oidc
from api.oidc_answers import SignInError, Why
from api.oidc_flow import Flow
from simulators import identity
from tests.api import entry, world

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from api.oidc import Client, Person


@pytest.fixture
def clock() -> world.Clock:
    return world.Clock()


@pytest.fixture
def server(clock: world.Clock) -> Iterator[identity.Server]:
    with entry.provider(clock) as found:
        yield found


def _client(server: identity.Server, clock: world.Clock, folder: Path, **changed: Any) -> Client:
    settings = entry.access(server.url, folder, **changed)
    return oidc.clients(settings, clock.ticks)["plant"]


@pytest.fixture
def client(server: identity.Server, clock: world.Clock, tmp_path: Path) -> Client:
    return _client(server, clock, tmp_path)


_NOW_S = int(world.NOW.timestamp())


def _flow(secret: str = "x") -> Flow:  # noqa: S107 - the browser makes it up
    return Flow("plant", secret, _NOW_S, "/")


async def _handed(client: Client, person: str = "li") -> dict[str, str]:
    """Return what the provider hands back by way of the browser."""
    back = await entry.at_provider(await client.address(_flow()), person)
    return dict(parse_qsl(urlsplit(back).query))


async def _signed_in(client: Client, person: str = "li") -> Person:
    return await client.finish(await _handed(client, person), _flow(), world.NOW)


async def _why(client: Client, handed: dict[str, str] | None = None) -> Why:
    """Return why a sign-in came to nothing; it has to."""
    given = await _handed(client) if handed is None else handed
    with pytest.raises(SignInError) as caught:
        await client.finish(given, _flow(), world.NOW)
    return caught.value.why


async def test_a_person_is_who_the_provider_says(client: Client) -> None:
    assert await _signed_in(client, "wang") == oidc.Person(
        "s-2", "王芳@plant", frozenset({"engineers", "operators"})
    )


async def test_the_provider_gets_what_a_careful_client_sends(client: Client) -> None:
    first, second = [
        dict(parse_qsl(urlsplit(await client.address(_flow(secret))).query)) for secret in "ab"
    ]
    assert first["response_type"] == "code"
    assert first["code_challenge_method"] == "S256"
    assert first["redirect_uri"] == entry.CALLBACK
    for key in ("state", "nonce", "code_challenge"):
        assert len(first[key]) == 43
        assert first[key] != second[key]
    assert len({first["state"], first["nonce"], first["code_challenge"]}) == 3


def _spoilt(**claims: Any) -> Callable[[dict[str, Any]], None]:
    return lambda given: given.update(claims)


def _without(claim: str) -> Callable[[dict[str, Any]], object]:
    return lambda given: given.pop(claim)


@pytest.mark.parametrize(
    "spoil",
    [
        _spoilt(iss="https://evil.example"),
        _spoilt(iss=None),
        _spoilt(aud="another"),
        _spoilt(aud=["another"]),
        _spoilt(aud=["danhao", "another"]),
        _spoilt(aud=["danhao", "another"], azp="another"),
        _spoilt(azp="another"),
        _spoilt(nonce="another"),
        _spoilt(nonce=None),
        _spoilt(exp=_NOW_S - 61),
        _spoilt(exp="tomorrow"),
        _spoilt(iat=_NOW_S + 3600),
        _spoilt(nbf=_NOW_S + 3600),
        _spoilt(sub=""),
        _spoilt(sub=7),
        _spoilt(sub="s" * 256),
        _spoilt(sub="s\x00"),
        *[_without(claim) for claim in ("iss", "aud", "nonce", "exp", "iat", "sub")],
    ],
)
async def test_a_token_that_is_not_for_us_now_and_here_is_not_believed(
    client: Client,
    server: identity.Server,
    spoil: Callable[[dict[str, Any]], object],
) -> None:
    server.provider.spoil = spoil
    assert await _why(client) is Why.PROVIDER


async def test_several_audiences_are_believed_where_we_are_the_party_they_name(
    client: Client, server: identity.Server
) -> None:
    server.provider.spoil = _spoilt(aud=["another", "danhao"], azp="danhao")
    assert (await _signed_in(client)).subject == "s-1"


def _part(data: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def _unsigned(_key: identity.Key, claims: Mapping[str, Any]) -> str:
    return f"{_part({'alg': 'none'})}.{_part(claims)}."


def _by_secret(secret: str) -> Callable[[identity.Key, Mapping[str, Any]], str]:
    def sign(_key: identity.Key, claims: Mapping[str, Any]) -> str:
        body = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        seal = hmac.digest(secret.encode(), body.encode(), hashlib.sha256)
        return f"{body}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"

    return sign


def _by_published_key(key: identity.Key, claims: Mapping[str, Any]) -> str:
    """Take the public key for a shared secret, as checkers that trust `alg` do."""
    return _by_secret(json.dumps(key.published()))(key, claims)


def _by_a_stranger(_key: identity.Key, claims: Mapping[str, Any]) -> str:
    return identity.Key().sign(claims)


def _under_a_known_name(key: identity.Key, claims: Mapping[str, Any]) -> str:
    forger = identity.Key()
    forger.name = key.name
    return forger.sign(claims)


def _with_its_own_key(_key: identity.Key, claims: Mapping[str, Any]) -> str:
    forger = identity.Key()
    _, body, seal = forger.sign(claims).split(".")
    return f"{_part({'alg': 'ES256', 'jwk': forger.published()})}.{body}.{seal}"


def _changed(key: identity.Key, claims: Mapping[str, Any]) -> str:
    head, _, seal = key.sign(claims).split(".")
    return f"{head}.{_part({**claims, 'sub': 's-2'})}.{seal}"


@pytest.mark.parametrize(
    "forge",
    [
        _unsigned,
        _by_secret(entry.SECRET),
        _by_published_key,
        _by_a_stranger,
        _under_a_known_name,
        _with_its_own_key,
        _changed,
        lambda _key, _claims: "",
        lambda _key, _claims: "a.b.c",
        lambda _key, _claims: "x" * 100_000,
        lambda _key, _claims: 7,
    ],
)
async def test_a_token_that_the_provider_did_not_sign_is_not_believed(
    client: Client,
    server: identity.Server,
    forge: Callable[[identity.Key, Mapping[str, Any]], str],
) -> None:
    key = server.provider.key
    server.provider.sign = lambda claims: forge(key, claims)
    assert await _why(client) is Why.PROVIDER


async def test_a_provider_that_changed_its_keys_is_believed_at_once(
    client: Client, server: identity.Server, clock: world.Clock
) -> None:
    await _signed_in(client)
    clock.move(31)
    server.provider.key = identity.Key()
    assert (await _signed_in(client)).subject == "s-1"


async def test_keys_are_not_asked_for_with_every_bad_token(
    client: Client, server: identity.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _signed_in(client)
    asked: list[str] = []
    published = identity.Key.published

    def counted(key: identity.Key) -> dict[str, str]:
        asked.append(key.name)
        return published(key)

    monkeypatch.setattr(identity.Key, "published", counted)
    server.provider.sign = identity.Key().sign
    for _ in range(5):
        assert await _why(client) is Why.PROVIDER
    assert asked == []


async def test_a_logout_is_taken_from_the_provider_only(
    client: Client, server: identity.Server, clock: world.Clock
) -> None:
    good = server.provider.logout_token("s-1")
    assert await client.signed_out(good, world.NOW) == "s-1"
    for bad in ("", "x", good[:-4] + "AAAA", identity.Key().sign({"sub": "s-1"}), "x" * 70_000):
        with pytest.raises(SignInError):
            await client.signed_out(bad, world.NOW)
    clock.move(301)
    with pytest.raises(SignInError):
        await client.signed_out(good, clock())


@pytest.mark.parametrize(
    "spoil",
    [
        _spoilt(events={}),
        _spoilt(events=[oidc.LOGOUT]),
        _spoilt(nonce="n"),
        _spoilt(aud="another"),
        _spoilt(iss="https://evil.example"),
        _spoilt(exp=_NOW_S - 61),
        _spoilt(iat=_NOW_S - 301),
        *[_without(claim) for claim in ("events", "sub", "jti", "iat", "exp", "aud", "iss")],
    ],
)
async def test_a_token_that_is_no_logout_for_us_now_ends_nothing(
    client: Client, server: identity.Server, spoil: Callable[[dict[str, Any]], object]
) -> None:
    server.provider.spoil = spoil
    with pytest.raises(SignInError):
        await client.signed_out(server.provider.logout_token("s-1"), world.NOW)


async def test_an_identity_token_ends_nothing_and_a_logout_token_lets_nobody_in(
    client: Client, server: identity.Server
) -> None:
    seen: list[str] = []
    sign = server.provider.key.sign

    def kept(claims: Mapping[str, Any]) -> str:
        seen.append(sign(claims))
        return seen[-1]

    server.provider.sign = kept
    await _signed_in(client)
    with pytest.raises(SignInError, match=r"not good|no logout"):
        await client.signed_out(seen[0], world.NOW)
    logout = server.provider.logout_token("s-1")
    server.provider.sign = lambda _claims: logout
    assert await _why(client) is Why.PROVIDER


async def test_groups_that_the_token_leaves_out_are_asked_for(
    client: Client, server: identity.Server
) -> None:
    server.provider.groups_in_token = False
    assert (await _signed_in(client)).groups == {"staff", "operators"}


async def test_userinfo_of_another_person_is_not_believed(
    client: Client, server: identity.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.provider.groups_in_token = False
    told = {"sub": "s-2", "groups": ["engineers"]}
    monkeypatch.setattr(identity.Provider, "about", lambda _provider, _token: told)
    with pytest.raises(SignInError, match="another person"):
        await _signed_in(client)


async def test_groups_may_lie_deeper_and_may_be_one_word(
    server: identity.Server, clock: world.Clock, tmp_path: Path
) -> None:
    client = _client(server, clock, tmp_path, groups_claim="realm_access.roles")
    assert (await _signed_in(client)).groups == frozenset()
    server.provider.spoil = _spoilt(realm_access={"roles": "inspectors"})
    assert (await _signed_in(client)).groups == {"inspectors"}


@pytest.mark.parametrize("groups", [7, {"operators": True}, [["operators"]], ["operators"] * 1001])
async def test_groups_that_are_no_list_of_words_are_none(
    client: Client, server: identity.Server, groups: object
) -> None:
    server.provider.spoil = _spoilt(groups=groups)
    assert (await _signed_in(client)).groups == frozenset()


async def test_a_name_that_is_none_is_the_subject(client: Client, server: identity.Server) -> None:
    for name, shown in ((None, "s-1"), (" ", "s-1"), (7, "s-1"), ("a\nb\x00" * 99, "ab" * 50)):
        server.provider.spoil = _spoilt(preferred_username=name)
        assert (await _signed_in(client)).name == f"{shown}@plant"


async def test_a_provider_that_calls_itself_otherwise_is_not_believed(
    client: Client, server: identity.Server
) -> None:
    server.provider.issuer = "http://127.0.0.1:1"
    with pytest.raises(SignInError, match="another issuer"):
        await client.address(_flow())


async def test_an_answer_of_another_provider_is_not_taken(client: Client) -> None:
    handed = await _handed(client)
    assert await _why(client, handed | {"iss": "https://evil.example"}) is Why.PROVIDER
    assert await _why(client, {k: v for k, v in handed.items() if k != "iss"}) is Why.PROVIDER
    assert (await client.finish(handed, _flow(), world.NOW)).subject == "s-1"


async def test_an_answer_of_another_sign_in_is_stale(client: Client) -> None:
    handed = await _handed(client)
    for state in ("", "x", _flow("another").state):
        assert await _why(client, handed | {"state": state}) is Why.STALE


@pytest.mark.parametrize("code", ["", "x", "x" * 5000])
async def test_a_code_that_is_none_is_not_taken(client: Client, code: str) -> None:
    handed = await _handed(client)
    assert await _why(client, handed | {"code": code}) is Why.PROVIDER


@pytest.mark.parametrize(
    "told",
    [
        {"token_endpoint": "http://login.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
        {"issuer": None},
    ],
)
async def test_a_discovery_that_is_unsafe_or_incomplete_is_not_used(
    client: Client,
    server: identity.Server,
    told: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = server.provider.discovery()
    monkeypatch.setattr(identity.Provider, "discovery", lambda _: whole | told)
    with pytest.raises(SignInError):
        await client.address(_flow())


async def test_answers_are_bounded(
    client: Client, server: identity.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = server.provider.discovery()
    monkeypatch.setattr(identity.Provider, "discovery", lambda _: whole | {"x": "y" * (1 << 20)})
    with pytest.raises(SignInError, match="without end"):
        await client.address(_flow())
