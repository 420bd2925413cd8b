"""The server's units, scripts and configuration: well formed, and agreed on names and places."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

import danhao
from api import config as api_config
from ingest import config as ingest_config
from tests.deploy.helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "deploy" / "systemd"
UNITS = sorted(
    path for path in FOLDER.iterdir() if path.suffix in {".service", ".timer", ".target"}
)
SERVICES = [path for path in UNITS if path.suffix == ".service"]
SCRIPTS = [
    FOLDER / "install.sh",
    FOLDER / "backup.sh",
    ROOT / "deploy" / "compose" / "bootstrap.sh",
    ROOT / "deploy" / "edge-install" / "bundle.sh",
    ROOT / "deploy" / "edge-install" / "setup.sh",
]
PROGRAM = "/opt/danhao-server/bin/danhao"
LOCKED = (
    "NoNewPrivileges",
    "PrivateDevices",
    "PrivateTmp",
    "ProtectHome",
    "ProtectKernelModules",
    "RestrictSUIDSGID",
)


def settings(unit: Path) -> dict[str, str]:
    lines = unit.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]\w+=", line))


def is_understood(arguments: list[str]) -> bool:
    """Tell whether the program has this command with these arguments."""
    try:
        danhao._parser(arguments).parse_args(arguments)
    except SystemExit:
        return False
    return True


def test_there_are_units_for_every_program_of_a_server() -> None:
    assert {path.name for path in UNITS} == {
        "danhao.target",
        "danhao-ingest@.service",
        "danhao-api.service",
        "danhao-national.service",
        "danhao-backup.service",
        "danhao-backup.timer",
    }


def test_the_units_pass_systemds_own_check(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze here")
    for unit in UNITS:
        text = re.sub(
            r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text("utf-8"), flags=re.MULTILINE
        )
        (tmp_path / unit.name).write_text(text)
    names = [unit.name.replace("@.", "@1.") for unit in UNITS]
    shutil.copy(tmp_path / "danhao-ingest@.service", tmp_path / "danhao-ingest@1.service")
    done = subprocess.run(
        [program, "verify", *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if "Failed to initialize manager" in done.stderr:
        pytest.skip("systemd-analyze can not work here")
    ours = [line for line in done.stderr.splitlines() if "danhao" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_each_service_runs_a_command_that_there_is_without_any_right(unit: Path) -> None:
    told = settings(unit)
    program, *arguments = told["ExecStart"].split()
    if unit.name == "danhao-backup.service":
        assert program == "/opt/danhao-server/libexec/backup.sh"
    else:
        assert program == PROGRAM
        assert is_understood(arguments)
        assert told["RestartPreventExitStatus"] == str(danhao.WRONG_USE)
        assert told["Restart"] == "always"
    assert (told["User"], told["Group"], told["UMask"]) == ("danhao", "danhao", "0077")
    assert told["CapabilityBoundingSet"] == ""
    assert told["ProtectSystem"] == "strict"
    assert [name for name in LOCKED if told[name] != "yes"] == []


def test_a_command_that_there_is_not_would_be_noticed() -> None:
    assert not is_understood(["ingest", "walk"])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_scripts_are_well_formed(shell: str, script: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    subprocess.run([program, "-n", str(script)], check=True, timeout=10)
    assert script.stat().st_mode & 0o100
    assert "set -eu" in script.read_text("utf-8")


@pytest.mark.parametrize(
    "script", [each for each in SCRIPTS if each.name in {"install.sh", "bundle.sh", "bootstrap.sh"}]
)
def test_a_script_says_what_it_wants_and_exits_2(script: Path) -> None:
    done = subprocess.run(
        ["sh", str(script)], capture_output=True, text=True, check=False, timeout=10
    )
    assert done.returncode == 2
    assert re.search(r": name (them all|both): ", done.stderr)


def test_the_install_script_places_every_file_that_lies_beside_it() -> None:
    script = (FOLDER / "install.sh").read_text("utf-8")
    beside = {path.name for path in FOLDER.iterdir()} - {"install.sh"}
    assert {name for name in beside if script.count(name) < 2} == set()
    for place in ("prefix=/opt/danhao-server", "config=/etc/danhao-server"):
        assert place in script
    # Both are set up on one machine in a trial: neither may take the other's folders.
    edge = (ROOT / "deploy" / "edge" / "install.sh").read_text("utf-8")
    assert "danhao-server" not in edge


def test_the_shipped_configuration_is_well_and_holds_no_secret(tmp_path: Path) -> None:
    text = (FOLDER / "danhao.toml").read_text("utf-8").replace("@BROKER@", "broker.example")
    secret, path = tmp_path / "ingest.secret", tmp_path / "danhao.toml"
    secret.write_text("only here\n")
    path.write_text(text.replace("/etc/danhao-server/ingest.secret", str(secret)))
    loaded = ingest_config.load({}, path)
    assert (loaded.mqtt.tls, loaded.mqtt.address) == (True, "broker.example:8883")
    assert loaded.mqtt.password() == "only here"
    assert "password" not in loaded.database.url
    api = api_config.load({"DANHAO_CONFIG": str(path)})
    assert (api.host, api.port) == ("127.0.0.1", 8080)


def backed_up(folder: Path, program: str, days: str = "30") -> subprocess.CompletedProcess[str]:
    script = folder / "program"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"],
        "DANHAO_PROGRAM": str(script),
        "DANHAO_BACKUPS": str(folder / "backups"),
        "DANHAO_BACKUP_KEEP_DAYS": days,
    }
    return subprocess.run(
        ["sh", str(FOLDER / "backup.sh")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """Return a folder with an old and a young backup, and an old file of somebody else's."""
    folder = tmp_path / "backups"
    (folder / "deeper").mkdir(parents=True)
    old = "danhao-2026-01-01T013000Z.danhao"
    for name in (old, "danhao-2026-11-27T013000Z.danhao", "mine.danhao", f"deeper/{old}"):
        (folder / name).write_text(name)
    for name in (old, "mine.danhao", f"deeper/{old}"):
        os.utime(folder / name, (0, 0))
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


WRITES = '[ "$2" = verify ] || echo whole >"$3"'


def test_a_verified_backup_ends_the_old_ones_of_its_own_name(tmp_path: Path, backups: Path) -> None:
    before = names(backups)
    done = backed_up(tmp_path, WRITES)
    assert (done.returncode, done.stderr) == (0, "")
    after = names(backups)
    assert set(before) - set(after) == {"danhao-2026-01-01T013000Z.danhao"}
    (new,) = set(after) - set(before)
    assert re.fullmatch(r"danhao-\d{4}-\d\d-\d\dT\d{6}Z\.danhao", new)


@pytest.mark.parametrize(
    ("program", "days"),
    [
        ("exit 1", "30"),
        ('[ "$2" = verify ] && exit 1; echo cut >"$3"', "30"),
        (WRITES, "0"),
        (WRITES, "-1"),
        (WRITES, "ten"),
    ],
)
def test_without_a_verified_backup_nothing_is_ended(
    tmp_path: Path, backups: Path, program: str, days: str
) -> None:
    before = names(backups)
    assert backed_up(tmp_path, program, days).returncode in {danhao.BAD_NEWS, danhao.WRONG_USE}
    assert set(before) - set(names(backups)) == set()


def test_a_folder_that_is_not_mounted_is_told(tmp_path: Path) -> None:
    done = backed_up(tmp_path, WRITES)
    assert done.returncode == danhao.WRONG_USE
    assert "is its disk mounted?" in done.stderr
