"""The file of a backup: a zip that any tool opens, sealed by a digest over all of it.

`manifest.json`, `table/NAME.copy.zst` (PostgreSQL's binary COPY), `reading/DAY.NNN.parquet`. The
SHA-256 of everything before it is the zip's comment, the last 64 bytes of the file. Promise: one
flipped, missing or added byte anywhere is refused before anything is read from it; the file has
its name only once it is whole and on the disk, and only its owner may read it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zipfile
from typing import IO, TYPE_CHECKING, Any, Final

import pyarrow as pa

from core.errors import Misconfigured
from store.archivefile import sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

FORMAT: Final = "danhao-backup 1"
MANIFEST: Final = "manifest.json"
SEAL_CHARS: Final = 64  # of a SHA-256 in hexadecimal
MOST_CHUNK_BYTES: Final = 1 << 20
MOST_MANIFEST_BYTES: Final = 256 << 20  # a million points
_MADE: Final = (1980, 1, 1, 0, 0, 0)  # a zip's zero: the manifest says when it was made


class Writer:
    """Writes one backup; leaves nothing of that name behind when it is given up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        if path.exists():
            raise Misconfigured(f"{path}: is there already: give another name")
        try:
            self._part.unlink(missing_ok=True)
            number = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise Misconfigured(f"{path}: cannot be written: {error.strerror}") from error
        self._file = os.fdopen(number, "wb")
        self._sealing = _Sealing(self._file)
        self._zip = zipfile.ZipFile(self._sealing, "w", zipfile.ZIP_STORED)  # type: ignore[call-overload] # a plain stream is enough
        self._zip.comment = b"0" * SEAL_CHARS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            return
        self._sealing.give_up()
        with contextlib.suppress(OSError, ValueError):
            self._zip.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Misconfigured(f"{self._path}: cannot be written: {error.strerror}") from error

    def add(self, name: str, data: bytes) -> None:
        """Add a member that is at hand whole."""
        self._zip.writestr(zipfile.ZipInfo(name, _MADE), data)

    @contextlib.contextmanager
    def compressed(self, name: str) -> Iterator[Callable[[bytes], object]]:
        """Add a member piece by piece, packed by zstd; yields what takes the pieces."""
        entry = zipfile.ZipInfo(name, _MADE)
        with self._zip.open(entry, "w", force_zip64=True) as member:
            sink = pa.CompressedOutputStream(pa.PythonFile(member, "w"), "zstd")
            yield sink.write
            sink.close()

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, seal the file, and give it its name once it is on the disk."""
        self.add(MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1).encode())
        self._zip.close()
        self._sealing.seal()
        self._file.close()
        sync(self._part)
        self._part.replace(self._path)
        sync(self._path.parent)


class Reader:
    """Reads one backup whose seal holds; `watch` hears of (bytes checked, bytes of all)."""

    def __init__(self, path: Path, watch: Callable[[int, int], None] = lambda *_: None) -> None:
        self._path = path
        _check_seal(path, watch)
        try:
            self._zip = zipfile.ZipFile(path)
            with self._zip.open(MANIFEST) as member:
                self.manifest: dict[str, Any] = json.loads(member.read(MOST_MANIFEST_BYTES))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise Misconfigured(f"{path}: is no backup of ours: {error}") from error
        if self.manifest.get("format") != FORMAT:
            raise Misconfigured(
                f"{path}: is of the form {self.manifest.get('format')!r}, not {FORMAT!r}: use the"
                " program that wrote it"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def data(self, name: str) -> bytes:
        """Return a member whole: one of those that `Writer.add` made."""
        return self._zip.read(name)

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield a compressed member in pieces of at most MOST_CHUNK_BYTES."""
        with self._zip.open(name) as member:
            source = pa.CompressedInputStream(pa.PythonFile(member, "r"), "zstd")
            while piece := source.read(MOST_CHUNK_BYTES):
                yield piece


class _Sealing:
    """A stream that digests what passes and holds back the last SEAL_CHARS bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._held = b""
        self._given_up = False

    def write(self, data: Any) -> int:
        """Pass on all but the last bytes."""
        if self._given_up:
            return len(data)
        whole = self._held + bytes(data)
        passed, self._held = whole[:-SEAL_CHARS], whole[-SEAL_CHARS:]
        self._digest.update(passed)
        self._file.write(passed)
        return len(data)

    def flush(self) -> None:
        """Hand on what is passed."""
        if not self._given_up:
            self._file.flush()

    def give_up(self) -> None:
        """Let go what the zip still wants to say at its end."""
        self._given_up = True

    def seal(self) -> None:
        """Write the digest in the place of the bytes held back."""
        self._file.write(self._digest.hexdigest().encode())
        self._file.flush()


def _check_seal(path: Path, watch: Callable[[int, int], None]) -> None:
    damaged = f"{path}: is damaged or cut short: its digest does not hold; take another copy"
    try:
        left = size = path.stat().st_size - SEAL_CHARS
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while left > 0:
                data = file.read(min(MOST_CHUNK_BYTES, left))
                if not data:
                    raise Misconfigured(damaged)
                digest.update(data)
                left -= len(data)
                watch(size - left, size)
            seal = file.read()
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    if size <= 0 or seal != digest.hexdigest().encode():
        raise Misconfigured(damaged)
