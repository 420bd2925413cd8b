"""The repository lints itself: names, sizes, sources, documents."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("core", "store", "edge", "ingest", "api", "simulators", "deploy")
MOST_LINES = 500
MOST_FUNCTION_LINES = 60


def modules() -> list[Path]:
    found = [ROOT / "danhao.py", ROOT / "run.py", ROOT / "hatch_build.py"]
    for package in PACKAGES:
        found += sorted(
            path
            for path in (ROOT / package).rglob("*.py")
            if "node_modules" not in path.parts and not path.name.endswith("_pb2.py")
        )
    return found


def test_no_other_distribution_ships_a_package_of_our_names() -> None:
    shared = {
        name: owners
        for name, owners in metadata.packages_distributions().items()
        if name in PACKAGES and set(owners) - {"danhao"}
    }
    assert shared == {}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_small_enough_to_read_and_says_what_is_in_it(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MOST_LINES, "split it by what is in it"
    assert ast.get_docstring(ast.parse(text)), "open it with what it is and what it promises"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_fits_on_a_screen(path: Path) -> None:
    long = [
        f"{node.name} {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MOST_FUNCTION_LINES
    ]
    assert long == []


def test_every_test_folder_is_a_package_so_that_no_test_shadows_a_program() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_no_unfinished_marks_are_left() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if marks.search(line)
    ]
    assert found == []


#: Grafana takes its questions as text and asks them itself; a test asks them of a real store.
SQL_FOR_OTHERS = {"deploy/grafana/boards.py"}


def test_sql_lives_in_store_only() -> None:
    sql = re.compile(
        r"""["'](select|insert into|update|delete from|listen|notify)\s""", re.IGNORECASE
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules()
        if path.relative_to(ROOT).parts[0] not in {"store", "edge", "simulators"}
        and path.relative_to(ROOT).as_posix() not in SQL_FOR_OTHERS
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if sql.search(line)
    ]
    assert found == []


def test_lock_files_pin_by_hash_and_carry_no_address() -> None:
    for name in ("all.txt", "dev.txt"):
        text = (ROOT / "requirements" / name).read_text("utf-8")
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--(extra-)?index-url|file:", text)


def test_lock_files_satisfy_what_the_project_declares() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = {
        line.split("==")[0].lower()
        for line in (ROOT / "requirements" / "all.txt").read_text("utf-8").splitlines()
        if "==" in line and not line.startswith(" ")
    }
    extras = declared["optional-dependencies"]
    wanted = {
        re.split(r"[\[<>=! ]", row)[0].lower()
        for row in [*declared["dependencies"], *extras["edge"], *extras["server"]]
    }
    assert wanted - locked == set()


def test_the_edge_loads_without_anything_a_gateway_lacks() -> None:
    script = (
        "import sys, edge.commands; "
        "print([m for m in ('numpy', 'psycopg', 'fastapi', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_every_decision_says_what_was_chosen_and_what_was_not() -> None:
    records = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert records
    for record in records:
        text = record.read_text("utf-8")
        for heading in ("## Decision", "## Why", "## Not chosen"):
            assert heading in text, f"{record.name} lacks {heading}"


def test_quotations_of_limits_stand_in_their_source_to_the_letter() -> None:
    seeds = ROOT.parent / "shared" / "seeds"
    if not seeds.is_dir():
        pytest.skip("the source documents are not beside this checkout (../shared/seeds)")
    table = tomllib.loads((ROOT / "core" / "data" / "limits.toml").read_text("utf-8"))["limit"]
    quoted = {key: row for key, row in table.items() if row["source"].startswith("seeds/")}
    assert quoted
    for key, row in quoted.items():
        source = (seeds / row["source"].removeprefix("seeds/")).read_text("utf-8")
        assert row["quote"] in source, key


def test_every_dead_letter_reason_is_explained() -> None:
    sql = (ROOT / "store" / "sql" / "0001_ledger.sql").read_text("utf-8")
    listed = re.search(r"reason in \(([^)]*)\)", sql)
    assert listed is not None
    reasons = set(re.findall(r"'(\w+)'", listed.group(1)))
    explained = set(
        re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "wire.md").read_text("utf-8"), re.MULTILINE)
    )
    assert reasons == explained


def test_every_key_of_a_point_is_explained() -> None:
    text = (ROOT / "docs" / "plant-file.md").read_text("utf-8")
    from core.plantfile import PointTable  # noqa: PLC0415 - the one place that needs it

    keys = set(PointTable.model_fields) - {"name"}
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_every_route_is_in_the_page_about_the_api() -> None:
    from api import app  # noqa: PLC0415 - the one test that needs it

    def plain(path: str) -> str:
        return re.sub(r"\{[^}]*\}", "{}", path.removeprefix("/api/v1"))

    text = plain((ROOT / "docs" / "api.md").read_text("utf-8"))
    missing = {plain(route.path) for route in app.routes() if plain(route.path) not in text}
    assert missing == set()


def test_every_command_is_in_the_readme_or_a_page_of_it() -> None:
    from danhao import COMMANDS  # noqa: PLC0415 - the one test that needs it

    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text("utf-8") for page in pages)
    assert [name for name, _, _ in COMMANDS if f"danhao {name}" not in text] == []
