"""`danhao evidence` as a person types it: exporting, verifying, the checker for others."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

import danhao
from core import clock, periods
from core.periods import Period
from store import evidence_commands
from tests.store.test_closing import close, signer
from tests.story import START, UNIT, Story

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from store.connection import Pool

    Types = Callable[..., Awaitable[tuple[int, str, str]]]

MONTH = ("--unit", UNIT, "--indicator", "fesi.smelting", "--period", "2026-10")


@pytest_asyncio.fixture
async def types(
    pool: Pool,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Types:
    """Return what types a command beside a store whose October was closed and signed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DANHAO_CLOSE_KEY_FILE", raising=False)
    told = await Story.begin(pool)
    monkeypatch.setattr(clock, "utc_now", lambda: told.now)
    told.pass_time(timedelta(hours=41))
    await told.record(told.steady(41))
    await told.tap("tap-1", START + timedelta(hours=20), "12")
    await told.settle()
    told.pass_time(timedelta(minutes=6))
    await close(told, signer(tmp_path))

    async def typed(*words: str, offline: bool = False) -> tuple[int, str, str]:
        where = [] if offline else ["--database-url", database_url]
        code = await asyncio.to_thread(danhao.main, ["evidence", *words, *where])
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


async def test_a_month_goes_out_and_stands_in_a_python_that_has_nothing_of_ours(
    types: Types, tmp_path: Path
) -> None:
    code, out, err = await types("export", *MONTH, "month.jsonl", "--key", "close.pem")
    assert (code, err) == (0, "")
    assert "signed by ed25519:" in out
    code, out, _ = await types("checker", "check.py", "--json", offline=True)
    told = json.loads(out)
    text = (tmp_path / "check.py").read_bytes()
    assert told["sha256"] == hashlib.sha256(text).hexdigest()
    command = [sys.executable, "-I", "-S", "check.py", "month.jsonl"]
    done = await asyncio.to_thread(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "month close: well" in done.stdout
    assert "catalogue: well" in done.stdout
    code, ours, _ = await types("verify", "month.jsonl", offline=True)
    assert code == 0
    assert ours == done.stdout


async def test_a_changed_pack_exits_1_and_names_the_line(types: Types, tmp_path: Path) -> None:
    await types("export", *MONTH, "month.jsonl")
    pack = tmp_path / "month.jsonl"
    pack.write_bytes(pack.read_bytes().replace(b'"amount":"12"', b'"amount":"13"'))
    code, out, _ = await types("verify", "month.jsonl", "--json", offline=True)
    assert code == 1
    (problem,) = json.loads(out)["parts"][0]["problems"]
    assert "fact tap-1 0" in problem
    code, out, _ = await types("verify", "month.jsonl", "--lang", "zh", offline=True)
    assert (code, "字节与签名: 不符" in out) == (1, True)


async def test_a_figure_is_named_by_its_id_as_well(types: Types, tmp_path: Path) -> None:
    await types("export", *MONTH, "month.jsonl")
    figure = next(
        one
        for one in map(json.loads, (tmp_path / "month.jsonl").read_bytes().splitlines())
        if one["member"] == "figure"
    )
    code, _, _ = await types("export", figure["result"], "again.jsonl")
    assert code == 0
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "month.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export", "x.jsonl"), "name a RESULT, or --unit and --period"),
        (("export", "17", "x.jsonl"), "is no id of a figure"),
        (("export", "--unit", UNIT, "--period", "October", "x.jsonl"), "is no period"),
        (("export", *MONTH, "--key", "none.pem", "x.jsonl"), "cannot be read"),
        (("export", *MONTH, "close.pem"), "is there already"),
    ],
)
async def test_wrong_use_is_said_in_a_sentence(
    types: Types, words: tuple[str, ...], said: str
) -> None:
    code, _, err = await types(*words)
    assert (code, said in err) == (2, True), err


async def test_wrong_files_are_said_in_a_sentence(types: Types, tmp_path: Path) -> None:
    code, _, err = await types("verify", "nowhere.jsonl", offline=True)
    assert (code, "cannot be read" in err) == (2, True)
    (tmp_path / "notes.txt").write_text("no pack at all")
    code, out, _ = await types("verify", "notes.txt", offline=True)
    assert (code, "WRONG" in out) == (1, True)
    code, _, err = await types("verify", "notes.txt", "--public-key", "mine", offline=True)
    assert (code, "--public-key" in err) == (2, True)
    code, _, err = await types("checker", "notes.txt", offline=True)
    assert (code, "is there already" in err) == (2, True)


async def test_what_is_not_there_exits_1(types: Types) -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    code, _, err = await types("export", nobody, "x.jsonl")
    assert (code, "there is no such figure" in err) == (1, True)
    code, _, err = await types("export", "--unit", "s.none", "--period", "2026-10", "x.jsonl")
    assert (code, "no unit" in err) == (1, True)


def test_a_period_is_a_year_a_month_or_a_day() -> None:
    zone = "Asia/Shanghai"
    found = [evidence_commands.named(text, zone) for text in ("2026", "2026-02", "2026-02-28")]
    assert [kind for kind, _ in found] == [Period.YEAR, Period.MONTH, Period.DAY]
    assert [periods.render(at, zone)[:10] for _, at in found] == [
        "2026-01-01", "2026-02-01", "2026-02-28",
    ]  # fmt: skip
    for text in ("2026-02-30", "2026-13", "now", "2026-2"):
        with pytest.raises(ValueError, match=r"no period|no day"):
            evidence_commands.named(text, zone)
