"""Promises of a sign-in as the browser carries it."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api import oidc_flow
from api.oidc_flow import HOME, MOST_AGE_S, Flow

BEGUN = 1_795_000_000
FLOW = Flow("plant", "secret-of-the-browser", BEGUN, "/p/gh-al?span=day")


def test_a_sign_in_is_read_from_its_cookie_as_it_was_begun() -> None:
    for age_s in (0, 1, MOST_AGE_S):
        assert oidc_flow.read(FLOW.cookie(), "plant", BEGUN + age_s) == FLOW


@pytest.mark.parametrize("age_s", [-1, MOST_AGE_S + 1])
def test_one_that_is_too_old_or_of_the_future_is_none(age_s: int) -> None:
    assert oidc_flow.read(FLOW.cookie(), "plant", BEGUN + age_s) is None


def test_one_of_another_provider_is_none() -> None:
    assert oidc_flow.read(FLOW.cookie(), "city", BEGUN) is None


@given(st.text(alphabet="ab.0129=-_\x00 é", max_size=60))
def test_a_cookie_that_is_none_is_none(cookie: str) -> None:
    found = oidc_flow.read(cookie, "a", 0)
    assert found is None or found.provider == "a"


def test_what_is_derived_differs_by_purpose_browser_provider_and_time() -> None:
    others = [
        Flow("city", FLOW.secret, BEGUN, "/"),
        Flow("plant", "another", BEGUN, "/"),
        Flow("plant", FLOW.secret, BEGUN + 1, "/"),
    ]
    values = [v for f in (FLOW, *others) for v in (f.state, f.nonce, f.verifier, f.challenge)]
    assert len(set(values)) == 16
    assert all(len(value) == 43 for value in values)


def test_the_challenge_is_the_digest_of_the_verifier() -> None:
    digest = hashlib.sha256(FLOW.verifier.encode()).digest()
    assert base64.urlsafe_b64decode(FLOW.challenge + "=") == digest


@pytest.mark.parametrize("place", ["/", "/p/gh-al", "/p/gh-al/u/potline-1?span=day&lang=zh"])
def test_a_path_of_the_page_stays(place: str) -> None:
    assert oidc_flow.local(place) == place


@given(st.text(alphabet="/\\:.@#?ab\t\n %", max_size=12) | st.text(max_size=8))
@example("//evil.example")
@example("/\\evil.example")
@example("/\t/evil.example")
@example("/\n\\evil.example")
@example("https://evil.example/")
@example("/a\\..\\..//evil.example")
def test_no_place_leads_to_another_host(text: str) -> None:
    """As browsers read it: backslashes are slashes, control characters are not there."""
    place = oidc_flow.local(text)
    read = "".join(c for c in place if c not in "\t\n\r").replace("\\", "/")
    assert urlsplit(urljoin("https://danhao.example/x", read)).netloc == "danhao.example"


def test_no_place_is_the_home_page() -> None:
    assert [oidc_flow.local(one) for one in (None, "", "x", "/" + "x" * 2000)] == [HOME] * 4
