"""What a power cut leaves of a folder: a process' writes and syncs are recorded and replayed.

`record` runs a command under strace; `rebuild` writes the files as a disk would hold them when the
power goes after some call: what was synced is there, of what was not, any part may be, sector by
sector and name by name. The shared-memory index of SQLite is left out: it is rebuilt at each start.
"""

from __future__ import annotations

import codecs
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from random import Random

SECTOR_BYTES = 512
_TRACED = "openat,pwrite64,write,fsync,fdatasync,ftruncate,fallocate,unlink,rename,close"
_LINE = re.compile(r"^(?:\d+\s+)?(\w+)\((.*)\)\s+= (-?\d+)")


@dataclass(frozen=True)
class Call:
    """One system call that went well: its name, its arguments, what it returned."""

    name: str
    arguments: tuple[str, ...]
    result: int

    def text(self, position: int) -> bytes:
        """Return an argument that strace wrote as a string in hex."""
        return codecs.escape_decode(self.arguments[position].strip('"').encode())[0]


@dataclass
class File:
    """One file: what surely is on the disk, and the writes that may or may not be."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)
    named: bool = False

    def write(self, at: int, data: bytes) -> None:
        self.pending.append((at, data))

    def sync(self) -> None:
        for at, data in self.pending:
            _put(self.synced, at, data)
        self.pending.clear()


def record(command: Sequence[str], folder: Path, trace: Path) -> list[Call]:
    """Run a command and return its calls on files, oldest first."""
    strace = ["strace", "-f", "-xx", "-s", "4000000", "-e", f"trace={_TRACED}", "-o", str(trace)]
    subprocess.run([*strace, *command], check=True, capture_output=True)
    calls = []
    hexed = "".join(f"\\x{byte:02x}" for byte in str(folder).encode())
    open_here: set[str] = {"1"}
    for line in trace.read_text("ascii").splitlines():
        found = _LINE.match(line)
        if found is None or int(found.group(3)) < 0:
            continue
        call = Call(found.group(1), tuple(found.group(2).split(", ")), int(found.group(3)))
        if call.name == "openat":
            if hexed in call.arguments[1]:
                open_here.add(str(call.result))
                calls.append(call)
        elif call.name in {"unlink", "rename"}:
            calls.extend([call] if hexed in call.arguments[0] else [])
        elif call.arguments[0] in open_here:
            calls.append(call)
            if call.name == "close":
                open_here.discard(call.arguments[0])
    return calls


def promises(calls: Sequence[Call]) -> list[tuple[int, int]]:
    """Return (position, number) of every number that the process printed."""
    return [
        (position, int(call.text(1)))
        for position, call in enumerate(calls)
        if call.name == "write" and call.arguments[0] == "1"
    ]


def cuts(
    calls: Sequence[Call], said: Sequence[tuple[int, int]], draw: Random, count: int
) -> Iterator[tuple[int, int]]:
    """Yield (calls that were made, what was promised by then) at random moments."""
    first = said[0][0] - 20
    for _ in range(count):
        cut = draw.randrange(first, len(calls) + 1)
        yield cut, max((number for position, number in said if position < cut), default=0)


def rebuild(calls: Sequence[Call], folder: Path, target: Path, draw: Random) -> None:
    """Write into `target` what a cut after these calls leaves of `folder`."""
    disk = _Disk(str(folder))
    for call in calls:
        disk.take(call)
    target.mkdir()
    for path in disk.gone:
        if draw.random() < 0.5:
            disk.files.pop(path, None)
    for path, file in disk.files.items():
        if not path.endswith(("-shm", ".lock")) and (file.named or draw.random() < 0.5):
            (target / path.rpartition("/")[2]).write_bytes(_survived(file, draw))


class _Disk:
    """The files of one folder as calls change them."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._opened: dict[str, str] = {}
        self.files: dict[str, File] = {}
        self.gone: list[str] = []

    def take(self, call: Call) -> None:
        if call.name == "openat":
            path = call.text(1).decode()
            self._opened[str(call.result)] = path
            if path != self._folder:
                self.files.setdefault(path, File())
            return
        if call.name == "unlink":
            self.gone.append(call.text(0).decode())
            return
        assert call.name != "rename", "a rename is not modelled"
        path = self._opened.get(call.arguments[0], "")
        if path == self._folder and call.name in {"fsync", "fdatasync"}:
            self._sync_names()
        _apply(call, path, self.files, self.gone)

    def _sync_names(self) -> None:
        for file in self.files.values():
            file.named = True
        for path in self.gone:
            self.files.pop(path, None)
        self.gone.clear()


def _apply(call: Call, path: str, files: dict[str, File], gone: list[str]) -> None:
    file = files.get(path)
    if file is None:
        return
    if path in gone:
        files[path] = file = File()  # made anew under a name that was removed
        gone.remove(path)
    if call.name == "pwrite64":
        file.write(int(call.arguments[3]), call.text(1))
    elif call.name == "ftruncate":
        length = int(call.arguments[1])
        whole = bytearray(file.synced)
        for at, data in file.pending:
            _put(whole, at, data)
        # Kept simple: a truncation is on the disk at once, with all that came before it.
        file.pending.clear()
        file.synced = whole[:length].ljust(length, b"\0")
    elif call.name in {"fsync", "fdatasync"}:
        file.sync()


def _survived(file: File, draw: Random) -> bytes:
    content = bytearray(file.synced)
    for at, data in file.pending:
        if draw.random() < 0.3:
            continue
        for start in range(0, len(data), SECTOR_BYTES):
            if draw.random() < 0.8:
                _put(content, at + start, data[start : start + SECTOR_BYTES])
    return bytes(content)


def _put(content: bytearray, at: int, data: bytes) -> None:
    if len(content) < at + len(data):
        content.extend(b"\0" * (at + len(data) - len(content)))
    content[at : at + len(data)] = data
