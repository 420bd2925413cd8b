"""Data conditions: what else than a limit people must hear of, and when it is proven. Pure.

A condition watches one figure of each of its subjects: how long an agent was silent, how complete
a day is. At `raise_at` it is there, at `clear_at` it is over; between the two nothing is proven,
and what is unknown proves nothing either (design 5.4). An alert stands for (condition, subject)
and moves by the table of core.alerts. What conditions there are is data (core.conditionfile).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from core import decimals, names
from core.alerts import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from core.limits import Force
    from core.periods import Period

LANGUAGES: Final = ("zh", "en")
MINUTES_A_DAY: Final = 24 * 60


class SubjectKind(StrEnum):
    """What a condition may be about."""

    UNIT = "unit"
    POINT = "point"
    AGENT = "agent"  # `<site>.<agent>`, as its account at the broker is called
    SITE = "site"
    CHANNEL = "channel"
    STORE = "store"  # the service itself


_OF_A_SITE: Final = frozenset(
    {SubjectKind.UNIT, SubjectKind.POINT, SubjectKind.AGENT, SubjectKind.SITE}
)


class Subject(NamedTuple):
    """Whom or what a condition is about."""

    kind: SubjectKind
    id: str

    @property
    def site(self) -> str | None:
        """Return the site it belongs to; None for what belongs to the store itself."""
        return names.site_of(self.id) if self.kind in _OF_A_SITE else None

    @property
    def unit(self) -> str | None:
        """Return the process unit it is or lies in, None where it is in none."""
        if self.kind is SubjectKind.POINT:
            return names.unit_of(self.id)
        return self.id if self.kind is SubjectKind.UNIT else None


class Measure(StrEnum):
    """What a figure counts, and so how a person reads it."""

    SECONDS = "s"
    SHARE = "share"
    COUNT = "count"
    DAYS = "days"


class Watch(StrEnum):
    """What can be watched: a closed list, each with its query in store.watched."""

    FORECAST = "forecast"  # chance that a running period ends beyond a limit
    QUALITY = "quality"  # the score of yesterday's and today's data
    COMPLETENESS = "completeness"  # of the newest closed day
    POINT_SILENCE = "point_silence"
    AGENT_SILENCE = "agent_silence"
    SITE_SILENCE = "site_silence"  # of the agent of the site that was heard last
    CLOCK_OFFSET = "clock_offset"
    OUTBOX_AGE = "outbox_age"  # of the oldest envelope that an agent still has to send
    ENVELOPES_LOST = "envelopes_lost"
    ENVELOPES_ASIDE = "envelopes_aside"
    ENVELOPES_MISSING = "envelopes_missing"  # how long there has been a hole
    AGENT_DISK = "agent_disk"  # damage to what an agent keeps, or nothing that it can keep on
    READINGS_WITHHELD = "readings_withheld"  # that wait until an agent can trust its clock
    DEAD_LETTERS = "dead_letters"
    METER_FINDINGS = "meter_findings"
    METER_VERIFICATION = "meter_verification"  # days until it ends
    CHANNEL_SILENCE = "channel_silence"  # how long deliveries have failed
    BOUND_HITS = "bound_hits"
    REPORT_AGE = "report_age"  # of the oldest figure that a platform still lacks


@dataclass(frozen=True, slots=True)
class Watching:
    """What a kind of watch yields: of which subjects, in what measure, with which words."""

    subject: SubjectKind
    measure: Measure
    words: frozenset[str] = frozenset()  # placeholders of its sentence beside the common ones


def _watching(subject: SubjectKind, measure: Measure, *words: str) -> Watching:
    return Watching(subject, measure, frozenset(words))


COMMON_WORDS: Final = frozenset({"subject", "value", "threshold"})
WATCHING: Final[Mapping[Watch, Watching]] = {
    Watch.FORECAST: _watching(
        SubjectKind.UNIT, Measure.SHARE, "limit", "indicator", "period", "middle", "limit_value"
    ),
    Watch.QUALITY: _watching(SubjectKind.SITE, Measure.SHARE, "index"),
    Watch.COMPLETENESS: _watching(SubjectKind.UNIT, Measure.SHARE, "day"),
    Watch.POINT_SILENCE: _watching(SubjectKind.POINT, Measure.SECONDS),
    Watch.AGENT_SILENCE: _watching(SubjectKind.AGENT, Measure.SECONDS),
    Watch.SITE_SILENCE: _watching(SubjectKind.SITE, Measure.SECONDS, "agents"),
    Watch.CLOCK_OFFSET: _watching(SubjectKind.AGENT, Measure.SECONDS),
    Watch.OUTBOX_AGE: _watching(SubjectKind.AGENT, Measure.SECONDS, "depth"),
    Watch.ENVELOPES_LOST: _watching(SubjectKind.AGENT, Measure.COUNT),
    Watch.ENVELOPES_ASIDE: _watching(SubjectKind.AGENT, Measure.COUNT),
    Watch.ENVELOPES_MISSING: _watching(SubjectKind.AGENT, Measure.SECONDS, "missing"),
    Watch.AGENT_DISK: _watching(SubjectKind.AGENT, Measure.COUNT),
    Watch.READINGS_WITHHELD: _watching(SubjectKind.AGENT, Measure.COUNT),
    Watch.DEAD_LETTERS: _watching(SubjectKind.SITE, Measure.COUNT, "reason"),
    Watch.METER_FINDINGS: _watching(SubjectKind.POINT, Measure.COUNT, "finding"),
    Watch.METER_VERIFICATION: _watching(SubjectKind.POINT, Measure.DAYS, "day"),
    Watch.CHANNEL_SILENCE: _watching(SubjectKind.CHANNEL, Measure.SECONDS, "failures", "detail"),
    Watch.BOUND_HITS: _watching(SubjectKind.STORE, Measure.COUNT, "detail"),
    Watch.REPORT_AGE: _watching(SubjectKind.SITE, Measure.SECONDS, "destination", "waiting"),
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a condition may be raised, in plant time; outside nothing is raised, an end counts."""

    weekdays: frozenset[int] = frozenset(range(7))  # 0 is Monday
    begin_min: int = 0
    end_min: int = MINUTES_A_DAY  # at or before the begin: it ends on the next day

    def holds(self, at: datetime, zone: str) -> bool:
        """Tell whether the instant lies in the schedule, by the clock of this zone."""
        local = at.astimezone(ZoneInfo(zone))
        minute = local.hour * 60 + local.minute
        if self.begin_min < self.end_min:
            return local.weekday() in self.weekdays and self.begin_min <= minute < self.end_min
        # A night belongs to the weekday on which it begins.
        if minute >= self.begin_min:
            return local.weekday() in self.weekdays
        yesterday = (local - timedelta(days=1)).weekday()
        return minute < self.end_min and yesterday in self.weekdays


