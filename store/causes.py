"""Why a closed figure changed: what was recorded since the version before it was known.

A cause is a JSON object: `kinds` names what there was (a closed list), and beside it stand the
references: which points had late readings, which facts, which declaration, recorded when. It is
looked for only when a closed figure has changed, and only where slots have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core import periods
from core import plant as plants
from core.clock import from_us, to_us
from core.periods import SLOT_US
from store import basis as bases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
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
KINDS: Final = (
    PERIOD_END, LATE_READINGS, FACTS, DECLARATION, STEPS, CATALOGUE, RECOMPUTE, UNEXPLAINED,
)  # fmt: skip
MOST_REFERENCES: Final = 100  # of a kind in one cause: a person reads them; `more` counts the rest
# A reading is known to a figure once its slot is computed: seconds after its commit, or, behind a
# backlog, much later. Each longer look is for what the shorter one does not explain.
LAG: Final = timedelta(seconds=10)
LONG_LAG: Final = timedelta(hours=1)
NONE: Final = timedelta(0)
SLOT: Final = timedelta(microseconds=SLOT_US)

Cause = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A closed figure that is not what its newest version says, and what that one rested on."""

    unit: str
    start_us: int
    end_us: int
    known_from: datetime
    declaration: int | None
    catalogue: str | None
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def moved_points(self) -> frozenset[str]:
        """Return the points that gave something else than before.

        All, where something else is said of energy and no amount differs.
        """
        old, new = (_points(figures) for figures in (self.before, self.after))
        moved = {point for point in old.keys() | new.keys() if old.get(point) != new.get(point)}
        if not moved and any(self.before.get(key) != self.after.get(key) for key in _OF_ENERGY):
            return frozenset(old.keys() | new.keys())
        return frozenset(moved)

    def moved_output(self) -> bool:
        """Tell whether the output, or what it was made of, differs from before."""
        made = [figures.get("inputs", {}).get("output") for figures in (self.before, self.after)]
        return self.before.get("output") != self.after.get("output") or made[0] != made[1]


