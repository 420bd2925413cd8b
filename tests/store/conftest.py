"""Every test of the store runs on every engine at hand: plain PostgreSQL, and the servers named.

Where no TimescaleDB is named, the modules of ON_WASM also run on the one in WebAssembly. It
serves one session, so those stay out whose clients wait for one another or open connections that
this file does not make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from store import connection, migrate
from store.engine import Engine
from tests.fixtures import timescale

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

WASM = "timescale-wasm"
ON_WASM = frozenset({"test_readings", "test_retention", "test_figures", "test_views"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "store_server" not in metafunc.fixturenames:
        return
    engines = timescale.at_hand()
    servers = [pytest.param(engine.value, id=engine.value) for engine in engines]
    module = metafunc.module.__name__.rpartition(".")[2]
    if Engine.TIMESCALE not in engines and module in ON_WASM:
        servers.append(pytest.param(WASM, id=WASM, marks=pytest.mark.timescale))
    metafunc.parametrize("store_server", servers, indirect=True)


@pytest.fixture
def store_server(request: pytest.FixtureRequest) -> str:
    """Name the server that the test's database is on."""
    found: str = request.param
    return found


@pytest.fixture
def engine(store_server: str) -> Engine:
    """Name the engine that the test's database has."""
    return Engine.TIMESCALE if store_server == WASM else Engine(store_server)


@pytest.fixture
def empty_database_url(store_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the address of a fresh database without any table."""
    if store_server == WASM:
        yield request.getfixturevalue("timescale_database")
    elif store_server == Engine.PLAIN:
        yield request.getfixturevalue("empty_database_url")
    else:
        with timescale.database(Engine(store_server)) as url:
            yield url


@pytest.fixture
def database_url(store_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield the address of a fresh, migrated database that nobody else uses."""
    if store_server == WASM:
        url = request.getfixturevalue("timescale_database")
        migrate.migrate(url)
        yield url
    elif store_server == Engine.PLAIN:
        yield request.getfixturevalue("database_url")
    else:
        with timescale.database(Engine(store_server)) as url:
            migrate.migrate(url)
            yield url


@pytest_asyncio.fixture
async def pool(store_server: str, database_url: str) -> AsyncIterator[connection.Pool]:
    """Yield open connections to the test's own database."""
    if store_server == WASM:
        opened = await timescale.open_pool(database_url)
    else:
        opened = await connection.open_pool(database_url, application="danhao test")
    yield opened
    await opened.close()
