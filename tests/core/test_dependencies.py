"""One cause, one alert: what stands behind what, and for how long it waits and lingers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from core import dependencies
from core import plant as plants
from core.alerts import State
from core.conditions import Subject, SubjectKind, Watch
from core.dependencies import Above, Behind, Kin
from core.errors import Misconfigured
from core.folding import Cover, CoverKind

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULE = Behind((Watch.AGENT_SILENCE, Watch.SITE_SILENCE), 15 * MINUTE, 30 * MINUTE)
POINT = Subject(SubjectKind.POINT, "gh-al.potline-1.meter-1")
UNIT = Subject(SubjectKind.UNIT, "gh-al.potline-1")
SITE = Subject(SubjectKind.SITE, "gh-al")
FIRST = Subject(SubjectKind.AGENT, "gh-al.gw-01")
SECOND = Subject(SubjectKind.AGENT, "gh-al.gw-02")
AGENT_ALERT, SITE_ALERT = UUID(int=1), UUID(int=2)


def plant(agents: int) -> plants.Plant:
    gateways = "".join(f"[site.gh-al.agent.gw-0{number + 1}]\n" for number in range(agents))
    meters = "".join(
        f"[site.gh-al.unit.potline-1.point.meter-{number}]\n"
        'kind = "counter"\ncarrier = "electricity"\nunit = "kWh"\n'
        for number in (1, 2)
    )
    return plants.parse(
        '[site.gh-al]\nname = { zh = "厂", en = "plant" }\njurisdiction = "cn-qh"\n'
        + gateways
        + '[site.gh-al.unit.potline-1]\nname = { zh = "一", en = "1" }\nkind = "potline"\n'
        + meters,
        "plant.toml",
    )


def standing(
    state: State,
    ended: datetime | None = None,
    watch: Watch = Watch.AGENT_SILENCE,
    severity: int = 1,
) -> Above:
    site = watch is Watch.SITE_SILENCE
    alert, subject = (SITE_ALERT, SITE) if site else (AGENT_ALERT, FIRST)
    return Above(alert, watch, subject, severity, state, ended)


def cover(*above: Above, minutes: int = 0) -> Cover | None:
    """Return what covers an alert that was raised so many minutes ago."""
    return dependencies.cover(RULE, NOW - minutes * MINUTE, 1, above, NOW)


def above(agents: int, subject: Subject, senders: dict[str, set[str]]) -> frozenset[Subject]:
    return Kin(plant(agents), senders).above(subject)


def test_a_point_stands_behind_the_agent_that_sends_it_and_its_site() -> None:
    sent_by = {POINT.id: {"gw-02"}}
    assert above(2, POINT, sent_by) == {POINT, SECOND, SITE}


def test_the_only_agent_of_a_site_sends_all_of_its_points() -> None:
    assert above(1, POINT, {}) == {POINT, FIRST, SITE}


def test_of_several_agents_none_is_blamed_that_was_not_seen_to_send_the_point() -> None:
    assert above(2, POINT, {}) == {POINT, SITE}


def test_an_agent_that_is_declared_no_more_is_blamed_for_nothing() -> None:
    assert above(3, POINT, {POINT.id: {"gw-09"}}) == {POINT, SITE}


def test_a_unit_and_a_site_stand_behind_their_points_and_whoever_sends_them() -> None:
    other = Subject(SubjectKind.POINT, "gh-al.potline-1.meter-2")
    sent_by = {POINT.id: {"gw-01"}, other.id: {"gw-02"}}
    found = {POINT, other, FIRST, SECOND, SITE}
    assert above(2, UNIT, sent_by) == found | {UNIT}
    assert above(2, SITE, {}) == found


def test_an_agent_stands_behind_its_site_and_what_is_of_no_site_behind_nothing() -> None:
    assert above(2, FIRST, {}) == {FIRST, SITE}
    store = Subject(SubjectKind.STORE, "danhao")
    assert above(2, store, {}) == {store}


def test_it_waits_until_what_is_above_had_its_chance_and_is_told_then() -> None:
    until = NOW + 15 * MINUTE
    assert cover() == Cover(CoverKind.WAITING, until)
    assert cover(minutes=14) == Cover(CoverKind.WAITING, NOW + MINUTE)
    assert cover(minutes=15) is None


def test_it_waits_longer_while_what_is_above_is_about_to_be_raised_but_not_for_ever() -> None:
    assert cover(standing(State.PENDING), minutes=20) == Cover(CoverKind.WAITING, NOW + 10 * MINUTE)
    assert cover(standing(State.PENDING), minutes=30) is None


@pytest.mark.parametrize("state", [State.FIRING, State.CLEARING])
def test_it_stands_behind_what_is_raised_however_long(state: State) -> None:
    found = cover(standing(state), minutes=100_000)
    assert found == Cover(CoverKind.BEHIND, None, AGENT_ALERT)


def test_of_two_above_the_farther_one_is_the_cause() -> None:
    both = [standing(State.FIRING), standing(State.FIRING, watch=Watch.SITE_SILENCE)]
    for order in (both, both[::-1]):
        found = cover(*order)
        assert found is not None
        assert found.alert == SITE_ALERT


def test_it_lingers_after_the_end_of_what_is_above_and_is_told_then() -> None:
    ended = standing(State.RESOLVED, NOW - 29 * MINUTE)
    assert cover(ended, minutes=60) == Cover(CoverKind.BEHIND, NOW + MINUTE, AGENT_ALERT)
    assert cover(standing(State.RESOLVED, NOW - 30 * MINUTE), minutes=60) is None


def test_what_was_over_before_it_was_raised_is_no_cause() -> None:
    assert cover(standing(State.RESOLVED, None), minutes=60) is None


def test_nothing_hides_behind_what_is_less_severe() -> None:
    assert cover(standing(State.FIRING, severity=0), minutes=60) is None
    assert cover(standing(State.PENDING, severity=0), minutes=20) is None
    assert cover(standing(State.FIRING, severity=2), minutes=60) is not None


def test_what_is_not_among_its_causes_covers_nothing() -> None:
    other = Above(AGENT_ALERT, Watch.CLOCK_OFFSET, FIRST, 1, State.FIRING, None)
    assert cover(other, minutes=60) is None


def test_the_shipped_rules_fold_a_dead_gateway() -> None:
    rules = dependencies.rules()
    for watch in (Watch.POINT_SILENCE, Watch.COMPLETENESS, Watch.QUALITY):
        assert {Watch.AGENT_SILENCE, Watch.SITE_SILENCE} <= set(rules.behind[watch].parents)
    assert rules.behind[Watch.AGENT_SILENCE].parents == (Watch.SITE_SILENCE,)
    assert rules.quiet(None) == timedelta(days=1)
    assert rules.quiet(Watch.AGENT_SILENCE) == timedelta(hours=6)
    assert rules.longest_linger == max(each.linger for each in rules.behind.values())


HOVER = '[hover]\nexceedance_s = 86400\ncondition_s = 3600\nsource = "test"\n'
ROW = '[[behind]]\nwatch = "{}"\nparents = ["{}"]\nwait_s = 60\nlinger_s = 60\nsource = "test"\n'


def test_every_mistake_of_a_file_is_told_with_its_line() -> None:
    text = HOVER + ROW.format("point_silence", "agent_silence") * 2
    text += ROW.format("agent_silence", "point_silence")
    text += ROW.format("quality", "quality")
    with pytest.raises(Misconfigured) as caught:
        dependencies.parse(text, "folding.toml")
    places = [problem.where for problem in caught.value.problems]
    assert [place.split(": ")[1] for place in places] == [
        "behind.1.watch",
        "behind.0.parents",
        "behind.1.parents",
        "behind.2.parents",
        "behind.3.parents",
    ]
    assert places[0].startswith("folding.toml:12")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"point_silence"', '"weather"'),
        ("wait_s = 60", "wait_s = 3601"),
        ("wait_s = 60", "wait_s = 0"),
        ("linger_s = 60", "linger_s = 604801"),
        ('parents = ["agent_silence"]', "parents = []"),
        ('source = "test"\n', ""),
        ("exceedance_s = 86400", "exceedance_s = 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(old: str, new: str) -> None:
    text = HOVER + ROW.format("point_silence", "agent_silence")
    dependencies.parse(text, "folding.toml")
    with pytest.raises(Misconfigured):
        dependencies.parse(text.replace(old, new), "folding.toml")
