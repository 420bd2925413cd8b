"""A plant file: what it says, all that is wrong with it, and what a change of it touches."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import periods, plant
from core.errors import Misconfigured
from core.plant import EVER, Plant, PointKind

if TYPE_CHECKING:
    from collections.abc import Callable

PLANT = """\
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
altitude_m = 2400
jurisdiction = "cn-qh"

[site.gh-al.agent.gw-01]

[site.gh-al.unit.potline-1]
name = { zh = "电解一系列", en = "Potline 1" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]

[site.gh-al.unit.potline-1.point.ac-import]
kind = "counter"
carrier = "electricity"
unit = "kWh"
modulus = 1_0000_0000
rated_power_kw = 600_000
multiplier = [{ from = 2026-01-01T00:00:00Z, value = "660" }]
accuracy_percent = "0.35"
exchange = [{ at = 2026-05-03T02:10:00Z, closing = 500550, opening = 600000 }]

[site.gh-al.unit.potline-1.point.line-voltage]
kind = "gauge"
unit = "V"

[site.gh-al.unit.potline-1.point.heating]
kind = "gauge"
carrier = "electricity"
unit = "MW"
role = "auxiliary"
sign = -1
"""


def read(text: str = PLANT) -> Plant:
    return plant.parse(text, "plant.toml", frozenset({"al.liquid.ac"}))


def mistakes(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        read(text)
    return str(caught.value).split("\n")


def test_a_point_says_how_its_register_is_to_be_read() -> None:
    point = read().points["gh-al.potline-1.ac-import"]
    assert (point.site, point.unit, point.kind) == ("gh-al", "gh-al.potline-1", PointKind.COUNTER)
    assert point.modulus == 10**8
    assert point.rated_power_kw == 600_000
    assert point.multipliers == ((periods.parse_instant("2026-01-01T00:00:00Z"), Fraction(660)),)
    assert point.accuracy_percent == Decimal("0.35")
    assert point.exchanges[0].opening == 600_000
    assert point.max_gap_us == 1_800_000_000


def test_a_gauge_without_carrier_gives_no_energy_and_one_of_a_rate_gives_its_integral() -> None:
    found = read().points
    assert found["gh-al.potline-1.line-voltage"].energy_unit is None
    heating = found["gh-al.potline-1.heating"]
    assert (heating.energy_unit, heating.sign, heating.role) == ("MWh", -1, "auxiliary")


def test_sites_agents_and_units_are_there_by_their_ids() -> None:
    found = read()
    assert found.sites["gh-al"].timezone == "Asia/Shanghai"
    assert found.agents["gh-al", "gw-01"].key is None
    assert found.units["gh-al.potline-1"].indicators == ("al.liquid.ac",)
    assert [point.id.rpartition(".")[2] for point in found.points_of("gh-al.potline-1")] == [
        "ac-import",
        "heating",
        "line-voltage",
    ]


def test_every_mistake_of_a_file_is_told_with_its_line_and_key() -> None:
    text = (
        PLANT.replace('jurisdiction = "cn-qh"', 'jurisdiction = "China"\ntimezone = "Mars/Base"')
        .replace('indicators = ["al.liquid.ac"]', 'indicators = ["al.liquid.dc"]\nparent = "hall"')
        .replace('value = "660"', "value = 0.5")
        .replace('unit = "MW"', 'unit = "MWh"')
        .replace("modulus =", "modulos =")
    )
    found = mistakes(text)
    assert [line.split(": ")[:2] for line in sorted(found)] == [
        ["plant.toml:13", "site.gh-al.unit.potline-1.indicators"],
        ["plant.toml:14", "site.gh-al.unit.potline-1.parent"],
        ["plant.toml:20", "site.gh-al.unit.potline-1.point.ac-import.modulos"],
        ["plant.toml:22", "site.gh-al.unit.potline-1.point.ac-import.multiplier.0.value"],
        ["plant.toml:30", "site.gh-al.unit.potline-1.point.heating"],
        ["plant.toml:4", "site.gh-al.jurisdiction"],
        ["plant.toml:5", "site.gh-al.timezone"],
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('value = "660"', "value = 0.5", "write the number as a string such as"),
        ('value = "660"', 'value = "6,6"', "not a plain decimal number: '6,6'"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "write a time with an offset"),
        ("2026-01-01T00:00:00Z", "0001-01-01T00:00:00+08:00", "outside the years 1 to 9999"),
        ('kind = "counter"', 'kind = "interval"', "interval_s belongs to kind"),
        ('kind = "counter"', 'kind = "meter"', "'counter', 'gauge' or 'interval'"),
        ('unit = "kWh"', 'unit = "kW"', "unit 'kW' is not one of Wh, kWh, MWh"),
        ("sign = -1", "sign = 2", "Input should be 1 or -1"),
        ('unit = "V"', 'unit = "V"\nmodulus = 5', "modulus belongs to kind"),
        ("closing = 500550", "closing = -1", "greater than or equal to 0"),
        ("closing = 500550", "closing = 9000000000000", "less than or equal to 4000000000000"),
        ("[site.gh-al.agent.gw-01]", "[site.gh-al.agent.GW]", "String should match pattern"),
        ("[site.gh-al.agent.gw-01]", '[site.gh-al.agent.g]\nkey = "x"', "should match pattern"),
        (
            'value = "660" }',
            'value = "6" }, { from = 2025-01-01T00:00:00Z, value = "7" }',
            "sorted",
        ),
        ('role = "auxiliary"', 'parent = "main"', "'main' is no other point of the unit"),
        ('role = "auxiliary"', 'parent = "heating"', "'heating' is no other point of the unit"),
        ('product = "aluminium_liquid"', 'parent = "potline-1"', "is no other unit of the site"),
    ],
)
def test_a_mistake_says_what_is_wrong_and_what_to_do(old: str, new: str, told: str) -> None:
    assert PLANT.count(old) == 1
    (found,) = mistakes(PLANT.replace(old, new))
    assert told in found
    assert found.startswith("plant.toml:")


def test_units_may_not_be_their_own_forefathers_nor_points_sub_meters_of_sub_meters() -> None:
    unit = '[site.gh-al.unit.{}]\nname = {{ zh = "x", en = "x" }}\nkind = "pot"\nparent = "{}"\n'
    circle = unit.format("a", "b") + unit.format("b", "a") + unit.format("c", "a")
    found = mistakes(PLANT + circle)
    assert len(found) == 3
    assert all("parents may not go in a circle" in line for line in found)

    points = PLANT.replace('unit = "V"', 'unit = "V"\nparent = "ac-import"')
    assert read(points).points["gh-al.potline-1.line-voltage"].parent == "gh-al.potline-1.ac-import"
    (line,) = mistakes(points.replace("sign = -1", 'parent = "line-voltage"'))
    assert "'line-voltage' is itself a sub-meter" in line


def test_an_unknown_indicator_is_told_with_where_to_look() -> None:
    (line,) = mistakes(PLANT.replace("al.liquid.ac", "al.solid"))
    assert line == (
        "plant.toml:12: site.gh-al.unit.potline-1.indicators: unknown indicator 'al.solid': "
        "`danhao limits list` names those there are"
    )
    assert plant.parse(PLANT.replace("al.liquid.ac", "al.solid"), "p.toml").units


def test_what_the_store_keeps_rebuilds_the_same_plant() -> None:
    found = read()
    kept = json.loads(json.dumps({"gh-al": found.to_json("gh-al")}))
    assert plant.from_json(kept) == found
    assert plant.from_json({}) == Plant()


DECIMALS = st.decimals("0.0000000001", "999999999", places=10).map(lambda found: f"{found:f}")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.datetimes(), DECIMALS), max_size=3, unique_by=lambda pair: pair[0]),
    st.none() | DECIMALS,
    st.none() | st.integers(1, 2**53),
    st.sampled_from(["Wh", "kWh", "GJ"]),
)
def test_any_declaration_survives_the_store(
    multipliers: list[tuple[Any, str]], rated: str | None, modulus: int | None, unit: str
) -> None:
    table: dict[str, Any] = {"kind": "counter", "carrier": "electricity", "unit": unit}
    table["multiplier"] = [
        {"from": f"{at.isoformat()}Z", "value": value} for at, value in sorted(multipliers)
    ]
    table |= {"rated_power_kw": rated, "modulus": modulus}
    name = {"zh": "名", "en": "name"}
    unit_table = {"name": name, "kind": "kiln", "point": {"p": table}}
    built = plant.from_json({"s": {"name": name, "jurisdiction": "cn", "unit": {"u": unit_table}}})

    again = plant.from_json(json.loads(json.dumps({"s": built.to_json("s")})))

    assert again == built
    assert plant.difference(built, again) == []
    assert plant.touched(built, again) == {}


def test_a_difference_names_each_key_that_comes_goes_or_changes() -> None:
    after = read(
        PLANT.replace("altitude_m = 2400\n", "")
        .replace('role = "auxiliary"\n', "max_gap_s = 60\n")
        .replace('value = "660"', 'value = "661"')
    )
    assert plant.difference(read(), after) == [
        "- site.gh-al.altitude_m = 2400",
        (
            "~ site.gh-al.unit.potline-1.point.ac-import.multiplier = "
            '[{"from": "2026-01-01T00:00:00Z", "value": "660"}] -> '
            '[{"from": "2026-01-01T00:00:00Z", "value": "661"}]'
        ),
        "+ site.gh-al.unit.potline-1.point.heating.max_gap_s = 60",
        '- site.gh-al.unit.potline-1.point.heating.role = "auxiliary"',
    ]
    assert plant.difference(read(), read()) == []
    assert plant.difference(Plant(), read())[0].startswith("+ site.gh-al.")


def _changed(change: Callable[[plant.Point], plant.Point]) -> dict[str, tuple[int, int]]:
    before = read()
    point = change(before.points["gh-al.potline-1.ac-import"])
    return plant.touched(before, replace(before, points={**before.points, point.id: point}))


def test_a_multiplier_added_later_touches_nothing_before_its_instant() -> None:
    since = periods.parse_instant("2026-07-01T00:00:00Z")
    found = _changed(
        lambda point: replace(point, multipliers=(*point.multipliers, (since, Fraction(2))))
    )
    assert found == {"gh-al.potline-1.ac-import": (since, EVER[1])}


@pytest.mark.parametrize(
    "change",
    [
        lambda point: replace(point, exchanges=()),
        lambda point: replace(point, modulus=None),
        lambda point: replace(point, multipliers=()),
        lambda point: replace(point, rated_power_kw=Decimal(1)),
        lambda point: replace(point, max_gap_us=1),
    ],
)
def test_any_other_change_of_how_energy_is_computed_touches_all_of_the_past(
    change: Callable[[plant.Point], plant.Point],
) -> None:
    assert _changed(change) == {"gh-al.potline-1.ac-import": EVER}


def test_names_signs_and_roles_touch_no_energy_and_new_points_have_no_past() -> None:
    assert _changed(lambda point: replace(point, sign=-1, role="auxiliary")) == {}
    assert plant.touched(Plant(), read()) == {}


@settings(max_examples=60)
@given(st.integers(0, PLANT.count("\n") - 1), st.text(max_size=12), st.integers(0, 40))
def test_a_plant_file_spoilt_anywhere_is_read_or_is_a_misconfiguration(
    row: int, junk: str, column: int
) -> None:
    rows = PLANT.split("\n")
    rows[row] = rows[row][:column] + junk + rows[row][column + 1 :]
    try:
        read("\n".join(rows))
    except Misconfigured as error:
        assert error.problems  # noqa: PT017 - either outcome is right


VALUES = """
[site.s]
name = { zh = "厂", en = "Works" }
altitude_m = 2261
jurisdiction = "cn-qh"
ambient_pressure_pa = [{ from = 2026-01-01T00:00:00Z, value = "77500" }]
[site.s.unit.u]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
sampling_accuracy_percent = "0.4"
ore_grade = [
    { from = 2026-01-01T00:00:00Z, value = "0.98" },
    { from = 2026-02-01T00:00:00Z, value = "0.37" },
]
cr_fe_ratio = [{ from = 2026-01-01T00:00:00Z, value = "2.4" }]
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
meter_class = "0.2S"
ct_class = "0.2S"
vt_class = "0.2"
"""


def test_values_that_move_limits_are_dated_and_exact() -> None:
    read = plant.parse(VALUES, "plant.toml")
    january, february = (periods.parse_instant(f"2026-0{month}-01T00:00:00Z") for month in (1, 2))
    assert read.sites["s"].values == {"ambient_pressure_pa": ((january, Fraction(77500)),)}
    assert read.units["s.u"].values == {
        "ore_grade": ((january, Fraction(98, 100)), (february, Fraction(37, 100))),
        "cr_fe_ratio": ((january, Fraction(24, 10)),),
    }
    assert plant.from_json({"s": read.to_json("s")}) == read


def test_classes_of_meter_and_transformers_make_the_accuracy_of_a_point() -> None:
    point = plant.parse(VALUES, "plant.toml").points["s.u.ac"]
    assert point.accuracy_percent is not None
    assert round(point.accuracy_percent, 2) == Decimal("0.35")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (('value = "0.37"', 'value = "37"'), 'a fraction: write "0.37" for 37 %'),
        (("2026-02-01", "2025-02-01"), "ore_grade entries must be sorted by `from`"),
        (('value = "77500"', 'value = "775"'), "greater than or equal to 30000"),
        (('meter_class = "0.2S"', 'meter_class = "0.3"'), "no accuracy class is called so: 0.1"),
        (('meter_class = "0.2S"\n', ""), "add its meter_class"),
        (('vt_class = "0.2"', 'accuracy_percent = "0.2"'), "keep one of them"),
        (('value = "2.4"', 'value = "0"'), "greater than 0"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(wrong: tuple[str, str], says: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        plant.parse(VALUES.replace(*wrong), "plant.toml")
    (problem,) = caught.value.problems
    assert says in str(problem)
    assert str(problem).startswith("plant.toml:")
