"""What the doctor makes of the law: units without a limit, limits that end, a catalogue that moved.

Days are plant time. Pure: the catalogue of limits and the day are arguments.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from core import periods
from core.limits import Force, LimitKind
from core.names import is_within
from deploy.doctor.page import Checked, Grade, named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime

    from core.limits import Limit
    from core.plant import Plant, Site, Unit

AHEAD: Final = timedelta(days=90)  # a plant needs a quarter to prepare for another limit


def judge(plant: Plant, limits: Iterable[Limit], now_us: int) -> list[Checked]:
    """Return what stands between what is declared and what the law says on this day."""
    rows = [limit for limit in limits if limit.kind is LimitKind.LIMIT]
    return [*_without(plant, rows, now_us), *_changes(plant, rows, now_us), *_verified(plant)]


def catalogue(ours: str, used: Mapping[str, datetime]) -> Iterator[Checked]:
    """Judge whether the figures were computed with the catalogue that this program has."""
    if used and ours not in used:
        newest = max(used.values())
        remedy = "start the workers with this version, then run `danhao recompute`"
        what = f"figures rest on another catalogue, first used {newest:%Y-%m-%d}, not on this one"
        yield Checked("catalogue", Grade.WARNING, what, remedy)
    else:
        yield Checked("catalogue", Grade.WELL, "figures rest on the limits of this program")


def verification(plant: Plant, now_us: int) -> Iterator[Checked]:
    """Judge which meters are past the day until which they were verified."""
    past = [
        point.id
        for point in plant.points.values()
        if point.verified_until is not None
        and point.verified_until < periods.day_of(now_us, plant.sites[point.site].timezone)
    ]
    if past:
        what = f"{named(past)} past their date of verification"
        remedy = "have them verified; write the new date into plant.toml as verified_until"
        yield Checked("meters", Grade.WARNING, what, remedy)


def _without(plant: Plant, rows: list[Limit], now_us: int) -> Iterator[Checked]:
    """Tell units that nothing is judged of, and sites that have none but such."""
    bare: list[str] = []
    judged: set[str] = set()
    for unit in plant.units.values():
        if not unit.indicators:
            continue
        if any(True for _ in _holding(plant.sites[unit.site], unit, rows, now_us)):
            judged.add(unit.site)
        else:
            bare.append(unit.id)
    sites = [site for site in plant.sites if site not in judged]
    remedy = "see `danhao limits list`; is the jurisdiction right, the indicator the one in force?"
    if sites:
        what = f"nothing is judged of {named(sites)}: no limit holds there for its indicators"
        yield Checked("limits", Grade.WARNING, what, remedy)
    others = [unit for unit in bare if plant.units[unit].site in judged]
    if others:
        yield Checked("limits", Grade.WARNING, f"no limit holds for {named(others)}", remedy)
    if plant.sites and not sites and not others:
        yield Checked("limits", Grade.WELL, "every unit with an indicator has one")


def _changes(plant: Plant, rows: list[Limit], now_us: int) -> Iterator[Checked]:
    """Tell what ends, falls due or begins within AHEAD for the units there are."""
    for limit in rows:
        concerned = _concerned(plant, limit)
        if not concerned:
            continue
        today = periods.day_of(now_us, concerned[0].timezone)
        if _is_near(limit.valid_to, today):
            yield _ending(limit, rows, concerned)
        if _is_near(limit.due, today):
            what = f"{limit.id} falls due on {limit.due}; it is judged all the same after it"
            yield Checked("limits", Grade.NOTE, what)
        if today < limit.valid_from <= today + AHEAD:
            what = f"{limit.id} ({limit.cmp} {limit.value} {limit.unit}) begins {limit.valid_from}"
            yield Checked("limits", Grade.NOTE, what)


def _ending(limit: Limit, rows: list[Limit], concerned: list[Site]) -> Checked:
    last = limit.valid_to
    assert last is not None, "asked of limits that end"  # noqa: S101 - a belief
    following = [
        other.id
        for other in rows
        if other is not limit
        and (other.indicator, other.force) == (limit.indicator, limit.force)
        and other.valid_from <= last
        and (other.valid_to is None or other.valid_to > last)
        and all(is_within(site.jurisdiction, other.jurisdiction) for site in concerned)
    ]
    what = f"{limit.id} holds for the last time before {last}"
    if following:
        return Checked("limits", Grade.NOTE, f"{what}, then {named(following)}")
    grade = Grade.WARNING if limit.force is Force.MANDATORY else Grade.NOTE
    remedy = "look for its successor; a newer version of this program may have it"
    return Checked("limits", grade, f"{what}, and nothing follows", remedy)


def _verified(plant: Plant) -> Iterator[Checked]:
    declared = sum(point.carrier is not None for point in plant.points.values())
    bare = [p.id for p in plant.points.values() if p.carrier and p.accuracy_percent is None]
    if bare:
        what = f"{len(bare)} of {declared} energy points declare no accuracy: U counts none of them"
        remedy = "write accuracy_percent into plant.toml: meter and transformers together"
        yield Checked("meters", Grade.WARNING, what, remedy)


def _holding(site: Site, unit: Unit, rows: list[Limit], now_us: int) -> Iterator[Limit]:
    for limit in rows:
        applies = limit.applies(site.jurisdiction, now_us, site.timezone)
        if limit.indicator in unit.indicators and applies:
            yield limit


def _concerned(plant: Plant, limit: Limit) -> list[Site]:
    sites = {u.site for u in plant.units.values() if limit.indicator in u.indicators}
    found = [plant.sites[site] for site in sorted(sites)]
    return [site for site in found if is_within(site.jurisdiction, limit.jurisdiction)]


def _is_near(day: date | None, today: date) -> bool:
    return day is not None and today <= day <= today + AHEAD
