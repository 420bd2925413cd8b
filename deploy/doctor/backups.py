"""What the doctor makes of a folder of backups: is there a young one, of this store, and room.

A manifest is read without checking the whole file's seal, which takes as long as reading it does:
`danhao db verify FILE` proves it.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured
from deploy.doctor.page import Checked, Grade, lasting
from store import backupfile, status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_FILES: Final = 10_000  # looked at in the folder
MOST_OPENED: Final = 20  # the youngest, until one is a backup
OLD: Final = timedelta(hours=26)  # one a day, and two hours in which it is written


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as its manifest and its file say."""

    path: Path
    made_at: datetime
    store: str
    size_bytes: int


def youngest(folder: Path) -> Backup | None:
    """Return the youngest backup of a folder, None where it holds none.

    Raises Misconfigured where the folder cannot be read.
    """
    try:
        files = [path for path in folder.iterdir() if path.is_file()]
        by_age = sorted(files[:MOST_FILES], key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError as error:
        raise Misconfigured(f"{folder}: cannot be read: {error.strerror}") from error
    found = [each for each in map(_read, by_age[:MOST_OPENED]) if each is not None]
    return max(found, key=lambda each: each.made_at, default=None)


def judge(found: Backup | None, store: str, now: datetime, free_bytes: int | None) -> list[Checked]:
    """Return what is to be said of the youngest backup and of the room beside it."""
    return list(_judge(found, store, now, free_bytes))


def unknown() -> Checked:
    """Return what is said where no folder was named."""
    what = "no folder of backups was named, so none was looked at"
    return Checked("backups", Grade.UNKNOWN, what, "`danhao doctor --backups DIR`")


def free_of(folder: Path) -> int | None:
    """Return the room beside the backups, None where it cannot be asked."""
    room = status.disk_of(str(folder))
    return None if room is None else room.free_bytes


def _judge(
    found: Backup | None, store: str, now: datetime, free_bytes: int | None
) -> Iterator[Checked]:
    if found is None:
        remedy = "`danhao db backup FILE` once a day (docs/keeping.md), and to another machine"
        yield Checked("backups", Grade.BROKEN, "the folder holds no backup", remedy)
        return
    age = now - found.made_at
    name = found.path.name
    if found.store != store:
        what = f"the youngest, {name}, is of the store {found.store}, not of this one"
        remedy = "back this store up; after a restore that is due at once"
        yield Checked("backups", Grade.BROKEN, what, remedy)
    elif age > OLD:
        what = f"the youngest, {name}, is {lasting(age)} old"
        remedy = "does its timer run? `systemctl list-timers`; else `danhao db backup FILE` now"
        yield Checked("backups", Grade.BROKEN, what, remedy)
    else:
        yield Checked("backups", Grade.WELL, f"the youngest, {name}, is {lasting(age)} old")
    if free_bytes is not None and free_bytes < 2 * found.size_bytes:
        what = "there is no room for two more backups beside the youngest"
        yield Checked("backups", Grade.WARNING, what, "remove old ones or give the disk more room")


def _read(path: Path) -> Backup | None:
    """Return the backup that a file is, None where it is none of ours."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(backupfile.MANIFEST) as member:
            manifest = json.loads(member.read(backupfile.MOST_MANIFEST_BYTES))
        if manifest["format"] != backupfile.FORMAT:
            return None
        made_at = datetime.fromisoformat(manifest["made_at"])
        return Backup(path, made_at, str(manifest["store"]), path.stat().st_size)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
