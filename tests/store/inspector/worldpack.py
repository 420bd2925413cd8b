"""Evidence packs of random months, made from memory: the figure and what is behind it."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import indicators
from store import figures, packlines
from store.figures import Asked
from tests.store import months
from tests.store.months import UNIT, Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.limits import Limit
    from core.output import OutputFact
    from store.packlines import Member
    from tests.core.month_oracle import World

TABLES: Final = {
    name: tomllib.loads((resources.files("core") / "data" / f"{name}s.toml").read_text("utf-8"))
    for name in ("indicator", "carrier")
}


async def members(world: World) -> list[Member]:
    """Return the lines of a month's pack, with the figure that the product made."""
    plan = months.declared(world)
    facts = months.facts_of(world)
    source = Memory(world, plan, months.newest(facts))
    indicator = indicators.find(world.rule.id)
    laws = months.limits_of(world)
    now = datetime.fromtimestamp(world.now / 1_000_000, UTC)
    asked = Asked(plan.units[UNIT], indicator, [world.month])
    ((figure,),) = await figures.compute_all(source, plan, [asked], now, lambda _: laws)
    points = sorted(figure["inputs"]["points"])
    found: list[Member] = [
        head(indicator.id, world.month, world.now, points),
        {"member": "declaration", "site": "s", "version": 1, "declared": dict(plan.to_json("s"))},
        *packlines.rows("indicator", TABLES["indicator"]["indicator"], [indicator.id]),
        *packlines.rows("carrier", TABLES["carrier"]["carrier"], indicator.carriers),
        *({"member": "limit", "id": one.id, "row": limit_row(one)} for one in laws),
    ]
    for one in world.metered:
        point = f"{UNIT}.{one.key}"
        if point in points:
            first = {arrival.at: arrival for arrival in reversed(one.arrivals)}
            kept = [first[at] for at in sorted(first)]
            found += packlines.readings(
                point,
                np.array([each.at for each in kept], np.int64),
                np.array([float(each.value) for each in kept]),
                np.array([each.quality for each in kept], np.int16),
                np.zeros(len(kept), np.int64),
            )
            confirmed = sorted(one.meter.confirmed_us)
            found.append({"member": "confirmed", "point": point, "at_us": confirmed})
    found += [fact_line(one) for one in facts]
    found.append(figure_line(figure))
    return found


def head(indicator: str, month: tuple[int, int], now_us: int, points: list[str]) -> Member:
    """Return the first line."""
    return {
        "member": "evidence",
        "format": packlines.FORMAT,
        "of": f"{UNIT} {indicator}",
        "unit": UNIT,
        "begin_us": month[0],
        "end_us": month[1],
        "now_us": now_us,
        "points": points,
    }


def figure_line(figure: dict[str, Any]) -> Member:
    """Return the line of the figure."""
    return {"member": "figure", "result": "0", "catalogue": None, "figures": figure}


def fact_line(one: OutputFact) -> Member:
    """Return the line of a fact."""
    key = (one.id, one.revision, one.unit, one.kind, one.at_us)
    return packlines.fact(key, one.mass_e6, one.grades, (one.stream, one.amount_unit), 0)


def limit_row(one: Limit) -> dict[str, Any]:
    """Return a limit as the catalogue's file would have it."""
    row: dict[str, Any] = {
        "indicator": one.indicator,
        "name": dict(one.name),
        "value": f"{one.value:f}",
        "cmp": one.cmp.value,
        "unit": one.unit,
        "force": one.force.value,
        "scheme": one.scheme,
        "jurisdiction": one.jurisdiction,
        "valid_from": one.valid_from.isoformat(),
        "completeness": f"{one.completeness:f}",
        "policy": one.policy.value,
        "source": one.source,
        "clause": one.clause,
    }
    if one.valid_to is not None:
        row["valid_to"] = one.valid_to.isoformat()
    if one.correction:
        row["correction"] = [one_.item() for one_ in one.correction]
    return row


async def pack(
    world: World, sign: Callable[[bytes], bytes] | None = None, key: str | None = None
) -> bytes:
    """Return a month's pack."""
    return packlines.seal(await members(world), sign, key)
