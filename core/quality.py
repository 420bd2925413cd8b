"""Quality of a reading: good, uncertain, bad; numbers on the wire and in store, words in JSON."""

from __future__ import annotations

from enum import IntEnum


class Quality(IntEnum):
    """How far a reading may be trusted; bad ones are kept and count as absent (design 4.6)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2

    @property
    def word(self) -> str:
        """Return the word that JSON carries."""
        return self.name.lower()


BY_WORD = {quality.word: quality for quality in Quality}
