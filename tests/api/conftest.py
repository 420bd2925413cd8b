"""A small world behind the API: two sites in two provinces, on a real PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest_asyncio

from api.app import create_app
from api.config import Settings
from tests.api import examples, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from store.connection import Pool


@pytest_asyncio.fixture
async def tokens(pool: Pool) -> dict[str, str]:
    """Build the world and return the secrets of its tokens."""
    async with pool.connection() as connection:
        return await world.build(connection)


@pytest_asyncio.fixture
async def clock() -> world.Clock:
    return world.Clock()


@pytest_asyncio.fixture
async def app(database_url: str, pool: Pool, tokens: dict[str, str], clock: world.Clock) -> FastAPI:
    assert tokens
    settings = Settings(database_url=database_url, most_live=4)
    return create_app(settings, pool, clock, ticks=clock.ticks)


@pytest_asyncio.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to the application in this process as a stranger."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://danhao.test", event_hooks=examples.hooks()
    ) as found:
        yield found
