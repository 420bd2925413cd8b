"""`danhao broker accounts|certificate`: what a Mosquitto of one's own needs to let agents in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from core import indicators, plant
from core.clock import utc_now
from deploy import brokerfiles, certificates
from store import settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `broker` and its leaves."""
    parser = commands.add_parser("broker", help="a Mosquitto's accounts, rights and certificate")
    leaves = parser.add_subparsers(dest="broker_command", required=True, metavar="COMMAND")
    text = "write a Mosquitto's acl and passwords, and a secret file for each agent and for ingest"
    leaf = leaves.add_parser("accounts", help=text, description=text)
    leaf.add_argument(
        "plants", type=Path, nargs="+", metavar="PLANT", help="plant files, all of them"
    )
    leaf.add_argument("--renew", action="append", default=[], metavar="SITE.AGENT")
    _add_common(leaf)
    leaf.set_defaults(run=_accounts)
    text = "make the broker's certificate, by the plant's own authority, made where missing"
    leaf = leaves.add_parser("certificate", help=text, description=text)
    leaf.add_argument("--name", action="append", required=True, help="as agents call the broker")
    _add_common(leaf)
    leaf.set_defaults(run=_certificate)


def _add_common(leaf: argparse.ArgumentParser) -> None:
    leaf.add_argument("--to", type=Path, required=True, metavar="DIR", help="where the files go")
    leaf.add_argument("--json", action="store_true", help="print JSON")


def _accounts(options: argparse.Namespace) -> int:
    known = indicators.computing()
    agents = {
        agent
        for path in options.plants
        for agent in plant.parse(settings.read_text(path), str(path), known).agents
    }
    done = brokerfiles.write(options.to, sorted(agents), frozenset(options.renew))
    told = {
        "added": done.added,
        "renewed": done.renewed,
        "removed": done.removed,
        "files": done.files,
    }
    lines = [f"{word} {name}" for word in ("added", "renewed", "removed") for name in told[word]]
    if done.files:
        lines.append(f"wrote {', '.join(done.files)}: have Mosquitto read them again (SIGHUP)")
    return _say(options, told, lines or ["nothing changes"])


def _certificate(options: argparse.Namespace) -> int:
    done = certificates.issue(options.to, options.name, utc_now())
    until = done.until.date().isoformat()
    lines = [f"{options.to / certificates.SERVER} is good until {until}: restart the broker"]
    if done.new_authority:
        lines += [
            f"new authority {options.to / certificates.CA}: the ca_file of agents and ingest",
            f"keep {options.to / certificates.CA_KEY} away from the broker's machine, in a safe",
        ]
    return _say(options, {"until": until, "new_authority": done.new_authority}, lines)


def _say(options: argparse.Namespace, value: object, lines: Sequence[str]) -> int:
    text = json.dumps(value, ensure_ascii=False) if options.json else "\n".join(lines)
    sys.stdout.write(f"{text}\n")
    return 0
