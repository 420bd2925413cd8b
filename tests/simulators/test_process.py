"""The demonstration plant meets its figures; wrong process files are told so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from core import output, periods, plant
from core.clock import to_us
from core.errors import Misconfigured
from simulators import process
from simulators.minutes import BEGIN_US, HOUR_US

PLANTS = Path(process.__file__).parent / "plants"
NOW_US = to_us(datetime(2026, 11, 21, 8, 0, tzinfo=UTC))
AC = "gh-al.potline-1.ac-import"


SHIPPED = ("gh_al", "qh_fa", "qh_ce")
REFERENCE = {"Si": 0.75, "Cr": 0.50}
"""Of a base tonne, GB 21341."""


@pytest.fixture(scope="module")
def demo() -> process.Process:
    return process.load(PLANTS / "gh_al.toml", 1)


@pytest.fixture(scope="module")
def shipped() -> dict[str, process.Process]:
    return {name: process.load(PLANTS / f"{name}.toml", 1) for name in SHIPPED}


def counted(played: process.Process, point_id: str, begin: int, end: int) -> float:
    """Return what a point's register says was used, in its unit, rollovers unwound by the hour."""
    point = played.plant.points[point_id]
    counts = 0
    for early, late in pairwise(range(begin, end + 1, HOUR_US)):
        rise = int(played.value(point_id, late)) - int(played.value(point_id, early))
        counts += rise % point.modulus if point.modulus else rise
    return counts * float(point.multipliers[-1][1])


def output_t(played: process.Process, unit: str, begin: int, end: int) -> float:
    """Return a unit's output, in base tonnes where its facts carry a grade that has a reference."""
    total = 0.0
    for fact in played.facts(begin, end):
        if fact.unit == unit and fact.stream is None:
            share = [float(text) / REFERENCE[name] for name, text in fact.grades.items()]
            total += float(fact.mass_t) * (share[0] if share else 1.0)
    return total


@pytest.mark.parametrize("name", [*SHIPPED, "steel", "plug"])
def test_every_plant_file_is_a_plant(name: str) -> None:
    path = PLANTS / f"{name}.toml"
    assert plant.parse(path.read_text("utf-8"), str(path)).points


@pytest.mark.parametrize("name", SHIPPED)
def test_every_point_of_the_demonstration_has_a_meter(
    shipped: dict[str, process.Process], name: str
) -> None:
    played = shipped[name]
    metered = [point for meter in played.meters for point in meter.points]
    assert sorted(metered) == sorted(played.plant.points) == sorted(played.points)


@pytest.mark.parametrize(
    ("name", "unit", "weights", "chosen"),
    [
        ("gh_al", "gh-al.potline-1", {"ac-import": 1.0}, 12_430),
        ("gh_al", "gh-al.potline-2", {"ac-import": 1.0}, 13_190),
        ("qh_fa", "qh-fa.furnace-1", {"smelting-import": 1.0}, 8_180),
        ("qh_fa", "qh-fa.furnace-1", {"semi-coke": 1.0}, 660),
        ("qh_fa", "qh-fa.furnace-2", {"smelting-import": 1.0}, 3_240),
        ("qh_fa", "qh-fa.furnace-2", {"coke": 1.0}, 400),
        ("qh_ce", "qh-ce.kiln-1", {"main-import": 1.0, "raw-mill-import": 1.0}, 55.5),
        ("qh_ce", "qh-ce.kiln-1", {"burner-coal": 1.0, "calciner-coal": 1.0}, 136),
        (
            "qh_ce",
            "qh-ce.kiln-1",
            {
                "main-import": 0.1229,
                "raw-mill-import": 0.1229,
                "burner-coal": 0.7143,
                "calciner-coal": 0.7143,
            },
            104,
        ),
    ],
)
def test_a_month_of_counts_over_output_gives_the_chosen_figure(
    shipped: dict[str, process.Process],
    name: str,
    unit: str,
    weights: dict[str, float],
    chosen: float,
) -> None:
    begin = NOW_US - 30 * 24 * HOUR_US
    used = sum(
        weight * counted(shipped[name], f"{unit}.{key}", begin, NOW_US)
        for key, weight in weights.items()
    )
    found = used / output_t(shipped[name], unit, begin, NOW_US)
    assert found == pytest.approx(chosen, rel=0.005)


