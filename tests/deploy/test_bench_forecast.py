"""`danhao bench forecast`: what it prints of calibration and warning, on a few of its months."""

from __future__ import annotations

import numpy as np
import pytest

from core.errors import Misconfigured
from deploy.bench import BENCHES
from deploy.benches import forecast, measuredmonths
from deploy.benches.forecast import Told, Warned
from deploy.benches.forecastmonths import PAST_DAYS, PROCESSES


@pytest.mark.parametrize(("months", "seed"), [(0, 0), (4, 0), (10**6, 0), (10, -1)])
def test_a_number_that_makes_no_sense_is_refused(months: int, seed: int) -> None:
    with pytest.raises(Misconfigured, match="--months"):
        forecast.measure(months, seed)


def test_every_figure_has_its_place_in_the_list_of_benches() -> None:
    listed = [name for name, module in BENCHES.items() if module == forecast.__name__]
    assert tuple(listed) == forecast.NAMES


@pytest.mark.slow
def test_bands_hold_as_often_as_they_say_on_months_that_nobody_tuned_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forecast, "DAYS", (3, 15, 27))
    monkeypatch.setattr(forecast, "EVERY", 1_000)
    found = forecast.told(forecast.months_of(90_000, 40))
    # Of 120 bands: three standard deviations of the share that is promised.
    assert abs(found.shares(0) - 0.95) < 0.07
    assert abs(found.shares(1) - 0.80) < 0.12
    assert found.shares(2, day=3) > 2 * found.shares(2, day=27)


def test_truths_lie_within_the_uncertainty_of_measured_figures() -> None:
    as_declared, of_classes = measuredmonths.shares(90_000, 30)
    assert as_declared >= 0.8
    assert of_classes >= as_declared


def test_a_month_is_the_same_each_time_and_its_days_add_up() -> None:
    for one, again in zip(forecast.months_of(3, 5), forecast.months_of(3, 5), strict=True):
        assert one.limit == again.limit
        assert np.array_equal(one.hours.used, again.hours.used)
        whole = one.used[PAST_DAYS:].sum() / one.made[PAST_DAYS:].sum()
        assert one.figure == pytest.approx(whole)
        assert one.running()[-1] == pytest.approx(whole)
    assert {one.kind for one in forecast.months_of(0, 5)} == set(PROCESSES)


def warned(*, over: bool, plain_h: int, likely_h: int, once: bool = False) -> Warned:
    late, sure_once = True, False
    return Warned(over, late, plain_h, likely_h, likely_h + 24, once, once, sure_once)


def test_lead_is_counted_over_months_that_ended_over_and_false_alarms_over_the_others() -> None:
    found = Told({("potline", day): [(True, False, 0.01)] for day in forecast.DAYS})
    for kind in PROCESSES:
        found.held[kind, 3] = [(True, True, 0.01)]
        found.held[kind, 15] = [(True, True, 0.01)]
    found.warnings = [
        warned(over=True, plain_h=500, likely_h=480),
        warned(over=True, plain_h=400, likely_h=360),
        warned(over=False, plain_h=720, likely_h=720, once=True),
        warned(over=False, plain_h=720, likely_h=720),
    ]
    by_name = {one.name: one for one in forecast.figures(found)}
    assert by_name["forecast.lead_h"].value == 30
    assert dict(by_name["forecast.lead_h"].beside)["sure: median"] == 6
    assert by_name["forecast.false_alarms"].value == 0
    assert dict(by_name["forecast.false_alarms"].beside)["plain"] == 0.5
    assert by_name["forecast.band95"].value == pytest.approx(0.05)
    assert not by_name["forecast.band95"].met
