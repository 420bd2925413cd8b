"""How a sender stands with a platform, and how one figure stands with it: two tables.

Rule 1: nothing else changes either state. Promise: a figure leaves `waiting` only by the platform's
acceptance, by a newer figure of the same period, or by its age; every answer that is not an
acceptance in the mapping's own words is no acceptance.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from core import sending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.nationalreport import Names

LEAST_BACK_OFF_S: Final = 2.0
MOST_BACK_OFF_S: Final = 600.0  # a platform that comes back is found within ten minutes
LEAST_REFUSED_S: Final = 60.0
MOST_REFUSED_S: Final = 6 * 3600.0  # a wrong code is mended by people, hours later
BEAT_S: Final = 300.0
MOST_TEXT_CHARS: Final = 300
_MOST_CODE_CHARS: Final = 50


class State(StrEnum):
    """How far a sender has come with a platform."""

    STRANGER = "stranger"  # must register
    REGISTERED = "registered"  # has an address and a session, needs the tables of codes
    INFORMED = "informed"  # has the tables, must declare its meters
    READY = "ready"  # sends data


class Event(StrEnum):
    """What an answer means for the session."""

    DONE = "done"  # the operation was accepted
    STALE = "stale"  # the platform does not know the session
    REFUSED = "refused"  # understood, and not taken
    OUT = "out"  # no answer, or none that can be understood: try again
    NEW_TABLES = "new_tables"  # a beat told of another version
    NEW_METERS = "new_meters"  # our declaration of meters has changed


# The operation that is due in each state; in READY it is `data`, or `beat` where nothing waits.
OPERATION: Final[Mapping[State, str]] = {
    State.STRANGER: "register",
    State.REGISTERED: "tables",
    State.INFORMED: "meters",
    State.READY: "data",
}
TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.STRANGER, Event.DONE): State.REGISTERED,
    (State.REGISTERED, Event.DONE): State.INFORMED,
    (State.INFORMED, Event.DONE): State.READY,
    (State.READY, Event.DONE): State.READY,
    (State.READY, Event.NEW_TABLES): State.REGISTERED,
    (State.READY, Event.NEW_METERS): State.INFORMED,
    **{(state, Event.STALE): State.STRANGER for state in State},
    **{(state, Event.OUT): state for state in State},
    # A refusal of the session's own steps begins anew; one of data concerns the data.
    (State.STRANGER, Event.REFUSED): State.STRANGER,
    (State.REGISTERED, Event.REFUSED): State.STRANGER,
    (State.INFORMED, Event.REFUSED): State.INFORMED,
    (State.READY, Event.REFUSED): State.READY,
    # What is learnt before it matters changes nothing: the steps to come take it in.
    **{(state, Event.NEW_TABLES): state for state in State if state is not State.READY},
    **{(state, Event.NEW_METERS): state for state in State if state is not State.READY},
}


class Told(StrEnum):
    """How one figure stands with one platform."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    SUPERSEDED = "superseded"  # a newer figure of the same period goes in its place
    EXPIRED = "expired"  # older than anybody keeps: told as lost


class Outcome(StrEnum):
    """What happened to a figure."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    KEPT = "kept"  # neither: it stays as it is
    NEWER = "newer"
    AGED = "aged"


FIGURES: Final[Mapping[tuple[Told, Outcome], Told]] = {
    (Told.WAITING, Outcome.ACCEPTED): Told.ACCEPTED,
    (Told.WAITING, Outcome.REFUSED): Told.WAITING,
    (Told.WAITING, Outcome.KEPT): Told.WAITING,
    (Told.WAITING, Outcome.NEWER): Told.SUPERSEDED,
    (Told.WAITING, Outcome.AGED): Told.EXPIRED,
    # What is settled stays settled; an acceptance that comes late is one none the less.
    (Told.SUPERSEDED, Outcome.ACCEPTED): Told.ACCEPTED,
    (Told.EXPIRED, Outcome.ACCEPTED): Told.ACCEPTED,
    **{(Told.ACCEPTED, outcome): Told.ACCEPTED for outcome in Outcome},
    **{
        (state, outcome): state
        for state in (Told.SUPERSEDED, Told.EXPIRED)
        for outcome in Outcome
        if outcome is not Outcome.ACCEPTED
    },
}


def step(state: State, event: Event) -> State:
    """Return the session's next state."""
    return TRANSITIONS[state, event]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read by the mapping: the event, one sentence, the operation's own fields."""

    event: Event
    sentence: str
    fields: Mapping[str, Any]


def read(names: Names, operation: str, status: int, body: bytes) -> Answer:
    """Judge an answer; whatever is not the mapping's word for acceptance is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return Answer(Event.OUT, f"answered {status} without JSON", {})
    if not isinstance(found, dict):
        return Answer(Event.OUT, f"answered {status} with JSON that is no object", {})
    code = found.get(names.reply["code"])
    message = found.get(names.reply["message"])
    told = line(f"answered {status}, {_shown(code)} {message if message is not None else ''}")
    words = {value: word for word, value in names.codes["reply"].items()}
    word = words.get(code) if isinstance(code, str) else None
    if word == "accepted":
        return _accepted(names, operation, status, found, told)
    if word is None:
        told = line(f"{told}: a code that the mapping does not know")
    return Answer(_EVENTS.get(word or "", Event.OUT), told, {})


_EVENTS: Final = {"unknown_session": Event.STALE, "refused": Event.REFUSED, "busy": Event.OUT}


def _accepted(
    names: Names, operation: str, status: int, found: Mapping[str, Any], told: str
) -> Answer:
    if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's range of success
        return Answer(Event.OUT, line(f"{told}: accepted by its code, not by its status"), {})
    reply = names.operations[operation].reply
    fields = {key: found[name] for key, name in reply.items() if name in found}
    missing = sorted(set(reply) - set(fields))
    if missing:
        return Answer(Event.OUT, line(f"{told}: without {', '.join(missing)}"), {})
    return Answer(Event.DONE, told, fields)


def line(text: str) -> str:
    """Return what is kept of a text: one line, bounded."""
    return sending.one_line(text, MOST_TEXT_CHARS)


def _shown(code: object) -> str:
    return "without a code" if code is None else repr(code)[:_MOST_CODE_CHARS]


def diagram() -> str:
    """Return the session's table as the documents show it."""
    rows = ["| state | due | " + " | ".join(event.value for event in Event) + " |"]
    rows.append("|---" * (len(Event) + 2) + "|")
    for state in State:
        cells = [TRANSITIONS[state, event].value for event in Event]
        shown = [cell if cell != state.value else "-" for cell in cells]
        rows.append(f"| {state.value} | `{OPERATION[state]}` | " + " | ".join(shown) + " |")
    return "\n".join(rows)
