"""A story and the API that speaks of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from api.app import create_app
from api.config import Settings
from api.schemas import EnergyItem, Page, PeriodItem
from store import access
from tests.api import examples
from tests.api.world import bearer
from tests.story import POINTS, START, UNIT, Story

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from store.connection import Pool

RANGE = {"from": "2026-10-30T00:00:00+08:00", "to": "2026-12-31T00:00:00+08:00"}
YEAR = {"from": "2026-01-01T00:00:00+08:00", "to": "2027-01-01T00:00:00+08:00"}
RANGES = {"hour": RANGE, "day": RANGE, "month": YEAR, "year": YEAR}
FIGURES = (
    "period_start", "period_end", "closed", "energy", "output", "intensity", "completeness",
    "flags", "verdicts", "formula_version", "version", "result", "known_from", "causes", "close",
)  # fmt: skip


class Told:
    """A story and the API that speaks of it, asked by an admin."""

    def __init__(self, told: Story, client: httpx.AsyncClient, secret: str) -> None:
        self.story, self.client, self.secret = told, client, secret

    async def ask(self, path: str, **params: Any) -> httpx.Response:
        return await self.client.get(f"/api/v1/{path}", params=params, headers=bearer(self.secret))

    async def items(self, path: str, **params: Any) -> list[dict[str, Any]]:
        answer = await self.ask(path, limit=5000, **params)
        assert answer.status_code == 200, answer.text
        model = Page[PeriodItem] if path.startswith("units") else Page[EnergyItem]
        model.model_validate_json(answer.content)
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    async def figures(
        self, as_of: datetime | None = None, ranges: Mapping[str, Mapping[str, str]] = RANGES
    ) -> dict[str, list[dict[str, Any]]]:
        """Return the unit's figures of kinds in their ranges, and its points' energy by hour."""
        then = {} if as_of is None else {"as_of": as_of.isoformat()}
        found: dict[str, list[dict[str, Any]]] = {}
        for kind, within in ranges.items():
            asked = {"period": kind, **within, **then}
            for indicator in ("fesi.comprehensive", "fesi.smelting"):
                items = await self.items(f"units/{UNIT}/intensity", indicator=indicator, **asked)
                found[f"{kind} {indicator}"] = [
                    {key: item[key] for key in FIGURES} for item in items
                ]
        for point in POINTS:
            items = await self.items(
                f"points/{point}/energy", period="hour", **ranges["hour"], **then
            )
            found[point] = [
                {key: value for key, value in item.items() if key != "computed_at"}
                for item in items
            ]
        return found


@asynccontextmanager
async def tell(
    database_url: str, pool: Pool, close_key_file: Path | None = None
) -> AsyncIterator[Told]:
    """Begin a story and open the API over its store, on the story's clock."""
    begun = await Story.begin(pool)
    async with pool.connection() as connection:
        secret = await access.create_token(
            connection, name="admin", role="admin", scope=("*",), now=START
        )
    settings = Settings(database_url=database_url, close_key_file=close_key_file)
    app = create_app(settings, pool, lambda: begun.now)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://danhao.test", event_hooks=examples.hooks()
    ) as client:
        yield Told(begun, client, secret)
