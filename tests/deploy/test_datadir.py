"""Promises of the data directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import errors
from deploy import datadir, ports
from tests.deploy import helpers


@pytest.mark.parametrize(
    ("environment", "path"),
    [
        ({"XDG_DATA_HOME": "/data"}, "/data/danhao"),
        ({"XDG_DATA_HOME": "relative"}, "/home/li/.local/share/danhao"),
        ({}, "/home/li/.local/share/danhao"),
    ],
)
def test_the_default_follows_xdg(environment: dict[str, str], path: str) -> None:
    assert datadir.default_path(environment, Path("/home/li")) == Path(path)


def test_it_is_made_private_and_nothing_above_it_changes(tmp_path: Path) -> None:
    before = [(path, path.stat().st_mode) for path in (tmp_path, *tmp_path.parents)]
    with datadir.DataDirectory(tmp_path / "a" / "data") as data:
        mode = data.path.stat().st_mode & 0o777
        assert mode == (0o711 if os.geteuid() == 0 else 0o700)
        assert data.folder("log").stat().st_mode & 0o777 == 0o700
    assert [(path, path.stat().st_mode) for path, _ in before] == before


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with datadir.DataDirectory(tmp_path):
        assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_secrets_and_json_are_readable_by_the_owner_only_and_survive(tmp_path: Path) -> None:
    with datadir.DataDirectory(tmp_path / "data") as data:
        secret = data.secret("token")
        assert len(secret) >= 43
        assert data.secret("token") == secret
        path = data.write_json("tokens.json", {"operator": "x", "name": "电解"})
        assert data.read_json("tokens.json") == {"operator": "x", "name": "电解"}
        assert data.read_json("missing.json") is None
        for file in (path, data.path / "token", data.path / "lock"):
            assert file.stat().st_mode & 0o777 == 0o600
        assert sorted(file.name for file in data.path.iterdir()) == ["lock", "token", "tokens.json"]


def test_a_second_owner_is_told_the_first_one(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.deploy.programs", "hold", str(tmp_path)],
        cwd=helpers.ROOT,
        env=helpers.environment(),
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        with process.stdout as pipe:
            pid = json.loads(pipe.readline())["pid"]
        with pytest.raises(errors.Misconfigured) as refusal, datadir.DataDirectory(tmp_path):
            pass
        assert str(refusal.value) == (
            f"the data directory {tmp_path} is in use by process {pid}: "
            "stop it or give another --data-dir"
        )
    finally:
        process.kill()
        process.wait()
    # The lock ends with its process, however that ended.
    with datadir.DataDirectory(tmp_path):
        pass


def test_a_place_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(errors.Misconfigured, match=r"^the data directory cannot be used: "):
            datadir.DataDirectory(path).acquire()


def test_a_failed_write_leaves_the_former_content(tmp_path: Path) -> None:
    with datadir.DataDirectory(tmp_path) as data:
        data.write_json("x.json", [1])
        with pytest.raises(TypeError):
            data.write_json("x.json", {1, 2})
        assert data.read_json("x.json") == [1]


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" + b"1" * (1 << 20) + b"]"])
def test_a_file_that_is_no_json_or_too_large_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(errors.Misconfigured, match=r"x\.json"):
        datadir.read_json(tmp_path / "x.json")


def test_a_port_stays_while_it_is_free(tmp_path: Path) -> None:
    import socket  # noqa: PLC0415 - only this test binds

    note = tmp_path / "port"
    port = ports.keep(note)
    assert ports.keep(note) == port
    with socket.create_server(("127.0.0.1", port)):
        assert ports.keep(note) != port
    note.write_text("99999999999999\n")
    assert 0 < ports.keep(note) < 65536
