"""Flags that a figure carries: what happened in its span. Bits in the store, words in JSON."""

from __future__ import annotations

from enum import IntFlag


class Flag(IntFlag):
    """What a person must know beside a figure (design 4.6, domain 3.1)."""

    ROLLOVER = 1
    RESET = 2
    EXCHANGE = 4
    GAP = 8
    IMPLAUSIBLE = 16
    SPIKE = 32
    CONFIRMED = 64
    UNCERTAIN = 128
    MULTIPLIER_UNKNOWN = 256
    MULTIPLIER_CHANGED = 512
    ESTIMATED = 1024
    UNCERTAINTY_UNDECLARED = 2048
    STOCK_NOT_TAKEN = 4096
    GRADE_MISSING = 8192
    FACTOR_UNKNOWN = 16384
    CARRIER_UNMETERED = 32768
    FACTS_MISSING = 65536
    UNIT_UNFIT = 131072
    BASE_MISSING = 262144


def words(flags: int) -> list[str]:
    """Return the words of the set bits, in the order of their bits."""
    bits = int(flags)
    return [word for bit, word in _WORDS if bits & bit]


# Every figure's flags are told: plain integers are twenty times as quick as members.
_WORDS = tuple((flag.value, str(flag.name).lower()) for flag in Flag)
