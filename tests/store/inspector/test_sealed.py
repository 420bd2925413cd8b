"""Every byte is held to account: a changed one is found and named; Ed25519 is RFC 8032's."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import wire
from store import evidencefile, packlines
from store.inspector import sealed
from tests.core import random_months
from tests.store.inspector import worldpack

if TYPE_CHECKING:
    from collections.abc import Callable

FEW: Final = 400
#: How many one run tries; `danhao bench evidence` tries 10,000.
ALL: Final = int(os.environ.get("DANHAO_TEST_BYTES", "3000"))
# RFC 8032, 7.1: secret key, public key, message, signature.
VECTORS: Final = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
)


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_signatures_of_the_standard_are_accepted_and_no_other(
    secret: str, public: str, message: str, signature: str
) -> None:
    key, told, signed = (bytes.fromhex(one) for one in (public, message, signature))
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    assert private.public_key().public_bytes_raw() == key, "the vector is copied rightly"
    assert sealed.ed25519(key, told, signed)
    assert not sealed.ed25519(key, told + b"x", signed)
    for place in range(0, 64, 7):
        wrong = bytearray(signed)
        wrong[place] ^= 1
        assert not sealed.ed25519(key, told, bytes(wrong))


def test_it_agrees_with_another_implementation_on_random_keys_and_messages() -> None:
    draw = random.Random(8032)  # noqa: S311 - replayable, no secret
    for _ in range(25):
        private = Ed25519PrivateKey.from_private_bytes(draw.randbytes(32))
        message = draw.randbytes(draw.randrange(200))
        key, signed = private.public_key().public_bytes_raw(), private.sign(message)
        assert sealed.ed25519(key, message, signed)
        assert not sealed.ed25519(key[::-1], message, signed)


def test_a_signature_that_is_another_number_of_the_same_is_refused() -> None:
    """S + L signs the same by arithmetic; a verifier that takes it lets a byte change unseen."""
    key, signed = bytes.fromhex(VECTORS[1][1]), bytes.fromhex(VECTORS[1][3])
    order = 2**252 + 27742317777372353535851937790883648493
    larger = int.from_bytes(signed[32:], "little") + order
    assert not sealed.ed25519(key, b"r", signed[:32] + larger.to_bytes(32, "little"))


@lru_cache(maxsize=2)
def a_pack(*, signed: bool) -> bytes:
    """Return the pack of a month with readings, facts and verdicts."""
    world = random_months.make(5)
    if not signed:
        return asyncio.run(worldpack.pack(world))
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS[0][0]))
    return asyncio.run(worldpack.pack(world, private.sign, the_key(private)))


def the_key(private: Ed25519PrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - tests only

    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return wire.signer(pem)[1]


def missed(pack: bytes, changes: int, seed: int) -> list[str]:
    """Return single-byte changes that were not found, or named by another line."""
    check: Callable[..., Any] = evidencefile.load()
    draw = random.Random(seed)  # noqa: S311 - replayable
    ends = [place for place, byte in enumerate(pack) if byte == 10]
    found: list[str] = []
    for number in range(changes):
        # A tenth in the last two lines, where a change is hardest to tell from one elsewhere.
        low = ends[-3] + 1 if number % 10 == 0 else 0
        place = draw.randrange(low, len(pack))
        line = 1 + sum(1 for end in ends if end < place)
        byte = draw.choice([one for one in range(256) if one != pack[place]])
        problems = check(pack[:place] + bytes([byte]) + pack[place + 1 :]).problems
        named = [int(one) for one in re.findall(r"line (\d+)", " ".join(problems))]
        if named[:1] != [line]:
            found.append(f"byte {place} of line {line} to {byte}: {problems}")
    return found


@pytest.mark.parametrize("signed", [True, False])
def test_each_of_some_single_byte_changes_is_found_and_named(signed: bool) -> None:  # noqa: FBT001
    pack = a_pack(signed=signed)
    assert evidencefile.load()(pack).problems == []
    assert missed(pack, FEW // 2, 1) == []


@pytest.mark.slow
def test_each_of_thousands_of_single_byte_changes_is_found_and_named() -> None:
    assert missed(a_pack(signed=True), ALL, 2) == []


def test_a_change_says_what_the_line_belongs_to() -> None:
    pack = a_pack(signed=True)
    lines = pack.split(b"\n")
    for number, line in enumerate(lines[:-3]):
        wrong = pack.replace(line, line[:-2] + b"~" + line[-1:], 1)
        (problem,) = evidencefile.load()(wrong).problems
        member = json.loads(line)
        assert f"line {number + 1} ({member['member']}" in problem
        for key in ("point", "id", "day"):
            assert str(member.get(key, "")) in problem


def test_lines_left_out_added_or_exchanged_are_found() -> None:
    pack = a_pack(signed=False)
    lines = pack.split(b"\n")
    check = evidencefile.load()
    for wrong in (
        lines[:2] + lines[3:],
        lines[:2] + lines[1:],
        [lines[1], lines[0], *lines[2:]],
        lines[:-2] + lines[-1:],
        [*lines, b"{}", b""],
        lines[:-1],
        [b""],
    ):
        assert check(b"\n".join(wrong)).problems


def test_who_has_no_key_cannot_seal_another_pack() -> None:
    """All hashes made anew are all right: only the signature tells."""
    pack = a_pack(signed=True)
    check = evidencefile.load()
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS[0][0]))
    key = the_key(private)
    assert check(pack, key).problems == []
    members = [json.loads(line) for line in pack.splitlines()[:-2]]
    other = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(VECTORS[1][0]))
    assert check(packlines.seal(members, other.sign, key)).problems
    assert check(packlines.seal(members, other.sign, the_key(other))).problems == []
    assert check(packlines.seal(members, other.sign, the_key(other)), key).problems
    assert check(packlines.seal(members), key).problems
