"""What whoever sends to an address outside has in common: when to try again, what to note. Pure."""

from __future__ import annotations

from typing import Final

_MOST_DOUBLINGS: Final = 30  # beyond, the bound holds anyway, and a float does not overflow


def back_off_s(failures: int, least_s: float, most_s: float) -> float:
    """Return how long to wait after so many failures in a row [s]: doubling between two bounds."""
    doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
    return float(min(least_s * 2.0**doublings, most_s))


def one_line(text: str, most_chars: int) -> str:
    """Return what a database and a log can keep of a text: one line, bounded."""
    joined = " ".join(text.split())
    return "".join(each if each.isprintable() else "?" for each in joined)[:most_chars]
