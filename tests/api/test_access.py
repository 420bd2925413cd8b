"""Promises of the one seam of authorisation."""

from __future__ import annotations

import pytest

from api import access
from api.access import ALLOWED, Action, Principal, Role
from core.errors import Rejected
from core.plant import Site

QINGHAI = Site("gh-al", {"zh": "厂", "en": "plant"}, None, "cn-qh-xn", "Asia/Shanghai")


def _caller(role: Role, *scope: str) -> Principal:
    return Principal("somebody", role, frozenset(scope))


@pytest.mark.parametrize(
    "scope",
    ["site:gh-al", "jurisdiction:cn-qh-xn", "jurisdiction:cn-qh", "jurisdiction:cn", "*"],
)
def test_a_scope_holds_a_site_by_id_by_jurisdiction_at_or_above_or_wholly(scope: str) -> None:
    assert access.may(_caller(Role.OPERATOR, scope), Action.READ_FIGURES, QINGHAI)


@pytest.mark.parametrize(
    "scope",
    [
        "site:gh",
        "site:gh-al-2",
        "site:*",
        "jurisdiction:cn-q",
        "jurisdiction:cn-qh-xn-1",
        "jurisdiction:cn-nx",
        "jurisdiction:",
        "gh-al",
        "cn-qh",
        "",
    ],
)
def test_a_scope_that_only_looks_alike_holds_nothing(scope: str) -> None:
    assert not access.may(_caller(Role.ADMIN, scope), Action.READ_FIGURES, QINGHAI)


def test_no_scope_holds_nothing() -> None:
    assert not access.may(_caller(Role.ADMIN), Action.READ_FIGURES, QINGHAI)


def test_every_action_names_its_roles_and_no_other_role_may() -> None:
    assert set(ALLOWED) == set(Action)
    for action in Action:
        for role in Role:
            assert access.may(_caller(role, "*"), action) is (role in ALLOWED[action])


def test_a_regulator_writes_nothing_of_a_plant_and_reads_neither_metrics_nor_dead_letters() -> None:
    caller = _caller(Role.REGULATOR, "*")
    for action in (Action.WRITE_OUTPUT, Action.READ_METRICS, Action.READ_DEAD_LETTERS):
        assert not access.may(caller, action, QINGHAI)


def test_scopes_are_checked_all_at_once() -> None:
    assert access.parse_scope(["site:gh-al", "*", "site:gh-al"]) == ("*", "site:gh-al")
    with pytest.raises(Rejected, match=r"'plant:x', 'site:UPPER'.*site:<id>"):
        access.parse_scope(["site:UPPER", "plant:x", "jurisdiction:cn-qh"])
    with pytest.raises(Rejected, match="1 to 64"):
        access.parse_scope([])


def test_an_unknown_role_is_refused_with_those_there_are() -> None:
    assert access.parse_role("engineer") is Role.ENGINEER
    with pytest.raises(Rejected, match="operator, engineer, regulator, admin"):
        access.parse_role("root")
