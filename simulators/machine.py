"""What every simulated process unit answers, whichever it is: amounts, instruments, output.

A machine is a function of seed, design and instant alone. Its counted signals are integrals in
thousandths of the point's unit an hour (watts for kWh, grams an hour for kg), so one divisor turns
all of them into counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

PER_UNIT_US: Final = 3_600_000_000_000
"""Thousandths-per-hour microseconds in one unit: W us in a kWh, g/h us in a kg."""
DAY_MINUTES: Final = 24 * 60
WEIGHER_ERROR: Final = 0.002
"""A ladle weigher is good to this share of what it weighs."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a unit gave: when it was weighed, its mass [t], grades as mass fractions.

    `label` and `number` name it for ever.
    """

    label: str
    number: int
    at_us: int
    mass_t: Decimal
    kind: str = "tapping"
    grades: Mapping[str, str] = field(default_factory=dict)


class Machine(Protocol):
    """A process unit in motion; `COUNTED` names its counted signals and their unit (kWh, kg)."""

    COUNTED: ClassVar[Mapping[str, str]]
    seed: int

    def counted(self, signal: str, at_us: int) -> int:
        """Return the integral since BEGIN_US of a counted signal [thousandths/h x us], exactly."""

    def shown(self, signal: str, at_us: int) -> float:
        """Return what the instrument of any other signal shows."""

    def outputs(self, from_us: int, until_us: int) -> list[Output]:
        """Return what was weighed in [from, until), sorted by time."""


@runtime_checkable
class Holder(Protocol):
    """A machine that takes stock of what it holds; `HELD` names the stream of these facts."""

    HELD: ClassVar[str]
    HOLDS_FROM_US: ClassVar[int]

    def held_t(self, at_us: int) -> Decimal:
        """Return what it holds at an instant from HOLDS_FROM_US on [t]."""
