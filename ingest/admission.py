"""Admission: which readings of a message may enter the ledger, and why the others may not. Pure.

Promise: every reading of a message is admitted or is a dead letter with one reason of design 4.2;
a bad reading spoils itself and not its envelope; a message of a stranger, or one that cannot be
read or whose signature does not hold, advances nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from core import names, wire
from core.errors import Rejected
from core.quality import Quality
from ingest import decode
from store.dead_letters import Letter
from store.readings import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.exactmath import Bools, Int64s
    from core.names import Topic
    from ingest.declared import Declared

MOST_AHEAD_US: Final = 5 * 60 * 1_000_000
OLDEST_US: Final = 946_684_800_000_000  # 2000-01-01T00:00Z
MOST_VALUE: Final = float(2**53)
MOST_DECIMAL_COUNT: Final = float(2**32)  # beyond it a double does not tell millionths apart

_UNKNOWN: Final = -1
_FOREIGN: Final = -2


@dataclass(frozen=True, slots=True)
class Envelope:
    """What of one message is committed: `sequence` 0 means that there is no receipt."""

    site: str
    agent: str
    epoch: str
    sequence: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """One message after admission; `envelope` is None where nothing may advance."""

    topic: str
    rows: Rows
    letters: Sequence[Letter]
    envelope: Envelope | None


def admit(topic_text: str, payload: bytes, declared: Declared, now_us: int) -> Admitted:
    """Judge a message of `…/readings`; never raises for what a sender may do."""
    nothing = Rows.join([])
    try:
        topic = sender(topic_text, declared)
        decoded = _opened(topic, payload, declared)
    except Rejected as error:
        return Admitted(topic_text, nothing, [message_letter(topic_text, payload, error)], None)
    rows, letters = triage(topic, decoded, declared, now_us)
    envelope = Envelope(topic.site, topic.agent, decoded.epoch, decoded.sequence, decoded.oldest)
    return Admitted(topic_text, rows, letters, envelope)


def sender(topic_text: str, declared: Declared) -> Topic:
    """Return the topic of a declared agent; raises Rejected `unknown_agent`."""
    topic = names.parse_topic(topic_text)
    if topic is None or (topic.site, topic.agent) not in declared.plant.agents:
        raise Rejected(
            "the site declares no such agent: add it to the plant file and apply that",
            "unknown_agent",
        )
    return topic


def message_letter(topic_text: str, payload: bytes, error: Rejected) -> Letter:
    """Return the dead letter of a whole message."""
    parts = [*topic_text.split("/"), "", "", "", ""]
    return Letter(error.reason, topic_text, parts[2], parts[3], str(error), payload)


def _opened(topic: Topic, payload: bytes, declared: Declared) -> decode.Decoded:
    decoded = decode.decode(payload)
    key = declared.plant.agents[topic.site, topic.agent].key
    if key is not None and (decoded.packet is None or not wire.verify(decoded.packet, key)):
        raise Rejected("the message is not signed with the agent's declared key", "bad_signature")
    if decoded.agent != topic.agent:
        raise Rejected(
            f"the message names agent {decoded.agent[:80]!r}, its topic {topic.agent!r}",
            "unreadable",
        )
    return decoded


def triage(
    topic: Topic, decoded: decode.Decoded, declared: Declared, now_us: int
) -> tuple[Rows, list[Letter]]:
    """Return the readings of an opened message that may enter, and letters of the others."""
    numbers = _numbers(decoded.names, topic.site, declared)
    point_id = numbers[decoded.name] if len(numbers) else decoded.name
    bad = decoded.quality == Quality.BAD
    # Packed, a bad count without a value travels as zero: what a bad count says is not known.
    counts = declared.counter[np.maximum(point_id, 0)]
    value = np.where(bad & (counts | ~np.isfinite(decoded.value)), np.nan, decoded.value)
    rows = Rows(point_id, decoded.ts_us, value, decoded.quality)
    letters = [_refused_letter(topic, each) for each in decoded.refused]
    kept = np.ones(len(rows), np.bool_)
    for reason, detail, mask in _faults(rows, declared, now_us):
        hit = np.flatnonzero(mask & kept).tolist()
        letters.extend(_row_letter(topic, decoded, row, reason, detail) for row in hit)
        kept &= ~mask
    return (rows if kept.all() else rows.take(kept)), letters


def _numbers(points: Sequence[str], site: str, declared: Declared) -> Int64s:
    """Return the numbers of points as their site declares them; most are known."""
    found = list(map(declared.ids_by_site[site].get, points))
    if None not in found:
        return np.array(found, np.int64)
    pairs = zip(points, found, strict=True)
    known = (_stranger(point, site) if number is None else number for point, number in pairs)
    return np.fromiter(known, np.int64, len(found))


def _stranger(point: str, site: str) -> int:
    own = point.startswith(f"{site}.")
    return _FOREIGN if not own and names.is_point(point) else _UNKNOWN


def _faults(rows: Rows, declared: Declared, now_us: int) -> Iterator[tuple[str, str, Bools]]:
    """Yield (reason, sentence, mask) in the order in which a reading's first fault counts."""
    yield "wrong_site", "the point belongs to another site", rows.point_id == _FOREIGN
    yield "unknown_point", "no such point is declared", rows.point_id == _UNKNOWN
    ahead = rows.ts_us > now_us + MOST_AHEAD_US
    yield "future", "measured_at lies more than 5 minutes ahead", ahead
    yield "too_old", "measured_at lies before the year 2000", rows.ts_us < OLDEST_US
    archived = declared.retention.archived(rows.ts_us)
    yield "archived", "readings of that time are archived: restore the span first", archived
    missing = ~np.isfinite(rows.value) & (rows.quality != Quality.BAD)
    yield "not_a_number", "the value is no finite number and its quality not bad", missing
    size = np.abs(rows.value)
    over = size > MOST_VALUE
    counts = declared.counter[np.maximum(rows.point_id, 0)]
    broken = (size >= MOST_DECIMAL_COUNT) & (rows.value != np.rint(rows.value))
    sentence = "the value is too large to be kept exactly"
    yield "count_too_large", sentence, over | (counts & broken)


