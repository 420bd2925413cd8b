"""Promises of `[access]`: mistakes are told with their line, grants never add up to more."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import access_settings, config
from api.access import Role
from api.access_settings import Access, Provider
from core.errors import Misconfigured
from tests.api import entry

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[database]
url = "postgresql://u@h/x"

[access]
public_url = "https://danhao.example/"
session_h = 8
idle_min = 30

[access.provider.plant]
name = { zh = "厂内", en = "Plant" }
issuer = "https://login.example/realms/plant"
client_id = "danhao"
groups_claim = "realm_access.roles"
grant = [
    { group = "engineers", role = "engineer", scope = ["site:gh-al"] },
    { group = "operators", role = "operator", scope = ["site:gh-al"] },
]
"""


def _load(folder: Path, text: str) -> Access:
    file = folder / "danhao.toml"
    file.write_text(text, encoding="utf-8")
    return config.load({"DANHAO_CONFIG": str(file)}).access


def test_without_a_table_sessions_live_twelve_hours_and_nobody_vouches(tmp_path: Path) -> None:
    found = _load(tmp_path, '[database]\nurl = "postgresql://u@h/x"\n')
    assert (found.life.most, found.life.idle) == (timedelta(hours=12), timedelta(hours=1))
    assert found.provider == {}


def test_a_provider_is_read_with_its_grants(tmp_path: Path) -> None:
    found = _load(tmp_path, GOOD)
    assert found.public_url == "https://danhao.example"
    assert (found.life.most, found.life.idle) == (timedelta(hours=8), timedelta(minutes=30))
    provider = found.provider["plant"]
    assert provider.issuer == "https://login.example/realms/plant"
    assert provider.granted({"operators"}) == (Role.OPERATOR, ("site:gh-al",))


def test_every_mistake_is_told_with_its_line(tmp_path: Path) -> None:
    wrong = (
        GOOD.replace("https://login.example", "http://login.example")
        .replace('role = "engineer"', 'role = "root"')
        .replace('group = "operators", role = "operator", scope = ["site:gh-al"]', 'group = ""')
        .replace("session_h = 8", "session_h = 0")
    )
    with pytest.raises(Misconfigured) as caught:
        _load(tmp_path, wrong)
    told = str(caught.value)
    for part in ("danhao.toml:7", "issuer", "plain http is for this machine only", "role", "scope"):
        assert part in told
    assert len(caught.value.problems) >= 5


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('public_url = "https://danhao.example/"\n', "", "public_url is missing"),
        ("provider.plant", 'provider."Plant 1"', "is no id"),
        ('["site:gh-al"] },\n]', '["gh-al"] },\n]', "not a scope"),
        ('client_id = "danhao"', 'client_id = "danhao"\nscopes = ["profile"]', "holds openid"),
        ("https://danhao.example/", "https://u:p@danhao.example/", "without query"),
        ("https://danhao.example/", "ftp://danhao.example/", "https"),
    ],
)
def test_what_would_lead_astray_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert old in GOOD
    with pytest.raises(Misconfigured, match=told):
        _load(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("address", "safe"),
    [
        ("https://login.example", True),
        ("http://127.0.0.1:9000", True),
        ("http://[::1]:9000", True),
        ("http://localhost:9000", True),
        ("http://127.0.0.1.evil.example", False),
        ("http://login.example", False),
        ("https://", False),
        ("javascript:alert(1)", False),
        ("//login.example", False),
    ],
)
def test_plain_http_is_for_this_machine_only(address: str, *, safe: bool) -> None:
    assert access_settings.is_safe(address) is safe


_SCOPES = ("site:a", "site:b", "jurisdiction:cn", "*")
_GRANT = st.fixed_dictionaries(
    {
        "group": st.sampled_from("abcdef"),
        "role": st.sampled_from(list(Role)),
        "scope": st.lists(st.sampled_from(_SCOPES), min_size=1, max_size=3),
    }
)


@given(st.lists(_GRANT, min_size=1, max_size=8), st.sets(st.sampled_from("abcdefg")))
def test_nobody_gets_a_scope_with_a_role_that_no_grant_of_theirs_gives(
    grants: list[dict[str, Any]], groups: set[str]
) -> None:
    row = {
        "name": {"zh": "厂", "en": "p"},
        "issuer": "https://login.example",
        "client_id": "danhao",
        "grant": grants,
    }
    found = Provider.model_validate(row).granted(groups)
    mine = [grant for grant in grants if grant["group"] in groups]
    if not mine:
        assert found is None
        return
    assert found is not None
    role, scope = found
    assert role == mine[0]["role"]
    allowed = {entry for grant in mine if grant["role"] == role for entry in grant["scope"]}
    assert set(scope) == allowed


@pytest.mark.parametrize(
    ("content", "mode", "told"),
    [
        ("a secret", 0o644, "chmod 600"),
        ("", 0o600, "holds no secret"),
        ("x" * 2000, 0o600, "holds no secret"),
        (None, 0, "cannot be read"),
    ],
)
def test_a_secret_that_is_none_or_open_to_others_is_told_at_the_start(
    tmp_path: Path, content: str | None, mode: int, told: str
) -> None:
    file = tmp_path / "oidc.secret"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    with_file = f'client_id = "danhao"\nclient_secret_file = "{file}"'
    with pytest.raises(Misconfigured, match=told):
        _load(tmp_path, GOOD.replace('client_id = "danhao"', with_file))


def test_an_authority_that_is_none_is_told_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with_file = f'client_id = "danhao"\nca_file = "{file}"'
    with pytest.raises(Misconfigured, match="holds no certificates"):
        _load(tmp_path, GOOD.replace('client_id = "danhao"', with_file))


def test_the_settings_of_the_tests_are_good(tmp_path: Path) -> None:
    assert entry.access("http://127.0.0.1:1", tmp_path).provider["plant"].client_id == "danhao"
