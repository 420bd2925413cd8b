"""What the page is made from and what it is built to: lock file, policy, budgets, types, units."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Final

import pytest

import hatch_build

ROOT: Final = Path(__file__).parents[2]
WEB: Final = ROOT / hatch_build.SOURCE
KIB: Final = 1000
#: web.md 11: what every viewer loads at once, and what one more page brings when it is opened.
SCRIPT_BUDGET: Final = 90 * KIB
STYLE_BUDGET: Final = 12 * KIB
PAGE_BUDGET: Final = 30 * KIB
#: A module's own imports, apart from the pages that it loads when they are opened.
IMPORTED: Final = re.compile(r"""(?:\bfrom|\bimport)\s*["']\./([\w.-]+\.js)["']""")
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


def test_every_carrier_that_ships_has_its_words_on_the_page() -> None:
    shipped = tomllib.loads((ROOT / "core" / "data" / "carriers.toml").read_text("utf-8"))
    text = (WEB / "src" / "core" / "words" / "carriers.ts").read_text("utf-8")
    chinese, english = text.split("  {\n", 2)[1:]
    for carrier, row in shipped["carrier"].items():
        assert f"    {carrier}: '{row['name']['zh']}',\n" in chinese
        assert f"    {carrier}: '{row['name']['en']}',\n" in english


def test_unit_tests_of_the_page_pass() -> None:
    files = sorted(str(path.relative_to(WEB)) for path in (WEB / "test").glob("*.test.ts"))
    done = node(WEB, "--test", *files)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.slow
def test_types_and_accessibility_of_the_page_are_without_a_warning(packages: Path) -> None:
    checker = "node_modules/svelte-check/bin/svelte-check"
    done = node(packages, checker, "--tsconfig", "./tsconfig.json", "--fail-on-warnings")
    assert done.returncode == 0, done.stdout[-6000:]


def size(path: Path) -> int:
    """Return what a file weighs on the line."""
    return len(gzip.compress(path.read_bytes(), 9))


def at_first(static: Path) -> set[str]:
    """Return the assets that the page loads before anything is opened, the stream's worker too."""
    assets = static / "assets"
    html = (static / "index.html").read_text()
    waiting = re.findall(r"/assets/([\w.-]+\.(?:js|css))", html)
    waiting += [path.name for path in assets.glob("worker-*.js")]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name.endswith(".js"):
            waiting += IMPORTED.findall((assets / name).read_text())
    return found


@pytest.mark.slow
def test_the_built_page_keeps_its_budgets(static: Path) -> None:
    first = at_first(static)
    scripts = sum(size(static / "assets" / name) for name in first if name.endswith(".js"))
    styles = sum(size(static / "assets" / name) for name in first if name.endswith(".css"))
    assert 0 < scripts <= SCRIPT_BUDGET
    assert 0 < styles <= STYLE_BUDGET
    later = [path for path in (static / "assets").glob("*.js") if path.name not in first]
    assert len(later) > 5, "pages are no longer loaded when they are opened"
    for path in later:
        assert size(path) <= PAGE_BUDGET, path.name


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
