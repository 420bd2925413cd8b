"""Estimates that operators need between accounts: what physics says, never what the law judges.

Each is an `Estimate`, a type of its own without the members that a verdict reads, so that none can
be held against a limit by mistake. It says what it assumed, whose uncertainty is not known, and how
much of its time is covered; what cannot be told is None with the reason. Exact from the means of
gauges on, which are rounded to a millionth (core.gaugemeans).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import carriers, decimals, uncertainty
from core.batches import Holdup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.batches import Matched

MARK: Final = "estimate"
# 0.33557 g/(A h), in the trade's rounding: energy at 100 % efficiency is 2,980 kWh/t a volt.
GRAMS_PER_AMPERE_HOUR: Final = Fraction("0.3356")
_T_PER_KAH: Final = GRAMS_PER_AMPERE_HOUR / 1000
POTS: Final = "pots"
CURRENT_EFFICIENCY: Final = "current_efficiency"
RECTIFIER_EFFICIENCY: Final = "rectifier_efficiency"
# Taken where the plant declares none, and said so (domain 2.2, 3.4).
DEFAULTS: Final[Mapping[str, Fraction]] = {
    CURRENT_EFFICIENCY: Fraction("0.94"),
    RECTIFIER_EFFICIENCY: Fraction("0.98"),
}
# What lies outside is a fault of the data before it is one of the process (domain 3.5, proposals).
CURRENT_EFFICIENCY_PERCENT: Final = (Fraction(85), Fraction(97))
LEAST_FERROSILICON_KWH_PER_T: Final = Fraction(7_000)  # a base tonne of 75 % Si
LEAST_CLINKER_KJ_PER_KG: Final = Fraction(2_700)
# Below it a mass and a charge are not of the same time, and their ratio is no efficiency.
LEAST_COVERAGE: Final = Fraction(99, 100)
# A furnace holds one to three taps' metal (domain 3.4). The change between two instants of which
# nothing else is known has the standard deviation of the difference of two such even spreads.
HOLDUP_TAPS: Final = decimals.square_root(Fraction(2, 3))
IMPLAUSIBLE: Final = "implausible"
READINGS: Final = "readings"  # what is missing where all that is needed is declared
LINE_CURRENT: Final = "line_current"
CELL_VOLTAGE: Final = "cell_voltage"

# A name, and its relative standard uncertainty, None where that is not known.
Doubt = tuple[str, Fraction | None]


class Sense(StrEnum):
    """What an estimate says: about so much, or at most so much."""

    ABOUT = "about"
    AT_MOST = "at_most"


@dataclass(frozen=True, slots=True)
class Assumed:
    """A value that an estimate rests on and nobody measured, declared by the plant or our own."""

    name: str
    amount: Fraction
    declared: bool

    def item(self) -> dict[str, Any]:
        """Return it as JSON carries it."""
        return {
            "name": self.name,
            "value": decimals.show(self.amount),
            "declared": self.declared,
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimate of one period; deliberately nothing that core.verdicts could judge.

    `amount` None: unknown, `missing` says for want of what. `doubt` is U = 2 x combined standard
    uncertainty; None where `lacks` names what nobody knows the uncertainty of. `coverage` is the
    share of the period, or of its elapsed part, that the estimate rests on.
    """

    id: str
    unit: str
    amount: Fraction | None
    coverage: Fraction
    sense: Sense = Sense.ABOUT
    doubt: Fraction | None = None
    lacks: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    assumed: tuple[Assumed, ...] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def item(self) -> dict[str, Any]:
        """Return it as JSON carries it, marked as what it is."""
        return {
            "mark": MARK,
            "estimate": self.id,
            "sense": self.sense.value,
            "value": _shown(self.amount),
            "unit": self.unit,
            "uncertainty": _shown(self.doubt),
            "uncertainty_lacks": list(self.lacks),
            "missing": list(self.missing),
            "coverage": round(float(self.coverage), 6),
            "flags": list(self.flags),
            "assumed": [one.item() for one in self.assumed],
            "inputs": dict(self.inputs),
        }


@dataclass(frozen=True, slots=True)
class Cells:
    """What a potline's or a pot's instruments say of a span of time; None: not known.

    `charge_kah` is that of all running pots together, `cell_v` the mean cell voltage, weighted by
    the current where that is known. Coverages are shares of the span; doubts are those of the
    instruments; `lacking` names what is not metered or not declared.
    """

    charge_kah: Fraction | None
    cell_v: Fraction | None
    charge_coverage: Fraction
    voltage_coverage: Fraction
    current_efficiency: Assumed
    rectifier_efficiency: Assumed
    current_doubt: Doubt = ("line-current", None)
    voltage_doubt: Doubt = ("cell-voltage", None)
    lacking: tuple[str, ...] = ()

    @property
    def theory_t(self) -> Fraction | None:
        """Return the metal [t] that the charge would make at full current efficiency."""
        return None if self.charge_kah is None else metal_t(self.charge_kah, Fraction(1))

    def missing(self, *wanted: str) -> tuple[str, ...]:
        """Return what of the wanted is lacking, else that its readings are."""
        return tuple(one for one in wanted if one in self.lacking) or (READINGS,)


