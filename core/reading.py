"""Reading, the one fact that flows: point, measured_at, value, quality. Needs no numpy."""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from core.quality import Quality

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Reading(NamedTuple):
    """What one point showed at one instant.

    `value` is an int for a counter (counts of its register) and a float for everything else;
    None only where the quality is bad. `measured_us` counts microseconds since 1970 UTC. A tuple,
    since an agent makes thousands a second: it costs a third of a frozen dataclass.
    """

    point: str
    measured_us: int
    value: int | float | None
    quality: Quality = Quality.GOOD


def at_once(
    points: Sequence[str], measured_us: int, values: Sequence[int | float | None]
) -> Iterable[Reading]:
    """Return what several points showed at one instant; bad where there is no value.

    The same as a Reading for each, without a call of Python for each.
    """
    qualities: Iterable[Quality] = _ALL_GOOD
    if None in values:
        qualities = [_BAD if value is None else _GOOD for value in values]
    return map(_made, zip(points, repeat(measured_us), values, qualities, strict=False))


_GOOD, _BAD = Quality.GOOD, Quality.BAD  # looking up a member costs more than making a tuple
_ALL_GOOD = repeat(_GOOD)
_made = partial(tuple.__new__, Reading)
