"""What the checker says: it runs alone, finds what does not follow, and says what is beyond it."""

from __future__ import annotations

import ast
import asyncio
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from store import evidencefile, packlines
from tests.core import random_months
from tests.store.inspector import worldpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from store.packlines import Member

SEED = 105


@pytest.fixture
def members() -> list[Member]:
    return asyncio.run(worldpack.members(random_months.make(SEED)))


def disagreements(seeds: range) -> list[str]:
    """Return months of which the checker says something else than the product."""
    check = evidencefile.load()
    found = ((seed, check(asyncio.run(worldpack.pack(random_months.make(seed))))) for seed in seeds)
    return [f"seed {seed}: {report.problems}" for seed, report in found if report.problems]


def test_50_random_months_follow_from_their_packs() -> None:
    assert disagreements(range(50)) == []


@pytest.mark.slow
@pytest.mark.parametrize("first", range(50, 350, 100))
def test_more_random_months_follow_from_their_packs(first: int) -> None:
    assert disagreements(range(first, first + 100)) == []


def test_the_one_file_runs_in_a_python_that_has_nothing_else(
    tmp_path: Path, members: list[Member]
) -> None:
    program, pack = tmp_path / "check.py", tmp_path / "pack.jsonl"
    program.write_text(evidencefile.text(), "utf-8")
    pack.write_bytes(packlines.seal(members))
    command = [sys.executable, "-I", "-S", str(program), str(pack)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "figure: unchecked" in done.stdout
    pack.write_bytes(packlines.seal(members).replace(b'"quality":[0', b'"quality":[1', 1))
    done = subprocess.run(
        [*command, "--lang", "zh"], cwd="/", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "不符: line" in done.stdout


def test_the_one_file_is_of_python_3_9_and_of_the_standard_library_only() -> None:
    tree = ast.parse(evidencefile.text(), feature_version=(3, 9))
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    names = [
        name
        for node in tree.body
        for name in (
            [node.name]
            if isinstance(node, ast.FunctionDef | ast.ClassDef)
            else [
                target.id
                for one in (node.targets if isinstance(node, ast.Assign) else [])
                for target in ast.walk(one)
                if isinstance(target, ast.Name)
            ]
        )
    ]
    assert len(names) == len(set(names)), "one module hides what another one says"


def the(members: list[Member], name: str) -> Member:
    return next(one for one in members if one["member"] == name)


def _reading(members: list[Member]) -> None:
    line = the(members, "readings")
    line["value"] = [
        None if one is None else one + 7_000_000 * n for n, one in enumerate(line["value"])
    ]


def _fact(members: list[Member]) -> None:
    for one in members:
        if one["member"] == "fact":
            one["amount"] = "123456"


def _limit(members: list[Member]) -> None:
    the(members, "limit")["row"]["value"] = "1"


def _verdict(members: list[Member]) -> None:
    (first, *_) = the(members, "figure")["figures"]["verdicts"]
    first["verdict"] = "within" if first["verdict"] != "within" else "exceeds"


def _energy(members: list[Member]) -> None:
    the(members, "figure")["figures"]["energy"]["value"] = "1"


def _left_out(members: list[Member]) -> None:
    members.remove(the(members, "limit"))


def _indicator(members: list[Member]) -> None:
    the(members, "indicator")["row"]["squared"] = True


def _function(members: list[Member]) -> None:
    the(members, "indicator")["row"]["denominator"] = [{"function": "cubed", "kinds": ["weighing"]}]


def _kind(members: list[Member]) -> None:
    for unit in the(members, "declaration")["declared"]["unit"].values():
        for point in unit["point"].values():
            point["kind"] = "oracle"


def _nothing(members: list[Member]) -> None:
    members[:] = [one for one in members if one["member"] != "declaration"]


CHANGES: tuple[tuple[Callable[[list[Member]], None], str], ...] = (
    (_reading, "energy is"),
    (_fact, "output is"),
    (_limit, "it stands at 1"),
    (_verdict, "the verdict is"),
    (_energy, "told was 1"),
    (_left_out, "no limit in the pack"),
    (_indicator, "cannot compute it"),
    (_function, "cannot compute it: a term of function cubed"),
    (_kind, "cannot compute it: a point of kind oracle"),
    (_nothing, "does not hold what it needs"),
)


@pytest.mark.parametrize(("change", "said"), CHANGES, ids=[one.__name__ for one, _ in CHANGES])
def test_a_pack_sealed_anew_over_something_else_does_not_follow(
    members: list[Member], change: Callable[[list[Member]], None], said: str
) -> None:
    change(members)
    report = evidencefile.load()(packlines.seal(members))
    assert not report.well
    assert said in " ".join(report.problems)


def test_the_answer_is_the_same_as_json(members: list[Member]) -> None:
    report = evidencefile.load()(packlines.seal(members))
    item = json.loads(json.dumps(report.item()))
    assert item["well"] is True
    assert [one["part"] for one in item["parts"]] == list(parts(report))


def parts(report: Any) -> Iterator[str]:
    for name, _, _ in report.parts:
        yield name
