"""Promises of passwords: which are taken, how they are kept, and that guessing costs them dear."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import passwords
from api.passwords import MOST_AT_ONCE, MOST_WAITING, Passwords
from core.errors import Rejected, Retryable
from tests.api import entry


@pytest.mark.parametrize("name", ["li", "Li.Wei", " li-wei_2 ", "李伟", "ＬＩ"])
def test_a_name_is_letters_digits_and_a_few_marks(name: str) -> None:
    assert passwords.check_name(name) == passwords.normal_name(name)


@pytest.mark.parametrize("name", ["", " ", "a b", "li@plant", "a/b", "x" * 65, "a\0", "<b>"])
def test_a_name_that_could_pass_for_another_is_refused(name: str) -> None:
    with pytest.raises(Rejected):
        passwords.check_name(name)


@given(st.text(max_size=20))
def test_a_normal_name_is_normal(text: str) -> None:
    once = passwords.normal_name(text)
    assert passwords.normal_name(once) == once


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "12 to 256"),
        ("x" * 257, "12 to 256"),
        ("aaaaaaaaaaaaaaaa", "different"),
        ("ababababababab", "different"),
        ("abcdefghijklmnop", "neighbours"),
        ("9876543210/.-,", "neighbours"),
        ("zhang.weizhang.wei", "little more than 'zhang.wei'"),
        ("Zhang.Wei2026", "little more than 'zhang.wei'"),
        ("twelve\x00chars", "control"),
        ("twelve\udcffchars", "control"),
        ("Password12345", None),
        ("passwordpassword1", "little more than 'password'"),
        ("danhaodanhao", "little more than 'danhao'|different"),
    ],
)
def test_weak_passwords_are_refused_with_the_reason(password: str, why: str | None) -> None:
    if why is None:
        password += " and more of it"
        passwords.check_new(password, "zhang.wei")
        return
    with pytest.raises(Rejected, match=why):
        passwords.check_new(password, "zhang.wei")


@pytest.mark.parametrize(
    "password", ["correct horse 7", "电解一系列今天很稳定没有报警", "x7#kQ2!mP9$z"]
)
def test_long_passwords_of_any_script_are_taken(password: str) -> None:
    passwords.check_new(password, "li")


async def test_a_password_is_kept_as_argon2id_with_todays_costs() -> None:
    kept = await Passwords().hash("correct horse 7 staple")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert "correct" not in kept
    assert await Passwords().matches(kept, "correct horse 7 staple")
    assert not await Passwords().matches(kept, "correct horse 7 stapl")


async def test_the_same_password_is_kept_differently_each_time() -> None:
    cheap = entry.cheap()
    assert len({await cheap.hash("x") for _ in range(5)}) == 5


async def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    cheap = entry.cheap()
    composed, apart = "caf\u00e9 crème 12", "cafe\u0301 cre\u0300me 12"
    assert composed != apart
    assert await cheap.matches(await cheap.hash(composed), apart)


@pytest.mark.parametrize("kept", ["", "x", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA"])
async def test_what_is_no_hash_matches_nothing(kept: str) -> None:
    cheap = entry.cheap()
    assert not await cheap.matches(kept, "x")
    assert kept.startswith("$argon2id$v") or not cheap.is_old(kept)


async def test_nobodys_password_is_checked_with_the_same_work_and_never_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cheap = entry.cheap()
    verified: list[str] = []
    real = Passwords._verify

    def watched(self: Passwords, kept: str, password: str) -> bool:
        verified.append(kept)
        return real(self, kept, password)

    monkeypatch.setattr(Passwords, "_verify", watched)
    kept = await cheap.hash("x")
    assert await cheap.matches(kept, "x")
    assert not await cheap.matches(None, "nobody")
    assert len(verified) == 2
    assert verified[0].rsplit("$", 2)[0] == verified[1].rsplit("$", 2)[0]


async def test_a_few_are_checked_at_once_a_few_more_wait_and_the_rest_come_again() -> None:
    cheap = entry.cheap()
    taken = [asyncio.ensure_future(cheap.take()) for _ in range(MOST_AT_ONCE + MOST_WAITING)]
    done, waiting = await asyncio.wait(taken, timeout=0.05)
    assert (len(done), len(waiting)) == (MOST_AT_ONCE, MOST_WAITING)
    with pytest.raises(Retryable, match="too many people"):
        await cheap.matches(None, "x")
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    for _ in done:
        cheap.give()
    assert not await cheap.matches(None, "x")
