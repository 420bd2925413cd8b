"""Silences have an end, cover what they name and nothing else, and never what is grave."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import plant as plants
from core import silences
from core.silences import MOST_OUTAGE, MOST_SHELVED, Place, Silence, SilenceKind

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
DAY = timedelta(days=1)
PLANT = plants.parse(
    """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
jurisdiction = "cn-qh"
[site.gh-al.unit.potline-1]
name = { zh = "电解一系列", en = "Potline 1" }
kind = "potline"
[site.gh-al.unit.section-1]
name = { zh = "一工区", en = "Section 1" }
kind = "pot"
parent = "potline-1"
[site.gh-al.unit.pot-1]
name = { zh = "一号槽", en = "Pot 1" }
kind = "pot"
parent = "section-1"
[site.gh-al.unit.potline-2]
name = { zh = "电解二系列", en = "Potline 2" }
kind = "potline"
""",
    "plant.toml",
)
ALERT, OTHER = UUID(int=1), UUID(int=2)


def silence(**more: Any) -> Silence:
    given = {
        "id": uuid4(),
        "kind": SilenceKind.PLANNED_OUTAGE,
        "site": "gh-al",
        "unit": None,
        "alert": None,
        "from_at": NOW - DAY,
        "until_at": NOW + DAY,
        "reason": "relining",
        "document": "QH-2026-11",
        "created_at": NOW - DAY,
        "created_by": "the engineer",
        "created_role": "engineer",
        **more,
    }
    return Silence(**given)


def shelved(alert: UUID = ALERT, **more: Any) -> Silence:
    return silence(kind=SilenceKind.SHELVED, alert=alert, document=None, **more)


def place(unit: str | None = "gh-al.pot-1", severity: int = 1, **more: Any) -> Place:
    return Place(ALERT, "gh-al", unit, severity, **more)


@pytest.mark.parametrize(
    ("given_silence", "where", "quiets"),
    [
        (silence(), place(), True),
        (silence(), place(None), True),
        (silence(site="nx-fa"), place(), False),
        (silence(unit="gh-al.pot-1"), place(), True),
        (silence(unit="gh-al.potline-1"), place(), True),
        (silence(unit="gh-al.potline-2"), place(), False),
        (silence(unit="gh-al.pot-1"), place("gh-al.section-1"), False),
        (silence(unit="gh-al.pot-1"), place(None), False),
        (shelved(), place(), True),
        (shelved(OTHER), place(), False),
        (silence(), Place(ALERT, None, None, 0), False),
        (shelved(site=None), Place(ALERT, None, None, 0), True),
        (silence(from_at=NOW + DAY / 2), place(), False),
        (silence(until_at=NOW), place(), False),
        (silence(ended_at=NOW), place(), False),
        (silence(ended_at=NOW + DAY / 2), place(), True),
        (silence(), place(severity=3), False),
        (silence(), place(finding=True), False),
        (shelved(), place(finding=True), False),
    ],
    ids=[
        "a unit of the site",
        "an agent of the site",
        "another site",
        "the unit",
        "a unit far below",
        "a unit beside it",
        "the unit above",
        "an agent while a unit is out",
        "the shelved alert",
        "another shelved alert",
        "the store itself, of no site",
        "the store's own alert, shelved",
        "not yet",
        "its end is not in it",
        "ended before its time",
        "ended later",
        "serious",
        "a closed period found it: a site is out",
        "a closed period found it: shelved",
    ],
)
def test_a_silence_covers_what_it_names(
    given_silence: Silence,
    where: Place,
    quiets: bool,  # noqa: FBT001 - a table
) -> None:
    found = silences.quieting([given_silence], where, PLANT, NOW)
    assert found == (given_silence if quiets else None)


def test_of_several_the_one_that_lasts_longest_counts() -> None:
    short, long = shelved(), silence(until_at=NOW + 2 * DAY)
    for order in ([short, long], [long, short]):
        assert silences.quieting(order, place(), PLANT, NOW) == long


@given(
    st.sampled_from(SilenceKind),
    st.integers(-3, 3),
    st.integers(0, 4),
    st.booleans(),
)
def test_nothing_serious_and_no_finding_is_ever_silenced(
    kind: SilenceKind,
    hours: int,
    severity: int,
    finding: bool,  # noqa: FBT001 - drawn
) -> None:
    one = replace(silence(kind=kind), alert=ALERT if kind is SilenceKind.SHELVED else None)
    at = NOW + timedelta(hours=hours)
    found = silences.quieting([one], place(severity=severity, finding=finding), PLANT, at)
    assert (found is not None) == (severity < 3 and not finding)


@pytest.mark.parametrize(
    ("until", "wrong"),
    [
        (NOW + timedelta(hours=8), []),
        (NOW + MOST_SHELVED, []),
        (NOW + MOST_SHELVED + timedelta(seconds=1), ["until"]),
        (NOW, ["until"]),
        (NOW - DAY, ["until"]),
    ],
)
def test_shelving_ends_within_a_week(until: datetime, wrong: list[str]) -> None:
    assert [field for field, _ in silences.shelving_problems(NOW, until)] == wrong


@pytest.mark.parametrize(
    ("start", "until", "wrong"),
    [
        (NOW, NOW + DAY, []),
        (NOW - 6 * DAY, NOW + DAY, []),
        (NOW + 300 * DAY, NOW + 310 * DAY, []),
        (NOW, NOW + MOST_OUTAGE, []),
        (NOW, NOW + MOST_OUTAGE + DAY, ["until"]),
        (NOW - 8 * DAY, NOW + DAY, ["from"]),
        (NOW + 400 * DAY, NOW + 401 * DAY, ["from"]),
        (NOW + DAY, NOW, ["until"]),
        (NOW - 2 * DAY, NOW - DAY, ["until"]),
        (NOW - 8 * DAY, NOW - 9 * DAY, ["from", "until"]),
    ],
)
def test_an_outage_has_an_end_in_sight_and_all_mistakes_are_told(
    start: datetime, until: datetime, wrong: list[str]
) -> None:
    assert [field for field, _ in silences.outage_problems(NOW, start, until)] == wrong
