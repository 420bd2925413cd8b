"""Servers for benches: a database of the bench's own and a broker, gone with the bench.

`DANHAO_BENCH_DATABASE_URL` names a server whose account may create databases, to measure another
engine or version than the embedded one; its name stands beside the figures.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import conninfo, sql

from core.errors import Misconfigured
from deploy import parentdeath, postgres
from store import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VARIABLE: Final = "DANHAO_BENCH_DATABASE_URL"
START_S: Final = 20.0
_POLL_S: Final = 0.02
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_MOSQUITTO: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
max_inflight_messages 1000
max_packet_size 16777216
log_dest none
user {user}
"""


@contextmanager
def database(settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the address of a migrated database that nobody else uses.

    `settings` are for the embedded server; one that the variable names keeps its own.
    """
    given = os.environ.get(VARIABLE)
    if given:
        with _database_on(given) as url:
            yield url
        return
    with embedded(settings) as (url, _):
        migrate.migrate(url)
        yield url


@contextmanager
def embedded(
    settings: Mapping[str, str] | None = None, place: Path | None = None
) -> Iterator[tuple[str, Path]]:
    """Yield the address of an embedded server of the bench's own and its folder, below `place`."""
    folder = Path(tempfile.mkdtemp(prefix="danhao-bench-", dir=place))
    folder.chmod(0o711)  # root's server runs as another account and must pass through
    try:
        server = postgres.EmbeddedPostgres(
            folder / "postgres",
            parentdeath.unprivileged_user(),
            settings=settings,
            system_folder=folder / "system",
        )
        with server.running() as url:
            yield url, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _database_on(server: str) -> Iterator[str]:
    name = f"danhao_bench_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        given = conninfo.conninfo_to_dict(server)
        account = f"{given.get('user', '')}:{given.get('password', '')}"
        where = f"{given.get('host', '127.0.0.1')}:{given.get('port', 5432)}"
        try:
            url = f"postgresql://{account}@{where}/{name}"
            migrate.migrate(url)
            yield url
        finally:
            drop = sql.SQL("drop database {} with (force)")
            link.execute(drop.format(sql.Identifier(name)))


@contextmanager
def mosquitto() -> Iterator[tuple[int, int]]:
    """Yield port and process of a Mosquitto; raises Misconfigured where there is none."""
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Misconfigured("this bench needs Mosquitto: apt install mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        user = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
        file.write(_MOSQUITTO.format(port=port, user=user))
        file.flush()
        process = subprocess.Popen(  # noqa: S603 - the distribution's broker, our own settings
            [program, "-c", file.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **parentdeath.spawn_arguments(),
        )
        try:
            _wait(port, process)
            yield port, process.pid
        finally:
            process.kill()
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1.0):
                return
        except OSError:
            time.sleep(_POLL_S)
    raise Misconfigured("Mosquitto does not start here: run it by hand to see why")


def cpu_s(pid: int) -> float:
    """Return the processor seconds that a process has used; 0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Return the memory that a process has resident [MB]; 0 where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return 0.0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(found[0]) / 1024 if found else 0.0


def parent(pid: int) -> int:
    """Return the process that started another one; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


def family(pid: int) -> list[int]:
    """Return a process and its children."""
    if not pid:
        return []
    found = [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]
    return [pid, *(each for each in found if parent(each) == pid)]