_OF_ENERGY: Final = ("energy", "completeness", "flags")


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
    """Return the cause of each change."""
    found: list[Cause] = [{"kinds": []} for _ in changes]
    declared = await _declarations(connection, changes, basis, found)
    _catalogues(changes, basis, found)
    cursor = await connection.execute("select point, point_id from point")
    ids: dict[str, int] = dict(await cursor.fetchall())
    search = _Search(connection, changes, {number: point for point, number in ids.items()}, found)
    # What a changed declaration moves needs no late reading, and would mean looking at them all.
    pairs = [
        (row, ids[point])
        for row, change in enumerate(changes)
        for point in sorted(change.moved_points() - declared.get(row, frozenset()))
        if point in ids
    ]
    produced = [row for row, change in enumerate(changes) if change.moved_output()]
    told = await search.readings(pairs, NONE)
    await search.readings([pair for pair in pairs if pair not in told], LAG)
    await search.steps(pairs, NONE)
    await search.facts(produced, NONE)
    puzzling = {row for row, cause in enumerate(found) if not cause["kinds"]}
    await search.readings([pair for pair in pairs if pair[0] in puzzling], LONG_LAG)
    await search.steps([pair for pair in pairs if pair[0] in puzzling], LONG_LAG)
    await search.facts(sorted(puzzling), LONG_LAG)
    for cause in found:
        cause["kinds"] = [kind for kind in KINDS if kind in cause["kinds"]] or [UNEXPLAINED]
    return found


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
        cursor = await connection.execute(
            "select applied_at from site_version where site = %s and version = %s",
            (unit.site, newest),
        )
        applied = await cursor.fetchone()
        found[row]["kinds"].append(DECLARATION)
        found[row]["declaration"] = {
            "site": unit.site,
            "from": change.declaration,
            "to": newest,
            "applied_at": None if applied is None else periods.render_utc(to_us(applied[0])),
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
    """Looks for what was recorded since each change's newest version, and adds it to its cause."""

    connection: AsyncConnection[Any]
    changes: Sequence[Change]
    names: Mapping[int, str]
    found: list[Cause]

    async def readings(
        self, pairs: Sequence[tuple[int, int]], lag: timedelta
    ) -> set[tuple[int, int]]:
        """Look for readings of (change, point number) where slots changed; return what has some."""
        told: set[tuple[int, int]] = set()
        if not pairs:
            return told
        changed = [self.changes[row].known_from - LONG_LAG for row, _ in pairs]
        columns = _spans(self.changes, pairs)
        within = (sorted({*columns[3]}), min(columns[1]), max(columns[2]))
        cursor = await self.connection.execute(_SLOTS, (*columns, changed, *within))
        spans = _merged(await cursor.fetchall())
        if not spans:
            return told
        cursor = await self.connection.execute(
            _READINGS,
            (
                [row for row, _, _, _ in spans],
                [number for _, number, _, _ in spans],
                [begin for _, _, begin, _ in spans],
                [end for _, _, _, end in spans],
                [self.changes[row].known_from - lag for row, _, _, _ in spans],
                sorted({number for _, number, _, _ in spans}),
                min(begin for _, _, begin, _ in spans),
                max(end for _, _, _, end in spans),
            ),
        )
        for row, number, count, *instants in await cursor.fetchall():
            first, last, recorded_first, recorded_last = (
                periods.render_utc(to_us(instant)) for instant in instants
            )
            item = {
                "point": self.names[number],
                "count": count,
                "from": first,
                "until": last,
                "recorded_from": recorded_first,
                "recorded_until": recorded_last,
            }
            _refer(self.found[row], LATE_READINGS, "readings", item)
            told.add((row, number))
        return told

    async def steps(self, pairs: Sequence[tuple[int, int]], lag: timedelta) -> None:
        """Look for steps of (change, point number) that a person confirmed."""
        if not pairs:
            return
        since = [self.changes[row].known_from - lag for row, _ in pairs]
        cursor = await self.connection.execute(_STEPS, (*_spans(self.changes, pairs), since))
        for row, number, at, who, when in await cursor.fetchall():
            item = {
                "point": self.names[number],
                "at": periods.render_utc(to_us(at)),
                "confirmed_by": who,
                "confirmed_at": periods.render_utc(to_us(when)),
            }
            _refer(self.found[row], STEPS, "steps", item)

    async def facts(self, rows: Sequence[int], lag: timedelta) -> None:
        """Look for production facts of changes, new ones and revisions."""
        if not rows:
            return
        cursor = await self.connection.execute(
            _FACTS,
            (
                list(rows),
                [from_us(self.changes[row].start_us) for row in rows],
                [from_us(self.changes[row].end_us) for row in rows],
                [self.changes[row].unit for row in rows],
                [self.changes[row].known_from - lag for row in rows],
            ),
        )
        for row, identifier, revision, at, recorded_at, source in await cursor.fetchall():
            item = {
                "id": identifier,
                "revision": revision,
                "at": periods.render_utc(to_us(at)),
                "recorded_at": periods.render_utc(to_us(recorded_at)),
                "source": source,
            }
            _refer(self.found[row], FACTS, "facts", item)


def _spans(
    changes: Sequence[Change], pairs: Sequence[tuple[int, int]]
) -> tuple[list[int], list[datetime], list[datetime], list[int]]:
    return (
        [row for row, _ in pairs],
        [from_us(changes[row].start_us) for row, _ in pairs],
        [from_us(changes[row].end_us) for row, _ in pairs],
        [number for _, number in pairs],
    )


def _merged(
    slots: Iterable[tuple[int, int, datetime]],
) -> list[tuple[int, int, datetime, datetime]]:
    """Return (change, point number, begin, end) of slots that follow one another, from sorted."""
    found: list[tuple[int, int, datetime, datetime]] = []
    for row, number, start in slots:
        if found and found[-1][:2] == (row, number) and found[-1][3] == start:
            found[-1] = (row, number, found[-1][2], start + SLOT)
        else:
            found.append((row, number, start, start + SLOT))
    return found


def _refer(cause: Cause, kind: str, name: str, item: Mapping[str, Any]) -> None:
    """Add a kind with one reference to a cause."""
    if kind not in cause["kinds"]:
        cause["kinds"].append(kind)
    items: list[Mapping[str, Any]] = cause.setdefault(name, [])
    if len(items) < MOST_REFERENCES:
        items.append(item)
    else:
        cause["more"] = cause.get("more", 0) + 1


# What a join says pair by pair is said once more for all: the planner then reads no other rows.
_SLOTS: Final = (
    "select k.n, k.p, s.slot_start from unnest(%s::int[], %s::timestamptz[], %s::timestamptz[],"
    " %s::int[], %s::timestamptz[]) as k(n, f, u, p, changed) join slot_energy s"
    " on s.point_id = k.p and s.slot_start >= k.f and s.slot_start < k.u"
    " and s.computed_at > k.changed where s.point_id = any(%s) and s.slot_start >= %s"
    " and s.slot_start < %s order by k.n, k.p, s.slot_start"
)
_READINGS: Final = (
    "select k.n, k.p, count(*), min(r.ts), max(r.ts), min(r.recorded_at), max(r.recorded_at)"
    " from unnest(%s::int[], %s::int[], %s::timestamptz[], %s::timestamptz[], %s::timestamptz[])"
    " as k(n, p, f, u, since) join reading r on r.point_id = k.p and r.ts >= k.f and r.ts < k.u"
    " and r.recorded_at > k.since where r.point_id = any(%s) and r.ts >= %s and r.ts < %s"
    " group by k.n, k.p order by k.n, k.p"
)
_STEPS: Final = (
    "select k.n, s.point_id, s.ts, s.confirmed_by, s.confirmed_at from unnest(%s::int[],"
    " %s::timestamptz[], %s::timestamptz[], %s::int[], %s::timestamptz[]) as k(n, f, u, p, since)"
    " join confirmed_step s on s.point_id = k.p and s.ts >= k.f - interval '1 day'"
    " and s.ts < k.u + interval '1 day' and s.confirmed_at > k.since order by k.n, s.ts"
)
# A fact belongs to a period when any of its revisions lies in it: a correction may move it.
_FACTS: Final = (
    "select distinct k.n, f.id, f.revision, f.at, f.recorded_at, f.source from unnest(%s::int[],"
    " %s::timestamptz[], %s::timestamptz[], %s::text[], %s::timestamptz[]) as k(n, f, u, unit,"
    " since) join output_fact there on there.unit = k.unit and there.at >= k.f and there.at < k.u"
    " join output_fact f on f.site = there.site and f.id = there.id and f.recorded_at > k.since"
    " order by k.n, f.recorded_at, f.id, f.revision"
)
