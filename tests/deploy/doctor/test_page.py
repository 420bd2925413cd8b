"""The page is read from its top: worst first, each with what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from deploy.doctor import page
from deploy.doctor.page import Checked, Grade
from tests.deploy.doctor.looks import NOW

FOUND = [
    Checked("disk", Grade.WELL, "41% free"),
    Checked("agents", Grade.WARNING, "gw never heard", "start it"),
    Checked("bounds", Grade.NOTE, "once"),
    Checked("workers", Grade.BROKEN, "none", "start one"),
    Checked("backups", Grade.UNKNOWN, "not looked at", "name them"),
    Checked("agents", Grade.WARNING, "zz sends", "declare it"),
]


def test_the_page_for_a_person_has_the_worst_first_and_its_remedy_below() -> None:
    assert page.lines(FOUND, "6f", NOW) == [
        "store 6f, 2026-11-21T08:00:00Z",
        "1 broken, 2 warning, 1 unknown, 1 note, 1 well",
        "",
        "broken   workers    none",
        "                    -> start one",
        "warning  agents     gw never heard",
        "                    -> start it",
        "warning  agents     zz sends",
        "                    -> declare it",
        "unknown  backups    not looked at",
        "                    -> name them",
        "note     bounds     once",
        "well     disk       41% free",
    ]


def test_the_page_for_a_program_says_the_same() -> None:
    answer = page.answer(FOUND, None, NOW)
    assert answer["store"] is None
    assert answer["grades"] == {"broken": 1, "warning": 2, "unknown": 1, "note": 1, "well": 1}
    assert answer["items"][0] == {
        "topic": "workers",
        "grade": "broken",
        "seen": "none",
        "remedy": "start one",
    }
    assert answer["items"][-1]["remedy"] is None


@pytest.mark.parametrize("grade", list(Grade))
def test_only_what_needs_a_person_is_bad_news(grade: Grade) -> None:
    assert page.is_bad([Checked("x", grade, "y", "z")]) is (grade in {"broken", "warning"})


@pytest.mark.parametrize("grade", [Grade.BROKEN, Grade.WARNING, Grade.UNKNOWN])
def test_nothing_is_told_to_be_wrong_without_a_remedy(grade: Grade) -> None:
    with pytest.raises(AssertionError):
        Checked("x", grade, "y")


def test_many_names_end_with_how_many_follow() -> None:
    assert page.named({"b", "a"}) == "a, b"
    assert page.named([f"gw-{number:02}" for number in range(500)]) == (
        "gw-00, gw-01, gw-02, gw-03, gw-04 and 495 more"
    )


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "120 min"), (7_200, "2 h"),
     (172_799, "48 h"), (172_800, "2 d")],
)  # fmt: skip
def test_a_span_is_said_in_one_unit(seconds: int, told: str) -> None:
    assert page.lasting(timedelta(seconds=seconds)) == told
