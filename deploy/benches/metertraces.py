"""A plant of many meters with known truth: loads that live, meters with the errors meters have.

A gate, feeders behind it, meters behind each feeder. Loads: furnaces that dip, trip and tap, drives
that start and stop, a potline that is flat, auxiliaries with day and night. Meters: a constant
error within their class, one that grows at low load, whole counts, readings some seconds off. On
each main lie losses and small loads that nobody meters. Everything follows from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from core import plant
from core.meterchecks.judging import Seen
from core.meterchecks.network import Meter, Network, Node

if TYPE_CHECKING:
    from numpy.random import Generator

    from core.exactmath import Floats
    from core.plant import Plant

ACCURACY: Final = 0.0035  # meter 0.2S, current transformer 0.2S, voltage transformer 0.2
LOSSES: Final = 0.006  # of a main at its mean load
UNMETERED: Final = 0.005
EDGE_SECONDS: Final = 2.0  # how far a reading lies from the full hour
SPREAD: Final = 0.5  # of the logarithm of the loads
FINENESS: Final = 3.0  # decades of a count below the mean hour
KINDS: Final = ("furnace",) * 4 + ("drive",) * 3 + ("auxiliary",) * 2 + ("flat",)

SITE: Final = """[site.s]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "车间", en = "Works" }
kind = "works"
"""
POINT: Final = """[site.s.unit.u.point.{name}]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
multiplier = [{{ from = 2020-01-01T00:00:00Z, value = "{count}" }}]
{fed_by}
"""


@dataclass(frozen=True, slots=True)
class Trace:
    """Hours of a plant [hour, meter] as its meters show them, and as they truly were."""

    network: Network
    shown_kwh: Floats
    true_kwh: Floats

    def scaled(self, meter: int, since: int, factor: float) -> Trace:
        """Return the trace with a meter that shows a factor too much from an hour on."""
        return self._with(meter, np.where(np.arange(len(self.shown_kwh)) >= since, factor, 1.0))

    def drifting(self, meter: int, since: int, error: float, *, slowly: bool) -> Trace:
        """Return the trace with an error from an hour on, at once or growing until the end."""
        hours = len(self.shown_kwh)
        grown = np.clip((np.arange(hours) - since) / (hours - since), 0.0, 1.0)
        share = grown if slowly else (grown > 0).astype(np.float64)
        return self._with(meter, 1 + error * share)

    def _with(self, meter: int, factor: Floats) -> Trace:
        shown = self.shown_kwh.copy()
        shown[:, meter] = shown[:, meter] * factor
        count = self.network.meters[meter].count_kwh
        if count:
            total = np.floor(np.cumsum(shown[:, meter]) / count) * count
            shown[:, meter] = np.diff(total, prepend=0.0)
        return replace(self, shown_kwh=shown)


def trace(
    seed: int, *, days: int = 60, feeders: int = 5, meters: int = 40, spread: float = SPREAD
) -> Trace:
    """Return a plant with so many meters, the gate and the feeders among them."""
    random = np.random.default_rng(seed)
    leaves = meters - feeders - 1
    hours = days * 24
    behind = np.sort(
        np.concatenate([np.arange(feeders), random.integers(0, feeders, leaves - feeders)])
    )
    true = np.zeros((hours, meters))
    for leaf in range(leaves):
        mean_kw = 3_000.0 * float(np.exp(random.normal(0.0, spread)))
        true[:, 1 + feeders + leaf] = mean_kw * load(random, str(random.choice(KINDS)), hours)
    nodes = []
    for feeder in range(feeders):
        subs = tuple(1 + feeders + int(leaf) for leaf in np.flatnonzero(behind == feeder))
        true[:, 1 + feeder] = _above(random, true[:, list(subs)].sum(axis=1))
        nodes.append(Node(1 + feeder, subs))
    nodes.insert(0, Node(0, tuple(range(1, 1 + feeders))))
    true[:, 0] = _above(random, true[:, 1 : 1 + feeders].sum(axis=1))
    counts = 10.0 ** np.floor(np.log10(true.mean(axis=0)) - FINENESS)
    shown = np.column_stack([_shown(random, true[:, m], counts[m]) for m in range(meters)])
    named = tuple(Meter(name(m), 1, ACCURACY, float(counts[m])) for m in range(meters))
    return Trace(Network(named, tuple(nodes)), shown, true)


def name(meter: int) -> str:
    """Return the id of a meter within its unit."""
    return f"m-{meter:02d}"


def load(random: Generator, kind: str, hours: int) -> Floats:
    """Return the load of a kind per hour, as a share of its mean when it runs."""
    if kind == "flat":
        level = 1 + _wander(random, hours, 0.01, 48)
        return np.asarray(level * _running(random, hours, 0.0015, (1, 3), 0.3))
    if kind == "furnace":
        level = 1 + _wander(random, hours, 0.05, 12) + random.normal(0, 0.04, hours)
        return np.asarray(np.maximum(level, 0.2) * _running(random, hours, 0.02, (1, 8), 0.0))
    if kind == "drive":
        level = 0.8 + 0.2 * random.random(hours)
        return np.asarray(level * _running(random, hours, 0.08, (1, 16), 0.0))
    hour = np.arange(hours) % 24
    day = 1 + 0.25 * np.sin((hour - 8) / 24 * 2 * np.pi)
    return np.asarray(np.maximum(day + _wander(random, hours, 0.08, 24), 0.1))


def _wander(random: Generator, hours: int, size: float, memory: int) -> Floats:
    """Return a wandering value of this standard deviation that forgets within so many hours."""
    kept = np.exp(-1 / memory)
    steps = random.normal(0, size * np.sqrt(1 - kept**2), hours)
    value, found = float(random.normal(0, size)), np.empty(hours)
    for hour in range(hours):
        value = kept * value + steps[hour]
        found[hour] = value
    return found


def _running(
    random: Generator, hours: int, rate: float, lasting: tuple[int, int], rest: float
) -> Floats:
    """Return 1 where a load runs; it stops at this rate an hour, and lasts so long."""
    share = np.ones(hours)
    for start in np.flatnonzero(random.random(hours) < rate).tolist():
        share[start : start + int(random.integers(*lasting))] = rest
    return share


def _above(random: Generator, subs_kw: Floats) -> Floats:
    """Return what a main sees: its subs, losses that grow with the square, what nobody meters."""
    mean = float(subs_kw.mean())
    hours = len(subs_kw)
    day = 1 + 0.3 * np.sin((np.arange(hours) % 24 - 18) / 24 * 2 * np.pi)
    other = UNMETERED * mean * random.uniform(0.3, 1.0) * (day + _wander(random, hours, 0.15, 36))
    return np.asarray(subs_kw + LOSSES * subs_kw**2 / mean + np.maximum(other, 0.0))


def _shown(random: Generator, true_kwh: Floats, count_kwh: float) -> Floats:
    most = float(true_kwh.max())
    error = random.normal(0, ACCURACY) + random.normal(0, ACCURACY / 2) * (1 - true_kwh / most) ** 2
    level = np.concatenate([[random.uniform(0, count_kwh)], true_kwh * (1 + error)]).cumsum()
    power = np.concatenate([true_kwh[:1], true_kwh])
    level = level + power * random.normal(0, EDGE_SECONDS / 3600, len(level))
    return np.asarray(np.diff(np.floor(np.maximum.accumulate(level) / count_kwh) * count_kwh))


def plant_of(network: Network) -> Plant:
    """Return the plant file's plant that declares a network's meters, each fed by its main."""
    above = {sub: node.main for node in network.nodes for sub in node.subs}
    points = [
        POINT.format(
            name=meter.point,
            count=f"{meter.count_kwh:f}",
            fed_by=f'fed_by = "{network.named(above[place])}"' if place in above else "",
        )
        for place, meter in enumerate(network.meters)
    ]
    return plant.parse(SITE + "".join(points), "traces.toml")


def seen_of(given: Trace, from_us: int) -> Seen:
    """Return what the checks see of a trace, as the store would have read it."""
    hourly = {
        f"s.u.{meter.point}": given.shown_kwh[:, place].copy()
        for place, meter in enumerate(given.network.meters)
    }
    return Seen(plant_of(given.network), "s", from_us, len(given.shown_kwh), hourly)
