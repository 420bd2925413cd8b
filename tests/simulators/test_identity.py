"""The identity provider gives a token to whom it should, once, and to nobody else."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from core.errors import Misconfigured
from simulators import identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
BACK = "https://danhao.example/callback"
VERIFIER = "v" * 43
CHALLENGE = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
ASKED = {
    "client_id": "danhao",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid profile",
    "state": "s",
    "nonce": "n",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
PEOPLE = {"li": identity.Somebody("s-1", "李", "pass", ("a", "b"))}


class Clock:
    """A clock that stands still until it is moved."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[identity.Server]:
    client = identity.Registered("danhao", BACK, "secret")
    with identity.Server(0, PEOPLE, client, clock) as found:
        worker = threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True)
        worker.start()
        yield found
        found.shutdown()
        worker.join(10)


def _post(server: identity.Server, path: str, form: dict[str, str], **more: Any) -> httpx.Response:
    return httpx.post(f"{server.url}{path}", data=form, trust_env=False, **more)


def _get(server: identity.Server, path: str, **more: Any) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", trust_env=False, **more)


def _code(server: identity.Server, password: str = "pass") -> dict[str, str]:  # noqa: S107 - of a simulated person
    answer = _post(server, "/authorize", {**ASKED, "person": "li", "password": password})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{BACK}?")
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def _trade(server: identity.Server, code: str, /, **changed: str) -> httpx.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
    }
    return _post(server, "/token", form | changed, auth=("danhao", "secret"))


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_a_person_is_let_in_and_the_token_is_signed_with_the_published_key(
    server: identity.Server,
) -> None:
    handed = _code(server)
    assert (handed["state"], handed["iss"]) == ("s", server.url)
    given = _trade(server, handed["code"]).json()
    head, body, seal = given["id_token"].split(".")
    (key,) = _get(server, "/keys").json()["keys"]
    assert json.loads(_decoded(head)) == {"alg": "ES256", "typ": "JWT", "kid": key["kid"]}
    x, y = (int.from_bytes(_decoded(key[name]), "big") for name in "xy")
    raw = _decoded(seal)
    pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(pair, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    claims = json.loads(_decoded(body))
    assert claims == {
        "iss": server.url,
        "sub": "s-1",
        "aud": "danhao",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 300,
        "nonce": "n",
        "preferred_username": "李",
        "groups": ["a", "b"],
    }
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    assert _get(server, "/userinfo", headers=headers).json()["sub"] == "s-1"
    assert _get(server, "/userinfo").status_code == 401


def test_a_wrong_password_gives_an_error_and_no_code(server: identity.Server) -> None:
    handed = _code(server, "wrong")
    assert handed["error"] == "access_denied"
    assert "code" not in handed


def test_a_code_is_good_once_and_for_a_minute(server: identity.Server, clock: Clock) -> None:
    first, second = _code(server)["code"], _code(server)["code"]
    assert _trade(server, first).status_code == 200
    assert _trade(server, first).status_code == 400
    clock.now += timedelta(seconds=60)
    assert _trade(server, second).status_code == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "https://evil.example/"},
        {"grant_type": "password"},
        {"code": "x"},
    ],
)
def test_a_code_is_good_for_whom_it_was_given_only(
    server: identity.Server, changed: dict[str, str]
) -> None:
    code = _code(server)["code"]
    answer = _trade(server, code, **changed)
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_grant"})


def test_another_client_gets_nothing(server: identity.Server) -> None:
    form = {"grant_type": "authorization_code", "code": _code(server)["code"]}
    for auth in (("danhao", "wrong"), ("another", "secret"), None):
        answer = _post(server, "/token", form, **({} if auth is None else {"auth": auth}))
        assert answer.status_code == 401
    bad = {"Authorization": "Basic !"}
    assert _post(server, "/token", form, headers=bad).status_code == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/"},
        {"client_id": "another"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
        {"scope": "profile"},
        {"state": ""},
        {"nonce": ""},
        {"code_challenge": ""},
    ],
)
def test_a_request_that_is_not_ours_is_sent_nowhere(
    server: identity.Server, changed: dict[str, str]
) -> None:
    asked = ASKED | changed
    assert _get(server, "/authorize", params=asked).status_code == 400
    answer = _post(server, "/authorize", {**asked, "person": "li", "password": "pass"})
    assert (answer.status_code, answer.headers.get("location")) == (400, None)


def test_the_page_shows_people_and_keeps_what_was_asked_escaped(server: identity.Server) -> None:
    page = _get(server, "/authorize", params=ASKED | {"state": '"><script>'})
    assert page.status_code == 200
    assert "李" in page.text
    assert "<script>" not in page.text


def test_people_are_read_from_a_file_and_every_mistake_is_told(tmp_path: Path) -> None:
    file = tmp_path / "people.toml"
    file.write_text('[person.li]\nname = "李"\npassword = "p"\ngroups = ["a"]\n', encoding="utf-8")
    assert identity.read_people(file)["li"].groups == ("a",)
    file.write_text('[person.a]\nname = "x"\n[person.b]\nname = 7\npassword = "p"\ngroups = []\n')
    with pytest.raises(Misconfigured) as caught:
        identity.read_people(file)
    assert len(caught.value.problems) == 2
    for text in ("", "x = 1\n", "[person]\n"):
        file.write_text(text)
        with pytest.raises(Misconfigured):
            identity.read_people(file)
    with pytest.raises(Misconfigured, match="cannot be read"):
        identity.read_people(tmp_path / "none.toml")
