"""`danhao recompute`: slots and results again from raw readings, and whatever differs is a defect.

Promise: without --write nothing is written. With it a wrong slot is put right, a wrong closed
figure gets its next version with cause `recompute`, and both are marked so that a running ingest
computes them once more from what has come meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from core import clock, periods
from core.clock import to_us
from core.errors import Misconfigured, Problem
from core.plant import EVER
from ingest import comparison
from ingest.comparison import ResultDifference, SlotDifference, Standing
from store import (
    basis,
    causes,
    connection,
    plants,
    results,
    settings,
    slotarrays,
    slots,
    versions,
)
from store.bar import Bar
from store.commands import add_database_options
from store.versions import Figure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.plant import Plant, Point, Unit
    from ingest.comparison import Compared, Span
    from store.connection import Pool

WELL: Final = 0
BAD_NEWS: Final = 1
MOST_LISTED: Final = 1_000  # differences that are printed; all are counted
SLOT_KEYS: Final = ("energy_e6", "estimated_e6", "measured_us", "flags")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is computed again: a unit with the points whose slots are compared, over a span."""

    units: Sequence[tuple[Unit, Sequence[Point]]]
    span: Span


@dataclass(slots=True)
class Report:
    """What was found over all units."""

    points: int = 0
    slots: int = 0
    results: int = 0
    archived_slots: int = 0
    written: int = 0
    seconds: float = 0.0
    counts: dict[Standing, int] = field(default_factory=lambda: dict.fromkeys(Standing, 0))
    listed: list[SlotDifference | ResultDifference] = field(default_factory=list)

    def take(self, found: Compared) -> None:
        """Add a unit's comparison."""
        self.points += len(found.spans)
        self.slots += found.slots
        self.results += found.results
        self.archived_slots += found.archived_slots
        for each in found.differences():
            self.counts[each.standing] += 1
            if each.standing is not Standing.PENDING and len(self.listed) < MOST_LISTED:
                self.listed.append(each)

    @property
    def slots_per_s(self) -> float:
        """Return the rate."""
        return self.slots / self.seconds if self.seconds > 0 else 0.0


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `recompute`."""
    parser = commands.add_parser(
        "recompute",
        help="compute slots and results again and report what differs",
        description="Compute slots and results again from raw readings and facts; exit 1 where"
        " one differs from what is stored.",
    )
    add_database_options(parser)
    parser.add_argument("--site", metavar="SITE", help="of this site only")
    parser.add_argument("--unit", metavar="UNIT", help="of this unit only, such as gh-al.potline-1")
    parser.add_argument("--point", metavar="POINT", help="of this point's slots only")
    parser.add_argument("--from", dest="since", metavar="TIME", help="RFC 3339 with an offset")
    parser.add_argument("--to", dest="until", metavar="TIME", help="RFC 3339 with an offset")
    parser.add_argument("--write", action="store_true", help="put right what is wrong")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    span = span_of(options.since, options.until)
    url = settings.database_of(options, os.environ).url
    report, zones = asyncio.run(_recompute(url, options, span))
    if options.json:
        print(json.dumps(as_json(report), ensure_ascii=False, indent=1))  # noqa: T201 - the answer
    else:
        print("\n".join(lines(report, zones)))  # noqa: T201 - the answer
    return BAD_NEWS if report.counts[Standing.DEFECT] else WELL


def span_of(since: str | None, until: str | None) -> Span:
    """Read --from and --to; raises Misconfigured with every mistake."""
    problems: list[Problem] = []
    ends = list(EVER)
    for place, (name, text) in enumerate((("--from", since), ("--to", until))):
        try:
            ends[place] = ends[place] if text is None else periods.parse_instant(text)
        except ValueError as error:
            problems.append(Problem(name, f"{error}; write 2026-10-01T00:00:00+08:00"))
    if not problems and ends[1] <= ends[0]:
        problems.append(Problem("--to", "does not lie after --from"))
    if problems:
        raise Misconfigured(problems)
    return ends[0], ends[1]


def choose(plant: Plant, options: argparse.Namespace, span: Span) -> Chosen:
    """Return what --site, --unit and --point leave; raises Misconfigured with what is unknown."""
    wanted = (
        ("--site", options.site, plant.sites),
        ("--unit", options.unit, plant.units),
        ("--point", options.point, plant.points),
    )
    problems = [
        Problem(name, f"{value!r} is not declared: `danhao plant show` lists what is")
        for name, value, known in wanted
        if value is not None and value not in known
    ]
    if problems:
        raise Misconfigured(problems)
    units: list[tuple[Unit, Sequence[Point]]] = []
    for unit in sorted(plant.units.values(), key=lambda each: each.id):
        points = [
            point
            for point in plant.points_of(unit.id)
            if point.energy_unit is not None and options.point in {None, point.id}
        ]
        inside = options.site in {None, unit.site} and options.unit in {None, unit.id}
        if inside and (points or options.point is None):
            units.append((unit, points))
    if not units:
        raise Misconfigured("--site, --unit and --point name nothing together: name one of them")
    return Chosen(units, span)


async def _recompute(
    url: str, options: argparse.Namespace, span: Span
) -> tuple[Report, Mapping[str, str]]:
    pool = await connection.open_pool(url, application="danhao recompute", most=2)
    bar = Bar("recompute")
    try:
        async with pool.connection() as link:
            loaded = await plants.load(link)
        chosen = choose(loaded.plant, options, span)
        report = await recompute(
            pool, loaded.plant, loaded.ids, chosen, clock.utc_now, bar, write=options.write
        )
        return report, {site.id: site.timezone for site in loaded.plant.sites.values()}
    finally:
        bar.close()
        await pool.close()


async def recompute(
    pool: Pool,
    plant: Plant,
    ids: Mapping[str, int],
    chosen: Chosen,
    now: Callable[[], datetime],
    show: Callable[[int, int], None] = lambda _done, _total: None,
    *,
    write: bool = False,
) -> Report:
    """Compare everything chosen, unit by unit, and with `write` put right what is wrong."""
    report = Report()
    began = time.monotonic()
    total = await _slots_to_come(pool, ids, chosen)
    done = 0

    def progress(slots_done: int) -> None:
        nonlocal done
        done += slots_done
        show(done, total)

    for unit, points in chosen.units:
        async with pool.connection() as link:
            look = await comparison.open_look(link, plant, ids, progress)
            found = await comparison.compare(look, unit, points, chosen.span, to_us(now()))
        report.take(found)
        if write:
            async with pool.connection() as link:
                report.written += await put_right(link, plant, ids, found, now)
    report.seconds = time.monotonic() - began
    return report


async def _slots_to_come(pool: Pool, ids: Mapping[str, int], chosen: Chosen) -> int:
    total = 0
    async with pool.connection() as link:
        for _, points in chosen.units:
            for point in points:
                span = await comparison.extent(link, point, ids[point.id], chosen.span)
                total += 0 if span is None else (span[1] - span[0]) // periods.SLOT_US
    return total


async def put_right(
    link: AsyncConnection[Any],
    plant: Plant,
    ids: Mapping[str, int],
    found: Compared,
    now: Callable[[], datetime],
) -> int:
    """Write what was computed where it differs and nothing waits; return how much was written.

    What came since the comparison is not lost: all that is written is marked to be computed again.
    """
    await results.alone(link, wait=True)
    wrong = [each for each in found.slot_differences if each.standing is Standing.DEFECT]
    rows = [(ids[each.point], each.start_us, each.computed) for each in wrong]
    await slotarrays.put(link, rows, now())
    await slots.touch(
        link,
        [(ids[each.point], each.start_us, each.start_us + periods.SLOT_US) for each in wrong],
    )
    at = now()
    rests_on = await basis.of_plant(link, plant, at)
    written = len(wrong)
    for standing, why in ((Standing.DEFECT, causes.by_recompute()), (Standing.CATALOGUE, None)):
        wrong_results = [each for each in found.result_differences if each.standing is standing]
        figures = [
            Figure(each.unit, each.indicator, each.period, *each.bound, each.computed)
            for each in wrong_results
        ]
        written += sum(await versions.write_all(link, figures, at, now(), rests_on, why))
        await results.touch(link, [(each.unit, *each.bound) for each in wrong_results])
    return written


def lines(report: Report, zones: Mapping[str, str]) -> list[str]:
    """Return the report for a person."""
    found = [line for each in report.listed for line in _said(each, zones)]
    defects, pending, other = (report.counts[each] for each in Standing)
    hidden = defects + other - len(report.listed)
    if hidden > 0:
        found.append(f"... and {hidden} more")
    found.append(
        f"{report.points} points, {report.slots} slots, {report.results} results in"
        f" {report.seconds:.1f} s ({report.slots_per_s:.0f} slots/s): {defects} defects"
    )
    if other:
        found.append(f"{other} figures were computed with another catalogue: no defects")
    if pending:
        found.append(f"{pending} differ while readings or facts wait for their figures: no defects")
    if report.archived_slots:
        found.append(f"{report.archived_slots} slots not compared: their readings are archived")
    if report.written:
        found.append(f"{report.written} written")
    return found


def _said(each: SlotDifference | ResultDifference, zones: Mapping[str, str]) -> list[str]:
    word = "DEFECT" if each.standing is Standing.DEFECT else "other catalogue"
    if isinstance(each, SlotDifference):
        zone = zones[each.point.partition(".")[0]]
        at = periods.render(each.start_us, zone)
        if each.stored is None or each.computed is None:
            missing = "is missing" if each.stored is None else "is stored and comes of nothing"
            return [f"{word} slot {each.point} {at} {missing}"]
        return [
            f"{word} slot {each.point} {at} {key}: stored {stored}, computed {computed}"
            for key, stored, computed in zip(SLOT_KEYS, each.stored, each.computed, strict=True)
            if stored != computed
        ]
    zone = zones[each.unit.partition(".")[0]]
    at = periods.render(each.bound[0], zone)
    where = f"{word} {each.period} {each.unit} {each.indicator} {at}"
    if each.stored is None:
        return [f"{where} is missing"]
    return [
        f"{where} {key}: stored {_short(stored)}, computed {_short(computed)}"
        for key, stored, computed in each.parts()
    ]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."  # noqa: PLR2004 - a line for a person


def as_json(report: Report) -> dict[str, Any]:
    """Return the report for a program."""
    return {
        "points": report.points,
        "slots": report.slots,
        "results": report.results,
        "seconds": round(report.seconds, 3),
        "slots_per_s": round(report.slots_per_s),
        "defects": report.counts[Standing.DEFECT],
        "pending": report.counts[Standing.PENDING],
        "other_catalogue": report.counts[Standing.CATALOGUE],
        "archived_slots": report.archived_slots,
        "written": report.written,
        "differences": [_item(each) for each in report.listed],
    }


def _item(each: SlotDifference | ResultDifference) -> dict[str, Any]:
    if isinstance(each, SlotDifference):
        return {
            "kind": "slot",
            "standing": each.standing.value,
            "point": each.point,
            "slot_start": periods.render_utc(each.start_us),
            "stored": each.stored and dict(zip(SLOT_KEYS, each.stored, strict=True)),
            "computed": each.computed and dict(zip(SLOT_KEYS, each.computed, strict=True)),
        }
    return {
        "kind": "result",
        "standing": each.standing.value,
        "unit": each.unit,
        "indicator": each.indicator,
        "period": each.period,
        "period_start": periods.render_utc(each.bound[0]),
        "result": None if each.stored is None else str(each.stored.result),
        "version": None if each.stored is None else each.stored.version,
        "differs": {key: {"stored": a, "computed": b} for key, a, b in each.parts()},
    }
