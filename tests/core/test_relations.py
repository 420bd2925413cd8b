"""What a plant file says about carriers is held against the catalogue of carriers."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from core import plant
from core.clock import to_us
from core.errors import Misconfigured

PLANT = """\
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
[site.s.unit.kiln-1]
name = { zh = "窑", en = "Kiln" }
kind = "kiln"
[site.s.unit.kiln-1.point.coal]
kind = "counter"
carrier = "raw_coal"
unit = "kg"
heating_value = [{ from = 2026-01-01T00:00:00Z, value = "23000" }, { from = 2026-02-01T00:00:00Z, value = "22500.5" }]
"""  # noqa: E501 - a row of a table


def mistakes(old: str, new: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        plant.parse(PLANT.replace(old, new), "plant.toml")
    return str(caught.value)


def test_measured_heating_values_are_dated_exact_and_survive_the_store() -> None:
    declared = plant.parse(PLANT, "plant.toml")
    expected = (
        (to_us(datetime(2026, 1, 1, tzinfo=UTC)), Fraction(23000)),
        (to_us(datetime(2026, 2, 1, tzinfo=UTC)), Fraction("22500.5")),
    )
    assert declared.points["s.kiln-1.coal"].heating_values == expected
    again = plant.from_json({"s": declared.to_json("s")})
    assert again.points == declared.points


def test_a_changed_heating_value_touches_no_slot_for_it_is_no_reading() -> None:
    before = plant.parse(PLANT, "plant.toml")
    after = plant.parse(PLANT.replace('"23000"', '"23100"'), "plant.toml")
    assert plant.touched(before, after) == {}
    assert before.points != after.points


WAYS = {"clinker.electricity": frozenset({"feed", "survey"}), "other": frozenset[str]()}


def chosen(keys: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        plant.parse(PLANT.replace('kind = "kiln"', f'kind = "kiln"\n{keys}'), "plant.toml", WAYS)
    return str(caught.value)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (
            'indicators = ["clinker.electricity"]\noutput_by = "pots"',
            "plant.toml:8: site.s.unit.kiln-1.output_by: 'pots' is no way",
        ),
        ('indicators = ["other"]\noutput_by = "feed"', "they offer no choice"),
        ('accounts = { coal = "use" }', "accounts.coal: unknown carrier 'coal'"),
        ('accounts = { dust = "use" }', "accounts.dust: dust is no energy"),
        ('accounts = { raw_coal = "use" }', "raw_coal is also metered by coal: count it once"),
        ('accounts = { coke = "guess" }', "accounts.coke"),
    ],
)
def test_how_output_and_fuel_are_counted_is_held_against_what_there_is(
    keys: str, says: str
) -> None:
    assert says in chosen(keys)


def test_a_unit_may_choose_how_its_output_is_known_and_count_fuel_by_facts() -> None:
    keys = 'indicators = ["clinker.electricity"]\noutput_by = "feed"\n'
    text = PLANT.replace('kind = "kiln"', f'kind = "kiln"\n{keys}accounts = {{ coke = "balance" }}')
    declared = plant.parse(text, "plant.toml", WAYS)
    unit = declared.units["s.kiln-1"]
    assert (unit.output_by, unit.accounts) == ("feed", {"coke": "balance"})
    assert plant.from_json({"s": declared.to_json("s")}).units == declared.units


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"raw_coal"', '"coal"', "plant.toml:9: site.s.unit.kiln-1.point.coal.carrier: unknown"),
        ('unit = "kg"', 'unit = "kWh"', "coal.unit: raw_coal is metered as mass, not in kWh"),
        ('"counter"', '"gauge"', "unit 'kg' is not one of"),
        ('carrier = "raw_coal"\n', "", "coal.heating_value: a heating value belongs to a carrier"),
        ('"raw_coal"', '"electricity"', "coal.heating_value: electricity is metered as energy"),
        ("heating_value", "rated_power_kw = 5\nheating_value", "coal.rated_power_kw: raw_coal"),
        ("2026-01-01", "2026-03-01", "heating_value entries must be sorted by `from`"),
        ('"23000"', '"0"', "heating_value"),
    ],
)
def test_a_carrier_that_does_not_fit_is_told_with_line_and_key(
    old: str, new: str, says: str
) -> None:
    assert says in mistakes(old, new)
