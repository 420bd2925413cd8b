"""`danhao plant apply|check|show`, and the place of `danhao db` (store.db_commands)."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import clock, indicators, plant
from store import connection, db_commands, plants, settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from core.plant import Plant

WELL: Final = 0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `db` and `plant` with their leaves to the front door."""
    database = commands.add_parser(
        "db", help="the database: migrate, status, archive, unarchive, backup, restore, verify"
    )
    db_commands.register(database, add_database_options)

    declared = commands.add_parser("plant", help="what is declared: apply, check, show")
    leaves = declared.add_subparsers(dest="leaf", required=True, metavar="COMMAND")
    leaf = _leaf(leaves, "apply", "declare what FILE says; the same again changes nothing", _apply)
    leaf.add_argument("file", metavar="FILE", type=Path)
    leaf = leaves.add_parser("check", help="read FILE and report every mistake; needs no database")
    leaf.add_argument("file", metavar="FILE", type=Path)
    leaf.add_argument("--json", action="store_true", help="print JSON")
    leaf.set_defaults(run=_check)
    leaf = _leaf(
        leaves, "show", "say what applying FILE would change; without FILE, all there is", _show
    )
    leaf.add_argument("file", metavar="FILE", type=Path, nargs="?")


def add_database_options(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a command that touches the store finds it (design 4.3)."""
    parser.add_argument(
        "--database-url", metavar="URL", help="postgresql://user:password@host/name"
    )
    parser.add_argument(
        "--data-dir", metavar="DIR", type=Path, help="the data directory of a running `danhao up`"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _leaf(
    leaves: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    purpose: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    leaf = leaves.add_parser(name, help=purpose, description=purpose)
    add_database_options(leaf)
    leaf.set_defaults(run=run)
    return leaf


def _url(options: argparse.Namespace) -> str:
    return settings.database_of(options, os.environ).url


def _read(path: Path) -> Plant:
    return plant.parse(settings.read_text(path), str(path), indicators.computing())


def _check(options: argparse.Namespace) -> int:
    declared = _read(options.file)
    counts = {
        "sites": len(declared.sites),
        "agents": len(declared.agents),
        "units": len(declared.units),
        "points": len(declared.points),
    }
    _say(
        options,
        counts,
        [f"{options.file}: well: " + ", ".join(f"{n} {k}" for k, n in counts.items())],
    )
    return WELL


def _apply(options: argparse.Namespace) -> int:
    declared = _read(options.file)
    done = asyncio.run(_apply_to(_url(options), declared))
    _say(
        options,
        {
            "difference": list(done.difference),
            "sites": list(done.sites),
            "new_points": list(done.new_points),
            "recomputed_points": list(done.touched_points),
            "recomputed_units": list(done.touched_units),
        },
        [*done.difference] or ["nothing changes"],
    )
    return WELL


async def _apply_to(url: str, declared: Plant) -> plants.Applied:
    pool = await connection.open_pool(url, application="danhao plant", most=1)
    try:
        async with pool.connection() as link:
            return await plants.apply(link, declared, clock.utc_now())
    finally:
        await pool.close()


def _show(options: argparse.Namespace) -> int:
    wanted = None if options.file is None else _read(options.file)
    loaded = asyncio.run(_load_from(_url(options)))
    if wanted is not None:
        lines = plant.difference(loaded.plant, wanted)
        _say(options, {"difference": lines}, lines or ["nothing would change"])
        return WELL
    declared: dict[str, Any] = {
        site: {"version": loaded.versions[site], "declaration": loaded.plant.to_json(site)}
        for site in loaded.plant.sites
    }
    lines = [f"{site}  version {item['version']}" for site, item in declared.items()]
    lines += [f"  {point}" for point in sorted(loaded.plant.points)]
    _say(options, declared, lines or ["nothing is declared: `danhao plant apply FILE`"])
    return WELL


async def _load_from(url: str) -> plants.Loaded:
    pool = await connection.open_pool(url, application="danhao plant", most=1)
    try:
        async with pool.connection() as link:
            return await plants.load(link)
    finally:
        await pool.close()


def _say(options: argparse.Namespace, answer: object, lines: list[str]) -> None:
    if options.json:
        print(json.dumps(answer, ensure_ascii=False, indent=2))  # noqa: T201 - a command's answer
    else:
        print("\n".join(lines))  # noqa: T201 - a command's answer
