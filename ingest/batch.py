"""A batch of arrivals after admission, and its one transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import output, wire
from core.clock import to_us
from core.errors import Rejected
from core.quality import Quality
from ingest import admission, gaps
from store import agents, dead_letters, readings, slots
from store import output as facts_store
from store.agents import Epoch
from store.readings import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.exactmath import Int64s
    from core.output import OutputFact
    from core.progress import Progress
    from core.wire import Status
    from ingest.declared import Declared
    from ingest.gaps import Change
    from ingest.source import Arrival
    from store.dead_letters import Letter
    from store.readings import Stored, Watermarks


DAY_US: Final = 86_400_000_000
KINDS: Final = frozenset({"readings", "output", "status"})
UNDECLARED: Final = frozenset({"unknown_agent", "unknown_point", "unknown_unit", "bad_signature"})


@dataclass(frozen=True, slots=True)
class Fact:
    """A production fact that was admitted, and who sent it as what."""

    arrival: Arrival
    site: str
    source: str
    fact: OutputFact


@dataclass(slots=True)
class Batch:
    """Everything of some arrivals that one transaction stores."""

    arrivals: Sequence[Arrival]
    topics: list[str] = field(default_factory=list)
    rows: Rows = field(default_factory=lambda: Rows.join([]))
    row_topic: Int64s = field(default_factory=lambda: np.empty(0, np.int64))
    envelopes: list[admission.Envelope] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    fact_receipts: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    statuses: dict[tuple[str, str], Status] = field(default_factory=dict)
    letters: list[Letter] = field(default_factory=list)
    strays: int = 0

    @property
    def sites(self) -> set[str]:
        """Return the sites that the topics name, declared or not."""
        return {site_in(topic) for topic in [*(a.topic for a in self.arrivals), *self.topics]}

    @property
    def undeclared(self) -> bool:
        """Tell whether a letter speaks of something that may have been declared meanwhile."""
        return any(letter.reason in UNDECLARED for letter in self.letters)


@dataclass(frozen=True, slots=True)
class Committed:
    """What a transaction stored; `marks` are those of the slots that it touched."""

    stored: Stored
    marks: Sequence[int]
    progress: Mapping[Epoch, Progress]
    letters: int
    facts: int
    gaps: Mapping[Epoch, Change] = field(default_factory=dict)


def site_in(topic: str) -> str:
    """Return the site that a topic names, declared or not; empty where it is none of ours."""
    parts = topic.split("/", 3)
    return parts[2] if len(parts) > 3 else ""  # noqa: PLR2004 - danhao, v1, site, the rest


def admit(arrivals: Sequence[Arrival], declared: Declared, now: datetime) -> Batch:
    """Judge arrivals of any kind; never raises for what a sender may do. Pure."""
    batch = Batch(arrivals)
    parts: list[Rows] = []
    now_us = to_us(now)
    for arrival in arrivals:
        kind = arrival.topic.rpartition("/")[2]
        if kind not in KINDS:
            # amqtt sends back what we published ourselves when a session is taken up again.
            batch.strays += 1
            continue
        try:
            if kind == "output":
                _admit_fact(batch, arrival, declared, now_us)
            elif kind == "status":
                _admit_status(batch, arrival, declared)
            else:
                _admit_readings(batch, parts, arrival, declared, now_us)
        except Rejected as error:
            batch.letters.append(admission.message_letter(arrival.topic, arrival.payload, error))
    batch.rows = Rows.join(parts)
    batch.row_topic = np.repeat(
        np.arange(len(parts)), np.array([len(part) for part in parts], np.int64)
    )
    return batch


def cut(batch: Batch) -> tuple[Batch, Batch]:
    """Return a batch's older readings, and the rest of it with everything else. Pure.

    A sender is told of its message with the second part only, so both must be stored.
    """
    order = np.argsort(batch.rows.ts_us, kind="stable")
    middle = len(order) // 2
    older, newer = np.sort(order[:middle]), np.sort(order[middle:])
    first = Batch((), batch.topics, batch.rows.take(older), batch.row_topic[older])
    rest = replace(batch, rows=batch.rows.take(newer), row_topic=batch.row_topic[newer])
    return first, rest


def one_day(batch: Batch) -> bool:
    """Tell whether all readings of a batch are of one day: cutting it further would not help."""
    days = batch.rows.ts_us // DAY_US
    return not len(days) or int(days.min()) == int(days.max())


def refuse_rows(batch: Batch, error: Rejected, declared: Declared) -> Batch:
    """Return a batch without its readings: each of them is a letter of what the store said."""
    reason = error.reason if error.reason in {"archived", "too_old"} else "unreadable"
    faults = [(row, reason, str(error)) for row in range(len(batch.rows))]
    letters = admission.stored_letters(batch.topics, batch.row_topic, batch.rows, faults, declared)
    none = np.empty(0, np.int64)
    return replace(
        batch,
        rows=batch.rows.take(none),
        row_topic=none,
        letters=[*batch.letters, *letters],
    )


def refuse(arrival: Arrival, why: str) -> Batch:
    """Return the batch of a message that the database itself cannot hold."""
    batch = Batch([arrival])
    error = Rejected(f"the store cannot hold this message: {why}", "unreadable")
    batch.letters.append(admission.message_letter(arrival.topic, arrival.payload, error))
    return batch


async def write(
    connection: AsyncConnection[Any],
    batch: Batch,
    declared: Declared,
    marks: Watermarks | None,
    now: datetime,
) -> Committed:
    """Store a batch in the caller's transaction; raises as store.readings.write does."""
    stored = await readings.write(connection, batch.rows, now, marks, declared.interval_us)
    touched = await slots.touch_rows(connection, stored.new, declared.gives_energy)
    letters = [*batch.letters, *_row_letters(batch, stored, declared)]
    stored_facts = 0
    for fact in batch.facts:
        outcome = await facts_store.write(connection, fact.fact, fact.source, now)
        stored_facts += outcome == "stored"
        if outcome == "conflict":
            detail = (
                f"revision {fact.fact.revision} of {fact.fact.id!r} is stored with other content:"
                " send a higher revision to correct it"
            )
            error = Rejected(detail, "conflict")
            arrival = fact.arrival
            letter = admission.message_letter(arrival.topic, arrival.payload, error)
            letters.append(replace(letter, measured_us=fact.fact.at_us))
    for (site, agent), status in batch.statuses.items():
        await agents.report(connection, site, agent, status, now)
    before, progress = await _advance(connection, batch, now)
    written = await dead_letters.write(connection, letters, now)
    changes = {epoch: gaps.change(before[epoch], state) for epoch, state in progress.items()}
    holes = {epoch: change for epoch, change in changes.items() if change}
    return Committed(stored, touched, progress, written, stored_facts, holes)


