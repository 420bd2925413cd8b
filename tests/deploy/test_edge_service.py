"""The edge's unit and install script: well formed, and agreed on names and places."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "edge"
UNIT = FOLDER / "danhao-edge.service"
SCRIPT = FOLDER / "install.sh"


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_install_script_is_well_formed(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell} here")
    subprocess.run([program, "-n", str(SCRIPT)], check=True, timeout=10)
    assert SCRIPT.stat().st_mode & 0o100


def test_the_install_script_says_what_it_wants_and_exits_2() -> None:
    done = subprocess.run(
        ["sh", str(SCRIPT)], capture_output=True, text=True, check=False, timeout=10
    )
    assert done.returncode == 2
    assert "name the wheel" in done.stderr


def test_the_unit_passes_systemds_own_check(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/danhao/bin/danhao", "/bin/true"))
    done = subprocess.run(
        [program, "verify", str(unit)], capture_output=True, text=True, check=False, timeout=30
    )
    if "Failed to initialize manager" in done.stderr:
        pytest.skip("systemd-analyze can not work here")
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_unit_and_script_agree_on_user_and_places() -> None:
    unit, script = UNIT.read_text("utf-8"), SCRIPT.read_text("utf-8")
    settings = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line[1:30])
    assert settings["User"] in script
    assert settings["ExecStart"] == "/opt/danhao/bin/danhao edge run /etc/danhao/edge.toml"
    assert "prefix=${DANHAO_PREFIX:-/opt/danhao}" in script
    assert "config=/etc/danhao" in script
    assert f"/var/lib/{settings['StateDirectory']}" in script
    assert settings["Type"] == "notify"
    assert int(settings["WatchdogSec"]) >= 10
    assert settings["RestartPreventExitStatus"] == "2"
    for locked in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "MemoryDenyWriteExecute"):
        assert settings[locked] == "yes"
    assert settings["CapabilityBoundingSet"] == ""
