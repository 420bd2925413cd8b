"""A bad data file is refused with every mistake at once, each with its file, line and key.

One file of each kind: limits, indicators, carriers and a plant; what is expected is all that is
said, so a mistake that hides another one is found here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core import carriers, indicators, limits, plant
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = """\
[limit."no-source"]
indicator = "al.liquid.ac"
name = { zh = "甲", en = "x" }
value = "12750"
cmp = "<="
unit = "kWh/t"
force = "target"
scheme = "mine"
jurisdiction = "cn-qh"
valid_from = 2017-01-01
clause = "1"

[limit."wrong-unit"]
indicator = "fesi.comprehensive"
name = { zh = "乙", en = "y" }
value = 1700
cmp = "at most"
unit = "kWh/t"
force = "mandatory"
level = 4
scheme = "mine"
jurisdiction = "cn"
valid_from = 2024-01-01
valid_to = 2024-01-01
source = "GB 0"
clause = "1"

[limit."older"]
indicator = "fesi.smelting"
name = { zh = "丙", en = "z" }
value = "8400"
cmp = "<="
unit = "kWh/t"
force = "mandatory"
level = 3
scheme = "mine"
jurisdiction = "cn"
valid_from = 2020-01-01
valid_to = 2026-01-02
source = "GB 1"
clause = "1"

[limit."newer"]
indicator = "fesi.smelting"
name = { zh = "丁", en = "w" }
value = "8300"
cmp = "<="
unit = "kWh/t"
force = "mandatory"
level = 3
scheme = "mine"
jurisdiction = "cn"
valid_from = 2026-01-01
source = "GB 2"
clause = "1"

[limit."seed"]
indicator = "al.solid"
name = { zh = "戊", en = "v" }
value = "1"
cmp = "<="
unit = "kWh/t"
force = "target"
scheme = "other"
jurisdiction = "cn-qh"
valid_from = 2017-01-01
source = "seeds/000.txt"
clause = "1"
"""
OF_LIMITS = {
    (1, "limit.no-source.source"): "is required",
    (16, "limit.wrong-unit.value"): "as a string",
    (17, "limit.wrong-unit.cmp"): "'<='",
    (18, "limit.wrong-unit.unit"): "the indicator's unit is kgce/t, not kWh/t",
    (20, "limit.wrong-unit.level"): "1, 2 or 3",
    (24, "limit.wrong-unit.valid_to"): "must be a later one",
    (53, "limit.newer.valid_from"): "'older' (limits.toml:28) limits the same",
    (58, "limit.seed.indicator"): "unknown indicator 'al.solid'",
    (67, "limit.seed.source"): "add its words",
}

INDICATORS = """\
[indicator."a"]
name = { zh = "甲", en = "a" }
unit = "kWh/t"
energy_unit = "kWh"
carriers = ["electricity", "phlogiston"]
requires = [["electricity"], ["coke"]]
output = ["tapping"]
product = "aluminium_liquid"
boundary = { zh = "界", en = "boundary" }
formula = "x"

[indicator."b"]
name = { zh = "乙", en = "b" }
unit = "kgce/t"
energy_unit = "kWh"
carriers = ["raw_coal"]
output = ["tapping", "guess"]
product = "clinker"
source = "GB 0"
boundary = { zh = "界", en = "boundary" }
formula = "x"

[indicator."c"]
name = { zh = "丙", en = "c" }
unit = "kWh/t"
energy_unit = "kWh"
carriers = ["electricity", "coke"]
output = ["tapping"]
base_grade = { grade = "Si", reference = "0" }
product = "ferrosilicon"
source = "GB 0"
boundary = { zh = "界", en = "boundary" }
formula = "x"

[indicator."d"]
name = { zh = "丁", en = "d" }
unit = 7
energy_unit = "kWh"
carriers = ["raw_coal"]
denominator = [
    { function = "sum", kinds = ["melt"] },
    { function = "stock_change", kinds = ["use"], tolerance_h = "a day" },
    { function = "graded", stream = "electricity", kinds = ["use"] },
]
product = "aluminium_liquid"
source = "GB 0"
boundary = { zh = "界", en = "boundary" }
formula = "x"
"""
OF_INDICATORS = {
    (1, "indicator.a.source"): "is required",
    (17, "indicator.b.output.1"): "'tapping'",
    (29, "indicator.c.base_grade.reference"): "greater than 0",
    (5, "indicator.a.carriers"): "unknown carrier 'phlogiston': known are",
    (6, "indicator.a.requires"): "coke is not among the carriers",
    (14, "indicator.b.unit"): "kWh over t is not kgce/t",
    (16, "indicator.b.carriers"): "raw_coal is metered as mass, not in kWh",
    (27, "indicator.c.carriers"): "coke is metered as mass, not in kWh",
    (37, "indicator.d.unit"): "valid string",
    (40, "indicator.d.denominator.0.kinds.0"): "'tapping'",
    (40, "indicator.d.denominator.1.tolerance_h"): "valid integer",
    (40, "indicator.d.denominator.1"): "stock_change knows its kinds",
    (40, "indicator.d.denominator.2"): "a grade belongs to graded",
    (40, "indicator.d.denominator.2 "): "electricity is metered as energy, not in t",
    (39, "indicator.d.carriers"): "raw_coal is metered as mass, not in kWh",
}
CARRIERS = """\
[carrier.a]
name = { zh = "甲", en = "a" }
quantity = "mass"

