"""Each trouble is told once, by who has it, with a remedy; a healthy store has none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.circuits import Circuit, State
from core.plant import Plant
from deploy.doctor import rules
from deploy.doctor.page import Grade
from store.checkups import Alarms
from store.deliveries import Fared
from store.watched import BoundSeen, ReportSeen
from tests.deploy.doctor.looks import AGENT, HOUR, MINUTE, NOW, agents, bad, look

GONE = replace(AGENT, heard_at=NOW - 3 * HOUR)
FULL = {"total_bytes": 100, "free_bytes": 50, "days_left": 2.0}


def test_a_healthy_store_is_told_to_be_well_by_every_rule() -> None:
    found = rules.judge(look())
    assert bad(found) == []
    topics = {each.topic for each in found if each.grade is Grade.WELL}
    assert topics == {
        "workers", "clock", "readings", "figures", "agents", "holes", "clocks", "points",
        "letters", "channels", "keeping", "disk",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "topic", "grade", "words"),
    [
        ({"work": {"workers": 0}}, "workers", Grade.BROKEN, "no ingest worker"),
        ({"work": {"idle_sites": ["nx-fa"]}}, "workers", Grade.BROKEN, "no worker has nx-fa"),
        ({"work": {"asked_at": NOW - 2 * MINUTE}}, "clock", Grade.BROKEN, "2 min apart"),
        ({"work": {"newest_reading_at": NOW - 31 * MINUTE}}, "readings", Grade.BROKEN, "31 min"),
        ({"work": {"newest_reading_at": None}}, "readings", Grade.WARNING, "was ever stored"),
        ({"work": {"oldest_mark_at": NOW - 6 * MINUTE}}, "figures", Grade.BROKEN, "6 min behind"),
        (
            {"work": {"oldest_mark_at": None, "newest_figure_at": None}},
            "figures", Grade.UNKNOWN, "no figure was computed",
        ),
        ({"agents": agents(gh_al__gw_01=GONE)}, "agents", Grade.BROKEN, "gh-al.gw-01 not heard"),
        ({"agents": agents(gh_al__gw_02=None)}, "agents", Grade.WARNING, "gh-al.gw-02 never"),
        (
            {"agents": agents() | {("zz", "gw-09"): AGENT}},
            "agents", Grade.WARNING, "zz.gw-09 sends undeclared",
        ),
        (
            {"agents": agents(gh_al__gw_01=replace(AGENT, depth=9, oldest_at=NOW - 2 * HOUR))},
            "outboxes", Grade.WARNING, "gh-al.gw-01 has old envelopes unsent",
        ),
        (
            {"agents": agents(
                gh_al__gw_01=replace(AGENT, missing=2, missing_since=NOW - 2 * HOUR)
            )},
            "holes", Grade.WARNING, "gh-al.gw-01 has envelopes that never came",
        ),
        (
            {"agents": agents(gh_al__gw_01=replace(AGENT, clock_offset_ms=-61_000.0))},
            "clocks", Grade.WARNING, "gh-al.gw-01 has a clock that is off",
        ),
        (
            {"agents": agents(gh_al__gw_01=replace(AGENT, troubles={"set_aside": 1}))},
            "outboxes", Grade.WARNING, "gh-al.gw-01 reports trouble",
        ),
        ({"quiet": {0: NOW - HOUR}}, "points", Grade.BROKEN, "gh-al.potline-1.ac without"),
        (
            {"unheard": ["nx-fa.furnace-1.ac"]},
            "points", Grade.WARNING, "nx-fa.furnace-1.ac never had",
        ),
        ({"work": {"letters_open": 3}}, "letters", Grade.WARNING, "3 open"),
        ({"work": {"letters_open": 100}}, "letters", Grade.BROKEN, "100 open"),
        (
            {"channels": [Fared("city", Circuit(State.OPEN, failures=5))]},
            "channels", Grade.BROKEN, "city cannot be reached",
        ),
        (
            {"channels": [Fared("city", Circuit(), abandoned=1)]},
            "channels", Grade.BROKEN, "city was given up",
        ),
        ({"channels": []}, "channels", Grade.UNKNOWN, "nothing was ever to be told"),
        ({"alarms": Alarms({3: 1}, 4, 2)}, "cases", Grade.WARNING, "2 wait"),
        (
            {"reports": [ReportSeen("gh-al", "province", NOW - 30 * HOUR, 8)]},
            "reports", Grade.WARNING, "gh-al (province) behind",
        ),
        (
            {"status": {"policies": {"problems": ["policy retain failed"]}}},
            "keeping", Grade.WARNING, "policy retain failed",
        ),
        ({"status": {"disk": FULL}}, "disk", Grade.BROKEN, "full in 2 days"),
        ({"status": {"disk": FULL | {"days_left": 13.0}}}, "disk", Grade.WARNING, "in 13 days"),
        (
            {"status": {"disk": FULL | {"free_bytes": 4, "days_left": None}}},
            "disk", Grade.WARNING, "4% free",
        ),
        (
            {"status": {"disk": FULL | {"free_bytes": None}}},
            "disk", Grade.UNKNOWN, "cannot be asked from here",
        ),
    ],
)  # fmt: skip
def test_one_trouble_is_one_line(
    changed: dict[str, Any], topic: str, grade: Grade, words: str
) -> None:
    [(told, graded, seen)] = bad(rules.judge(look(**changed)))
    assert (told, graded) == (topic, grade)
    assert words in seen


@pytest.mark.parametrize(
    "changed",
    [
        {"work": {"asked_at": NOW - timedelta(seconds=5)}},
        {"work": {"newest_reading_at": NOW - 30 * MINUTE}},
        {"work": {"oldest_mark_at": NOW - 5 * MINUTE}},
        {"agents": agents(gh_al__gw_01=replace(AGENT, heard_at=NOW - 30 * MINUTE))},
        {"agents": agents(gh_al__gw_01=replace(AGENT, depth=0, oldest_at=NOW - 2 * HOUR))},
        {"agents": agents(gh_al__gw_01=replace(AGENT, clock_offset_ms=60_000.0))},
        {"agents": agents(gh_al__gw_01=replace(AGENT, clock_offset_ms=None, depth=None))},
        {"agents": agents(gh_al__gw_01=replace(AGENT, missing=2, missing_since=NOW - HOUR))},
        {"quiet": {0: NOW - 30 * MINUTE}},
        {"status": {"disk": FULL | {"days_left": 14.0}}},
    ],
)
def test_at_the_bound_nothing_is_wrong_yet(changed: dict[str, Any]) -> None:
    assert bad(rules.judge(look(**changed))) == []


def test_points_behind_a_dead_site_are_told_as_its_agents() -> None:
    dead = agents(gh_al__gw_01=GONE, gh_al__gw_02=GONE)
    found = bad(rules.judge(look(agents=dead, quiet={0: NOW - 3 * HOUR, 1: NOW - HOUR})))
    assert [topic for topic, _, _ in found] == ["agents", "points"]
    assert "gh-al.gw-01, gh-al.gw-02" in found[0][2]
    assert found[1][2].startswith("nx-fa.furnace-1.ac ")


def test_what_is_past_is_a_note_that_never_makes_bad_news() -> None:
    lost = agents(gh_al__gw_01=replace(AGENT, lost=7))
    found = rules.judge(
        look(
            agents=lost,
            work={"letters_removed": 3},
            bounds=[BoundSeen("x", 2, "late ones wait"), BoundSeen("never", 0, "")],
        )
    )
    notes = {each.topic: each.seen for each in found if each.grade is Grade.NOTE}
    assert bad(found) == []
    assert notes["losses"].startswith("gh-al.gw-01 lost envelopes")
    assert notes["letters"].startswith("3 open ones")
    assert notes["bounds"] == "x was run into 2 times: late ones wait"


def test_a_source_of_facts_alone_need_not_be_heard() -> None:
    missing = agents(gh_al__gw_02=None)
    assert bad(rules.judge(look(agents=missing, sources={("gh-al", "gw-02")}))) == []
    gone = agents(gh_al__gw_02=GONE)
    found = bad(rules.judge(look(agents=gone, sources={("gh-al", "gw-02")})))
    assert [(topic, grade) for topic, grade, _ in found] == [("agents", Grade.BROKEN)]


def test_where_nothing_is_declared_that_is_the_first_thing_to_do() -> None:
    found = rules.judge(look(plant=Plant(), agents={}))
    assert bad(found)[0] == ("plant", Grade.WARNING, "nothing is declared")
