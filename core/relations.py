"""What a plant file says about other tables, its own or ours: parents, indicators, carriers.

Works on the data as written, whatever shape it is in, so that these mistakes are told together with
those of single tables; what is no table is left to the model to complain about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from core import carriers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from core.errors import Problem
    from core.tomlfile import Document, Path

    Known: TypeAlias = "Mapping[str, frozenset[str]] | frozenset[str]"

CHECK_ROLE: Final = "check"  # of a meter that only checks what an account or another meter says


def problems(document: Document, known_indicators: Known | None) -> list[Problem]:
    """Return what does not fit together in a plant file; None knows every indicator.

    Where the known ones come with ways to know an output, a unit's way must be one of them.
    """
    found: list[Problem] = []
    for site_id, site in _tables(document.data, "site"):
        units = dict(_tables(site, "unit"))
        for unit_id, unit in units.items():
            path = ("site", site_id, "unit", unit_id)
            found += (document.problem((*path, "parent"), text) for text in _kin(units, unit_id))
            found += _indicators(document, path, unit, known_indicators)
            points = dict(_tables(unit, "point"))
            found += (
                document.problem((*path, "accounts", carrier), text)
                for carrier, text in _accounts(unit, points)
            )
            for key, point in points.items():
                where = (*path, "point", key)
                found += (
                    document.problem((*where, "parent"), text) for text in _mains(points, key)
                )
                found += (document.problem((*where, *on), text) for on, text in _metering(point))
                found += (
                    document.problem((*where, "fed_by"), text)
                    for text in _feeding(units, f"{unit_id}.{key}")
                )
    return found


def _tables(node: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    held = node.get(key)
    if isinstance(held, dict):
        yield from ((name, table) for name, table in held.items() if isinstance(table, dict))


def _kin(units: dict[str, dict[str, Any]], key: str) -> Iterator[str]:
    """Say what is wrong with a unit's parent: it must exist, and nobody is his own forefather."""
    parent = units[key].get("parent")
    if not isinstance(parent, str):
        return
    if parent == key or parent not in units:
        yield f"{parent!r} is no other unit of the site: name one of its units or leave it out"
        return
    seen = {key}
    above: Any = parent
    while isinstance(above, str) and above in units:
        if above in seen:
            yield f"{parent!r} leads back to a unit below it: parents may not go in a circle"
            return
        seen.add(above)
        above = units[above].get("parent")


def _mains(points: dict[str, dict[str, Any]], key: str) -> Iterator[str]:
    """Say what is wrong with a point's main meter: it must exist and be no sub-meter itself."""
    parent = points[key].get("parent")
    if not isinstance(parent, str):
        return
    if parent == key or parent not in points:
        yield f"{parent!r} is no other point of the unit: name its main meter or leave it out"
    elif points[parent].get("parent") is not None:
        yield f"{parent!r} is itself a sub-meter: name the main meter above it"


def _feeding(units: dict[str, dict[str, Any]], key: str) -> Iterator[str]:
    """Say what is wrong with the meter that feeds a point: it must exist and meter the same."""
    point, seen = _point(units, key), {key}
    name = point.get("fed_by")
    if not isinstance(name, str):
        return
    above: Any = name
    own, carrier = key, point.get("carrier")
    while isinstance(above, str):
        own = above if "." in above else f"{own.partition('.')[0]}.{above}"
        fed = _point(units, own)
        if not fed:
            yield f"{name!r} is no other point of the site: name it as point or unit.point"
            return
        if own in seen:
            yield f"{name!r} leads back to a point behind it: what feeds may not go in a circle"
            return
        if fed.get("carrier") != carrier:
            yield f"{name!r} meters {fed.get('carrier')}, not {carrier}: name a main meter of it"
            return
        seen.add(own)
        above = fed.get("fed_by")


def _point(units: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    unit, _, name = key.partition(".")
    points = units.get(unit, {}).get("point")
    found = points.get(name) if isinstance(points, dict) else None
    return found if isinstance(found, dict) else {}


def _indicators(
    document: Document, path: Path, unit: dict[str, Any], known: Known | None
) -> Iterator[Problem]:
    wanted = unit.get("indicators")
    if known is None or not isinstance(wanted, list):
        return
    for indicator in wanted:
        if isinstance(indicator, str) and indicator not in known:
            text = f"unknown indicator {indicator!r}: `danhao limits list` names those there are"
            yield document.problem((*path, "indicators"), text)
    by = unit.get("output_by")
    if isinstance(known, Mapping) and isinstance(by, str):
        ways = frozenset[str]().union(*(known.get(str(one), ()) for one in wanted))
        if by not in ways:
            told = f"one of {', '.join(sorted(ways))}" if ways else "nothing: they offer no choice"
            text = f"{by!r} is no way of its indicators to know the output: name {told}"
            yield document.problem((*path, "output_by"), text)


def _accounts(unit: dict[str, Any], points: dict[str, dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Say what is wrong with an account: a carrier there is, which no meter counts as well."""
    kept = unit.get("accounts")
    metered = {
        point.get("carrier"): key
        for key, point in points.items()
        if point.get("sign", 1) == 1 and point.get("role") != CHECK_ROLE
    }
    for carrier in kept if isinstance(kept, dict) else ():
        if carrier not in carriers.catalogue():
            yield carrier, carriers.unknown(carrier)
        elif not carriers.find(carrier).is_energy:
            yield carrier, f"{carrier} is no energy: its facts count without an account"
        elif carrier in metered:
            yield (
                carrier,
                (
                    f"{carrier} is also metered by {metered[carrier]}: count it once, or give the"
                    f" point the role {CHECK_ROLE}"
                ),
            )


def _metering(point: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Say what is wrong with a carrier: it must be known and metered in its own quantity."""
    carrier, unit = point.get("carrier"), point.get("unit")
    if not isinstance(carrier, str):
        if carrier is None and "heating_value" in point:
            yield ("heating_value",), "a heating value belongs to a carrier: name it or remove it"
        return
    if carrier not in carriers.catalogue():
        yield ("carrier",), carriers.unknown(carrier)
        return
    if isinstance(unit, str):
        wrong = carriers.misfit(carrier, unit, rate=point.get("kind") == "gauge")
        if wrong is not None:
            yield ("unit",), wrong
    if carriers.find(carrier).quantity not in carriers.HEATING_UNITS:
        if "heating_value" in point:
            text = f"{carrier} is metered as energy and has no heating value: remove it"
            yield ("heating_value",), text
    elif "rated_power_kw" in point:
        yield ("rated_power_kw",), f"{carrier} is not metered as energy: remove the rated power"
