"""The agent's health on this machine: `/healthz` as JSON, `/metrics` for Prometheus, `/` to read.

Off unless `[health] port` is configured; loopback only, since it has no accounts. It runs in a
thread of its own, so that a slow reader holds up no meter.
"""

from __future__ import annotations

import html
import json
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from core.errors import Misconfigured, Problem
from edge.breaker import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

    from edge.agent import Agent
    from edge.clockwatch import ClockState
    from edge.config import HealthSettings
    from edge.outboxstate import State as OutboxState

HOST: Final = "127.0.0.1"
PATIENCE_S: Final = 5.0  # for one reader: the page has one thread
_JSON: Final = "application/json"
_HTML: Final = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Device:
    """One device: how it stands, when it last answered, what it gave since the start."""

    name: str
    where: str
    state: str
    answered_s_ago: float | None
    took_s: float
    polls: int
    failures: int
    readings: int
    late: int
    missed: int
    fault: str


@dataclass(frozen=True, slots=True)
class Link:
    """One destination: whether it is connected, and how many envelopes it lacks."""

    name: str
    connected: bool
    depth: int
    sent: int
    sent_readings: int
    repeated: int
    receipts: int
    failures: int
    set_aside: int
    lost_envelopes: int


@dataclass(frozen=True, slots=True)
class Health:
    """Everything at one moment; `ill` is what stops the agent's work, `findings` what disturbs."""

    ill: tuple[str, ...]
    findings: tuple[str, ...]
    readings: int
    kept: int
    dropped: int
    disk_errors: int
    reloads: int
    refused_reloads: int
    devices: tuple[Device, ...]
    links: tuple[Link, ...]
    outbox: OutboxState
    clock: ClockState

    def item(self) -> dict[str, Any]:
        """Return it as JSON shows it."""
        state = "ill" if self.ill else "disturbed" if self.findings else "well"
        return {"state": state, **asdict(self)}


def of(agent: Agent, now_s: float) -> Health:
    """Return the health of an agent; may be called from any thread."""
    counts = agent.counts
    outbox, clock = agent.outbox.state(), agent.watch.state()
    where = {station.driver.name: station.where for station in agent.stations}
    devices = tuple(
        Device(
            name,
            where.get(name, ""),
            str(meter.state),
            None if meter.answered_s is None else round(now_s - meter.answered_s, 3),
            round(meter.took_s, 4),
            meter.polls,
            meter.failures,
            meter.readings,
            meter.late,
            meter.missed,
            meter.fault,
        )
        for name, meter in sorted(counts.meters.items())
    )
    links = tuple(
        Link(
            one.name,
            one.counts.connected,
            outbox.of(one.name).depth,
            one.counts.sent,
            one.counts.sent_readings,
            one.counts.repeated,
            one.counts.receipts,
            one.counts.failures,
            one.counts.set_aside,
            outbox.of(one.name).lost_envelopes,
        )
        for one in agent.publishers
    )
    return Health(
        tuple(_ill(devices, outbox, clock)),
        tuple(_findings(devices, links, clock, counts.dropped)),
        counts.readings,
        counts.kept,
        counts.dropped,
        counts.disk_errors,
        counts.reloads,
        counts.refused_reloads,
        devices,
        links,
        outbox,
        clock,
    )


def _ill(devices: tuple[Device, ...], outbox: OutboxState, clock: ClockState) -> Iterator[str]:
    if devices and all(device.polls and device.state != State.WELL for device in devices):
        yield "no device answers"
    if outbox.in_memory:
        yield "the disk fails: what is kept ends with this process"
    if clock.trust == "wrong":
        yield f"the clock is wrong and readings wait: {clock.doubt}"


def _findings(
    devices: tuple[Device, ...], links: tuple[Link, ...], clock: ClockState, dropped: int
) -> Iterator[str]:
    for device in devices:
        if device.fault:
            yield device.fault
        if device.missed:
            yield f"{device.name}: its turn came too late {device.missed} times: the line is full"
    for link in links:
        if not link.connected:
            yield f"destination {link.name} is not connected: {link.depth} envelopes wait"
        if link.lost_envelopes:
            yield f"destination {link.name} lacks {link.lost_envelopes} envelopes for ever"
    if clock.trust == "doubted":
        yield f"the clock is doubted: {clock.doubt}"
    if dropped:
        yield f"{dropped} readings were dropped: memory was full while the disk refused"


class _Quiet(WSGIRequestHandler):
    """A handler that logs nothing and waits for nobody for long."""

    timeout = PATIENCE_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep the log for the plant."""


@contextmanager
def served(
    agent: Agent, settings: HealthSettings | None, monotonic: Callable[[], float]
) -> Iterator[int | None]:
    """Serve the health of an agent inside the block, where configured; yields the port."""
    if settings is None:
        yield None
        return
    try:
        server = WSGIServer((HOST, settings.port), _Quiet)
    except OSError as error:
        problem = Problem("health.port", f"{settings.port} can not be had: {error.strerror}")
        raise Misconfigured([problem]) from error
    server.set_app(lambda environ, start: _answer(agent, monotonic(), environ, start))
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


def _answer(
    agent: Agent, now_s: float, environ: WSGIEnvironment, start: StartResponse
) -> Iterable[bytes]:
    from edge import metrics  # noqa: PLC0415 - an agent without the page does without Prometheus

    path = environ.get("PATH_INFO", "/")
    if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
        return _said(start, "405 Method Not Allowed", _JSON, b'{"title":"read only"}')
    if path not in ("/", "/healthz", "/metrics"):
        return _said(start, "404 Not Found", _JSON, b'{"title":"see /, /healthz, /metrics"}')
    health = of(agent, now_s)
    if path == "/metrics":
        return _said(start, "200 OK", metrics.CONTENT_TYPE, metrics.text(health))
    status = "503 Service Unavailable" if health.ill else "200 OK"
    if path == "/healthz":
        body = json.dumps(health.item(), ensure_ascii=False).encode()
        return _said(start, status, _JSON, body)
    return _said(start, status, _HTML, page(health).encode())


def _said(start: StartResponse, status: str, kind: str, body: bytes) -> list[bytes]:
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ]
    start(status, headers)
    return [body]


def page(health: Health) -> str:
    """Return the page for a person."""
    told = [*health.ill, *health.findings] or ["everything is well"]
    rows = [
        (
            device.name,
            device.where,
            device.state,
            "never" if device.answered_s_ago is None else f"{device.answered_s_ago:.0f} s ago",
            f"{device.took_s * 1e3:.0f} ms",
            f"{device.failures} / {device.polls}",
            device.fault,
        )
        for device in health.devices
    ]
    heads = ("device", "where", "state", "last answer", "last poll", "failed / polls", "fault")
    table = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        "<!doctype html><meta charset=utf-8><title>danhao edge</title>"
        "<style>body{font:14px sans-serif;margin:2em}td,th{text-align:left;padding:.2em .8em}"
        "</style><h1>danhao edge</h1>"
        f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in told)}</ul>"
        f"<p>{health.kept} readings kept, {health.outbox.depth} envelopes wait, "
        f"{health.dropped} readings dropped, clock {health.clock.trust}</p>"
        f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{table}</table>"
    )
