"""A stand-in for a data centre of the national system of key energy users, with faults by a seed.

It reads the mapping of names and codes with code of its own, written from the documents and not
from the sender, so that a mistake on one side shows. What it keeps is one row a figure, by
enterprise, code, kind of period and label, with the newest value. Promise: bodies, rows and
sessions are bounded; what it answers as accepted is on its disk.
"""

from __future__ import annotations

import json
import random
import secrets
import sqlite3
import time
import tomllib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from core.errors import Misconfigured, Problem
from simulators import httpserver
from simulators.httpserver import HOST, MOST_BODY_BYTES, JsonHandler, LocalServer, RefusedError

if TYPE_CHECKING:
    import ssl
    import threading
    from pathlib import Path

MOST_ROWS: Final = 1_000_000
MOST_OF_MESSAGE: Final = 1_000
MOST_TEXT_CHARS: Final = 200
SLOW_S: Final = 0.2  # of a slow answer: late, and still an answer
FAULTS: Final = (
    "out",  # 503 before anything is done
    "deaf",  # what was sent is kept, and the line drops before the answer
    "garbled",  # kept, and answered with what is no JSON
    "unknown_code",  # not kept, and answered with a code that nobody knows
    "busy",
    "forgotten",  # the session is unknown all at once
    "slow",
)
_TABLES: Final = """
create table if not exists figure (enterprise text, item text, period text, label text,
    value text not null, unit text not null, input text not null, validity text not null,
    times integer not null, message text not null,
    primary key (enterprise, item, period, label));
create table if not exists meter (enterprise text, serial text, body text not null,
    primary key (enterprise, serial));
"""


class Names:
    """The names of the mapping file, as this side reads them."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._data = data
        self.paths = {each["path"]["value"]: key for key, each in data["operation"].items()}
        self.form = data["layout"]["instant"]["value"]
        self.digits = sum(part["digits"] for part in data["part"])
        self.energies = sorted(term["value"] for term in data["code"]["carrier"].values())

    def read(self, operation: str, part: str, given: Any) -> dict[str, Any]:
        """Return a request or a row in our words; raises RefusedError where it is another."""
        terms = self._data["operation"][operation][part]
        if not isinstance(given, dict) or set(given) != {term["value"] for term in terms.values()}:
            raise RefusedError(HTTPStatus.OK, f"{operation}: other fields than the mapping's")
        return {word: given[term["value"]] for word, term in terms.items()}

    def answer(self, word: str, message: str) -> dict[str, Any]:
        """Return the beginning of an answer."""
        reply = self._data["reply"]
        code = self._data["code"]["reply"][word]["value"]
        return {reply["code"]["value"]: code, reply["message"]["value"]: message}

    def named(self, operation: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Return fields of an answer in the platform's names."""
        terms = self._data["operation"][operation].get("reply", {})
        return {terms[word]["value"]: value for word, value in fields.items()}

    def codes(self, kind: str) -> set[str]:
        """Return the codes of a kind."""
        return {term["value"] for term in self._data["code"][kind].values()}


def shipped_names() -> Names:
    """Return the names of the mapping that ships."""
    text = (resources.files("core") / "data" / "national_report.toml").read_text("utf-8")
    return Names(tomllib.loads(text))


@dataclass(slots=True)
class Faults:
    """Which requests go wrong, and how: those of a plan first, then a share by a seed."""

    share: float = 0.0
    seed: int = 1
    plan: list[str] = field(default_factory=list)
    refused_items: frozenset[str] = frozenset()
    told: Counter[str] = field(default_factory=Counter)
    _draw: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._draw = random.Random(self.seed)  # noqa: S311 - replayable, no secret

    def next(self) -> str:
        """Return the fault of the next request, empty: none."""
        fault = ""
        if self.plan:
            fault = self.plan.pop(0)
        elif self._draw.random() < self.share:
            fault = self._draw.choice(FAULTS)
        if fault:
            self.told[fault] += 1
        return fault


