"""Promises of gathering: a report says what the store holds, now or as known at an instant."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from api.reporting import gather, requested
from api.reporting.gather import Asked
from core import decimals, spans
from core.clock import to_us
from core.periods import Period
from core.reports.document import Kind, Table
from store import plants, results
from tests.api.reporting import months
from tests.api.reporting.months import FURNACE, NOW, OCTOBER, POTLINE

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.reports.document import Document
    from store.connection import Pool

OCTOBER_US = (to_us(OCTOBER), to_us(OCTOBER + 31 * months.DAY))


async def ask(
    link: AsyncConnection[Any], period: str, now: datetime = NOW, as_of: datetime | None = None
) -> Asked:
    loaded = await plants.load(link)
    sites = [site for _, site in sorted(loaded.plant.sites.items())]
    at_us = None if as_of is None else to_us(as_of)
    return Asked(loaded.plant, loaded.ids, sites, spans.parse(period), to_us(now), at_us)


async def stored(link: AsyncConnection[Any], unit: str, kind: Period) -> list[dict[str, Any]]:
    key = (unit, "al.liquid.ac" if unit == POTLINE else "fesi.smelting", kind.value)
    return [row.figures for row in await results.read(link, key, OCTOBER_US, 40)]


def cells(document: Document, section: str, key: str) -> Table:
    blocks = next(one.blocks for one in document.sections if one.key == section)
    return next(one for one in blocks if isinstance(one, Table) and one.key == key)


async def test_a_month_is_the_stored_one_and_late_data_make_its_next_version(pool: Pool) -> None:
    async with pool.connection() as link:
        await months.build(link, days=31)
        before = await gather.figures(link, await ask(link, "2026-10"))
        assert [one.unit.id for one in before] == [POTLINE, POTLINE, FURNACE]
        for one in before[0], before[2]:
            (month,) = await stored(link, one.unit.id, Period.MONTH)
            assert one.item is not None
            assert one.item["intensity"] == month["intensity"]
            assert one.item["verdicts"] == month["verdicts"]
            days = await stored(link, one.unit.id, Period.DAY)
            assert [day["energy"] for day in one.parts] == [day["energy"] for day in days]
        # A tapping of October comes a day after the month was known.
        await months.tap(link, POTLINE, "late", 40, OCTOBER + timedelta(days=3), {})
        await months.evaluate(link, OCTOBER, months.LATER)
        later = await ask(link, "2026-10", months.LATER)
        after = await gather.figures(link, later)
        assert after[0].item is not None
        assert after[0].item["version"] == 2
        assert [one["version"] for one in after[0].versions] == [1, 2]
        document = await requested.document(link, Kind.INTENSITY, later)
        table = cells(document, "gh-al-potline-1-al-liquid-ac", "versions")
        assert len(table.rows) == 2
        then = await gather.figures(link, await ask(link, "2026-10", months.LATER, NOW))
        assert before[0].item is not None
        assert then[0].item is not None
        assert then[0].item["intensity"] == before[0].item["intensity"]
        assert [day["intensity"] for day in then[0].parts] == [
            day["intensity"] for day in before[0].parts
        ]


async def test_a_quarter_is_its_own_energy_over_its_own_output(pool: Pool) -> None:
    async with pool.connection() as link:
        await months.build(link)
        found = await gather.quarters(link, await ask(link, "2026-Q3"))
        potline = found[0].figure
        assert len(potline.parts) == 3
        sums = {
            half: sum(
                (Fraction(decimals.parse(month[half]["value"])) for month in potline.parts),
                Fraction(0),
            )
            for half in ("energy", "output")
        }
        item = potline.item
        assert item is not None
        assert decimals.show(sums["energy"]) == item["energy"]["value"]
        assert decimals.show(sums["output"]) == item["output"]["value"]
        assert decimals.show(sums["energy"] / sums["output"]) == item["intensity"]["value"]
        # Nothing was measured before July: there is nothing to compare with.
        assert found[0].before is None
        assert found[0].year_ago is None
        document = await requested.document(link, Kind.QUARTER, await ask(link, "2026-Q3"))
        table = cells(document, "gh-al-potline-1-al-liquid-ac", "months")
        assert len(table.rows) == 5
        assert table.totals == 2
        running = await gather.quarters(link, await ask(link, "2026-Q4"))
        # November has begun, but nothing of it is known: it is no month of the report.
        assert [month["period_start"][:7] for month in running[0].figure.parts] == ["2026-10"]
        assert running[0].before is not None
        assert running[0].before["intensity"] == item["intensity"]


async def test_a_month_with_a_gap_names_its_completeness(pool: Pool) -> None:
    async with pool.connection() as link:
        await months.build(link, days=31)
        furnace = (await gather.figures(link, await ask(link, "2026-10")))[2]
        assert furnace.item is not None
        assert furnace.item["completeness"] == round(28 / 31, 6)
        silent = [day["intensity"]["value"] for day in furnace.parts[11:14]]
        assert silent == [None, None, None]
