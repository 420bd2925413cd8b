"""`danhao doctor` on real databases: empty, migrated, at work, and gone."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

import danhao
from core import plant
from core.clock import utc_now
from deploy.doctor import commands
from deploy.doctor.page import Grade
from store import plants
from tests.deploy.doctor.looks import PLANT, bad

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool

TOML = """
[[channel]]
name = "city"
jurisdiction = "cn-qh"
url = "https://energy.example/alerts"
secret_file = "{secret}"
"""


def doctor(
    capsys: pytest.CaptureFixture[str], url: str, *words: str
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Return the exit code and the worst line of each topic."""
    capsys.readouterr()
    code = danhao.main(["doctor", "--json", "--database-url", url, *words])
    items = json.loads(capsys.readouterr().out)["items"]
    return code, {each["topic"]: each for each in reversed(items)}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run where no danhao.toml is, with no variable that names a broker."""
    monkeypatch.chdir(tmp_path)
    for name in ("DANHAO_MQTT_URL", "DANHAO_CONFIG", "DANHAO_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_a_database_that_is_out_is_a_line_of_the_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANHAO_MQTT_URL", "mqtt://127.0.0.1:1")
    code, found = doctor(capsys, "postgresql://nobody:secret@127.0.0.1:1/danhao")
    assert code == 1
    assert found["database"]["grade"] == Grade.BROKEN
    assert found["broker"]["grade"] == Grade.BROKEN
    assert "127.0.0.1:1 takes no connection" in found["broker"]["seen"]
    assert "secret" not in json.dumps(found)


def test_a_database_without_schema_is_told_to_be_migrated_first(
    empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = doctor(capsys, empty_database_url)
    assert code == 1
    assert found["schema"]["grade"] == Grade.BROKEN
    assert "danhao db migrate" in found["schema"]["remedy"]
    assert "workers" not in found


def test_a_fresh_store_is_told_step_by_step_what_it_lacks(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = doctor(capsys, database_url, "--backups", str(tmp_path))
    assert code == 1
    assert found["schema"]["grade"] == Grade.WELL
    assert found["workers"]["seen"] == "no ingest worker is at work"
    assert found["plant"]["seen"] == "nothing is declared"
    assert found["backups"]["seen"] == "the folder holds no backup"
    assert found["settings"]["grade"] == Grade.UNKNOWN
    assert found["broker"]["grade"] == Grade.UNKNOWN
    danhao.main(["doctor", "--database-url", database_url])
    text = capsys.readouterr().out
    assert text.startswith("store ")
    assert "-> declare a plant" in text


async def test_what_a_declared_plant_lacks_is_named(
    pool: Pool, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with pool.connection() as link:
        await plants.apply(link, plant.parse(PLANT, "plant.toml"), utc_now())
    (tmp_path / "secret").write_text("0123456789abcdef0123456789abcdef")
    (tmp_path / "danhao.toml").write_text(TOML.format(secret=tmp_path / "secret"))
    code, found = await asyncio.to_thread(doctor, capsys, database_url)
    assert code == 1
    assert found["settings"]["grade"] == Grade.WELL
    assert "gh-al.gw-01, gh-al.gw-02, nx-fa.gw-01 never heard" in found["agents"]["seen"]
    assert "no channel is told of nx-fa" in found["channels"]["seen"]
    assert "nothing is judged of nx-fa" in found["limits"]["seen"]


async def test_every_mistake_of_the_settings_is_a_line(
    pool: Pool, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del pool
    (tmp_path / "danhao.toml").write_text("[ingest]\nbatch_ms = 0\nbatch_kib = 0\n")
    capsys.readouterr()
    words = ["doctor", "--json", "--database-url", database_url]
    assert await asyncio.to_thread(danhao.main, words) == 1
    items = json.loads(capsys.readouterr().out)["items"]
    seen = [each["seen"] for each in items if each["topic"] == "settings"]
    assert len(seen) == 2
    assert any("danhao.toml:2" in each for each in seen)
    assert any("danhao.toml:3" in each for each in seen)


async def test_a_broker_that_listens_is_well() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        told = await commands._broker(None, {"DANHAO_MQTT_URL": f"mqtt://127.0.0.1:{port}"})
        assert bad(told) == []
        assert told[0].seen == f"127.0.0.1:{port} takes connections"
