"""Promises of estimates: the worked figures of the trade, what is not known, and no verdict."""

from __future__ import annotations

import ast
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import decimals, estimates, gaugemeans, limits, plant, verdicts
from core.batches import Holdup, Matched
from core.errors import Misconfigured
from core.estimates import Assumed, Cells, Estimate, Sense
from core.gaugemeans import Gauge
from core.periods import HOUR_US, MINUTE_US
from simulators.machine import PER_UNIT_US
from simulators.minutes import BEGIN_US
from simulators.potline import Potline, PotlineDesign, Signal

ROOT = Path(__file__).resolve().parents[2]
DAY_US = 24 * HOUR_US
WHOLE = Fraction(1)


def cells(
    volts: str | None = "3.95",
    kah: str | None = "2764800",
    efficiency: Assumed | None = None,
    **more: object,
) -> Cells:
    """Return a day of 288 pots at 400 kA: 2,764,800 kA h through all of them."""
    table: dict[str, object] = {
        "charge_kah": None if kah is None else Fraction(kah),
        "cell_v": None if volts is None else Fraction(volts),
        "charge_coverage": WHOLE,
        "voltage_coverage": WHOLE,
        "current_efficiency": efficiency or estimates.assumed("current_efficiency", None),
        "rectifier_efficiency": estimates.assumed("rectifier_efficiency", None),
    }
    return Cells(**table | more)  # type: ignore[arg-type]


def matched(
    energy: int = 11_130_000, made: str = "872.2", taps: int = 24, **more: object
) -> Matched:
    table: dict[str, object] = {
        "from_us": 0,
        "until_us": DAY_US,
        "covered_us": DAY_US,
        "energy": Fraction(energy),
        "estimated": Fraction(0),
        "made_t": Fraction(made),
        "taps": taps,
        "left_out": 0,
        "holdup": Holdup.MEASURED,
    }
    return Matched(**table | more)  # type: ignore[arg-type]


def by_id(found: list[Estimate]) -> dict[str, Estimate]:
    return {one.id: one for one in found}


@pytest.mark.parametrize(
    ("volts", "efficiency", "dc", "ac"),
    [
        ("3.95", "0.94", 12_521, 12_777),
        ("3.90", "0.94", 12_363, 12_615),
        ("4.05", "0.92", 13_117, 13_385),
    ],
)
def test_faraday_gives_the_worked_figures_of_the_trade(
    volts: str, efficiency: str, dc: int, ac: int
) -> None:
    """Domain 2.2, at a rectifier efficiency of 0.98."""
    share = Fraction(efficiency)
    assert round(estimates.dc_kwh_per_t(Fraction(volts), share)) == dc
    assert round(estimates.ac_kwh_per_t(Fraction(volts), share, Fraction("0.98"))) == ac
    declared = estimates.assumed("current_efficiency", share)
    found = by_id(estimates.faraday(cells(volts, efficiency=declared)))
    shown = [found[name].amount for name in ("al.faraday.dc", "al.faraday.ac")]
    assert [round(one) for one in shown if one is not None] == [dc, ac]


@pytest.mark.parametrize(("efficiency", "volts"), [("0.94", "3.942"), ("0.92", "3.858")])
def test_the_seed_s_12750_needs_the_voltage_that_the_trade_says(
    efficiency: str, volts: str
) -> None:
    """Domain 2.2: the target is met at no more than this mean voltage."""
    a_volt = estimates.ac_kwh_per_t(Fraction(1), Fraction(efficiency), Fraction("0.98"))
    assert round(12_750 / a_volt, 3) == Fraction(volts)


@pytest.mark.parametrize("seed", range(3))
def test_a_simulated_potline_s_day_is_told_within_a_half_percent_of_its_truth(seed: int) -> None:
    """A reading a minute of current and voltage, anode effects and drift among them."""
    design = PotlineDesign()
    line = Potline(seed, design)
    begin, end = BEGIN_US + 40 * DAY_US, BEGIN_US + 41 * DAY_US
    ts_us = np.arange(begin, end + 1, MINUTE_US)
    shown = {
        signal: np.array([line.shown(signal, at_us) for at_us in ts_us.tolist()])
        for signal in (Signal.LINE_CURRENT, Signal.LINE_VOLTAGE)
    }
    current = Gauge(ts_us, shown[Signal.LINE_CURRENT] * design.pots, HOUR_US)
    voltage = Gauge(ts_us, shown[Signal.LINE_VOLTAGE] / design.pots, HOUR_US)
    means = gaugemeans.sums(current, voltage, np.array([begin, end])).over(0, 1)
    found = by_id(
        estimates.faraday(cells(None, None, charge_kah=means.charge, cell_v=means.voltage))
    )
    metal, energy = line.produced_t(begin, end), line.counted(Signal.ENERGY, end)
    energy_kwh = (energy - line.counted(Signal.ENERGY, begin)) / PER_UNIT_US
    amounts = {name: float(one.amount or 0) for name, one in found.items()}
    assert amounts["al.faraday.metal"] == pytest.approx(metal, rel=0.005)
    assert amounts["al.faraday.ac"] == pytest.approx(energy_kwh / metal, rel=0.005)


