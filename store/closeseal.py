"""The seal of a month's snapshot: hash and signature of its body, checked from bytes alone. Pure.

Promise: nothing here needs a store, so who has only the exported file checks the same; a signature
that somebody took away is told, because the body names the key that signed it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from core import periods, wire
from core.errors import Misconfigured
from core.wire_pb2 import Packet
from store.digests import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_SHOWN: Final = 20  # mistakes of one body: the first ones tell enough


def _instant(text: str) -> str:
    try:
        periods.parse_instant(text)
    except OverflowError as error:
        raise ValueError("lies outside the years 1 to 9999") from error
    return text


_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Instant = Annotated[str, AfterValidator(_instant)]
_Count = Annotated[int, Field(ge=0)]
_Number = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Declaration(_Strict):
    version: _Number
    sha256: _Sha256


class _Figure(_Strict):
    unit: str
    indicator: str
    period: str
    period_start: _Instant
    result: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    version: _Number
    sha256: _Sha256


class _Readings(_Strict):
    point: str
    count: _Count
    sha256: _Sha256


class _Facts(_Strict):
    unit: str
    count: _Count
    sha256: _Sha256


class _Body(_Strict):
    format: int
    site: str
    month_start: _Instant
    month_end: _Instant
    number: _Number
    previous: _Sha256 | None
    known_at: _Instant
    closed_at: _Instant
    closed_by: str
    store: str
    declaration: _Declaration
    catalogue: _Sha256
    figures: list[_Figure]
    readings: list[_Readings]
    facts: list[_Facts]


class _SignedBody(_Body):
    key: str | None


_FORMATS: Final[Mapping[int, type[_Body]]] = {1: _Body, 2: _SignedBody}


@dataclass(frozen=True, slots=True)
class Seal:
    """A body as it was hashed and signed; `key` and `signature` None: it is not signed."""

    body: str
    sha256: bytes
    key: str | None
    signature: bytes | None

    def content(self) -> dict[str, Any]:
        """Return the body as data."""
        content: dict[str, Any] = json.loads(self.body)
        return content


@dataclass(slots=True)
class Part:
    """One part of a snapshot that is looked at: what is wrong, and what nobody can look at."""

    name: str
    problems: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Return the word for it: well, wrong or unchecked."""
        if self.problems:
            return "wrong"
        return "unchecked" if self.unchecked else "well"


def check(seal: Seal, expected_key: str | None = None) -> list[Part]:
    """Check hash, body and signature; with a key, that it and no other one signed.

    What follows a wrong hash or body is not looked at: it is no longer to be believed.
    """
    parts = [Part("hash", list(_hashed(seal)))]
    if not parts[-1].problems:
        parts.append(Part("body", list(_shaped(seal))[:MOST_SHOWN]))
    if not parts[-1].problems:
        parts.append(_signed(seal, expected_key))
    return parts


def check_key(key: str) -> None:
    """Raise Misconfigured where a public key is none."""
    wire.verify(Packet(), key)


def summary(content: Mapping[str, Any]) -> str:
    """Return the words that say which month of which site a body is of, and who closed it."""
    return (
        f"{content['site']} {content['month_start'][:7]}: number {content['number']}, closed by"
        f" {content['closed_by']} at {content['closed_at']}"
    )


def _hashed(seal: Seal) -> Iterator[str]:
    if hashlib.sha256(seal.body.encode()).digest() != seal.sha256:
        yield "the body is not the one that was hashed"


def _shaped(seal: Seal) -> Iterator[str]:
    """Yield what makes the body none that we wrote."""
    try:
        content = json.loads(seal.body)
    except (ValueError, RecursionError):
        content = None
    said = content.get("format") if isinstance(content, dict) else None
    model = _FORMATS.get(said) if isinstance(said, int) else None
    if model is None:
        yield f"the body is none of format {' or '.join(map(str, _FORMATS))}"
        return
    try:
        model.model_validate(content)
    except ValidationError as error:
        for detail in error.errors():
            yield f"{'.'.join(map(str, detail['loc']))} of the body: {detail['msg']}"
        return
    if canonical(content) != seal.body:
        yield "the body is not written as canonical JSON"


def _signed(seal: Seal, expected: str | None) -> Part:
    part = Part("signature")
    named = seal.content().get("key", seal.key)
    if named != seal.key:
        part.problems.append(f"the body is to be signed {_by(named)} and is signed {_by(seal.key)}")
    if expected is not None and expected not in {named, seal.key}:
        part.problems.append(f"it is signed {_by(seal.key)}, not {_by(expected)}")
    if seal.key is None or seal.signature is None:
        part.unchecked.append("it is not signed: only its hash and its chain vouch for it")
    elif not _verifies(seal.key, seal.body.encode(), seal.signature):
        part.problems.append(f"the signature is not by {seal.key}")
    return part


def _by(key: str | None) -> str:
    return "by nobody" if key is None else f"by {key}"


def _verifies(key: str, data: bytes, signature: bytes) -> bool:
    try:
        return wire.verify(Packet(envelope=data, signature=signature), key)
    except Misconfigured:
        return False
