"""`danhao limits try`: a draft file of limits held against the closed months and years of a store.

Exit 1 where a figure would exceed. Nothing is written.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from core import clock, limits, periods, plant
from core.errors import Misconfigured, Problem
from core.verdicts import Verdict
from ingest.recompute import span_of
from store import connection, plants, settings, trial

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from core.limits import Limit
    from core.plant import Plant
    from store.trial import Tried

WELL: Final = 0
BAD_NEWS: Final = 1
MOST_LISTED: Final = 1_000  # lines for a person; all are counted, and JSON has all


def run(options: argparse.Namespace) -> int:
    """Read the draft, hold it against the past, say what was found."""
    span = span_of(options.since, options.until)
    draft = list(limits.parse(settings.read_text(options.file), str(options.file)).values())
    if not options.as_dated:
        draft = trial.as_if_in_force(draft)
    url = settings.database_of(options, os.environ).url
    tried, zones = asyncio.run(_try(url, options.site, draft, span))
    found = list(_flat(tried, zones))
    if options.json:
        answer = {"limits": _counted(draft, found), "figures": found}
        json.dump(answer, sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
    else:
        sys.stdout.write("\n".join(lines(_counted(draft, found), found)) + "\n")
    return BAD_NEWS if any(row["verdict"] == Verdict.EXCEEDS for row in found) else WELL


async def _try(
    url: str, site: str | None, draft: Sequence[Limit], span: tuple[int, int]
) -> tuple[list[Tried], dict[str, str]]:
    pool = await connection.open_pool(url, application="danhao limits", most=1)
    try:
        async with pool.connection() as link:
            await link.execute("set transaction isolation level repeatable read, read only")
            loaded = await plants.load(link)
            declared = _of_site(loaded.plant, site)
            tried = await trial.hold(link, declared, loaded.ids, draft, span, clock.utc_now())
            zones = {one.id: declared.sites[one.site].timezone for one in declared.units.values()}
            return tried, zones
    finally:
        await pool.close()


def _of_site(declared: Plant, site: str | None) -> Plant:
    if site is None:
        return declared
    if site not in declared.sites:
        message = f"{site!r} is not declared: `danhao plant show` lists what is"
        raise Misconfigured([Problem("--site", message)])
    return plant.from_json({site: declared.to_json(site)})


def _flat(tried: Sequence[Tried], zones: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield one row for each figure and limit: what was compared with what, and the finding."""
    for each in tried:
        intensity = each.figures["intensity"]
        for verdict in each.figures["verdicts"]:
            compared = verdict.get("part", intensity)
            yield {
                "unit": each.unit,
                "indicator": each.indicator,
                "period": each.period,
                "period_start": periods.render(each.start_us, zones[each.unit]),
                "value": compared["value"],
                "uncertainty": compared["uncertainty"],
                "value_unit": intensity["unit"],
                **verdict,
            }


def _counted(draft: Sequence[Limit], found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return of each row of the draft how many figures had which verdict."""
    counts = Counter((row["limit"], row["verdict"]) for row in found)
    return [
        {"limit": limit.id, **{one.value: counts[limit.id, one.value] for one in Verdict}}
        for limit in sorted(draft, key=lambda one: one.id)
    ]


def lines(counted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the answer for a person: a table of counts, then each figure that is not within."""
    width = max((len(row["limit"]) for row in counted), default=5)
    words = [one.value for one in Verdict]
    told = [" ".join([f"{'limit':<{width}}", *(f"{word:>14}" for word in words)])]
    told += [
        " ".join([f"{row['limit']:<{width}}", *(f"{row[word]:>14}" for word in words)])
        for row in counted
    ]
    quiet = {Verdict.WITHIN, Verdict.NOT_APPLICABLE}
    listed = [row for row in found if Verdict(row["verdict"]) not in quiet]
    told += [_line(row) for row in listed[:MOST_LISTED]]
    if len(listed) > MOST_LISTED:
        told.append(f"... and {len(listed) - MOST_LISTED} more: --json lists them all")
    if not found:
        told.append("no closed month or year of these indicators is stored in that time")
    return told


def _line(row: Mapping[str, Any]) -> str:
    value = "no figure" if row["value"] is None else f"{row['value']} {row['value_unit']}"
    doubt = "" if row["uncertainty"] is None else f" +- {row['uncertainty']}"
    missing = f", not declared: {', '.join(row['missing'])}" if row.get("missing") else ""
    return (
        f"{row['verdict']:<14} {row['unit']} {row['period']} {row['period_start'][:10]}"
        f" {value}{doubt} against {row['cmp']} {row['limit_value']} ({row['limit']}){missing}"
    )