def test_the_works_use_what_the_law_calls_their_comprehensive_energy(
    shipped: dict[str, process.Process],
) -> None:
    begin = NOW_US - 30 * 24 * HOUR_US
    played = shipped["qh_fa"]
    semi_coke, paste = 27_800 / 29_307.6, 30_500 / 29_307.6  # as measured in the plant file
    factors = {"smelting-import": 0.1229, "aux-import": 0.1229, "electrode-paste": paste}
    kgce_per_t = {}
    for unit, reductant in (
        ("qh-fa.furnace-1", {"semi-coke": semi_coke}),
        ("qh-fa.furnace-2", {"coke": 0.9714}),
    ):
        kgce = sum(
            factor * counted(played, f"{unit}.{key}", begin, NOW_US)
            for key, factor in (factors | reductant).items()
        )
        kgce_per_t[unit] = kgce / output_t(played, unit, begin, NOW_US)
    # Between levels 1 and 2 of GB 21341-2022, with room for the meters' uncertainty on both sides.
    assert 1_715 < kgce_per_t["qh-fa.furnace-1"] < 1_755
    assert 808 < kgce_per_t["qh-fa.furnace-2"] < 840


def test_the_register_rolls_over_within_a_month_and_stays_below_its_modulus(
    demo: process.Process,
) -> None:
    shown = [demo.value(AC, NOW_US - back * HOUR_US) for back in range(30 * 24)]
    assert all(isinstance(count, int) and 0 <= count < 10**8 for count in shown)
    assert sum(later < earlier for later, earlier in pairwise(shown)) > 0


