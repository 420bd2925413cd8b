"""A log file that never grows beyond its bound: one current file and one before it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES: Final = 5_000_000


class BoundedLog:
    """Appends bytes to `path`; at the bound the file becomes `path.1` and a new one begins.

    What cannot be written (a full disk) is dropped and counted: the writer's pipe must not block.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self.path = path
        self.dropped_bytes = 0
        self._most_bytes = most_bytes
        self._descriptor = -1
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append, whole lines where the caller gives whole lines."""
        try:
            if self._descriptor < 0:
                self._open()
            if self._size and self._size + len(data) > self._most_bytes:
                self.close()
                self.path.replace(self.path.with_name(f"{self.path.name}.1"))
                self._open()
            written = os.write(self._descriptor, data[-self._most_bytes :])
            self._size += written
            self.dropped_bytes += len(data) - written
        except OSError:
            self.dropped_bytes += len(data)

    def last_lines(self, count: int, most_bytes: int = 8192) -> list[str]:
        """Return the last lines that are not empty, for a message to a person."""
        try:
            with self.path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - most_bytes))
                text = file.read(most_bytes).decode("utf-8", "replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-count:]

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        self._descriptor = os.open(self.path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size
