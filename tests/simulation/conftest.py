"""One simulation of each kind for all tests of this folder: a database and a folder of its own."""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from deploy.deliveryworld import world
from deploy.faultworld.world import Simulation
from store import migrate
from tests.fixtures.postgres import _url_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def simulation(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulation]:
    with _database(postgres_url) as own, Simulation(own, tmp_path_factory.mktemp("faults")) as it:
        yield it


@pytest.fixture(scope="session")
def deliveries(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[world.Simulation]:
    folder = tmp_path_factory.mktemp("delivery")
    with _database(postgres_url) as own, world.Simulation(own, folder) as it:
        yield it


@contextmanager
def _database(postgres_url: str) -> Iterator[str]:
    name = f"danhao_faults_{secrets.token_hex(6)}"
    with psycopg.connect(postgres_url, autocommit=True) as link:
        migrate.create_database(link, name)
        own = _url_of(postgres_url, name)
        migrate.migrate(own)
        yield own
        link.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(autouse=True)
def _quiet_programs() -> Iterator[None]:
    """Programs tell of every fault in their logs; here the trace does."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)
