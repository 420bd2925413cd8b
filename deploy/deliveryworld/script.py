"""What happens in the plant of a schedule: units that exceed and are within again, all from a seed.

Promise: what is seen at an instant depends on the seed and the instant alone, so that whoever looks
again after a kill sees the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from core import plant as plants
from core.alerts import Rule
from core.clock import to_us
from core.limits import Force
from core.periods import Period
from ingest.alerting import Computed

if TYPE_CHECKING:
    from random import Random

    from core.alerts import Rules
    from core.plant import Plant

LENGTH_S: Final = 600.0  # of the misfortune; the last exceedance ends somewhat later
SETTLE_S: Final = 90.0  # until an alert is over after its last exceedance
MOST_UNITS: Final = 6
INDICATOR: Final = "al.liquid.ac"
TARGET: Final = "cn-qh.al.liquid.ac.target-2020"
LAW: Final = "cn.al.liquid.ac.gb21346-2022.level-3"
_FORCES: Final = {TARGET: "target", LAW: "mandatory"}
_CLOSED: Final = datetime(2026, 1, 31, 16, tzinfo=UTC)  # February of the plant
_RUNNING: Final = datetime(2026, 2, 28, 16, tzinfo=UTC)
_SITE: Final = """
[site.dw]
name = { zh = "演练厂", en = "Drill" }
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"
"""
_UNIT: Final = """
[site.dw.unit.potline-{number}]
name = {{ zh = "电解系列", en = "Potline" }}
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
"""


def rules() -> Rules:
    """Return rules under which an alert lives for minutes, grave ones and little ones."""
    hold, keep = timedelta(seconds=15), timedelta(seconds=25)
    return {
        (Force.TARGET, Period.MONTH): Rule(hold, keep, 1, 1),
        (Force.MANDATORY, Period.MONTH): Rule(hold, keep, 2, 3),
    }


@dataclass(frozen=True, slots=True)
class Episode:
    """One unit over one limit: from, until, and when a closed month is found over it."""

    unit: str
    limit: str
    begin_s: float
    end_s: float
    found_s: float | None

    def seen(self, at_s: float) -> list[Computed]:
        """Return what is computed of the unit and limit at an instant."""
        over = self.begin_s <= at_s < self.end_s
        found = [self._computed(_RUNNING, over=over, closed=False)]
        if self.found_s is not None and at_s >= self.found_s:
            found.append(self._computed(_CLOSED, over=at_s < self.end_s, closed=True))
        return found

    def _computed(self, start: datetime, *, over: bool, closed: bool) -> Computed:
        verdict = {
            "limit": self.limit,
            "force": _FORCES[self.limit],
            "level": None,
            "cmp": "<=",
            "limit_value": "12750",
            "verdict": "exceeds" if over else "within",
            "lapsed": False,
        }
        figures: dict[str, Any] = {
            "intensity": {"value": "13179.5", "unit": "kWh/t", "uncertainty": "106.2"},
            "completeness": 0.99,
            "verdicts": [verdict],
        }
        return Computed(
            INDICATOR, Period.MONTH, to_us(start), closed, changed=True, figures=figures
        )


@dataclass(frozen=True, slots=True)
class Script:
    """A plant and everything that is found in it."""

    plant: Plant
    episodes: tuple[Episode, ...]

    @property
    def end_s(self) -> float:
        """Return when the last exceedance is over."""
        return max(each.end_s for each in self.episodes)


def draw(draws: Random, most_units: int = MOST_UNITS) -> Script:
    """Return a plant of some units and what happens in it."""
    units = [f"dw.potline-{number}" for number in range(1, draws.randint(1, most_units) + 1)]
    text = _SITE + "".join(_UNIT.format(number=n) for n in range(1, len(units) + 1))
    return Script(
        plants.parse(text, "plant.toml"),
        tuple(_episode(draws, unit, limit) for unit in units for limit in _FORCES),
    )


def _episode(draws: Random, unit: str, limit: str) -> Episode:
    begin_s = draws.uniform(0.0, LENGTH_S / 2)
    end_s = begin_s + draws.uniform(60.0, LENGTH_S)
    found_s = draws.uniform(begin_s, end_s)
    return Episode(unit, limit, begin_s, end_s, draws.choice((None, found_s)))
