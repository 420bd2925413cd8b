"""What the machine itself knows of its clock. Every answer may be None: then it cannot tell."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

_TIMEX_BYTES: Final = 512  # struct timex has 208 where longs have 64 bits; the rest is spare
_UNSYNCHRONISED: Final = 5  # TIME_ERROR of adjtimex(2)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def synchronised() -> bool | None:
    """Tell whether the kernel's clock follows a time server (chrony, systemd-timesyncd, ntpd)."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _UNSYNCHRONISED


def boot_id() -> str:
    """Return the id of the machine's present boot, nothing where it has none."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