ALWAYS: Final = Schedule()


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as its file declares it."""

    id: str
    watch: Watch
    raise_at: Decimal
    clear_at: Decimal
    rule: Rule
    name: Mapping[str, str]
    sentence: Mapping[str, str]
    source: str
    schedule: Schedule = ALWAYS
    force: Force | None = None  # of a forecast: against which limits
    period: Period | None = None

    @property
    def watching(self) -> Watching:
        """Return what its watch yields."""
        return WATCHING[self.watch]

    @property
    def is_upper(self) -> bool:
        """Tell whether more is worse."""
        return self.raise_at > self.clear_at

    def find(self, value: Decimal | None) -> Finding:
        """Return what a figure proves: there, over, or nothing."""
        if value is None:
            return Finding.UNKNOWN
        if value >= self.raise_at if self.is_upper else value <= self.raise_at:
            return Finding.EXCEEDS
        if value <= self.clear_at if self.is_upper else value >= self.clear_at:
            return Finding.WITHIN
        return Finding.UNKNOWN

    def judge(self, value: Decimal | None, at: datetime, zone: str) -> Finding:
        """Return what a figure proves now: outside the schedule nothing is raised."""
        found = self.find(value)
        if found is Finding.EXCEEDS and not self.schedule.holds(at, zone):
            return Finding.UNKNOWN
        return found

    def say(self, seen: Seen, called: Mapping[str, str]) -> dict[str, str]:
        """Return its sentence in each language; `called` is the subject's name."""
        measure = self.watching.measure
        return {
            language: self.sentence[language].format_map(
                {
                    **{word: _in(language, text) for word, text in seen.words.items()},
                    "subject": called[language],
                    "value": show(seen.value, measure, language),
                    "threshold": show(self.raise_at, measure, language),
                }
            )
            for language in LANGUAGES
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one subject: its figure, None where it is not known.

    `words` fill the sentence: a text, or one for each language. `facts` go into the alert's item.
    With `is_told` another alert tells of it: what waits to be raised need not be.
    """

    subject: Subject
    value: Decimal | None
    words: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_told: bool = False


_TIMES: Final = (  # from so many seconds on: seconds of one, and how it is called
    (2 * 86_400, 86_400, {"zh": " 天", "en": " days"}),
    (2 * 3_600, 3_600, {"zh": " 小时", "en": " hours"}),
    (120, 60, {"zh": " 分钟", "en": " minutes"}),
    (0, 1, {"zh": " 秒", "en": " seconds"}),
)


def show(value: Decimal | None, measure: Measure, language: str) -> str:
    """Print a figure for a person, rounded as a person would say it."""
    if value is None:
        return {"zh": "未知", "en": "unknown"}[language]
    if measure is Measure.SHARE:
        return f"{decimals.show(round(100 * value, 1))} %"
    if measure is Measure.COUNT:
        return decimals.show(value)
    if measure is Measure.DAYS:
        word = " 天" if language == "zh" else " day" if abs(value) == 1 else " days"
        return decimals.show(value) + word
    least, one, called = next(row for row in _TIMES if abs(value) >= row[0])
    places = 1 if least == 0 and value % 1 else 0
    return decimals.show(round(value / one, places)) + called[language]


def _in(language: str, text: str | Mapping[str, str]) -> str:
    return text if isinstance(text, str) else text[language]
