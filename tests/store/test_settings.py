"""Server settings: who wins, and what a mistake is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from core.errors import Misconfigured
from store import settings

if TYPE_CHECKING:
    from pathlib import Path

URL = "postgresql://one:hush@db/danhao"
OTHER = "postgresql://two:hush@db/danhao"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "danhao.toml").write_text(f'[database]\nurl = "{OTHER}"\n')
    environment = {"DANHAO_DATABASE_URL": URL}
    assert settings.database({}).url == OTHER
    assert settings.database(environment).url == URL
    assert settings.database(environment, url=OTHER).url == OTHER


def test_a_data_directory_names_the_database_of_the_running_service(tmp_path: Path) -> None:
    (tmp_path / "endpoints.json").write_text(json.dumps({"database": URL}))
    found = settings.database({"DANHAO_DATABASE_URL": OTHER}, data_dir=tmp_path)
    assert found.url == URL


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"database": 3}', None])
def test_a_data_directory_without_a_service_is_one_sentence(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "endpoints.json").write_text(content)
    with pytest.raises(Misconfigured, match=r"endpoints\.json"):
        settings.database({}, data_dir=tmp_path)


def test_without_any_database_the_sentence_says_what_to_do() -> None:
    with pytest.raises(Misconfigured, match="set DANHAO_DATABASE_URL"):
        settings.database({})


def test_a_bad_address_names_where_it_comes_from_and_keeps_the_secret() -> None:
    with pytest.raises(Misconfigured) as caught:
        settings.database({"DANHAO_DATABASE_URL": "mysql://me:hush@db/x"})
    assert str(caught.value) == (
        "DANHAO_DATABASE_URL: write postgresql://user:password@host:port/name"
    )


def test_all_mistakes_of_the_file_are_told_with_their_lines(tmp_path: Path) -> None:
    (tmp_path / "danhao.toml").write_text('[database]\nurl = 3\nuri = "x"\n')
    with pytest.raises(Misconfigured) as caught:
        settings.database({})
    assert [str(p).partition(" ")[0] for p in caught.value.problems] == [
        "danhao.toml:2:",
        "danhao.toml:3:",
    ]
    (tmp_path / "danhao.toml").write_text("[databse]\n[other]\n")
    with pytest.raises(Misconfigured) as caught:
        settings.database({})
    assert len(caught.value.problems) == 2


def test_a_named_file_must_be_there_and_be_text(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"gone\.toml: cannot be read"):
        settings.read_file({"DANHAO_CONFIG": "gone.toml"})
    (tmp_path / "latin.toml").write_bytes(b"[api]\n# \xe9\n")
    with pytest.raises(Misconfigured, match=r"latin\.toml:2: is not UTF-8"):
        settings.read_file({}, tmp_path / "latin.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (settings.MOST_FILE_BYTES + 1))
    with pytest.raises(Misconfigured, match="is larger than"):
        settings.read_file({}, tmp_path / "large.toml")


def test_the_key_that_signs_closes_has_no_default_and_is_named_by_the_nearest(
    tmp_path: Path,
) -> None:
    assert settings.close({}).key_file is None
    (tmp_path / "danhao.toml").write_text('[close]\nkey_file = "file.pem"\n')
    environment = {"DANHAO_CLOSE_KEY_FILE": "variable.pem"}
    assert str(settings.close({}).key_file) == "file.pem"
    assert str(settings.close(environment).key_file) == "variable.pem"
    assert str(settings.close(environment, key_file=tmp_path).key_file) == str(tmp_path)


def test_a_mistake_in_the_close_table_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "danhao.toml").write_text('[close]\nkey_file = "a.pem"\npassword = "x"\n')
    with pytest.raises(Misconfigured, match=r"danhao\.toml:3: close\.password"):
        settings.close({})
