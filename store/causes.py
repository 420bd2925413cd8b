"""Why a closed figure changed: what was recorded since the version before it was known.

A cause is a JSON object: `kinds` names what there was (a closed list), and beside it stand the
references: which points had late readings, which facts, which declaration, recorded when. It is
looked for only when a closed figure has changed, and only where slots have; or when somebody asks
what came between two instants.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core import flags
from core import plant as plants
from core.clock import from_us
from core.flags import Flag
from store import basis as bases
from store import recorded
from store.recorded import Ask, Pair

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.plant import Plant
    from store.basis import Basis

PERIOD_END: Final = "period_end"  # the first version of a period: it has ended
LATE_READINGS: Final = "late_readings"
FACTS: Final = "facts"  # production facts that came late, or were corrected
DECLARATION: Final = "declaration"
STEPS: Final = "confirmed_steps"
CATALOGUE: Final = "catalogue"
RECOMPUTE: Final = "recompute"  # a stored figure was wrong and was put right
UNEXPLAINED: Final = "unexplained"
PERIOD_OPEN: Final = (
    "period_open"  # between two instants only: the period had not ended, it went on
)
KINDS: Final = (
    PERIOD_END, LATE_READINGS, FACTS, DECLARATION, STEPS, CATALOGUE, RECOMPUTE, UNEXPLAINED,
)  # fmt: skip
MOST_REFERENCES: Final = 100  # of a kind in one cause: a person reads them; `more` counts the rest
# A reading is known to a figure once its slot is computed: seconds after its commit, or, behind a
# backlog, much later. Each longer look is for what the shorter one does not explain.
LAG: Final = timedelta(seconds=10)
LONG_LAG: Final = timedelta(hours=1)
NONE: Final = timedelta(0)

Cause = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that is not what it was, and what that rested on.

    `known_from` is since when it was known as it was; `until` None: to what is stored now. One
    whose period had not ended then has changed by going on, too.
    """

    unit: str
    start_us: int
    end_us: int
    known_from: datetime
    declaration: int | None
    catalogue: str | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    until: datetime | None = None

    @property
    def was_open(self) -> bool:
        """Tell whether the period had not ended when the figure was known as it was."""
        return self.until is not None and from_us(self.end_us) > self.known_from

    def moved_points(self) -> frozenset[str]:
        """Return the points that gave something else than before.

        All, where something else is said of energy that neither an amount nor a fact explains.
        """
        old, new = (_points(figures) for figures in (self.before, self.after))
        moved = {
            point
            for point in old.keys() | new.keys()
            if _gave(old.get(point)) != _gave(new.get(point))
        }
        if not moved and not self.moved_facts() and _said(self.before) != _said(self.after):
            return frozenset(old.keys() | new.keys())
        return frozenset(moved)

    def moved_facts(self) -> bool:
        """Tell whether what facts gave differs from before: the output, or any other input."""
        return _of_facts(self.before) != _of_facts(self.after)

    def ask(self, row: int, point: int, lag: timedelta = NONE) -> Ask:
        """Return the question for what was recorded since of a point (0: of the unit's facts).

        Late is only what was measured, or happened, before the figure was known.
        """
        begin, end = from_us(self.start_us), from_us(self.end_us)
        if self.was_open:
            end = max(begin, self.known_from)
        return Ask(row, point, begin, end, self.known_from - lag, self.until)


# What slots say; the other flags come from facts and from what is declared.
_OF_SLOTS: Final = frozenset(flags.words(2 * Flag.ESTIMATED - 1))
_OF_READINGS: Final = frozenset({"energy", "measured_us"})  # what readings decide of an input


