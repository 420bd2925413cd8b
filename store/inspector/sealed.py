"""Every byte: a line is one JSON object, the last but one holds the hash of every line before it.

The last line seals the index, by a hash and by an Ed25519 signature (RFC 8032) where there is one.
"""

# ruff: noqa: B905 - this runs on Python 3.9 too

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]
FEWEST = 3  # lines: something, the index, the seal


def canonical(data: object) -> str:
    """Return JSON that is the same for the same content."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sha256(data: bytes) -> str:
    """Return the hash, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def label(member: Json) -> str:
    """Say what a line belongs to, such as `readings gh-al.potline-1.ac 2026-10-05`."""
    keys = ("of", "site", "file", "point", "id", "revision", "result", "day")
    return " ".join([member["member"], *(str(member[key]) for key in keys if key in member)])


def index_of(lines: Sequence[bytes]) -> Json:
    """Return the index of lines: what each belongs to, and its hash."""
    return {
        "member": "index",
        "lines": [[label(json.loads(line)), sha256(line)] for line in lines],
    }


def _parsed(line: bytes, member: str) -> Json | None:
    """Return a line that is canonical JSON of this member, else None."""
    try:
        data = json.loads(line)
        fits = canonical(data).encode() == line and data["member"] == member
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return data if fits else None


def changed(data: bytes, public_key: str | None) -> tuple[list[str], list[str]]:
    """Return (what is wrong with the bytes, what nobody can tell), one sentence each."""
    lines = data.split(b"\n")
    if lines[-1] != b"" or len(lines) <= FEWEST:
        return [f"line {len(lines)}: the pack does not end with the line break after its seal"], []
    lines.pop()
    body, raw, count = lines[:-2], lines[-2], len(lines)
    index, seal = _parsed(raw, "index"), _parsed(lines[-1], "seal")
    if seal is None or seal.keys() != {"member", "sha256", "key", "signature"}:
        return [f"line {_broken(lines)}: the seal was changed"], []
    fits = seal["sha256"] == sha256(raw)
    if not fits or index is None:
        try:
            rebuilt: str | None = canonical(index_of(body))
        except (ValueError, TypeError, KeyError, RecursionError):
            rebuilt = None
        if rebuilt is not None and rebuilt.encode() == raw:
            return [f"line {count}: the hash in the seal was changed"], []
        also = (
            ""
            if rebuilt and sha256(rebuilt.encode()) == seal["sha256"]
            else _differing(index["lines"] if index else [], body, "; or ")
        )
        where = count - 1 if index else _broken(lines[:-1])
        return [f"line {where}: the index was changed{also}"], []
    differing = _differing(index["lines"], body, "")
    if differing:
        return [differing], []
    return _signed(seal, raw, public_key, count)


def _broken(lines: Sequence[bytes]) -> int:
    """Return the number of the first line that is no JSON, of the last one where all are."""
    for number, line in enumerate(lines, start=1):
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return number
    return len(lines)


def _differing(entries: Any, body: Sequence[bytes], before: str) -> str:
    """Name the lines that are not those of the index; nothing where all are."""
    try:
        told = [(str(name), str(digest)) for name, digest in entries]
    except (TypeError, ValueError):
        return ""
    want, got = [digest for _, digest in told], [sha256(line) for line in body]
    if want == got:
        return ""
    first = next((n for n, (a, b) in enumerate(zip(want, got)) if a != b), min(len(want), len(got)))
    names = [name for name, _ in told[first : first + 1]] or ["nothing that the index knows"]
    wrong = [n for n, (a, b) in enumerate(zip(want, got)) if a != b]
    more = "" if len(want) == len(got) else f", and there are {len(got)} lines, not {len(want)}"
    if not more and len(wrong) > 1:
        more = ", and so were " + ", ".join(f"line {n + 1} ({told[n][0]})" for n in wrong[1:9])
    return f"{before}line {first + 1} ({names[0]}) was changed{more}"


def _signed(
    seal: Json, raw: bytes, public_key: str | None, count: int
) -> tuple[list[str], list[str]]:
    key, signature = seal["key"], seal["signature"]
    if public_key is not None and key != public_key:
        return [f"line {count}: the seal is not by {public_key} but by {key or 'nobody'}"], []
    if key is None and signature is None:
        return [], ["the pack is not signed: who made it could have made any other"]
    if not verified(key, signature, raw):
        return [
            f"line {count}: the signature in the seal is not that of the key over the index"
        ], []
    told = [] if public_key else [f"signed by {key}: compare it with the key you were given"]
    return [], told


# Ed25519 (RFC 8032, 5.1.7): slow, and used once or twice.

_P, _L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
Point = tuple[int, int, int, int]  # extended coordinates X, Y, Z, T


def _add(a: Point, b: Point) -> Point:
    e = (a[1] - a[0]) * (b[1] - b[0]) % _P
    f = (a[1] + a[0]) * (b[1] + b[0]) % _P
    g, h = 2 * a[3] * b[3] * _D % _P, 2 * a[2] * b[2] % _P
    k, m, n, o = f - e, h - g, h + g, f + e
    return k * m % _P, n * o % _P, m * n % _P, k * o % _P


def _times(factor: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while factor:
        if factor & 1:
            total = _add(total, point)
        point, factor = _add(point, point), factor >> 1
    return total


def _point(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


def ed25519(key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the key signed the message."""
    base = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))
    if (len(key), len(signature)) != (32, 64) or base is None:
        return False
    a, r, s = _point(key), _point(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= _L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _L
    left, right = _times(s, base), _add(r, _times(k, a))
    return all((left[n] * right[2] - right[n] * left[2]) % _P == 0 for n in (0, 1))


def verified(key: Any, signature: Any, message: bytes) -> bool:
    """Tell whether "ed25519:<base64>" signed; base64 in any but its one form is refused."""
    try:
        prefix, _, text = key.partition(":")
        raw, signed = (base64.b64decode(one, validate=True) for one in (text, signature))
        exact = base64.b64encode(raw) + base64.b64encode(signed) == (text + signature).encode()
    except (AttributeError, TypeError, ValueError):
        return False
    return prefix == "ed25519" and exact and ed25519(raw, message, signed)
