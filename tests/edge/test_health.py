"""The health page and the metrics of a running agent: what is well, disturbed, ill."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.clock import utc_now
from core.errors import Misconfigured
from edge import config as configuration
from edge import health
from edge.agent import Agent
from tests.edge.gateway import Gateway, Unit
from tests.edge.plant import configured, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running(folder: Path, *ports: int) -> AsyncIterator[tuple[Agent, int]]:
    path = configured(folder, 1, *ports, period_s=0.2)
    page = free_port()
    path.write_text(path.read_text().replace("[broker]", f"[health]\nport = {page}\n[broker]"))
    config = configuration.load(path)
    agent = Agent(config, clock=utc_now, monotonic=time.monotonic)
    stop = asyncio.Event()
    with health.served(agent, config.settings.health, time.monotonic) as port:
        assert port == page
        task = asyncio.create_task(agent.run(stop))
        try:
            yield agent, page
        finally:
            stop.set()
            await asyncio.wait_for(task, 5)


async def got(port: int, path: str, method: str = "GET") -> tuple[int, str, str]:
    def ask() -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
        finally:
            connection.close()

    return await asyncio.to_thread(ask)


async def test_the_page_tells_each_device_and_the_metrics_are_prometheus_own(
    tmp_path: Path,
) -> None:
    well, dead = Gateway({1: Unit()}), Gateway({1: Unit(silent=True)})
    async with (
        well.listening(),
        dead.listening(),
        running(tmp_path, well.port, dead.port) as (agent, page),
    ):
        await until(lambda: agent.counts.meters["m2"].failures >= 1 and agent.counts.kept)
        status, kind, body = await got(page, "/healthz")
        answer = json.loads(body)
        assert (status, kind, answer["state"]) == (200, "application/json", "disturbed")
        devices = {device["name"]: device for device in answer["devices"]}
        assert devices["m1"]["state"] == "well"
        assert devices["m1"]["answered_s_ago"] < 5
        assert devices["m2"]["answered_s_ago"] is None
        assert "did not answer within 0.5 s" in devices["m2"]["fault"]
        assert any("destination main is not connected" in line for line in answer["findings"])
        assert answer["ill"] == []
        _, _, text = await got(page, "/metrics")
        status, kind, html = await got(page, "/")
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["danhao_edge_kept_readings_total",] >= 2
    assert samples["danhao_edge_device_state", "m2", "well"] == 0.0
    assert samples["danhao_edge_device_state", "m1", "well"] == 1.0
    assert samples["danhao_edge_poll_failures_total", "m2"] >= 1
    assert samples["danhao_edge_connected", "main"] == 0.0
    assert samples["danhao_edge_ill",] == 0.0
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert "m2" in html


async def test_an_agent_whose_devices_are_all_silent_is_ill(tmp_path: Path) -> None:
    async with running(tmp_path, 1) as (agent, page):
        await until(lambda: agent.counts.meters["m1"].failing)
        status, _, body = await got(page, "/healthz")
        assert (status, json.loads(body)["ill"]) == (503, ["no device answers"])
        assert (await got(page, "/nothing"))[0] == 404
        assert (await got(page, "/healthz", "POST"))[0] == 405


async def test_the_page_is_on_this_machine_only(tmp_path: Path) -> None:
    async with running(tmp_path, 1) as (_, page):
        with socket.socket() as other:
            other.settimeout(1)
            with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
                other.connect((_address_of_this_machine(), page))


def _address_of_this_machine() -> str:
    """Return an address other than loopback, or one that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.2"


async def test_a_port_that_is_taken_is_a_misconfiguration(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        path = configured(tmp_path, 1)
        path.write_text(path.read_text().replace("[broker]", f"[health]\nport = {port}\n[broker]"))
        path.write_text(path.read_text() + _DEVICE)
        config = configuration.load(path)
        agent = Agent(config, clock=utc_now, monotonic=time.monotonic)
        with (
            pytest.raises(Misconfigured, match=r"health\.port: \d+ can not be had"),
            health.served(agent, config.settings.health, time.monotonic),
        ):
            pass
        agent.outbox.close()


_DEVICE = """
[[device]]
name = "m1"
host = "127.0.0.1"
model = "acrel_adw300"
points = { "gh-al.m1.energy" = "import_active_energy" }
"""
