"""Sends a plant's figures to one platform until each is accepted, and is its own at each platform.

What to do next stands in the table of core.reportsession. Promise: one message at a time; a
platform that is out or refuses delays no other and loses nothing; what was sent without an answer
is sent again; a session's secrets are in memory only, so a restarted program registers anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core import reportplan, reportsession, sending
from core.errors import Misconfigured
from core.reportsession import Answer, Event, Outcome, State
from ingest.reporting import link as links
from store import reportqueue
from store.reportqueue import Upload

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import httpx

    from core.reportplan import Report
    from ingest.reporting.config import Platform
    from ingest.reporting.link import Exchange
    from store.connection import Pool
    from store.reportqueue import Due, Session

MOST_SESSION_CHARS: Final = 4_000
MOST_VERSION_CHARS: Final = 100
log = logging.getLogger(__name__)
_OUTCOMES: Final = {Event.DONE: Outcome.ACCEPTED, Event.REFUSED: Outcome.REFUSED}


@dataclass(frozen=True, slots=True)
class _Message:
    """What is about to be sent."""

    operation: str
    id: uuid.UUID
    content: dict[str, Any]
    figures: Sequence[Due] = ()


@dataclass(slots=True)
class _Secrets:
    """What a registration gave; lost with the program."""

    address: str
    session: str


class Sender:
    """Speaks to one platform for one enterprise; `step` sends at most one message."""

    def __init__(
        self, pool: Pool, platform: Platform, report: Report, clock: Callable[[], datetime]
    ) -> None:
        self._pool = pool
        self._platform = platform
        self._names = platform.names()
        self._clock = clock
        self._secrets: _Secrets | None = None
        self.report = report
        self.sent = 0
        self.accepted = 0  # figures
        self.refused = 0
        self.expired = 0
        self.unknown_codes: tuple[str, ...] = ()  # that the platform's tables do not have

    async def step(self, link: httpx.AsyncClient) -> bool:
        """Send what is due, one message at most; tell whether data was accepted."""
        now = self._clock()
        async with self._pool.connection() as connection:
            before = await reportqueue.session(
                connection, self._platform.name, self.report.site, now
            )
            await reportqueue.enqueue(connection, before, now)
            self._tell_expired(await reportqueue.expire(connection, before.destination, now))
            if before.next_at > now:
                return False
            present = self._awake(before, now)
            if present is not before:
                await reportqueue.save(connection, present)
            try:
                message = await self._message(connection, present, now)
            except Misconfigured as error:
                await self._not_sent(connection, present, str(error), now)
                return False
        if message is None:
            return False
        exchange = await links.post(link, self._url(message.operation), message.content)
        self.sent += 1
        return await self._settle(present, message, exchange, now)

    def _tell_expired(self, count: int) -> None:
        self.expired += count
        if count:
            log.error("%s: %d figures were never accepted: given up", self._platform.name, count)

    def _awake(self, session: Session, now: datetime) -> Session:
        """Take in what happened on our side: a restart, a changed declaration of meters."""
        state = session.state
        if state is not State.STRANGER and self._secrets is None:
            state = reportsession.step(state, Event.STALE)
        elif session.meters_sha256 != self._meters_digest():
            state = reportsession.step(state, Event.NEW_METERS)
        if state is session.state:
            return session
        return replace(session, state=state, since=now)

    async def _message(self, connection: Any, session: Session, now: datetime) -> _Message | None:
        identity = uuid.uuid4()
        operation = reportsession.OPERATION[session.state]
        given: dict[str, Any] = {"enterprise": self.report.enterprise}
        if operation == "register":
            given |= {"device": self.report.device, "key": self._platform.key()}
        elif self._secrets is not None:
            given["session"] = self._secrets.session
        due: list[Due] = []
        if operation == "data":
            due = await reportqueue.due(connection, session.destination, now)
            if due:
                given |= {"upload": str(identity), "rows": [self._row(each) for each in due]}
            elif self._beats(session, now):
                operation = "beat"
            else:
                return None
        elif operation == "meters":
            given["rows"] = self._meters()
        if operation in {"register", "data", "beat"}:
            given["sent_at"] = self._names.render(now, self.report.timezone)
        return _Message(operation, identity, self._names.message(operation, given), due)

    def _beats(self, session: Session, now: datetime) -> bool:
        heard = session.heard_at
        return heard is None or now - heard >= timedelta(seconds=reportsession.BEAT_S)

    def _row(self, due: Due) -> dict[str, Any]:
        codes = self._names.codes
        return self._names.row(
            "data",
            {
                "item": due.item,
                "value": due.value,
                "unit": due.unit,
                "period": codes["period"][due.period],
                "label": self._names.label(due.start_us, self.report.timezone),
                "input": codes["input"][due.input],
                "validity": codes["validity"][due.validity],
            },
        )

    def _meters(self) -> list[dict[str, Any]]:
        rows = (reportplan.meters_row(meter) for meter in self.report.meters)
        return [self._names.row("meters", dict(row)) for row in rows]

    def _meters_digest(self) -> bytes:
        text = json.dumps(self._meters(), ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(text.encode()).digest()

    def _url(self, operation: str) -> str:
        base = self._platform.url.rstrip("/")
        if operation != "register" and self._secrets is not None:
            base = self._secrets.address
        return base + self._names.operations[operation].path

    async def _settle(
        self, session: Session, message: _Message, exchange: Exchange, now: datetime
    ) -> bool:
        if exchange.status is None:
            answer = Answer(Event.OUT, exchange.failure, {})
        else:
            answer = reportsession.read(
                self._names, message.operation, exchange.status, exchange.body
            )
        answer, session = self._take_in(session, message.operation, answer)
        changed = self._moved(session, message.operation, answer, now)
        upload = Upload(
            message.id, session.destination, message.operation, now, exchange.took_ms,
            exchange.status, answer.event.value, len(message.figures), answer.sentence,
        )  # fmt: skip
        async with self._pool.connection() as connection:
            if message.operation != "beat" or answer.event is not Event.DONE:
                await reportqueue.note(connection, upload)
            outcome = _OUTCOMES.get(answer.event, Outcome.KEPT)
            numbers = [each.figure for each in message.figures]
            await reportqueue.settle(
                connection, upload, numbers, outcome, now + _refused_for(message)
            )
            await reportqueue.save(connection, changed)
        self._count(message, answer)
        return bool(message.figures) and answer.event is Event.DONE

    def _take_in(self, session: Session, operation: str, answer: Answer) -> tuple[Answer, Session]:
        """Keep what an acceptance brought; what it brought may make it none."""
        if answer.event is not Event.DONE:
            return answer, session
        fields = answer.fields
        if operation == "register":
            return self._registered(answer), session
        if operation == "tables":
            self._compare(fields["energies"])
            session = replace(session, tables_version=_version(fields["version"]))
        elif operation == "meters":
            session = replace(session, meters_sha256=self._meters_digest())
        elif operation == "beat" and _version(fields["version"]) != session.tables_version:
            answer = replace(answer, event=Event.NEW_TABLES)
        return answer, session

    def _registered(self, answer: Answer) -> Answer:
        """Keep address and session, where both can be used."""
        try:
            address = self._platform.service(answer.fields["address"])
        except ValueError as error:
            return replace(answer, event=Event.REFUSED, sentence=str(error))
        given = answer.fields["session"]
        if not isinstance(given, str) or not 0 < len(given) <= MOST_SESSION_CHARS:
            told = "registered, and given no session that can be used"
            return replace(answer, event=Event.OUT, sentence=told)
        self._secrets = _Secrets(address, given)
        return answer

    def _compare(self, energies: object) -> None:
        """Tell which codes of energies of ours the platform's table does not have."""
        listed = (
            {each for each in energies if isinstance(each, str)}
            if isinstance(energies, list)
            else set()
        )
        used = self._names.codes["carrier"]
        self.unknown_codes = tuple(sorted(code for code in used.values() if code not in listed))
        if self.unknown_codes:
            told = ", ".join(self.unknown_codes)
            log.warning("%s: its tables lack the energies %s", self._platform.name, told)

    def _moved(self, session: Session, operation: str, answer: Answer, now: datetime) -> Session:
        """Return the session after an answer: its state by the table, and when it may go on."""
        event = answer.event
        state = reportsession.step(session.state, event)
        failures, wait_s = session.failures, 0.0
        heard = session.heard_at
        if event in {Event.DONE, Event.NEW_TABLES}:
            heard = now
            # A platform that registers us and then knows nothing of it is not well again yet.
            failures = failures if operation in {"register", "tables"} else 0
        elif event is not Event.REFUSED or operation != "data":
            failures += 1
            least, most = _WAITS.get(event, _WAITS[Event.OUT])
            wait_s = sending.back_off_s(failures, least, most)
        return replace(
            session,
            state=state,
            since=session.since if state is session.state else now,
            failures=failures,
            next_at=now + timedelta(seconds=wait_s),
            heard_at=heard,
            detail=answer.sentence,
        )

    async def _not_sent(
        self, connection: Any, session: Session, sentence: str, now: datetime
    ) -> None:
        """Wait for a person to mend what keeps us from sending, such as a key file that is gone."""
        answer = Answer(Event.OUT, reportsession.line(f"not sent: {sentence}"), {})
        await reportqueue.save(connection, self._moved(session, "register", answer, now))
        log.error("%s: %s", self._platform.name, answer.sentence)

    def _count(self, message: _Message, answer: Answer) -> None:
        if answer.event is Event.DONE:
            self.accepted += len(message.figures)
            return
        self.refused += len(message.figures) if answer.event is Event.REFUSED else 0
        what = f"{self._platform.name}, {message.operation}"
        level = logging.INFO if answer.event is Event.NEW_TABLES else logging.WARNING
        log.log(level, "%s: %s: %s", what, answer.event.value, answer.sentence)


_WAITS: Final = {
    Event.OUT: (reportsession.LEAST_BACK_OFF_S, reportsession.MOST_BACK_OFF_S),
    Event.STALE: (reportsession.LEAST_BACK_OFF_S, reportsession.MOST_BACK_OFF_S),
    Event.REFUSED: (reportsession.LEAST_REFUSED_S, reportsession.MOST_REFUSED_S),
}


def _refused_for(message: _Message) -> timedelta:
    """Return how long refused figures wait: not at all after a batch, for each is tried alone."""
    if len(message.figures) != 1:
        return timedelta()
    seconds = sending.back_off_s(
        message.figures[0].refusals + 1,
        reportsession.LEAST_REFUSED_S,
        reportsession.MOST_REFUSED_S,
    )
    return timedelta(seconds=seconds)


def _version(value: object) -> str:
    return reportsession.line(str(value))[:MOST_VERSION_CHARS]
