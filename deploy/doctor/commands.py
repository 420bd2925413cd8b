"""`danhao doctor`: looks at the store, the settings, the broker and the backups.

Promise: it changes nothing, every look is bounded in time, and what is out becomes a line of the
page, not an end of the command.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from core import clock, conditionfile, limits
from core.clock import to_us
from core.errors import Misconfigured, Retryable
from core.names import is_within
from deploy.doctor import backups, law, page, rules
from deploy.doctor.page import Checked, Grade, named
from deploy.doctor.rules import Seen
from ingest import config as ingest_config
from store import (
    basis,
    checkups,
    connection,
    migrate,
    plants,
    settings,
    status,
    watched,
)
from store.commands import add_database_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.conditions import Condition
    from core.plant import Plant
    from ingest.channels import Receiver

WELL: Final = 0
BAD_NEWS: Final = 1
BROKER_S: Final = 3.0
_PORTS: Final = {"mqtt": ingest_config.PORT, "mqtts": ingest_config.TLS_PORT}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `doctor`."""
    purpose = "one page: what is wrong and what to do about it"
    parser = commands.add_parser(
        "doctor", help=purpose, description=f"{purpose}; it changes nothing. Exit 1 on bad news."
    )
    add_database_options(parser)
    parser.add_argument("--backups", metavar="DIR", type=Path, help="where `db backup` writes to")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    url = settings.database_of(options, os.environ).url
    now = clock.utc_now()
    store, found = asyncio.run(_look(url, options, os.environ, now))
    if options.json:
        told = json.dumps(page.answer(found, store, now), ensure_ascii=False, indent=2)
    else:
        told = "\n".join(page.lines(found, store, now))
    print(told)  # noqa: T201 - a command's answer
    return BAD_NEWS if page.is_bad(found) else WELL


async def _look(
    url: str, options: argparse.Namespace, environment: Mapping[str, str], now: datetime
) -> tuple[str | None, list[Checked]]:
    """Return the store's id where it is known, and everything that was seen."""
    told, channels, known = _settings(environment)
    broker = await _broker(options.data_dir, environment)
    try:
        store, plant, found = await _store(url, known, now)
    except Retryable as error:
        remedy = "start the database, or mend its address; nothing else can be looked at before"
        return None, [Checked("database", Grade.BROKEN, str(error), remedy), *told, *broker]
    if plant is not None and channels is not None:
        found += unheard_sites(plant, channels)
    return store, [*found, *broker, *told, *_backups(options.backups, store, now)]


# -- the store -----------------------------------------------------------------------------------


async def _store(
    url: str, known: Mapping[str, Condition], now: datetime
) -> tuple[str, Plant | None, list[Checked]]:
    waiting = [each.name for each in migrate.status(url) if each.applied_at is None]
    if waiting:
        what = f"{len(waiting)} migrations are pending, the first is {waiting[0]}"
        remedy = "take a backup, then run `danhao db migrate`"
        return "unknown", None, [Checked("schema", Grade.BROKEN, what, remedy)]
    async with connection.single(url, "danhao doctor") as link:
        seen = await gather(link, known, now)
        used = await checkups.catalogues(link)
        store = await plants.store_id(link)
    now_us = to_us(now)
    return (
        store,
        seen.plant,
        [
            Checked("schema", Grade.WELL, "every migration is applied"),
            *rules.judge(seen),
            *law.judge(seen.plant, limits.catalogue().values(), now_us),
            *law.verification(seen.plant, now_us),
            *law.catalogue(basis.catalogue().digest, used),
        ],
    )


