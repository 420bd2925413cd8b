"""Promises of the supervisor, kept with real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core import errors
from deploy import boundedlog, placement, supervisor
from tests.deploy import helpers, programs

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow


def python(name: str, code: str, **more: object) -> supervisor.Child:
    return supervisor.Child(name, (sys.executable, "-c", code), **more)  # type: ignore[arg-type] # fields by name


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.01)


async def test_a_child_that_dies_is_started_again_with_a_growing_pause(tmp_path: Path) -> None:
    async with supervisor.Supervisor(tmp_path) as family:
        began = time.monotonic()
        await family.start(python("brief", "print('born', flush=True)"))
        await until(lambda: family.states()[0].restarts >= 2)
        assert time.monotonic() - began >= 0.2 + 0.4
        state = family.states()[0]
        assert (state.name, state.exit_code) == ("brief", 0)
    assert (tmp_path / "brief.log").read_text().count("born") >= 2


async def test_start_returns_when_the_child_says_that_it_is_ready(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    code = f"import pathlib, time; time.sleep(0.2); pathlib.Path({str(flag)!r}).touch()"
    child = python("slow", f"{code}; time.sleep(600)", ready=lambda _pid: flag.exists())
    async with supervisor.Supervisor(tmp_path) as family:
        pid = await family.start(child)
        assert flag.exists()
        assert family.states()[0].is_ready
    assert not helpers.is_alive(pid)


async def test_children_stop_in_reverse_order_and_stubborn_ones_within_five_seconds(
    tmp_path: Path,
) -> None:
    code = (
        "import pathlib, signal, sys, time\n"
        "def end(*_):\n"
        "    with open({path!r}, 'a') as file: file.write({name!r} + '\\n')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    order = tmp_path / "order"
    async with supervisor.Supervisor(tmp_path) as family:
        for name in ("first", "second"):
            log = tmp_path / f"{name}.log"
            await family.start(
                python(
                    name,
                    code.format(path=str(order), name=name),
                    ready=lambda _pid, log=log: log.exists() and "up" in log.read_text(),
                )
            )
        for name in ("deaf-1", "deaf-2", "deaf-3", "deaf-4"):
            log = tmp_path / f"{name}.log"
            await family.start(
                python(
                    name,
                    programs.STUBBORN,
                    ready=lambda _pid, log=log: log.exists() and "up" in log.read_text(),
                )
            )
        pids = [state.pid for state in family.states()]
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert order.read_text().split() == ["second", "first"]
    assert not any(helpers.is_alive(pid) for pid in pids if pid is not None)


async def test_wrong_use_is_told_at_once_with_the_last_words(tmp_path: Path) -> None:
    code = "import sys; print('the key port is missing', file=sys.stderr); sys.exit(2)"
    async with supervisor.Supervisor(tmp_path) as family:
        with pytest.raises(errors.Misconfigured, match="the key port is missing"):
            await family.start(python("picky", code, ready=lambda _pid: False))
        assert family.states() == []


async def test_a_program_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    async with supervisor.Supervisor(tmp_path) as family:
        with pytest.raises(errors.Misconfigured, match="cannot be started"):
            await family.start(supervisor.Child("gone", (str(tmp_path / "gone"),)))


async def test_a_child_that_is_never_ready_is_ended_and_told(tmp_path: Path) -> None:
    child = python(
        "idle",
        "import time; print('waiting', flush=True); time.sleep(600)",
        ready=lambda _pid: False,
        ready_within_s=0.5,
    )
    async with supervisor.Supervisor(tmp_path) as family:
        with pytest.raises(errors.Retryable, match="idle was not ready within"):
            await family.start(child)
        assert family.states() == []


async def test_a_stop_while_a_child_starts_ends_the_start(tmp_path: Path) -> None:
    child = python("idle", "import time; time.sleep(600)", ready=lambda _pid: False)
    async with supervisor.Supervisor(tmp_path) as family:
        start = asyncio.create_task(family.start(child))
        await until(lambda: any(state.pid is not None for state in family.states()))
        pid = family.states()[0].pid
        family.stopping.set()
        with pytest.raises(errors.Retryable, match="stopped before it was ready"):
            await start
    assert pid is not None
    assert not helpers.is_alive(pid)


async def test_what_a_check_refuses_at_first_is_raised(tmp_path: Path) -> None:
    def refuse(_pid: int) -> bool:
        raise errors.Misconfigured("the password is another one")

    child = python("refused", "import time; time.sleep(600)", ready=refuse)
    async with supervisor.Supervisor(tmp_path) as family:
        with pytest.raises(errors.Misconfigured, match="the password is another one"):
            await family.start(child)


async def test_the_output_of_a_talkative_child_is_bounded(tmp_path: Path) -> None:
    code = "import time\nfor n in range(3000): print('x' * 99, flush=True)\ntime.sleep(600)"
    async with supervisor.Supervisor(tmp_path, most_log_bytes=100_000) as family:
        await family.start(python("talker", code))
        await until((tmp_path / "talker.log.1").exists)
    for name in ("talker.log", "talker.log.1"):
        assert (tmp_path / name).stat().st_size <= 100_000
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_written_is_counted_and_does_not_block(tmp_path: Path) -> None:
    log = boundedlog.BoundedLog(tmp_path / "missing" / "x.log")
    log.write(b"12345")
    assert log.dropped_bytes == 5
    assert log.last_lines(3) == []


def test_ended_children_that_nobody_collected_are_found() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    helpers.wait_until(lambda: not helpers.is_alive(child.pid), 10, "the end")
    assert child.pid in supervisor.strangers_ended(os.getpid())
    child.wait()
    assert child.pid not in supervisor.strangers_ended(os.getpid())


def start_family(folder: Path) -> tuple[subprocess.Popen[bytes], dict[str, Any], set[int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.deploy.programs", "family", str(folder)],
        cwd=helpers.ROOT,
        env=helpers.environment(),
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as pipe:
        said = json.loads(pipe.readline())
    pids = set(said["pids"]) | helpers.working_in(Path(said["cluster"]))
    return process, said, pids


@pytest.mark.postgres
@pytest.mark.broker
@pytest.mark.system
def test_nothing_is_left_after_kill_9_and_postgres_shut_down_cleanly() -> None:
    with helpers.passable_folder() as folder:
        process, said, pids = start_family(folder)
        assert len(pids) >= 6
        process.kill()
        process.wait()
        helpers.wait_until(
            lambda: not any(map(helpers.is_alive, pids)), 5, f"the end of {sorted(pids)}"
        )
        state = subprocess.run(
            [placement.installed_programs() / "pg_controldata", str(said["cluster"])],
            env={"LC_ALL": "C"},
            capture_output=True,
            check=True,
        ).stdout
        assert b"cluster state:               shut down\n" in state


@pytest.mark.postgres
@pytest.mark.broker
@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_everything_ends_in_under_five_seconds_by_signal(number: signal.Signals) -> None:
    with helpers.passable_folder() as folder:
        process, _, pids = start_family(folder)
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(10) == 0
        assert time.monotonic() - began < 5
        assert not any(map(helpers.is_alive, pids))


@pytest.mark.postgres
@pytest.mark.broker
@pytest.mark.system
def test_a_killed_server_is_back_with_its_rows_at_the_same_address() -> None:
    import psycopg  # noqa: PLC0415 - only this test asks the server

    with helpers.passable_folder() as folder:
        process, said, pids = start_family(folder)
        dsn = str(said["dsn"])
        try:
            with psycopg.connect(dsn) as link:
                link.execute("CREATE TABLE kept AS SELECT 7 AS value")
                link.commit()
            for pid in said["pids"][:2]:
                os.kill(pid, signal.SIGKILL)

            def is_back() -> bool:
                try:
                    with psycopg.connect(dsn) as link:
                        return link.execute("SELECT value FROM kept").fetchone() == (7,)
                except psycopg.OperationalError:
                    return False

            helpers.wait_until(is_back, 20, "the server's return")
            status = folder / "broker" / "status.json"
            helpers.wait_until(
                lambda: json.loads(status.read_text())["pid"] not in pids, 20, "the broker's return"
            )
        finally:
            process.terminate()
            process.wait(10)
