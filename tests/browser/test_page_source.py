"""What the page is made from and what it is built to: lock file, policy, budgets, types, units."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

import hatch_build

WEB: Final = Path(__file__).parents[2] / hatch_build.SOURCE
KIB: Final = 1000
#: web.md 11.
SCRIPT_BUDGET: Final = 90 * KIB
STYLE_BUDGET: Final = 12 * KIB
#: Names of XML vocabularies and the addresses inside the framework's messages: never requested.
NAMES: Final = re.compile(r"https?://(www\.w3\.org/|svelte\.dev/e/)")


def node(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program, _ = hatch_build.node_files()
    return subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def sources(*endings: str) -> list[Path]:
    return [path for path in sorted((WEB / "src").rglob("*")) if path.suffix in endings]


def test_the_lock_file_pins_by_hash_and_names_no_registry() -> None:
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    locked = {name: entry for name, entry in packages.items() if name}
    assert all("resolved" not in entry for entry in locked.values())
    assert all(entry["integrity"].startswith("sha512-") for entry in locked.values())


@pytest.mark.parametrize(
    "platform",
    ["linux-x64-gnu", "linux-x64-musl", "linux-arm64-gnu", "darwin-arm64", "win32-x64-msvc"],
)
def test_the_lock_file_serves_every_platform(platform: str) -> None:
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    assert f"node_modules/@rolldown/binding-{platform}" in packages


def test_dependencies_are_exact_and_few() -> None:
    package = json.loads((WEB / "package.json").read_text())
    assert set(package["dependencies"]) == {"svelte", "uplot"}
    versions = [*package["dependencies"].values(), *package["devDependencies"].values()]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)


def test_no_source_file_is_too_long() -> None:
    for path in sources(".ts", ".svelte", ".css"):
        assert len(path.read_text().splitlines()) <= 420, path.name


def test_no_markup_needs_an_exception_from_the_content_policy() -> None:
    for path in [*sources(".svelte"), WEB / "index.html"]:
        text = path.read_text()
        assert not re.search(r"\sstyle=", text), f"{path.name}: use a style: directive"
        assert "{@html" not in text, path.name
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", text) or path.suffix == ".svelte"


def test_no_colour_stands_outside_the_tokens() -> None:
    for path in sources(".svelte", ".css"):
        if path.name != "tokens.css":
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b", path.read_text()), path.name


def test_no_component_imports_anything_named_state() -> None:
    # Svelte then reads `$state` as a store subscription: it builds, and dies in the browser.
    for path in sources(".svelte", ".ts"):
        found = re.search(r"import\s[^'\"]*\bstate\b[^'\"]*\sfrom\s", path.read_text())
        assert found is None, path.name


def test_the_hot_path_knows_no_framework() -> None:
    for path in sources(".ts"):
        if path.parent.name in {"core", "matrix"}:
            assert "from 'svelte" not in path.read_text(), path.name


def test_unit_tests_of_the_page_pass() -> None:
    files = sorted(str(path.relative_to(WEB)) for path in (WEB / "test").glob("*.test.ts"))
    done = node(WEB, "--test", *files)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_types_and_accessibility_of_the_page_are_without_a_warning(packages: Path) -> None:
    checker = "node_modules/svelte-check/bin/svelte-check"
    done = node(packages, checker, "--tsconfig", "./tsconfig.json", "--fail-on-warnings")
    assert done.returncode == 0, done.stdout[-6000:]


@pytest.mark.slow
def test_the_built_page_keeps_its_budgets(static: Path) -> None:
    sizes = {".js": 0, ".css": 0}
    for path in (static / "assets").iterdir():
        if path.suffix in sizes:
            sizes[path.suffix] += len(gzip.compress(path.read_bytes(), 9))
    assert 0 < sizes[".js"] <= SCRIPT_BUDGET
    assert 0 < sizes[".css"] <= STYLE_BUDGET


@pytest.mark.slow
def test_the_built_page_names_no_other_host(static: Path) -> None:
    for path in static.rglob("*"):
        if path.suffix in {".js", ".css", ".html"}:
            text = NAMES.sub("", path.read_text())
            assert not re.search(r"https?://", text), path.name


@pytest.mark.slow
def test_the_built_page_has_no_inline_script_or_style(static: Path) -> None:
    text = (static / "index.html").read_text()
    assert "<style" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
