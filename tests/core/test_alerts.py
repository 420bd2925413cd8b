"""An alert moves by its table and by nothing else; its tests are sentences of findings."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import alerts
from core.alerts import Alert, Finding, Notice, Observation, Rule, State
from core.errors import Misconfigured
from core.limits import Force
from core.periods import Period
from core.verdicts import Verdict

START = datetime(2026, 11, 1, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LETTERS = {".": Finding.WITHIN, "x": Finding.EXCEEDS, "_": Finding.UNKNOWN}
SHOWN = {
    State.ABSENT: "a",
    State.PENDING: "p",
    State.FIRING: "f",
    State.CLEARING: "c",
    State.RESOLVED: "r",
}
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "alerts.md"


def rule(hold: int = 2, keep: int = 3, severities: tuple[int, int] = (1, 2)) -> Rule:
    return Rule(hold * MINUTE, keep * MINUTE, *severities)


def play(findings: str, hold: int = 2, keep: int = 3) -> str:
    """Return the states after one finding a minute: `.` within, `x` exceeds, `_` unknown."""
    alert, states = Alert(), ""
    for minute, letter in enumerate(findings):
        at = START + minute * MINUTE
        alert = alerts.step(alert, LETTERS[letter], at, rule(hold, keep))
        states += SHOWN[alert.state]
    return states


def seen(letter: str, period: datetime = NOVEMBER, *, closed: bool = False) -> Observation:
    return Observation(LETTERS[letter], period, closed)


class Story:
    """One alert, and a minute between two findings."""

    def __init__(self) -> None:
        self.alert, self.at = Alert(), START
        self.told: list[str] = []

    def see(self, letter: str, period: datetime = NOVEMBER, *, closed: bool = False) -> str:
        self._take(alerts.observe(self.alert, seen(letter, period, closed=closed), self.at, rule()))
        return SHOWN[self.alert.state]

    def wait(self) -> str:
        self._take(alerts.tick(self.alert, self.at, rule()))
        return SHOWN[self.alert.state]

    def _take(self, after: Alert) -> None:
        told = alerts.notice(self.alert, after)
        self.told += [told] if told else []
        self.alert = after
        self.at += MINUTE


@pytest.mark.parametrize(
    ("findings", "states"),
    [
        ("..xxxx.x....", "aappffcfcccr"),
        ("x.", "pr"),
        ("x.x.x.x.", "prprprpr"),
        ("x_____x", "ppppppf"),
        ("xxx_____", "ppffffff"),
        ("xxx._____.", "ppfccccccr"),
        ("____", "aaaa"),
        ("....", "aaaa"),
        ("xxx....xxx", "ppfcccrppf"),
    ],
)
def test_findings_lead_to_states(findings: str, states: str) -> None:
    assert play(findings) == states


@given(st.text(alphabet=".x_", max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_an_alert_never_starts_firing_on_anything_but_an_exceedance(
    findings: str, hold: int, keep: int
) -> None:
    states = "a" + play(findings, hold, keep)
    for letter, before, after in zip(findings, states, states[1:], strict=False):
        if after == "f" and before != "f":
            assert letter == "x"


@given(st.text(alphabet=".x_", max_size=60))
def test_what_proves_nothing_changes_nothing(findings: str) -> None:
    states = "a" + play(findings)
    for letter, before, after in zip(findings, states, states[1:], strict=False):
        if letter == "_":
            assert before == after


@given(st.text(alphabet=".x_", max_size=60), st.integers(2, 5))
def test_it_is_raised_only_after_it_lasted(findings: str, hold: int) -> None:
    states = play(findings, hold)
    for place, state in enumerate(states):
        if state == "f" and states[place - 1] == "p":
            lasted = states[:place].rpartition("a")[2].rpartition("r")[2]
            assert len(lasted) >= hold


_SIGHTS = st.tuples(
    st.sampled_from(".x_"), st.sampled_from([OCTOBER, NOVEMBER]), st.booleans(), st.booleans()
)


@given(st.lists(_SIGHTS, max_size=40))
def test_every_change_of_state_is_in_the_tables(
    sights: list[tuple[str, datetime, bool, bool]],
) -> None:
    allowed = {(a, b) for (a, _), b in (*alerts.OBSERVED.items(), *alerts.ELAPSED.items())}
    story = Story()
    for letter, period, closed, time_alone in sights:
        before = story.alert
        if time_alone:
            story.wait()
        else:
            story.see(letter, period, closed=closed)
        after = story.alert
        assert before.state is after.state or (before.state, after.state) in allowed
        if after.state is State.FIRING and before.state is not State.FIRING:
            # Time alone raises only what a closed period found.
            assert letter == "x" or time_alone
            assert not time_alone or before.closed_start is not None
        assert after.since is None or after.since <= story.at
        assert after.episode - before.episode in (0, 1)


def test_an_early_warning_is_over_when_its_open_month_is_within() -> None:
    story = Story()
    assert "".join(story.see(letter) for letter in "xxx....") == "ppfcccr"
    assert story.told == [Notice.FIRING, Notice.RESOLVED]
    assert story.alert.severity == 1


def test_a_closed_months_finding_stands_whatever_the_open_month_says() -> None:
    story = Story()
    story.see("x", OCTOBER, closed=True)
    assert "".join(story.see(".") for _ in range(10)) == "p" * 10
    assert story.wait() == "f"
    assert "".join(story.see(".") for _ in range(10)) == "f" * 10
    assert story.alert.severity == 2


def test_a_finding_is_raised_and_resolved_by_time_alone_since_it_comes_once() -> None:
    story = Story()
    story.see("x", OCTOBER, closed=True)
    assert [story.wait() for _ in range(3)] == ["p", "f", "f"]
    assert story.see(".", OCTOBER, closed=True) == "c"  # late data turned the verdict
    assert [story.wait() for _ in range(3)] == ["c", "c", "r"]


def test_an_open_months_state_does_not_move_by_time_alone() -> None:
    story = Story()
    story.see("x")
    assert "".join(story.wait() for _ in range(10)) == "p" * 10


def test_a_new_period_continues_the_alert() -> None:
    story = Story()
    for _ in range(4):
        story.see("x", OCTOBER)
    assert story.see("x", NOVEMBER) == "f"
    assert (story.alert.episode, story.alert.period_start) == (1, OCTOBER)
    assert story.alert.last_start == NOVEMBER
    assert story.told == [Notice.FIRING]


def test_a_closed_month_that_confirms_an_early_warning_is_told_once() -> None:
    story = Story()
    for _ in range(4):
        story.see("x", OCTOBER)
    story.see("x", OCTOBER, closed=True)
    story.see("x", OCTOBER, closed=True)
    story.see("x", NOVEMBER)
    assert story.told == [Notice.FIRING, Notice.FINDING]
    assert story.alert.severity == 2
    story.see("x", NOVEMBER, closed=True)
    assert story.told == [Notice.FIRING, Notice.FINDING, Notice.FINDING]


def test_the_past_proves_nothing_against_a_later_exceedance() -> None:
    story = Story()
    for _ in range(4):
        story.see("x", NOVEMBER)
    assert story.see(".", OCTOBER, closed=True) == "f"
    assert story.see(".", NOVEMBER) == "c"


def test_a_closed_month_found_within_lets_the_open_one_speak_again() -> None:
    story = Story()
    story.see("x", OCTOBER, closed=True)
    for _ in range(3):
        story.see("x", NOVEMBER)
    assert story.see(".", NOVEMBER) == "f"
    assert story.see(".", OCTOBER, closed=True) == "f"
    assert story.see(".", NOVEMBER) == "c"


def test_what_was_over_begins_a_new_episode() -> None:
    story = Story()
    for letter in "xxx....xxx":
        story.see(letter)
    assert story.alert.episode == 2
    assert story.alert.resolved_at is None
    assert story.told == [Notice.FIRING, Notice.RESOLVED, Notice.FIRING]


def test_a_relapse_while_it_clears_is_not_told_again() -> None:
    story = Story()
    for letter in "xxx.x.x":
        story.see(letter)
    assert story.told == [Notice.FIRING]


def test_a_clock_that_goes_back_raises_nothing() -> None:
    alert = replace(Alert(), state=State.PENDING, since=START)
    after = alerts.step(alert, Finding.EXCEEDS, START - timedelta(days=1), rule())
    assert after == alert


@pytest.mark.parametrize("verdict", list(Verdict))
def test_only_within_and_exceeds_mean_anything(verdict: Verdict) -> None:
    expected = {Verdict.WITHIN: Finding.WITHIN, Verdict.EXCEEDS: Finding.EXCEEDS}
    assert alerts.finding(verdict) is expected.get(verdict, Finding.UNKNOWN)


def test_the_shipped_rules_raise_alerts_for_targets_and_the_law_only() -> None:
    rules = alerts.rules()
    assert {force for force, _ in rules} == {Force.MANDATORY, Force.TARGET}
    assert {period for _, period in rules} == {Period.MONTH, Period.YEAR}
    law = rules[Force.MANDATORY, Period.MONTH]
    assert (law.severity(closed=False), law.severity(closed=True)) == (1, 2)
    assert (law.hold.seconds, law.keep.seconds) == (60, 300)


def test_all_mistakes_of_a_rules_file_are_told_with_their_lines() -> None:
    good = (
        '[[rule]]\nforce = "target"\nperiod = "month"\nhold_s = 60\nkeep_s = 300\n'
        'open_severity = 1\nclosed_severity = 1\nsource = "here"\n'
    )
    assert set(alerts.parse_rules(good, "r.toml")) == {(Force.TARGET, Period.MONTH)}
    with pytest.raises(Misconfigured, match=r"r\.toml:9: rule\.1: is a second rule"):
        alerts.parse_rules(good + good, "r.toml")
    wrong = good.replace("60", "0").replace("severity = 1", "severity = 9")
    with pytest.raises(Misconfigured) as caught:
        alerts.parse_rules(wrong, "r.toml")
    told = [str(problem).partition(": ")[0] for problem in caught.value.problems]
    assert told == ["r.toml:4", "r.toml:6", "r.toml:7"]


def test_the_diagram_in_the_documents_is_the_table() -> None:
    drawn = re.search(r"```mermaid\n(.*?)\n```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    assert drawn is not None
    assert drawn.group(1) == alerts.diagram()


def test_every_state_and_notice_is_explained_in_the_documents() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [word for word in (*State, *Notice) if f"| `{word}` |" not in text] == []
