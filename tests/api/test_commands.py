"""Promises of `danhao api` and `danhao token`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import danhao
from api import config
from core.errors import Misconfigured
from store import access

if TYPE_CHECKING:
    from pathlib import Path


def test_a_token_is_printed_once_and_stored_as_its_digest_only(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--database-url", database_url, "--name", "meter room", "--role", "operator"]
    assert danhao.main(["token", "create", *options, "--scope", "site:gh-al"]) == 0
    secret = capsys.readouterr().out.strip()
    assert len(secret) >= 43
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select sha256, name, role, scope from access_token").fetchone()
        dump = connection.execute("select access_token::text from access_token").fetchone()
        audit = connection.execute("select action, subject from audit").fetchall()
    assert row == (access.digest(secret), "meter room", "operator", ["site:gh-al"])
    assert secret not in str(dump)
    assert audit == [("create_token", "meter room")]


def test_a_token_for_programs_comes_as_json_with_its_end(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--database-url", database_url, "--name", "n", "--role", "regulator", "--json"]
    scopes = ["--scope", "jurisdiction:cn-qh", "--scope", "site:nx-fa", "--expires-days", "30"]
    assert danhao.main(["token", "create", *options, *scopes]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert answer["scope"] == ["jurisdiction:cn-qh", "site:nx-fa"]
    assert answer["expires_at"] is not None


def test_every_mistake_of_a_token_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    code = danhao.main(
        ["token", "create", "--name", "", "--role", "root", "--scope", "x", "--expires-days", "0"]
    )
    complaints = capsys.readouterr().err
    assert code == 2
    for option in ("--name", "--role", "--scope", "--expires-days"):
        assert option in complaints


def test_openapi_is_printed_without_a_database(capsys: pytest.CaptureFixture[str]) -> None:
    assert danhao.main(["api", "openapi"]) == 0
    assert "/api/v1/units" in json.loads(capsys.readouterr().out)["paths"]


def test_settings_come_from_the_command_line_then_the_environment_then_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "danhao.toml"
    file.write_text('[database]\nurl = "postgresql://file/x"\n[api]\nport = 1\nhost = "::1"\n')
    environment = {"DANHAO_CONFIG": str(file)}
    found = config.load(environment)
    assert (found.port, found.host, found.database_url) == (1, "::1", "postgresql://file/x")
    environment |= {"DANHAO_API_PORT": "2", "DANHAO_DATABASE_URL": "postgresql://env/x"}
    found = config.load(environment)
    assert (found.port, found.database_url) == (2, "postgresql://env/x")
    assert config.load(environment, port=3).port == 3


def test_wrong_settings_are_told_with_file_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "danhao.toml"
    file.write_text('[api]\nport = 70000\nspeed = "high"\n')
    with pytest.raises(Misconfigured) as caught:
        config.load({"DANHAO_CONFIG": str(file)})
    assert len(caught.value.problems) == 2
    assert "danhao.toml:2" in str(caught.value)


def test_settings_never_show_the_database_password() -> None:
    found = config.load({"DANHAO_DATABASE_URL": "postgresql://u:secret@h/x"})
    assert "secret" not in repr(found)


def test_a_key_that_others_may_read_is_told_at_the_start(tmp_path: Path) -> None:
    key = tmp_path / "close.pem"
    key.write_text("x")
    key.chmod(0o644)
    environment = {
        "DANHAO_DATABASE_URL": "postgresql://u:secret@h/x",
        "DANHAO_CLOSE_KEY_FILE": str(key),
    }
    with pytest.raises(Misconfigured, match=f"chmod 600 {key}"):
        config.load(environment)