def test_metal_is_what_the_charge_makes() -> None:
    """Domain 3.4: 3.03 t a pot and day at 400 kA, 3.79 at 500, both at 0.94."""
    for line_ka, tonnes in ((400, "3.03"), (500, "3.79")):
        made = estimates.metal_t(Fraction(line_ka * 24), Fraction("0.94"))
        assert round(made, 2) == Fraction(tonnes)
    metal = by_id(estimates.faraday(cells()))["al.faraday.metal"]
    assert metal.amount == Fraction("0.3356") / 1000 * 2_764_800 * Fraction("0.94")


def test_what_was_assumed_is_said_and_whether_the_plant_declared_it() -> None:
    found = by_id(estimates.faraday(cells()))
    assert [one.item() for one in found["al.faraday.ac"].assumed] == [
        {"name": "current_efficiency", "value": "0.94", "declared": False},
        {"name": "rectifier_efficiency", "value": "0.98", "declared": False},
    ]
    declared = estimates.assumed("current_efficiency", Fraction("0.925"))
    item = estimates.faraday(cells(efficiency=declared))[1].item()
    assert item["assumed"] == [{"name": "current_efficiency", "value": "0.925", "declared": True}]
    assert (item["mark"], item["sense"]) == ("estimate", "about")
    assert item["uncertainty"] is None
    assert item["uncertainty_lacks"] == ["cell-voltage", "current_efficiency"]


def test_a_plant_declares_its_pots_and_efficiencies_with_dates_and_none_of_zero() -> None:
    head = """
[site.s]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.s.unit.line]
name = { zh = "系列", en = "Line" }
kind = "potline"
"""
    row = '{{ from = 2026-0{}-01T00:00:00Z, value = "{}" }}'
    pots = f"pots = [{row.format(1, 288)}, {row.format(2, '286.5')}]\n"
    unit = plant.parse(f"{head}{pots}", "plant.toml").units["s.line"]
    assert [value for _, value in unit.values["pots"]] == [288, Fraction("286.5")]
    for wrong in (
        f"current_efficiency = [{row.format(1, 0)}]\n",
        f"rectifier_efficiency = [{row.format(1, 98)}]\n",
        f"pots = [{row.format(2, 288)}, {row.format(1, 288)}]\n",
        f"pots = [{row.format(1, 0)}]\n",
    ):
        with pytest.raises(Misconfigured):
            plant.parse(f"{head}{wrong}", "plant.toml")


def test_unknown_inputs_leave_an_estimate_unknown_and_named() -> None:
    lacking = ("line_current", "pots")
    found = by_id(estimates.faraday(cells(None, None, lacking=lacking)))
    assert {one.amount for one in found.values()} == {None}
    assert found["al.faraday.metal"].missing == lacking
    assert found["al.faraday.dc"].missing == ("pots",)
    quiet = by_id(estimates.faraday(cells(None, None)))
    assert {one.missing for one in quiet.values()} == {("readings",)}
    assert {one.lacks for one in quiet.values()} == {()}


@given(
    st.fractions(Fraction(35, 10), Fraction(45, 10), max_denominator=10**6),
    st.fractions(Fraction(86, 100), Fraction(96, 100), max_denominator=10**6),
    st.integers(10**6, 10**7),
)
def test_current_efficiency_is_found_again_from_metal_and_charge_and_from_metal_and_energy(
    volts: Fraction, efficiency: Fraction, kah: int
) -> None:
    made = estimates.metal_t(Fraction(kah), efficiency)
    per_t = estimates.ac_kwh_per_t(volts, efficiency, Fraction("0.98"))
    batch = replace(matched(), energy=made * per_t, made_t=made)
    asked = cells(None, str(kah), cell_v=volts)
    for one in estimates.current_efficiency(asked, batch, (("e", None), ("w", None)), WHOLE):
        assert one.amount == 100 * efficiency
        assert one.flags == ()