[[carrier.a.factor]]
from = 2020-01-01T00:00:00+08:00
basis = "calorific"
value = "0.9"
unit = "kgce/kWh"
mark = "verified"
source = "GB 0"

[[carrier.a.factor]]
from = 2019-01-01T00:00:00+08:00
basis = "calorific"
value = "0.8"
unit = "kgce/kg"
mark = "verified"
source = "GB 0"

[carrier.b]
name = { zh = "乙", en = "b" }
quantity = "mass"
sort = "emission"

[[carrier.b.factor]]
from = 2020-01-01T00:00:00+08:00
until = 2019-01-01T00:00:00+08:00
basis = "calorific"
value = "1"
unit = "kgce/kg"
mark = "verified"
source = "GB 0"

[carrier.c]
name = { zh = "丙", en = "c", de = "c" }
quantity = "volume"

[[carrier.c.factor]]
from = 2020-01-01T00:00:00+08:00
until = 2019-01-01T00:00:00+08:00
basis = "primary"
value = 1
unit = "kgce/kWh"
mark = "verified"
"""
OF_CARRIERS = {
    (1, "carrier.a.factor"): "kgce/kWh is not kgce per unit of mass",
    (1, "carrier.a.factor "): "must be sorted by `from`",
    (21, "carrier.b.factor"): "`until` must be later than `from`",
    (21, "carrier.b.factor "): "what is emission has no coal equivalent",
    (36, "carrier.c.name.de"): "'zh' or 'en'",
    (43, "carrier.c.factor.0.value"): "as a string",
    (39, "carrier.c.factor.0.source"): "is required",
    (35, "carrier.c.factor"): "kgce/kWh is not kgce per unit of volume",
    (35, "carrier.c.factor "): "`until` must be later than `from`",
    (35, "carrier.c.factor  "): "a fuel's primary factor is its calorific one",
}

PLANT = """\
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
timezone = "Asia/Xining"

[site.s.unit.u]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
indicators = ["fesi.smelting", "fesi.melting"]
ore_grade = [{ from = 2026-01-01T00:00:00+08:00, value = "98" }]

[site.s.unit.u.point.a]
kind = "counter"
carrier = "phlogiston"
unit = "kWh"

[site.s.unit.u.point.b]
kind = "counter"
carrier = "raw_coal"
unit = "kWh"

[site.s.unit.u.point.c]
kind = "gauge"
carrier = "electricity"
unit = "kWh"
modulus = 1000

[site.s.unit.u.point.d]
kind = "counter"
carrier = "electricity"
unit = "kWh"
multiplier = [{ from = 2026-01-01T00:00:00Z, value = 660.5 }]
"""
OF_PLANT = {
    (4, "site.s.timezone"): "no time zone is called 'Asia/Xining'",
    (9, "site.s.unit.u.indicators"): "'fesi.melting'",
    (10, "site.s.unit.u.ore_grade.0.value"): 'write "0.37" for 37 %',
    (14, "site.s.unit.u.point.a.carrier"): "unknown carrier 'phlogiston': known are",
    (20, "site.s.unit.u.point.b.unit"): "raw_coal is metered as mass, not in kWh",
    (22, "site.s.unit.u.point.c"): "modulus belongs to kind",
    (32, "site.s.unit.u.point.d.multiplier.0.value"): "as a string",
}


def of_plant(text: str, name: str) -> object:
    return plant.parse(text, name, frozenset(indicators.catalogue()))


def refused(parse: Callable[[str, str], object], text: str, name: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        parse(text, name)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("parse", "name", "text", "expected"),
    [
        (limits.parse, "limits.toml", LIMITS, OF_LIMITS),
        (indicators.parse, "indicators.toml", INDICATORS, OF_INDICATORS),
        (carriers.parse, "carriers.toml", CARRIERS, OF_CARRIERS),
        (of_plant, "plant.toml", PLANT, OF_PLANT),
    ],
    ids=["limits", "indicators", "carriers", "plant"],
)
def test_every_mistake_of_a_file_is_told_at_once_with_its_line(
    parse: Callable[[str, str], object],
    name: str,
    text: str,
    expected: dict[tuple[int, str], str],
) -> None:
    said = refused(parse, text, name)
    left = list(said)
    for (line, key), words in expected.items():
        place = f"{name}:{line}: {key.strip()}: "
        found = [one for one in left if one.startswith(place) and words in one]
        assert found, (place, words, said)
        left.remove(found[0])
    assert left == []
