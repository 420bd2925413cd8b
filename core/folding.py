"""What is told of an alert now, what is kept back, and what is owed at the end: a table, pure.

An alert is decided apart from being told (core.alerts). Between the two stands what the receivers
know of it. Promise: nothing is dropped in silence. What is kept back is told once nothing keeps it
back any more, if it still holds; whoever heard that an alert is raised hears that it is over; and
an alert that comes and goes is told as one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core.alerts import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from uuid import UUID


class Known(StrEnum):
    """What receivers know of an alert, and what they are owed."""

    UNKNOWN = "unknown"  # nobody was told of this episode, and nothing is owed
    OWED = "owed"  # it is raised, and kept back
    TOLD = "told"  # they know that it is raised
    STALE = "stale"  # they know that it is raised, and are owed a word when the silence ends
    ENDING = "ending"  # they know that it is raised; that it is over is told once it stays so
    OVER = "over"  # they know that it was raised and is over


class Event(StrEnum):
    """What happens to an alert or to what keeps it back; `_kept`: something keeps it back."""

    RAISED = "raised"
    RAISED_KEPT = "raised_kept"
    GREW = "grew"  # a closed period found it, or it is more severe
    GREW_KEPT = "grew_kept"
    REMINDED = "reminded"  # a clock of its case ran out
    REMINDED_KEPT = "reminded_kept"
    ENDED = "ended"
    ENDED_HOVERING = "ended_hovering"  # over, of an alert that came back within a day or so
    WITHDRAWN = "withdrawn"
    SILENCED = "silenced"  # somebody asked for quiet over what was told already
    FREED = "freed"  # nothing keeps it back any more, and it is still raised
    SETTLED = "settled"  # it stayed over for long enough


class Say(StrEnum):
    """What is said at a step."""

    NOTHING = "nothing"
    NOTICE = "notice"  # the very notice
    RAISED = "raised"  # that it is raised: those who hear it knew nothing
    OWED = "owed"  # the gravest word that was kept back
    ENDED = "ended"  # that it is over


# Rule 1: what is not in this table changes nothing and is told to nobody.
TABLE: Final[Mapping[tuple[Known, Event], tuple[Known, Say]]] = {
    (Known.UNKNOWN, Event.RAISED): (Known.TOLD, Say.NOTICE),
    (Known.UNKNOWN, Event.RAISED_KEPT): (Known.OWED, Say.NOTHING),
    (Known.OWED, Event.GREW): (Known.TOLD, Say.RAISED),
    (Known.OWED, Event.FREED): (Known.TOLD, Say.RAISED),
    (Known.OWED, Event.ENDED): (Known.UNKNOWN, Say.NOTHING),
    (Known.OWED, Event.ENDED_HOVERING): (Known.UNKNOWN, Say.NOTHING),
    (Known.OWED, Event.WITHDRAWN): (Known.UNKNOWN, Say.NOTHING),
    (Known.TOLD, Event.GREW): (Known.TOLD, Say.NOTICE),
    (Known.TOLD, Event.GREW_KEPT): (Known.STALE, Say.NOTHING),
    (Known.TOLD, Event.REMINDED): (Known.TOLD, Say.NOTICE),
    (Known.TOLD, Event.REMINDED_KEPT): (Known.STALE, Say.NOTHING),
    (Known.TOLD, Event.SILENCED): (Known.STALE, Say.NOTHING),
    (Known.TOLD, Event.ENDED): (Known.OVER, Say.NOTICE),
    (Known.TOLD, Event.ENDED_HOVERING): (Known.ENDING, Say.NOTHING),
    (Known.TOLD, Event.WITHDRAWN): (Known.OVER, Say.NOTICE),
    (Known.STALE, Event.GREW): (Known.TOLD, Say.NOTICE),
    (Known.STALE, Event.GREW_KEPT): (Known.STALE, Say.NOTHING),
    (Known.STALE, Event.REMINDED): (Known.TOLD, Say.NOTICE),
    (Known.STALE, Event.REMINDED_KEPT): (Known.STALE, Say.NOTHING),
    (Known.STALE, Event.FREED): (Known.TOLD, Say.OWED),
    (Known.STALE, Event.ENDED): (Known.OVER, Say.NOTICE),
    (Known.STALE, Event.ENDED_HOVERING): (Known.ENDING, Say.NOTHING),
    (Known.STALE, Event.WITHDRAWN): (Known.OVER, Say.NOTICE),
    (Known.ENDING, Event.RAISED): (Known.TOLD, Say.NOTHING),
    (Known.ENDING, Event.RAISED_KEPT): (Known.TOLD, Say.NOTHING),
    (Known.ENDING, Event.REMINDED): (Known.ENDING, Say.NOTICE),
    (Known.ENDING, Event.REMINDED_KEPT): (Known.ENDING, Say.NOTICE),
    (Known.ENDING, Event.WITHDRAWN): (Known.OVER, Say.NOTICE),
    (Known.ENDING, Event.SETTLED): (Known.OVER, Say.ENDED),
    (Known.OVER, Event.RAISED): (Known.TOLD, Say.NOTICE),
    (Known.OVER, Event.RAISED_KEPT): (Known.OWED, Say.NOTHING),
    # The alert is over, its case is not: what it is quiet about is no longer the case's matter.
    (Known.OVER, Event.REMINDED): (Known.OVER, Say.NOTICE),
    (Known.OVER, Event.REMINDED_KEPT): (Known.OVER, Say.NOTICE),
    (Known.OVER, Event.WITHDRAWN): (Known.OVER, Say.NOTICE),
}
_EVENTS: Final[Mapping[Notice, tuple[Event, Event]]] = {  # of a notice: free, and kept back
    Notice.FIRING: (Event.RAISED, Event.RAISED_KEPT),
    Notice.FINDING: (Event.GREW, Event.GREW_KEPT),
    Notice.OVERDUE: (Event.REMINDED, Event.REMINDED_KEPT),
    Notice.ESCALATED: (Event.REMINDED, Event.REMINDED_KEPT),
    Notice.WITHDRAWN: (Event.WITHDRAWN, Event.WITHDRAWN),
}
_GRAVITY: Final = (Notice.FIRING, Notice.FINDING, Notice.OVERDUE, Notice.ESCALATED)
WAITING: Final = frozenset({Known.OWED, Known.STALE, Known.ENDING})  # time alone may move these


class CoverKind(StrEnum):
    """What keeps an alert from being told."""

    WAITING = "waiting"  # what it may stand behind has not had its chance to be raised
    BEHIND = "behind"  # it stands behind an alert that is raised, or was until a moment ago
    SHELVED = "shelved"
    PLANNED_OUTAGE = "planned_outage"
    START_UP = "start_up"
    FORCE_MAJEURE = "force_majeure"


SILENCING: Final = frozenset(CoverKind) - {CoverKind.WAITING, CoverKind.BEHIND}


@dataclass(frozen=True, slots=True)
class Cover:
    """What keeps an alert back: until when, where that is known, and by which alert or silence."""

    kind: CoverKind
    until: datetime | None = None
    alert: UUID | None = None
    silence: UUID | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of the telling of one alert.

    `since` is when it entered `known`; `owed` the gravest word kept back; `over_at` when receivers
    were last told that it is over; `hovers` tells that it came back soon after that. What was
    withdrawn was never so, and its return is no hovering.
    """

    known: Known = Known.UNKNOWN
    since: datetime | None = None
    owed: Notice | None = None
    cover: Cover | None = None
    over_at: datetime | None = None
    hovers: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What follows: how the alert stands now, and what is told, None: nothing.

    `event` is None where only what keeps it back has changed.
    """

    standing: Standing
    told: Notice | None = None
    event: Event | None = None


def take(
    standing: Standing, notice: Notice, cover: Cover | None, at: datetime, quiet: timedelta
) -> Step:
    """Return what follows from a notice, with what keeps it back now.

    `quiet` is how long an alert must have been over so that its return is a new story.
    """
    if notice is Notice.RESOLVED:
        return _step(standing, _ended(standing), notice, None, at)
    free, kept = _EVENTS[notice]
    if notice is Notice.FIRING and standing.known is Known.OVER:
        soon = standing.over_at is not None and at - standing.over_at < quiet
        standing = replace(standing, hovers=soon)
    return _step(standing, free if cover is None else kept, notice, cover, at)


def wait(
    standing: Standing, cover: Cover | None, at: datetime, quiet: timedelta, *, raised: bool
) -> Step | None:
    """Return what follows from time alone, None where nothing does; `raised`: it still is."""
    known = standing.known
    if known is Known.ENDING:
        stayed = standing.since is not None and at - standing.since >= quiet
        event = Event.SETTLED if stayed and not raised else None
    elif not raised:
        event = None
    elif cover is None:
        event = Event.FREED if known in WAITING else None
    else:
        silenced = known is Known.TOLD and cover.kind in SILENCING
        event = Event.SILENCED if silenced else None
    if event is not None:
        return _step(standing, event, Notice.FIRING, cover, at)
    if known in {Known.OWED, Known.STALE} and cover != standing.cover and cover is not None:
        return Step(replace(standing, cover=cover))
    return None


def _ended(standing: Standing) -> Event:
    return Event.ENDED_HOVERING if standing.hovers else Event.ENDED


def _step(
    before: Standing, event: Event, notice: Notice, cover: Cover | None, at: datetime
) -> Step:
    found = TABLE.get((before.known, event))
    if found is None:
        return Step(before, None, event)
    known, say = found
    told = _told(say, notice, before)
    kept_back = known in {Known.OWED, Known.STALE}
    after = replace(
        before,
        known=known,
        since=before.since if known is before.known else at,
        owed=_graver(before.owed, notice) if kept_back else None,
        cover=cover if kept_back else None,
        over_at=at if told is Notice.RESOLVED else before.over_at,
        hovers=before.hovers and known is not Known.OVER,
    )
    return Step(after, told, event)


def _told(say: Say, notice: Notice, before: Standing) -> Notice | None:
    said = {
        Say.NOTHING: None,
        Say.NOTICE: notice,
        Say.RAISED: Notice.FIRING,
        Say.OWED: before.owed or Notice.FIRING,
        Say.ENDED: Notice.RESOLVED,
    }
    return said[say]


def _graver(one: Notice | None, other: Notice) -> Notice:
    return max(filter(None, (one, other)), key=_GRAVITY.index)


def diagram() -> str:
    """Return the table as a Mermaid state diagram, as docs/alerts.md shows it."""
    lines = ["stateDiagram-v2", f"    [*] --> {Known.UNKNOWN}"]
    edges: dict[tuple[Known, Known, Say], list[Event]] = {}
    for (before, event), (after, say) in TABLE.items():
        edges.setdefault((before, after, say), []).append(event)
    for (before, after, say), events in edges.items():
        told = "" if say is Say.NOTHING else f" / {say}"
        lines.append(f"    {before} --> {after}: {', '.join(events)}{told}")
    return "\n".join(lines)
