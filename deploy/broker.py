"""The embedded MQTT broker: a child process on loopback, `python -m deploy.broker --config FILE`.

    broker = EmbeddedBroker(data.folder("broker"))
    broker.prepare([accounts.ingest_account(...), ...])   # writes accounts and configuration
    await supervisor.start(broker.child())
    broker.url                                            # mqtt://127.0.0.1:...

Promise: MQTT 3.1.1 with a password for everybody and topics by account; accounts may be replaced
at any time (`write_accounts`), which takes effect within a second; nothing a client sends ends
another's connection. Bounds: `door.Limits`, `brokercore.MOST_*`. Not durable, see `brokercore`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import errors
from deploy import accounts, datadir, ports, supervisor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deploy import brokercore, door

START_S: Final = 30.0
_HOST: Final = "127.0.0.1"
_RELOAD_S: Final = 0.4
_STATUS_S: Final = 2.0
_STOP_S: Final = 1.0
_MUST_END_S: Final = 3
_MOST_LINES: Final = 20
_WRONG_USE: Final = 2
_log = logging.getLogger("danhao.broker")


class EmbeddedBroker:
    """The parent's side: one broker in one folder of the data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._port = 0

    def prepare(self, known: Iterable[accounts.Account]) -> None:
        """Write accounts and configuration and choose a port; the last one while it is free."""
        datadir.make_private(self._directory, for_root=0o700)
        self.write_accounts(known)
        self._port = ports.keep(self._directory / "port")
        datadir.write_json(
            self._directory / "broker.json",
            {
                "host": _HOST,
                "port": self._port,
                "accounts": str(self._accounts),
                "status": str(self._status),
            },
        )

    def write_accounts(self, known: Iterable[accounts.Account]) -> None:
        """Replace the accounts; a running broker follows within a second."""
        accounts.write(self._accounts, known)

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._port

    @property
    def url(self) -> str:
        """The address, without an account."""
        return f"mqtt://{_HOST}:{self._port}"

    def child(self, name: str = "broker") -> supervisor.Child:
        """Return the broker as a child for the supervisor."""
        return supervisor.Child(
            name=name,
            argv=(
                # -P: a folder named deploy or core where we were called is not ours.
                *(sys.executable, "-P", "-m", "deploy.broker"),
                *("--config", str(self._directory / "broker.json")),
            ),
            ready=self.is_ready,
            ready_within_s=START_S,
            stop_signals=(signal.SIGTERM,),
            death_signal=signal.SIGTERM,
        )

    def is_ready(self, pid: int) -> bool:
        """Tell whether the broker with this process id listens."""
        status = self.status()
        return status.get("pid") == pid and status.get("port") == self._port

    def status(self) -> dict[str, Any]:
        """Return the broker's counters as of at most 2 s ago; empty before its first start."""
        try:
            value = datadir.read_json(self._status)
        except errors.Misconfigured:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def _accounts(self) -> Path:
        return self._directory / "accounts.json"

    @property
    def _status(self) -> Path:
        return self._directory / "status.json"


@dataclass(frozen=True, slots=True)
class Config:
    """What the child reads: where to listen (port 0: any), whom to know, where to report."""

    host: str
    port: int
    accounts: Path
    status: Path


def read_config(path: Path) -> Config:
    """Return the configuration; raises `Misconfigured` with all mistakes of the file."""
    value = datadir.read_json(path)
    if not isinstance(value, dict):
        raise errors.Misconfigured([errors.Problem(str(path), "there is no such JSON object")])
    kinds = {"host": str, "port": int, "accounts": str, "status": str}
    problems = [
        errors.Problem(str(path), f"the key {key} must be a {kind.__name__}")
        for key, kind in kinds.items()
        if not isinstance(value.get(key), kind)
    ]
    if problems:
        raise errors.Misconfigured(problems)
    return Config(value["host"], value["port"], Path(value["accounts"]), Path(value["status"]))


async def run(config: Config, stopping: asyncio.Event) -> None:
    """Serve until `stopping` is set. Raises `Misconfigured`, `Retryable` (the port is taken)."""
    # Late: the parent's side needs neither amqtt nor its dependencies.
    from deploy import brokercore, door  # noqa: PLC0415

    known = accounts.read(config.accounts)
    stamp = _stamp(config.accounts)
    core = brokercore.Core()
    await core.start()
    front = door.Door(core, core.ticket, known)
    try:
        port = await front.open(config.host, config.port)
    except OSError as error:
        raise errors.Retryable(
            f"the broker cannot listen on {config.host}:{config.port}: {error.strerror}"
        ) from error
    _log.info("listening on %s:%d with %d accounts", config.host, port, len(known))
    jobs: list[asyncio.Task[Any]] = [
        asyncio.create_task(_follow_accounts(config.accounts, stamp, front)),
        asyncio.create_task(_report(config.status, port, front, core)),
    ]
    jobs.append(asyncio.create_task(stopping.wait()))
    try:
        done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
        for job in done:
            job.result()
    finally:
        front.close()
        for job in jobs:
            job.cancel()
        await asyncio.wait({asyncio.create_task(core.shutdown())}, timeout=_STOP_S)


async def _follow_accounts(path: Path, stamp: tuple[int, ...], front: door.Door) -> None:
    """Take over each new version of the accounts file; keep the old ones while it is wrong."""
    while True:
        await asyncio.sleep(_RELOAD_S)
        now = _stamp(path)
        if now == stamp:
            continue
        stamp = now
        try:
            known = accounts.read(path)
        except errors.Misconfigured as error:
            front.counters["accounts files refused"] += 1
            _log.error("keeping the former accounts: %s", error)
        else:
            front.replace_accounts(known)
            _log.info("%d accounts", len(known))


async def _report(path: Path, port: int, front: door.Door, core: brokercore.Core) -> None:
    """Write the counters whenever they changed."""
    last: dict[str, Any] = {}
    while True:
        status = {
            "pid": os.getpid(),
            "port": port,
            "connections": front.connections,
            "in_flight_bytes": core.queued_cost + core.flying_cost,
            "retained": len(core.retained_messages),
            "retained_bytes": core.retained_bytes,
            "counters": dict(front.counters + core.counters),
        }
        if status != last:
            last = status
            datadir.write_json(path, status)
        await asyncio.sleep(_STATUS_S)


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return (found.st_mtime_ns, found.st_ino, found.st_size)


class _Few(logging.Filter):
    """Lets amqtt say little: the message without traceback, and only the first few."""

    def __init__(self) -> None:
        super().__init__()
        self._left = _MOST_LINES

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(("amqtt", "transitions")):
            return True
        self._left -= 1
        record.exc_info = record.exc_text = None
        return self._left >= 0


def _set_up_logging() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Few())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.ERROR)


async def _serve(config: Config) -> None:
    stopping = asyncio.Event()

    def stop() -> None:
        signal.alarm(_MUST_END_S)  # the broker keeps nothing: a shutdown that hangs is cut short
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    await run(config, stopping)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the broker; exit code 0 after a stop, 1 when it cannot now, 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="python -m deploy.broker", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    _set_up_logging()
    try:
        asyncio.run(_serve(read_config(options.config)))
    except errors.Misconfigured as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG_USE
    except errors.Retryable as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