def assumed(name: str, declared: Fraction | None) -> Assumed:
    """Return what the plant declares of a value, else our default, and which of the two it is."""
    if declared is not None:
        return Assumed(name, declared, declared=True)
    return Assumed(name, DEFAULTS[name], declared=False)


def metal_t(charge_kah: Fraction, current_efficiency: Fraction) -> Fraction:
    """Return the metal [t] that the charge of all pots makes."""
    return _T_PER_KAH * charge_kah * current_efficiency


def dc_kwh_per_t(cell_v: Fraction, current_efficiency: Fraction) -> Fraction:
    """Return direct-current energy per tonne from the mean cell voltage [V]."""
    return cell_v / (_T_PER_KAH * current_efficiency)


def ac_kwh_per_t(
    cell_v: Fraction, current_efficiency: Fraction, rectifier_efficiency: Fraction
) -> Fraction:
    """Return alternating-current energy per tonne, rectifier losses included."""
    return dc_kwh_per_t(cell_v, current_efficiency) / rectifier_efficiency


def faraday(cells: Cells) -> list[Estimate]:
    """Return metal made, direct and alternating current per tonne, from current and voltage."""
    efficiency, rectifier = cells.current_efficiency, cells.rectifier_efficiency
    efficiency_doubt = (efficiency.name, None)
    inputs = {"charge_kah": _shown(cells.charge_kah), "cell_voltage_v": _shown(cells.cell_v)}
    theory, volts = cells.theory_t, cells.cell_v
    metal = Estimate(
        "al.faraday.metal",
        "t",
        None if theory is None else theory * efficiency.amount,
        cells.charge_coverage,
        missing=() if theory is not None else cells.missing(LINE_CURRENT, POTS),
        assumed=(efficiency,),
        inputs=inputs,
    )
    dc = Estimate(
        "al.faraday.dc",
        "kWh/t",
        None if volts is None else dc_kwh_per_t(volts, efficiency.amount),
        cells.voltage_coverage,
        missing=() if volts is not None else cells.missing(CELL_VOLTAGE, POTS),
        assumed=(efficiency,),
        inputs=inputs,
    )
    ac = replace(
        dc,
        id="al.faraday.ac",
        amount=None if volts is None else ac_kwh_per_t(volts, efficiency.amount, rectifier.amount),
        assumed=(efficiency, rectifier),
    )
    return [
        _doubted(metal, (cells.current_doubt, efficiency_doubt)),
        _doubted(dc, (cells.voltage_doubt, efficiency_doubt)),
        _doubted(ac, (cells.voltage_doubt, efficiency_doubt, (rectifier.name, None))),
    ]


def current_efficiency(
    cells: Cells, found: Matched, doubts: tuple[Doubt, Doubt], share: Fraction
) -> list[Estimate]:
    """Return the current efficiency [%] that metal and charge, and metal and energy, give.

    `cells` is of the span that the batches cover, which is `share` of the period; `doubts` are
    those of the energy and of the weighing. The two ways fail differently: a wrong weighing shows
    in both, a wrong current in the first, a wrong voltage or rectifier in the second.
    """
    energy_doubt, weighing_doubt = doubts
    weighed = [weighing_doubt, *_holdup_doubt(found, furnace=False)]
    inputs = matched_inputs(found)
    made = found.made_t if found.made_t > 0 else None
    whole = cells.charge_coverage >= LEAST_COVERAGE and found.is_whole
    theory = cells.theory_t if whole else None
    by_charge = Estimate(
        "al.current_efficiency.charge",
        "%",
        None if theory is None or made is None or theory <= 0 else 100 * made / theory,
        share,
        missing=_missing(taps=made if found.is_whole else None)
        + (cells.missing(LINE_CURRENT, POTS) if theory is None and found.is_whole else ()),
        inputs=inputs | {"charge_kah": _shown(cells.charge_kah)},
    )
    rectifier = cells.rectifier_efficiency
    intensity, volts = found.intensity, cells.cell_v
    by_energy: Fraction | None = None
    if intensity is not None and intensity > 0 and volts is not None:
        direct = intensity * rectifier.amount
        by_energy = 100 * dc_kwh_per_t(volts, Fraction(1)) / direct
    by_ac = Estimate(
        "al.current_efficiency.energy",
        "%",
        by_energy,
        min(share, cells.voltage_coverage),
        missing=_missing(taps=intensity)
        + (cells.missing(CELL_VOLTAGE, POTS) if volts is None else ()),
        assumed=(rectifier,),
        inputs=inputs | {"cell_voltage_v": _shown(cells.cell_v)},
    )
    return [
        _within(_doubted(by_charge, (cells.current_doubt, *weighed)), *CURRENT_EFFICIENCY_PERCENT),
        _within(
            _doubted(
                by_ac,
                (
                    cells.voltage_doubt,
                    energy_doubt,
                    _gap_doubt(found),
                    *weighed,
                    (rectifier.name, None),
                ),
            ),
            *CURRENT_EFFICIENCY_PERCENT,
        ),
    ]