def _row_letter(
    topic: Topic, decoded: decode.Decoded, row: int, reason: str, detail: str
) -> Letter:
    point = decoded.names[int(decoded.name[row])]
    ts_us = int(decoded.ts_us[row])
    payload = decode.reading_json(
        point, ts_us, float(decoded.value[row]), int(decoded.quality[row])
    )
    return Letter(reason, str(topic), topic.site, topic.agent, detail, payload, point, ts_us)


def _refused_letter(topic: Topic, refused: decode.Refused) -> Letter:
    return Letter(
        refused.reason,
        str(topic),
        topic.site,
        topic.agent,
        refused.detail,
        refused.payload,
        refused.point,
        refused.measured_us,
    )


def stored_letters(
    topics: Sequence[str],
    row_topic: Int64s,
    rows: Rows,
    faults: Sequence[tuple[int, str, str]],
    declared: Declared,
) -> list[Letter]:
    """Return letters of rows that the store refused, given as (row, reason, sentence)."""
    letters: list[Letter] = []
    for row, reason, detail in faults:
        topic_text = topics[int(row_topic[row])]
        topic = names.parse_topic(topic_text)
        assert topic is not None, "an admitted row has a topic of ours"  # noqa: S101 - a belief
        point = declared.names[int(rows.point_id[row])]
        ts_us = int(rows.ts_us[row])
        payload = decode.reading_json(point, ts_us, float(rows.value[row]), int(rows.quality[row]))
        letters.append(
            Letter(reason, topic_text, topic.site, topic.agent, detail, payload, point, ts_us)
        )
    return letters
