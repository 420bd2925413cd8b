"""Reads the conditions that people are told of (core/data/conditions.toml), all mistakes at once.

A site's own file replaces shipped conditions by their id and adds others; `[condition.<id>]` with
`off = true` and nothing else takes one away.
"""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import names, tomlfile
from core.alerts import MOST_WAIT_S, Rule
from core.carriers import ExactText
from core.conditions import (
    ALWAYS,
    COMMON_WORDS,
    LANGUAGES,
    MINUTES_A_DAY,
    WATCHING,
    Condition,
    Schedule,
    Watch,
)
from core.errors import Misconfigured
from core.limits import Force
from core.periods import Period

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from core.errors import Problem
    from core.tomlfile import Document

FILE: Final = "core/data/conditions.toml"
MOST_CONDITIONS: Final = 100  # each is looked at in every pass
FORESEEN: Final = (Period.MONTH, Period.YEAR)
_HOURS: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
Conditions = dict[str, Condition]


class Weekday(StrEnum):
    """A day of the week, as files write it."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


WEEK: Final = tuple(Weekday)


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    zh: Annotated[str, Field(min_length=1, max_length=400)]
    en: Annotated[str, Field(min_length=1, max_length=400)]


class _ScheduleTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    hours: Annotated[str, Field(pattern=_HOURS.pattern)] = "00:00-24:00"
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] = WEEK


class _ConditionTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    watch: Watch
    raise_at: ExactText
    clear_at: ExactText
    hold_s: Annotated[int, Field(ge=0, le=MOST_WAIT_S)]
    keep_s: Annotated[int, Field(ge=0, le=MOST_WAIT_S)]
    severity: Annotated[int, Field(ge=0, le=4)]
    name: _Words
    sentence: _Words
    source: Annotated[str, Field(min_length=3)]
    schedule: _ScheduleTable | None = None
    force: Force | None = None
    period: Period | None = None


class _Off(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    off: Literal[True]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    condition: Annotated[dict[str, Any], Field(max_length=MOST_CONDITIONS)]


def parse(text: str, name: str, shipped: Mapping[str, Condition] | None = None) -> Conditions:
    """Read conditions by id, over the shipped ones where those are given.

    Raises Misconfigured with every problem, its file, line and key.
    """
    document = tomlfile.parse(text, name)
    found: Conditions = dict(shipped or {})
    problems: list[Problem] = []
    for key, data in tomlfile.validate(document, _File).condition.items():
        path = ("condition", key)
        if not names.is_slug(key.replace("_", "-")):
            problems.append(document.problem(path, "is no id: use a-z, 0-9 and _"))
        try:
            table = _table(data)
        except ValidationError as error:
            problems += tomlfile.problems(document, error, path)
            continue
        if isinstance(table, _Off):
            if found.pop(key, None) is None:
                problems.append(document.problem(path, "is no shipped condition: nothing to end"))
            continue
        problems += _check(document, key, table)
        found[key] = _condition(key, table)
    problems += _twins(document, found)
    if problems:
        raise Misconfigured(problems)
    return found


@lru_cache(maxsize=1)
def catalogue() -> Conditions:
    """Return the shipped conditions by id."""
    path = resources.files("core") / "data" / "conditions.toml"
    return parse(path.read_text("utf-8"), FILE)


def _table(data: object) -> _ConditionTable | _Off:
    if isinstance(data, dict) and "off" in data:
        return _Off.model_validate(data)
    return _ConditionTable.model_validate(data)


def _check(document: Document, key: str, table: _ConditionTable) -> Iterator[Problem]:
    """Yield what is wrong with what a condition means."""
    path = ("condition", key)
    if table.raise_at == table.clear_at:
        message = "is raise_at as well: between the two nothing is proven, leave room"
        yield document.problem((*path, "clear_at"), message)
    foresees = table.watch is Watch.FORECAST
    if foresees and table.force is None:
        yield document.problem((*path, "force"), "is what a forecast is held against: add it")
    if foresees and table.period not in FORESEEN:
        words = " or ".join(FORESEEN)
        yield document.problem((*path, "period"), f"is what is foreseen: write {words}")
    for name in ("force", "period") if not foresees else ():
        if getattr(table, name) is not None:
            message = "belongs to a forecast: remove it"
            yield document.problem((*path, name), message)
    for language in LANGUAGES:
        wrong = _unknown(getattr(table.sentence, language), table.watch)
        if wrong is not None:
            yield document.problem((*path, "sentence", language), wrong)


def _unknown(sentence: str, watch: Watch) -> str | None:
    """Return what is wrong with a sentence's placeholders, None where nothing is."""
    known = COMMON_WORDS | WATCHING[watch].words
    try:
        asked = [(name, shape, turn) for _, name, shape, turn in Formatter().parse(sentence)]
    except ValueError:
        return "has a brace without its partner: write {{ for a brace"
    for name, shape, turn in asked:
        if name is not None and (name not in known or shape or turn):
            return f"{{{name}}} is nothing that {watch} knows: use {', '.join(sorted(known))}"
    return None


def _twins(document: Document, found: Mapping[str, Condition]) -> Iterator[Problem]:
    """Yield conditions that watch the same with the same severity: two words for one fault."""
    first: dict[tuple[object, ...], str] = {}
    for key, each in found.items():
        same = (each.watch, each.force, each.period, each.rule.open_severity)
        if same in first:
            message = f"watches what {first[same]} does, as gravely: keep one of them"
            yield document.problem(("condition", key), message)
        first.setdefault(same, key)


def _condition(key: str, table: _ConditionTable) -> Condition:
    hold, keep = timedelta(seconds=table.hold_s), timedelta(seconds=table.keep_s)
    return Condition(
        id=key,
        watch=table.watch,
        raise_at=table.raise_at,
        clear_at=table.clear_at,
        rule=Rule(hold, keep, table.severity, table.severity),
        name=table.name.model_dump(),
        sentence=table.sentence.model_dump(),
        source=table.source,
        schedule=ALWAYS if table.schedule is None else _schedule(table.schedule),
        force=table.force,
        period=table.period,
    )


def _schedule(table: _ScheduleTable) -> Schedule:
    found = _HOURS.fullmatch(table.hours)
    assert found is not None, "its shape was checked"  # noqa: S101 - a belief
    hours = [int(part) for part in found.groups()]
    begin, end = hours[0] * 60 + hours[1], min(hours[2] * 60 + hours[3], MINUTES_A_DAY)
    return Schedule(frozenset(WEEK.index(each) for each in table.weekdays), begin, end)
