"""Promises of what slots show: states by the process, sums that are the law's, factors by day."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core import indicators, intensity, plant, producing
from core.facts import HOUR_US
from core.intensity import Intensity, PeriodEnergy
from core.periods import SLOT_US
from core.producing import Group, Seen, Slots

if TYPE_CHECKING:
    from collections.abc import Sequence

START = 1_790_000_000_000_000 // SLOT_US * SLOT_US
PLANT = """
[site.s]
name = { zh = "厂", en = "Site" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "炉", en = "Unit" }
kind = "works"
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "MWh"
[site.s.unit.u.point.coke]
kind = "counter"
carrier = "coke"
unit = "kg"
heating_value = [
    { from = 2020-01-01T00:00:00Z, value = "28470" },
    { from = 2026-09-21T14:45:00Z, value = "28000" },
]
[site.s.unit.u.point.fans]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "auxiliary"
[site.s.unit.u.point.steam]
kind = "counter"
carrier = "electricity"
unit = "kWh"
role = "recovered"
sign = -1
"""
POINTS = plant.parse(PLANT, "plant.toml").points
COMPREHENSIVE = indicators.find("fesi.comprehensive")
SMELTING = indicators.find("fesi.smelting")


def slots(energies: Sequence[int | None], measured: list[int] | None = None) -> Slots:
    """Return slots from START on, energies in millionths; None: unknown."""
    size = len(energies)
    return Slots(
        START + np.arange(size, dtype=np.int64) * SLOT_US,
        np.array([one or 0 for one in energies], np.int64),
        np.array([one is not None for one in energies]),
        np.array([SLOT_US] * size if measured is None else measured, np.int64),
    )


def figure(energy: Fraction, output: int = 10) -> Intensity:
    return Intensity(energy, Fraction(0), Fraction(output), energy / output, None, Fraction(1), 0)


def smelting(
    energies: list[int | None], measured: list[int] | None = None, now_us: int | None = None
) -> Seen:
    """Return an electric furnace's span with a threshold of 2 MW."""
    span = (START, START + len(energies) * SLOT_US)
    trace = producing.trace(
        SMELTING,
        span,
        span[1] if now_us is None else now_us,
        [(POINTS["s.u.ac"], slots(energies, measured), None)],
    )
    total = Fraction(sum(one or 0 for one in energies), 1000)
    found = trace.seen(figure(total), None, 2000.0)
    assert found is not None
    return found


def test_groups_go_by_role_and_what_is_given_back_by_sign() -> None:
    assert [producing.group_of(POINTS[f"s.u.{key}"]) for key in ("ac", "fans", "steam")] == [
        Group.PROCESS, Group.AUXILIARY, Group.RECOVERY,
    ]  # fmt: skip


def test_a_slot_is_idle_below_the_threshold_doubtful_where_not_wholly_read_else_producing() -> None:
    mega = 1_000_000
    found = smelting(
        [6 * mega, mega // 4, None, 6 * mega, 5 * mega],
        [SLOT_US, SLOT_US, 0, SLOT_US - 1, SLOT_US],
    )
    process = found.process
    assert [process.producing, found.idle, process.doubtful] == [11_000, 250, 6_000]
    assert process.producing_us == process.doubtful_us == 2 * SLOT_US
    assert found.idle_us == SLOT_US
    assert found.booked == 0
    assert found.working_us == 4 * SLOT_US
    assert process.power == Fraction(11_000) / Fraction(1, 2)


def test_a_slot_without_a_row_is_unknown_time_and_not_idle() -> None:
    row = slots([6_000_000])
    trace = producing.trace(
        SMELTING, (START, START + 4 * SLOT_US), START + 4 * SLOT_US, [(POINTS["s.u.ac"], row, None)]
    )
    found = trace.seen(figure(Fraction(6_000)), None, 2000.0)
    assert found is not None
    assert (found.idle_us, found.process.doubtful_us) == (0, 3 * SLOT_US)


def test_the_slot_of_the_present_counts_its_elapsed_time_and_later_ones_none() -> None:
    found = smelting([6_000_000, 2_000_000], [SLOT_US, SLOT_US // 3], START + 4 * SLOT_US // 3)
    assert found.process.producing_us == SLOT_US + SLOT_US // 3
    assert found.process.doubtful_us == 0


def test_unknown_energy_or_output_shows_nothing() -> None:
    trace = producing.trace(SMELTING, (START, START + SLOT_US), START + SLOT_US, [])
    for energy, output in ((None, Fraction(1)), (Fraction(1), None)):
        unknown = Intensity(energy, Fraction(0), output, None, None, Fraction(1), 0)
        assert trace.seen(unknown, None, 0.0) is None


def test_the_level_at_work_is_seen_through_stoppages_of_half_the_time() -> None:
    busy = [6_000_000] * 40 + [100_000] * 60
    span = (START, START + len(busy) * SLOT_US)
    trace = producing.trace(SMELTING, span, span[1], [(POINTS["s.u.ac"], slots(busy), None)])
    assert producing.level([trace]) == 24_000
    assert producing.level([]) is None


amount = st.none() | st.integers(-(10**11), 10**12)


@given(st.data(), st.integers(1, 10), st.floats(0, 50_000))
def test_states_share_out_the_laws_energy_to_the_last_digit(
    data: st.DataObject, size: int, threshold: float
) -> None:
    span = (START, START + size * SLOT_US)
    metered = []
    energies = []
    for key in ("ac", "coke", "fans", "steam"):
        point = POINTS[f"s.u.{key}"]
        booked = data.draw(st.lists(amount, min_size=size, max_size=size))
        measured = data.draw(st.lists(st.integers(0, SLOT_US), min_size=size, max_size=size))
        metered.append((point, slots(booked, measured), None))
        parts = []
        for low, high in intensity.spans(COMPREHENSIVE, point, *span):
            rows = range(-(-(low - START) // SLOT_US), -(-(high - START) // SLOT_US))
            inside = [booked[row] for row in rows if booked[row] is not None]
            parts.append(
                PeriodEnergy(
                    low, high, sum(one or 0 for one in inside) if inside else None, 0, 0, 0
                )
            )
        energies.append((point, parts))
    unit = plant.parse(PLANT, "plant.toml").units["s.u"]
    law = intensity.combine(unit, COMPREHENSIVE, energies, None, span[1])
    if law.energy is None:
        return
    trace = producing.trace(COMPREHENSIVE, span, span[1], metered)
    found = trace.seen(figure(law.energy), None, threshold)
    assert found is not None
    assert found.booked == 0, "all of the law's energy was metered"
    total = sum((s.producing + s.doubtful for s in found.shares.values()), Fraction(0))
    assert total + found.idle == law.energy
    for share in found.shares.values():
        assert share.producing_us + share.doubtful_us + found.idle_us == size * SLOT_US
    assert found.working_us / HOUR_US + found.idle_us / HOUR_US == size / 4
