"""From hours of meters to the rows of their balances: intervals, what is left over, the unknowns.

An interval is as long as whole counts make it. All is in shares of the mean main meter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from core.meterchecks import evidence
from core.meterchecks.evidence import Balance, Data

if TYPE_CHECKING:
    from core.exactmath import Floats
    from core.meterchecks.network import Network

DAY_HOURS: Final = 24
HOURS_OF_INTERVAL: Final = (1, 2, 4, 8, DAY_HOURS)
# An interval is long enough when counting to whole counts adds less than this share of a main.
MOST_COUNTING: Final = 0.003

# How large the constant unknowns may be: losses and what nobody meters, as shares of the main.
LOSSES_WIDTH: Final = 0.02
UNMETERED_WIDTH: Final = 0.3
RHYTHM_WIDTH: Final = 0.03
STEADY_WIDTH: Final = 0.1  # a constant error, where only what changes is asked for
CLASS_WIDTHS: Final = 2.0  # times the declared accuracy, where a constant error is asked for
LEAST_ACCURACY: Final = 0.005


def intervals(network: Network, hourly_kwh: Floats) -> tuple[int, Floats]:
    """Return how many hours an interval has, and the energy of all intervals."""
    hours, energy = HOURS_OF_INTERVAL[0], hourly_kwh
    for hours in HOURS_OF_INTERVAL:
        energy = joined(hourly_kwh, hours)
        known = np.isfinite(energy).all(axis=1)
        if not known.any() or _counting(network, energy[known]) <= MOST_COUNTING:
            break
    return hours, energy


def joined(hourly_kwh: Floats, hours: int) -> Floats:
    """Return energies of so many hours together, NaN where one of them is not known."""
    return np.asarray(hourly_kwh.reshape(len(hourly_kwh) // hours, hours, -1).sum(axis=1))


def _counting(network: Network, energy: Floats) -> float:
    """Return what whole counts add at most to a balance, as a share of its main."""
    counts = np.array([meter.count_kwh for meter in network.meters])
    mixed = network.balances() ** 2 @ counts**2
    mains = np.abs(energy[:, [node.main for node in network.nodes]]).mean(axis=0)
    # Both ends of an interval are cut to whole counts: a uniform error of one count each.
    return float((np.sqrt(mixed / 6) / np.maximum(mains, 1e-9)).max())


def data_of(network: Network, energy: Floats, hours: int, days: int, *, steady: bool) -> Data:
    """Return balances in shares of the mean main: meters, what nobody meters, rhythms, losses."""
    matrix = network.balances()
    main = [node.main for node in network.nodes]
    mains = np.nanmean(np.abs(energy[:, main]), axis=0)
    scale = float(mains.mean()) or 1.0
    energy, mains = energy / scale, np.maximum(mains / scale, 1e-9)
    nodes, meters, rows = len(main), len(network.meters), len(energy)
    angle = 2 * np.pi * hours * np.arange(rows) / DAY_HOURS
    rhythm = [
        wave(angle * times)
        for times in (1, 2)
        for wave in (np.sin, np.cos)
        if hours * times * 2 < DAY_HOURS
    ]
    day = np.arange(rows) * hours // DAY_HOURS
    # A balance is the sum of its meters' readings, so these would explain anything. A main meter
    # stands for what its sub-meters show together; then only what does not fit is left over.
    signs = energy.copy()
    for node, each in reversed([*enumerate(network.nodes)]):
        signs[:, main[node]] = signs[:, list(each.subs)].sum(axis=1)
    # Losses grow with the square of a load, and a meter's error towards low load.
    through = signs[:, main]
    square = through * (np.abs(through) / mains - 1)
    high = np.maximum(np.nanmax(np.abs(signs), axis=0), 1e-12)
    bent = signs * (1 - np.abs(signs) / high)
    balances = []
    for node in range(nodes):
        own = np.flatnonzero(matrix[node])
        waves = [mains[node] * wave for wave in (np.ones(rows), *rhythm)]
        columns = [signs[:, own] * matrix[node, own], *(wave[:, None] for wave in waves)]
        columns += [through[:, [node]], square[:, [node]], bent[:, own] * matrix[node, own]]
        kinds = len(waves) + 2
        places = [own, meters + node + nodes * np.arange(kinds), meters + nodes * kinds + own]
        floor = float(mains[node]) * evidence.LEAST_NOISE
        left = energy[:, own] @ matrix[node, own]
        balances.append(Balance(day, left, np.hstack(columns), np.concatenate(places), floor))
    accuracy = np.array([meter.accuracy for meter in network.meters])
    classes = np.maximum(accuracy * CLASS_WIDTHS, LEAST_ACCURACY)
    by_node = [UNMETERED_WIDTH, *[RHYTHM_WIDTH] * len(rhythm), LOSSES_WIDTH, LOSSES_WIDTH]
    errors = np.full(meters, STEADY_WIDTH) if steady else classes
    width = np.concatenate([errors, *(np.full(nodes, one) for one in by_node), accuracy])
    return Data(tuple(balances), days, width, meters + nodes)
