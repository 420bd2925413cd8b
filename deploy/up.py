"""`danhao up`: database, broker, ingest, API; with --demo plants and a regulator; watched children.

Promise: one line `ready http://127.0.0.1:PORT` on stdout once the page answers; a clean stop at
SIGINT or SIGTERM in under 5 s; no process left behind, whatever kills this one.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.clock import utc_now
from core.errors import DanhaoError, Misconfigured
from deploy import accounts, broker, datadir, demo, parentdeath, postgres, supervisor
from store import access, connection, migrate, plants

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.broker import EmbeddedBroker
    from deploy.datadir import DataDirectory
    from store.connection import Pool

HOST: Final = "127.0.0.1"
TOKEN_ROLES: Final = ("operator", "regulator", "admin")
ACCOUNTS_EVERY_S: Final = 1.0
READY_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What `danhao up` was asked for; URLs name real servers instead of the embedded ones."""

    data_dir: Path
    port: int
    demo: bool = False
    lasting_s: float | None = None
    database_url: str | None = None
    mqtt_url: str | None = None
    mqtt_username: str | None = None
    mqtt_password_file: str | None = None


@dataclass(frozen=True, slots=True)
class Mqtt:
    """How our programs reach the broker."""

    url: str
    ingest_username: str | None
    ingest_password_file: str | None
    tools_username: str | None
    tools_password: str | None
    embedded: EmbeddedBroker | None


async def run(settings: Settings) -> int:
    """Run everything until stopped or until the time is over; return the exit code."""
    _refuse_busy_port(settings.port)
    with datadir.DataDirectory(settings.data_dir) as data:
        async with supervisor.Supervisor(data.folder("log")) as family:
            family.handle_signals()
            try:
                await _start(settings, data, family)
            except DanhaoError:
                if family.stopping.is_set():
                    return 0
                raise
            return 0


async def _start(settings: Settings, data: DataDirectory, family: supervisor.Supervisor) -> None:
    database_url = settings.database_url or await _postgres(data, family)
    migrate.migrate(database_url)
    pool = await connection.open_pool(database_url, application="danhao up", most=2)
    try:
        tokens = await _tokens(pool, data)
        simulation = demo.Demo(data.folder("demo")) if settings.demo else None
        if simulation is not None:
            async with pool.connection() as link:
                await plants.apply(link, simulation.plant, utc_now())
        mqtt = await _broker(settings, data, family, pool)
        environment = _environment(database_url, mqtt)
        regulator = _regulator(simulation, data)
        told = environment | ({"DANHAO_CONFIG": str(regulator.config)} if regulator else {})
        await family.start(_program("ingest", told, "ingest", "run"))
        api = _program(
            "api",
            environment,
            "api",
            "run",
            "--host",
            HOST,
            "--port",
            str(settings.port),
            ready=lambda _pid: _answers(settings.port),
            ready_within_s=READY_S,
        )
        await family.start(api)
        datadir.write_json(data.path / "tokens.json", tokens)
        datadir.write_json(
            data.path / "endpoints.json",
            _endpoints(settings.port, database_url, mqtt)
            | ({"regulator_inbox": regulator.inbox_url} if regulator else {}),
        )
        if regulator is not None:
            await family.start(_program("regulator", environment, *regulator.arguments))
        if simulation is not None:
            tools = (mqtt.tools_username, mqtt.tools_password)
            simulation.prepare(mqtt.url, _agent_account(data, mqtt), tools)
            for name, arguments in simulation.programs():
                await family.start(_program(name, environment, *arguments))
        sys.stdout.write(f"ready http://{HOST}:{settings.port}\n")
        sys.stdout.flush()
        await _live(settings, data, family, pool, mqtt)
    finally:
        await pool.close()


async def _live(
    settings: Settings,
    data: DataDirectory,
    family: supervisor.Supervisor,
    pool: Pool,
    mqtt: Mqtt,
) -> None:
    """Keep the broker's accounts in step with the declared agents until it is time to stop."""
    keeper = asyncio.create_task(_keep_accounts(data, pool, mqtt), name="accounts")
    try:
        await asyncio.wait_for(family.stopping.wait(), settings.lasting_s)
    except TimeoutError:
        family.stopping.set()
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)


async def _postgres(data: DataDirectory, family: supervisor.Supervisor) -> str:
    server = postgres.EmbeddedPostgres(
        data.path / "postgres", run_as=parentdeath.unprivileged_user()
    )
    server.prepare()  # here, not in a side thread: its child would end with the thread
    await family.start(server.child())
    return server.dsn


async def _tokens(pool: Pool, data: DataDirectory) -> dict[str, str]:
    """Return the bearer tokens by role: those of the file where there are any, else new ones."""
    known = datadir.read_json(data.path / "tokens.json")
    secrets = known if isinstance(known, dict) else {}
    tokens: dict[str, str] = {}
    async with pool.connection() as link:
        for role in TOKEN_ROLES:
            secret = secrets.get(role)
            tokens[role] = await access.create_token(
                link,
                name=f"local {role}",
                role=role,
                scope=["*"],
                now=utc_now(),
                secret=secret if isinstance(secret, str) else None,
            )
    return tokens