@pytest.mark.parametrize(
    ("made", "flags"),
    [("788", ("implausible",)), ("789", ()), ("900", ()), ("901", ("implausible",))],
)
def test_a_current_efficiency_outside_85_to_97_percent_is_a_fault_of_the_data_first(
    made: str, flags: tuple[str, ...]
) -> None:
    """At full efficiency the day's charge makes 927.87 t."""
    doubts = (("energy", None), ("weighing", None))
    by_charge, by_energy = estimates.current_efficiency(
        cells(), matched(11_135_000, made), doubts, WHOLE
    )
    assert by_charge.amount == 100 * Fraction(made) / Fraction("927.86688")
    assert by_charge.flags == flags
    assert (by_charge.inputs["least"], by_charge.inputs["most"]) == ("85", "97")
    assert by_energy.amount is not None
    assert bool(by_energy.flags) == (not 85 <= by_energy.amount <= 97)


def test_charge_and_metal_of_different_times_give_no_efficiency() -> None:
    doubts = (("e", Fraction(0)), ("w", Fraction(0)))
    thin = cells(charge_coverage=Fraction(98, 100))
    by_charge, by_energy = estimates.current_efficiency(thin, matched(), doubts, WHOLE)
    assert (by_charge.amount, by_charge.missing) == (None, ("readings",))
    assert by_energy.amount is not None
    holed, _ = estimates.current_efficiency(
        cells(), matched(left_out=1, covered_us=DAY_US - HOUR_US), doubts, WHOLE
    )
    assert (holed.amount, holed.missing) == (None, ("taps",))
    none = matched(0, "0", taps=0, covered_us=0)
    assert [
        one.missing for one in estimates.current_efficiency(cells(), none, doubts, Fraction(0))
    ] == [("taps",), ("taps",)]


def test_uncertainty_is_the_root_of_squares_of_what_is_known() -> None:
    doubts = (("energy", Fraction(3, 1000)), ("weighing", Fraction(4, 1000)))
    found = estimates.intensity_of(
        "batch_matched", "kWh/t", matched(8_000_000, "1000"), doubts, WHOLE, furnace=True
    )
    assert [found.amount, found.doubt, found.lacks] == [8_000, 80, ()]
    unsaid = estimates.intensity_of(
        "batch_matched",
        "kWh/t",
        matched(8_000_000, "1000"),
        (*doubts, ("accuracy of x", None)),
        WHOLE,
        furnace=True,
    )
    assert (unsaid.doubt, unsaid.lacks) == (None, ("accuracy of x",))


def test_energy_booked_across_gaps_widens_the_uncertainty_by_a_tenth_of_it() -> None:
    found = estimates.intensity_of(
        "batch_matched",
        "kWh/t",
        matched(8_000_000, "1000", estimated=Fraction(800_000)),
        (("energy", Fraction(0)),),
        WHOLE,
        furnace=True,
    )
    assert found.doubt == Fraction(8_000) / 50
    assert found.inputs["estimated"] == "800000"


def test_metal_that_a_furnace_may_hold_back_widens_the_uncertainty_less_with_more_taps() -> None:
    """One to three taps' metal at either end: 2 x sqrt(2/3) taps of all."""
    found = [
        estimates.intensity_of(
            "tap_to_tap",
            "kWh/t",
            matched(8_000_000, "1000", taps, holdup=Holdup.UNKNOWN),
            (("energy", Fraction(0)),),
            WHOLE,
            furnace=True,
        ).doubt
        for taps in (8, 11, 330)
    ]
    shares = [round(one / 8_000 * 100, 2) for one in found if one is not None]
    assert shares == [Fraction("20.41"), Fraction("14.85"), Fraction("0.49")]
    potline = estimates.intensity_of(
        "batch_matched",
        "kWh/t",
        matched(holdup=Holdup.UNKNOWN),
        (("energy", Fraction(0)),),
        WHOLE,
        furnace=False,
    )
    assert (potline.doubt, potline.lacks) == (None, ("holdup",))


@pytest.mark.parametrize(("energy", "flags"), [(6_999, ("implausible",)), (7_000, ()), (9_000, ())])
def test_ferrosilicon_below_7000_kwh_a_base_tonne_is_a_fault_of_the_data(
    energy: int, flags: tuple[str, ...]
) -> None:
    found = estimates.intensity_of(
        "tap_to_tap",
        "kWh/t",
        matched(energy, "1"),
        (),
        WHOLE,
        furnace=True,
        least=estimates.LEAST_FERROSILICON_KWH_PER_T,
    )
    assert found.flags == flags
    assert found.inputs["least"] == "7000"


