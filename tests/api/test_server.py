"""Promises of the running server: streams live, a stop is quick and clean, a busy port is told."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from api import server
from core.errors import Misconfigured
from tests.api.world import POTLINE, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from store.connection import Pool

pytestmark = [pytest.mark.system, pytest.mark.slow]
DEADLINE_S = 30.0


@contextmanager
def _running(database_url: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `danhao api run` and yield its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "danhao", "api", "run", "--port", "0"],
        env={**os.environ, "DANHAO_DATABASE_URL": database_url, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"ready (http://127\.0\.0\.1:\d+)\n", line)
        assert found, (line, process.stderr.read() if process.stderr else "")
        yield found[1], process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@asynccontextmanager
async def _stream(
    address: str, headers: dict[str, str]
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[dict[str, Any]]]]:
    """Open the live stream and yield the answer and its events."""
    timeout = httpx.Timeout(DEADLINE_S)
    async with (
        httpx.AsyncClient(timeout=timeout) as client,
        client.stream("GET", f"{address}/api/v1/live", headers=headers) as answer,
    ):
        yield answer, _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    fields: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        if line:
            key, _, value = line.partition(": ")
            fields[key] = value
        elif fields:
            yield {**fields, "data": json.loads(fields["data"])}
            fields = {}


async def _until(events: AsyncIterator[dict[str, Any]], kind: str, unit: str = "") -> Any:
    async with asyncio.timeout(DEADLINE_S):
        async for event in events:
            units = [item["unit"] for item in event["data"].get("items", [])]
            if event["event"] == kind and (not unit or unit in units):
                return event
    raise AssertionError(f"the stream ended without {kind}")


def _touch(database_url: str, power: float) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update point_latest set rate_kw = %s, ts = now()", (power,))
        connection.execute("notify danhao_live")


async def test_a_change_in_the_store_reaches_a_stream_by_cookie_and_ends_with_the_process(
    database_url: str, tokens: dict[str, str], pool: Pool
) -> None:
    await pool.close()
    with _running(database_url) as (address, process):
        async with httpx.AsyncClient() as client:
            signed = await client.post(
                f"{address}/api/v1/session", headers=bearer(tokens["operator"])
            )
            cookie = {"Cookie": f"danhao_session={signed.cookies['danhao_session']}"}
        async with _stream(address, {**cookie, "Accept-Encoding": "gzip"}) as (answer, events):
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-encoding"] == "gzip"  # and yet each event comes at once
            await _until(events, "units", POTLINE)
            began = time.monotonic()
            _touch(database_url, 7.5)
            event = await _until(events, "units", POTLINE)
            assert time.monotonic() - began < DEADLINE_S
            power = {item["unit"]: item["live"]["power_kw"] for item in event["data"]["items"]}
            assert power == {POTLINE: "7.5"}
            await _until(events, "heartbeat")
            process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            async with asyncio.timeout(DEADLINE_S):
                assert await asyncio.to_thread(process.wait) == 0
            assert time.monotonic() - began < 4
            with pytest.raises(AssertionError, match="ended without"):
                await _until(events, "resync")
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


async def test_a_stream_that_comes_back_gets_what_it_missed(
    database_url: str, tokens: dict[str, str], pool: Pool
) -> None:
    await pool.close()
    headers = bearer(tokens["admin"])
    with _running(database_url) as (address, _):
        async with _stream(address, headers) as (_, keeper):
            await _until(keeper, "units", POTLINE)
            async with _stream(address, headers) as (_, events):
                last = (await _until(events, "units"))["id"]
            _touch(database_url, 8.5)
            await _until(keeper, "units", POTLINE)
            async with _stream(address, {**headers, "Last-Event-ID": last}) as (_, events):
                event = await _until(events, "units")
                assert {item["unit"] for item in event["data"]["items"]} >= {POTLINE}
            async with _stream(address, {**headers, "Last-Event-ID": "old-1"}) as (_, events):
                await _until(events, "resync")


async def test_as_many_streams_as_are_served_and_no_more_and_strangers_none(
    database_url: str, tokens: dict[str, str], pool: Pool, tmp_path: Any
) -> None:
    await pool.close()
    settings = tmp_path / "danhao.toml"
    settings.write_text("[api]\nmost_live = 1\n")
    headers = bearer(tokens["regulator"])
    with _running(database_url, DANHAO_CONFIG=str(settings)) as (address, _):
        async with _stream(address, {}) as (answer, _):
            assert answer.status_code == 401
        async with _stream(address, headers) as (_, events):
            await _until(events, "units")
            async with _stream(address, headers) as (answer, _):
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
        async with asyncio.timeout(DEADLINE_S), httpx.AsyncClient() as client:
            status = 503
            while status == 503:  # the place is free as soon as the server saw the leaving
                async with client.stream(
                    "GET", f"{address}/api/v1/live", headers=headers
                ) as answer:
                    status = answer.status_code
        assert status == 200


async def test_a_stop_with_nobody_watching_is_clean_too(
    database_url: str, tokens: dict[str, str]
) -> None:
    assert tokens
    for number in (signal.SIGTERM, signal.SIGINT):
        with _running(database_url) as (address, process):
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{address}/healthz")).status_code == 200
            process.send_signal(number)
            _, complaints = process.communicate(timeout=DEADLINE_S)
            assert process.returncode == 0, complaints


def test_a_busy_port_is_one_clear_sentence() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"port {port} on 127.0.0.1 is in use"):
            server.bind("127.0.0.1", port)
        done = subprocess.run(
            [sys.executable, "-m", "danhao", "api", "run", "--port", str(port)],
            env={**os.environ, "DANHAO_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_of_nobody_is_one_clear_sentence() -> None:
    with pytest.raises(Misconfigured, match="cannot listen"):
        server.bind("203.0.113.1", 0)
