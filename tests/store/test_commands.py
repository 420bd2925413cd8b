"""`danhao db` and `danhao plant` as a person types them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import danhao
from tests.store.test_plants import TEXT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def plant_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DANHAO_DATABASE_URL", raising=False)
    path = tmp_path / "plant.toml"
    path.write_text(TEXT)
    return path


def test_status_is_bad_news_until_the_database_is_migrated(
    empty_database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--database-url", empty_database_url]
    assert danhao.main(["db", "status", *where]) == 1
    assert "0001_ledger.sql  pending" in capsys.readouterr().out
    assert danhao.main(["db", "migrate", "--json", *where]) == 0
    assert "0001_ledger.sql" in json.loads(capsys.readouterr().out)["applied"]
    assert danhao.main(["db", "migrate", *where]) == 0
    assert capsys.readouterr().out == "nothing to apply\n"
    assert danhao.main(["db", "status", *where]) == 0


def test_apply_prints_the_difference_it_makes_and_nothing_the_second_time(
    plant_file: Path, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    apply = ["plant", "apply", str(plant_file), "--database-url", database_url]
    assert danhao.main(["plant", "show", str(plant_file), "--database-url", database_url]) == 0
    announced = capsys.readouterr().out
    assert danhao.main(apply) == 0
    assert capsys.readouterr().out == announced
    assert "+ site.gh-al.unit.potline-1.kind" in announced
    assert danhao.main(apply) == 0
    assert capsys.readouterr().out == "nothing changes\n"
    assert danhao.main(["plant", "show", "--json", "--database-url", database_url]) == 0
    assert json.loads(capsys.readouterr().out)["gh-al"]["version"] == 1


def test_check_reports_every_mistake_with_its_line_and_needs_no_database(
    plant_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert danhao.main(["plant", "check", str(plant_file)]) == 0
    plant_file.write_text(TEXT.replace('"counter"', '"count"').replace("al.liquid.ac", "al.what"))
    assert danhao.main(["plant", "check", str(plant_file)]) == 2
    plant_file.write_text(TEXT.replace('"counter"', '"count"').replace('"cn-qh"', '"China"'))
    assert danhao.main(["plant", "check", str(plant_file)]) == 2
    told = capsys.readouterr().err
    assert "plant.toml:11" in told
    assert "plant.toml:4" in told


def test_a_database_that_is_out_is_one_sentence_and_exit_1(
    plant_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql://someone:hush@127.0.0.1:1/danhao"
    assert danhao.main(["db", "status", "--database-url", url]) == 1
    told = capsys.readouterr().err
    assert "does not let us in" in told
    assert "hush" not in told
    assert danhao.main(["plant", "apply", str(plant_file)]) == 2
    assert "DANHAO_DATABASE_URL" in capsys.readouterr().err
