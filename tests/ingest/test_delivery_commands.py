"""`danhao alerts deliveries` says of each channel whether it is out, and what waits for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import danhao
from ingest import delivery_commands, notifier
from ingest.transports import open_transport
from store import deliveries
from tests.fixtures.service import free_port
from tests.ingest.alertworld import NOW, channel
from tests.ingest.test_bundles import Clock, Yard, inbox

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from store.connection import Pool


async def rows(yard: Yard) -> list[deliveries.Fared]:
    async with yard.pool.connection() as connection:
        return await deliveries.of_channels(connection, yard.clock())


async def test_a_channel_that_is_out_is_bad_news_with_its_last_error(
    pool: Pool, tmp_path: Path
) -> None:
    yard = Yard(pool, channel(tmp_path, f"http://127.0.0.1:{free_port()}/alerts"))
    await yard.fire(6)
    await yard.step()
    (found,) = await rows(yard)
    assert delivery_commands.is_bad(found)
    shown = delivery_commands.item(found, yard.clock())
    assert (shown["circuit"], shown["failures"], shown["waiting"]) == ("open", 5, 6)
    assert "ConnectError" in shown["detail"]
    text = "\n".join(delivery_commands.lines([found], yard.clock()))
    assert "regulator  open" in text
    assert "5 failures in a row since 2026-11-21T04:02:00" in text


async def test_what_was_told_is_counted_and_a_bundle_apart(pool: Pool, tmp_path: Path) -> None:
    clock = Clock()
    with inbox(tmp_path, clock) as server:
        there = channel(tmp_path, server.url, most_per_10_min=2)
        yard = Yard(pool, there, clock=clock)
        await yard.fire(6)
        async with open_transport(there) as link:
            await notifier.Notifier(pool, there, clock).step(link)
    (found,) = await rows(yard)
    assert not delivery_commands.is_bad(found)
    assert (found.waiting, found.delivered, found.bundles, found.bundled) == (0, 6, 1, 5)
    assert delivery_commands.item(found, clock())["circuit"] == "closed"


def test_where_nothing_was_ever_told_it_says_so(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert danhao.main(["alerts", "deliveries", "--database-url", database_url]) == 0
    assert "[[channel]]" in capsys.readouterr().out
    assert danhao.main(["alerts", "deliveries", "--json", "--database-url", database_url]) == 0
    assert json.loads(capsys.readouterr().out) == {"items": []}
    assert delivery_commands.lines([], NOW)[0].startswith("nothing")
