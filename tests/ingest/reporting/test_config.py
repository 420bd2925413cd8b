"""`[[platform]]`: every mistake with its place, no secret in a message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core import tomlfile
from core.errors import Misconfigured
from core.nationalreport import FILE
from ingest.reporting import config
from tests.core.test_nationalreport import TEXT as MAPPING
from tests.ingest.reporting.world import settings

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a secret that nobody may read"


def table(folder: Path, name: str = "province", **more: str) -> str:
    (folder / "key").write_text(KEY)
    given = {
        "name": name,
        "url": "https://platform.example/necc",
        "key_file": str(folder / "key"),
        "report": str(folder / "national.toml"),
        **more,
    }
    return "[[platform]]\n" + "".join(f'{key} = "{value}"\n' for key, value in given.items())


def told(text: str) -> str:
    with pytest.raises(Misconfigured) as wrong:
        config.load(tomlfile.parse(text, "danhao.toml"))
    return str(wrong.value)


def test_two_platforms_are_read(tmp_path: Path) -> None:
    text = table(tmp_path) + table(tmp_path, "nation")
    found = config.load(tomlfile.parse(text, "danhao.toml"))
    assert [each.name for each in found] == ["province", "nation"]
    assert found[0].key() == KEY
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"url": "http://platform.example/necc"}, "plain http is for this machine only"),
        ({"url": "https://me:word@platform.example/"}, "leave the account out"),
        ({"url": "ftp://platform.example/"}, "write https://host/path"),
        ({"url": "https://platform.example/?key=word"}, "write https://host/path"),
        ({"key_file": "/nowhere/key"}, "cannot be read"),
        ({"name": "The Province"}, "danhao.toml:2: platform.0.name"),
        ({"colour": "red"}, "is not a key of this table"),
        ({"certificate_file": "client.pem"}, "give certificate_file and certificate_key_file"),
        ({"mapping": "/nowhere/mapping.toml"}, "cannot be read"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    more: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    found = told(table(tmp_path, **more))
    assert sentence in found
    assert "danhao.toml:" in found
    assert "word" not in found


def test_a_mistake_of_the_mapping_names_its_own_line(tmp_path: Path) -> None:
    mapping = tmp_path / "names.toml"
    mapping.write_text(MAPPING.replace('value = "1001"', 'value = "0000"'), encoding="utf-8")
    assert "names.toml:" in told(table(tmp_path, mapping=str(mapping)))


def test_platforms_of_one_report_share_the_mapping(tmp_path: Path) -> None:
    mapping = tmp_path / "names.toml"
    mapping.write_text(MAPPING, encoding="utf-8")
    text = table(tmp_path) + table(tmp_path, "nation", mapping=str(mapping))
    assert "give both the same" in told(text)
    assert "is the name of another platform" in told(table(tmp_path) * 2)
    assert "at most 8" in told("".join(table(tmp_path, f"p-{n}") for n in range(9)))


def test_a_corrected_mapping_goes_before_the_one_that_ships(tmp_path: Path) -> None:
    mapping = tmp_path / "names.toml"
    mapping.write_text(MAPPING.replace('"dataValue"', '"dataWorth"'), encoding="utf-8")
    platform = settings(tmp_path, "province", "http://127.0.0.1:9", mapping=mapping)
    assert platform.names().operations["data"].row["value"] == "dataWorth"
    assert FILE.endswith("national_report.toml")


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("https://10.0.0.7/service", "add it to service_hosts"),
        ("http://platform.example/service", "use https"),
        ("https://platform.example.evil.example/", "add it to service_hosts"),
        ("https://platform.example@evil.example/", "leave the account out"),
        (None, "write https"),
        (["https://platform.example/"], "write https"),
    ],
)
def test_an_address_that_a_registration_gives_is_judged(
    address: object, sentence: str, tmp_path: Path
) -> None:
    platform = settings(tmp_path, "province", "https://platform.example/necc")
    with pytest.raises(ValueError, match=sentence):
        platform.service(address)
    assert platform.service("https://PLATFORM.example/s/") == "https://PLATFORM.example/s"
    wider = settings(
        tmp_path, "province", "https://platform.example/", service_hosts=("data.example",)
    )
    assert wider.service("https://data.example:8443/s") == "https://data.example:8443/s"
