"""A simulated plant's past: spans without holes, envelopes made again from their sequence."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators import history, process
from simulators.history import ENVELOPE_US, STEP_US, Journal

PLANTS = Path(process.__file__).parent / "plants"
NOW_US = 1_795_248_000_000_000
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def demo() -> process.Process:
    return process.load(PLANTS / "gh_al.toml", 1)


@given(st.lists(st.integers(0, 20 * DAY_US), min_size=1, max_size=8))
def test_starts_later_add_spans_without_hole_or_overlap(pauses: list[int]) -> None:
    journal, now_us = Journal("d", "e"), NOW_US
    for pause_us in pauses:
        now_us += pause_us
        journal = history.extended(journal, now_us, 35 * DAY_US)
        assert journal.pasts[-1].until_us <= now_us
        assert now_us - journal.pasts[-1].until_us < STEP_US
        for early, late in pairwise(journal.pasts):
            assert late.first == early.first + early.envelopes
            assert 0 <= late.from_us - early.until_us < STEP_US
    assert all(past.until_us > now_us - 35 * DAY_US for past in journal.pasts)


def test_the_past_is_silent_on_times_when_the_meters_lived() -> None:
    journal = history.extended(Journal("d", "e"), NOW_US, DAY_US)
    lived = replace(journal, live_until_us=NOW_US + 3 * DAY_US)
    later = history.extended(lived, NOW_US + 4 * DAY_US, 35 * DAY_US)
    assert [past.from_us for past in later.pasts] == [NOW_US - DAY_US, NOW_US + 3 * DAY_US]


def test_a_span_after_a_long_pause_begins_where_the_past_is_wanted() -> None:
    journal = history.extended(Journal("d", "e"), NOW_US, DAY_US)
    later = history.extended(journal, NOW_US + 90 * DAY_US, DAY_US)
    assert [past.from_us for past in later.pasts] == [NOW_US + 89 * DAY_US]
    assert later.first == journal.next


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 12))
def test_any_envelope_can_be_made_again_from_its_sequence(first: int) -> None:
    played = process.load(PLANTS / "gh_al.toml", 1)
    points = played.points[:2]
    journal = history.extended(Journal("d", "e"), NOW_US, DAY_US)
    journal = history.extended(journal, NOW_US + 2 * DAY_US, 35 * DAY_US)
    whole = list(history.envelopes(journal, played, points, 1))
    assert len(whole) == journal.next - 1
    assert list(history.envelopes(journal, played, points, first)) == whole[first - 1 :]


def test_the_past_has_a_reading_of_every_point_every_five_minutes(demo: process.Process) -> None:
    journal = history.extended(Journal("d", "e"), NOW_US, DAY_US)
    rows = [row for batch in history.envelopes(journal, demo, demo.points, 1) for row in batch]
    assert len(rows) == len({(row.point, row.measured_us) for row in rows})
    assert len(rows) == len(demo.points) * DAY_US // STEP_US
    assert all(row.value == demo.value(row.point, row.measured_us) for row in rows[::97])


def test_the_journal_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "j.json"
    journal = history.extended(history.load(path, "d"), NOW_US, DAY_US)
    journal = replace(journal, store="s", committed=4, live_until_us=NOW_US + 1)
    history.save(path, journal)
    assert history.load(path, "d") == journal


def test_another_plant_or_a_damaged_journal_begins_a_new_epoch(tmp_path: Path) -> None:
    path = tmp_path / "j.json"
    history.save(path, Journal("d", "epoch"))
    assert history.load(path, "other").epoch != "epoch"
    path.write_text("{")
    assert history.load(path, "d").epoch != "epoch"


def test_envelopes_are_small(demo: process.Process) -> None:
    rows = history.readings(demo, demo.points, NOW_US, NOW_US + ENVELOPE_US)
    assert len(rows) < 1_000
