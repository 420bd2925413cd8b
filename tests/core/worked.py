"""One unit, one month, one figure: declared, metered and told by facts, by the real functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from core import byfacts, evidence, facts, indicators, intensity, plant
from core.byfacts import Told
from core.clock import to_us
from core.intensity import PeriodEnergy
from tests.core.factbook import answers, fact

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.intensity import Intensity
    from core.output import OutputFact

START = datetime(2026, 9, 30, 16, tzinfo=UTC)  # 2026-10-01 in the plant
END = datetime(2026, 10, 31, 16, tzinfo=UTC)
MIDDLE = datetime(2026, 10, 15, 16, tzinfo=UTC)
ZONE = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class Meter:
    """A counter or gauge and what it booked in the month; None: nothing is known."""

    carrier: str
    unit: str
    amount: str | None
    role: str = "process"
    sign: int = 1
    kind: str = "counter"
    more: str = ""

    def declared(self, key: str) -> str:
        """Return the point as a plant file says it."""
        return (
            f'[site.s.unit.u.point.{key}]\nkind = "{self.kind}"\ncarrier = "{self.carrier}"\n'
            f'unit = "{self.unit}"\nrole = "{self.role}"\nsign = {self.sign}\n{self.more}\n'
        )


def figure(
    indicator: str,
    meters: Sequence[Meter],
    booked: Sequence[OutputFact],
    unit: str = "",
    bounds: tuple[datetime, datetime] = (START, END),
) -> tuple[Intensity, dict[str, Any]]:
    """Return the figure of an indicator and its inputs; amounts spread evenly over the period."""
    text = (
        '[site.s]\nname = { zh = "厂", en = "Site" }\njurisdiction = "cn-qh"\n[site.s.unit.u]\n'
        f'name = {{ zh = "炉", en = "Unit" }}\nkind = "works"\nindicators = ["{indicator}"]\n'
        f"{unit}\n"
    )
    text += "".join(meter.declared(f"m-{n}") for n, meter in enumerate(meters))
    declared = plant.parse(text, "worked.toml", indicators.computing())
    definition, own = indicators.find(indicator), declared.units["s.u"]
    scope = facts.Scope("s.u", definition.product, to_us(bounds[0]), to_us(bounds[1]), ZONE)
    points = declared.counted("s.u", definition.counts)
    told = Told(scope, answers(byfacts.questions(own, definition, points, scope), booked))
    whole = scope.end_us - scope.begin_us
    energies = []
    for point in points:
        meter = meters[int(point.id.rpartition("-")[2])]
        parts = []
        cut = intensity.spans(definition, point, scope.begin_us, scope.end_us, told.measured(point))
        for begin, end in cut:
            share = Fraction(end - begin, whole)
            e6 = None if meter.amount is None else Fraction(meter.amount) * share * 1_000_000
            assert e6 is None or e6.denominator == 1, "choose an amount that divides"
            parts.append(
                PeriodEnergy(begin, end, None if e6 is None else int(e6), 0, end - begin, 0)
            )
        energies.append((point, parts))
    output = told.answers.get(definition.output_span(scope))
    found = intensity.combine(own, definition, energies, output, scope.end_us, told)
    return found, evidence.inputs(definition, energies, output, found, told)


def stock(at: datetime, amount: str, stream: str) -> OutputFact:
    """Return a stock-taking."""
    return fact(at, "stock", amount, stream)
