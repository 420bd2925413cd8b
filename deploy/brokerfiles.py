"""Accounts of agents at a Mosquitto: its password file, its rights, and a secret file for each.

Promises: a secret is made by chance once and stays until it is asked to be renewed; what did not
change is not rewritten; an agent that is no longer declared can not sign in after Mosquitto has
read the files again. Secrets stand in files that only their owner reads and are never printed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured
from deploy import accounts, datadir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path

ACL: Final = "acl"
PASSWORDS: Final = "passwords"
SECRETS: Final = "secrets"
ROUNDS: Final = 101  # mosquitto_passwd's own; a secret of 256 random bits needs no slow digest
MOST_ROUNDS: Final = 1_000_000  # a row that asks for more is written anew, not computed
MOST_FILE_BYTES: Final = 4 << 20  # 10,000 accounts take 2 MB
_SALT_BYTES: Final = 12
_ROW: Final = re.compile(r"^\$7\$(\d{1,7})\$([A-Za-z0-9+/=]{1,64})\$([A-Za-z0-9+/=]{88})$")
_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9.-]{0,127}$")
_SHARED: Final = 0o640


@dataclass(frozen=True, slots=True)
class Written:
    """What a run did: accounts that are new, renewed and gone, and the files that it replaced."""

    added: tuple[str, ...]
    renewed: tuple[str, ...]
    removed: tuple[str, ...]
    files: tuple[str, ...]


def write(
    folder: Path, agents: Iterable[tuple[str, str]], renew: AbstractSet[str] = frozenset()
) -> Written:
    """Bring the folder's three kinds of files to the declared agents and ingest's account.

    `renew` names accounts that get another secret. Raises Misconfigured where one of these is not
    declared, where there are too many, or where the folder can not be used.
    """
    names = {accounts.agent_name(site, agent): (site, agent) for site, agent in agents}
    wanted = {accounts.INGEST, *names}
    _refuse(wanted, renew)
    try:
        datadir.make_private(folder / SECRETS, for_root=0o700)
        known = _rows(folder / PASSWORDS)
        given = {name: _secret(folder / SECRETS / name, renew=name in renew) for name in wanted}
        rows = {name: _row(given[name], known.get(name)) for name in sorted(wanted)}
        rights = accounts.mosquitto_acl(
            [
                accounts.ingest_account(given[accounts.INGEST]),
                *(accounts.agent_account(*names[name], given[name]) for name in sorted(names)),
            ]
        )
        text = "".join(f"{name}:{row}\n" for name, row in rows.items())
        files = [
            name
            for name, content in ((PASSWORDS, text), (ACL, rights))
            if _replace(folder / name, content)
        ]
        removed = sorted(known.keys() - wanted)
        for name in removed:
            (folder / SECRETS / name).unlink(missing_ok=True)
    except OSError as error:
        raise Misconfigured(
            f"{error.filename or folder}: {error.strerror}: give another --to"
        ) from error
    added = tuple(sorted(wanted - known.keys()))
    return Written(added, tuple(sorted(renew - set(added))), tuple(removed), tuple(files))


def digest(secret: str, salt: bytes, rounds: int = ROUNDS) -> str:
    """Return Mosquitto's form of a password: PBKDF2 with SHA-512."""
    made = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, rounds)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"


def _refuse(wanted: AbstractSet[str], renew: AbstractSet[str]) -> None:
    if len(wanted) > accounts.MOST_ACCOUNTS:
        raise Misconfigured(
            f"{len(wanted)} accounts are more than the {accounts.MOST_ACCOUNTS} that one broker is"
            " given: divide the sites among brokers"
        )
    unknown = sorted(renew - wanted)
    if unknown:
        raise Misconfigured(
            f"no such account: {', '.join(unknown)}: write SITE.AGENT as in the plant file"
        )


def _secret(path: Path, *, renew: bool) -> str:
    if not renew:
        try:
            known = path.read_text("utf-8").strip()
        except FileNotFoundError:
            known = ""
        if known:
            return known
    made = accounts.new_secret()
    datadir.write_private(path, f"{made}\n".encode())
    return made


def _rows(path: Path) -> Mapping[str, str]:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    if len(content) > MOST_FILE_BYTES:
        raise Misconfigured(f"{path}: is larger than {MOST_FILE_BYTES} bytes: remove it")
    rows = (line.partition(":") for line in content.decode("utf-8", "replace").splitlines())
    return {name: row for name, colon, row in rows if colon and _NAME.match(name)}


def _row(secret: str, known: str | None) -> str:
    """Return the row that is there where it fits the secret, else one with a new salt."""
    match = _ROW.match(known or "")
    if match is not None and known is not None and 0 < int(match.group(1)) <= MOST_ROUNDS:
        try:
            salt = base64.b64decode(match.group(2), validate=True)
        except ValueError:
            salt = b""
        if salt and hmac.compare_digest(digest(secret, salt, int(match.group(1))), known):
            return known
    return digest(secret, secrets.token_bytes(_SALT_BYTES))


def _replace(path: Path, content: str) -> bool:
    """Write a file that its group may read, as its former one's owner and group; tell if it did."""
    try:
        before = path.stat()
        if path.read_text("utf-8") == content:
            return False
    except FileNotFoundError:
        before = None
    datadir.write_private(path, content.encode())
    if before is not None and os.geteuid() == 0:
        os.chown(path, before.st_uid, before.st_gid)
    path.chmod(_SHARED)
    return True
