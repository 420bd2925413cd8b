"""Virtual time: an event loop in which waiting costs nothing and every order is repeatable.

Promise: the clock stands still while anything can run and jumps to the next timer when nothing
can; work given to threads is done at once and its outcome told a moment later; two runs of the
same program with the same draws take the same steps.
"""

from __future__ import annotations

import asyncio
import itertools
import selectors
from typing import TYPE_CHECKING, Any, Final, TypeVar

from core.clock import from_us

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from datetime import datetime
    from random import Random

T = TypeVar("T")

BEGIN_US: Final = 1_772_323_200_000_000  # 2026-03-01T00:00Z, an instant like any other
MOST_TURNS: Final = 2_000_000  # of the loop in one schedule: a livelock ends there
_THREAD_S: Final = 0.004  # the longest that work in a thread keeps its outcome to itself


class StuckError(Exception):
    """Nothing can run and nothing waits for a time: the programs hang."""


class _Task(asyncio.Task[Any]):
    """A task whose place in a set depends on when it was made, not on where it lies in memory."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **named: Any) -> None:
        self._number = number
        super().__init__(coro, **named)

    __eq__ = object.__eq__

    def __hash__(self) -> int:
        return self._number


class _Jumping(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Move the clock to the next timer; no file is ever waited for."""
        self.turns += 1
        if timeout is None:
            raise StuckError("nothing can run and no timer is set")
        if self.turns > MOST_TURNS:
            raise StuckError(f"no end after {MOST_TURNS} turns of the loop")
        if timeout > 0:
            self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time; `draws` decides when the outcome of a thread is told."""

    def __init__(self, draws: Random) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._draws = draws
        numbers = itertools.count()
        self.set_task_factory(
            lambda loop, coro, **named: _Task(next(numbers), coro, loop=loop, **named)
        )

    def time(self) -> float:
        """Return the virtual seconds since the loop began."""
        return self._jumping.now

    def leap(self, seconds: float) -> None:
        """Let time pass in which nothing of what waits for a time was done."""
        self._jumping.now += seconds

    def run_in_executor(  # type: ignore[override]  # no executor is needed, whichever is given
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Do the work now, tell its outcome a moment later, as a thread would."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except BaseException as error:  # noqa: BLE001 - handed on to whoever waits, whatever it is
            done.set_exception(error)
        self.call_later(self._draws.random() * _THREAD_S, _hand_on, done, future)
        return future

    def now(self) -> datetime:
        """Return the wall clock's instant, virtual as well."""
        return from_us(BEGIN_US + round(self.time() * 1_000_000))


def _hand_on(done: asyncio.Future[T], future: asyncio.Future[T]) -> None:
    failure = done.exception()
    if future.cancelled():
        return
    if failure is None:
        future.set_result(done.result())
    else:
        future.set_exception(failure)


def run(draws: Random, work: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on virtual time."""
    loop = VirtualLoop(draws)
    try:
        return loop.run_until_complete(work(loop))
    finally:
        _end_all(loop)
        loop.close()


def _end_all(loop: VirtualLoop) -> None:
    left = sorted(asyncio.all_tasks(loop), key=hash)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
