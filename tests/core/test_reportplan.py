"""A plant's national.toml: what it may name, and every mistake at once."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from core import nationalreport, reportplan
from core.clock import to_us
from core.errors import Misconfigured
from core.periods import Period
from core.reportplan import What
from tests.core.reportcase import (
    CODE,
    ELECTRICITY,
    ENTERPRISE,
    GAS,
    HEAD,
    METER,
    OUTPUT,
    PLANT,
    TEXT,
)

NAMES = nationalreport.shipped()


def read(text: str) -> reportplan.Report:
    return reportplan.parse(text, "national.toml", PLANT, NAMES)


def told(text: str) -> str:
    with pytest.raises(Misconfigured) as wrong:
        read(text)
    return str(wrong.value)


def test_a_file_becomes_items_with_codes_units_and_signs() -> None:
    report = read(TEXT)
    assert (report.site, report.enterprise, report.timezone) == (
        "gh-al",
        ENTERPRISE,
        "Asia/Shanghai",
    )
    assert report.since_us == to_us(datetime.fromisoformat("2026-10-01T00:00:00+08:00"))
    power, gas, output = report.items
    assert power.points == (("gh-al.potline-1.ac-import", 1), ("gh-al.potline-1.ac-export", -1))
    assert (power.unit, power.told.printed, power.code[14:18]) == ("MWh", "kWh", "3300")
    assert (gas.told.printed, gas.code[14:18]) == ("m3", "1500")
    assert (output.what, output.unit, output.told.printed) == (What.OUTPUT, "t", "t")
    assert report.of(Period.SLOT) == (power,)
    assert report.of(Period.MONTH) == (power, output)


def test_a_meter_brings_what_the_plant_declares_of_it() -> None:
    (meter,) = read(TEXT).meters
    assert (meter.accuracy, meter.verified_until) == ("0.35", date(2027, 6, 30))
    row = reportplan.meters_row(meter)
    assert row["verified_until"] == "2027-06-30"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TEXT.replace('"gh-al"', '"nowhere"', 1), "no site 'nowhere' is declared"),
        (TEXT.replace(ENTERPRISE, ENTERPRISE[:-1]), "enterprise"),
        (TEXT.replace(ENTERPRISE, ENTERPRISE[:-1] + "O"), "enterprise"),
        (HEAD + ELECTRICITY.replace("potline-1.ac-import", "potline-1.nothing"), "no point"),
        (HEAD + ELECTRICITY.replace("gh-al.potline-1.ac-import", "qh-fa.f-1.ac"), "no point"),
        (HEAD + ELECTRICITY.replace("ac-import", "volts"), "gives no energy"),
        (HEAD + ELECTRICITY.replace("ac-import", "gas"), "mixes carriers"),
        (HEAD + ELECTRICITY.replace("ac-import", "ac-export"), "counted twice"),
        (HEAD + ELECTRICITY.replace('"day"', '"slot"'), "names a period twice"),
        (HEAD + ELECTRICITY.replace('"day"', '"hour"'), "hour"),
        (HEAD + GAS + 'what = "output"\n', "belongs to `figures`"),
        (HEAD + OUTPUT.replace('what = "output"', ""), "lacks `what`"),
        (HEAD + OUTPUT.replace('["day"', '["slot"'), "no figure of a unit has slots"),
        (HEAD + OUTPUT.replace("al.liquid.ac", "fesi.comprehensive"), "does not have"),
        (HEAD + OUTPUT.replace("gh-al.potline-1", "qh-fa.f-1"), "no unit"),
        (HEAD + OUTPUT.replace('energy = "9901"', ""), "look at energy"),
        (HEAD + "[[item]]\nname = 'x'\nperiods = ['day']\n" + CODE, "either `points` or `figures`"),
        (HEAD + GAS + GAS.replace('"gas"', '"again"', 1), "is the code of 2 items for one day"),
        (TEXT + METER, "2 meters have the number"),
        (HEAD + GAS + METER.replace("ac-import", "nothing"), "no point"),
        (HEAD, "item"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, sentence: str) -> None:
    found = told(text)
    assert sentence in found
    assert "national.toml:" in found


def test_all_mistakes_are_told_at_once() -> None:
    text = HEAD + ELECTRICITY.replace("ac-import", "volts") + OUTPUT.replace("al.liquid.ac", "x")
    assert len(told(text).splitlines()) == 2
