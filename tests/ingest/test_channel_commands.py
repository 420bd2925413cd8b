"""`danhao alerts try`: whoever sets a channel up learns at once what its receiver says."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

import danhao
from core.clock import utc_now
from tests.fixtures.service import free_port
from tests.ingest.alertworld import SECRET
from tests.simulators.inbox import running

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secret").write_text(SECRET)
    path = tmp_path / "danhao.toml"
    monkeypatch.setenv("DANHAO_CONFIG", str(path))
    return path


def write(config: Path, url: str) -> None:
    config.write_text(
        f'[[channel]]\nname = "qinghai"\nurl = "{url}"\njurisdiction = "cn-qh"\n'
        f'secret_file = "{config.parent / "secret"}"\n'
    )


def test_a_receiver_that_takes_it_is_told_with_its_receipt(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(config.parent / "inbox", SECRET.encode(), utc_now) as server:
        write(config, server.url)
        assert danhao.main(["alerts", "try", "qinghai"]) == 0
        (item,) = server.inbox.items()
    assert capsys.readouterr().out.endswith("ms, receipt inbox-000001\n")
    assert item["body"]["type"] == "test"
    assert item["body"]["channel"] == "qinghai"
    assert item["key"] == item["body"]["id"]


def test_a_receiver_that_does_not_take_it_is_bad_news(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(config.parent / "inbox", b"another secret of theirs", utc_now) as server:
        write(config, server.url)
        assert danhao.main(["alerts", "try", "qinghai", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["delivered"], told["status"], told["detail"]) == (False, 401, "answered 401")
    write(config, f"http://127.0.0.1:{free_port()}/alerts")
    assert danhao.main(["alerts", "try", "qinghai"]) == 1
    assert capsys.readouterr().out.startswith("qinghai: not delivered: ConnectError")


def test_a_name_that_is_none_is_one_sentence(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, "https://alerts.example/danhao")
    assert danhao.main(["alerts", "try", "hainan"]) == 2
    assert capsys.readouterr().err == (
        f"danhao: {config}: has no channel 'hainan': there is qinghai\n"
    )


def test_it_can_be_asked_from_a_running_loop(config: Path) -> None:
    """The command is a thin shell over a function that any program may use."""
    from ingest import channel_commands  # noqa: PLC0415 - only here

    with running(config.parent / "inbox", SECRET.encode(), utc_now) as server:
        write(config, server.url)
        channel = channel_commands.find("qinghai", config)
        made = asyncio.run(channel_commands.attempt(channel, utc_now))
    assert made.receipt == "inbox-000001"
