"""The demonstration plant meets its figures; wrong process files are told so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from core import output, plant
from core.clock import to_us
from core.errors import Misconfigured
from simulators import process
from simulators.minutes import HOUR_US

PLANTS = Path(process.__file__).parent / "plants"
NOW_US = to_us(datetime(2026, 11, 21, 8, 0, tzinfo=UTC))
AC = "gh-al.potline-1.ac-import"


@pytest.fixture(scope="module")
def demo() -> process.Process:
    return process.load(PLANTS / "gh_al.toml", 1)


@pytest.mark.parametrize("name", ["gh_al", "steel", "plug"])
def test_every_plant_file_is_a_plant(name: str) -> None:
    path = PLANTS / f"{name}.toml"
    assert plant.parse(path.read_text("utf-8"), str(path)).points


def test_every_point_of_the_demonstration_has_a_meter(demo: process.Process) -> None:
    metered = {point for meter in demo.meters for point in meter.points}
    assert metered == set(demo.plant.points) == set(demo.points)


@pytest.mark.parametrize(
    ("unit", "chosen"), [("gh-al.potline-1", 12_430), ("gh-al.potline-2", 13_190)]
)
def test_counts_over_tapped_mass_give_the_chosen_figure(
    demo: process.Process, unit: str, chosen: float
) -> None:
    until = NOW_US
    begin = until - 30 * 24 * HOUR_US
    point = demo.plant.points[f"{unit}.ac-import"]
    assert point.modulus is not None
    energy_kwh = 0.0
    hours = range(begin, until + 1, HOUR_US)
    for early, late in pairwise(hours):
        counts = (demo.value(point.id, late) - demo.value(point.id, early)) % point.modulus
        energy_kwh += counts * float(point.multipliers[-1][1])
    mass = sum(float(f.mass_t) for f in demo.facts(begin, until) if f.unit == unit)
    assert energy_kwh / mass == pytest.approx(chosen, rel=0.005)


def test_the_register_rolls_over_within_a_month_and_stays_below_its_modulus(
    demo: process.Process,
) -> None:
    shown = [demo.value(AC, NOW_US - back * HOUR_US) for back in range(30 * 24)]
    assert all(isinstance(count, int) and 0 <= count < 10**8 for count in shown)
    assert sum(later < earlier for later, earlier in pairwise(shown)) > 0


def test_a_step_of_a_quarter_hour_is_allowed_by_the_rated_power(demo: process.Process) -> None:
    for point_id in demo.points:
        point = demo.plant.points[point_id]
        if point.rated_power_kw is None or point.modulus is None:
            continue
        counts = int(demo.value(point_id, NOW_US) - demo.value(point_id, NOW_US - HOUR_US // 4))
        kwh = counts % point.modulus * point.multipliers[-1][1]
        assert 0 < kwh <= float(point.rated_power_kw) / 4


def test_another_seed_is_another_plant(demo: process.Process) -> None:
    other = process.load(PLANTS / "gh_al.toml", 2)
    assert other.value(AC, NOW_US) != demo.value(AC, NOW_US)
    assert other.digest != demo.digest


def test_facts_are_what_the_service_reads(demo: process.Process) -> None:
    for fact in demo.facts(NOW_US - 6 * HOUR_US, NOW_US):
        read = output.parse(json.dumps(fact.item()).encode(), NOW_US)
        assert (read.id, read.at_us, read.unit) == (fact.id, fact.at_us, fact.unit)


def test_all_mistakes_of_a_process_file_are_named_with_their_lines(tmp_path: Path) -> None:
    plant_file = tmp_path / "p.toml"
    plant_file.write_text((PLANTS / "gh_al.toml").read_text("utf-8"), "utf-8")
    (tmp_path / "p.process.toml").write_text(
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
        "utf-8",
    )
    with pytest.raises(Misconfigured) as caught:
        process.load(plant_file, 1)
    text = str(caught.value)
    assert len(caught.value.problems) == 4
    assert "p.process.toml:3" in text
    assert "is no unit" in text
    assert "is no point" in text
    assert "must be a counter" in text
    assert "no potline has this point" in text


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="can not be read"):
        process.load(tmp_path / "none.toml", 1)