def intensity_of(
    name: str,
    unit: str,
    found: Matched | None,
    doubts: Sequence[Doubt],
    share: Fraction,
    *,
    furnace: bool,
    least: Fraction | None = None,
) -> Estimate:
    """Return energy per tonne of batches; below `least` it is implausible.

    None in `found`: too few taps. `furnace` tells that what is held back is known to be one to
    three taps' metal, so that not knowing it better has a size.
    """
    if found is None:
        return Estimate(name, unit, None, Fraction(0), missing=("taps",))
    amount = found.intensity
    estimate = Estimate(
        name,
        unit,
        amount,
        share,
        missing=_missing(taps=amount),
        inputs=matched_inputs(found),
    )
    unsure = (*doubts, _gap_doubt(found), *_holdup_doubt(found, furnace=furnace))
    doubted = _doubted(estimate, unsure)
    return _within(doubted, least, None)


def output_at_most(
    name: str, taken: Fraction | None, least_per_t: Fraction, coverage: Fraction
) -> Estimate:
    """Return the tonnes that an amount of energy can have made at most, at the least per tonne."""
    return Estimate(
        name,
        "t",
        None if taken is None else taken / least_per_t,
        coverage,
        sense=Sense.AT_MOST,
        lacks=() if taken is None else ("least_per_t",),
        missing=_missing(energy=taken),
        inputs={"least_per_t": decimals.show(least_per_t)},
    )


def clinker_heat(
    fired_kgce: Fraction | None,
    clinker_t: Fraction | None,
    coverage: Fraction,
    relative_doubt: Fraction | None,
) -> list[Estimate]:
    """Return the heat of clinker [kJ/kg] by fuel as fired, and the clinker it allows at most.

    `relative_doubt` is the expanded uncertainty of coal equivalent per tonne, relative.
    """
    heat_kj = None if fired_kgce is None else fired_kgce * carriers.KJ_PER_KGCE
    made = clinker_t if clinker_t is not None and clinker_t > 0 else None
    amount = None if heat_kj is None or made is None else heat_kj / (made * 1000)
    doubt = None if amount is None or relative_doubt is None else amount * relative_doubt
    heat = Estimate(
        "clinker.heat",
        "kJ/kg",
        amount,
        coverage,
        doubt=doubt,
        lacks=("accuracy",) if amount is not None and doubt is None else (),
        missing=_missing(fuel=fired_kgce, clinker=made),
        inputs={"fired_kgce": _shown(fired_kgce), "clinker_t": _shown(clinker_t)},
    )
    least_kj_per_t = LEAST_CLINKER_KJ_PER_KG * 1000
    most = output_at_most("clinker.output_at_most", heat_kj, least_kj_per_t, coverage)
    return [_within(heat, LEAST_CLINKER_KJ_PER_KG, None), most]


def percent_doubt(name: str, percent: Fraction | None) -> Doubt:
    """Return a doubt from a declared accuracy in percent."""
    return name, None if percent is None else percent / 100


def _doubted(estimate: Estimate, doubts: Sequence[Doubt]) -> Estimate:
    """Return the estimate with its uncertainty, or with the names of what none is known of."""
    if estimate.amount is None:
        return estimate
    lacks = tuple(dict.fromkeys(name for name, share in doubts if share is None))
    if lacks:
        return replace(estimate, lacks=lacks)
    shares = [share for _, share in doubts if share is not None]
    return replace(estimate, doubt=uncertainty.expanded(shares) * abs(estimate.amount))


def _holdup_doubt(found: Matched, *, furnace: bool) -> list[Doubt]:
    """Return what is not known of the metal held back, relative to what was made."""
    if found.holdup is not Holdup.UNKNOWN:
        return []
    return [("holdup", HOLDUP_TAPS / found.taps if furnace and found.taps else None)]


def _gap_doubt(found: Matched) -> Doubt:
    """Return what energy booked across gaps adds, relative to all of it."""
    return "estimated", uncertainty.gap_filling(found.estimated, found.energy)


def _within(estimate: Estimate, low: Fraction | None, high: Fraction | None) -> Estimate:
    amount = estimate.amount
    if amount is None:
        return estimate
    outside = (low is not None and amount < low) or (high is not None and amount > high)
    bounds = {"least": low, "most": high}
    inputs = {**estimate.inputs, **{key: _shown(one) for key, one in bounds.items() if one}}
    return replace(estimate, flags=(IMPLAUSIBLE,) if outside else (), inputs=inputs)


def matched_inputs(found: Matched) -> dict[str, Any]:
    """Return what stands behind a figure of batches, as JSON carries it."""
    return {
        "energy": decimals.show(found.energy),
        "estimated": decimals.show(found.estimated),
        "made_t": decimals.show(found.made_t),
        "taps": found.taps,
        "left_out": found.left_out,
        "holdup": found.holdup.value,
    }


def _missing(**given: object) -> tuple[str, ...]:
    return tuple(name for name, one in given.items() if one is None)


def _shown(amount: Fraction | None) -> str | None:
    return None if amount is None else decimals.show(amount)
