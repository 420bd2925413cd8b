"""The front door: `danhao COMMAND ...` loads the program that owns the command, only when asked.

Exit codes of every command: 0 well, 1 the answer is bad news, 2 wrong use or configuration.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING, Final

from core.errors import DanhaoError, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

WELL: Final = 0
BAD_NEWS: Final = 1
WRONG_USE: Final = 2

# Command, the module whose register() adds it, and what it is for.
COMMANDS: Final = (
    ("up", "deploy.commands", "run everything on this machine; --demo adds simulated plants"),
    ("edge", "edge.commands", "the agent on a gateway: run, check, outbox"),
    ("keys", "edge.keys", "signing keys of agents and alerts: agent, webhook, show"),
    ("ingest", "ingest.commands", "the write side: run, dead-letters"),
    ("recompute", "ingest.recompute", "slots and results again; what differs is a defect"),
    ("alerts", "ingest.alert_commands", "alerts: rehearse a rule over the past, try a channel"),
    ("api", "api.commands", "the read side: run, openapi"),
    ("token", "api.token_commands", "bearer tokens: create, list, revoke"),
    ("account", "api.account_commands", "people who sign in: create, password, list, disable"),
    ("db", "store.commands", "the database: migrate, status, backup, restore, archive"),
    ("plant", "store.commands", "what is declared: apply, check, show"),
    ("close", "store.close_commands", "month close: month, list, verify, export, check"),
    ("evidence", "store.evidence_commands", "evidence packs: export, verify, checker"),
    ("checks", "store.check_commands", "checks of meters: run"),
    ("report", "api.reporting.commands", "reports: intensity, quarter, benchmark, quality"),
    ("forecast", "store.forecast_commands", "what a unit's month or year is foreseen to end with"),
    ("national", "ingest.reporting.commands", "national reporting: run, status, check, enter"),
    ("limits", "deploy.catalogue", "the catalogue of limits: list, show, check, try"),
    (
        "simulate",
        "simulators.commands",
        "stand-ins: meters, replay, regulator, mailbox, platform",
    ),
    ("grafana", "deploy.grafana.commands", "Grafana over the ledger: write, reader"),
    ("doctor", "deploy.doctor.commands", "one page: what is wrong and what to do about it"),
    ("plan", "deploy.planning", "before it is bought: size"),
    ("broker", "deploy.broker_commands", "a Mosquitto of your own: accounts, certificate"),
    ("bench", "deploy.bench", "speed as ratios measured in one run"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors of people are one sentence each."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parser(given).parse_args(given)
        code: int = options.run(options)
    except Misconfigured as error:
        for problem in error.problems:
            print(f"danhao: {problem}", file=sys.stderr)
        return WRONG_USE
    except DanhaoError as error:
        print(f"danhao: {error}", file=sys.stderr)
        return BAD_NEWS
    except KeyboardInterrupt:
        return BAD_NEWS
    except BrokenPipeError:
        # The reader of our output went away, as `head` does: nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WELL
    return code


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="danhao", description="Live, provable energy per unit of product (单耗)."
    )
    if given[:1] == ["--version"]:
        parser.add_argument("--version", action="version", version=f"danhao {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    wanted = next((word for word in given if not word.startswith("-")), None)
    loaded: set[str] = set()
    for name, module, _ in COMMANDS:
        if name == wanted and module not in loaded:
            loaded.add(module)
            _load(name, module).register(commands)
    for name, module, purpose in COMMANDS:
        if module not in loaded:
            commands.add_parser(name, help=purpose)
    return parser


def _load(name: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == module.partition(".")[0]:
            raise
        raise Misconfigured(
            f"`danhao {name}` needs the package {error.name!r}, which is not installed here: "
            "install danhao with the extra that brings it, such as danhao[edge] or danhao[all]"
        ) from error


def _version() -> str:
    from importlib import metadata  # noqa: PLC0415 - only where asked

    return metadata.version("danhao")


if __name__ == "__main__":
    sys.exit(main())
