"""Promises of an exported close: who has only the file finds every change of it."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core import wire
from core.errors import Misconfigured
from store import closefile, closeseal
from store.closeseal import Seal
from store.digests import canonical

if TYPE_CHECKING:
    from pathlib import Path

SHA = "a" * 64
CONTENT: dict[str, Any] = {
    "format": 2,
    "site": "gh-al",
    "month_start": "2026-10-01T00:00:00+08:00",
    "month_end": "2026-11-01T00:00:00+08:00",
    "number": 1,
    "previous": None,
    "known_at": "2026-11-01T00:05:00Z",
    "closed_at": "2026-11-01T00:10:00Z",
    "closed_by": "能源工程师",
    "store": "6f1c3f4e-0000-4000-8000-000000000000",
    "declaration": {"version": 1, "sha256": SHA},
    "catalogue": SHA,
    "key": None,
    "figures": [
        {
            "unit": "gh-al.u",
            "indicator": "al.liquid.ac",
            "period": "month",
            "period_start": "2026-10-01T00:00:00+08:00",
            "result": "6f1c3f4e-0000-4000-8000-000000000001",
            "version": 1,
            "sha256": SHA,
        }
    ],
    "readings": [{"point": "gh-al.u.ac", "count": 3, "sha256": SHA}],
    "facts": [{"unit": "gh-al.u", "count": 0, "sha256": SHA}],
}


def sealed(content: dict[str, Any], private: Ed25519PrivateKey | None = None) -> Seal:
    key = None
    if private is not None:
        raw = private.public_key().public_bytes_raw()
        key = wire.KEY_PREFIX + base64.b64encode(raw).decode()
    body = canonical(content | ({"key": key} if "key" in content else {}))
    data = body.encode()
    return Seal(
        body, hashlib.sha256(data).digest(), key, None if private is None else private.sign(data)
    )


def problems(seal: Seal, key: str | None = None) -> list[str]:
    return [problem for part in closeseal.check(seal, key) for problem in part.problems]


def test_a_file_brings_back_what_was_written(tmp_path: Path) -> None:
    seal = sealed(CONTENT, Ed25519PrivateKey.generate())
    path = tmp_path / "october.json"
    assert closefile.write(path, seal) == path.stat().st_size
    assert closefile.read(path) == seal
    assert problems(seal, seal.key) == []
    assert [each.name for each in tmp_path.iterdir()] == ["october.json"]
    with pytest.raises(Misconfigured, match="is there already"):
        closefile.write(path, seal)


def test_a_body_without_signature_is_sound_and_says_so() -> None:
    parts = closeseal.check(sealed(CONTENT))
    assert [(part.name, part.state) for part in parts] == [
        ("hash", "well"),
        ("body", "well"),
        ("signature", "unchecked"),
    ]


@pytest.mark.parametrize("place", range(0, 1200, 37))
def test_one_changed_character_anywhere_in_the_body_is_found(place: int) -> None:
    seal = sealed(CONTENT, Ed25519PrivateKey.generate())
    at = place % len(seal.body)
    other = "0" if seal.body[at] != "0" else "1"
    forged = Seal(
        seal.body[:at] + other + seal.body[at + 1 :], seal.sha256, seal.key, seal.signature
    )
    assert problems(forged) == ["the body is not the one that was hashed"]
    # Who computes the hash anew does not have the key.
    hashed = Seal(
        forged.body, hashlib.sha256(forged.body.encode()).digest(), seal.key, seal.signature
    )
    assert problems(hashed) != []


def test_a_signature_by_another_key_is_found() -> None:
    mine, other = (sealed(CONTENT, Ed25519PrivateKey.generate()) for _ in range(2))
    assert problems(mine, other.key) == [f"it is signed by {mine.key}, not by {other.key}"]
    swapped = Seal(mine.body, mine.sha256, mine.key, other.signature)
    assert problems(swapped) == [f"the signature is not by {mine.key}"]
    claimed = Seal(mine.body, mine.sha256, other.key, other.signature)
    assert f"the body is to be signed by {mine.key} and is signed by {other.key}" in problems(
        claimed
    )


WRONG = {
    "another format": CONTENT | {"format": 3},
    "no format": {},
    "a key more": CONTENT | {"more": 1},
    "a key less": {key: value for key, value in CONTENT.items() if key != "facts"},
    "no instant": CONTENT | {"closed_at": "yesterday"},
    "a text for a number": CONTENT | {"number": "1"},
    "a figure without version": CONTENT | {"figures": [{"unit": "u"}]},
    "the older format with a key": CONTENT | {"format": 1},
    "a format that is a list": CONTENT | {"format": [2]},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_body_that_we_did_not_write_is_told_and_nothing_of_it_believed(what: str) -> None:
    parts = closeseal.check(sealed(WRONG[what]))
    assert [part.name for part in parts] == ["hash", "body"]
    assert parts[1].problems


def test_the_older_format_without_a_key_is_read() -> None:
    content = {key: value for key, value in CONTENT.items() if key != "key"} | {"format": 1}
    assert problems(sealed(content, Ed25519PrivateKey.generate())) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '"x"', json.dumps({"danhao_close": 1, "body": "", "sha256": ""})],
)
def test_a_file_that_is_none_of_ours_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(Misconfigured, match=r"x\.json: is no month close"):
        closefile.read(path)


@pytest.mark.parametrize(
    "more",
    [
        {"danhao_close": 2},
        {"body": 1},
        {"body": "\ud800"},
        {"sha256": "xyz"},
        {"sha256": None},
        {"key": 1},
        {"signature": "not base64!"},
        {"extra": 1},
    ],
)
def test_a_file_with_a_wrong_member_is_one_sentence(tmp_path: Path, more: dict[str, Any]) -> None:
    path = tmp_path / "x.json"
    given = {"danhao_close": 1, **closefile.data(sealed(CONTENT)), **more}
    path.write_text(json.dumps(given))
    with pytest.raises(Misconfigured, match=r"x\.json: is no month close"):
        closefile.read(path)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        closefile.read(tmp_path / "none.json")
    with pytest.raises(Misconfigured, match="cannot be written: No such file"):
        closefile.write(tmp_path / "no" / "x.json", sealed(CONTENT))


def test_files_of_one_site_are_linked_and_a_gap_is_unchecked() -> None:
    first = sealed(CONTENT)
    second = sealed(CONTENT | {"number": 2, "previous": first.sha256.hex()})
    fourth = sealed(CONTENT | {"number": 4, "previous": SHA})
    forged = sealed(CONTENT | {"number": 2, "previous": SHA})

    def states(*seals: Seal) -> list[str]:
        contents = [seal.content() for seal in seals]
        return [
            part.state for part in closefile.chain(contents, [seal.sha256.hex() for seal in seals])
        ]

    assert states(second, first) == ["well", "well"]
    assert states(first, fourth) == ["well", "unchecked"]
    assert states(first, forged) == ["well", "wrong"]
    assert states(sealed(CONTENT | {"previous": SHA})) == ["wrong"]
