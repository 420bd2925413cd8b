"""What the law's dates mean for a plant is told before they come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from core import limits, plant
from core.clock import to_us
from core.limits import Force, LimitKind
from deploy.doctor import law
from deploy.doctor.page import Grade
from tests.deploy.doctor.looks import NOW, PLANT, bad

NOW_US = to_us(NOW)
TODAY = date(2026, 11, 21)
DECLARED = plant.parse(PLANT, "plant.toml")
BASE = limits.find("cn-qh.al.liquid.ac.target-2020")
LAW = replace(
    BASE,
    id="law",
    force=Force.MANDATORY,
    jurisdiction="cn",
    valid_from=date(2024, 1, 1),
    due=None,
)


def test_a_site_of_which_nothing_is_judged_is_told() -> None:
    found = law.judge(DECLARED, [LAW], NOW_US)
    # The furnace declares no indicator at all.
    assert bad(found) == [
        (
            "limits",
            Grade.WARNING,
            "nothing is judged of nx-fa: no limit holds there for its indicators",
        )
    ]


@pytest.mark.parametrize(
    "row",
    [
        replace(LAW, kind=LimitKind.TRIGGER),
        replace(LAW, jurisdiction="cn-gs"),
        replace(LAW, indicator="fesi.smelting"),
        replace(LAW, valid_from=TODAY + timedelta(days=200)),
        replace(LAW, valid_to=TODAY),
    ],
)
def test_a_limit_that_does_not_hold_there_now_judges_nothing(row: limits.Limit) -> None:
    told = [seen for _, _, seen in bad(law.judge(DECLARED, [row], NOW_US))]
    assert any("nothing is judged of gh-al, nx-fa" in each for each in told)


def test_a_unit_without_a_limit_beside_one_that_has_one_is_named() -> None:
    text = PLANT + (
        "[site.gh-al.unit.furnace-9]\n"
        'name = { zh = "九", en = "Nine" }\nkind = "kiln"\nindicators = ["fesi.smelting"]\n'
    )
    found = law.judge(plant.parse(text, "plant.toml"), [LAW], NOW_US)
    assert ("limits", Grade.WARNING, "no limit holds for gh-al.furnace-9") in bad(found)


def test_a_limit_that_ends_is_told_with_what_follows() -> None:
    ends = TODAY + timedelta(days=90)
    ending = replace(LAW, valid_to=ends)
    [alone] = [each for each in law.judge(DECLARED, [ending], NOW_US) if "last time" in each.seen]
    assert (alone.grade, alone.seen) == (
        Grade.WARNING,
        f"law holds for the last time before {ends}, and nothing follows",
    )
    following = replace(LAW, id="law-2", valid_from=ends)
    found = law.judge(DECLARED, [ending, following], NOW_US)
    [told] = [each for each in found if "last time" in each.seen]
    assert (told.grade, told.seen.endswith("then law-2")) == (Grade.NOTE, True)
    [begins] = [each for each in found if "begins" in each.seen]
    assert begins.seen == f"law-2 (<= 12750 kWh/t) begins {ends}"


@pytest.mark.parametrize("days", [-1, 91])
def test_what_is_far_off_or_past_is_not_told(days: int) -> None:
    there = TODAY + timedelta(days=days)
    for row in (replace(LAW, valid_to=there), replace(LAW, due=there)):
        seen = [each.seen for each in law.judge(DECLARED, [row], NOW_US)]
        assert not any("last time" in each or "falls due" in each for each in seen)


def test_a_target_that_falls_due_is_a_note() -> None:
    row = replace(BASE, due=TODAY + timedelta(days=40))
    [told] = [each for each in law.judge(DECLARED, [row], NOW_US) if "falls due" in each.seen]
    assert told.grade is Grade.NOTE


def test_a_limit_that_concerns_nobody_here_is_not_told() -> None:
    row = replace(LAW, id="far", jurisdiction="cn-gs", valid_to=TODAY + timedelta(days=9))
    assert not any("far" in each.seen for each in law.judge(DECLARED, [LAW, row], NOW_US))


def test_points_without_accuracy_are_counted() -> None:
    text = PLANT.replace('accuracy_percent = "0.35"\n[site.nx', "[site.nx")
    seen = [each for _, _, each in bad(law.judge(plant.parse(text, "p"), [LAW], NOW_US))]
    assert "1 of 2 energy points declare no accuracy: U counts none of them" in seen


def test_a_meter_past_its_verification_is_named_from_the_day_after() -> None:
    for day, told in (("2026-11-20", True), ("2026-11-21", False)):
        text = PLANT.replace(
            'unit = "kWh"\naccuracy_percent = "0.35"\n[site.nx',
            f'unit = "kWh"\nverified_until = {day}\naccuracy_percent = "0.35"\n[site.nx',
        )
        found = bad(list(law.verification(plant.parse(text, "p"), NOW_US)))
        assert bool(found) is told
        assert not found or "gh-al.potline-1.ac past" in found[0][2]


def test_figures_of_another_catalogue_are_told() -> None:
    at = datetime(2026, 10, 1, tzinfo=UTC)
    assert bad(list(law.catalogue("a", {}))) == []
    assert bad(list(law.catalogue("a", {"a": at, "b": NOW}))) == []
    [(topic, grade, seen)] = bad(list(law.catalogue("a", {"b": at})))
    assert (topic, grade) == ("catalogue", Grade.WARNING)
    assert "first used 2026-10-01" in seen
