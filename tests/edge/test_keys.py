"""`danhao keys`: a key is made once, for its owner only, and signs what an agent sends."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

import danhao
from core import plant, wire

if TYPE_CHECKING:
    from pathlib import Path

PLANT = """\
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
altitude_m = 2400
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"
"""


def test_a_key_is_made_for_its_owner_only_and_the_line_goes_into_the_plant_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agent.pem"
    umask = os.umask(0)
    try:
        assert danhao.main(["keys", "agent", str(file), "--agent", "gh-al.gw-01"]) == 0
    finally:
        os.umask(umask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = capsys.readouterr().out
    assert lines.startswith('[site.gh-al.agent.gw-01]\nkey = "ed25519:')
    declared = plant.parse(PLANT + lines, "plant.toml")
    sign, key = wire.signer(file.read_bytes())
    assert key in str(declared)
    packet, _ = wire.unpack(
        wire.seal(
            wire.header(agent="gw-01", epoch="e", sequence=1, oldest=1, sent_us=0),
            sign=sign,
            key=key,
        )
    )
    assert wire.verify(packet, key)


def test_a_key_for_alerts_is_printed_as_a_receiver_takes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "alerts.key"
    assert danhao.main(["keys", "webhook", str(file)]) == 0
    told = capsys.readouterr().out
    assert told == wire.signer(file.read_bytes())[1] + "\n"
    assert danhao.main(["keys", "webhook", str(file)]) == 2  # none is replaced
    assert danhao.main(["keys", "webhook", str(tmp_path / "b.key"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(tmp_path / "b.key")


def test_two_keys_are_never_the_same_and_none_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = []
    for name in ("one.pem", "two.pem"):
        assert danhao.main(["keys", "agent", str(tmp_path / name), "--json"]) == 0
        keys.append(json.loads(capsys.readouterr().out)["key"])
    assert keys[0] != keys[1]
    before = (tmp_path / "one.pem").read_bytes()
    assert danhao.main(["keys", "agent", str(tmp_path / "one.pem")]) == 2
    assert "a key is not replaced" in capsys.readouterr().err
    assert (tmp_path / "one.pem").read_bytes() == before


def test_show_prints_the_public_key_and_minds_who_may_read_the_private_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "agent.pem"
    danhao.main(["keys", "agent", str(file)])
    made = capsys.readouterr().out
    assert danhao.main(["keys", "show", str(file)]) == 0
    assert capsys.readouterr().out == made
    assert "PRIVATE" not in made
    file.chmod(0o644)
    assert danhao.main(["keys", "show", str(file)]) == 1
    assert "chmod 600" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["agent", "nowhere/x.pem"], "cannot be made"),
        (["show", "none.pem"], "cannot be read"),
        (["show", "text.pem"], "no PEM private key"),
        (["agent", "x.pem", "--agent", "gh-al"], "write the site and the agent"),
    ],
)
def test_a_mistake_is_one_sentence(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.pem").write_text("nothing")
    assert danhao.main(["keys", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line
