"""Columns find what fractions find, at a limit to the last digit too."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import alerts, indicators, intensity, limits, pastfindings, plant, rehearsal, verdicts
from core.alerts import Finding
from core.facts import PeriodOutput
from core.intensity import PeriodEnergy
from core.limits import Comparison, Policy
from core.pastfindings import Calendar, PastFacts, PastSlots
from core.periods import SLOT_US, Period
from core.verdicts import Held

if TYPE_CHECKING:
    from core.limits import Limit
    from core.pastfindings import Recipe

NOVEMBER_US = 1_793_462_400_000_000  # 2026-11-01T00:00+08:00
ZONE = "Asia/Shanghai"
LIMIT = limits.find("cn.al.liquid.ac.gb21346-2022.level-3")
UNIT = """
[site.s]
name = {{ zh = "厂", en = "Works" }}
jurisdiction = "cn-qh"
[site.s.unit.u]
name = {{ zh = "系列", en = "Line" }}
kind = "potline"
indicators = ["al.liquid.ac", "fesi.smelting", "fesi.comprehensive", "al.ingot.comprehensive"]
{unit}
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
{point}
[site.s.unit.u.point.out]
kind = "counter"
carrier = "electricity"
unit = "kWh"
sign = -1
{point}
"""
EXACT = {"unit": 'output_accuracy_percent = "0"', "point": 'accuracy_percent = "0"'}
DOUBTED = {"unit": 'output_accuracy_percent = "0.4"', "point": 'accuracy_percent = "0.35"'}


def recipe(words: dict[str, str], name: str = "al.liquid.ac") -> Recipe | None:
    declared = plant.parse(UNIT.format(**words), "plant.toml")
    span = (NOVEMBER_US, NOVEMBER_US + 96 * SLOT_US)
    return pastfindings.recipe(declared, declared.units["s.u"], indicators.find(name), span)


def found(
    made: Recipe, row: Limit, energies: list[list[int]], masses: list[int], **more: Any
) -> list[Finding]:
    """Return the findings of looks; a fact of so many grams stands just before each look."""
    number = len(masses)
    calendar = Calendar.of(Period.MONTH, ZONE, (NOVEMBER_US, NOVEMBER_US + number * SLOT_US))
    standing = pastfindings.standings(made, [row], next(calendar.runs())[0])
    assert standing is not None
    column = np.array(energies, np.int64)
    slots = PastSlots(
        column,
        column >= 0,
        more.get("estimated", np.zeros_like(column)),
        more.get("measured", np.full_like(column, SLOT_US)),
        (),
    )
    none = np.zeros(number, np.bool_)
    facts = PastFacts(calendar.at_us - 1, [Fraction(m) for m in masses], [Fraction(0)] * number,
                      none, none)  # fmt: skip
    codes = pastfindings.findings(made, [standing], calendar, slots, facts)
    return [rehearsal.FINDINGS[code] for code in codes[:, 0]]


def by_hand(
    made: Recipe, row: Limit, energies: list[list[int]], masses: list[int], **more: Any
) -> list[Finding]:
    """Return the same by the functions of the live path, look by look."""
    bound = (NOVEMBER_US, NOVEMBER_US + 30 * 96 * SLOT_US)
    held = Held(made.site, made.unit, made.indicator, bound)
    answers = []
    for look in range(1, len(masses) + 1):
        parts = [
            (
                point,
                [
                    PeriodEnergy(
                        *bound,
                        sum(own[:look]),
                        int(more["estimated"][each, :look].sum()),
                        int(more["measured"][each, :look].sum()),
                        0,
                    )
                ],
            )
            for each, (point, own) in enumerate(zip(made.points, energies, strict=True))
        ]
        figure = intensity.combine(
            made.unit, made.indicator, parts, PeriodOutput(sum(masses[:look])),
            NOVEMBER_US + look * SLOT_US,
        )  # fmt: skip
        stands = verdicts.standing(held, row, {bound: figure})
        assert stands is not None
        answers.append(alerts.finding(stands.verdict))
    return answers


@given(
    st.integers(1, 10**9),
    st.decimals("0.001", "99999", places=3),
    st.sampled_from(list(Comparison)),
    st.sampled_from(list(Policy)),
)
def test_at_the_limit_to_the_last_digit_the_comparison_decides(
    mass_g: int, value: Decimal, cmp: Comparison, policy: Policy
) -> None:
    made = recipe(EXACT)
    assert made is not None
    row = replace(LIMIT, value=value, cmp=cmp, policy=policy)
    energy = int(value * 1000) * mass_g  # of mass in millionths: exactly the limit
    at = found(made, row, [[energy], [0]], [mass_g * 1000])
    keeps = cmp in {Comparison.AT_MOST, Comparison.AT_LEAST}
    assert at == [Finding.WITHIN if keeps else Finding.EXCEEDS]
    above = found(made, row, [[energy + 1], [0]], [mass_g * 1000])
    upper = cmp in {Comparison.AT_MOST, Comparison.BELOW}
    assert above == [Finding.EXCEEDS if upper else Finding.WITHIN]


@given(st.data())
def test_columns_find_what_fractions_find(data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 6))
    column = st.lists(st.integers(0, 10**11), min_size=number, max_size=number)
    energies = [data.draw(column), data.draw(column)]
    masses = data.draw(st.lists(st.integers(0, 10**7), min_size=number, max_size=number))
    share = st.lists(st.integers(0, SLOT_US), min_size=number, max_size=number)
    more = {
        "measured": np.array([data.draw(share), data.draw(share)]),
        "estimated": np.array([[one // 7 for one in own] for own in energies]),
    }
    completeness = data.draw(st.sampled_from(["0", "0.5", "0.9", "1"]))
    cmp = data.draw(st.sampled_from(list(Comparison)))
    row = replace(LIMIT, cmp=cmp, completeness=Decimal(completeness))
    # A limit that lies where these figures lie, so that all findings come up.
    value = data.draw(st.integers(1, 10**5))
    row = replace(row, value=Decimal(value))
    made = recipe(DOUBTED)
    assert made is not None
    assert found(made, row, energies, masses, **more) == by_hand(
        made, row, energies, masses, **more
    )


def test_what_is_unknown_of_one_point_makes_the_figure_unknown() -> None:
    made = recipe(EXACT)
    assert made is not None
    looks = found(made, LIMIT, [[10**9] * 3, [-1, 0, 0]], [10**6, 0, 0])
    assert looks == [Finding.UNKNOWN, Finding.WITHIN, Finding.WITHIN]


@pytest.mark.parametrize(
    ("words", "name", "is_common"),
    [
        (DOUBTED, "al.liquid.ac", True),
        (DOUBTED, "fesi.smelting", True),
        (DOUBTED, "fesi.comprehensive", True),  # electricity alone: one factor
        ({**DOUBTED, "unit": 'output_by = "pots"'}, "al.liquid.ac", False),
        (DOUBTED, "al.alumina", False),
        (DOUBTED, "cement.slag_use", False),
    ],
)
def test_figures_of_another_kind_have_no_recipe(
    words: dict[str, str], name: str, *, is_common: bool
) -> None:
    assert (recipe(words, name) is not None) is is_common


def test_a_figure_without_a_required_meter_proves_nothing() -> None:
    made = recipe(EXACT, "fesi.comprehensive")
    assert made is not None
    assert not made.is_metered
    row = limits.of_indicator("fesi.comprehensive")[0]
    assert found(made, row, [[10**9], [0]], [10**6]) == [Finding.UNKNOWN]


@pytest.mark.parametrize(
    ("changed", "stands"),
    [
        ({}, True),
        ({"valid_from": LIMIT.valid_from.replace(2026, 11, 10)}, False),
        ({"completeness": Decimal("0.123456789")}, False),
    ],
)
def test_a_limit_of_a_part_of_the_period_is_left_to_the_live_path(
    changed: dict[str, Any], *, stands: bool
) -> None:
    made = recipe(EXACT)
    assert made is not None
    bound = (NOVEMBER_US, NOVEMBER_US + 30 * 96 * SLOT_US)
    found_one = pastfindings.standings(made, [replace(LIMIT, **changed)], bound)
    assert (found_one is not None) is stands


def test_the_calendar_names_the_period_that_ends_last() -> None:
    span = (NOVEMBER_US - 2 * SLOT_US, NOVEMBER_US + 2 * SLOT_US)
    calendar = Calendar.of(Period.MONTH, ZONE, span)
    assert calendar.closed.tolist() == [False, True, False, False]
    assert (calendar.start_us == NOVEMBER_US).tolist() == [False, False, True, True]
    assert [looks for _, looks in calendar.runs()] == [slice(0, 2), slice(2, 4)]
