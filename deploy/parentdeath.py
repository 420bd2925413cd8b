"""Children that never outlive their parent, and the account they run as.

Promise: a child started with the arguments of `spawn_arguments` gets its death signal from the
kernel the moment its parent dies, even by `kill -9` (Linux; elsewhere only the orderly stop
works). Two traps are handled here: a change of user clears the setting, so it is made after the
change; and the kernel follows the *thread* that forked, so children are started from the main
thread only.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict

from core import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_PR_SET_PDEATHSIG: Final = 1
_ORPHANED: Final = 125
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_SYSTEM_USERS: Final = ("danhao", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class User:
    """An account of the operating system that a child may run as."""

    name: str
    uid: int
    gid: int

    @property
    def groups(self) -> list[int]:
        """Return the account's groups: none of ours may leak into the child."""
        return os.getgrouplist(self.name, self.gid)


class SpawnArguments(TypedDict, total=False):
    """Keyword arguments common to `subprocess.Popen` and `asyncio.create_subprocess_exec`."""

    preexec_fn: Callable[[], None]
    start_new_session: bool
    user: int
    group: int
    extra_groups: Sequence[int]


def spawn_arguments(
    death_signal: signal.Signals = signal.SIGKILL, run_as: User | None = None
) -> SpawnArguments:
    """Return what a process starter needs so that the child dies with us.

    The child leads a session of its own: Ctrl-C in a terminal reaches us, and we decide about it.
    """
    if threading.current_thread() is not threading.main_thread():
        raise errors.Misconfigured(
            "a child process was started from a side thread, whose end would kill it: "
            "start children from the main thread"
        )
    arguments = SpawnArguments(preexec_fn=_tie(death_signal, os.getpid()), start_new_session=True)
    if run_as is not None and run_as.uid != os.geteuid():
        arguments["user"] = run_as.uid
        arguments["group"] = run_as.gid
        arguments["extra_groups"] = run_as.groups
    return arguments


def find_user(name: str) -> User | None:
    """Return the named account, or None where this machine has no such account."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def unprivileged_user() -> User | None:
    """Return the account for a server that refuses root: danhao, postgres or nobody.

    None for an ordinary user, who runs everything as himself. No account is ever created;
    raises `Misconfigured` on a machine that has none of the three.
    """
    if os.geteuid() != 0:
        return None
    for name in _SYSTEM_USERS:
        user = find_user(name)
        if user is not None and user.uid != 0:
            return user
    raise errors.Misconfigured(
        "this machine has none of the accounts danhao, postgres, nobody, and PostgreSQL refuses "
        "to run as root: create a system account named danhao, or run as an ordinary user"
    )


def _tie(death_signal: signal.Signals, parent: int) -> Callable[[], None]:
    """Return what runs in the child between fork and exec, after any change of user."""

    def tie() -> None:
        if _LIBC is None:
            return
        if _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            os._exit(_ORPHANED)
        if os.getppid() != parent:  # it died before prctl: no signal will ever come
            os._exit(_ORPHANED)

    return tie