class Ledger:
    """What was accepted, in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self._link = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._link.execute("pragma journal_mode = wal")
        self._link.execute("pragma synchronous = full")
        self._link.executescript(_TABLES)

    def take(self, enterprise: str, message: str, rows: list[dict[str, Any]]) -> None:
        """Keep rows, all or none; the same key again has the newer value and is counted."""
        (count,) = self._link.execute("select count(*) from figure").fetchone()
        if count + len(rows) > MOST_ROWS:
            raise RefusedError(HTTPStatus.INSUFFICIENT_STORAGE, "the platform is full")
        with self._link:
            self._link.execute("begin immediate")
            self._link.executemany(
                "insert into figure values (?, ?, ?, ?, ?, ?, ?, ?, 1, ?) on conflict do update set"
                " value = excluded.value, unit = excluded.unit, input = excluded.input,"
                " validity = excluded.validity, times = times + 1, message = excluded.message",
                [
                    (enterprise, row["item"], row["period"], row["label"], row["value"],
                     row["unit"], row["input"], row["validity"], message)
                    for row in rows
                ],
            )  # fmt: skip

    def declare(self, enterprise: str, meters: list[dict[str, Any]]) -> None:
        """Keep the meters of an enterprise instead of those it had."""
        with self._link:
            self._link.execute("begin immediate")
            self._link.execute("delete from meter where enterprise = ?", (enterprise,))
            self._link.executemany(
                "insert or replace into meter values (?, ?, ?)",
                [(enterprise, m["serial"], json.dumps(m, ensure_ascii=False)) for m in meters],
            )

    def rows(self) -> list[dict[str, Any]]:
        """Return everything that was accepted, in order of key."""
        cursor = self._link.execute(
            "select enterprise, item, period, label, value, unit, input, validity, times, message"
            " from figure order by enterprise, item, period, label"
        )
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def meters(self) -> list[dict[str, Any]]:
        """Return the meters that were declared."""
        rows = self._link.execute("select body from meter order by enterprise, serial").fetchall()
        return [json.loads(body) for (body,) in rows]

    def close(self) -> None:
        """Close the file."""
        self._link.close()


class Server(LocalServer):
    """The platform behind HTTP, on loopback, one request at a time."""

    def __init__(
        self,
        port: int,
        key: bytes,
        ledger: Ledger,
        faults: Faults,
        names: Names | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__((HOST, port), Handler)
        if tls is not None:
            self.scheme = "https"
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.key = key.decode()
        self.ledger = ledger
        self.faults = faults
        self.names = shipped_names() if names is None else names
        self.version = "1"
        self.service_host: str | None = None  # another than its own, to be refused
        self.sessions: dict[str, str] = {}  # by enterprise: the newest alone is known
        self.counts: Counter[str] = Counter()
        self.refusals: list[str] = []


class Handler(JsonHandler):
    """POST of an operation's path; GET /rows shows what was accepted, to this machine."""

    server: Server
    server_version = "platform"

    def post(self) -> None:
        """Do one operation, or what the next fault makes of it."""
        names = self.server.names
        operation = names.paths.get(self.path.removeprefix("/service"), "")
        self.server.counts[operation or "elsewhere"] += 1
        given = self._body()
        fault = self.server.faults.next()
        if fault in {"out", "unknown_code", "busy", "forgotten"}:
            self._fail(fault)
            return
        try:
            answer = names.answer("accepted", "ok") | names.named(
                operation, self._do(operation, given)
            )
        except _UnknownSessionError:
            answer = names.answer("unknown_session", "register first")
        except RefusedError as error:
            if len(self.server.refusals) < MOST_OF_MESSAGE:
                self.server.refusals.append(str(error))
            answer = names.answer("refused", str(error))
        self._reply(fault, answer)

    def get(self) -> None:
        """Show what was accepted."""
        if self.path == "/rows":
            self.answer(HTTPStatus.OK, {"items": self.server.ledger.rows(), "next": None})
        else:
            self.answer(HTTPStatus.NOT_FOUND, {"error": "look at /rows"})

    def _fail(self, fault: str) -> None:
        names = self.server.names
        if fault == "out":
            self.answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "out of service"})
        elif fault == "busy":
            self.answer(HTTPStatus.OK, names.answer("busy", "come again"))
        elif fault == "forgotten":
            self.server.sessions.clear()
            self.answer(HTTPStatus.OK, names.answer("unknown_session", "register first"))
        else:
            code = next(iter(names.answer("busy", "")))
            self.answer(HTTPStatus.OK, {code: "E-77", "note": "a code of tomorrow"})

    def _reply(self, fault: str, answer: dict[str, Any]) -> None:
        if fault == "deaf":
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(SLOW_S)
        if fault == "garbled":
            self.send(HTTPStatus.OK, b"<html>gateway</html>")
        else:
            self.answer(HTTPStatus.OK, answer)

    def _do(self, operation: str, given: Any) -> dict[str, Any]:
        names = self.server.names
        if not operation:
            raise RefusedError(HTTPStatus.NOT_FOUND, "no such operation")
        request = names.read(operation, "request", given)
        enterprise = request["enterprise"]
        if operation == "register":
            return self._register(enterprise, request)
        if request["session"] != self.server.sessions.get(enterprise):
            raise _UnknownSessionError
        if operation == "tables":
            return {"version": self.server.version, "energies": names.energies}
        if operation == "beat":
            return {"version": self.server.version}
        rows = request["rows"]
        if not isinstance(rows, list) or len(rows) > MOST_OF_MESSAGE:
            raise RefusedError(HTTPStatus.OK, f"write a list of at most {MOST_OF_MESSAGE} rows")
        found = [names.read(operation, "row", row) for row in rows]
        if operation == "meters":
            self.server.ledger.declare(enterprise, found)
        else:
            for row in found:
                self._judge(row)
            self.server.ledger.take(enterprise, str(request["upload"]), found)
        return {}

    def _register(self, enterprise: Any, request: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(enterprise, str) or len(enterprise) != 18:  # noqa: PLR2004 - GB 32100
            raise RefusedError(HTTPStatus.OK, "the enterprise's code has 18 characters")
        if not secrets.compare_digest(str(request["key"]).encode(), self.server.key.encode()):
            raise RefusedError(HTTPStatus.OK, "the key is another")
        session = secrets.token_urlsafe(16)
        self.server.sessions[enterprise] = session
        host = self.server.service_host or f"{HOST}:{self.server.server_port}"
        return {"address": f"{self.server.scheme}://{host}/service", "session": session}

    def _judge(self, row: dict[str, Any]) -> None:
        """Raise RefusedError for a row that the mapping does not allow."""
        names = self.server.names
        if any(not isinstance(each, str) or len(each) > MOST_TEXT_CHARS for each in row.values()):
            raise RefusedError(HTTPStatus.OK, "a field is no text, or too long")
        if len(row["item"]) != names.digits or row["item"] in self.server.faults.refused_items:
            raise RefusedError(HTTPStatus.OK, f"unknown item {row['item']}")
        for kind in ("period", "input", "validity"):
            if row[kind] not in names.codes(kind):
                raise RefusedError(HTTPStatus.OK, f"unknown {kind} {row[kind]}")
        try:
            label = datetime.strptime(row["label"], names.form)  # noqa: DTZ007 - plant time
            finite = Decimal(row["value"]).is_finite()
        except (ValueError, InvalidOperation) as error:
            raise RefusedError(HTTPStatus.OK, "no time, or no number") from error
        if label.second or label.minute % 15 or not finite:
            raise RefusedError(HTTPStatus.OK, "no period begins then, or no number")

    def _body(self) -> Any:
        length = self.length()
        if length is None or length > MOST_BODY_BYTES:
            self.close_connection = True
            return None
        try:
            return json.loads(self.rfile.read(length))
        except (ValueError, RecursionError):
            return None


class _UnknownSessionError(Exception):
    """The session is not the one that was given last."""


def serve(
    port: int, key_file: Path, state_file: Path, faults: Faults, stop: threading.Event
) -> None:
    """Serve until `stop` is set; raises Misconfigured where port or files cannot be used."""
    key = httpserver.read_secret(key_file)
    try:
        ledger = Ledger(state_file)
    except sqlite3.Error as error:
        raise Misconfigured([Problem(str(state_file), f"is no ledger: {error}")]) from error
    with closing(ledger):
        httpserver.serve(
            lambda given: Server(given, key, ledger, faults), port, "the platform", stop
        )
