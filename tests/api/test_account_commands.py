"""Promises of `danhao account` and `danhao token`: what the command line may do to who may."""

from __future__ import annotations

import asyncio
import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import danhao
from api import account_commands
from store import access, accounts, connection
from tests.api import entry
from tests.api.entry import PASSWORD

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., int]


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(account_commands, "Passwords", entry.cheap)

    def called(command: str, leaf: str, *arguments: str, typed: str = f"{PASSWORD}\n") -> int:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        return danhao.main([command, leaf, *arguments, "--database-url", database_url])

    return called


OPERATOR = ("--role", "operator", "--scope", "site:gh-al")


def _listed(run: Run, capsys: pytest.CaptureFixture[str], command: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert run(command, "list", "--json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["items"]
    return found


def _audited(url: str) -> list[str]:
    with psycopg.connect(url) as link:
        rows = link.execute("select who, action, subject from audit order by audit_id").fetchall()
    assert {who for who, _, _ in rows} <= {"command line"}
    return [f"{action} {subject}" for _, action, subject in rows]


async def _hash_of(url: str, name: str) -> str:
    pool = await connection.open_pool(url, most=1)
    async with pool.connection() as link:
        found = await accounts.find(link, name)
    await pool.close()
    assert found is not None
    return str(found.password_hash)


def test_an_account_is_made_listed_disabled_and_enabled(
    run: Run, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("account", "create", "Li.Wei", *OPERATOR) == 0
    assert PASSWORD not in capsys.readouterr().out
    (row,) = _listed(run, capsys, "account")
    assert (row["name"], row["role"], row["scope"], row["state"], row["seen_at"]) == (
        "li.wei",
        "operator",
        ["site:gh-al"],
        "valid",
        None,
    )
    assert asyncio.run(
        entry.cheap().matches(asyncio.run(_hash_of(database_url, "li.wei")), PASSWORD)
    )
    for leaf, code in (("disable", 0), ("disable", 1), ("enable", 0), ("enable", 1)):
        assert run("account", leaf, "li.wei") == code
    assert run("account", "change", "li.wei", "--role", "admin", "--scope", "*") == 0
    assert run("account", "password", "li.wei", typed="another 9 horse staple\n") == 0
    (row,) = _listed(run, capsys, "account")
    assert (row["role"], row["scope"]) == ("admin", ["*"])
    assert _audited(database_url) == [
        f"{action} account/li.wei"
        for action in (
            "create_account",
            "disable_account",
            "enable_account",
            "change_account",
            "set_password",
        )
    ]


def test_every_mistake_of_an_account_is_told_at_once(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("account", "create", "a b", "--role", "root", "--scope", "x") == 2
    complaints = capsys.readouterr().err
    for part in ("NAME", "--role", "--scope"):
        assert part in complaints


@pytest.mark.parametrize("typed", ["", "short\n", "li.weili.wei1\n"])
def test_a_weak_password_makes_no_account(
    run: Run, typed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("account", "create", "li.wei", *OPERATOR, typed=typed) == 2
    assert "password" in capsys.readouterr().err
    assert _listed(run, capsys, "account") == []


def test_a_password_typed_twice_has_to_be_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(io, "StringIO", Terminal)
    typed = iter([PASSWORD, "something else 1", PASSWORD, PASSWORD])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))
    assert run("account", "create", "li", *OPERATOR) == 2
    assert "not the same" in capsys.readouterr().err
    assert run("account", "create", "li", *OPERATOR) == 0


def test_a_name_that_is_taken_or_unknown_is_told(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("account", "create", "li", *OPERATOR) == 0
    assert run("account", "create", "LI", *OPERATOR) == 1
    assert "is taken" in capsys.readouterr().err
    assert run("account", "disable", "wang") == 2
    assert "'wang'" in capsys.readouterr().err


def test_a_token_is_listed_without_its_secret_and_revoked_once(
    run: Run, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("token", "create", "--name", "meter room", *OPERATOR, "--expires-days", "30") == 0
    secret = capsys.readouterr().out.strip()
    (row,) = _listed(run, capsys, "token")
    assert secret not in str(row)
    assert access.digest(secret).hex() not in str(row)
    assert (row["name"], row["state"], row["role"]) == ("meter room", "valid", "operator")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z", row["expires_at"])
    assert run("token", "list") == 0
    assert "meter room" in capsys.readouterr().out
    assert run("token", "revoke", row["id"]) == 0
    assert run("token", "revoke", row["id"]) == 1
    assert run("token", "revoke", "x") == 2
    (row,) = _listed(run, capsys, "token")
    assert row["state"] == "revoked"
    assert _audited(database_url) == ["create_token meter room", f"revoke_token token/{row['id']}"]
