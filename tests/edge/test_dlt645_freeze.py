"""Daily freezes: counts that belong to midnight, asked once, caught up after a stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import from_us, to_us
from core.quality import Quality
from core.reading import Reading
from edge.dlt645 import items, line
from edge.dlt645.freeze import RETRY_US, Book
from edge.dlt645.line import TcpSettings
from edge.dlt645.meter import Dlt645Meter
from simulators.dlt645 import SimulatedMeter, date_time, frozen_at, number
from simulators.dlt645_meter import Dlt645Line

ZONE = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 21, 12, tzinfo=ZONE)
ADDRESS = "000000000161"
DAILY = "gh-al.p.daily"
POINTS = {DAILY: items.builtin().items["daily_forward_active_energy"]}


class Frozen:
    """A meter that freezes at 00:00 of a clock of its own, `ahead` of the true one."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.ahead = timedelta()
        self.days = 62
        self.hides: set[str] = set()

    def show(self, identifier: str) -> bytes | None:
        local = (self.now + self.ahead).astimezone(ZONE)
        clock = date_time(local)
        if identifier in self.hides:
            return None
        if identifier in clock:
            return clock[identifier]
        if not identifier.startswith("0506"):
            return None
        back = int(identifier[6:], 16) - 1
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=back)
        if back >= self.days:
            return None
        if identifier[:6] == "050600":
            return frozen_at(midnight)
        return number(self.count(midnight), 4) if identifier[:6] == "050601" else None

    @staticmethod
    def count(midnight: datetime) -> int:
        return 10_000 + midnight.toordinal() % 1_000 * 24


def midnights(newest: datetime, days: int) -> list[Reading]:
    whole = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    each = [whole - timedelta(days=back) for back in range(days)]
    return [Reading(DAILY, to_us(at), Frozen.count(at)) for at in each]


class Stand:
    """The driver before such a meter; `poll` at an instant."""

    def __init__(self, meter: Frozen, port: int, **other: Any) -> None:
        self.meter = meter
        given: dict[str, Any] = {"freeze_days": 1, **other}
        self.driver = Dlt645Meter(
            "m1",
            line=line.line(TcpSettings("127.0.0.1", port)),
            address=ADDRESS,
            points=POINTS,
            answer_s=1.0,
            timeout_s=5.0,
            clock=lambda: self.meter.now,
            zone=ZONE,
            **given,
        )
        self.faults: tuple[str, ...] = ()

    async def poll(self, now: datetime | None = None) -> list[Reading]:
        self.meter.now = now or self.meter.now
        polled = await self.driver.poll()
        self.faults = polled.faults
        return list(polled.readings)


async def test_a_freeze_belongs_to_its_midnight_in_plant_time_and_is_read_once() -> None:
    meter = Frozen(NOON)
    simulated = SimulatedMeter(ADDRESS, show=meter.show)
    async with Dlt645Line([simulated]).serving() as served:
        stand = Stand(meter, served.port)
        first = await stand.poll()
        asked = len(simulated.reads)
        second = await stand.poll(NOON + timedelta(hours=1))
        await stand.driver.close()
    midnight = datetime(2026, 11, 20, 16, tzinfo=UTC)
    assert first == [Reading(DAILY, to_us(midnight), Frozen.count(NOON.replace(hour=0)))]
    assert second == []
    assert len(simulated.reads) == asked
    assert stand.faults == ()
    assert stand.driver.counters == {DAILY}


async def test_the_next_freeze_is_read_soon_after_the_next_midnight() -> None:
    meter = Frozen(NOON)
    simulated = SimulatedMeter(ADDRESS, show=meter.show)
    async with Dlt645Line([simulated]).serving() as served:
        stand = Stand(meter, served.port)
        await stand.poll()
        midnight = datetime(2026, 11, 22, tzinfo=ZONE)
        early = await stand.poll(midnight + timedelta(seconds=20))
        found = await stand.poll(midnight + timedelta(seconds=31))
        await stand.driver.close()
    assert early == []
    assert found == midnights(midnight, 1)


async def test_a_meter_whose_clock_is_behind_is_asked_again_until_it_has_frozen() -> None:
    meter = Frozen(NOON)
    meter.ahead = timedelta(seconds=-50)
    async with Dlt645Line([SimulatedMeter(ADDRESS, show=meter.show)]).serving() as served:
        stand = Stand(meter, served.port)
        await stand.poll()
        midnight = datetime(2026, 11, 22, tzinfo=ZONE)
        first = await stand.poll(midnight + timedelta(seconds=40))
        again = await stand.poll(midnight + timedelta(seconds=101))
        await stand.driver.close()
    assert first == []
    assert again == midnights(midnight, 1)
    assert again[0].quality is Quality.GOOD


async def test_the_days_on_which_nobody_asked_are_caught_up_one_a_poll() -> None:
    meter = Frozen(NOON)
    async with Dlt645Line([SimulatedMeter(ADDRESS, show=meter.show)]).serving() as served:
        stand = Stand(meter, served.port, freeze_days=5)
        found = [await stand.poll(NOON + timedelta(seconds=10 * n)) for n in range(7)]
        await stand.driver.close()
    assert [reading for each in found for reading in each] == midnights(NOON, 5)
    assert [len(each) for each in found] == [1, 1, 1, 1, 1, 0, 0]


