"""A program of the simulation: tasks that live, freeze and die together, at any of their steps."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from deploy.faultworld.clock import VirtualLoop

MOST_CANCELS: Final = 100  # a task that outlives so many is no task that can be ended


class KilledError(BaseException):
    """The program was killed at this step; no handler of its own may act on it."""


class Process:
    """One life of a program; a new life is a new object."""

    def __init__(self, name: str, loop: VirtualLoop) -> None:
        self.name = name
        self.alive = True
        self.failure: BaseException | None = None
        self.over = asyncio.Event()  # set at the very step it dies
        self._loop = loop
        self._frozen_until = 0.0
        self._main: asyncio.Task[Any] | None = None

    def start(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin to live."""
        self._main = self._loop.create_task(self._lived(work), name=self.name)

    async def _lived(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - judged by who looks at it
            if self.alive and not of_kill(error):
                self.failure = error
        finally:
            self.die()

    def die(self) -> None:
        """Be dead from this very step on; `buried` ends what is left of the tasks."""
        self.alive = False
        self.over.set()

    async def buried(self) -> None:
        """End the tasks of a dead process: nothing that they do reaches anything any more."""
        self.die()
        main, self._main = self._main, None
        if main is None or main is asyncio.current_task():
            return
        for _ in range(MOST_CANCELS):
            if main.done():
                return
            main.cancel()
            await asyncio.wait([main], timeout=1.0)
        raise AssertionError(f"{self.name} does not end")

    def freeze(self, seconds: float) -> None:
        """Stand still for so long, with everything in hand."""
        self._frozen_until = self._loop.time() + seconds

    async def thawed(self) -> None:
        """Pass a step of the program: wait while it is frozen, end here when it is dead."""
        while self.alive and self._loop.time() < self._frozen_until:  # noqa: ASYNC110 - until a time
            await asyncio.sleep(self._frozen_until - self._loop.time())
        self.check()

    def check(self) -> None:
        """End here when the process is dead."""
        if not self.alive:
            raise KilledError(self.name)


def of_kill(error: BaseException) -> bool:
    """Tell whether nothing but a kill is behind an error."""
    if isinstance(error, BaseExceptionGroup):
        return all(of_kill(each) for each in error.exceptions)
    return isinstance(error, KilledError | asyncio.CancelledError)
