"""The outlook on limits: chance, headroom and crossing agree with one another, over their part."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from core import decimals, indicators, limits, outlook, periods, plant
from core.clock import to_us
from core.errors import Misconfigured
from core.facts import DAY_US
from core.forecast import Day
from core.intensity import Intensity
from core.limits import Comparison
from core.outlook import Outlook
from core.periods import Period
from core.verdicts import Held

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.limits import Limit

TEXT = """
[site.s]
name = { zh = "厂", en = "Works" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "系列", en = "Line" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac_comprehensive"]
"""
PLANT = plant.parse(TEXT, "test")
INDICATOR = indicators.find("al.liquid.ac_comprehensive")
BEGIN, END = periods.parse_month("2026-11", "Asia/Shanghai")
LIMIT = replace(
    limits.of_indicator(INDICATOR.id)[0],
    value=Decimal(13_350),
    cmp=Comparison.AT_MOST,
    correction=(),
    valid_from=date(2024, 1, 1),
    valid_to=None,
    jurisdiction="cn",
)
MADE = Fraction(800)


def figure(above: Fraction, below: Fraction, completeness: Fraction = Fraction(1)) -> Intensity:
    value = above / below if below else None
    doubt = None if value is None else value / 100
    return Intensity(above, Fraction(0), below, value, doubt, completeness, 0)


def ratio(number: int) -> Fraction:
    """Return a day's figure: 13,300, swinging by 40."""
    return Fraction(13_300 + (40 if number % 2 else -40))


def foresee(
    known_days: int,
    rows: list[Limit],
    of_day: Callable[[int], Fraction] = ratio,
    completeness: Fraction = Fraction(1),
) -> dict[str, Any]:
    """Return the outlook of November after so many days, and two months before it."""
    days = [
        Day(
            BEGIN + number * DAY_US,
            BEGIN + (number + 1) * DAY_US,
            of_day(number) * MADE,
            MADE,
            usable=number < 0 or completeness > Fraction(9, 10),
        )
        for number in range(-60, known_days)
    ]
    today = BEGIN + known_days * DAY_US
    past = outlook.past_of(days, BEGIN, today)
    held = Held(PLANT.sites["s"], PLANT.units["s.u"], INDICATOR, (BEGIN, END))
    known = {}
    for low in range(known_days):
        for high in range(low + 1, known_days + 1):
            used = sum((of_day(number) * MADE for number in range(low, high)), Fraction(0))
            span = (BEGIN + low * DAY_US, BEGIN + high * DAY_US)
            known[span] = figure(used, MADE * (high - low), completeness)
    return Outlook(held, Period.MONTH, past, known, rows, today + DAY_US // 2).item()


def test_chance_headroom_and_crossing_say_the_same() -> None:
    # From the 15th on 100 above the limit: over at the end, not yet today.
    found = foresee(20, [LIMIT], lambda day: ratio(day) + (150 if day >= 14 else 0))
    (one,) = found["limits"]
    assert one["over_now"] is False
    assert one["crossing"]["to"] == "exceeds"
    assert one["crossing"]["earliest"] < one["crossing"]["at"]
    assert one["crossing"]["on"] == one["crossing"]["at"][:10]
    assert one["chance_exceeds"] > 0.5
    assert float(one["value"]) > 13_350
    assert 13_350 < float(one["headroom"]["value"]) < 13_450
    assert float(one["headroom"]["guarded"]) < float(one["headroom"]["value"])


def test_a_unit_well_within_has_room_and_no_crossing() -> None:
    found = foresee(20, [replace(LIMIT, value=Decimal(14_000))])
    (one,) = found["limits"]
    assert (one["outlook"], one["chance_exceeds"], one["crossing"]) == ("within", 0.0, None)
    assert float(one["headroom"]["value"]) == pytest.approx(15_400)


def test_a_running_figure_over_the_limit_may_come_back() -> None:
    found = foresee(10, [LIMIT], lambda day: ratio(day) + (200 if 0 <= day < 5 else -60))
    (one,) = found["limits"]
    assert one["over_now"] is True
    assert one["crossing"]["to"] == "within"
    assert one["crossing"]["at"] is not None


def test_a_lower_limit_turns_chances_and_headroom_round() -> None:
    upper = replace(LIMIT, value=Decimal(13_310))
    lower = replace(upper, id="lower", cmp=Comparison.AT_LEAST)
    first, second = foresee(12, [upper, lower])["limits"]
    assert first["chance_exceeds"] + second["chance_exceeds"] == pytest.approx(1.0, abs=1e-4)
    assert first["headroom"]["value"] == second["headroom"]["value"]
    assert float(first["headroom"]["guarded"]) < float(first["headroom"]["value"])
    assert float(second["headroom"]["guarded"]) > float(second["headroom"]["value"])
    assert first["over_now"] is not second["over_now"]


def test_a_limit_that_begins_inside_the_month_is_foreseen_over_its_part() -> None:
    old = replace(LIMIT, valid_to=date(2026, 11, 11))
    new = replace(LIMIT, id="new", valid_from=date(2026, 11, 11), value=Decimal(13_320))
    later = replace(LIMIT, id="later", valid_from=date(2026, 11, 26), value=Decimal(13_300))
    first, second, third = foresee(15, [old, new, later])["limits"]
    # The old one is over: what was is the end, for certain.
    assert (first["until"], first["outlook"]) == ("2026-11-11T00:00:00+08:00", "within")
    assert (first["chance_exceeds"], first["headroom"], first["value"]) == (None, None, "13300")
    # Five of the new one's twenty days are known: the rest must make up for them alone.
    used = sum((ratio(day) for day in range(10, 15)), Fraction(0))
    assert second["headroom"]["value"] == decimals.show((20 * 13_320 - used) / 15)
    # The last has not begun: nothing is over, and the rest is all of it.
    assert third["over_now"] is None
    assert third["headroom"]["value"] == "13300"
    assert third["outlook"] == "indeterminate"


def test_a_month_that_cannot_be_saved_says_so() -> None:
    found = foresee(28, [replace(LIMIT, value=Decimal(12_000))])
    (one,) = found["limits"]
    assert one["headroom"]["reachable"] is False
    assert float(one["headroom"]["value"]) < 0
    assert one["outlook"] == "exceeds"


def test_the_fewer_days_are_left_the_narrower_the_band() -> None:
    widths = []
    for days in (4, 12, 20, 28):
        told = foresee(days, [])["forecast"]
        widths.append(float(told["p97_5"]) - float(told["p2_5"]))
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 1.5 * widths[-1]


def test_reasons_are_told_together() -> None:
    found = foresee(2, [LIMIT], completeness=Fraction(1, 2))
    assert found["reasons"] == ["too_few_days", "low_coverage"]
    assert (found["days_known"], found["so_far"], found["limits"]) == (0.0, None, [])


def test_a_definition_that_is_only_listed_is_not_foreseen() -> None:
    listed = replace(INDICATOR, computes=False)
    held = Held(PLANT.sites["s"], PLANT.units["s.u"], listed, (BEGIN, END))
    past = outlook.past_of([], BEGIN, BEGIN + 9 * DAY_US)
    found = Outlook(held, Period.MONTH, past, {}, [], BEGIN + 9 * DAY_US).item()
    assert found["reasons"] == ["not_computed"]


UNSORTED = (
    '[{ from = 2026-11-26T00:00:00Z, value = "1" }, { from = 2026-11-25T00:00:00Z, value = "2" }]'
)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ('[{ from = 2026-11-26T00:00:00+08:00, value = "-1" }]', "greater than or equal to 0"),
        ('[{ from = 2026-11-26T00:00:00+08:00, value = "2000000" }]', "less than or equal"),
        ('[{ from = 2026-11-26T00:00:00, value = "1" }]', "offset"),
        (UNSORTED, "sorted by `from`"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        plant.parse(f"{TEXT}plan = {plan}\n", "test")


def test_an_open_year_before_any_step_has_a_cost_that_nobody_knows() -> None:
    begin, end = (
        to_us(datetime.fromisoformat(f"{year}-01-01T00:00:00+08:00")) for year in (2021, 2022)
    )
    days = [
        Day(begin + n * DAY_US, begin + (n + 1) * DAY_US, ratio(n) * MADE, MADE, usable=True)
        for n in range(40)
    ]
    today = begin + 40 * DAY_US
    past = outlook.past_of(days, begin, today)
    held = Held(PLANT.sites["s"], PLANT.units["s.u"], INDICATOR, (begin, end))
    used = sum((ratio(number) * MADE for number in range(40)), Fraction(0))
    known = {(begin, today): figure(used, 40 * MADE)}
    cost = Outlook(held, Period.YEAR, past, known, [], today).item()["cost"]
    assert (cost["step"], cost["value"], cost["indicative"]) == (None, None, False)
