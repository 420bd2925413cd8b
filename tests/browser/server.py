"""A server of canned data for the page's tests: the built page, the routes it reads, the stream.

Promises: same requests, same answers; the strict security headers of the real server; the link can
be silenced, refused or cut by a test. It stands in for the API while the page is developed; the
page against the real server is tested in `tests/system`.
"""

from __future__ import annotations

import json
import mimetypes
import sys
import threading
import time
from datetime import datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tests.browser import canned, canned_pages, canned_work

if TYPE_CHECKING:
    from pathlib import Path

TOKEN: Final = "operator-token"
COOKIE: Final = "danhao_session=canned"
CSRF: Final = "canned-csrf"
POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'"
)
READING_S: Final = 1.0
#: Every fifth second a heartbeat; every unit's figures in turn.
HEARTBEATS: Final = 5


class QuietServer(ThreadingHTTPServer):
    """A server that takes a closed tab for what it is."""

    daemon_threads = True
    block_on_close = False  # streams end by themselves within a heartbeat

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that the browser dropped."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class CannedServer:
    """The canned server on a free port; a context manager."""

    def __init__(self, static: Path, units: tuple[canned.Unit, ...]) -> None:
        self.static = static
        self.units = units
        self.alerts = canned.alerts(units, canned.START)
        self.told = 0
        self.role = "operator"
        self.work = canned_work.Work(canned.START)
        self.refusal: str | None = None
        self.signed_in = True
        self.silent = False
        self.failing: set[str] = set()
        self.delayed_s = 0.0
        self.seen: list[str] = []
        self.epoch = 1
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._http: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    def now(self) -> datetime:
        """Return the plant's present: a fixed start that runs on with real seconds."""
        return canned.START + timedelta(seconds=time.monotonic() - self._began)

    @property
    def address(self) -> str:
        """Return where the page is."""
        return f"http://127.0.0.1:{self.port}"

    def tell(self, alert: str, **changes: Any) -> canned.Json:
        """Change an alert and let every stream say so."""
        self.alerts[alert] = self.alerts[alert] | changes
        self.told += 1
        return self.alerts[alert]

    def start(self) -> None:
        """Listen, on the same port as before after a stop."""
        self._stopping = threading.Event()
        server = self

        class Handler(CannedHandler):
            owner = server

        self._http = QuietServer(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the listener and every stream; pages see a cut connection."""
        self._stopping.set()
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join(timeout=5)
        self.epoch += 1

    def stopping(self, seconds: float) -> bool:
        """Wait up to `seconds`; True once the server stops."""
        return self._stopping.wait(seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class CannedHandler(BaseHTTPRequestHandler):
    """Answers one connection."""

    owner: CannedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Stay silent."""

    def do_GET(self) -> None:
        """Answer a read."""
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.owner.seen.append(path)
        if not path.startswith("/api/"):
            self.send_page(path)
        elif not self.is_known():
            self.send_problem(HTTPStatus.UNAUTHORIZED, "Sign in first.")
        elif any(path.startswith(prefix) for prefix in self.owner.failing):
            self.send_problem(HTTPStatus.SERVICE_UNAVAILABLE, "The store does not answer.")
        elif path == "/api/v1/live":
            self.stream()
        else:
            self.answer(path.removeprefix("/api/v1/"), query)

    def do_POST(self) -> None:
        """Sign in, or acknowledge an alert."""
        steps = urlsplit(self.path).path.split("/")
        if steps[-1] == "acknowledge" and steps[-3] == "alerts":
            self.acknowledge(steps[-2])
            return
        if steps[-1] != "session":
            self.write("/".join(steps[3:]))
            return
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.send_problem(HTTPStatus.UNAUTHORIZED, "The token is not known.")
            return
        self.owner.signed_in = True
        self.send_json(
            self.session(), {"Set-Cookie": f"{COOKIE}; HttpOnly; SameSite=Strict; Path=/"}
        )

    def acknowledge(self, alert: str) -> None:
        """Take note of an alert, or refuse as the test wants."""
        if not self.is_known() or self.headers.get("X-CSRF-Token") != CSRF:
            self.send_problem(HTTPStatus.FORBIDDEN, "The X-CSRF-Token header is missing.")
        elif self.owner.refusal is not None:
            self.send_problem(HTTPStatus.CONFLICT, self.owner.refusal)
        else:
            at = canned.stamp(self.owner.now())
            by = {"acknowledged_at": at, "acknowledged_by": "operator"}
            self.send_json(self.owner.tell(alert, **by))

    def do_DELETE(self) -> None:
        """Sign out."""
        if self.headers.get("X-CSRF-Token") != CSRF:
            self.send_problem(HTTPStatus.FORBIDDEN, "The X-CSRF-Token header is missing.")
            return
        path = urlsplit(self.path).path.removeprefix("/api/v1/")
        if path != "session":
            self.send_answer(self.owner.work.delete(path))
            return
        self.owner.signed_in = False
        self.send_json({})

    def write(self, path: str) -> None:
        """Take what a page of people's work sends."""
        if not self.is_known() or self.headers.get("X-CSRF-Token") != CSRF:
            self.send_problem(HTTPStatus.FORBIDDEN, "The X-CSRF-Token header is missing.")
            return
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.owner.work.role = self.owner.role
        body = json.loads(raw) if raw else {}
        self.send_answer(self.owner.work.post(path, body, self.owner.alerts))

    def send_answer(self, answer: canned_work.Answer | None) -> None:
        """Send what the pages of people's work are answered."""
        if answer is None:
            self.send_problem(HTTPStatus.NOT_FOUND, "No such thing.")
            return
        status, body = answer
        kind = "application/json" if status < HTTPStatus.BAD_REQUEST else "application/problem+json"
        self.send_bytes(status, json.dumps(body).encode(), kind, {})

    def is_known(self) -> bool:
        """Whether the request carries a session that is still good."""
        return self.owner.signed_in and COOKIE in (self.headers.get("Cookie") or "")

    def session(self) -> canned.Json:
        """Return who is signed in."""
        return {"role": self.owner.role, "scope": ["*"], "csrf": CSRF}

    def answer(self, path: str, query: dict[str, str]) -> None:
        """Answer one of the API's reads."""
        now = self.owner.now()
        steps = path.split("/")
        units = {unit.unit: unit for unit in self.owner.units}
        self.owner.work.role = self.owner.role
        if path == "session":
            self.send_json(self.session())
        elif path == "units":
            self.send_list([canned.view(unit, now) for unit in self.owner.units])
        elif path == "indicators":
            self.send_list(canned.indicators())
        elif steps[0] == "sites" and steps[-1] == "closes":
            begun = [canned_work.whole_close(one) for one in canned.closes(steps[1])]
            self.send_list([*begun, *self.own_closes(steps[1])])
        elif path == "limits":
            self.send_list(canned.limits())
        elif path == "alerts":
            wanted = query["state"].split(",")
            found = [a for a in self.owner.alerts.values() if a["state"] in wanted]
            self.send_list([self.owner.work.alert(one, self.owner.alerts) for one in found])
        elif path == "points":
            self.send_list(self.points(query["unit"]))
        elif steps[0] == "points" and steps[-1] == "energy":
            self.send_list(self.series(units[steps[1].rsplit(".", 1)[0]], query, now))
        elif steps[0] == "units" and steps[-1] == "intensity" and steps[1] in units:
            self.send_list(self.series(units[steps[1]], query, now))
        else:
            self.answer_page(path, query, now)

    def own_closes(self, site: str) -> list[canned.Json]:
        """Return the months that people closed here."""
        return [one for one in self.owner.work.closes if one["site"] == site]

    def answer_page(self, path: str, query: dict[str, str], now: datetime) -> None:
        """Answer what a page beside the overview reads, or say that there is no such thing."""
        found = canned_pages.answer(path, now)
        if found is not None:
            self.send_json(found)
        else:
            self.send_answer(self.owner.work.get(path, query, self.owner.alerts))

    def points(self, unit: str) -> list[canned.Json]:
        """Return a unit's one meter."""
        point = {"point": f"{unit}.ac-import", "unit": unit, "kind": "counter", "sign": 1}
        return [point | {"carrier": "electricity", "role": "process", "energy_unit": "kWh"}]

    def series(self, unit: canned.Unit, query: dict[str, str], now: datetime) -> list[canned.Json]:
        """Return the items of a span, as asked."""
        since = datetime.fromisoformat(query["from"])
        until = min(datetime.fromisoformat(query["to"]), now)
        kinds = (unit.kind, *unit.more)
        kind = next((k for k in kinds if k.indicator == query.get("indicator")), unit.kind)
        period = query["period"]
        spans = canned.periods(period, since, until)
        return [canned.item(unit, period, span, now, kind) for span in spans]

    def stream(self) -> None:
        """Send every unit's reading each second, and its figures and a heartbeat each fifth."""
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        sequence = 0
        told = self.owner.told
        try:
            while self.owner.signed_in and not self.owner.stopping(READING_S):
                if self.owner.silent:
                    continue
                sequence += 1
                now = self.owner.now()
                if told != self.owner.told:
                    told = self.owner.told
                    self.send_event("alerts", {"items": list(self.owner.alerts.values())}, sequence)
                items = [
                    canned.change(unit, now, figures=(turn + sequence) % HEARTBEATS == 0)
                    for turn, unit in enumerate(self.owner.units)
                    if not unit.silent_s
                ]
                self.send_event("units", {"items": items}, sequence)
                if sequence % HEARTBEATS == 1:
                    self.send_event("heartbeat", {"at": canned.stamp(now)}, sequence)
        except OSError:
            return  # the page has gone

    def send_event(self, name: str, data: canned.Json, sequence: int) -> None:
        """Write one event of the stream."""
        text = json.dumps(data, ensure_ascii=False)
        head = f"id: {self.owner.epoch}-{sequence}\nevent: {name}\n"
        self.wfile.write(f"{head}data: {text}\n\n".encode())
        self.wfile.flush()

    def send_list(self, items: list[canned.Json]) -> None:
        """Send a list as the API wraps it."""
        self.send_json({"items": items, "next": None})

    def send_json(self, body: canned.Json, headers: dict[str, str] | None = None) -> None:
        """Send a JSON answer."""
        self.send_bytes(HTTPStatus.OK, json.dumps(body).encode(), "application/json", headers or {})

    def send_problem(self, status: HTTPStatus, detail: str) -> None:
        """Send an RFC 9457 problem document."""
        body = {"type": "about:blank", "title": status.phrase, "status": status, "detail": detail}
        self.send_bytes(status, json.dumps(body).encode(), "application/problem+json", {})

    def send_page(self, path: str) -> None:
        """Send an asset, or the page itself for any other path."""
        file = (self.owner.static / path.lstrip("/")).resolve()
        inside = file.is_relative_to(self.owner.static.resolve()) and file.is_file()
        found = file if inside else self.owner.static / "index.html"
        kind = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        immutable = "public, max-age=31536000, immutable"
        cache = immutable if found.parent.name == "assets" else "no-cache"
        self.send_bytes(HTTPStatus.OK, found.read_bytes(), kind, {"Cache-Control": cache})

    def send_bytes(
        self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str]
    ) -> None:
        """Send a whole answer with the security headers of the real server."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "same-origin")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the plant's present for the Date header, which the page reads."""
        return super().date_time_string(
            self.owner.now().timestamp() if timestamp is None else timestamp
        )
