"""Carriers: factors are exact, dated and sourced; what is not known is None, never zero."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from core import carriers, units
from core.carriers import Basis, Mark
from core.clock import to_us
from core.errors import Misconfigured, Rejected

NOW = to_us(datetime(2026, 10, 1, tzinfo=UTC))

FILE = """
[carrier.peat]
name = { zh = "泥炭", en = "Peat" }
quantity = "mass"
factor = [
    { from = 2020-01-01T00:00:00+08:00, basis = "calorific", value = "0.5", unit = "kgce/kg", mark = "derived", source = "test" },
    { from = 2025-01-01T00:00:00+08:00, basis = "calorific", value = "400", unit = "kgce/t", mark = "derived", source = "test" },
]
"""  # noqa: E501 - a row of a table


@pytest.mark.parametrize(
    ("carrier", "value", "unit", "mark"),
    [
        ("electricity", "0.1229", "kWh", Mark.VERIFIED),
        ("raw_coal", "0.7143", "kg", Mark.FROM_MEMORY),
        ("coke", "0.9714", "kg", Mark.FROM_MEMORY),
    ],
)
def test_a_default_factor_is_exact_and_says_how_well_it_was_read(
    carrier: str, value: str, unit: str, mark: Mark
) -> None:
    found = carriers.factor(carrier, NOW)
    assert found is not None
    assert (found.kgce_per_unit, found.unit, found.mark) == (Fraction(value), unit, mark)


@pytest.mark.parametrize("carrier", ["semi_coke", "electrode_paste", "natural_gas", "peat"])
def test_a_carrier_without_a_default_has_no_factor_rather_than_a_guess(carrier: str) -> None:
    assert carriers.factor(carrier, NOW) is None


def test_there_is_no_primary_value_of_electricity_until_one_is_loaded() -> None:
    assert carriers.factor("electricity", NOW, Basis.PRIMARY) is None


def test_a_factor_holds_from_its_day_on_and_before_the_first_there_is_none() -> None:
    peat = carriers.parse(FILE, "mine.toml")["peat"].factors[Basis.CALORIFIC]
    change = to_us(datetime(2024, 12, 31, 16, tzinfo=UTC))
    last, first = carriers.in_force(peat, change - 1), carriers.in_force(peat, change)
    assert last is not None
    assert first is not None
    assert last.coal_equivalent(Fraction(2), "t") == 1000
    assert first.coal_equivalent(Fraction(2), "t") == 800
    assert carriers.in_force(peat, peat[0].since_us - 1) is None


def test_a_measured_heating_value_is_divided_by_that_of_a_kilogram_of_coal_equivalent() -> None:
    coke = carriers.measured("semi_coke", 0, Fraction("29307.6"))
    assert (coke.kgce_per_unit, coke.unit, coke.mark) == (Fraction(1), "kg", Mark.DECLARED)
    assert carriers.measured("natural_gas", 0, Fraction(38_980)).unit == "m3"
    with pytest.raises(ValueError, match="no heating value"):
        carriers.measured("electricity", 0, Fraction(3600))


def test_every_shipped_factor_is_per_unit_of_its_carrier_s_quantity_and_has_a_source() -> None:
    for carrier in carriers.catalogue().values():
        for factors in carrier.factors.values():
            for factor in factors:
                assert units.AMOUNTS[factor.unit].quantity == carrier.quantity, carrier.id
                assert factor.source
        assert carrier.note or any(carrier.factors.values()) or not carrier.is_energy, carrier.id


def test_the_factor_of_heat_is_that_of_the_definition_to_four_digits() -> None:
    heat = carriers.factor("thermal_energy", NOW)
    assert heat is not None
    assert float(heat.coal_equivalent(Fraction(1), "GJ")) == pytest.approx(34.12, rel=1e-4)


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        (('"kgce/kg"', '"kgce/kWh"'), 5, "not kgce per unit of mass"),
        (('"kgce/kg"', '"kg/kgce"'), 5, "kgce"),
        (("2020-01-01", "2026-01-01"), 5, "sorted by `from`"),
        (('"0.5"', "0.5"), 5, "as a string"),
        ((', source = "test" },\n]', " },\n]"), 5, "source: is required"),
        (('quantity = "mass"', 'quantity = "weight"'), 4, "quantity"),
    ],
)
def test_a_wrong_row_is_named_with_file_line_and_key(
    wrong: tuple[str, str], line: int, says: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        carriers.parse(FILE.replace(*wrong, 1), "mine.toml")
    message = str(caught.value)
    assert message.startswith(f"mine.toml:{line}: carrier.peat")
    assert says in message


def test_an_unknown_carrier_names_those_there_are() -> None:
    with pytest.raises(Rejected, match="raw_coal"):
        carriers.find("coal")


@pytest.mark.parametrize(
    ("carrier", "unit", "rate", "says"),
    [
        ("raw_coal", "kWh", False, "use kg, t"),
        ("raw_coal", "kW", True, "use kg/h, t/h"),
        ("electricity", "kg", False, "metered as energy"),
        ("natural_gas", "t", False, "use m3"),
        ("coal", "t", False, "unknown carrier 'coal'"),
    ],
)
def test_a_carrier_is_metered_in_its_own_quantity(
    carrier: str, unit: str, *, rate: bool, says: str
) -> None:
    assert says in (carriers.misfit(carrier, unit, rate=rate) or "")


@pytest.mark.parametrize(
    ("carrier", "unit", "rate"),
    [("raw_coal", "kg", False), ("raw_coal", "t/h", True), ("electricity", "MW", True)],
)
def test_a_carrier_in_its_own_quantity_is_well(carrier: str, unit: str, *, rate: bool) -> None:
    assert carriers.misfit(carrier, unit, rate=rate) is None
