"""Physics of the Hall-Heroult cell, as far as energy per tonne needs it (pure).

Magnitudes and test vectors: GB 21346-2022 practice. A pot makes 0.3356 g of aluminium per ampere
hour at full current efficiency; what it takes is its mean voltage, and rectifier losses.
"""

from __future__ import annotations

from typing import Final

FARADAY_G_PER_AH: Final = 0.3356
_KG_PER_KAH: Final = FARADAY_G_PER_AH
_HOURS_PER_DAY: Final = 24


def metal_t(line_current_ka: float, hours: float, pots: int, current_efficiency: float) -> float:
    """Return the aluminium a line makes [t] from its current [kA], time [h] and pots."""
    return _KG_PER_KAH * line_current_ka * hours * pots * current_efficiency / 1000


def dc_kwh_per_t(mean_voltage_v: float, current_efficiency: float) -> float:
    """Return direct-current electricity [kWh/t] from the mean cell voltage [V]."""
    return mean_voltage_v / (FARADAY_G_PER_AH / 1000 * current_efficiency)


def ac_kwh_per_t(
    mean_voltage_v: float, current_efficiency: float, rectifier_efficiency: float
) -> float:
    """Return alternating-current electricity [kWh/t], rectifier losses included."""
    return dc_kwh_per_t(mean_voltage_v, current_efficiency) / rectifier_efficiency


def mean_voltage_v(
    ac_kwh_per_tonne: float, current_efficiency: float, rectifier_efficiency: float
) -> float:
    """Return the mean cell voltage [V] at which a line takes this much electricity per tonne."""
    return ac_kwh_per_tonne * rectifier_efficiency * current_efficiency * FARADAY_G_PER_AH / 1000


def anode_effect_voltage_v(per_pot_day: float, mean_minutes: float, mean_extra_v: float) -> float:
    """Return what anode effects add to the mean cell voltage [V]."""
    return per_pot_day * mean_minutes * mean_extra_v / (_HOURS_PER_DAY * 60)
