"""What two figures of one period differ by: exact differences, and verdicts that are others. Pure.

Promise: an amount is subtracted only where both are known and in one unit; a limit that only one
of the two was judged by has no verdict that flipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AMOUNTS: Final = ("energy", "output", "intensity")


@dataclass(frozen=True, slots=True)
class Flip:
    """A limit on which another verdict stands than before."""

    limit: str
    force: str
    before: str
    after: str

    def item(self) -> dict[str, Any]:
        """Return the flip as JSON carries it."""
        return {"limit": self.limit, "force": self.force, "from": self.before, "to": self.after}


def flips(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[Flip]:
    """Return the limits of both with another verdict in the second, in its order."""
    old = {row["limit"]: row["verdict"] for row in before}
    return [
        Flip(row["limit"], row["force"], old[row["limit"]], row["verdict"])
        for row in after
        if old.get(row["limit"], row["verdict"]) != row["verdict"]
    ]


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return after - before of energy, output and intensity, null where it cannot be told."""
    return {key: _amount(before[key], after[key]) for key in AMOUNTS}


def _amount(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    one, other = before["value"], after["value"]
    told = one is not None and other is not None and before["unit"] == after["unit"]
    return {
        "value": decimals.show(_exact(other) - _exact(one)) if told else None,
        "unit": after["unit"],
    }


def _exact(text: str) -> Fraction:
    return Fraction(decimals.parse(text))
