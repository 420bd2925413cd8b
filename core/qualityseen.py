"""What was seen of a site's data in a period: the facts that core.qualityscore judges by rules.

Counts and sums only, so that who looked (store.quality) knows nothing of rules. None means that
nobody looked, never that nothing was there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from core.qualityrules import RuleId

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Boundary:
    """A midnight: when a reading within a minute of it was recorded, None where there is none."""

    at_us: int
    recorded_us: int | None


@dataclass(frozen=True, slots=True)
class PointSeen:
    """What was seen of a metering point in the period.

    `measured_us` of `elapsed_us`; `energy` and its `estimated` part without sign; `slots` that
    were computed and of them `faulty`; in `heard_hours` hours a reading came, and in so many
    quarters; None where readings were not looked at. `silences` lasted a day and more and touch
    the period, None: until now.
    """

    point: str
    measured_us: int
    elapsed_us: int
    energy: Fraction = Fraction(0)
    estimated: Fraction = Fraction(0)
    slots: int = 0
    faulty: int = 0
    heard_slots: int | None = None
    heard_hours: int | None = None
    boundaries: Sequence[Boundary] | None = None
    silences: Sequence[tuple[int, int | None]] = ()
    verified_until: date | None = None
    letters: int = 0


@dataclass(frozen=True, slots=True)
class Agreement:
    """One quantity of one figure: the sum of its days beside its month, None where unknown."""

    unit: str
    indicator: str
    quantity: str
    days: Fraction | None
    month: Fraction | None
    days_unknown: int = 0


@dataclass(frozen=True, slots=True)
class FactsSeen:
    """Production facts of a unit in the period, and how many of them a person typed."""

    unit: str
    facts: int
    by_hand: int


@dataclass(frozen=True, slots=True)
class ClockSeen:
    """An agent's clock against ours; None: it has not said."""

    agent: str
    offset_ms: float | None


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was seen of a site in a period [begin, end).

    `unchecked` says of rules why nothing was looked at; `letters` are of no point that is known.
    """

    site: str
    timezone: str
    bound_us: Span
    now_us: int
    points: Sequence[PointSeen] = ()
    agreements: Sequence[Agreement] = ()
    facts: Sequence[FactsSeen] = ()
    clocks: Sequence[ClockSeen] = ()
    letters: int = 0
    unchecked: Mapping[RuleId, str] = field(default_factory=dict)
