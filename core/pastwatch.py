"""Data conditions over a past span, as far as slots tell of them: silence of points, whole days.

Of a silence slots tell whole quarters of an hour: it may have been up to one longer. What was never
heard of, and a day that the span does not hold whole, proves nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import rehearsal
from core.alerts import Finding
from core.clock import from_us
from core.conditions import ALWAYS, Watch
from core.periods import SLOT_US
from core.plantfile import DEFAULT_MAX_GAP_S
from core.rehearsal import FINDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from core.conditions import Condition
    from core.exactmath import Bools, Int64s
    from core.pastfindings import Calendar
    from core.rehearsal import Codes

    Figures = NDArray[Any]

# What slots can tell; of all else the store keeps the present and no history.
IN_SLOTS: Final = (Watch.POINT_SILENCE, Watch.COMPLETENESS)
_SLOT_S: Final = SLOT_US // 1_000_000
_USUAL_GAP_US: Final = DEFAULT_MAX_GAP_S * 1_000_000
_EXCEEDS: Final = rehearsal.code(Finding.EXCEEDS)


def silences(condition: Condition, measured_us: Int64s, max_gap_us: Sequence[int]) -> Codes:
    """Return the finding of each point at the end of each slot, [slot, point], by its silence.

    A point that may be quiet for long, by its `max_gap_s`, is silent when it has been for longer.
    """
    slots = np.arange(measured_us.shape[1])
    heard = np.maximum.accumulate(np.where(measured_us > 0, slots, -1), axis=1)
    silent_s = (slots - heard) * _SLOT_S
    patient_s = [0 if gap <= _USUAL_GAP_US else gap // 1_000_000 for gap in max_gap_us]
    silent_s[silent_s <= np.array(patient_s, np.int64)[:, None]] = 0
    values, places = np.unique(silent_s, return_inverse=True)
    codes = _codes(condition, [Decimal(int(value)) for value in values])[places]
    found: Codes = np.where(heard < 0, rehearsal.UNKNOWN, codes.reshape(silent_s.shape))
    return found.astype(np.int8).T


def days(condition: Condition, measured_us: Int64s, calendar: Calendar) -> Codes:
    """Return the finding of a unit at the end of each slot by its newest closed day.

    `measured_us` are the slots of its points; the day is as whole as the least of them.
    """
    found = np.full(len(calendar.at_us), rehearsal.UNKNOWN, np.int8)
    begin_us = int(calendar.at_us[0]) - SLOT_US
    for (start, end), looks in calendar.runs():
        if start < begin_us or not calendar.closed[looks].any():
            continue
        measured = int(measured_us[:, looks].sum(axis=1).min())
        # As the day's figure prints it (core.verdicts), which is what the condition watches.
        share = round(min(measured, end - start) / (end - start), 6)
        (found[looks.stop - 1 :],) = _codes(condition, [Decimal(str(share))])
    return found


def scheduled(condition: Condition, codes: Codes, at_us: Int64s, zone: str) -> Codes:
    """Return findings with those left out that lie outside the schedule: nothing is raised there.

    The same that `Condition.judge` does.
    """
    if condition.schedule == ALWAYS:
        return codes
    within: Bools = np.array([condition.schedule.holds(from_us(at), zone) for at in at_us.tolist()])
    found: Codes = np.where((codes == _EXCEEDS) & ~within[:, None], rehearsal.UNKNOWN, codes)
    return found.astype(np.int8)


def _codes(condition: Condition, values: Sequence[Decimal]) -> Codes:
    return np.array([FINDINGS.index(condition.find(value)) for value in values], np.int8)
