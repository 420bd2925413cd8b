"""A progress bar on stderr, drawn only where a person watches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

WIDTH: Final = 30


class Bar:
    """A bar of `total` steps; draws at most once per percent."""

    def __init__(self, label: str, total: int, stream: TextIO | None = None) -> None:
        self._label = label
        self._total = max(total, 1)
        self._stream = sys.stderr if stream is None else stream
        self._shown = -1
        self._live = self._stream.isatty()

    def show(self, done: int) -> None:
        """Draw where `done` steps of the total are done."""
        percent = min(100, done * 100 // self._total)
        if not self._live or percent == self._shown:
            return
        self._shown = percent
        filled = "#" * (percent * WIDTH // 100)
        self._stream.write(f"\r{self._label} [{filled:<{WIDTH}}] {percent:3d} % ({done})")
        self._stream.flush()

    def close(self) -> None:
        """End the line."""
        if self._live and self._shown >= 0:
            self._stream.write("\n")
            self._stream.flush()
