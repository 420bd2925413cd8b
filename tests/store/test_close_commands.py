"""`danhao close` as a person types it: closing, listing, verifying, exporting, checking."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

import danhao
from core import clock
from tests.store.test_closing import signer, tamper
from tests.story import START, UNIT, Story

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool

Said = tuple[int, str, str]  # exit code, what went to stdout and to stderr


class Person:
    """Types commands against the story's store, at the story's time."""

    def __init__(self, told: Story, url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.told, self.url, self._capsys = told, url, capsys

    async def types(self, *words: str | Path, offline: bool = False) -> Said:
        where = [] if offline else ["--database-url", self.url]
        code = await asyncio.to_thread(danhao.main, ["close", *map(str, words), *where])
        said = self._capsys.readouterr()
        return code, said.out, said.err

    async def reads(self, *words: str | Path, offline: bool = False) -> tuple[int, Any]:
        code, out, _ = await self.types(*words, "--json", offline=offline)
        return code, json.loads(out)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    signer(tmp_path)
    return tmp_path / "close.pem"


@pytest.fixture
def open_key(key_file: Path) -> Path:
    """Return a key that others may read."""
    key_file.chmod(0o644)
    return key_file


@pytest_asyncio.fixture
async def person(
    pool: Pool,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Person:
    """Return somebody an hour after October's end, whose plant made 24 t in two days."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DANHAO_CLOSE_KEY_FILE", raising=False)
    told = await Story.begin(pool)
    monkeypatch.setattr(clock, "utc_now", lambda: told.now)
    told.pass_time(timedelta(hours=41))
    await told.record(told.steady(41))
    await told.tap("tap-1", START + timedelta(hours=20), "12")
    await told.tap("tap-2", START + timedelta(hours=30), "12")
    await told.settle()
    told.pass_time(timedelta(minutes=6))
    return Person(told, database_url, capsys)


OTHERS = "others than its owner may read or change the key: chmod 600"
TARGET = "cn-qh.fesi.smelting.target-2020"
FLIP = "exceeds -> within (facts; version 1 -> 2)"
OCTOBER = ("--site", "s", "--month", "2026-10")


async def test_a_month_is_closed_signed_listed_and_verified(person: Person, key_file: Path) -> None:
    code, out, _ = await person.types("month", *OCTOBER, "--key", key_file, "--by", "Engineer Li")
    assert code == 0
    assert out.startswith("closed s 2026-10: number 1, ")
    assert "signed by ed25519:" in out
    code, out, _ = await person.types("list")
    assert (code, out.count("\n")) == (0, 1)
    assert out.startswith("s 2026-10: number 1, closed by Engineer Li at 2026-10-31T17:06:00Z, ")
    assert out.endswith("figures, all stand\n")
    code, out, _ = await person.types("verify")
    assert code == 0
    assert "s 1: well: hash well, body well, signature well, chain well" in out
    assert "readings well, facts well" in out
    code, found = await person.reads("list", "--site", "s")
    (item,) = found["items"]
    assert (item["signed"], item["differing"], item["flipped"]) == (True, 0, 0)
    assert item["month_start"] == "2026-10-01T00:00:00+08:00"


async def test_each_refusal_is_a_sentence_and_exit_1(person: Person) -> None:
    code, out, err = await person.types("month", "--site", "s", "--month", "2026-11")
    assert (code, out) == (1, "")
    assert err == (
        "danhao: the month of s that ends at 2026-12-01T00:00:00+08:00 can be closed 5 minutes"
        " after its end\n"
    )
    await person.told.tap("tap-3", START + timedelta(hours=31), "1")
    await person.told.settle()
    await person.told.tap("tap-4", START + timedelta(hours=31), "1")
    code, out, err = await person.types("month", *OCTOBER)
    assert (code, out, err.count("danhao: ")) == (1, "", 2)
    code, found = await person.reads("month", *OCTOBER)
    assert (code, [each["reason"] for each in found["refused"]]) == (
        1,
        ["month_not_computed", "month_not_quiet"],
    )
    await person.told.settle()
    person.told.pass_time(timedelta(minutes=6))
    assert (await person.types("month", *OCTOBER))[0] == 0
    code, _, err = await person.types("month", *OCTOBER)
    assert code == 1
    assert "was closed by command line at 2026-10-31T17:12:00Z: a snapshot is never made" in err


async def test_every_mistake_is_told_at_once_and_exit_2(person: Person, open_key: Path) -> None:
    key_file = open_key
    code, out, err = await person.types(
        "month", "--site", "s", "--month", "October", "--key", key_file, "--by", " "
    )
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "danhao: --month: 'October' is no month: write it as 2026-10",
        "danhao: --by: give a name of 1 to 100 characters",
        f"danhao: {key_file}: {OTHERS} {key_file}",
    ]
    for words in (("month", "--month", "2026-10"), ("list",), ("verify",)):
        code, _, err = await person.types(*words, "--site", "nowhere")
        assert (code, err) == (2, "danhao: --site: no site 'nowhere' is declared, but s\n")


