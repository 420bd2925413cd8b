"""A plan of size is the product of what is declared and of what was measured, and nothing else."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import sizing, wire
from core.errors import Misconfigured
from core.reading import Reading
from core.sizing import Load

LOAD = Load(points=1200, interval_s=Decimal(10), figures=40, agents=6, keep_days=400)
loads = st.builds(
    Load,
    points=st.integers(1, 100_000),
    interval_s=st.decimals("0.1", "3600", places=1),
    figures=st.integers(0, 1000),
    agents=st.integers(1, 1000),
    keep_days=st.none() | st.integers(1, 4000),
    pack_after_days=st.integers(1, 400),
)


def test_a_plant_worked_out_by_hand() -> None:
    plan = sizing.plan(LOAD, years=3)
    assert plan.readings_per_s == 120
    assert plan.readings_year == 120 * 86_400 * 365 == 3_784_320_000
    assert plan.plain_year == 3_784_320_000 * 92
    assert plan.packed_year == 3_784_320_000 * Decimal("8.1")
    assert plan.slots_year == 1200 * 35_040 * 124
    assert plan.figures_year == 40 * (8760 + 1095 + 365 + 12 + 1) * 1463
    a_day = 120 * 86_400
    stays = 3 * (plan.slots_year + plan.figures_year)
    assert plan.plain == 400 * a_day * 92 + stays
    assert plan.packed == a_day * (8 * 92 + 392 * Fraction("8.1")) + stays
    assert plan.outbox_per_agent == a_day * 30 * 14 / 6
    assert plan.network_per_s == 120 * 32
    assert plan.cores == Decimal("0.0024")


@given(loads, st.integers(1, 30))
def test_packing_and_dropping_never_take_more_room(load: Load, years: int) -> None:
    plan = sizing.plan(load, years)
    assert plan.slots_year + plan.figures_year < plan.packed <= plan.plain
    for_ever = sizing.plan(
        Load(points=load.points, interval_s=load.interval_s, figures=load.figures), years
    )
    assert plan.plain <= for_ever.plain
    parts = for_ever.plain_year + for_ever.slots_year + for_ever.figures_year
    assert for_ever.plain == years * parts


@given(loads, st.integers(2, 9))
def test_so_many_times_the_points_take_so_many_times_the_room(load: Load, times: int) -> None:
    one = sizing.plan(load)
    many = sizing.plan(
        Load(
            points=load.points * times,
            interval_s=load.interval_s,
            figures=load.figures * times,
            agents=load.agents,
            keep_days=load.keep_days,
            pack_after_days=load.pack_after_days,
        )
    )
    for name in ("plain", "packed", "log_day", "network_per_s", "outbox_per_agent", "cores"):
        assert getattr(many, name) == times * getattr(one, name)


def test_every_mistake_of_a_load_is_told_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        Load(points=0, interval_s=Decimal(0), figures=-1, agents=0, keep_days=0, pack_after_days=0)
    assert [problem.where for problem in caught.value.problems] == [
        "--points",
        "--every",
        "--agents",
        "--keep-days",
        "--pack-after-days",
        "--figures",
    ]
    with pytest.raises(Misconfigured, match="--years"):
        sizing.plan(LOAD, years=0)


def test_every_size_says_how_it_was_found() -> None:
    assert set(sizing.catalogue()) == sizing.NAMES
    for size in sizing.catalogue().values():
        assert size.source.startswith(("measured: ", "docs/")), size.id
        assert set(size.name) == {"zh", "en"}


def test_mistakes_of_a_sizes_file_are_told_with_their_place() -> None:
    row = 'value = "1"\nunit = "B"\nname = { zh = "甲", en = "a" }\nsource = "measured: so"\n'
    text = "".join(f"[size.{name}]\n{row}" for name in sorted(sizing.NAMES - {"slot"}))
    with pytest.raises(Misconfigured) as caught:
        sizing.parse(f"[size.gold]\n{row}{text}", "s.toml")
    told = [str(problem) for problem in caught.value.problems]
    assert any("size.gold" in line and "is no size" in line for line in told)
    assert "s.toml: has no [size.slot]: add it" in told
    with pytest.raises(Misconfigured, match="value"):
        sizing.parse("[size.slot]\n" + row.replace('"1"', "1"), "s.toml")


@pytest.mark.parametrize("points", [100, 500])
def test_a_reading_on_the_wire_is_as_large_as_planned(points: int) -> None:
    dice = random.Random(1)  # noqa: S311 - a test's dice
    base_us = 1_764_000_000_000_000
    rows = [
        Reading(
            f"gh-al.potline-1.p-{number}",
            base_us + dice.randrange(5000),
            1_000_000 + dice.randrange(10**6) if number % 2 else round(dice.gauss(400, 5), 2),
        )
        for number in range(points)
    ]
    payload = wire.encode(
        rows,
        agent="gw-01",
        epoch="3f1c9a7e",
        sequence=12_345,
        oldest=1,
        sent_us=base_us,
        sign=lambda _: b"0" * 64,
        key="ed25519:" + "A" * 44,
    )
    planned = float(sizing.catalogue()["reading_wire"].value)
    assert len(payload) / points == pytest.approx(planned, rel=0.05)
