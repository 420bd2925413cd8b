"""`danhao bench rehearse`: its store is as it says, and both ways find the same in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from core.limits import Force
from core.periods import SLOT_US, Period
from deploy.bench import BENCHES
from deploy.benches import rehearse
from ingest import alert_commands
from store import rehearsals
from store.rehearsals import Chosen

if TYPE_CHECKING:
    from store.connection import Pool

DAYS = 5
SPAN = (rehearse.SPAN[1] - DAYS * rehearse.DAY_US, rehearse.SPAN[1])


def test_every_figure_has_its_place_in_the_list_of_benches() -> None:
    listed = [name for name, module in BENCHES.items() if module == rehearse.__name__]
    assert tuple(listed) == rehearse.NAMES


async def test_a_few_days_of_it_are_rehearsed(pool: Pool) -> None:
    loaded = await rehearse.fill(pool, 3, DAYS)
    async with pool.connection() as link:
        law = alert_commands.find("mandatory-month", None)
        past, found = await alert_commands.play(link, loaded, law, SPAN)
        silence = alert_commands.find("point_silent", None)
        _, silent = await alert_commands.play(link, loaded, silence, SPAN)
        chosen = Chosen(Force.MANDATORY, Period.MONTH, SPAN)
        plain = [
            replace(one, made=None, standings=())
            for one in rehearsals.series_of(loaded.plant, chosen)
        ]
        looked = await rehearsals.one_by_one(link, loaded, plain, SPAN, SLOT_US)
    assert (past.hourly, len(past.watched), len(silent.watched)) == (0, 3, 15)
    assert found.looks == 3 * DAYS * 96
    assert np.array_equal(past.looks.finding, np.concatenate(looked, axis=1))
