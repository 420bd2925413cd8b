"""Which alert may stand behind which, as data, and whether one does now. Pure.

A dead gateway silences its meters and spoils the figures of their units: one cause, one alert.
Rows are by what is watched (core.conditions.Watch), so every condition of a kind is folded alike.
Promise: what has a cause of its own is told late at most, by the bounds of its row, never not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from core import tomlfile
from core.alerts import State
from core.conditions import Subject, SubjectKind, Watch
from core.errors import Misconfigured
from core.folding import Cover, CoverKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime
    from uuid import UUID

    from core.plant import Plant

FILE: Final = "core/data/folding.toml"
MOST_WAIT_S: Final = 3_600  # later than this an alert is no alert any more
MOST_LINGER_S: Final = 7 * 86_400
MOST_HOVER_S: Final = 7 * 86_400
_RAISED: Final = frozenset({State.FIRING, State.CLEARING})
_ENDED: Final = frozenset({State.RESOLVED, State.PENDING})  # one that is pending was over before


@dataclass(frozen=True, slots=True)
class Behind:
    """What a watch may stand behind, nearest first, and for how long it waits and lingers."""

    parents: tuple[Watch, ...]
    wait: timedelta
    linger: timedelta


@dataclass(frozen=True, slots=True)
class Rules:
    """What is told as one: `quiet` times of what hovers, and what stands behind what."""

    exceedance_quiet: timedelta
    condition_quiet: timedelta
    behind: Mapping[Watch, Behind]

    def quiet(self, watch: Watch | None) -> timedelta:
        """Return how long an alert must have been over so that its return is a new story."""
        return self.exceedance_quiet if watch is None else self.condition_quiet

    @property
    def parents(self) -> frozenset[Watch]:
        """Return every watch that others may stand behind."""
        return frozenset(parent for each in self.behind.values() for parent in each.parents)

    @property
    def longest_linger(self) -> timedelta:
        """Return how long after its end an alert may still stand before others."""
        return max((each.linger for each in self.behind.values()), default=timedelta())


@dataclass(frozen=True, slots=True)
class Above:
    """An alert of a condition that others may stand behind, as it stands now."""

    alert: UUID
    watch: Watch
    subject: Subject
    severity: int
    state: State
    resolved_at: datetime | None


class Kin:
    """Whose trouble may be the cause of whose, in one plant.

    `senders` are the agents by point that send its readings, as far as that is known; a site's only
    agent sends all of its points.
    """

    def __init__(self, plant: Plant, senders: Mapping[str, Collection[str]]) -> None:
        self._plant = plant
        self._senders = senders
        self._agents: dict[str, set[str]] = {}
        for site, agent in plant.agents:
            self._agents.setdefault(site, set()).add(agent)

    def above(self, subject: Subject) -> frozenset[Subject]:
        """Return the causes there may be: itself, its points, their agents, its site.

        What belongs to no site has no cause but itself.
        """
        found = {subject}
        site = subject.site
        if site is None:
            return frozenset(found)
        found.add(Subject(SubjectKind.SITE, site))
        own = self._agents.get(site, set())
        if subject.kind is SubjectKind.SITE:
            found |= {_agent(site, agent) for agent in own}
        points = points_of(self._plant, subject)
        found |= {Subject(SubjectKind.POINT, point) for point in points}
        for point in points:
            sent_by = own.intersection(self._senders.get(point, ()))
            found |= {_agent(site, agent) for agent in sent_by or (own if len(own) == 1 else ())}
        return frozenset(found)


def points_of(plant: Plant, subject: Subject) -> list[str]:
    """Return the points that a subject is or has."""
    if subject.kind is SubjectKind.POINT:
        return [subject.id]
    if subject.kind is SubjectKind.UNIT:
        return [point.id for point in plant.points_of(subject.id)]
    if subject.kind is SubjectKind.SITE:
        return [point.id for point in plant.points.values() if point.site == subject.id]
    return []


def _agent(site: str, agent: str) -> Subject:
    return Subject(SubjectKind.AGENT, f"{site}.{agent}")


def cover(
    rule: Behind, raised_at: datetime, severity: int, over: Iterable[Above], at: datetime
) -> Cover | None:
    """Return what an alert stands behind or waits for, None where it is told for itself.

    `over` are the alerts on what is above its subject. Only one that is at least as severe may
    stand for it: whoever must hear of it has heard of that one.
    """
    found = [each for each in over if each.watch in rule.parents and each.severity >= severity]
    raised = [each for each in found if each.state in _RAISED]
    if raised:
        top = max(raised, key=lambda each: (rule.parents.index(each.watch), str(each.alert)))
        return Cover(CoverKind.BEHIND, None, top.alert)
    ended = [
        (each.resolved_at + rule.linger, rule.parents.index(each.watch), str(each.alert), each)
        for each in found
        if each.resolved_at is not None and each.state in _ENDED
    ]
    if ended:
        until, _, _, last = max(ended, key=lambda one: one[:3])
        if at < until:
            return Cover(CoverKind.BEHIND, until, last.alert)
    pending = any(each.state is State.PENDING for each in found)
    until = raised_at + (2 * rule.wait if pending else rule.wait)
    return Cover(CoverKind.WAITING, until) if at < until else None


class _HoverTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    exceedance_s: Annotated[int, Field(ge=60, le=MOST_HOVER_S)]
    condition_s: Annotated[int, Field(ge=60, le=MOST_HOVER_S)]
    source: Annotated[str, Field(min_length=3)]


class _BehindTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    watch: Watch
    parents: Annotated[tuple[Watch, ...], Field(min_length=1, max_length=8)]
    wait_s: Annotated[int, Field(ge=1, le=MOST_WAIT_S)]
    linger_s: Annotated[int, Field(ge=0, le=MOST_LINGER_S)]
    source: Annotated[str, Field(min_length=3)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    hover: _HoverTable
    behind: list[_BehindTable] = Field(default_factory=list)


def parse(text: str, name: str) -> Rules:
    """Read what is told as one; raises Misconfigured with every problem."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _File)
    behind: dict[Watch, Behind] = {}
    problems = []
    for position, row in enumerate(table.behind):
        if row.watch in behind:
            message = f"is a second row for {row.watch}: remove one"
            problems.append(document.problem(("behind", position, "watch"), message))
        behind[row.watch] = Behind(
            row.parents, timedelta(seconds=row.wait_s), timedelta(seconds=row.linger_s)
        )
    for position, row in enumerate(table.behind):
        if row.watch in _reached(behind, row.parents):
            message = f"lead from {row.watch} back to itself: neither would ever be told"
            problems.append(document.problem(("behind", position, "parents"), message))
    if problems:
        raise Misconfigured(problems)
    hover = table.hover
    return Rules(
        timedelta(seconds=hover.exceedance_s), timedelta(seconds=hover.condition_s), behind
    )


def _reached(behind: Mapping[Watch, Behind], parents: Iterable[Watch]) -> set[Watch]:
    """Return every watch above these."""
    found: set[Watch] = set()
    left = list(parents)
    while left:
        each = left.pop()
        if each not in found:
            found.add(each)
            left += behind[each].parents if each in behind else ()
    return found


@lru_cache(maxsize=1)
def rules() -> Rules:
    """Return the shipped rules."""
    path = resources.files("core") / "data" / "folding.toml"
    return parse(path.read_text("utf-8"), FILE)