def test_too_few_taps_are_no_figure() -> None:
    found = estimates.intensity_of("tap_to_tap", "kWh/t", None, (), WHOLE, furnace=True)
    assert [found.amount, found.missing, found.coverage] == [None, ("taps",), 0]


def test_energy_bounds_the_output_that_it_can_have_made() -> None:
    most = estimates.output_at_most("x", Fraction(640_000), Fraction(7_000), WHOLE)
    assert most.amount == Fraction(640, 7)
    assert most.sense is Sense.AT_MOST
    assert (most.doubt, most.lacks) == (None, ("least_per_t",))
    unknown = estimates.output_at_most("x", None, Fraction(7_000), Fraction(0))
    assert (unknown.amount, unknown.missing, unknown.lacks) == (None, ("energy",), ())


@pytest.mark.parametrize(
    ("kgce_per_t", "heat", "flags"),
    [("107", "3135.9132", ()), ("94", "2754.9144", ()), ("92", "2696.2992", ("implausible",))],
)
def test_heat_of_clinker_is_its_coal_equivalent_and_below_2700_kj_a_kilogram_a_fault(
    kgce_per_t: str, heat: str, flags: tuple[str, ...]
) -> None:
    """Domain 2.5: 94 kgce/t is 2,755 kJ/kg, below real kilns, yet not below what burns clinker."""
    found, most = estimates.clinker_heat(
        Fraction(kgce_per_t) * 5_000, Fraction(5_000), WHOLE, Fraction(1, 100)
    )
    assert found.amount == Fraction(heat)
    assert found.flags == flags
    assert found.doubt == Fraction(heat) / 100
    assert most.amount == Fraction(heat) * 5_000 / 2_700
    assert (most.amount < 5_000) == bool(flags)


def test_heat_without_fuel_or_clinker_is_unknown_and_its_uncertainty_said_to_lack() -> None:
    no_clinker, most = estimates.clinker_heat(Fraction(10), None, WHOLE, None)
    assert (no_clinker.amount, no_clinker.missing) == (None, ("clinker",))
    assert most.amount is not None
    no_fuel, none = estimates.clinker_heat(None, Fraction(10), Fraction(0), None)
    assert (no_fuel.missing, none.missing) == (("fuel",), ("energy",))
    said, _ = estimates.clinker_heat(Fraction(1_000), Fraction(10), WHOLE, None)
    assert (said.doubt, said.lacks) == (None, ("accuracy",))


def test_an_estimate_cannot_be_judged_by_mistake() -> None:
    """The type checker refuses it (the ignore below is needed), and so does the running program."""
    estimate = estimates.faraday(cells())[2]
    limit = limits.of_indicator("al.liquid.ac")[0]
    with pytest.raises((AttributeError, TypeError)):
        verdicts.judge(estimate, limit, applies=True)  # type: ignore[arg-type]
    judged = {"value", "uncertainty", "completeness"}
    assert judged.isdisjoint(Estimate.__dataclass_fields__)
    assert "verdict" not in estimate.item()


def test_no_result_alert_or_verdict_rests_on_an_estimate() -> None:
    """Only the routes of estimates reach them, and they know neither limits nor verdicts."""
    users: dict[str, set[str]] = {}
    for package in ("core", "store", "ingest", "api", "deploy"):
        for path in sorted((ROOT / package).rglob("*.py")):
            users[path.relative_to(ROOT).as_posix()] = {
                f"{node.module}.{name.name}"
                for node in ast.walk(ast.parse(path.read_text("utf-8")))
                if isinstance(node, ast.ImportFrom)
                for name in node.names
            }
    found = {path for path, names in users.items() if names & {"core.estimates", "store.estimates"}}
    assert found == {"store/estimates.py", "store/batches.py", "api/routers/estimates.py"}
    for module in ("core/estimates.py", "core/batches.py", "store/batches.py"):
        assert users[module].isdisjoint({"core.limits", "core.verdicts", "store.results"})


def test_an_accuracy_in_percent_is_a_relative_doubt() -> None:
    assert estimates.percent_doubt("a", Fraction("0.5")) == ("a", Fraction(5, 1000))
    assert estimates.percent_doubt("a", None) == ("a", None)
    assert decimals.show(estimates.HOLDUP_TAPS) == "0.816497"
