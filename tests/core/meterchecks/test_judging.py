"""A whole site checked: what is planted is found once, named, and told in both languages."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core import plant
from core.errors import Misconfigured
from core.facts import DAY_US
from core.meterchecks import findings, judging, network, words
from core.meterchecks.bounds import DayFigure
from core.meterchecks.findings import Finding, Kind, Witness
from core.meterchecks.frozen import Stretch
from core.meterchecks.judging import Seen
from core.meterchecks.network import Node
from deploy.benches import metertraces

if TYPE_CHECKING:
    from core.plant import Plant

DAYS, METERS = 40, 9
BEGIN_US = 1_782_835_200_000_000
SINCE = 25 * 24
PAIR = """[site.s]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.s.unit.u]
name = { zh = "炉", en = "Furnace" }
kind = "submerged_arc_furnace"
product = "ferrosilicon"
indicators = ["fesi.smelting"]
[site.s.unit.u.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
[site.s.unit.u.point.ac-power]
kind = "gauge"
carrier = "electricity"
unit = "kW"
accuracy_percent = "0.5"
role = "check"
parent = "ac"
"""


def trace(seed: int) -> metertraces.Trace:
    return metertraces.trace(seed, days=DAYS, feeders=2, meters=METERS)


def checked(given: metertraces.Trace) -> list[Finding]:
    return list(judging.check(metertraces.seen_of(given, BEGIN_US)).findings)


def paired(power: float = 1.0) -> Seen:
    random = np.random.default_rng(11)
    load = 1_000 * (1 + 0.2 * random.random(DAYS * 24))
    hourly = {"s.u.ac": np.round(load), "s.u.ac-power": load * power}
    return Seen(plant.parse(PAIR, "p.toml"), "s", BEGIN_US, DAYS * 24, hourly)


def said(found: Finding) -> dict[str, str]:
    return {lang: words.sentence(found, lang, "Asia/Shanghai") for lang in words.LANGUAGES}


def test_the_plant_file_says_who_feeds_whom() -> None:
    given = trace(1)
    seen = metertraces.seen_of(given, BEGIN_US)
    (found,) = network.networks(seen.plant, "s")
    mains = {found.named(node.main): {found.named(s) for s in node.subs} for node in found.nodes}
    assert mains == {
        f"s.u.{given.network.named(node.main)}": {
            f"s.u.{given.network.named(sub)}" for sub in node.subs
        }
        for node in given.network.nodes
    }
    assert isinstance(found.nodes[0], Node)
    assert found.meters[0].accuracy == pytest.approx(0.0035)


@pytest.mark.parametrize("factor", [10.0, 0.001, 1.5, 0.5])
def test_a_wrong_factor_is_one_finding_with_its_cause(factor: float) -> None:
    given = trace(2).scaled(4, SINCE, factor)
    found = checked(given)
    assert [(one.kind, one.named) for one in found] == [(Kind.SCALE, "s.u.m-04")]
    (one,) = found
    assert one.factor == pytest.approx(factor, rel=0.05)
    assert one.explained
    assert "s.u.m-04" in said(one)["en"]
    assert "s.u.m-04" in said(one)["zh"]


def test_a_register_that_stood_is_named_with_the_energy_it_lost() -> None:
    given = trace(3)
    shown = given.shown_kwh.copy()
    meter = 3 + int(shown[:, 3:].mean(axis=0).argmax())
    span = slice(SINCE, SINCE + 30)
    shown[shown[:, meter] == 0, meter] = 1.0
    lost = float(shown[span, meter].sum())
    shown[span, meter] = 0.0
    (one,) = checked(replace(given, shown_kwh=shown))
    assert (one.kind, one.named) == (Kind.FROZEN, f"s.u.m-{meter:02d}")
    assert one.since_us == BEGIN_US + SINCE * 3_600_000_000
    assert one.excess_kwh == pytest.approx(-lost, rel=0.5)
    assert "stood still" in said(one)["en"]


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    for seed in (4, 5):
        assert checked(trace(seed)) == []
    report = judging.check(paired())
    assert report.findings == []
    assert report.checked["pairs"] == 1


def test_register_and_power_that_part_name_both_where_nobody_else_sees_the_load() -> None:
    seen = paired()
    seen.hourly["s.u.ac"][SINCE:] *= 1.04
    (one,) = judging.check(seen).findings
    assert one.kind is Kind.POWER
    assert one.named is None
    assert one.candidates == ("s.u.ac", "s.u.ac-power")
    assert one.error == pytest.approx(0.04, abs=0.004)
    assert "one of the two is wrong" in said(one)["en"]


def test_a_leap_that_its_power_denies_is_the_registers() -> None:
    seen = paired()
    seen.hourly["s.u.ac"][SINCE:] *= 1000
    found = judging.check(seen).findings
    assert [(one.kind, one.named, one.witnesses) for one in found] == [
        (Kind.SCALE, "s.u.ac", (Witness.POWER,))
    ]


def figures(factor: Fraction) -> list[DayFigure]:
    random = np.random.default_rng(12)
    energies = [round(80 * 8_300 * (1 + random.normal(0, 0.02))) for _ in range(56)]
    return [
        DayFigure(
            BEGIN_US + day * DAY_US, energy * (factor if day >= 28 else Fraction(1)), Fraction(80)
        )
        for day, energy in enumerate(energies)
    ]


@pytest.mark.parametrize(
    ("factor", "kinds"),
    [
        (Fraction(1), []),
        (Fraction(5, 4), [Kind.SHIFT]),
        (Fraction(10), [Kind.BOUNDS, Kind.SHIFT]),
        (Fraction(1, 1000), [Kind.BOUNDS, Kind.SHIFT]),
        (Fraction(4, 5), [Kind.BOUNDS, Kind.SHIFT]),
    ],
)
def test_a_lone_meter_is_held_against_production(factor: Fraction, kinds: list[Kind]) -> None:
    seen = replace(paired(), hourly={}, days={("s.u", "fesi.smelting"): figures(factor)})
    found = judging.check(seen).findings
    assert sorted(one.kind for one in found) == kinds
    for one in found:
        assert one.named is None
        assert "fesi.smelting" in said(one)["en"]


def test_a_frozen_gauge_and_held_steps_are_told() -> None:
    seen = replace(
        paired(),
        held={"s.u.ac": (12, BEGIN_US)},
        gauges={"s.u.ac-power": [Stretch(BEGIN_US, BEGIN_US + 1, 90, 812.5, 3)]},
    )
    found = {one.kind: one for one in judging.check(seen).findings}
    assert set(found) == {Kind.FROZEN, Kind.HELD}
    assert "812.5" in said(found[Kind.FROZEN])["en"]
    assert "12" in said(found[Kind.HELD])["zh"]


def test_a_balance_with_a_meter_that_has_no_energy_is_told_as_unchecked() -> None:
    given = trace(6)
    seen = metertraces.seen_of(given, BEGIN_US)
    lacking = replace(seen, hourly={k: v for k, v in seen.hourly.items() if k != "s.u.m-03"})
    (one,) = judging.check(lacking).unchecked
    assert one.subject == "s.u.m-00"
    assert words.reason(one.reason, "en").endswith("s.u.m-03")
    assert words.reason(one.reason, "zh").endswith("s.u.m-03")


def test_every_kind_and_witness_and_reason_has_words_in_both_languages() -> None:
    assert set(words.WITNESSES) == {one.value for one in Witness}
    for table in (words.WITNESSES, words.CAUSES, words.REASONS):
        assert all(set(row) == {"zh", "en"} for row in table.values())
    for kind in Kind:
        whole = Finding(
            kind, "a.b.c", BEGIN_US, candidates=("a.b.c", "a.b.d"), error=-0.5, doubt=0.01,
            factor=0.5, sure=0.7,
            detail={
                "indicator": "x", "value": "1", "bound": "2", "unit": "t", "readings": "3",
                "slots": "8", "days_before": "2",
            },
        )  # fmt: skip
        assert all(text for text in said(whole).values())
        again = findings.of_item(whole.item())
        assert said(again) == said(whole)


def declared(extra: str) -> Plant:
    return plant.parse(PAIR.replace('role = "check"\nparent = "ac"\n', extra), "p.toml")


@pytest.mark.parametrize("name", ["nobody", "x.ac", "ac-power"])
def test_a_feeding_meter_must_exist_and_feed_no_circle(name: str) -> None:
    with pytest.raises(Misconfigured, match="fed_by"):
        declared(f'fed_by = "{name}"\n')


def test_a_feeding_meter_changes_no_figure() -> None:
    before, after = declared(""), declared('fed_by = "ac"\n')
    assert after.points["s.u.ac-power"].fed_by == "s.u.ac"
    assert plant.touched(before, after) == {}
    assert after.counted("s.u", lambda _: True) == [
        after.points["s.u.ac"],
        after.points["s.u.ac-power"],
    ]
