"""Runs the application under uvicorn on a socket of our own, and stops it in time.

Promise: SIGTERM and SIGINT end the process with exit code 0 in under 4 s, with streams open.
"""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import uvicorn

from api.app import create_app
from api.config import Settings
from api.live import Hub
from core.errors import Misconfigured
from store import connection

GRACE_S: Final = 3
BACKLOG: Final = 2048


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises Misconfigured with one sentence where it cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Misconfigured(
                f"port {port} on {host} is in use by another program: stop it, or give another"
                " --port"
            ) from error
        raise Misconfigured(f"cannot listen on {host}:{port}: {error}") from error
    listener.settimeout(0)
    return listener


def address(listener: socket.socket) -> str:
    """Return where a browser finds a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    settings: Settings,
    listener: socket.socket,
    clock: Callable[[], datetime],
    on_ready: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` gets the address once the page answers.

    Raises Retryable where the store is out at the start.
    """
    pool = await connection.open_pool(
        settings.database_url,
        application="danhao api",
        least=2,
        most=settings.most_connections,
    )
    try:
        app = create_app(settings, pool, clock)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=GRACE_S,
            timeout_keep_alive=75,
            h11_max_incomplete_event_size=64 * 1024,
            server_header=False,
            forwarded_allow_ips=list(settings.proxies),
            ws="none",
        )
        server = _Server(config, app.state.services.hub, lambda: on_ready(address(listener)))
        await server.serve(sockets=[listener])
    finally:
        await pool.close()


class _Server(uvicorn.Server):
    """uvicorn that ends the live streams first and leaves the signals' exit code at 0."""

    def __init__(self, config: uvicorn.Config, hub: Hub, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._hub = hub
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell that requests are answered."""
        await super().startup(sockets)
        if not self.should_exit:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then what else is running."""
        self._hub.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT without raising them again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self._hub.close()
        self.should_exit = True
