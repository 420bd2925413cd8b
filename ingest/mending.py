"""Dead letters back on the one road: mended by a person, replayed as if they came now.

A letter is a whole message, or one reading of a message whose other readings went in. Promise: a
replay goes through the same admission and the same transaction as an arrival, so twice is once;
the letter stays and says how it ended; a letter of which only the beginning is kept is told so.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from psycopg import errors as pg

from core import periods
from core.clock import to_us
from core.errors import Rejected, Retryable
from core.quality import Quality
from ingest import admission, declared, decode
from ingest import batch as batches
from ingest.source import Arrival
from store import dead_letters, plants, readings, retention, slots
from store import output as facts_store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from ingest.batch import Batch, Committed
    from ingest.declared import Declared
    from store.connection import Pool
    from store.dead_letters import Kept, Wanted

MOST_TOGETHER: Final = 100  # letters in one transaction
MOST_LOST_RACES: Final = 5
MOST_STEPS: Final = 8  # of a path into a message
LOOK_S: Final = 2.0  # somebody asked through the API and waits


@dataclass(frozen=True, slots=True)
class Replayed:
    """One letter and how its replay ended: a word of dead_letters.OUTCOMES and a sentence."""

    id: int
    outcome: str
    detail: str


# -- pure ----------------------------------------------------------------------------------------


def is_reading(topic: str, payload: bytes) -> bool:
    """Tell whether a letter is one reading, as admission keeps it, and not a whole message."""
    if not topic.endswith("/readings"):
        return False
    data = _json(payload)
    return isinstance(data, dict) and "point" in data and "readings" not in data


def opened(payload: bytes, agent: str) -> decode.Decoded:
    """Return one reading as the decoder gives it; raises Rejected where it is none."""
    data = _json(payload)
    assert isinstance(data, dict), "is_reading was asked"  # noqa: S101 - a belief
    try:
        reading = {
            "point": data["point"],
            "measured_at": data.get("measured_at") or periods.render_utc(data["measured_us"]),
            "value": _number(data.get("value")),
            "quality": _word(data.get("quality", "good")),
        }
        message = json.dumps({"agent": agent, "readings": [reading]}).encode()
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Rejected(f"the reading is unreadable: {error!r}", "unreadable") from error
    return decode.decode(message)


def mended(payload: bytes, changes: Mapping[str, Any]) -> bytes:
    """Return a JSON payload with fields set; a path such as readings.0.point goes into it.

    Raises Rejected for a packed payload, and for a path that does not exist.
    """
    data = _json(payload)
    if not isinstance(data, (dict, list)):
        raise Rejected(
            "the letter is packed or no JSON: its fields cannot be set; give it whole with"
            " --payload FILE, or apply the plant file and replay it"
        )
    for path, value in changes.items():
        _set(data, path, value)
        if path == "measured_at" and isinstance(data, dict):
            data.pop("measured_us", None)
    return json.dumps(data, ensure_ascii=True).encode()


def _set(data: Any, path: str, value: Any) -> None:
    *way, last = path.split(".")
    if len(way) > MOST_STEPS:
        raise Rejected(f"{path!r} has more than {MOST_STEPS} steps")
    place = data
    try:
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place[last] = value
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise Rejected(f"the letter has no {path!r}: look with `dead-letters show`") from error


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None


def _number(value: Any) -> Any:
    """Return a value as the wire has it: refused ones are kept as text, exactly as they were."""
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def _word(quality: Any) -> str:
    return Quality(quality).word if isinstance(quality, int) else str(quality)


def _batch(kept: Kept, tables: Declared, now: datetime) -> Batch:
    """Judge a letter as an arrival of now; raises Rejected where it can never be one."""
    topic_text = kept.mended_topic or kept.topic
    payload = kept.payload if kept.mended_payload is None else kept.mended_payload
    if topic_text.endswith("/status"):
        raise Rejected("a status speaks of its own moment and is not replayed")
    arrival = Arrival(topic_text, payload, lambda: None)
    if not is_reading(topic_text, payload):
        found = batches.admit([arrival], tables, now)
        if found.strays:
            raise Rejected(
                f"the topic {topic_text!r} is none that readings or facts come by: mend it with"
                " --topic",
                "unreadable",
            )
        return found
    # The signature of its message held when it came; the reading alone has none.
    topic = admission.sender(topic_text, tables)
    rows, letters = admission.triage(topic, opened(payload, topic.agent), tables, to_us(now))
    found = batches.Batch([arrival], topics=[str(topic)], rows=rows)
    found.row_topic = np.zeros(len(rows), np.int64)
    found.letters.extend(letters)
    return found


# -- the store -----------------------------------------------------------------------------------


async def replay(
    connection: AsyncConnection[Any], kept: Kept, tables: Declared, who: str, now: datetime
) -> Replayed:
    """Send one letter through admission again and write down how it ended, in one transaction.

    Raises as store.readings.write does where somebody else wrote at the same moment.
    """
    if kept.cut:
        told = (
            "cut",
            (
                f"only the first {len(kept.payload)} of {kept.payload_bytes} bytes are kept: have"
                " it sent again from where it came, or mend it with a whole payload"
            ),
        )
    else:
        try:
            async with connection.transaction():
                told = await _admit(connection, kept, tables, now)
        except (Rejected, pg.DataError) as error:
            reason = error.reason if isinstance(error, Rejected) else "unreadable"
            told = ("refused", f"{reason}: {str(error).splitlines()[0]}")
    await dead_letters.settle(connection, kept.id, told, who, now)
    return Replayed(kept.id, *told)


async def _admit(
    connection: AsyncConnection[Any], kept: Kept, tables: Declared, now: datetime
) -> tuple[str, str]:
    batch = _batch(kept, tables, now)
    done = await batches.write(connection, batch, tables, None, now)
    new = done.stored.new
    metered = new.take(tables.gives_energy[new.point_id])
    # The worker that computes has not seen these readings go by: it must look into the store.
    await slots.touch(
        connection,
        zip(
            metered.point_id.tolist(),
            metered.ts_us.tolist(),
            (metered.ts_us + 1).tolist(),
            strict=True,
        ),
    )
    return await _outcome(connection, batch, done, now)


async def _outcome(
    connection: AsyncConnection[Any], batch: Batch, done: Committed, now: datetime
) -> tuple[str, str]:
    """Say what became of a letter, in a word and a sentence."""
    stored, refused = done.stored, [letter.reason for letter in batch.letters]
    refused += ["conflict"] * len(stored.conflicts) + ["overlap"] * len(stored.overlaps)
    for each in batch.facts:
        if await facts_store.write(connection, each.fact, each.source, now) == "conflict":
            refused.append("conflict")
    rest = ""
    if refused:
        word = max(sorted(set(refused)), key=refused.count)
        rest = f"{len(refused)} refused, most of them {word}: each is a letter"
    if len(stored.new) or done.facts:
        what = f"{len(stored.new)} readings, {done.facts} facts stored"
        return "stored", f"{what}; {rest}" if rest else what
    if not refused:
        return "same", "the ledger has it already"
    details = [letter.detail for letter in batch.letters]
    if len(refused) == 1:
        return "refused", f"{refused[0]}: {details[0]}" if details else refused[0]
    return "refused", rest


async def replay_all(
    pool: Pool,
    ids: Sequence[int],
    who: str,
    clock: Callable[[], datetime],
    watch: Callable[[int, int], None] = lambda *_: None,
) -> list[Replayed]:
    """Replay letters by id, oldest first, MOST_TOGETHER in a transaction."""
    found: list[Replayed] = []
    ordered = sorted(ids)
    for begin in range(0, len(ordered), MOST_TOGETHER):
        wanted = dead_letters.Wanted(ids=ordered[begin : begin + MOST_TOGETHER])
        found += await _together(pool, wanted, who, clock)
        watch(min(begin + MOST_TOGETHER, len(ordered)), len(ordered))
    return found


async def _together(
    pool: Pool, wanted: Wanted | None, who: str | None, clock: Callable[[], datetime]
) -> list[Replayed]:
    """Replay some letters in one transaction; without `wanted` those that were asked for."""
    for _ in range(MOST_LOST_RACES):
        try:
            async with pool.connection() as connection:
                if wanted is None:
                    letters = await dead_letters.asked(connection, MOST_TOGETHER)
                else:
                    letters = await dead_letters.page(
                        connection, wanted, limit=MOST_TOGETHER, lock=True
                    )
                if not letters:
                    return []
                now = clock()
                loaded = await plants.load(connection)
                kept = await retention.load(connection)
                tables = declared.build(loaded.plant, loaded.ids, now, kept)
                return [
                    await replay(connection, each, tables, who or each.asked_by or "", now)
                    for each in sorted(letters, key=lambda each: each.id)
                ]
        except (pg.UniqueViolation, readings.LostRaceError):
            continue  # the transaction is rolled back: look again
    raise Retryable("another writer stores the same readings at the same moment: replay again")


class Mender:
    """Replays what people ask for through the API; one a worker, and they share the work."""

    def __init__(self, pool: Pool, clock: Callable[[], datetime]) -> None:
        self._pool = pool
        self._clock = clock
        self.replayed = 0

    async def run(self) -> None:
        """Look for ever."""
        while True:
            while await self.step():
                pass
            await asyncio.sleep(LOOK_S)

    async def step(self) -> int:
        """Replay the oldest letters that somebody asked for; return how many."""
        found = await _together(self._pool, None, None, self._clock)
        self.replayed += len(found)
        return len(found)
