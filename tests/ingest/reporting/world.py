"""What the tests of national reporting share: a ledger, platforms of this machine, a clock."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from core import decimals, nationalreport, periods, reportplan
from core.clock import from_us, to_us
from core.decimals import E6
from core.periods import SLOT_US, Period
from ingest.reporting import link as links
from ingest.reporting.config import Platform
from ingest.reporting.maker import Maker, Reach
from ingest.reporting.sender import Sender
from simulators import platform as simulated
from store import plants, reportqueue, versions
from tests.core.reportcase import PLANT, TEXT

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from core.reportplan import Report
    from store.connection import Pool
    from store.reportqueue import Progress

KEY = "a key of the tests, long enough"
ZONE = "Asia/Shanghai"
NAMES = nationalreport.shipped()
DAY = to_us(datetime.fromisoformat("2026-11-20T00:00:00+08:00"))
NOW = datetime.fromisoformat("2026-11-20T03:10:00+08:00")
POINTS = ("ac-import", "ac-export", "gas")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@contextmanager
def platform(
    folder: Path,
    name: str,
    faults: simulated.Faults | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[simulated.Server]:
    """Yield a platform that listens; it is closed at the end."""
    with (
        closing(simulated.Ledger(folder / f"{name}.db")) as ledger,
        simulated.Server(0, KEY.encode(), ledger, faults or simulated.Faults(), tls=tls) as server,
    ):
        worker = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        worker.start()
        try:
            yield server
        finally:
            server.shutdown()
            worker.join(10)


def settings(folder: Path, name: str, url: str, **more: Any) -> Platform:
    """Return a platform's table, its key and its report in the folder."""
    for file, text in (("key", KEY), ("national.toml", TEXT)):
        if not (folder / file).exists():
            (folder / file).write_text(text, encoding="utf-8")
    given = {"name": name, "url": url, "key_file": folder / "key", **more}
    return Platform.model_validate({"report": folder / "national.toml", **given})


@dataclass
class Desk:
    """A ledger with slots, and what is made and sent of it."""

    pool: Pool
    folder: Path
    clock: Clock = field(default_factory=Clock)
    ids: dict[str, int] = field(default_factory=dict)

    async def declare(self) -> Report:
        async with self.pool.connection() as link:
            await plants.apply(link, PLANT, NOW)
            self.ids = dict((await plants.load(link)).ids)
        settings(self.folder, "any", "http://127.0.0.1:9")
        self.maker = Maker(self.pool, self.folder / "national.toml", NAMES)
        return await self.maker.report()

    async def book(
        self,
        point: str,
        start_us: int,
        energy_e6: int | None,
        *,
        measured: Fraction = Fraction(1),
        estimated_e6: int = 0,
    ) -> None:
        """Write one slot of a point, over what is there."""
        await self._book([(point, start_us, energy_e6, estimated_e6, int(SLOT_US * measured))])

    async def book_slots(self, count: int, first_us: int = DAY) -> None:
        """Book slots of both electricity points, each with a figure of its own."""
        starts = [first_us + n * SLOT_US for n in range(count)]
        await self._book(
            [
                (point, start, energy, 0, SLOT_US)
                for n, start in enumerate(starts)
                for point, energy in (("ac-import", (10 + n) * E6 + 1), ("ac-export", 7 * E6))
            ]
        )

    async def book_all_day(self, point: str, day_us: int, energy_e6: int) -> None:
        """Book the 96 slots of a day of one point alike."""
        starts = [day_us + n * SLOT_US for n in range(96)]
        await self._book([(point, start, energy_e6, 0, SLOT_US) for start in starts])

    async def _book(self, rows: list[tuple[str, int, int | None, int, int]]) -> None:
        async with self.pool.connection() as link, link.cursor() as cursor:
            await cursor.executemany(
                "insert into slot_energy values (%s, %s, %s, %s, %s, 0, %s) on conflict"
                " (point_id, slot_start) do update set energy_e6 = excluded.energy_e6,"
                " estimated_e6 = excluded.estimated_e6, measured_us = excluded.measured_us",
                [
                    (self.ids[f"gh-al.potline-1.{point}"], from_us(start), energy, part, us, NOW)
                    for point, start, energy, part, us in rows
                ],
            )

    async def book_result(
        self, period: Period, start_us: int, output: str | None, completeness: float = 1.0
    ) -> None:
        """Write a closed result of the potline."""
        figures: dict[str, Any] = {
            "energy": {"value": "1000", "estimated": "0", "unit": "kWh"},
            "output": {"value": output, "unit": "t"},
            "intensity": {"value": None, "unit": "kWh/t", "uncertainty": None},
            "completeness": completeness,
            "flags": [],
            "verdicts": [],
            "formula_version": 1,
            "inputs": {"points": {}},
        }
        bounds = periods.period_at(period, start_us, ZONE)
        key = ("gh-al.potline-1", "al.liquid.ac", period.value)
        async with self.pool.connection() as link:
            assert await versions.write(link, key, bounds, figures, self.clock.now)

    async def look(self, report: Report, reach: Reach = Reach.WIDE) -> int:
        return (await self.maker.look(report, self.clock.now, reach)).kept

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as link:
            return await (await link.execute(query)).fetchall()

    async def progress(self) -> dict[str, Progress]:
        async with self.pool.connection() as link:
            return {p.session.destination: p for p in await reportqueue.progress(link)}

    def sender(self, table: Platform, report: Report) -> Sender:
        return Sender(self.pool, table, report, self.clock)

    async def send(self, table: Platform, sender: Sender, steps: int = 6) -> None:
        """Take so many steps, a second apart."""
        async with links.client(table) as link:
            for _ in range(steps):
                await sender.step(link)
                self.clock.move(1)

    async def drain(self, table: Platform, sender: Sender, most_steps: int = 2_000) -> int:
        """Step until nothing waits, moving on to when the next step may be; return the steps."""
        detail = ""
        async with links.client(table) as link:
            for step in range(most_steps):
                await sender.step(link)
                found = (await self.progress())[table.name]
                if found.waiting + found.behind == 0:
                    return step + 1
                detail = f"{found.waiting} figures still wait: {found.session.detail}"
                self.clock.now = max(self.clock.now, found.session.next_at) + timedelta(seconds=1)
        raise AssertionError(detail)

    async def told(self) -> dict[tuple[str, str, str], str]:
        """Return the newest revision of each figure, as a platform must have it in the end."""
        rows = await self.rows(
            "select distinct on (item, period, period_start) item, period, period_start, value"
            " from report_figure order by item, period, period_start, revision desc"
        )
        return {
            (item, period, NAMES.label(to_us(start), ZONE)): value
            for item, period, start, value in rows
        }


def arrived(server: simulated.Server) -> dict[tuple[str, str, str], str]:
    """Return what a platform keeps, in our words of periods."""
    words = {code: word for word, code in NAMES.codes["period"].items()}
    return {
        (row["item"], words[row["period"]], row["label"]): row["value"]
        for row in server.ledger.rows()
    }


def item(report: reportplan.Report, name: str) -> reportplan.Item:
    """Return an item by its name."""
    return next(each for each in report.items if each.name == name)


def slot_value(n: int) -> str:
    """Return what slot n of `book_slots` has to be told as, by hand: MWh in, kWh out."""
    millionths = ((10 + n) * E6 + 1) * 1000 - 7 * E6
    return decimals.show(Fraction(millionths, E6))
