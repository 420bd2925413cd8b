"""Connections to PostgreSQL: one pool a program, UTC, bounded in number and in waiting.

Promise: an unreachable server is a `Retryable` with one sentence that names host and port and
never the password; a connection that comes from here speaks UTC and has time-outs.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import psycopg
from psycopg import AsyncConnection, conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from core.errors import Misconfigured, Retryable, first_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Pool: TypeAlias = AsyncConnectionPool[AsyncConnection[Any]]

MOST_CONNECTIONS: Final = 8
OPEN_S: Final = 10.0  # how long a program waits for its first connection
WAIT_S: Final = 15.0  # how long a caller waits for a free connection
STATEMENT_MS: Final = 120_000  # no statement of ours is right when it takes longer
# A server without the extension that a setting belongs to takes it for one of ours and ignores it.
_SESSION: Final = {
    # A generic plan opens every partition of `reading`; one that knows its instants opens a few.
    "plan_cache_mode": "force_custom_plan",
    # Our statements are short and read through indexes: compiling one takes longer than running it.
    "jit": "off",
    # Late readings meet compressed chunks: as many as come are unpacked to find their equals.
    "timescaledb.max_tuples_decompressed_per_dml_transaction": 0,
    # Without cached connections a commit over 8 shards takes 59 ms instead of 11.
    "citus.max_cached_conns_per_worker": 8,
}
_PARAMETERS: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # a server that vanished without a word is noticed in 30 s
}


async def open_pool(
    url: str,
    *,
    application: str = "danhao",
    least: int = 1,
    most: int = MOST_CONNECTIONS,
    wait_s: float = OPEN_S,
    idle_in_transaction_ms: int = 0,
) -> Pool:
    """Return an open pool with at least one working connection; the caller closes it.

    The server ends a transaction that waits longer than `idle_in_transaction_ms` for its program's
    next word, 0: never.
    Raises `Misconfigured` for an address that is none, `Retryable` where the server is out.
    """
    pool = AsyncConnectionPool(
        url,
        connection_class=AsyncConnection[Any],
        kwargs=parameters(url, application, idle_in_transaction_ms),
        min_size=least,
        max_size=max(least, most),
        timeout=WAIT_S,
        max_waiting=1_000,
        name=application,
        open=False,
        check=AsyncConnectionPool.check_connection,
    )
    try:
        await pool.open(wait=True, timeout=wait_s)
    except PoolTimeout as error:
        await pool.close()
        raise Retryable(unreachable(url)) from error
    except BaseException:
        await pool.close()
        raise
    return pool


def parameters(
    url: str, application: str = "danhao", idle_in_transaction_ms: int = 0
) -> dict[str, Any]:
    """Return what a connection needs beside its address; raises Misconfigured on a bad address."""
    try:
        given = conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as error:
        raise Misconfigured(
            "the database address is none: write postgresql://user:password@host:port/name"
        ) from error
    session = {
        "timezone": "UTC",
        "statement_timeout": STATEMENT_MS,
        "idle_in_transaction_session_timeout": idle_in_transaction_ms,
        **_SESSION,
    }
    options = " ".join(
        [str(given.get("options") or ""), *(f"-c {key}={value}" for key, value in session.items())]
    )
    return {
        **{key: value for key, value in _PARAMETERS.items() if key not in given},
        "application_name": application,
        "options": options.strip(),
    }


@asynccontextmanager
async def single(url: str, application: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Open one connection of a command that commits by itself and may work for hours.

    Raises Retryable where the server goes away meanwhile.
    """
    pool = await open_pool(url, application=application, most=1)
    try:
        async with pool.connection() as link:
            await link.set_autocommit(True)
            # The bound of a program's statements is wrong for a scan of everything there is.
            await link.execute("set statement_timeout = 0")
            try:
                yield link
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                raise Retryable(
                    f"the database is out: {first_line(error)}: run it again"
                ) from error
    finally:
        await pool.close()


def connect(url: str, application: str = "danhao") -> psycopg.Connection[Any]:
    """Return one plain connection for a command line tool; raises as `open_pool` does."""
    kwargs = parameters(url, application)
    try:
        return psycopg.connect(url, **kwargs)
    except psycopg.OperationalError as error:
        raise Retryable(f"{unreachable(url)} ({first_line(error)})") from error


def unreachable(url: str) -> str:
    """Return the sentence for a server that does not answer, without any secret."""
    given = conninfo.conninfo_to_dict(url)
    where = f"{given.get('host') or 'localhost'}:{given.get('port') or 5432}"
    return (
        f"the database {given.get('dbname') or ''!s} at {where} does not let us in: start it, or"
        " correct DANHAO_DATABASE_URL"
    )
