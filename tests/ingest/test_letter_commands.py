"""`danhao ingest dead-letters` as a person types it."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import danhao
from store import connection, dead_letters
from store.dead_letters import Letter
from tests.ingest import world
from tests.ingest.world import COUNTER, NOW, NOW_US, TOPIC

if TYPE_CHECKING:
    from pathlib import Path

READING = {"point": "gh-al.potline-1.typo", "measured_us": NOW_US, "value": 5, "quality": "good"}


@pytest.fixture
def where(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Declare the plant, keep two letters of one point and a cut one, and say where they are."""
    monkeypatch.chdir(tmp_path)

    async def fill() -> None:
        pool = await connection.open_pool(database_url)
        await world.declare(pool)
        other = READING | {"measured_us": NOW_US + 1}
        letters = [
            Letter("unknown_point", TOPIC, "gh-al", "gw-01", "no such point", _bytes(each))
            for each in (READING, other)
        ]
        letters.append(Letter("too_large", TOPIC, "gh-al", "gw-01", "large", b"{" * 70_000))
        async with pool.connection() as link:
            await dead_letters.write(link, letters, NOW)
        await pool.close()

    asyncio.run(fill())
    return ["--database-url", database_url]


def _bytes(data: dict[str, Any]) -> bytes:
    return json.dumps(data).encode()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = danhao.main(["ingest", "dead-letters", *words])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_letters_are_mended_replayed_and_settled(
    where: list[str], database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "--json", *where)
    cut, second, first = (each["id"] for each in json.loads(out)["items"])
    code, out, _ = run(capsys, "replay", "--reason", "unknown_point", *where)
    assert (code, "2 refused" in out) == (1, True)
    code, _, _ = run(
        capsys, "mend", "--reason", "unknown_point", "--set", f"point={COUNTER}",
        "--set", "value=7", *where,
    )  # fmt: skip
    assert code == 0
    code, out, _ = run(capsys, "replay", "--since", "2026-11-01", *where)
    assert (code, out.splitlines()[-1]) == (1, "2 stored, 1 cut")
    code, out, _ = run(capsys, "replay", str(first), str(second), "--json", *where)
    assert (code, json.loads(out)["counts"]["same"]) == (0, 2)
    code, out, _ = run(capsys, "show", str(first), "--json", *where)
    shown = json.loads(out)
    assert json.loads(shown["payload"]) == READING
    assert json.loads(shown["mended_payload"]) == READING | {"point": COUNTER, "value": 7}
    assert shown["state"] == "same"
    assert shown["replayed_by"].startswith("shell:")
    assert run(capsys, "discard", str(cut), *where)[1] == "discarded 1 letters\n"
    assert run(capsys, "--open", *where)[1] == "no dead letters\n"
    with psycopg.connect(database_url) as link:
        assert link.execute("select value from reading order by ts").fetchall() == [(7,), (7,)]
        actions = link.execute("select action from audit order by audit_id").fetchall()
    assert [action for (action,) in actions] == [
        *("replay_letters", "mend_letters", "replay_letters", "replay_letters"),
        "discard_letters",
    ]


def test_a_cut_letter_is_mended_with_a_whole_payload_only(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "--json", "--reason", "too_large", *where)
    [cut] = (str(each["id"]) for each in json.loads(out)["items"])
    code, _, err = run(capsys, "mend", cut, "--set", "value=1", *where)
    assert (code, "give it whole with --payload FILE" in err) == (2, True)
    path = tmp_path / "whole.json"
    path.write_bytes(world.by_hand([world.reading(9)]))
    assert run(capsys, "mend", cut, "--payload", str(path), *where)[0] == 0
    code, out, _ = run(capsys, "replay", cut, *where)
    assert (code, "1 readings, 0 facts stored" in out) == (0, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["replay"], "say which letters"),
        (["discard", "999"], "no letter has the id 999"),
        (["mend", "1"], "say what to mend"),
        (["mend", "1", "--set", "value"], "write FIELD=VALUE"),
        (["mend", "1", "--payload", "/nowhere"], "/nowhere: cannot be read"),
        (["--limit", "0"], "--limit is not from 1"),
    ],
)
def test_wrong_use_is_one_sentence(
    where: list[str], words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, *words, *where)
    assert code == 2
    assert told in err
