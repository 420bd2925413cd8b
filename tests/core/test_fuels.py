"""Fuel by facts: heating values of the day, accounts of receipts, stock and use."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import carriers, flags, fuels
from core.carriers import KJ_PER_KGCE, Basis
from core.clock import to_us
from core.facts import Scope
from core.fuels import Account
from tests.core.factbook import answers, fact
from tests.core.worked import END, MIDDLE, START, ZONE, Meter, figure, stock

if TYPE_CHECKING:
    from core.output import OutputFact

SCOPE = Scope("s.u", "clinker", to_us(START), to_us(END), ZONE)
CLINKER = fact(MIDDLE, "weighing", "1000")
POWER = Meter("electricity", "kWh", "0")
FIRST = START + timedelta(hours=5)  # of 1 October in the plant
KJ = str(KJ_PER_KGCE.numerator / KJ_PER_KGCE.denominator)  # one kgce a kilogram


def sample(at: datetime, kind: str, tonnes: str, kj: str | None = None) -> OutputFact:
    grades = {} if kj is None else {"lhv_kj_per_kg": kj}
    return fact(at, kind, tonnes, "raw_coal", **grades)


def kgce(carrier: str, account: Account, *booked: OutputFact) -> tuple[Fraction | None, list[str]]:
    asked = fuels.account_questions(carrier, account, SCOPE)
    told = answers(asked, list(booked))
    found = fuels.used(carrier, account, SCOPE, Basis.CALORIFIC, told)
    return found.value, flags.words(found.flags)


def test_a_balance_is_converted_at_the_mean_heating_value_of_what_was_received() -> None:
    value, said = kgce(
        "raw_coal",
        Account.BALANCE,
        stock(START, "100", "raw_coal"),
        stock(END, "50", "raw_coal"),
        sample(FIRST, "receipt", "300", "29307.6"),
        sample(MIDDLE, "receipt", "100", "14653.8"),
    )
    # 450 t at (300 * 1 + 100 * 0.5) / 400 kgce/kg.
    assert (value, said) == (450_000 * Fraction(7, 8), [])


def test_samples_of_what_came_in_and_of_what_was_fired_are_not_mixed() -> None:
    booked = [
        stock(START, "100", "raw_coal"),
        stock(END, "50", "raw_coal"),
        sample(FIRST, "receipt", "300", "29307.6"),
        sample(FIRST, "charge", "350", "14653.8"),
    ]
    assert kgce("raw_coal", Account.BALANCE, *booked)[0] == 350_000
    assert kgce("raw_coal", Account.CHARGE, *booked)[0] == 175_000


def test_what_was_charged_is_converted_at_the_mean_of_each_day() -> None:
    value, _ = kgce(
        "raw_coal",
        Account.CHARGE,
        sample(FIRST, "charge", "100", "29307.6"),
        sample(FIRST + timedelta(hours=2), "charge", "300", "14653.8"),
        sample(FIRST + timedelta(hours=4), "charge", "400"),  # at the mean of its day, 0.625
        sample(MIDDLE, "charge", "10"),  # a day without a sample: the default
    )
    assert value == 100_000 + 150_000 + 250_000 + 10_000 * Fraction("0.7143")


@pytest.mark.parametrize("account", list(Account))
def test_without_facts_an_account_is_unknown(account: Account) -> None:
    value, said = kgce("raw_coal", account)
    assert value is None
    assert said == [("stock_not_taken" if account is Account.BALANCE else "facts_missing")]


def test_a_fuel_without_default_and_without_a_sample_is_unknown() -> None:
    for account, booked in (
        (Account.USE, [fact(FIRST, "use", "10", "anthracite")]),
        (Account.BALANCE, [stock(START, "20", "anthracite"), stock(END, "10", "anthracite")]),
    ):
        value, said = kgce("anthracite", account, *booked)
        assert (value, said) == (None, ["factor_unknown"])


def test_electricity_by_its_bill_is_converted_at_its_own_factor() -> None:
    value, _ = kgce("electricity", Account.USE, fact(FIRST, "use", "5", "electricity", "MWh"))
    assert value == 5000 * Fraction("0.1229")


def test_gas_is_sampled_per_cubic_metre() -> None:
    gas = fact(FIRST, "use", "1000", "natural_gas", "m3", lhv_kj_per_m3="29307.6")
    value, said = kgce("natural_gas", Account.USE, gas)
    assert value == 1000
    assert not said


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 40_000)), min_size=1, max_size=6))
def test_the_mean_of_a_day_is_weighted_by_mass(samples: list[tuple[int, int]]) -> None:
    booked = [
        fact(FIRST + timedelta(minutes=n), "charge", str(tonnes), "raw_coal", lhv_kj_per_kg=str(kj))
        for n, (tonnes, kj) in enumerate(samples)
    ]
    told = answers([fuels.heating_question("raw_coal", SCOPE)], booked)
    ((begin, end, mean),) = fuels.measured("raw_coal", SCOPE, told).days
    assert begin <= to_us(FIRST) < end
    assert mean == Fraction(sum(t * k for t, k in samples), sum(t for t, _ in samples))


def test_a_metered_fuel_takes_the_day_s_sample_then_the_declared_value_then_the_default() -> None:
    coal = Meter(
        "raw_coal",
        "kg",
        "3100",  # 100 kg a day
        more='heating_value = [{ from = 2026-10-16T00:00:00+08:00, value = "58615.2" }]',
    )
    day = sample(FIRST, "charge", "1", "29307.6")
    later = sample(END - timedelta(hours=1), "charge", "1", "29307.6")
    found, inputs = figure("clinker.comprehensive", [POWER, coal], [CLINKER, day, later])
    # The 1st and the 31st at 1, 14 days at the default, 15 days at the declared 2 kgce/kg.
    assert found.energy == 200 + 1400 * Fraction("0.7143") + 1500 * 2
    told = inputs["points"]["s.u.m-1"]["factors"]
    assert [step["source"].split(" lower")[0] for step in told] == [
        "daily mass-weighted mean",
        "GB/T 2589-2020 annex A, 20,934 kJ/kg (domain notes 2.1)",
        "measured",
        "daily mass-weighted mean",
    ]


def test_a_day_s_sample_counts_in_each_of_its_hours() -> None:
    hour = (START + timedelta(hours=20), START + timedelta(hours=21))
    coal = Meter("raw_coal", "kg", "100")
    booked = [
        fact(hour[0], "weighing", "1"),
        sample(START, "charge", "1", "29307.6"),
        sample(START - timedelta(hours=1), "charge", "1", "14653.8"),
    ]
    found, _ = figure("clinker.comprehensive", [POWER, coal], booked, bounds=hour)
    assert found.energy == 100


def test_an_account_stands_in_for_the_meter_that_an_indicator_requires() -> None:
    booked = [CLINKER, sample(FIRST, "charge", "140", KJ)]
    found, inputs = figure(
        "clinker.comprehensive", [POWER], booked, 'accounts = { raw_coal = "charge" }'
    )
    assert found.value == 140
    assert inputs["accounts"]["raw_coal"]["kgce"] == "140000"
    assert "uncertainty_undeclared" in flags.words(found.flags)
    declared, _ = figure(
        "clinker.comprehensive",
        [replace(POWER, amount="310000", more='accuracy_percent = "0.3"')],
        booked,
        'accounts = { raw_coal = "charge" }\noutput_accuracy_percent = "0.4"\n'
        'input_accuracy_percent = "0.5"',
    )
    assert "uncertainty_undeclared" not in flags.words(declared.flags)
    # U by hand: coal and power by their shares, and the scale of the clinker.
    power = 310_000 * 0.1229
    parts = (140_000 * 0.5 / (140_000 + power), power * 0.3 / (140_000 + power), 0.4)
    assert declared.uncertainty is not None
    by_hand = 2 * math.hypot(*parts) / 100 * (140 + power / 1000)
    assert float(declared.uncertainty) == pytest.approx(by_hand, rel=1e-9)
    bare, _ = figure("clinker.comprehensive", [POWER], booked)
    assert (bare.value, "carrier_unmetered" in flags.words(bare.flags)) == (None, True)


def test_a_fuel_s_primary_value_is_its_calorific_one() -> None:
    at_us = to_us(datetime(2026, 1, 1, tzinfo=UTC))
    for carrier in carriers.catalogue().values():
        both = [carriers.factor(carrier.id, at_us, basis) for basis in Basis]
        if carrier.sort is carriers.Sort.FUEL:
            assert both[0] == both[1]
        else:
            assert both[1] is None


def test_a_factor_that_has_ended_is_unknown_not_stretched() -> None:
    last = to_us(datetime(2017, 12, 31, 15, 59, tzinfo=UTC))
    found = carriers.factor("electricity", last, Basis.PRIMARY)
    assert found is not None
    assert found.kgce_per_unit == Fraction("0.404")
    assert carriers.factor("electricity", last + 60_000_000, Basis.PRIMARY) is None
    assert found.until_us in carriers.changes("electricity", Basis.PRIMARY)