async def _broker(
    settings: Settings, data: DataDirectory, family: supervisor.Supervisor, pool: Pool
) -> Mqtt:
    if settings.mqtt_url:
        password = None
        if settings.mqtt_password_file:
            password = _read_secret(settings.mqtt_password_file)
        return Mqtt(
            settings.mqtt_url,
            settings.mqtt_username,
            settings.mqtt_password_file,
            settings.mqtt_username,
            password,
            None,
        )
    embedded = broker.EmbeddedBroker(data.path / "broker")
    secrets = data.folder("secrets")
    data.secret("secrets/ingest")
    embedded.prepare(await _accounts(data, pool))
    await family.start(embedded.child())
    return Mqtt(
        embedded.url,
        accounts.INGEST,
        str(secrets / "ingest"),
        accounts.TOOLS,
        data.secret("secrets/tools"),
        embedded,
    )


async def _accounts(data: DataDirectory, pool: Pool) -> list[accounts.Account]:
    async with pool.connection() as link:
        loaded = await plants.load(link)
    secret = _agent_secret(data)
    return [
        accounts.ingest_account(data.secret("secrets/ingest")),
        accounts.tools_account(data.secret("secrets/tools")),
        *(
            accounts.agent_account(site, agent, secret(site, agent)[1])
            for site, agent in sorted(loaded.plant.agents)
        ),
    ]


def _agent_secret(data: DataDirectory) -> demo.SecretOf:
    """Return a function that gives (file, password) of an agent's broker account."""

    def secret_of(site: str, agent: str) -> tuple[Path, str]:
        data.folder("secrets")
        name = f"secrets/{accounts.agent_name(site, agent)}"
        return data.path / name, data.secret(name)

    return secret_of


def _agent_account(data: DataDirectory, mqtt: Mqtt) -> demo.AccountOf:
    """Return the account of an agent: its own at our broker, the one we were given at another."""
    secret_of = _agent_secret(data)

    def account_of(site: str, agent: str) -> demo.Account:
        if mqtt.embedded is None:
            file = mqtt.ingest_password_file
            return mqtt.ingest_username, None if file is None else Path(file)
        return accounts.agent_name(site, agent), secret_of(site, agent)[0]

    return account_of


async def _keep_accounts(data: DataDirectory, pool: Pool, mqtt: Mqtt) -> None:
    if mqtt.embedded is None:
        return
    known = await _accounts(data, pool)
    while True:
        await asyncio.sleep(ACCOUNTS_EVERY_S)
        try:
            declared = await _accounts(data, pool)
        except Exception as error:  # noqa: BLE001 - the database may be restarting: try again
            sys.stderr.write(f"danhao up: accounts not refreshed: {error}\n")
            continue
        if declared != known:
            mqtt.embedded.write_accounts(declared)
            known = declared


def _regulator(simulation: demo.Demo | None, data: DataDirectory) -> demo.Regulator | None:
    """Return the demonstration's inbox; a danhao.toml of the user's own names its own channels."""
    if simulation is None or os.environ.get("DANHAO_CONFIG"):
        return None
    data.folder("secrets")
    data.secret("secrets/regulator")
    return simulation.regulator(data.path / "secrets" / "regulator")


def _environment(database_url: str, mqtt: Mqtt) -> dict[str, str]:
    environment = os.environ | {
        "DANHAO_DATABASE_URL": database_url,
        "DANHAO_MQTT_URL": mqtt.url,
    }
    if mqtt.ingest_username:
        environment["DANHAO_MQTT_USERNAME"] = mqtt.ingest_username
    if mqtt.ingest_password_file:
        environment["DANHAO_MQTT_PASSWORD_FILE"] = mqtt.ingest_password_file
    return environment


def _program(
    name: str,
    environment: dict[str, str],
    *arguments: str,
    ready: Callable[[int], bool] | None = None,
    ready_within_s: float = 30.0,
) -> supervisor.Child:
    return supervisor.Child(
        name=name,
        # -P: a folder `core` or `deploy` where the caller stands must not be taken for ours.
        argv=(sys.executable, "-P", "-m", "danhao", *arguments),
        env=environment,
        ready=ready,
        ready_within_s=ready_within_s,
    )


def _endpoints(port: int, database_url: str, mqtt: Mqtt) -> dict[str, str | None]:
    return {
        "http": f"http://{HOST}:{port}",
        "mqtt": mqtt.url,
        "mqtt_username": mqtt.tools_username,
        "mqtt_password": mqtt.tools_password,
        "database": database_url,
    }


def _answers(port: int) -> bool:
    link = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        link.request("GET", "/")
        return link.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        link.close()


def _refuse_busy_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Misconfigured(
                f"port {port} on {HOST} is busy: stop what listens there or give another --port"
            ) from error


def _read_secret(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - a plain path of a setting
            return file.read(4096).strip()
    except OSError as error:
        raise Misconfigured(f"the password file {path} cannot be read: {error.strerror}") from error