@pytest.mark.parametrize("name", SHIPPED)
def test_a_step_of_a_quarter_hour_is_allowed_by_the_rated_power(
    shipped: dict[str, process.Process], name: str
) -> None:
    played = shipped[name]
    for point_id in played.points:
        point = played.plant.points[point_id]
        if point.rated_power_kw is None:
            continue
        for back in range(24 * 4):
            late = NOW_US - back * HOUR_US // 4
            counts = int(played.value(point_id, late) - played.value(point_id, late - HOUR_US // 4))
            rise = counts % point.modulus if point.modulus else counts
            kwh = rise * point.multipliers[-1][1]
            assert 0 <= kwh <= float(point.rated_power_kw) / 4


@pytest.mark.parametrize("name", SHIPPED)
def test_counters_of_two_plants_have_a_past_of_their_own(
    shipped: dict[str, process.Process], name: str
) -> None:
    played = shipped[name]
    shown = [played.value(point, NOW_US) for point in played.points]
    assert len(set(shown)) == len(shown)


def test_another_seed_is_another_plant(demo: process.Process) -> None:
    other = process.load(PLANTS / "gh_al.toml", 2)
    assert other.value(AC, NOW_US) != demo.value(AC, NOW_US)
    assert other.digest != demo.digest


@pytest.mark.parametrize("name", SHIPPED)
def test_facts_are_what_the_service_reads(shipped: dict[str, process.Process], name: str) -> None:
    facts = shipped[name].facts(NOW_US - 6 * HOUR_US, NOW_US)
    assert facts
    for fact in facts:
        read = output.parse(json.dumps(fact.item()).encode(), NOW_US)
        assert (read.id, read.at_us, read.unit) == (fact.id, fact.at_us, fact.unit)
        assert (read.kind, read.grades, read.stream) == (fact.kind, fact.grades, fact.stream)


def test_stock_is_taken_at_each_hour_of_the_plant(demo: process.Process) -> None:
    begin = to_us(datetime(2026, 10, 24, 16, 0, tzinfo=UTC))  # midnight in Asia/Shanghai
    end = begin + 49 * HOUR_US
    stocks = [fact for fact in demo.facts(begin, end) if fact.kind == "stock"]
    assert {fact.stream for fact in stocks} == {"metal_in_pots"}
    for unit in ("gh-al.potline-1", "gh-al.potline-2"):
        own = [fact for fact in stocks if fact.unit == unit]
        assert [fact.at_us for fact in own] == list(range(begin, end, HOUR_US))
        assert (own[0].id, own[31].id) == tuple(
            f"{unit}.s1.stock-{name}" for name in ("2026102500", "2026102607")
        )
    assert demo.facts(end, end + 1) != []
    assert [fact for fact in demo.facts(begin + 1, begin + HOUR_US) if fact.stream] == []


@pytest.mark.parametrize("kind", ["hour", "shift", "day", "month"])
def test_a_period_has_a_stock_at_either_bound(demo: process.Process, kind: str) -> None:
    zone = "Asia/Shanghai"
    for hour in range(5):
        now_us = to_us(datetime(2026, 12, 14, 16 + hour, 40, tzinfo=UTC))
        open_begin, _ = periods.period_at(periods.Period(kind), now_us, zone)
        begin, end = periods.period_at(periods.Period(kind), open_begin - 1, zone)
        taken = {
            fact.at_us
            for fact in demo.facts(begin, now_us)
            if fact.unit == "gh-al.potline-1" and fact.stream is not None
        }
        assert {begin, end} <= taken
        # And the open one has one in the last hour.
        assert now_us - max(taken) < HOUR_US


def test_stock_is_taken_only_when_every_pot_has_been_tapped(demo: process.Process) -> None:
    found = [fact.at_us for fact in demo.facts(BEGIN_US, BEGIN_US + 34 * HOUR_US) if fact.stream]
    assert sorted(set(found)) == [BEGIN_US + hour * HOUR_US for hour in (32, 33)]


def mistakes(folder: Path, name: str, text: str) -> tuple[str, int]:
    """Return what is said about a process file, and how many problems it is."""
    plant_file = folder / "p.toml"
    plant_file.write_text((PLANTS / f"{name}.toml").read_text("utf-8"), "utf-8")
    (folder / "p.process.toml").write_text(text, "utf-8")
    with pytest.raises(Misconfigured) as caught:
        process.load(plant_file, 1)
    return str(caught.value), len(caught.value.problems)


def test_all_mistakes_of_a_process_file_are_named_with_their_lines(tmp_path: Path) -> None:
    text, number = mistakes(
        tmp_path,
        "gh_al",
        """
[[potline]]
unit = "gh-al.potline-9"
ac_kwh_per_t = 12430.0
[potline.points]
"gh-al.potline-1.nothing" = "energy"
"gh-al.potline-1.line-current" = "energy"

[[meter]]
name = "m"
unit_id = 1
model = "acrel_adw300"
points = { "gh-al.potline-2.ac-import" = "import_active_energy" }
""",
    )
    assert number == 4
    assert "p.process.toml:3" in text
    assert "is no unit" in text
    assert "is no point" in text
    assert "must be a counter in kWh" in text
    assert "no machine has this point" in text


def test_a_mass_can_not_be_shown_by_an_energy_point_nor_by_another_machine(tmp_path: Path) -> None:
    kiln = """
[[kiln]]
unit = "qh-ce.kiln-1"
coal_kg_per_t = 136.0
electricity_kwh_per_t = 55.5
[kiln.points]
"qh-ce.kiln-1.main-import" = "burner_coal"
"""
    text, number = mistakes(tmp_path, "qh_ce", kiln + kiln)
    assert number == 3
    assert "must be a counter in kg" in text
    assert "has a machine above already" in text
    text, _ = mistakes(tmp_path, "qh_ce", kiln.replace('"burner_coal"', '"electrode_paste"'))
    assert "burner_coal" in text


def test_a_process_file_without_a_machine_is_told_so(tmp_path: Path) -> None:
    text, number = mistakes(tmp_path, "qh_ce", "")
    assert number == 1
    assert "[[kiln]]" in text


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="can not be read"):
        process.load(tmp_path / "none.toml", 1)
