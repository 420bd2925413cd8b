"""Works that end together, for certain.

A task group asks each of its tasks to end once. On Python 3.11 `asyncio.wait_for`, which database
and MQTT clients wait with, loses that word when what it waits for comes in the same instant; the
group then waits for ever. Promise: whoever does not end is asked again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

AGAIN_S: Final = 1.0  # a connection may need that long to close in good order


async def until_one_ends(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run works until the first ends or fails, then end the others; raises what failed."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks)
    failed = [
        error for each in tasks if not each.cancelled() and (error := each.exception()) is not None
    ]
    if failed:
        raise BaseExceptionGroup("a part of the work failed", failed)


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they have ended, whatever it takes."""
    pending = {each for each in tasks if not each.done()}
    cancelled = False
    while pending:
        for each in pending:
            each.cancel()
        try:
            await asyncio.wait(pending, timeout=AGAIN_S)
        except asyncio.CancelledError:
            cancelled = True
        pending = {each for each in pending if not each.done()}
    if cancelled:
        raise asyncio.CancelledError
