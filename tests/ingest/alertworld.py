"""What the tests of alerts share: a plant, verdicts made by hand, channels of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from core import plant as plants
from core.clock import to_us
from core.periods import Period
from ingest.alerting import Alerting, Computed
from ingest.channels import Webhook
from store import alerts

if TYPE_CHECKING:
    from pathlib import Path

    from psycopg import AsyncConnection

    from store.alerts import Kept
    from store.connection import Pool

OCTOBER = datetime(2026, 9, 30, 16, tzinfo=UTC)
NOVEMBER = datetime(2026, 10, 31, 16, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TARGET = "cn-qh.al.liquid.ac.target-2020"
LAW = "cn.al.liquid.ac.gb21346-2022.level-3"
ADVANCED = "cn.al.liquid.ac.gb21346-2022.level-1"
FORCES = {TARGET: "target", LAW: "mandatory", ADVANCED: "reference"}
UNIT = "gh-al.potline-2"
SECRET = "the secret of the tests"
PLANT = plants.parse(
    """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
jurisdiction = "cn-qh"
timezone = "Asia/Shanghai"
[site.gh-al.unit.potline-2]
name = { zh = "电解二系列", en = "Potline 2" }
kind = "potline"
product = "aluminium_liquid"
indicators = ["al.liquid.ac"]
""",
    "plant.toml",
)


def month(
    verdict: str, limit: str = TARGET, start: datetime = NOVEMBER, *, closed: bool = False
) -> Computed:
    """Return a month's figures with one verdict."""
    return computed(Period.MONTH, {limit: verdict}, start, closed=closed)


def computed(
    period: Period, verdicts: dict[str, str], start: datetime, *, closed: bool, changed: bool = True
) -> Computed:
    figures: dict[str, Any] = {
        "intensity": {"value": "13179.5", "unit": "kWh/t", "uncertainty": "106.2"},
        "completeness": 0.99,
        "verdicts": [
            {
                "limit": limit,
                "force": FORCES[limit],
                "level": None,
                "cmp": "<=",
                "limit_value": "12750",
                "verdict": verdict,
                "lapsed": True,
            }
            for limit, verdict in verdicts.items()
        ],
    }
    return Computed("al.liquid.ac", period, to_us(start), closed, changed, figures)


def channel(folder: Path, url: str = "http://127.0.0.1:9/alerts", **more: Any) -> Webhook:
    """Return a channel whose secret lies in the folder."""
    secret = folder / "secret"
    if not secret.exists():
        secret.write_text(SECRET)
    given = {"name": "regulator", "url": url, "secret_file": secret, "jurisdiction": "cn", **more}
    return Webhook.model_validate(given)


@dataclass
class Desk:
    """Judges one verdict a minute, each in a transaction of its own."""

    pool: Pool
    alerting: Alerting
    now: datetime = NOW

    async def see(self, *seen: Computed) -> str:
        """Judge, move a minute on, and return the state of the first alert there is."""
        async with self.pool.connection() as connection:
            await self.judge(connection, *seen)
        self.now += MINUTE
        return await self.state()

    async def judge(self, connection: AsyncConnection[Any], *seen: Computed) -> None:
        await self.alerting.judge(connection, PLANT, PLANT.units[UNIT], seen, self.now)

    async def wait(self) -> str:
        """Let time alone work, and move a minute on."""
        async with self.pool.connection() as connection:
            await self.alerting.tick(connection, PLANT, self.now)
        self.now += MINUTE
        return await self.state()

    async def kept(self) -> list[Kept]:
        async with self.pool.connection() as connection:
            return list((await alerts.of_unit(connection, UNIT)).values())

    async def state(self) -> str:
        found = await self.kept()
        return found[0].alert.state.value if found else "absent"

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as connection:
            return await (await connection.execute(query)).fetchall()
