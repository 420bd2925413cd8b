"""The files of the raw archive: a Parquet file and a manifest for each day, in one folder.

`DAY.json` is written last and names its file's digest, so a day without one was not finished.
Promise: what is named there is on the disk; a file that is not what its manifest says is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core.errors import Misconfigured
from store import parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from store.blocks import Block

FORMAT: Final = "danhao-archive 1"
MOST_MANIFEST_BYTES: Final = 64 << 20  # of one day: 200 000 points
MOST_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Day:
    """One archived day as its manifest tells."""

    name: str
    file: str
    sha256: str
    rows: int
    points: Mapping[str, Any]

    @property
    def from_us(self) -> int:
        """Return the day's first instant."""
        return start_of(self.name)


def days(folder: Path) -> list[Day]:
    """Return the archived days of a folder in order; raises Misconfigured for a bad manifest."""
    try:
        found = sorted(folder.glob("????-??-??.json"))
    except OSError as error:
        raise Misconfigured(f"{folder}: cannot be read: {error.strerror}") from error
    return [_read_manifest(path) for path in found]


def read_day(folder: Path, day: Day, ids: Mapping[str, int]) -> Iterator[Block]:
    """Yield a day's readings once its file's digest is right; raises Misconfigured where it is not.

    Not before its last block is it sure that the file holds what the manifest says.
    """
    path = folder / day.file
    if digest(path) != day.sha256:
        raise Misconfigured(
            f"{path}: is damaged: its digest is not the manifest's; take it from another copy"
        )
    rows = 0
    for block in parquet.read(path, ids, str(path)):
        rows += len(block)
        yield block
    if rows != day.rows:
        raise Misconfigured(f"{path}: holds {rows} readings, its manifest says {day.rows}")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file; raises Misconfigured where it cannot be read."""
    total = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while data := file.read(MOST_READ_BYTES):
                total.update(data)
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    return total.hexdigest()


def make(folder: Path) -> str:
    """Have the folder; return its whole path."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder.absolute())
    except OSError as error:
        raise Misconfigured(f"{folder}: cannot be made: {error.strerror}") from error


def start_of(name: str) -> int:
    """Return the first instant of a day that is named as its files are."""
    return periods.parse_instant(f"{name}T00:00:00Z")


def known(folder: Path, name: str) -> Day | None:
    """Return what the folder says of a day, None where it was never archived there."""
    path = folder / f"{name}.json"
    return _read_manifest(path) if path.exists() else None


def _read_manifest(path: Path) -> Day:
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(MOST_MANIFEST_BYTES))
        if data["format"] != FORMAT:
            raise Misconfigured(f"{path}: is of the form {data['format']!r}, not {FORMAT!r}")
        return Day(data["day"], data["file"], data["sha256"], data["rows"], data["points"])
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{path}: is no manifest of an archived day: {error}") from error


def write_manifest(folder: Path, day: Day) -> None:
    """Have the folder say so of a day, from now on and whatever happens."""
    path, part = folder / f"{day.name}.json", folder / f"{day.name}.json.part"
    text = {
        "format": FORMAT,
        "day": day.name,
        "file": day.file,
        "sha256": day.sha256,
        "rows": day.rows,
        "points": day.points,
    }
    part.write_text(json.dumps(text, ensure_ascii=False, indent=1) + "\n", "utf-8")
    sync(part)
    part.replace(path)
    sync(folder)


def sync(path: Path) -> None:
    """Have a file, or the entries of a folder, on the disk before anything rests on it."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
