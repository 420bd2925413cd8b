"""Recorded data through the whole path equals the sums of those who recorded it, in any order."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.fixtures.service import ROOT, Service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

DATA = ROOT.parent / "shared" / "data"
STEEL = DATA / "series" / "steel_industry_data.csv"
PLUG = DATA / "series" / "plug_cumulative"
PLANTS = ROOT / "simulators" / "plants"
MAPS = ROOT / "simulators" / "maps"

needs_recordings = pytest.mark.skipif(
    not DATA.is_dir(), reason="the recorded data is not beside this checkout (../shared/data)"
)


def replay(service: Service, file: Path, mapping: str, *options: str) -> dict[str, int]:
    printed = service.danhao(
        *("simulate", "replay", str(file), "--map", str(MAPS / mapping), "--speed", "max"),
        *("--data-dir", str(service.data_dir), "--json", *options),
    )
    service.wait_computed()
    summary: dict[str, int] = json.loads(printed)
    return summary


def months(service: Service) -> dict[str, Decimal]:
    items = service.get(
        "/api/v1/points/st-ds.works.grid-import/energy",
        period="month",
        **{"from": "2017-12-01T00:00:00+09:00", "to": "2019-02-01T00:00:00+09:00"},
    )["items"]
    return {
        item["period_start"][:7]: Decimal(item["energy"]["value"])
        for item in items
        if item["energy"]["value"] is not None
    }


@needs_recordings
def test_a_year_of_a_steelworks_equals_its_monthly_sums_again_and_shuffled(
    service: Service,
) -> None:
    with (DATA / "truth" / "steel_by_month.csv").open(encoding="utf-8") as file:
        truth = {row["date"]: Decimal(row["kwh"]) for row in csv.DictReader(file)}
    service.apply(PLANTS / "steel.toml")
    replay(service, STEEL, "steel_industry.toml")
    first = months(service)
    assert first.keys() == truth.keys()
    for month, kwh in truth.items():
        assert abs(first[month] - kwh) < Decimal("0.01"), month
    assert sum(first.values()) == Decimal("959636.71")
    replay(service, STEEL, "steel_industry.toml")
    assert months(service) == first
    replay(service, STEEL, "steel_industry.toml", "--shuffle", "7")
    assert months(service) == first
    (count,) = service.query("select count(*) from reading")[0]
    assert count == 35_040
    assert service.query("select reason, count(*) from dead_letter group by 1") == []


@needs_recordings
def test_a_year_that_arrives_shuffled_into_an_empty_store_gives_the_same_months(
    service: Service,
) -> None:
    service.apply(PLANTS / "steel.toml")
    replay(service, STEEL, "steel_industry.toml", "--shuffle", "11")
    assert sum(months(service).values()) == Decimal("959636.71")
    assert months(service)["2018-01"] == Decimal("126238.29")


@needs_recordings
def test_a_cumulative_meter_equals_its_authors_daily_totals(service: Service) -> None:
    with (PLUG / "Badkamer.days.csv").open(encoding="utf-8") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file)][1:]
    service.apply(PLANTS / "plug.toml")
    replay(service, PLUG / "Badkamer.csv", "plug_cumulative.toml")
    items = service.get(
        "/api/v1/points/nl-home.bathroom.plug/energy",
        period="day",
        **{"from": "2022-12-01T00:00:00+01:00", "to": "2023-04-01T00:00:00+02:00"},
    )["items"]
    days = {item["period_start"][:10]: item["energy"]["value"] for item in items}
    # The author's day ends with the row of 23:00, whose reading is that of midnight.
    whole = [row for row in rows if row[0] >= "2023-01-01"]
    equal = [row for row in whole if Decimal(days[row[0][:10]] or "-1") == Decimal(row[2])]
    assert (len(equal), len(whole)) == (34, 34)
