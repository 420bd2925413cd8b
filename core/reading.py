"""Reading, the one fact that flows: point, measured_at, value, quality. Needs no numpy."""

from __future__ import annotations

from dataclasses import dataclass

from core.quality import Quality


@dataclass(frozen=True, slots=True)
class Reading:
    """What one point showed at one instant.

    `value` is an int for a counter (counts of its register) and a float for everything else;
    None only where the quality is bad. `measured_us` counts microseconds since 1970 UTC.
    """

    point: str
    measured_us: int
    value: int | float | None
    quality: Quality = Quality.GOOD
