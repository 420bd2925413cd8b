"""Keeps the child processes of `danhao up` alive, and ends every one of them.

    async with Supervisor(data.folder("log")) as family:
        family.handle_signals()
        await family.start(server.child())            # returns once it is ready
        await family.start(Child("ingest", (sys.executable, "-m", "ingest", "run"), env=...))
        await family.stopping.wait()                  # SIGINT, SIGTERM, SIGHUP, or set by hand
    # all children have ended here

Promise: children start in order and stop in reverse, all within 5 s; a dead one is started again
after 0.2 s, doubling to 5 s; each one's output goes to `<name>.log`, bounded; when this process
dies, by whatever signal, the kernel ends the children.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping  # noqa: TC003 - fields of a public dataclass
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from core import errors
from deploy import boundedlog, parentdeath

if TYPE_CHECKING:
    from types import TracebackType

FIRST_BACKOFF_S: Final = 0.2
MOST_BACKOFF_S: Final = 5.0
SOUND_LIFE_S: Final = 60.0
_STOP_ALL_S: Final = 4.0
_STOP_ONE_S: Final = 2.0
_STOP_HARDER_S: Final = 0.3
_KILL_S: Final = 0.5
_POLL_S: Final = 0.05
_DRAIN_S: Final = 0.5
_CHUNK: Final = 1 << 16
_REAP_S: Final = 5.0
_WRONG_USE: Final = 2
_log = logging.getLogger("danhao.supervisor")


@dataclass(frozen=True, slots=True)
class Child:
    """One program to keep alive.

    `env` is the whole environment (None: ours). `before` runs before each start, `ready` is asked
    with the process id until it says yes; both in a side thread, both may raise `DanhaoError`.
    `stop_signals` are sent one after the other, then SIGKILL. `death_signal` comes from the kernel
    when we die: SIGKILL for all that is crash-safe, as everything of ours is.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    before: Callable[[], None] | None = None
    ready: Callable[[int], bool] | None = None
    ready_within_s: float = 30.0
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM,)
    death_signal: signal.Signals = signal.SIGKILL
    run_as: parentdeath.User | None = None
    cwd: Path | None = None


@dataclass(frozen=True, slots=True)
class ChildState:
    """What a health page shows of one child; `exit_code` is that of its last end."""

    name: str
    pid: int | None
    is_ready: bool
    restarts: int
    exit_code: int | None
    dropped_log_bytes: int


class Supervisor:
    """Starts, watches and stops children; use it from the main thread's event loop."""

    def __init__(self, log_directory: Path, *, most_log_bytes: int = boundedlog.MOST_BYTES) -> None:
        self.stopping = asyncio.Event()
        self._log_directory = log_directory
        self._most_log_bytes = most_log_bytes
        self._keepers: list[_Keeper] = []
        self._signals: list[signal.Signals] = []
        self._is_hurried = False
        self._reaper: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if os.getpid() == 1:
            self._reaper = asyncio.create_task(_reap(), name="reap")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def handle_signals(self) -> None:
        """Set `stopping` at SIGINT, SIGTERM or SIGHUP; a second one kills without waiting."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
            self._signals.append(number)

    async def start(self, child: Child) -> int:
        """Start a child and return its process id once it is ready.

        Raises `Misconfigured` when the child ends with exit code 2 (wrong use) before it was
        ready, `Retryable` when it is not ready in time; both quote its last words. It is then no
        longer kept. Ends with `Retryable` when `stopping` is set meanwhile.
        """
        log = boundedlog.BoundedLog(self._log_directory / f"{child.name}.log", self._most_log_bytes)
        keeper = _Keeper(child, log)
        self._keepers.append(keeper)
        keeper.task = asyncio.create_task(keeper.keep(), name=f"keep {child.name}")
        keeper.task.add_done_callback(self._on_keeper_end)
        stopping = asyncio.create_task(self.stopping.wait())
        ready = asyncio.create_task(keeper.first_ready.wait())
        try:
            await asyncio.wait(
                {keeper.task, ready, stopping},
                timeout=child.ready_within_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            stopping.cancel()
            ready.cancel()
            if not keeper.first_ready.is_set():
                self._keepers.remove(keeper)
                await keeper.stop(_STOP_ONE_S)
        if not keeper.first_ready.is_set():
            raise keeper.why_not_ready(is_stopping=self.stopping.is_set())
        return keeper.pid or 0

    def states(self) -> list[ChildState]:
        """Return the state of each child, in the order of their start."""
        return [keeper.state() for keeper in self._keepers]

    async def stop(self) -> None:
        """Stop all children, the last started first; no process is left, in under 5 s."""
        self.stopping.set()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _STOP_ALL_S
        while self._keepers:
            keeper = self._keepers.pop()
            # Each one still to come keeps a little of the time.
            left = deadline - loop.time() - _STOP_HARDER_S * len(self._keepers)
            allowed = 0.0 if self._is_hurried else min(_STOP_ONE_S, max(left, _STOP_HARDER_S))
            await keeper.stop(allowed)
        for number in self._signals:
            loop.remove_signal_handler(number)
        self._signals.clear()
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None

    def _on_keeper_end(self, task: asyncio.Task[None]) -> None:
        """End everything when a keeper fails by a mistake of ours: a child would go unwatched."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("%s failed: stopping", task.get_name(), exc_info=error)
            self.stopping.set()

    def _on_signal(self, number: signal.Signals) -> None:
        _log.info("%s: stopping", number.name)
        if self.stopping.is_set():
            self._is_hurried = True
            for keeper in self._keepers:
                keeper.send(signal.SIGKILL)
        self.stopping.set()


