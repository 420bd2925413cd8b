"""The build step: what it skips, what it replaces, and how it fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

import hatch_build

if TYPE_CHECKING:
    from pathlib import Path


def make_source(root: Path) -> Path:
    web = root / hatch_build.SOURCE
    (web / "src").mkdir(parents=True)
    (web / "src" / "main.ts").write_text("one")
    (web / "package.json").write_text("{}")
    return web


def test_the_digest_changes_with_any_source_file_and_its_name(tmp_path: Path) -> None:
    web = make_source(tmp_path)
    first = hatch_build.digest(web)
    (web / "src" / "main.ts").write_text("two")
    second = hatch_build.digest(web)
    (web / "src" / "main.ts").rename(web / "src" / "other.ts")
    assert len({first, second, hatch_build.digest(web)}) == 3


def test_the_digest_knows_nothing_of_packages_tests_and_the_build_itself(tmp_path: Path) -> None:
    web = make_source(tmp_path)
    first = hatch_build.digest(web)
    for aside in hatch_build.ASIDE:
        (web / aside).mkdir()
        (web / aside / "file").write_text("x")
    assert hatch_build.digest(web) == first


def test_an_unchanged_page_is_not_built_again(tmp_path: Path) -> None:
    web = make_source(tmp_path)
    static = web / "static"
    static.mkdir()
    (static / "index.html").write_text("page")
    (static / hatch_build.DIGEST_FILE).write_text(hatch_build.digest(web) + "\n")
    assert hatch_build.build(tmp_path) is False


def test_publishing_removes_what_the_last_build_left(tmp_path: Path) -> None:
    made, static = tmp_path / "made", tmp_path / "static"
    (made / "assets").mkdir(parents=True)
    (made / "index.html").write_text("new")
    (made / "assets" / "b.js").write_text("b")
    (static / "assets" / "old").mkdir(parents=True)
    (static / "assets" / "a.js").write_text("a")
    (static / "assets" / "old" / "c.js").write_text("c")
    hatch_build.publish(made, static, "digest")
    left = {path.relative_to(static).as_posix() for path in static.rglob("*")}
    assert left == {"index.html", "assets", "assets/b.js", hatch_build.DIGEST_FILE}


def test_a_failed_step_shows_the_end_of_its_output_and_what_to_do(tmp_path: Path) -> None:
    script = "import sys; print('x' * 9000 + 'THE END'); sys.exit(3)"
    with pytest.raises(hatch_build.PageError) as caught:
        hatch_build.run_step("Trying", [sys.executable, "-c", script], tmp_path, {})
    message = str(caught.value)
    assert "Trying failed with exit status 3" in message
    assert "THE END" in message
    assert hatch_build.ADVICE in message
    assert len(message) < hatch_build.TAIL_BYTES + 500


def test_a_registry_out_of_reach_is_told_and_leaves_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = make_source(tmp_path)
    (web / "package.json").write_text('{"name":"p","version":"1.0.0"}')
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    with pytest.raises(hatch_build.PageError, match="Point npm at a registry"):
        hatch_build.build(tmp_path)
    assert not (web / "static").exists()


def test_node_and_npm_come_from_the_package_index() -> None:
    assert all(path.is_file() for path in hatch_build.node_files())
