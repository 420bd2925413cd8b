"""SQLite under an outbox, on a disk that fills up, fails, and loses the program between two writes.

Every statement of the outbox passes here. A killed program leaves its file and its log as they
lie, uncommitted pages and all, and whoever opens them next repairs them as after a power cut.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from deploy.faultworld.process import KilledError
from deploy.faultworld.schedule import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from deploy.faultworld.process import Process
    from deploy.faultworld.schedule import Schedule

_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "COMMIT")
_HEADER_BYTES: Final = 100
_SUFFIXES: Final = ("", "-wal")


class Disk:
    """The file of one outbox."""

    def __init__(self, path: Path, schedule: Schedule) -> None:
        self.path = path
        self._schedule = schedule
        self._process: Process | None = None
        self._open: list[_Connection] = []
        self.full = False

    def belongs_to(self, process: Process) -> None:
        """Serve a new life of the program."""
        self._process = process

    def opened(self, connection: _Connection) -> None:
        """Know who has the file open."""
        self._open.append(connection)

    def before(self, statement: str) -> None:
        """Pass the way to the disk."""
        process = self._process
        if process is None or not process.alive:
            raise sqlite3.OperationalError("the program is dead")
        if not statement.lstrip().startswith(_WRITES):
            return
        if self._schedule.hit(Kind.AGENT_KILLED_IN_WRITE, f"{process.name} at {statement[:12]}"):
            self._fall(process)
        if self.full or self._schedule.hit(Kind.DISK_FULL, process.name):
            raise _error("database or disk is full", sqlite3.SQLITE_FULL)
        if self._schedule.hit(Kind.DISK_ERROR, process.name):
            raise _error("disk I/O error", sqlite3.SQLITE_IOERR)

    def after(self, statement: str) -> None:
        """Pass the way back from the disk."""
        process = self._process
        if process is None or not statement.startswith("COMMIT"):
            return
        if self._schedule.hit(Kind.AGENT_KILLED_IN_WRITE, f"{process.name} after COMMIT"):
            self._fall(process)

    def _fall(self, process: Process) -> None:
        process.die()
        self.abandon()
        raise KilledError(process.name)

    def abandon(self) -> None:
        """Leave the file as it lies: the log is not folded in, as a closing program would do."""
        left = self._contents()
        for connection in self._open:
            connection.dead = True
            sqlite3.Connection.close(connection)
        self._open.clear()
        for path, content in left.items():
            path.write_bytes(content)

    def scribble(self) -> None:
        """Spoil the file's head; what its log holds is gone as well."""
        content = bytearray(self.path.read_bytes())
        content[:_HEADER_BYTES] = b"\xa5" * min(_HEADER_BYTES, len(content))
        self.path.write_bytes(content)
        self.path.with_name(self.path.name + "-wal").unlink(missing_ok=True)

    def _contents(self) -> dict[Path, bytes]:
        paths = [self.path.with_name(self.path.name + suffix) for suffix in _SUFFIXES]
        return {path: path.read_bytes() for path in paths if path.exists()}


class _Connection(sqlite3.Connection):
    """A connection whose statements pass their disk."""

    disk: Disk
    dead = False

    @property
    def in_transaction(self) -> bool:
        """Tell whether a transaction is open; one of a dead program is not."""
        return not self.dead and super().in_transaction

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """Run a statement, unless the disk or the program ends before."""
        statement = str(arguments[0])
        if statement.startswith("PRAGMA synchronous"):
            # Programs die here, the machine does not: what was written is there without waiting.
            return super().execute("PRAGMA synchronous = OFF")
        if statement.startswith("ROLLBACK"):
            return super().execute(*arguments)
        self.disk.before(statement)
        found = super().execute(*arguments)
        self.disk.after(statement)
        return found

    def close(self) -> None:
        """Close, unless the program is dead and its file left as it lies."""
        if not self.dead:
            super().close()


class Disks:
    """The disks of one schedule, by the path of their file."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._disks: dict[str, Disk] = {}

    def at(self, path: Path) -> Disk:
        """Return the disk of an outbox."""
        return self._disks.setdefault(str(path), Disk(path, self._schedule))

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Put the disks under sqlite3 for the block."""
        real: Callable[..., sqlite3.Connection] = sqlite3.connect

        def connect(database: Any, *arguments: Any, **named: Any) -> sqlite3.Connection:
            disk = self._disks.get(str(database))
            if disk is None:
                return real(database, *arguments, **named)
            opened = real(database, *arguments, factory=_Connection, **named)
            assert isinstance(opened, _Connection)  # noqa: S101 - the factory's own
            opened.disk = disk
            disk.opened(opened)
            return opened

        with mock.patch.object(sqlite3, "connect", connect):
            yield


def _error(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error
