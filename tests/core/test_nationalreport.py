"""The mapping of the national system: complete, marked, and nothing of it in the program."""

from __future__ import annotations

import ast
import re
import tomllib
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import pytest

from core import nationalreport
from core.clock import to_us
from core.errors import Misconfigured

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "core" / "data" / "national_report.toml"
TEXT = FILE.read_text("utf-8")
NAMES = nationalreport.shipped()
CODE = {
    "scope": "01",
    "process": "00",
    "unit": "0001",
    "equipment": "0000",
    "collection": "01",
    "use": "00",
}


def told(text: str) -> str:
    with pytest.raises(Misconfigured) as wrong:
        nationalreport.parse(text, "m.toml")
    return str(wrong.value)


def test_most_of_what_ships_is_not_verified_and_says_so() -> None:
    assert set(NAMES.marks.values()) == {"verified", "from_memory", "proposal"}
    # The public sources name operations and energies of a form; no field was read anywhere.
    verified = set(NAMES.marks) - set(NAMES.unverified)
    assert all(key.startswith("code.carrier.") or key == "layout.label" for key in verified)
    assert "operation.data.row.item" in NAMES.unverified
    assert "code.reply.accepted" in NAMES.unverified


def test_energies_of_the_form_have_the_codes_that_were_read() -> None:
    read = {"raw_coal": "01", "coke": "09", "thermal_energy": "32", "electricity": "33"}
    assert {key: NAMES.codes["carrier"][key] for key in read} == read
    assert NAMES.marks["code.carrier.natural_gas"] == "from_memory"


def test_no_name_of_the_platform_stands_in_the_program() -> None:
    data = tomllib.loads(TEXT)
    fields = {
        term["value"]
        for operation in data["operation"].values()
        for part in ("request", "reply", "row")
        for term in operation.get(part, {}).values()
    } | {term["value"] for term in data["reply"].values()}
    fields -= {"unit", "version", "data"}  # words of ours too
    sources = [
        *(ROOT / "core").glob("*report*.py"),
        *(ROOT / "store").glob("report*.py"),
        *(ROOT / "ingest" / "reporting").glob("*.py"),
    ]
    assert len(sources) >= 10
    for path in sources:
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert strings & (fields - {"valid"}) == set(), path.name


def test_a_period_is_labelled_by_its_start_in_plant_time() -> None:
    start = to_us(datetime.fromisoformat("2026-10-31T16:00:00+00:00"))
    assert NAMES.label(start, "Asia/Shanghai") == "2026-11-01 00:00:00"
    assert "the upload rules label a period by its start" in told(
        TEXT.replace('value = "start"', 'value = "end"')
    )


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d %H:%M", "%Y-%m-%d %I:%M", "%Q"])
def test_an_instant_that_loses_something_is_refused(form: str) -> None:
    assert "loses year, month, day, hour or minute" in told(TEXT.replace("%Y-%m-%d %H:%M:%S", form))


def test_a_code_is_composed_of_parts_and_the_carrier_fills_its_own() -> None:
    assert (
        NAMES.item_code(CODE, "electricity") == "01" + "00" + "0001" + "0000" + "01" + "3300" + "00"
    )
    assert NAMES.item_code(CODE | {"energy": "9901"}, None)[14:18] == "9901"


@pytest.mark.parametrize(
    ("change", "carrier", "sentence"),
    [
        ({"scope": "1"}, "electricity", "write 2 digits"),
        ({"scope": "１２"}, "electricity", "write 2 digits"),
        ({"colour": "1"}, "electricity", "look at colour"),
        ({}, None, "look at energy"),
        ({}, "alumina", "alumina has no code in the mapping"),
    ],
)
def test_a_code_that_does_not_fit_is_refused(
    change: dict[str, str], carrier: str | None, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        NAMES.item_code(CODE | change, carrier)


def test_amounts_are_told_in_the_units_of_the_mapping() -> None:
    assert NAMES.unit_of("MWh").amount(Fraction(3), "MWh") == 3000
    assert NAMES.unit_of("kgce").printed == "tce"
    assert NAMES.unit_of("kgce").amount(Fraction(1), "kgce") == Fraction(1, 1000)
    assert NAMES.unit_of("kWh/t").printed == "kWh/t"
    tens = nationalreport.parse(
        TEXT.replace(
            'ours = "kWh"\nscale = "1"\nprinted = "kWh"',
            'ours = "kWh"\nscale = "10000"\nprinted = "万kWh"',
        ),
        "m.toml",
    )
    assert tens.unit_of("MWh").amount(Fraction(30), "MWh") == 3
    assert tens.unit_of("MWh").printed == "万kWh"


def without(pattern: str) -> str:
    text, count = re.subn(pattern, "", TEXT, count=1, flags=re.MULTILINE)
    assert count == 1
    return text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (without(r"^validity = .*valid\".*$"), "lacks validity"),
        (without(r"^busy = .*$"), "lacks busy"),
        (TEXT.replace('"inputType"', '"statDate"'), "'statDate' stands for two things"),
        (TEXT.replace('value = "1001"', 'value = "0000"'), "'0000' stands for two things"),
        (TEXT.replace('ours = "m3"', 'ours = "t"'), "'t' is no unit of volume"),
        (TEXT.replace('mark = "from_memory"', 'mark = "sure"', 1), "mark"),
        (TEXT.replace('memory = "recoll', 'memories = "recoll'), "'memory' is no key of [source]"),
        (TEXT + '\n[operation.poll]\npath = { value = "/p", mark = "proposal", source = "ours" }\n'
         "request = {}\n", "is not known here"),
        (TEXT.replace("device = {", 'colour = { value = "c", mark = "proposal", source = "ours" }\n'
                      "device = {"), "colour is nothing that is sent"),
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_sent_by_is_refused_with_its_place(
    text: str, sentence: str
) -> None:
    assert text != TEXT
    found = told(text)
    assert sentence in found
    assert re.match(r"m\.toml:\d+: ", found)


def test_a_message_has_all_its_fields_and_no_other() -> None:
    message = NAMES.message("tables", {"enterprise": "E", "session": "s"})
    assert message == {"enterpriseCode": "E", "accessToken": "s"}
    with pytest.raises(AssertionError):
        NAMES.message("tables", {"enterprise": "E"})
