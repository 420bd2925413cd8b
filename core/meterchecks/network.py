"""Which meter measures what others measure too: networks of main and sub-meters, from a plant.

A point names by `fed_by` (or by `parent` in its own unit) the main meter through which its energy
flows. A main with its sub-meters is a node: one balance. Meters that hang together are a network.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import numpy as np

from core import units
from core.plant import PointKind
from core.relations import CHECK_ROLE

if TYPE_CHECKING:
    from core.exactmath import Floats
    from core.plant import Plant, Point

MOST_METERS: Final = 400  # of one network: its sums are squares of this
# A meter whose accuracy nobody declares is taken for one of class 1 with transformers of class 0.5.
UNDECLARED_ACCURACY: Final = 0.0122


@dataclass(frozen=True, slots=True)
class Meter:
    """A meter as balances see it: the sign of its energy, its accuracy, the energy of one count.

    `accuracy` is relative, of one standard uncertainty; `count_kwh` is 0 where nothing is counted.
    """

    point: str
    sign: int
    accuracy: float
    count_kwh: float


@dataclass(frozen=True, slots=True)
class Node:
    """A main meter and the sub-meters behind it, by their places in the network."""

    main: int
    subs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """Meters that hang together, and the balances between them."""

    meters: tuple[Meter, ...]
    nodes: tuple[Node, ...]

    def balances(self) -> Floats:
        """Return the matrix [node, meter] that turns energies into what no sub-meter shows."""
        matrix = np.zeros((len(self.nodes), len(self.meters)))
        for row, node in enumerate(self.nodes):
            matrix[row, node.main] = 1.0
            matrix[row, list(node.subs)] = -1.0
        return matrix

    def named(self, place: int) -> str:
        """Return the id of the point at a place."""
        return self.meters[place].point


def above(point: Point) -> str | None:
    """Return the main meter of a point: the one that feeds it, else the one of its unit."""
    return point.fed_by or point.parent


def checked_by(plant: Plant) -> dict[str, Point]:
    """Return by counter the point of role `check` that shows the same power a second time."""
    return {
        point.parent: point
        for _, point in sorted(plant.points.items())
        if point.role == CHECK_ROLE and point.parent is not None and _in_kwh(point)
    }


def networks(plant: Plant, site: str) -> list[Network]:
    """Return the networks of a site, each in the order of its points' ids."""
    flows = {
        each.id: each
        for _, each in sorted(plant.points.items())
        if each.site == site and each.role != CHECK_ROLE and _in_kwh(each)
    }
    mains: dict[str, list[str]] = {}
    for point in flows.values():
        main = above(point)
        if main in flows and flows[main].carrier == point.carrier:
            mains.setdefault(main, []).append(point.id)
    found: list[Network] = []
    left = set(mains)
    for main in sorted(mains):
        if main in left and above(flows[main]) not in mains:
            inside = _below(main, mains)
            left -= set(inside)
            found.append(_network(inside, mains, flows))
    return found


def _below(main: str, mains: dict[str, list[str]]) -> list[str]:
    """Return a main meter and all behind it, mains before their subs."""
    order, waiting = [], [main]
    while waiting:
        one = waiting.pop(0)
        order.append(one)
        waiting += mains.get(one, [])
    return order[:MOST_METERS]


def _network(inside: list[str], mains: dict[str, list[str]], flows: dict[str, Point]) -> Network:
    place = {point: number for number, point in enumerate(inside)}
    nodes = tuple(
        Node(place[main], tuple(place[sub] for sub in mains[main]))
        for main in inside
        if main in mains and all(sub in place for sub in mains[main])
    )
    return Network(tuple(meter_of(flows[point]) for point in inside), nodes)


def meter_of(point: Point) -> Meter:
    """Return what balances need to know of a point."""
    percent = point.accuracy_percent
    accuracy = UNDECLARED_ACCURACY if percent is None else float(percent) / 100
    count = Fraction(0)
    if point.kind is PointKind.COUNTER and point.energy_unit is not None:
        count = point.multipliers[-1][1] if point.multipliers else Fraction(1)
        count = units.convert(count, point.energy_unit, "kWh")
    return Meter(point.id, point.sign, accuracy, float(count))


def _in_kwh(point: Point) -> bool:
    unit = point.energy_unit
    return unit is not None and units.AMOUNTS.get(unit, units.AMOUNTS["t"]).quantity == "energy"