class _Keeper:
    """One child's life: start, wait until ready, wait for its end, wait a while, again."""

    def __init__(self, child: Child, log: boundedlog.BoundedLog) -> None:
        self.child = child
        self.first_ready = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._trouble: errors.DanhaoError | None = None
        self._is_ready = False
        self._is_stopping = False
        self._restarts = 0
        self._exit_code: int | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the child runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def state(self) -> ChildState:
        """Return what a health page shows."""
        return ChildState(
            self.child.name,
            self.pid,
            self._is_ready,
            self._restarts,
            self._exit_code,
            self._log.dropped_bytes,
        )

    def why_not_ready(self, *, is_stopping: bool) -> errors.DanhaoError:
        """Return the error that tells a person why the first start failed."""
        name = self.child.name
        if is_stopping:
            return errors.Retryable(f"{name} was stopped before it was ready")
        if self._trouble is not None:
            return self._trouble
        words = " / ".join(self._log.last_lines(3)) or "it said nothing"
        if self._exit_code == _WRONG_USE:
            return errors.Misconfigured(f"{name} refused its settings: {words}")
        return errors.Retryable(
            f"{name} was not ready within {self.child.ready_within_s:.0f} s: {words}: "
            f"see {self._log.path}"
        )

    async def keep(self) -> None:
        """Run the child again and again until `stop`, or until it is found to be unusable."""
        loop = asyncio.get_running_loop()
        backoff = FIRST_BACKOFF_S
        while True:
            began = loop.time()
            self._trouble = None
            try:
                await self._live()
            except errors.DanhaoError as error:
                self._trouble = error
            if self._is_stopping or self._is_hopeless():
                return
            if loop.time() - began >= SOUND_LIFE_S:
                backoff = FIRST_BACKOFF_S
            _log.warning(
                "%s ended (%s): starting again in %.1f s",
                self.child.name,
                self._trouble or f"exit code {self._exit_code}",
                backoff,
            )
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, MOST_BACKOFF_S)
            self._restarts += 1

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child if it runs."""
        if self.pid is not None and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def stop(self, within_s: float) -> None:
        """End the child for good: its signals in turn, then SIGKILL."""
        task = self.task
        if task is None or self._is_stopping:
            return
        self._is_stopping = True
        if self.pid is None:
            task.cancel()  # it waits for its next start, or is being started: `_live` sees to that
        else:
            await self._end_process(within_s)
        await asyncio.wait({task}, timeout=2 * _DRAIN_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        self._log.close()

    def _is_hopeless(self) -> bool:
        """Tell whether a person must change something: only ever at the first start."""
        if self.first_ready.is_set():
            return False
        is_refusal = self._exit_code == _WRONG_USE
        return is_refusal or isinstance(self._trouble, errors.Misconfigured)

    async def _end_process(self, within_s: float) -> None:
        grace = within_s
        for number in self.child.stop_signals:
            if grace > 0 and await self._ended_by(number, grace):
                return
            grace = min(within_s, _STOP_HARDER_S)
        await self._ended_by(signal.SIGKILL, _KILL_S)

    async def _ended_by(self, number: signal.Signals, within_s: float) -> bool:
        process = self._process
        if process is None or process.returncode is not None:
            return True
        self.send(number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await process.wait()
        return process.returncode is not None

    async def _live(self) -> None:
        """Run the child once, from its preparation to its end."""
        if self.child.before is not None:
            await asyncio.to_thread(self.child.before)
        spawning = asyncio.create_task(self._spawn())
        try:
            process = await asyncio.shield(spawning)
        except asyncio.CancelledError:
            # The kernel may have made the process already: it must not be lost.
            with contextlib.suppress(errors.DanhaoError):
                process = await spawning
                process.kill()
                await process.wait()
            raise
        self._process = process
        pump = asyncio.create_task(self._pump(process))
        watch = asyncio.create_task(self._watch_ready(process.pid))
        try:
            self._exit_code = await process.wait()
            # Grandchildren may hold the pipe for longer: they do not hold us up.
            await asyncio.wait({pump}, timeout=_DRAIN_S)
        finally:
            self._is_ready = False
            for task in (pump, watch):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _spawn(self) -> asyncio.subprocess.Process:
        child = self.child
        try:
            return await asyncio.create_subprocess_exec(
                *child.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=None if child.env is None else dict(child.env),
                cwd=child.cwd,
                limit=_CHUNK,
                **parentdeath.spawn_arguments(child.death_signal, child.run_as),
            )
        except (FileNotFoundError, PermissionError) as error:
            raise errors.Misconfigured(
                f"{child.name} cannot be started: {error.strerror} ({error.filename}): "
                "repair the installation"
            ) from error
        except (OSError, subprocess.SubprocessError) as error:
            raise errors.Retryable(f"{child.name} cannot be started now: {error}") from error

    async def _pump(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while data := await process.stdout.read(_CHUNK):
            self._log.write(data)

    async def _watch_ready(self, pid: int) -> None:
        """Ask until the child is ready; one that is found unusable is ended."""
        try:
            while not await self._says_ready(pid):  # noqa: ASYNC110 - another process decides
                await asyncio.sleep(_POLL_S)
        except errors.DanhaoError as error:
            self._trouble = error
            self.send(self.child.stop_signals[0] if self.child.stop_signals else signal.SIGKILL)
            return
        self._is_ready = True
        self.first_ready.set()

    async def _says_ready(self, pid: int) -> bool:
        ready = self.child.ready
        return ready is None or await asyncio.to_thread(ready, pid)


def strangers_ended(parent: int, proc: Path = Path("/proc")) -> set[int]:
    """Return the ended, uncollected children of a process, by id.

    Process 1 of a container inherits the orphans of all others; uncollected, they look alive to
    whoever asks for their id.
    """
    ended = set()
    for stat in proc.glob("[0-9]*/stat"):
        try:
            text = stat.read_text("utf-8", "replace")
        except OSError:
            continue
        state, ppid = text.rpartition(")")[2].split()[:2]
        if state == "Z" and int(ppid) == parent:
            ended.add(int(stat.parent.name))
    return ended


async def _reap() -> None:
    """Collect what falls to process 1; twice seen, so that a child of ours keeps its exit code."""
    seen: set[int] = set()
    while True:
        now = strangers_ended(os.getpid())
        for pid in now & seen:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # noqa: ASYNC222 - WNOHANG does not block
        seen = now - seen
        await asyncio.sleep(_REAP_S)
