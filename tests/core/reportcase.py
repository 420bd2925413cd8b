"""A plant and its national.toml for the tests of reporting."""

from __future__ import annotations

from core import plant as plants

PLANT = plants.parse(
    """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"
[site.gh-al.unit.potline-1]
name = { zh = "电解一系列", en = "Potline 1" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
[site.gh-al.unit.potline-1.point.ac-import]
kind = "counter"
carrier = "electricity"
unit = "MWh"
accuracy_percent = "0.35"
verified_until = 2027-06-30
[site.gh-al.unit.potline-1.point.ac-export]
kind = "counter"
carrier = "electricity"
unit = "kWh"
sign = -1
[site.gh-al.unit.potline-1.point.gas]
kind = "counter"
carrier = "natural_gas"
unit = "m3"
[site.gh-al.unit.potline-1.point.volts]
kind = "gauge"
unit = "V"
[site.qh-fa]
name = { zh = "铁合金厂", en = "Ferroalloy" }
jurisdiction = "cn-qh"
[site.qh-fa.unit.f-1]
name = { zh = "电炉", en = "Furnace" }
kind = "submerged_arc_furnace"
[site.qh-fa.unit.f-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
""",
    "plant.toml",
)
ENTERPRISE = "91630000MA7000000X"
HEAD = f"""
site = "gh-al"
enterprise = "{ENTERPRISE}"
device = "dh-01"
since = 2026-10-01
"""
CODE = (
    'code = { scope = "01", process = "00", unit = "0001", equipment = "0000",'
    ' collection = "01", use = "00" }\n'
)
ELECTRICITY = f"""
[[item]]
name = "electricity"
periods = ["slot", "day", "month"]
points = ["gh-al.potline-1.ac-import", "gh-al.potline-1.ac-export"]
{CODE}"""
GAS = f"""
[[item]]
name = "gas"
periods = ["day"]
points = ["gh-al.potline-1.gas"]
{CODE}"""
OUTPUT = """
[[item]]
name = "aluminium"
periods = ["day", "month"]
figures = [{ unit = "gh-al.potline-1", indicator = "al.liquid.ac" }]
what = "output"
[item.code]
scope = "01"
process = "00"
unit = "0001"
equipment = "0000"
collection = "02"
energy = "9901"
use = "00"
"""
METER = """
[[meter]]
name = "总进线"
point = "gh-al.potline-1.ac-import"
model = "ADW300"
serial = "2026-0001"
"""
TEXT = HEAD + ELECTRICITY + GAS + OUTPUT + METER