async def test_the_key_file_of_the_settings_signs_and_a_wrong_key_in_it_has_a_line(
    person: Person, tmp_path: Path, key_file: Path
) -> None:
    settings = tmp_path / "danhao.toml"
    settings.write_text(f'[close]\nkey = "{key_file}"\n')
    code, _, err = await person.types("month", *OCTOBER)
    assert code == 2
    assert "danhao.toml:2: close.key" in err
    settings.write_text(f'[close]\nkey_file = "{key_file}"\n')
    code, out, _ = await person.types("month", *OCTOBER)
    assert code == 0
    assert "signed by ed25519:" in out


async def test_who_has_only_the_file_checks_it_without_a_database(
    person: Person, key_file: Path, tmp_path: Path
) -> None:
    october, november = tmp_path / "october.json", tmp_path / "november.json"
    assert (await person.types("month", *OCTOBER, "--key", key_file))[0] == 0
    person.told.pass_time(timedelta(days=31))
    await person.told.settle()
    person.told.pass_time(timedelta(minutes=6))
    second = ("--site", "s", "--month", "2026-11")
    assert (await person.types("export", *second, "--out", november))[0] == 1
    assert (await person.types("month", *second, "--key", key_file))[0] == 0
    assert (await person.types("export", *OCTOBER, "--out", october))[0] == 0
    assert (await person.types("export", *second, "--out", november))[0] == 0
    assert (await person.types("export", *second, "--out", november))[0] == 2
    code, found = await person.reads("check", october, november, offline=True)
    assert code == 0
    first, last = found["items"]
    assert first["of"].startswith("s 2026-10: number 1, closed by command line at ")
    assert {name: part["state"] for name, part in last["parts"].items()} == {
        "hash": "well",
        "body": "well",
        "signature": "well",
        "chain": "well",
    }
    code, found = await person.reads("check", november, offline=True)
    assert (code, found["items"][0]["parts"]["chain"]["state"]) == (0, "unchecked")
    right, wrong = ("--public-key", first["key"]), ("--public-key", "ed25519:" + "A" * 43 + "=")
    assert (await person.types("check", october, *right, offline=True))[0] == 0
    assert (await person.types("verify", *right))[0] == 0
    code, out, _ = await person.types("check", october, *wrong, offline=True)
    assert code == 1
    assert "WRONG: hash well, body well, signature wrong" in out
    assert (await person.types("verify", *wrong))[0] == 1
    code, _, err = await person.types("check", october, "--public-key", "me", offline=True)
    assert (code, err.partition(":")[0]) == (2, "danhao")
    october.write_text(october.read_text().replace("command line", "somebody else"))
    code, out, _ = await person.types("check", october, offline=True)
    assert (code, "wrong: the body is not the one that was hashed" in out) == (1, True)
    code, _, err = await person.types("check", key_file, tmp_path / "no.json", offline=True)
    assert code == 2
    assert [line.rpartition("/")[2].partition(":")[0] for line in err.splitlines()] == [
        "close.pem",
        "no.json",
    ]


async def test_a_flipped_verdict_of_a_closed_month_is_bad_news(person: Person) -> None:
    assert (await person.types("month", *OCTOBER))[0] == 0
    person.told.pass_time(timedelta(days=14))
    await person.told.tap("tap-2", START + timedelta(hours=30), "18", revision=1)
    await person.told.settle()
    code, out, _ = await person.types("list")
    assert code == 1
    flipped = [line for line in out.splitlines() if "target-2020" in line]
    assert flipped == [f"  day 2026-10-31 of {UNIT} fesi.smelting: {TARGET} {FLIP}"]
    code, found = await person.reads("list")
    (item,) = found["items"]
    # The day and the month of two indicators hold the tap; the verdict on two days' month is none.
    assert item["differing"] == 4
    assert 1 <= item["flipped"] == len(item["flips"]) <= 2
    assert (await person.types("verify"))[0] == 0


async def test_what_was_changed_in_the_store_is_bad_news_that_names_it(
    person: Person, pool: Pool
) -> None:
    assert (await person.types("month", *OCTOBER))[0] == 0
    await tamper(pool, "output_fact", "update output_fact set mass_e6 = 1 where id = 'tap-1'")
    await tamper(pool, "month_close", "update month_close set number = 2, previous = sha256")
    code, out, _ = await person.types("verify")
    assert code == 1
    assert "wrong: number is 2 in the table and 1 in the body" in out
    await tamper(pool, "month_close", "update month_close set number = 1, previous = null")
    code, out, _ = await person.types("verify")
    assert code == 1
    assert f"wrong: facts of {UNIT}: one of the 2 was changed" in out
    assert "facts wrong" in out


async def test_nothing_closed_is_said_and_well(person: Person) -> None:
    for leaf in ("list", "verify"):
        assert await person.types(leaf) == (0, "no month is closed\n", "")
