"""Programs that the tests start, kill and watch: `python -m tests.deploy.programs NAME FOLDER`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import psycopg

from deploy import accounts, broker, parentdeath, postgres, supervisor
from tests.deploy import helpers

STUBBORN = (
    "import signal, time\n"
    "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):\n"
    "    signal.signal(number, signal.SIG_IGN)\n"
    "print('up', flush=True)\n"
    "time.sleep(600)\n"
)


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


async def _family(folder: Path) -> None:
    """Run PostgreSQL, the broker and a child that ignores signals, until stopped."""
    logs = folder / "log"
    logs.mkdir()
    server = helpers.small_server(folder)
    server.prepare()
    mqtt = broker.EmbeddedBroker(folder / "broker")
    mqtt.prepare([accounts.tools_account(accounts.new_secret())])
    async with supervisor.Supervisor(logs) as family:
        family.handle_signals()
        pids = [
            await family.start(server.child()),
            await family.start(mqtt.child()),
            await family.start(supervisor.Child("stubborn", (sys.executable, "-c", STUBBORN))),
        ]
        _say({"pids": pids, "cluster": str(server.place.cluster), "dsn": server.dsn})
        await family.stopping.wait()


def _lifecycle(folder: Path) -> None:
    """Set up, start, write, kill, start again and read, as an ordinary user."""
    if os.geteuid() == 0:
        user = parentdeath.find_user("nobody")
        assert user is not None
        os.chown(folder, user.uid, user.gid)
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
        os.chdir("/")
    server = postgres.EmbeddedPostgres(folder / "postgres", parentdeath.unprivileged_user())
    with server.running() as dsn, psycopg.connect(dsn) as link:
        link.execute("CREATE TABLE kept AS SELECT 7 AS value")
        link.commit()
        pid = int((server.place.cluster / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
    with server.running() as dsn, psycopg.connect(dsn) as link:
        row = link.execute("SELECT value FROM kept").fetchone()
    _say({"uid": os.geteuid(), "row": row, "cluster": str(server.place.cluster)})


def _hold_data_directory(folder: Path) -> None:
    from deploy import datadir  # noqa: PLC0415 - only this program needs it

    with datadir.DataDirectory(folder):
        _say({"pid": os.getpid()})
        time.sleep(600)


def main() -> None:
    """Run the program named by the first argument in the folder named by the second."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    if name == "family":
        asyncio.run(_family(folder))
    elif name == "lifecycle":
        _lifecycle(folder)
    else:
        _hold_data_directory(folder)


if __name__ == "__main__":
    main()
