"""Folders, waiting and processes for the tests of deploy."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import parentdeath, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


@contextmanager
def passable_folder() -> Iterator[Path]:
    """Yield a folder that every account may pass through, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="danhao-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def small_server(folder: Path) -> postgres.EmbeddedPostgres:
    """Return a server below the folder that takes little memory and leaves no trace elsewhere."""
    return postgres.EmbeddedPostgres(
        folder / "postgres",
        parentdeath.unprivileged_user(),
        settings={"shared_buffers": "16MB", "max_connections": "20"},
        system_folder=folder / "system",
    )


def wait_until(condition: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait for a condition with a deadline and return the seconds it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"not within {within_s} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and waits to be collected does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def working_in(folder: Path) -> set[int]:
    """Return the living processes whose working folder is this one: a cluster's servers."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cwd").readlink() == folder:
                found.add(int(entry.name))
        except OSError:
            continue
    return {pid for pid in found if is_alive(pid)}


def environment(**more: str) -> dict[str, str]:
    """Return our environment with the checkout importable."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}
