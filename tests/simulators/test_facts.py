"""Production facts: the journal, and publishing until the receipt over a real broker."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.clock import to_us
from simulators import process
from simulators.facts import FactJournal, FactPublisher
from simulators.link import Link, broker_from
from simulators.process import Fact
from tests.simulators.standin import StandIn, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fixtures.broker import Broker

PLANTS = Path(process.__file__).parent / "plants"
NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
NOW_US = to_us(NOW)
HOUR_US = 3_600_000_000
TAPS = [Fact(f"f{number}", NOW_US + number, "gh-al.potline-1", "36.1") for number in range(3)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FactJournal]:
    opened = FactJournal(tmp_path / "f.sqlite", "digest")
    yield opened
    opened.close()


def test_a_fact_is_kept_until_its_receipt(journal: FactJournal) -> None:
    journal.add(TAPS, NOW_US + 10)
    journal.add(TAPS, NOW_US + 10)
    assert [fact_id for fact_id, _ in journal.oldest_waiting(10)] == ["f0", "f1", "f2"]
    journal.receipt(["f1", "nobody"])
    assert [fact_id for fact_id, _ in journal.oldest_waiting(10)] == ["f0", "f2"]
    assert journal.until_us == NOW_US + 10


def test_facts_outlive_the_program(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    first = FactJournal(path, "digest")
    first.add(TAPS, NOW_US)
    first.receipt(["f0"])
    first.close()
    second = FactJournal(path, "digest")
    assert (second.waiting, second.until_us) == (2, NOW_US)
    second.close()
    other = FactJournal(path, "another plant")
    assert (other.waiting, other.until_us) == (0, None)
    other.close()


def test_receipted_facts_are_dropped_by_age(journal: FactJournal) -> None:
    journal.add(TAPS, NOW_US)
    journal.receipt(["f0", "f1", "f2"])
    journal.add([], NOW_US + 41 * 24 * HOUR_US)
    journal.forget_receipts()
    assert journal.waiting == 0


@pytest.mark.parametrize("name", ["gh_al", "qh_ce"])
async def test_every_fact_arrives_and_the_journal_empties(
    broker: Broker, journal: FactJournal, name: str
) -> None:
    played = process.load(PLANTS / f"{name}.toml", 1)
    link = Link(broker_from(broker.url, None, None))
    publisher = FactPublisher(played, journal, link, lambda: NOW)
    begin_us = NOW_US - 10 * 24 * HOUR_US
    expected = {fact.id: fact.item() for fact in played.facts(begin_us, NOW_US)}
    async with StandIn(broker.url).running() as store, link.running():
        store.silent = True
        task = asyncio.create_task(publisher.run(begin_us))
        await until(lambda: len(store.facts) >= 200)
        assert len(store.facts) == 200
        store.silent = False
        publisher.store_changed()
        await until(lambda: not journal.waiting)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert store.facts == expected
