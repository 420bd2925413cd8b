"""`danhao keys agent|webhook|show FILE`: Ed25519 keys of agents, and of those who tell alerts.

The private key stays in a file that only its owner reads; the plant file names an agent's public
one, and a receiver of alerts is given the sender's. No key is ever made unasked, none is replaced,
and there is no default.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from core import names, wire
from core.errors import Misconfigured

if TYPE_CHECKING:
    import argparse


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `keys` and its leaves."""
    keys = commands.add_parser("keys", help="signing keys of agents and of senders of alerts")
    leaves = keys.add_subparsers(dest="keys_command", required=True, metavar="COMMAND")
    for name, text, run in (
        ("agent", "make a key for an agent and print the line for plant.toml", agent),
        ("webhook", "make a key to sign alerts with and print what receivers need", webhook),
        ("show", "print the public key of a file", show),
    ):
        leaf = leaves.add_parser(name, help=text, description=text)
        leaf.add_argument("file", type=Path, metavar="FILE", help="the private key, as PEM")
        leaf.add_argument("--agent", metavar="SITE.AGENT", help="whose key it is, for the line")
        leaf.add_argument("--json", action="store_true", help="print JSON")
        leaf.set_defaults(run=run)


def agent(args: argparse.Namespace) -> int:
    """Make a key in a new file; returns 0."""
    table = _table(args.agent)
    make(args.file)
    return _tell(args, table)


def webhook(args: argparse.Namespace) -> int:
    """Make a key in a new file and print its public half, bare; returns 0."""
    make(args.file)
    key = public(args.file)
    sys.stdout.write(
        (json.dumps({"file": str(args.file), "key": key}) if args.json else key) + "\n"
    )
    return 0


def show(args: argparse.Namespace) -> int:
    """Print the public key of a file; returns 1 where others than its owner may read it."""
    table = _table(args.agent)
    _tell(args, table)
    if stat.S_IMODE(args.file.stat().st_mode) & 0o077:
        sys.stderr.write(f"danhao: {args.file}: others may read it: chmod 600 {args.file}\n")
        return 1
    return 0


def make(path: Path) -> None:
    """Write a new private key, readable by its owner only; never over what is there."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only here
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - the same
        Ed25519PrivateKey,
    )

    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise Misconfigured(
            f"{path}: is there already: a key is not replaced; name another file"
        ) from error
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be made: {error.strerror}") from error
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # whatever the umask says
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())


def public(path: Path) -> str:
    """Return the public key of a file as the plant file names it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return wire.signer(content)[1]
    except Misconfigured as error:
        raise Misconfigured(f"{path}: {error}") from error


def _table(whose: str | None) -> str:
    """Return the table of the plant file that the line belongs into."""
    if whose is None:
        return "site.SITE.agent.AGENT"
    site, dot, name = whose.partition(".")
    if not dot or not names.is_slug(site) or not names.is_slug(name):
        raise Misconfigured(f"--agent {whose}: write the site and the agent, such as gh-al.gw-01")
    return f"site.{site}.agent.{name}"


def _tell(args: argparse.Namespace, table: str) -> int:
    key = public(args.file)
    if args.json:
        sys.stdout.write(json.dumps({"file": str(args.file), "table": table, "key": key}) + "\n")
        return 0
    sys.stdout.write(f'[{table}]\nkey = "{key}"\n')
    return 0
