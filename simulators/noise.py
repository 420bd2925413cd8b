"""Seeded noise with random access: seed, stream and index alone decide the number.

No state and no order of calls: what a process shows never depends on who asked before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN: Final = 0x9E3779B97F4A7C15
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_WORD: Final = 2**64
_UNIT: Final = 2.0**-53


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit words as splitmix64 does (Steele, Lea, Flood 2014)."""
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    return words ^ (words >> np.uint64(31))


def uniform(seed: int, stream: int, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each index of a stream."""
    key = np.array([(seed * _GOLDEN + (stream + 1) * 0xD1342543DE82EF95) % _WORD], np.uint64)
    words = _mix(_mix(key) + index.astype(np.uint64) * np.uint64(_GOLDEN))
    return (words >> np.uint64(11)).astype(np.float64) * _UNIT


def one(seed: int, stream: int, index: int) -> float:
    """Return the number in [0, 1) of a single index."""
    return float(uniform(seed, stream, np.array([index], np.int64))[0])


def smooth(seed: int, stream: int, index: NDArray[np.int64], every: int) -> NDArray[np.float64]:
    """Return a curve in [-1, 1] that passes through a random knot at each `every` indices."""
    knot, rest = np.divmod(index, every)
    fraction = rest / every
    ease = fraction * fraction * (3.0 - 2.0 * fraction)
    before = uniform(seed, stream, knot)
    after = uniform(seed, stream, knot + 1)
    return 2.0 * (before + (after - before) * ease) - 1.0
