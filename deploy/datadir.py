"""The data directory: one owner at a time, secrets readable by that owner only.

Promise: nothing here changes the mode or owner of a folder that exists already; every file is
written aside, flushed and renamed into place with mode 0600, so a reader sees the old content or
the new one; a second owner is refused with one sentence that names the first.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MOST_BYTES: Final = 1 << 20
_LOCK: Final = "lock"


def default_path(environment: Mapping[str, str], home: Path) -> Path:
    """Return `$XDG_DATA_HOME/danhao`, or `~/.local/share/danhao` where that is not set."""
    base = environment.get("XDG_DATA_HOME", "")
    # The specification tells to ignore a relative path.
    root = Path(base) if base.startswith("/") else home / ".local" / "share"
    return root / "danhao"


class DataDirectory:
    """A folder that this process owns from `acquire` to `release`; also a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Create the folder where missing and lock it; the lock ends with the process.

        Raises `Misconfigured` when another process has it or the folder cannot be used.
        """
        with _as_misconfigured(self.path):
            make_private(self.path)
            descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "(unknown)"
            os.close(descriptor)
            raise errors.Misconfigured(
                f"the data directory {self.path} is in use by process {holder}: "
                "stop it or give another --data-dir"
            ) from error
        except OSError as error:
            os.close(descriptor)
            raise errors.Misconfigured(
                f"the data directory {self.path} cannot be locked ({error.strerror}): "
                "put it on a local disk"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

    def release(self) -> None:
        """Give the folder free; does nothing when it is not held."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def folder(self, name: str) -> Path:
        """Return the subfolder of that name, created with mode 0700 where missing."""
        path = self.path / name
        with _as_misconfigured(path):
            make_private(path, for_root=0o700)
        return path

    def write_json(self, name: str, value: object) -> Path:
        """Write a JSON file, atomically, readable by its owner only."""
        path = self.path / name
        with _as_misconfigured(path):
            write_json(path, value)
        return path

    def read_json(self, name: str) -> object | None:
        """Return the content of a JSON file, or None where there is no such file."""
        return read_json(self.path / name)

    def secret(self, name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(32)) -> str:
        """Return the secret kept under that name, made by chance the first time."""
        path = self.path / name
        with _as_misconfigured(path):
            if path.exists():
                return path.read_text("utf-8").strip()
            value = make()
            write_private(path, (value + "\n").encode())
            return value


def make_private(path: Path, for_root: int = 0o711) -> None:
    """Create a folder of mode 0700, missing parents with theirs by the umask; keep what exists.

    Root's is 0711: servers that refuse root must pass through, without seeing what it holds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
        if os.geteuid() == 0:
            path.chmod(for_root)
    if not path.is_dir():
        raise NotADirectoryError(20, "it is not a folder", str(path))


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one of mode 0600, atomically, and flush it to disk."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_json(path: Path, value: object) -> None:
    """Replace a JSON file atomically by one of mode 0600."""
    write_private(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, most_bytes: int = _MOST_BYTES) -> object | None:
    """Return the content of a JSON file within a bound, or None where there is none.

    Raises `Misconfigured` for a file that is too large or not JSON.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        return None
    if len(content) > most_bytes:
        raise errors.Misconfigured(
            [errors.Problem(str(path), f"the file is larger than {most_bytes} bytes: remove it")]
        )
    try:
        value: object = json.loads(content)
    except ValueError as error:
        raise errors.Misconfigured(
            [errors.Problem(str(path), f"the file is not JSON ({error}): repair or remove it")]
        ) from error
    return value


@contextlib.contextmanager
def _as_misconfigured(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.Misconfigured(
            f"the data directory cannot be used: {error.strerror} ({error.filename or path}): "
            "give another --data-dir"
        ) from error
