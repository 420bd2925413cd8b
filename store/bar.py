"""A progress bar on stderr, drawn only where a person watches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing import TextIO

WIDTH: Final = 30


class Bar:
    """Shows how much of a long work is done; draws at most once per percent."""

    def __init__(self, label: str, stream: TextIO | None = None) -> None:
        self._label = label
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._shown = -1

    def __call__(self, done: int, total: int) -> None:
        """Draw that `done` steps of `total` are done."""
        percent = min(100, done * 100 // max(total, 1))
        if not self._live or percent == self._shown:
            return
        self._shown = percent
        filled = "#" * (percent * WIDTH // 100)
        self._stream.write(f"\r{self._label} [{filled:<{WIDTH}}] {percent:3d} %")
        self._stream.flush()

    def close(self) -> None:
        """End the line."""
        if self._live and self._shown >= 0:
            self._stream.write("\n")
            self._stream.flush()
