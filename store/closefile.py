"""The exported file of a month's snapshot: body, hash, signature and key, to be checked anywhere.

JSON: `danhao_close` (1), `body` as the text that was hashed, `sha256` hexadecimal, `key` and
`signature` (base64) or null. Promise: the file is whole or not there, and what is read from one is
bounded and believed only by its own hash and signature.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from typing import TYPE_CHECKING, Any, Final

from core.errors import Misconfigured, Problem
from store.closeseal import Part, Seal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FORMAT: Final = 1
MOST_FILE_BYTES: Final = 256 << 20  # 500 units of a year's worth of indicators, many times over
_KEYS: Final = frozenset({"danhao_close", "body", "sha256", "key", "signature"})


def data(seal: Seal) -> dict[str, Any]:
    """Return a seal as JSON carries it, in the file and in the API."""
    return {
        "body": seal.body,
        "sha256": seal.sha256.hex(),
        "key": seal.key,
        "signature": None if seal.signature is None else base64.b64encode(seal.signature).decode(),
    }


def write(path: Path, seal: Seal) -> int:
    """Write a new file and return its bytes; raises Misconfigured where one is there already."""
    text = json.dumps({"danhao_close": FORMAT, **data(seal)}, ensure_ascii=False, indent=1) + "\n"
    part = path.with_name(f"{path.name}.part")
    if path.exists():
        raise Misconfigured([Problem(str(path), "is there already: give another name")])
    try:
        with part.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be written: {error.strerror}")]) from error
    return len(text.encode())


def read(path: Path) -> Seal:
    """Read a file; raises Misconfigured where it cannot be read or is no exported snapshot."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    if len(raw) > MOST_FILE_BYTES:
        raise Misconfigured([Problem(str(path), f"is larger than {MOST_FILE_BYTES} bytes")])
    try:
        return _seal(json.loads(raw))
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        message = f"is no month close that `danhao close export` wrote: {error}"
        raise Misconfigured([Problem(str(path), message)]) from error


def _seal(given: object) -> Seal:
    if not isinstance(given, dict) or given.keys() != _KEYS or given["danhao_close"] != FORMAT:
        raise ValueError(f"it is not one object of {', '.join(sorted(_KEYS))}")
    for name in ("body", "sha256"):
        if not isinstance(given[name], str):
            raise TypeError(f"{name} is no text")
    for name in ("key", "signature"):
        if not isinstance(given[name], str | None):
            raise TypeError(f"{name} is neither text nor null")
    given["body"].encode()  # half a surrogate is no text
    signature = given["signature"]
    return Seal(
        given["body"],
        bytes.fromhex(given["sha256"]),
        given["key"],
        None if signature is None else base64.b64decode(signature, validate=True),
    )


def chain(contents: Sequence[Mapping[str, Any]], hashes: Sequence[str]) -> list[Part]:
    """Check the links between snapshots of one site among those given, one part each.

    A snapshot whose one before is not given is unchecked.
    """
    known = {
        (content["site"], content["number"]): sha256
        for content, sha256 in zip(contents, hashes, strict=True)
    }
    return [_link(content, known) for content in contents]


def _link(content: Mapping[str, Any], known: Mapping[tuple[str, int], str]) -> Part:
    part = Part("chain")
    number = content["number"] - 1
    if number == 0:
        if content["previous"] is not None:
            part.problems.append("it is the site's first and names one before it")
        return part
    before = known.get((content["site"], number))
    if before is None:
        part.unchecked.append(
            f"the snapshot before, number {number} of {content['site']}, is not given beside it"
        )
    elif before != content["previous"]:
        part.problems.append(f"the snapshot before, number {number}, is another one")
    return part