async def _advance(
    connection: AsyncConnection[Any], batch: Batch, now: datetime
) -> tuple[dict[Epoch, Progress], dict[Epoch, Progress]]:
    """Return the progress of the epochs that sent something, before and after."""
    came: dict[Epoch, tuple[list[int], int]] = {}
    for each in batch.envelopes:
        if each.sequence == 0:
            continue
        epoch = Epoch(each.site, each.agent, each.epoch)
        sequences, oldest = came.get(epoch, ([], 1))
        sequences.append(each.sequence)
        came[epoch] = (sequences, max(oldest, min(each.oldest, each.sequence)))
    before = await agents.progress(connection, came)
    after = {
        epoch: before[epoch].add(sequences, oldest) for epoch, (sequences, oldest) in came.items()
    }
    changed = {epoch: state for epoch, state in after.items() if state != before[epoch]}
    await agents.save(connection, changed, now)
    return before, after


def _row_letters(batch: Batch, stored: Stored, declared: Declared) -> list[Letter]:
    faults: list[tuple[int, str, str]] = []
    for row, value, quality in zip(
        stored.conflicts.tolist(),
        stored.kept_value.tolist(),
        stored.kept_quality.tolist(),
        strict=True,
    ):
        kept = f"{value!r} ({Quality(quality).word})"
        offered = f"{float(batch.rows.value[row])!r} ({Quality(batch.rows.quality[row]).word})"
        detail = f"at this instant {kept} came first and stays; {offered} was offered"
        faults.append((row, "conflict", detail))
    detail = "the span lies inside another interval of the point"
    faults.extend((row, "overlap", detail) for row in stored.overlaps.tolist())
    return admission.stored_letters(batch.topics, batch.row_topic, batch.rows, faults, declared)


def _admit_readings(
    batch: Batch, parts: list[Rows], arrival: Arrival, declared: Declared, now_us: int
) -> None:
    admitted = admission.admit(arrival.topic, arrival.payload, declared, now_us)
    batch.letters.extend(admitted.letters)
    batch.topics.append(arrival.topic)
    parts.append(admitted.rows)
    if admitted.envelope is not None:
        batch.envelopes.append(admitted.envelope)


def _admit_status(batch: Batch, arrival: Arrival, declared: Declared) -> None:
    if not arrival.payload:
        return  # a retained status that somebody cleared
    topic = admission.sender(arrival.topic, declared)
    status = wire.Status.from_json(arrival.payload)
    if status.epoch != dead_letters.clean(status.epoch):
        raise Rejected("the epoch holds characters that are no text", "unreadable")
    batch.statuses[topic.site, topic.agent] = status


def _admit_fact(batch: Batch, arrival: Arrival, declared: Declared, now_us: int) -> None:
    topic = admission.sender(arrival.topic, declared)
    receipts = batch.fact_receipts.setdefault((topic.site, topic.agent), [])
    if len(arrival.payload) > wire.MOST_PAYLOAD_BYTES:
        raise Rejected(f"a message of {len(arrival.payload)} bytes is too large", "too_large")
    try:
        fact = output.parse(arrival.payload, now_us)
        _check_unit(fact, topic.site, declared)
        _check_text(fact)
    except Rejected:
        # A dead letter is kept here, so its publisher need not send it again either.
        receipts.extend(_id_of(arrival.payload))
        raise
    receipts.append(fact.id)
    batch.facts.append(Fact(arrival, topic.site, topic.agent, fact))


def _check_unit(fact: OutputFact, site: str, declared: Declared) -> None:
    if fact.site != site:
        raise Rejected(f"unit {fact.unit!r} belongs to another site", "wrong_site")
    if fact.unit not in declared.plant.units:
        raise Rejected(
            f"unit {fact.unit!r} is not declared: add it to the plant file", "unknown_unit"
        )


def _check_text(fact: OutputFact) -> None:
    for text in (fact.id, fact.unit, *fact.grades, *fact.grades.values()):
        if text != dead_letters.clean(text):
            raise Rejected("the fact holds characters that are no text", "unreadable")


def _id_of(payload: bytes) -> list[str]:
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        return []
    found = data.get("id") if isinstance(data, dict) else None
    if isinstance(found, str) and 0 < len(found) <= output.MOST_ID_CHARS:
        return [dead_letters.clean(found)]
    return []