async def gather(link: AsyncConnection[Any], known: Mapping[str, Condition], now: datetime) -> Seen:
    """Return one look at a migrated store."""
    loaded = await plants.load(link)
    folder = await status.data_directory(link)
    # A condition that a plant has switched off still says from when on a silence is one.
    conditions = {**conditionfile.catalogue(), **known}
    checkup = await checkups.look(link, now)
    quiet_s = float(conditions["point_silent"].raise_at)
    return Seen(
        now=now,
        plant=loaded.plant,
        point_ids=loaded.ids,
        checkup=checkup,
        status=await status.look(link, now, status.disk_of(folder)),
        quiet=await watched.quiet_points(link, clock.from_us(to_us(now) - int(quiet_s * 1e6))),
        unheard=await checkups.unheard(link),
        sources=await checkups.sources(
            link, [key for key in loaded.plant.agents if key not in checkup.agents]
        ),
        conditions=conditions,
    )


# -- what is beside it ---------------------------------------------------------------------------


def _settings(
    environment: Mapping[str, str],
) -> tuple[list[Checked], Sequence[Receiver] | None, Mapping[str, Condition]]:
    """Return what danhao.toml is like, its channels and its conditions where there is one."""
    try:
        document = settings.read_file(environment)
        if not document.data:
            what = "no danhao.toml here: its channels and conditions were not looked at"
            remedy = f"run it where {settings.FILE} is, or set {settings.FILE_VARIABLE}"
            return [Checked("settings", Grade.UNKNOWN, what, remedy)], None, {}
        # The store and the broker may be named elsewhere: here only what it says is checked.
        assumed = {"DANHAO_MQTT_URL": "mqtt://127.0.0.1"} if "mqtt" not in document.data else {}
        read = ingest_config.load(
            {**assumed, **environment},
            database=settings.Database(url="postgresql://127.0.0.1/danhao"),
        )
    except Misconfigured as error:
        remedy = "mend the file, then start the programs that read it anew"
        problems = [Checked("settings", Grade.BROKEN, str(p), remedy) for p in error.problems]
        return problems, None, {}
    well = Checked("settings", Grade.WELL, f"{document.name} holds no mistake")
    return [well], read.channels, read.conditions or {}


def unheard_sites(plant: Plant, channels: Sequence[Receiver]) -> Iterator[Checked]:
    """Judge whether somebody is told of every site."""
    deaf = [
        site.id
        for site in plant.sites.values()
        if not any(is_within(site.jurisdiction, each.jurisdiction) for each in channels)
    ]
    if deaf:
        what = f"no channel is told of {named(deaf)}: its alerts are on the page only"
        remedy = "add a [[channel]] with its jurisdiction to danhao.toml (docs/channels.md)"
        yield Checked("channels", Grade.WARNING, what, remedy)


async def _broker(data_dir: Path | None, environment: Mapping[str, str]) -> list[Checked]:
    """Return whether the broker takes connections; its account is tried by ingest itself."""
    try:
        address = _broker_address(data_dir, environment)
    except Misconfigured as error:
        return [Checked("broker", Grade.UNKNOWN, str(error), "name the broker as ingest does")]
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, ingest_config.PORT)
    try:
        async with asyncio.timeout(BROKER_S):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else "it did not answer in time"
        what = f"{host}:{port} takes no connection: {why}"
        return [Checked("broker", Grade.BROKEN, what, "start it; agents keep their readings")]
    return [Checked("broker", Grade.WELL, f"{host}:{port} takes connections")]


def _broker_address(data_dir: Path | None, environment: Mapping[str, str]) -> str:
    if data_dir is not None:
        return settings.endpoint(data_dir, "mqtt")
    named_there = environment.get(ingest_config.VARIABLES["url"])
    if named_there:
        return named_there
    table = settings.read_file(environment).data.get("mqtt")
    address = table.get("url") if isinstance(table, dict) else None
    if not isinstance(address, str):
        raise Misconfigured("no broker is named, so none was looked at")
    return address


def _backups(folder: Path | None, store: str, now: datetime) -> list[Checked]:
    if folder is None:
        return [backups.unknown()]
    try:
        found = backups.youngest(folder)
    except Misconfigured as error:
        return [Checked("backups", Grade.BROKEN, str(error), "name the folder that backups go to")]
    return backups.judge(found, store, now, backups.free_of(folder))
