"""Passwords: what is taken for one, and Argon2id by a few threads that cannot eat the machine.

Promise: a check takes as long for a name that nobody has as for one that somebody has; at most
MOST_AT_ONCE run, MOST_WAITING wait, and whoever comes after is told to come again.
"""

import asyncio
import unicodedata
from itertools import pairwise
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from core.errors import Rejected, Retryable

LEAST_CHARS: Final = 12
MOST_CHARS: Final = 256
LEAST_DIFFERENT: Final = 6  # of its characters: `aaaaaaaaaaaa` is long and no password
MOST_NAME_CHARS: Final = 64
# RFC 9106, second recommended option: 64 MiB, three passes, four lanes; about 0.1 s of two cores.
TIME_COST: Final = 3
MEMORY_KIB: Final = 65_536
LANES: Final = 4
MOST_AT_ONCE: Final = 2  # 128 MiB together
MOST_WAITING: Final = 30  # about three seconds of work
_NAME_MARKS: Final = frozenset("._-")


def normal_name(text: str) -> str:
    """Return a name of an account as it is kept: composed, small letters, no blanks around."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


def check_name(text: str) -> str:
    """Return the normal form of a new name; raises Rejected with one sentence.

    `@` is kept for people of identity providers, so that nobody can pass for one of them.
    """
    name = normal_name(text)
    if not 0 < len(name) <= MOST_NAME_CHARS:
        raise Rejected(f"a name has 1 to {MOST_NAME_CHARS} characters")
    if any(not (letter.isalnum() or letter in _NAME_MARKS) for letter in name):
        raise Rejected(f"{text!r} is no name: use letters, digits, points and hyphens")
    return name


def check_new(password: str, name: str) -> None:
    """Raise Rejected where a new password is too weak: short, repetitive, or made of the name."""
    if not LEAST_CHARS <= len(password) <= MOST_CHARS:
        raise Rejected(f"a password has {LEAST_CHARS} to {MOST_CHARS} characters")
    if not password.isprintable():
        raise Rejected("a password has no control characters")
    folded = unicodedata.normalize("NFKC", password).casefold()
    if len(set(folded)) < LEAST_DIFFERENT:
        raise Rejected(f"a password has at least {LEAST_DIFFERENT} different characters")
    steps = {ord(after) - ord(before) for before, after in pairwise(folded)}
    if len(steps) == 1:
        raise Rejected("a password is not a row of neighbours, as 123456789012 is")
    for word in (normal_name(name), "danhao", "password"):
        if word and len(folded.replace(word, "")) < LEAST_CHARS // 2:
            raise Rejected(f"the password is little more than {word!r}: choose another")


class Passwords:
    """Hashes and verifies, a few at a time; one per process."""

    def __init__(self, *, time_cost: int = TIME_COST, memory_kib: int = MEMORY_KIB) -> None:
        self._hasher = PasswordHasher(
            time_cost=time_cost, memory_cost=memory_kib, parallelism=LANES
        )
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._asking = 0
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """Return what is kept of a password."""
        async with _Turn(self):
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def matches(self, kept: str | None, password: str) -> bool:
        """Tell whether a password is the kept one; None, for nobody's, takes as long and is not.

        Raises Retryable where too many wait.
        """
        async with _Turn(self):
            if kept is None:
                kept = await self._of_nobody()
                await asyncio.to_thread(self._verify, kept, password)
                return False
            return await asyncio.to_thread(self._verify, kept, password)

    def is_old(self, kept: str) -> bool:
        """Tell whether a kept hash was made with other costs than today's."""
        try:
            return self._hasher.check_needs_rehash(kept)
        except InvalidHashError:
            return False

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, _bytes(password))
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False

    async def _of_nobody(self) -> str:
        if self._nobodys is None:
            self._nobodys = await asyncio.to_thread(self._hasher.hash, b"nobody")
        return self._nobodys

    async def take(self) -> None:
        """Wait for a slot; raises Retryable where too many wait already."""
        if self._asking >= MOST_AT_ONCE + MOST_WAITING:
            raise Retryable("too many people sign in at this moment")
        self._asking += 1
        try:
            await self._slots.acquire()
        except BaseException:
            self._asking -= 1
            raise

    def give(self) -> None:
        """Give the slot back."""
        self._asking -= 1
        self._slots.release()


class _Turn:
    """One slot, given back at the end."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def __aenter__(self) -> None:
        await self._passwords.take()

    async def __aexit__(self, *_error: object) -> None:
        self._passwords.give()


def _bytes(password: str) -> bytes:
    """Return the bytes that are hashed: composed, so that every keyboard types the same."""
    return unicodedata.normalize("NFKC", password).encode()
