"""Accounts of the MQTT broker: who may write and read which topics (design 4.2, section 6).

Denied is what is not granted. An agent writes its own site's topics and reads its own receipts;
ingest alone writes receipts; the tools account, for tests and tools on the same machine, may write
for every site and read everything. Secrets are random 256-bit tokens, so one round of SHA-256 is
enough to keep them; a password that a person thought up must not be used here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from core import errors, names
from deploy import datadir, mqttwire

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

INGEST: Final = "ingest"
TOOLS: Final = "tools"
MOST_ACCOUNTS: Final = 10_000
_WRITTEN_BY_AGENTS: Final = ("readings", "output", "status")
_NAME: Final = re.compile(r"^[a-z0-9][a-z0-9.-]{0,127}$")
_DIGEST: Final = re.compile(r"^[0-9a-f]{64}$")
_KEYS: Final = frozenset({"name", "sha256", "publish", "subscribe"})


@dataclass(frozen=True, slots=True)
class Account:
    """A name, the hex SHA-256 of its token, and the topic filters it may write and read."""

    name: str
    sha256: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def is_secret(self, secret: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(hashlib.sha256(secret).hexdigest(), self.sha256)

    def may_publish(self, topic: str) -> bool:
        """Tell whether a message on this topic is accepted."""
        return any(mqttwire.covers(granted, topic) for granted in self.publish)

    def may_subscribe(self, wanted: str) -> bool:
        """Tell whether everything the filter can match is granted."""
        return any(mqttwire.covers(granted, wanted) for granted in self.subscribe)


def new_secret() -> str:
    """Return a random token of 256 bits."""
    return secrets.token_urlsafe(32)


def agent_name(site: str, agent: str) -> str:
    """Return the account name of an agent, `{site}.{agent}`; raises `Rejected` for other ids."""
    if not (names.is_slug(site) and names.is_slug(agent)):
        raise errors.Rejected(
            f"{site}.{agent} is not an agent's name: use lower-case letters, digits and hyphens"
        )
    return f"{site}.{agent}"


def agent_account(site: str, agent: str, secret: str) -> Account:
    """Return an agent's account: it writes its own three topics and reads its own receipts."""
    own = f"{names.ROOT}/{site}/{agent}"
    return Account(
        agent_name(site, agent),
        _digest(secret),
        tuple(f"{own}/{kind}" for kind in _WRITTEN_BY_AGENTS),
        (f"{own}/ack",),
    )


def ingest_account(secret: str) -> Account:
    """Return ingest's account: it reads what all agents write, and alone writes receipts."""
    return Account(
        INGEST,
        _digest(secret),
        (f"{names.ROOT}/+/+/ack",),
        tuple(f"{names.ROOT}/+/+/{kind}" for kind in _WRITTEN_BY_AGENTS),
    )


def tools_account(secret: str) -> Account:
    """Return the account of `endpoints.json`: it writes for every site and reads everything."""
    return Account(
        TOOLS,
        _digest(secret),
        tuple(f"{names.ROOT}/+/+/{kind}" for kind in _WRITTEN_BY_AGENTS),
        (f"{names.ROOT}/#",),
    )


def write(path: Path, accounts: Iterable[Account]) -> None:
    """Replace the accounts file, mode 0600; a running broker follows within a second."""
    rows = [
        {
            "name": account.name,
            "sha256": account.sha256,
            "publish": list(account.publish),
            "subscribe": list(account.subscribe),
        }
        for account in accounts
    ]
    datadir.write_json(path, {"accounts": rows})


def read(path: Path) -> dict[str, Account]:
    """Return the accounts of a file by name; raises `Misconfigured` with all its mistakes."""
    value = datadir.read_json(path, most_bytes=16 << 20)
    rows = value.get("accounts") if isinstance(value, dict) else None
    if not isinstance(rows, list) or len(rows) > MOST_ACCOUNTS:
        raise errors.Misconfigured(
            [
                errors.Problem(
                    str(path), f"the key accounts must be a list of at most {MOST_ACCOUNTS}"
                )
            ]
        )
    problems: list[errors.Problem] = []
    found: dict[str, Account] = {}
    for index, row in enumerate(rows):
        message = _mistake(row)
        if message is None and row["name"] in found:
            message = f"the name {row['name']} is there twice"
        if message is not None:
            problems.append(errors.Problem(f"{path}: accounts[{index}]", message))
            continue
        found[row["name"]] = Account(
            row["name"], row["sha256"], tuple(row["publish"]), tuple(row["subscribe"])
        )
    if problems:
        raise errors.Misconfigured(problems)
    return found


def mosquitto_acl(accounts: Iterable[Account]) -> str:
    """Return the same rights as the text of a Mosquitto `acl_file`."""
    blocks = []
    for account in accounts:
        lines = [f"user {account.name}"]
        lines += [f"topic write {granted}" for granted in account.publish]
        lines += [f"topic read {granted}" for granted in account.subscribe]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _mistake(row: Any) -> str | None:
    if not isinstance(row, dict) or set(row) != _KEYS:
        return f"an account has exactly the keys {', '.join(sorted(_KEYS))}"
    if not (isinstance(row["name"], str) and _NAME.match(row["name"])):
        return "name must be lower-case letters, digits, dots and hyphens"
    if not (isinstance(row["sha256"], str) and _DIGEST.match(row["sha256"])):
        return f"sha256 of {row['name']} must be 64 hexadecimal digits"
    for key in ("publish", "subscribe"):
        granted = row[key]
        if not isinstance(granted, list) or not all(
            isinstance(text, str) and mqttwire.is_filter(text) and "\n" not in text
            for text in granted
        ):
            return f"{key} of {row['name']} must be a list of topic filters"
    return None
