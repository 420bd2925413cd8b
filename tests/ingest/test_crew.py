"""Works that end together, even those that did not hear it the first time."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import Retryable
from ingest import crew


async def forever() -> None:
    await asyncio.Event().wait()


async def test_what_fails_ends_the_others_and_is_raised() -> None:
    ended: list[str] = []

    async def other() -> None:
        try:
            await forever()
        finally:
            ended.append("other")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise Retryable("out")

    with pytest.raises(ExceptionGroup) as caught:
        await crew.until_one_ends([other(), fails()])
    assert caught.group_contains(Retryable, match="out")
    assert ended == ["other"]


async def test_who_loses_the_word_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "AGAIN_S", 0.01)
    heard = 0

    async def deaf() -> None:
        nonlocal heard
        while heard < 2:
            try:
                await forever()
            except asyncio.CancelledError:  # as wait_for of Python 3.11 does
                heard += 1
        await forever()

    async with asyncio.timeout(5):
        await crew.until_one_ends([deaf(), asyncio.sleep(0)])
    assert heard == 2


async def test_ending_goes_on_when_it_is_itself_asked_to_end() -> None:
    ended = False

    async def slow() -> None:
        nonlocal ended
        try:
            await forever()
        finally:
            await asyncio.sleep(0.05)
            ended = True

    whole = asyncio.create_task(crew.until_one_ends([slow()]))
    await asyncio.sleep(0)
    whole.cancel()
    with pytest.raises(asyncio.CancelledError):
        await whole
    assert ended
