"""`danhao bench recompute`: what was computed live is computed again to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from core import plant
from core.errors import Misconfigured
from core.quality import Quality
from deploy.benches import recompute
from ingest.comparison import Standing
from ingest.recompute import Report
from store.plants import Loaded
from tests.ingest import world

if TYPE_CHECKING:
    from store.connection import Pool


@pytest.mark.parametrize(
    ("units", "months", "judged"),
    [(0, 1, 0), (-1, 1, None), (1, 0, None), (1, 99, None), (2, 1, 3)],
)
def test_a_number_that_makes_no_sense_is_refused(
    units: int, months: int, judged: int | None
) -> None:
    with pytest.raises(Misconfigured, match="--units"):
        recompute.measure(units, months, judged)


@pytest.mark.slow
async def test_a_month_computed_live_is_computed_again_to_the_last_bit(pool: Pool) -> None:
    life = await recompute.live(pool, 3, 1, 1)
    found = await recompute.again(pool, life)
    assert (found.counts, found.listed) == (dict.fromkeys(Standing, 0), [])
    days = 31 + recompute.LATE_DAYS + 1
    assert found.slots > 3 * 96 * (days - 1)
    assert found.results > 24 * days
    [(stored,)] = await world.rows(pool, "select count(*) from reading")
    assert stored == life.readings > 3 * 96 * (days - 1) * 0.98
    different, again, live = recompute.figures(life, found)
    assert different.met
    assert (again.name, live.name) == recompute.NAMES[1:]
    assert again.value > 0
    assert live.value > 0
    # A figure that is false is told, and misses the goal.
    async with pool.connection() as link:
        cursor = await link.execute(
            "update slot_energy set energy_e6 = energy_e6 + 1 where (point_id, slot_start) ="
            " (select point_id, max(slot_start) from slot_energy where energy_e6 > 1"
            "  group by point_id order by point_id limit 1)"
        )
        assert cursor.rowcount == 1
    found = await recompute.again(pool, life)
    assert found.counts[Standing.DEFECT] >= 1
    assert not recompute.figures(life, found)[0].met


def test_every_figure_of_the_names_is_given() -> None:
    life = recompute.Life(Loaded(plant.Plant(), {}, {}), world.NOW, readings=10)
    life.store_s, life.loads = 2.0, [0.5]
    given = recompute.figures(life, Report(seconds=4.0))
    assert tuple(one.name for one in given) == recompute.NAMES
    assert [one.value for one in given] == [0, 2.5, 5.0]


def test_the_furnaces_do_what_meters_do() -> None:
    units, days = 100, 40
    ids = {f"s.u-{number}.ac": number + 1 for number in range(units)}
    arrived = list(recompute.Furnaces(Loaded(plant.Plant(), ids, {}), units, days).days())
    assert len(arrived) == days
    rows = [
        row
        for day in arrived
        for row in zip(day.point_id.tolist(), day.ts_us.tolist(), strict=True)
    ]
    assert 0.98 * units * days * 96 < len(set(rows)) < units * days * 96
    assert len(rows) > len(set(rows)), "some come twice"
    late = [day for day in arrived if np.ptp(day.ts_us) > recompute.DAY_US]
    assert late, "some come days late"
    quality = np.concatenate([day.quality for day in arrived])
    assert set(quality.tolist()) == {Quality.GOOD, Quality.UNCERTAIN, Quality.BAD}
    values = np.concatenate([day.value for day in arrived])
    assert values.min() >= 0
    assert values.max() < recompute.MODULUS
    first = [day.value[day.point_id == 1] for day in arrived]
    falls = sum(int((np.diff(day) < 0).any()) for day in first if len(day))
    assert falls > 0 or np.diff([day[0] for day in first if len(day)]).min() < 0, "it rolls over"