async def test_a_young_meter_has_no_older_freezes_and_that_is_no_fault() -> None:
    meter = Frozen(NOON)
    meter.days = 2
    async with Dlt645Line([SimulatedMeter(ADDRESS, show=meter.show)]).serving() as served:
        stand = Stand(meter, served.port, freeze_days=30)
        found = [await stand.poll(NOON + timedelta(minutes=5 * n)) for n in range(5)]
        faults = stand.faults
        await stand.driver.close()
    assert [reading for each in found for reading in each] == midnights(NOON, 2)
    assert faults == ()


async def test_a_meter_without_freezes_says_so_until_it_has_one() -> None:
    meter = Frozen(NOON)
    meter.days = 0
    async with Dlt645Line([SimulatedMeter(ADDRESS, show=meter.show)]).serving() as served:
        stand = Stand(meter, served.port)
        assert await stand.poll() == []
        assert "has no data under this identifier: 05060001" in stand.faults[0]
        await stand.poll(NOON + timedelta(seconds=10))
        assert stand.faults  # the fault stands between two tries, it does not come and go
        meter.days = 1
        assert await stand.poll(NOON + timedelta(seconds=70)) == midnights(NOON, 1)
        assert stand.faults == ()
        await stand.driver.close()


@pytest.mark.parametrize(("seconds", "quality"), [(59, Quality.GOOD), (61, Quality.UNCERTAIN)])
async def test_a_freeze_of_a_meter_with_a_wrong_clock_is_uncertain(
    seconds: int, quality: Quality
) -> None:
    meter = Frozen(NOON)
    meter.ahead = timedelta(seconds=-seconds)
    async with Dlt645Line([SimulatedMeter(ADDRESS, show=meter.show)]).serving() as served:
        stand = Stand(meter, served.port)
        (found,) = await stand.poll()
        await stand.driver.close()
    assert found.quality is quality
    assert bool(stand.faults) is (quality is Quality.UNCERTAIN)
    if stand.faults:
        assert "clock that is -61 s off" in stand.faults[0]


async def test_a_freeze_of_tomorrow_is_no_reading() -> None:
    meter = Frozen(NOON)
    meter.ahead = timedelta(days=1)
    async with Dlt645Line([SimulatedMeter(ADDRESS, show=meter.show)]).serving() as served:
        stand = Stand(meter, served.port)
        assert await stand.poll() == []
        await stand.driver.close()
    assert "2026-11-21 16:00:00+00:00" in stand.faults[0]


async def test_a_freeze_that_is_days_old_is_told() -> None:
    meter = Frozen(NOON)
    meter.ahead = timedelta(days=-3)
    meter.hides = {"04000101"}  # a meter that tells no date is not doubted for that
    async with Dlt645Line([SimulatedMeter(ADDRESS, show=meter.show)]).serving() as served:
        stand = Stand(meter, served.port)
        assert await stand.poll() == midnights(NOON - timedelta(days=3), 1)
        await stand.driver.close()
    assert "made its latest daily freeze at 2026-11-17 16:00:00+00:00" in stand.faults[0]


async def test_a_day_that_ends_between_the_questions_gives_no_mixed_reading() -> None:
    meter = Frozen(NOON)

    def show(identifier: str) -> bytes | None:
        told = meter.show(identifier)
        if identifier == "05060001":
            meter.now += timedelta(days=1)
        return told

    async with Dlt645Line([SimulatedMeter(ADDRESS, show=show)]).serving() as served:
        stand = Stand(meter, served.port)
        assert await stand.poll() == []
        await stand.driver.close()
    assert stand.faults == ()


@pytest.mark.parametrize(
    "raw", ["", "0000000000", "FFFFFFFFFF", "0000311126", "0060211126", "0024211126", "00002111"]
)
def test_what_is_no_instant_is_none(raw: str) -> None:
    assert Book(1, ZONE).instant(bytes.fromhex(raw)) is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001 - plant time
def test_an_instant_is_plant_time(local: datetime) -> None:
    aware = local.replace(second=0, microsecond=0, tzinfo=ZONE)
    assert Book(1, ZONE).instant(frozen_at(aware)) == to_us(aware)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001 - plant time
def test_a_clock_is_plant_time_and_not_trusted_around_midnight(local: datetime) -> None:
    aware = local.replace(microsecond=0, tzinfo=ZONE)
    told = date_time(aware)
    shown = Book(1, ZONE).clock(told["04000101"], told["04000102"])
    seconds = aware.hour * 3_600 + aware.minute * 60 + aware.second
    assert shown == (to_us(aware) if 10 <= seconds <= 86_390 else None)


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=30), st.integers(1, 8))
def test_whenever_it_is_polled_every_midnight_is_asked_for(steps: list[int], days: int) -> None:
    book = Book(days, ZONE)
    now_us, told = to_us(NOON), set()
    for step in [*steps, *[70] * (days + 2)]:
        now_us += step * 1_000_000
        number_ = book.due(now_us)
        if number_ is None:
            continue
        latest = from_us(now_us).astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
        at_us = to_us(latest - timedelta(days=number_ - 1))
        if book.is_new(number_, at_us):
            told.add(at_us)
        book.took(number_, at_us, now_us)
    latest_us = to_us(
        from_us(now_us - 2 * RETRY_US)
        .astimezone(ZONE)
        .replace(hour=0, minute=0, second=0, microsecond=0)
    )
    assert latest_us in told
    assert max(told) <= now_us
