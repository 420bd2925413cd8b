"""What a figure proves about a data condition, when it may ring, and what people read of it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import alerts, conditionfile
from core.alerts import Alert, Finding, Rule, State
from core.conditions import (
    ALWAYS,
    LANGUAGES,
    WATCHING,
    Condition,
    Measure,
    Schedule,
    Seen,
    Subject,
    SubjectKind,
    Watch,
    show,
)
from core.errors import Misconfigured

MINUTE = timedelta(minutes=1)
START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
CHINA = "Asia/Shanghai"
WORDS = {"zh": "甲 {subject} {value}", "en": "{subject} is at {value}, not {threshold}"}
SHOWN = {
    State.ABSENT: "a",
    State.PENDING: "p",
    State.FIRING: "f",
    State.CLEARING: "c",
    State.RESOLVED: "r",
}


def condition(raise_at: str = "30", clear_at: str = "10", schedule: Schedule = ALWAYS) -> Condition:
    return Condition(
        id="quiet",
        watch=Watch.AGENT_SILENCE,
        raise_at=Decimal(raise_at),
        clear_at=Decimal(clear_at),
        rule=Rule(2 * MINUTE, 3 * MINUTE, 1, 1),
        name={"zh": "甲", "en": "quiet"},
        sentence=WORDS,
        source="here",
        schedule=schedule,
    )


def play(values: str) -> str:
    """Return the states after one value a minute: 9 is there, 5 between, 0 over, _ unknown."""
    watched, alert, states = condition("8", "2"), Alert(), ""
    for minute, letter in enumerate(values):
        found = watched.find(None if letter == "_" else Decimal(letter))
        alert = alerts.watch(alert, found, START + minute * MINUTE, watched.rule)
        states += SHOWN[alert.state]
    return states


@pytest.mark.parametrize(
    ("values", "states"),
    [
        ("0000", "aaaa"),
        ("99999", "ppfff"),
        ("90", "pr"),
        ("999_____0000", "ppffffffcccr"),
        ("9990905999", "ppfcfccfff"),
        ("9555555559", "pppppppppf"),
        ("999000050500999", "ppfcccrrrrrrppf"),
        ("____", "aaaa"),
    ],
)
def test_figures_lead_to_states(values: str, states: str) -> None:
    assert play(values) == states


@given(st.text(alphabet="0259_", max_size=60))
def test_what_lies_between_proves_as_little_as_what_is_unknown(values: str) -> None:
    assert play(values.replace("5", "_")) == play(values)


@given(st.decimals(0, 100, places=2), st.decimals(0, 100, places=2), st.decimals(-10, 110))
def test_an_upper_and_a_lower_condition_mirror_one_another(
    raise_at: Decimal, clear_at: Decimal, value: Decimal
) -> None:
    plain = replace(condition(), raise_at=raise_at, clear_at=clear_at)
    mirrored = replace(plain, raise_at=-raise_at, clear_at=-clear_at)
    if raise_at != clear_at:
        assert plain.find(value) is mirrored.find(-value)
        assert plain.find(raise_at) is Finding.EXCEEDS
        assert plain.find(clear_at) is Finding.WITHIN
    assert plain.find(None) is Finding.UNKNOWN


def test_severity_only_grows_within_an_episode_and_begins_anew_with_the_next() -> None:
    low, high = (Rule(MINUTE * 0, MINUTE * 0, each, each) for each in (1, 3))
    alert = Alert()
    for rule, found, severity in (
        (low, Finding.EXCEEDS, 1),
        (high, Finding.EXCEEDS, 3),
        (low, Finding.EXCEEDS, 3),
        (low, Finding.WITHIN, 3),
        (low, Finding.WITHIN, 3),
        (low, Finding.EXCEEDS, 1),
    ):
        alert = alerts.watch(alert, found, START, rule)
        assert alert.severity == severity
    assert alert.state is State.PENDING


def test_outside_its_schedule_nothing_is_raised_and_an_end_counts() -> None:
    office = Schedule(frozenset(range(5)), 8 * 60, 18 * 60)
    watched = condition(schedule=office)
    noon = datetime(2026, 11, 2, 4, tzinfo=UTC)  # 12:00 in China, a Monday
    assert watched.judge(Decimal(99), noon, CHINA) is Finding.EXCEEDS
    for at in (noon + timedelta(hours=6), noon - timedelta(days=1), noon - timedelta(hours=5)):
        assert watched.judge(Decimal(99), at, CHINA) is Finding.UNKNOWN
        assert watched.judge(Decimal(0), at, CHINA) is Finding.WITHIN
    assert watched.judge(Decimal(99), noon, "UTC") is Finding.UNKNOWN  # 04:00 there


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday_night = Schedule(frozenset({4}), 22 * 60, 6 * 60)
    friday = datetime(2026, 11, 6, tzinfo=UTC)
    held = [hour for hour in range(48) if friday_night.holds(friday + timedelta(hours=hour), "UTC")]
    assert held == [22, 23, 24, 25, 26, 27, 28, 29]


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001 - made aware below
def test_without_a_schedule_any_time_will_do(at: datetime) -> None:
    assert ALWAYS.holds(at.replace(tzinfo=UTC), CHINA)


@pytest.mark.parametrize(
    ("value", "measure", "zh", "en"),
    [
        ("1800", Measure.SECONDS, "30 分钟", "30 minutes"),
        ("95", Measure.SECONDS, "95 秒", "95 seconds"),
        ("61.5", Measure.SECONDS, "61.5 秒", "61.5 seconds"),
        ("7300", Measure.SECONDS, "2 小时", "2 hours"),
        ("432000", Measure.SECONDS, "5 天", "5 days"),
        ("0.8734", Measure.SHARE, "87.3 %", "87.3 %"),
        ("12", Measure.COUNT, "12", "12"),
        ("-1", Measure.DAYS, "-1 天", "-1 day"),
        ("3", Measure.DAYS, "3 天", "3 days"),
    ],
)
def test_a_figure_reads_as_a_person_would_say_it(
    value: str, measure: Measure, zh: str, en: str
) -> None:
    assert [show(Decimal(value), measure, each) for each in LANGUAGES] == [zh, en]
    assert [show(None, measure, each) for each in LANGUAGES] == ["未知", "unknown"]


@pytest.mark.parametrize(
    ("kind", "identifier", "site", "unit"),
    [
        (SubjectKind.UNIT, "gh-al.potline-1", "gh-al", "gh-al.potline-1"),
        (SubjectKind.POINT, "gh-al.potline-1.ac-import", "gh-al", "gh-al.potline-1"),
        (SubjectKind.AGENT, "gh-al.gw-01", "gh-al", None),
        (SubjectKind.SITE, "gh-al", "gh-al", None),
        (SubjectKind.CHANNEL, "qinghai", None, None),
        (SubjectKind.STORE, "report-age", None, None),
    ],
)
def test_a_subject_knows_where_it_belongs(
    kind: SubjectKind, identifier: str, site: str | None, unit: str | None
) -> None:
    assert (Subject(kind, identifier).site, Subject(kind, identifier).unit) == (site, unit)


SENTENCES = {
    "site_silent": "None of the 3 agents of Here has been heard for 31 minutes (more than 30"
    " minutes): check the site's uplink",
    "agent_silent": "The agent Here has not been heard for 31 minutes (more than 30 minutes):"
    " check its power and network",
    "point_silent": "The point Here has had no reading for 31 minutes (more than 30 minutes):"
    " check the meter and its wiring",
    "agent_clock": "The clock of the agent Here is off by 31 minutes (more than 60 seconds): check"
    " its time source",
}
FILLED = {"agents": "3", "depth": "7", "day": "2026-11-01", "missing": "2"}


@pytest.mark.parametrize("name", list(conditionfile.catalogue()))
def test_every_shipped_sentence_is_filled_in_both_languages(name: str) -> None:
    shipped = conditionfile.catalogue()[name]
    words = {word: FILLED.get(word, f"<{word}>") for word in shipped.watching.words}
    seen = Seen(Subject(shipped.watching.subject, "gh-al"), Decimal(1860), words)
    said = shipped.say(seen, {"zh": "此处", "en": "Here"})
    assert said["en"] == SENTENCES.get(name, said["en"])
    for language, subject in (("zh", "此处"), ("en", "Here")):
        assert subject in said[language]
        assert "{" not in said[language]
        assert len(said[language]) < 200
        for word in shipped.watching.words:
            if f"{{{word}}}" in shipped.sentence[language]:
                assert words[word] in said[language]
    assert set(shipped.sentence) == set(LANGUAGES)


def test_the_shipped_conditions_watch_everything_that_can_be_watched() -> None:
    shipped = conditionfile.catalogue()
    assert {one.watch for one in shipped.values()} == set(Watch) == set(WATCHING)
    assert list(shipped)[:3] == ["site_silent", "agent_silent", "point_silent"]
    assert all(0 <= one.rule.open_severity <= 2 for one in shipped.values())
    silent = shipped["agent_silent"]
    assert silent.raise_at == Decimal(1800)  # domain notes 3.5, row 0: severity 0, 30 minutes
    assert silent.rule.open_severity == 0
    assert (shipped["data_gap"].rule.open_severity, shipped["data_gap"].is_upper) == (2, True)
    assert not shipped["data_quality"].is_upper


DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "conditions.md"


def test_the_document_lists_every_condition_and_every_watch_with_its_words() -> None:
    text = DOCUMENT.read_text("utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    listed = {row[1].strip(" `"): row[4].strip() for row in rows if len(row) == 6}
    shipped = conditionfile.catalogue()
    assert listed == {key: str(one.rule.open_severity) for key, one in shipped.items()}
    watched = {
        word: (row[2].strip(), sorted(re.findall("`([a-z_]+)`", row[3])))
        for row in rows
        if len(row) == 5
        for word in re.findall("`([a-z_]+)`", row[1])
        if word in set(Watch)
    }
    assert watched == {
        each.value: (one.measure.value, sorted(one.words)) for each, one in WATCHING.items()
    }


def test_the_documents_own_example_is_a_file_that_works() -> None:
    block = r"```toml\n# conditions\.toml\n(.*?)```"
    (example,) = re.findall(block, DOCUMENT.read_text("utf-8"), re.DOTALL)
    shipped = conditionfile.catalogue()
    own = conditionfile.parse(example, "conditions.toml", shipped)
    assert set(shipped) - set(own) == {"data_quality"}
    assert own["agent_silent"].schedule != ALWAYS


GOOD = """\
[condition.quiet]
watch = "agent_silence"
raise_at = "1800"
clear_at = "600"
hold_s = 60
keep_s = 60
severity = 0
name = { zh = "甲", en = "quiet" }
sentence = { zh = "{subject} {value}", en = "{subject} {value}" }
source = "here"
"""


def told(text: str, **more: object) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        conditionfile.parse(text, "c.toml", **more)  # type: ignore[arg-type]  # a mapping
    return [str(problem) for problem in caught.value.problems]


def test_a_schedule_is_read_in_hours_and_weekdays() -> None:
    table = '[condition.quiet.schedule]\nhours = "22:00-06:30"\nweekdays = ["fri", "sat"]\n'
    read = conditionfile.parse(GOOD + table, "c.toml")["quiet"].schedule
    assert read == Schedule(frozenset({4, 5}), 22 * 60, 6 * 60 + 30)
    assert conditionfile.parse(GOOD, "c.toml")["quiet"].schedule == ALWAYS


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    other = GOOD.replace("condition.quiet", "condition.LOUD").replace('"600"', '"1800"')
    other = other.replace("{value}", "{vlaue}", 1)
    third = GOOD.replace("condition.quiet", "condition.third").replace('"agent_silence"', '"moon"')
    third = third.replace("hold_s = 60", "hold_s = -1").replace("source", "sauce")
    fourth = GOOD.replace("condition.quiet", "condition.soon").replace("agent_silence", "forecast")
    known = [f"'{each}'" for each in Watch]
    assert told(GOOD + other + third + fourth) == [
        f"c.toml:{each}"
        for each in (
            "11: condition.LOUD: is no id: use a-z, 0-9 and _",
            (
                "14: condition.LOUD.clear_at: is raise_at as well: between the two nothing is"
                " proven, leave room"
            ),
            (
                "19: condition.LOUD.sentence.zh: {vlaue} is nothing that agent_silence knows: use"
                " subject, threshold, value"
            ),
            (
                f"22: condition.third.watch: Input should be {', '.join(known[:-1])} or {known[-1]}"
                " (found 'moon')"
            ),
            "25: condition.third.hold_s: Input should be greater than or equal to 0 (found -1)",
            "21: condition.third.source: is required and is not there: add it",
            (
                "30: condition.third.sauce: is not a key of this table: check the spelling or"
                " remove it"
            ),
            "31: condition.soon.force: is what a forecast is held against: add it",
            "31: condition.soon.period: is what is foreseen: write month or year",
            "11: condition.LOUD: watches what quiet does, as gravely: keep one of them",
        )
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("{value}", "{value!r}"), "is nothing that"),
        (("{value}", "{value:>9}"), "is nothing that"),
        (("{value}", "{0}"), "is nothing that"),
        (("{value}", "{"), "brace"),
        (('"here"', '"here"\nforce = "target"'), "belongs to a forecast"),
        (('"here"', '"here"\nschedule = { hours = "8-18" }'), "hours"),
        (('"here"', '"here"\nschedule = { weekdays = [] }'), "weekdays"),
        (('"1800"', "1800.5"), "raise_at"),
        (('watch = "agent_silence"', "off = false"), "off"),
    ],
)
def test_what_cannot_work_is_refused(change: tuple[str, str], says: str) -> None:
    assert any(says in each for each in told(GOOD.replace(*change)))


def test_a_file_of_ones_own_replaces_adds_and_ends_shipped_conditions() -> None:
    shipped = conditionfile.parse(GOOD, "c.toml")
    other = GOOD.replace("condition.quiet", "condition.slow").replace(
        "severity = 0", "severity = 1"
    )
    both = conditionfile.parse(other, "own.toml", shipped)
    assert list(both) == ["quiet", "slow"]
    assert list(conditionfile.parse("[condition.quiet]\noff = true\n", "o.toml", shipped)) == []
    (changed,) = conditionfile.parse(GOOD.replace("1800", "3600"), "o.toml", shipped).values()
    assert changed.raise_at == 3600
    assert told("[condition.loud]\noff = true\n", shipped=shipped) == [
        "c.toml:1: condition.loud: is no shipped condition: nothing to end"
    ]