def _said(figures: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a figure says of its energy as a whole."""
    of_slots = _OF_SLOTS.intersection(figures.get("flags", ()))
    return figures.get("energy"), figures.get("completeness"), of_slots


def _gave(point: Mapping[str, Any] | None) -> tuple[Any, ...] | None:
    """Return what the readings of a point gave."""
    return None if point is None else tuple(point.get(key) for key in sorted(_OF_READINGS))


def _of_facts(figures: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return all that did not come from readings alone: heating values are facts, too."""
    inputs = {key: value for key, value in figures.get("inputs", {}).items() if key != "points"}
    points = {
        point: {key: value for key, value in item.items() if key not in _OF_READINGS}
        for point, item in _points(figures).items()
    }
    return figures.get("output"), inputs, points


def _points(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    points: Mapping[str, Any] = figures.get("inputs", {}).get("points", {})
    return points


def first() -> Cause:
    """Return the cause of a period's first version."""
    return {"kinds": [PERIOD_END]}


def by_recompute() -> Cause:
    """Return the cause of a version that `danhao recompute --write` made."""
    return {"kinds": [RECOMPUTE]}


async def find(
    connection: AsyncConnection[Any], changes: Sequence[Change], basis: Basis
) -> list[Cause]:
    """Return the cause of each change of a closed figure that was just computed."""
    search = await _Search.begin(connection, changes, basis)
    pairs, produced = search.pairs, search.produced
    for lag in (NONE, LAG):
        await search.readings(search.untold(pairs), lag)
        await search.neighbours(search.untold(pairs), lag)
    await search.steps(pairs, NONE)
    await search.facts(produced, NONE)
    puzzling = search.puzzling()
    await search.readings([pair for pair in pairs if pair[0] in puzzling], LONG_LAG)
    await search.steps([pair for pair in pairs if pair[0] in puzzling], LONG_LAG)
    await search.facts(sorted(puzzling), LONG_LAG)
    return search.causes()


async def between(
    connection: AsyncConnection[Any], changes: Sequence[Change], basis: Basis
) -> list[Cause]:
    """Return what came between the two instants of each change that moved its figure.

    Figures that are computed for an instant hold exactly what was recorded until then.
    """
    search = await _Search.begin(connection, changes, basis)
    for change, cause in zip(changes, search.found, strict=True):
        if change.was_open:
            cause["kinds"].append(PERIOD_OPEN)
    pairs = search.pairs
    await search.readings(pairs, NONE)
    ended = [pair for pair in search.untold(pairs) if not changes[pair[0]].was_open]
    await search.neighbours(ended, NONE)
    await search.steps(pairs, NONE)
    await search.facts(search.produced, NONE)
    puzzling = search.puzzling()  # readings whose slots ingest has not computed yet
    left = [pair for pair in pairs if pair[0] in puzzling]
    await search.readings(left, NONE, everywhere=True)
    return search.causes()


async def _declarations(
    connection: AsyncConnection[Any],
    changes: Sequence[Change],
    basis: Basis,
    found: list[Cause],
) -> dict[int, frozenset[str]]:
    """Add changed declarations; return the points whose energy they may move, by change."""
    moved: dict[int, frozenset[str]] = {}
    older: dict[tuple[str, int], Plant] = {}
    for row, change in enumerate(changes):
        newest = basis.declaration(change.unit)
        unit = basis.plant.units.get(change.unit)
        if unit is None or change.declaration is None or newest in {None, change.declaration}:
            continue
        key = (unit.site, change.declaration)
        if key not in older:
            older[key] = await bases.declared(connection, *key)
        before = older[key]
        if not _differs(before, basis.plant, change.unit):
            continue
        moved[row] = frozenset(plants.touched(before, basis.plant))
        found[row]["kinds"].append(DECLARATION)
        found[row]["declaration"] = {
            "site": unit.site,
            "from": change.declaration,
            "to": newest,
            "applied_at": await bases.applied_at(connection, unit.site, basis.versions[unit.site]),
        }
    return moved


def _differs(before: Plant, after: Plant, unit_id: str) -> bool:
    """Tell whether a unit's figures may differ between two declarations of its site."""
    unit = after.units[unit_id]
    return (
        before.units.get(unit_id) != unit
        or before.sites.get(unit.site) != after.sites[unit.site]
        or before.points_of(unit_id) != after.points_of(unit_id)
    )


def _catalogues(changes: Sequence[Change], basis: Basis, found: list[Cause]) -> None:
    for change, cause in zip(changes, found, strict=True):
        if change.catalogue is not None and change.catalogue != basis.catalogue:
            cause["kinds"].append(CATALOGUE)
            cause["catalogue"] = {"from": change.catalogue, "to": basis.catalogue}


@dataclass(frozen=True, slots=True)
class _Search:
    """Looks for what was recorded since each change's figure was known; adds it to its cause."""

    connection: AsyncConnection[Any]
    changes: Sequence[Change]
    names: Mapping[int, str]
    found: list[Cause]
    pairs: Sequence[Pair]
    produced: Sequence[int]
    told: set[Pair]

    @classmethod
    async def begin(
        cls, connection: AsyncConnection[Any], changes: Sequence[Change], basis: Basis
    ) -> _Search:
        """Add what changed with declaration and catalogue; what else moved is searched for."""
        found: list[Cause] = [{"kinds": []} for _ in changes]
        declared = await _declarations(connection, changes, basis, found)
        _catalogues(changes, basis, found)
        cursor = await connection.execute("select point, point_id from point")
        ids: dict[str, int] = dict(await cursor.fetchall())
        # What a changed declaration moves needs no late reading, and would mean to look at all.
        pairs = [
            (row, ids[point])
            for row, change in enumerate(changes)
            for point in sorted(change.moved_points() - declared.get(row, frozenset()))
            if point in ids
        ]
        produced = [row for row, change in enumerate(changes) if change.moved_facts()]
        names = {number: point for point, number in ids.items()}
        return cls(connection, changes, names, found, pairs, produced, set())

    def untold(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Return the pairs without any reading found."""
        return [pair for pair in pairs if pair not in self.told]

    def puzzling(self) -> set[int]:
        """Return the changes without any cause yet."""
        return {row for row, cause in enumerate(self.found) if not cause["kinds"]}

    def causes(self) -> list[Cause]:
        """Return the causes with their kinds in order."""
        for cause in self.found:
            said = [kind for kind in (PERIOD_OPEN, *KINDS) if kind in cause["kinds"]]
            cause["kinds"] = said or [UNEXPLAINED]
        return self.found

    async def readings(
        self, pairs: Sequence[Pair], lag: timedelta, *, everywhere: bool = False
    ) -> None:
        """Look for readings of pairs, where slots changed or everywhere in the period."""
        asks = self._asks(pairs, lag)
        if not everywhere:
            asks = await recorded.changed_slots(self.connection, asks, LONG_LAG)
        for pair, item in (await recorded.readings(self.connection, asks, self.names)).items():
            _refer(self.found[pair[0]], LATE_READINGS, "readings", item)
            self.told.add(pair)

    async def neighbours(self, pairs: Sequence[Pair], lag: timedelta) -> None:
        """Look for readings beside the period that decide its edges."""
        asks = self._asks(pairs, lag)
        for pair, item in await recorded.neighbours(self.connection, asks, self.names):
            _refer(self.found[pair[0]], LATE_READINGS, "readings", item)
            self.told.add(pair)

    async def steps(self, pairs: Sequence[Pair], lag: timedelta) -> None:
        """Look for steps of pairs that a person confirmed."""
        asks = self._asks(pairs, lag)
        for row, item in await recorded.steps(self.connection, asks, self.names):
            _refer(self.found[row], STEPS, "steps", item)

    async def facts(self, rows: Sequence[int], lag: timedelta) -> None:
        """Look for production facts of changes, new ones and revisions."""
        asks = self._asks([(row, 0) for row in rows], lag)
        units = [self.changes[row].unit for row in rows]
        for row, item in await recorded.facts(self.connection, asks, units):
            _refer(self.found[row], FACTS, "facts", item)

    def _asks(self, pairs: Sequence[Pair], lag: timedelta) -> list[Ask]:
        return [self.changes[row].ask(row, point, lag) for row, point in pairs]


def _refer(cause: Cause, kind: str, name: str, item: Mapping[str, Any]) -> None:
    """Add a kind with one reference to a cause."""
    if kind not in cause["kinds"]:
        cause["kinds"].append(kind)
    items: list[Mapping[str, Any]] = cause.setdefault(name, [])
    if len(items) < MOST_REFERENCES:
        items.append(item)
    else:
        cause["more"] = cause.get("more", 0) + 1
