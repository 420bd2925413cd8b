"""The embedded PostgreSQL: created once, started by command line, stopped by signal.

    server = EmbeddedPostgres(data.path / "postgres", run_as=parentdeath.unprivileged_user())
    server.prepare()                              # creates the cluster the first time
    await supervisor.start(server.child())        # or: with server.running(): ...
    server.dsn                                    # postgresql://danhao:...@127.0.0.1:.../danhao

Promise: passwords by SCRAM on one loopback port, no other way in; the same cluster after any
kill, with every committed row; no process left once the parent is gone. The server's own log is
its standard error: whoever starts it bounds it. Nothing depends on the locale of the machine.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psycopg

from core import errors
from deploy import datadir, parentdeath, placement, ports, supervisor
from store import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROLE: Final = "danhao"
DATABASE: Final = "danhao"
START_S: Final = 120.0  # a kill may leave 2 GB of log to replay: 5 s a GB and more when busy
_INITDB_S: Final = 120
_STOP_S: Final = 30.0
_RETRY_S: Final = 0.2
_MOST_STARTS: Final = 25
_POLL_S: Final = 0.02
_MOST_LOG_BYTES: Final = 5 << 20
_READY_LINE: Final = 8
_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "60",
    "max_locks_per_transaction": "256",  # a day of readings is a table: ten years of them
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
}


class EmbeddedPostgres:
    """One cluster in one folder of the data directory, whose owner holds the folder's lock."""

    def __init__(
        self,
        directory: Path,
        run_as: parentdeath.User | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        system_folder: Path = placement.SYSTEM_FOLDER,
    ) -> None:
        self._directory = directory.absolute()
        self._run_as = run_as
        self._settings = {**_SETTINGS, **(settings or {})}
        self._system_folder = system_folder
        self._place: placement.Place | None = None
        self._password = ""
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Find or make the cluster, its password and a free port; may be called again.

        Takes about a second the first time. Raises `Misconfigured` with the reason.
        """
        try:
            datadir.make_private(self._directory)
            place = placement.find(self._directory, self._run_as, self._system_folder)
            self._place = place
            self._password = self._find_password()
            if not (place.cluster / "PG_VERSION").is_file():
                self._create(place)
            self._port = ports.keep(self._directory / "port")
        except OSError as error:
            raise errors.Misconfigured(
                f"the embedded PostgreSQL cannot be set up in {self._directory}: "
                f"{error.strerror} ({error.filename}): make room there or give another --data-dir"
            ) from error

    @property
    def place(self) -> placement.Place:
        """Where programs and cluster are; `prepare` comes first."""
        if self._place is None:
            raise errors.Misconfigured("the embedded PostgreSQL is not prepared: call prepare()")
        return self._place

    @property
    def dsn(self) -> str:
        """The address of the database, with its password: for 0600 files and environments only."""
        return self._url(DATABASE)

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1; the same one over restarts as long as it is free."""
        return self._port

    def command(self) -> tuple[str, ...]:
        """Return the command line of the server; it holds no secret."""
        options = {**self._settings, "port": str(self._port)}
        flags = [f for key, value in options.items() for f in ("-c", f"{key}={value}")]
        return (str(self.place.programs / "postgres"), "-D", str(self.place.cluster), *flags)

    def environment(self) -> dict[str, str]:
        """Return the server's whole environment: nothing of ours, whatever LANG says."""
        return {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}

    def child(self, name: str = "postgres") -> supervisor.Child:
        """Return the server as a child for the supervisor."""
        return supervisor.Child(
            name=name,
            argv=self.command(),
            env=self.environment(),
            before=self.clear_stale,
            ready=self.is_ready,
            ready_within_s=START_S,
            # Fast shutdown; then the immediate one, which the next start repairs from the log.
            stop_signals=(signal.SIGINT, signal.SIGQUIT),
            death_signal=signal.SIGINT,
            run_as=self.place.user,
        )

    def is_ready(self, pid: int) -> bool:
        """Tell whether the server with this process id takes connections, database included.

        `postmaster.pid` must name that very process: without this test a stale file says ready.
        """
        lines = self._pid_file()
        if len(lines) < _READY_LINE or lines[0] != str(pid):
            return False
        if lines[_READY_LINE - 1] != "ready":
            return False
        try:
            self._create_database()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise errors.Misconfigured(
                    f"the password in {self._directory / 'password'} is not the one of the "
                    f"cluster {self.place.cluster}: restore the file"
                ) from None
            return False
        return True

    def clear_stale(self) -> None:
        """Make way for a start: end an orphaned server, drop a stale `postmaster.pid`.

        The lock of the data directory says that no living owner has this cluster. A stale file
        may name a zombie or a stranger's process by now, and PostgreSQL would not start.
        Raises `Retryable` when an orphan does not end.
        """
        deadline = time.monotonic() + _STOP_S
        told: signal.Signals | None = None
        while (pid := self._server_pid()) is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise errors.Retryable(
                    f"a former PostgreSQL (process {pid}) still holds {self.place.cluster}: "
                    "stop it and start again"
                )
            wanted = signal.SIGINT if left > _STOP_S / 2 else signal.SIGQUIT
            if wanted is not told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, wanted)
                told = wanted
            time.sleep(_POLL_S)
        if self._pid_file() and Path("/proc/self").exists():
            (self.place.cluster / "postmaster.pid").unlink(missing_ok=True)

    def start(self, within_s: float = START_S) -> int:
        """Start the server without a supervisor and return its process id once it is ready.

        Tries again while children of a killed server hold its shared memory. Raises `Retryable`
        with the log's last line.
        """
        deadline = time.monotonic() + within_s
        for _ in range(_MOST_STARTS):
            self.clear_stale()
            self._process = process = self._spawn()
            while process.poll() is None and time.monotonic() < deadline:
                if self.is_ready(process.pid):
                    return process.pid
                time.sleep(_POLL_S)
            if process.poll() is None:
                self.stop()
            if time.monotonic() + _RETRY_S >= deadline:
                break
            time.sleep(_RETRY_S)
        raise errors.Retryable(
            f"the embedded PostgreSQL did not start: {self._last_words()}: see {self._log}"
        )

    def stop(self) -> None:
        """Stop a server begun by `start`: fast, then immediately, then by force."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_S / 2)
                return

    @contextlib.contextmanager
    def running(self, within_s: float = START_S) -> Iterator[str]:
        """Prepare, start, yield the address, stop."""
        self.prepare()
        self.start(within_s)
        try:
            yield self.dsn
        finally:
            self.stop()

    @property
    def _log(self) -> Path:
        return self._directory / "postgres.log"

    def _url(self, database: str) -> str:
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self._port}/{database}"

    def _spawn(self) -> subprocess.Popen[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        if self._log.exists() and self._log.stat().st_size > _MOST_LOG_BYTES:
            flags |= os.O_TRUNC
        log = os.open(self._log, flags, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - our own command line
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=self.environment(),
                **parentdeath.spawn_arguments(signal.SIGINT, self.place.user),
            )
        finally:
            os.close(log)

    def _last_words(self) -> str:
        try:
            lines = self._log.read_bytes()[-4096:].decode("utf-8", "replace").splitlines()
        except OSError:
            return "no log"
        return lines[-1] if lines else "no word in its log"

    def _find_password(self) -> str:
        path = self._directory / "password"
        if path.exists():
            return path.read_text("utf-8").strip()
        password = secrets.token_urlsafe(24)
        datadir.write_private(path, f"{password}\n".encode())
        return password

    def _create(self, place: placement.Place) -> None:
        """Run initdb; an interrupted one is begun anew, for PG_VERSION is not enough alone."""
        aside = place.cluster.with_name(f"{place.cluster.name}.new")
        self._remove_unfinished(aside)
        password_file = self._hand_over_password(aside)
        try:
            done = subprocess.run(  # noqa: S603 - our own command line
                [
                    str(place.programs / "initdb"),
                    *("-D", str(aside), "--username", ROLE, f"--pwfile={password_file}"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
                    *("--data-checksums", "--no-instructions"),
                ],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_INITDB_S,
                cwd="/",
                env=self.environment(),
                **parentdeath.spawn_arguments(signal.SIGKILL, place.user),
            )
        finally:
            password_file.unlink()
        if done.returncode != 0:
            words = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
            raise errors.Misconfigured(
                f"initdb failed in {aside}: {words[-1] if words else f'exit {done.returncode}'}: "
                "give another --data-dir"
            )
        aside.rename(place.cluster)

    def _remove_unfinished(self, aside: Path) -> None:
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir(mode=0o700)
        if self.place.user is not None:
            os.chown(aside, self.place.user.uid, self.place.user.gid)

    def _hand_over_password(self, aside: Path) -> Path:
        """Write the password where initdb's account may read it, and nobody else."""
        path = aside.with_name(f".password-{secrets.token_hex(6)}")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            if self.place.user is not None:
                os.fchown(descriptor, self.place.user.uid, self.place.user.gid)
            file.write(f"{self._password}\n")
        return path

    def _create_database(self) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True, connect_timeout=2) as link:
            migrate.create_database(link, DATABASE)

    def _pid_file(self) -> list[str]:
        try:
            text = (self.place.cluster / "postmaster.pid").read_text("utf-8", "replace")
        except OSError:
            return []
        return [line.strip() for line in text.splitlines()]

    def _server_pid(self) -> int | None:
        """Return the living process that serves this cluster, if the pid file names one."""
        lines = self._pid_file()
        if not lines or not lines[0].isdecimal():
            return None
        try:
            # A server works in its cluster's folder; a zombie has no folder and serves nobody.
            if not self.place.cluster.samefile(f"/proc/{lines[0]}/cwd"):
                return None
            name = Path(f"/proc/{lines[0]}/comm").read_text("utf-8", "replace").strip()
        except OSError:
            return None
        return int(lines[0]) if name == "postgres" else None
