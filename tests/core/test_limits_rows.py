"""Every numeric row of the sources is in the catalogue, with its comparator and to the letter."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from core import indicators, limits
from core.clock import to_us
from core.limits import Comparison, Force, LimitKind

BELOW, AT_MOST, AT_LEAST = Comparison.BELOW, Comparison.AT_MOST, Comparison.AT_LEAST
# Row of the sources: limit, comparator, value, unit. A03 and A17 set no number of their own.
ROWS = {
    "A01": ("al.liquid.ac.target-2020", AT_MOST, "12750", "kWh/t"),
    "A02": ("al.ingot.ac_comprehensive.target-2020", AT_MOST, "13200", "kWh/t"),
    "A04": ("lead.crude.comprehensive.target-2020", BELOW, "245", "kgce/t"),
    "A05": ("zinc.wet.comprehensive.target-2020", BELOW, "900", "kgce/t"),
    "A06": ("steel.enterprise.comprehensive.target-2020", BELOW, "560", "kgce/t"),
    "A07": ("steel.dust.target-2020", AT_MOST, "0.8", "kg/t"),
    "A08": ("steel.so2.target-2020", AT_MOST, "0.68", "kg/t"),
    "A09": ("steel.fresh_water.target-2020", AT_MOST, "3.2", "m3/t"),
    "A10": ("steel.slag_use.target-2020", AT_LEAST, "95", "%"),
    "A11": ("fesi.smelting.target-2020", AT_MOST, "7500", "kWh/t"),
    "A12": ("hcfecr.smelting.target-2020", AT_MOST, "2800", "kWh/t"),
    "A13": ("ferroalloy.dust_concentration.target-2020", AT_MOST, "25", "mg/m3"),
    "A14": ("nonferrous.flue_gas_so2.trigger", Comparison.ABOVE, "3.5", "%"),
    "A15": ("clinker.comprehensive.target-2020", BELOW, "100", "kgce/t"),
    "A16": ("cement.slag_use.target-2020", AT_LEAST, "25", "%"),
    "A18": ("polysilicon.electricity.target", BELOW, "100", "kWh/kg"),
    "A19": ("monosilicon.electricity.target", BELOW, "45", "kWh/kg"),
    "A20": ("pv.cell.electricity.target", BELOW, "100000", "kWh/MW"),
    "A21": ("pv.module.electricity.target", BELOW, "60000", "kWh/MW"),
    "A22": ("pv.thin_film.electricity.target", BELOW, "500000", "kWh/MW"),
    "A23": ("salt_lake.potassium_recovery.target-2020", AT_LEAST, "70", "%"),
    "A24": ("salt_lake.lithium_recovery.target-2020", AT_LEAST, "80", "%"),
    "A25": ("industry.solid_waste_use.target-2020", AT_LEAST, "60", "%"),
    "A26": ("industry.energy_per_value_added.target-2025", AT_MOST, "-12.5", "%"),
    "A27": ("industry.quota_share.target-2025", AT_LEAST, "75", "%"),
}
UNNUMBERED = {"A03": "al.materials.target-2020", "A17": "cement.rank.target-2020"}
# Indicator and standard: levels 1, 2, 3.
LEVELS = {
    "al.liquid.ac.gb21346-2022": "12950 13000 13350",
    "al.liquid.ac_comprehensive.gb21346-2022": "13250 13350 13700",
    "al.ingot.ac_comprehensive.gb21346-2022": "13300 13400 13750",
    "al.ingot.comprehensive.gb21346-2022": "1670 1680 1720",
    "al.liquid.ac.gb21346-2013": "12650 12750 13700",
    "al.liquid.ac_comprehensive.gb21346-2013": "13050 13150 14050",
    "al.ingot.ac_comprehensive.gb21346-2013": "13100 13200 14100",
    "lead.crude.comprehensive.gb25323-2023": "220 230 300",
    "lead.refined.comprehensive.gb25323-2023": "300 330 420",
    "lead.electrorefining.comprehensive.gb25323-2023": "80 100 120",
    "zinc.wet.with_slag.comprehensive.gb25323-2023": "1010 1040 1260",
    "zinc.wet.without_slag.comprehensive.gb25323-2023": "550 660 820",
    "fesi.smelting.gb21341-2022": "8050 8300 8400",
    "fesi.comprehensive.gb21341-2022": "1700 1770 1850",
    "hcfecr.smelting.gb21341-2022": "3100 3300 3500",
    "hcfecr.comprehensive.gb21341-2022": "800 850 900",
    "chargefecr.smelting.gb21341-2022": "3200 3500 3650",
    "chargefecr.comprehensive.gb21341-2022": "830 910 940",
    "mlcfecr.smelting.gb21341-2022": "1650 1800 1950",
    "mlcfecr.comprehensive.gb21341-2022": "220 240 260",
    "cac2.comprehensive.gb21343-2023": "805 823 940",
    "cac2.furnace.gb21343-2023": "3000 3080 3200",
    "clinker.comprehensive.gb16780-2021": "100 107 117",
    "clinker.electricity.gb16780-2021": "48 57 61",
    "clinker.coal.gb16780-2021": "94 100 109",
    "cement.comprehensive.gb16780-2021": "80 87 94",
    "cement.preparation.gb16780-2021": "26 29 34",
    "polysilicon.comprehensive.gb29447-2026": "5.0 5.5 6.3",
    "monosilicon.comprehensive.gb47835-2026": "1.90 2.16 2.58",
    "steel.sinter.comprehensive.gb21256-2025": "43 46 52",
    "steel.pellet.comprehensive.gb21256-2025": "15 22 33",
    "steel.blast_furnace.comprehensive.gb21256-2025": "361 370 415",
    "steel.converter.comprehensive.gb21256-2025": "-30 -28 -12",
}
OTHERS = {"cn.al.liquid.ac.ndrc-2021.benchmark", "cn.al.liquid.ac.ndrc-2021.baseline"}
SCHEMES = ("national_advanced", "national_entry", "national_mandatory")


@pytest.mark.parametrize("row", ROWS)
def test_a_row_of_the_sources_stands_with_value_unit_and_comparator(row: str) -> None:
    key, cmp, value, unit = ROWS[row]
    limit = limits.find(f"cn-qh.{key}")
    assert (limit.cmp, limit.value, limit.unit) == (cmp, Decimal(value), unit)
    assert (limit.force, limit.scheme) == (Force.TARGET, "provincial_target")
    assert limit.source.startswith("seeds/")
    assert limit.note is not None
    assert limit.note.startswith(f"{row}.")


@pytest.mark.parametrize("row", UNNUMBERED)
def test_a_row_without_a_number_is_listed_with_what_it_refers_to(row: str) -> None:
    found = limits.unnumbered()[f"cn-qh.{UNNUMBERED[row]}"]
    assert (found.note or "").startswith(f"{row}.")
    assert found.refers_to["en"]


def test_rows_a01_to_a27_are_all_there() -> None:
    assert sorted({**ROWS, **UNNUMBERED}) == [f"A{number:02}" for number in range(1, 28)]


@pytest.mark.parametrize("key", LEVELS)
def test_the_levels_of_a_standard_stand_inclusive_and_only_the_third_binds(key: str) -> None:
    for level, value in enumerate(LEVELS[key].split(), start=1):
        limit = limits.find(f"cn.{key}.level-{level}")
        assert (limit.value, limit.cmp, limit.level) == (Decimal(value), AT_MOST, level)
        assert (limit.force is Force.MANDATORY) == (level == 3)
        assert limit.scheme == SCHEMES[level - 1]
        assert limit.jurisdiction == "cn"


def test_nothing_else_is_in_the_catalogue() -> None:
    known = {f"cn-qh.{row[0]}" for row in ROWS.values()} | OTHERS
    known |= {f"cn.{key}.level-{level}" for key in LEVELS for level in (1, 2, 3)}
    assert set(limits.catalogue()) == known


# Words of the sources by which a comparator is known: the strict, then those that include.
@pytest.mark.parametrize("row", [row for row in ROWS if ROWS[row][1] is BELOW])
def test_a_strict_comparator_stands_where_the_text_says_below_or_less(row: str) -> None:
    quote = limits.find(f"cn-qh.{ROWS[row][0]}").quote or ""
    assert "低于" in quote or "小于" in quote


@pytest.mark.parametrize("row", [row for row in ROWS if ROWS[row][1] in {AT_MOST, AT_LEAST}])
def test_an_inclusive_comparator_stands_where_the_text_includes_the_number(row: str) -> None:
    quote = limits.find(f"cn-qh.{ROWS[row][0]}").quote or ""
    assert any(word in quote for word in ("以下", "以上", "不超过", "降至", "提高到", "下降"))
    assert "低于" not in quote
    assert "小于" not in quote


def test_the_future_standards_begin_in_2027() -> None:
    for key in ("polysilicon.comprehensive.gb29447-2026", "monosilicon.comprehensive.gb47835-2026"):
        limit = limits.find(f"cn.{key}.level-3")
        before, first = (to_us(datetime(2026, 12, 31, hour, tzinfo=UTC)) for hour in (15, 16))
        assert not limit.applies("cn-qh", before, "Asia/Shanghai")
        assert limit.applies("cn-qh", first, "Asia/Shanghai")


def test_a_deadline_is_given_only_where_the_sentence_has_one() -> None:
    without = {row for row in ROWS if limits.find(f"cn-qh.{ROWS[row][0]}").due is None}
    assert without == {"A14", "A18", "A19", "A20", "A21", "A22"}


def test_the_unit_in_the_text_is_kept_where_it_was_interpreted() -> None:
    ferrosilicon = limits.find("cn-qh.fesi.smelting.target-2020")
    assert (ferrosilicon.unit_in_text, ferrosilicon.unit) == ("kWh", "kWh/t")
    assert "G1" in (ferrosilicon.note or "")


def test_a_change_against_a_base_year_is_a_trajectory_that_states_no_path() -> None:
    limit = limits.find("cn-qh.industry.energy_per_value_added.target-2025")
    assert limit.kind is LimitKind.TRAJECTORY
    assert limit.trajectory is not None
    assert (limit.trajectory.base_year, limit.trajectory.end_year) == (2020, 2025)
    assert limit.trajectory.path == "not_stated"
    assert round(limit.trajectory.even_change(limit.value, 2021), 2) == Decimal("-2.64")
    assert round(limit.trajectory.even_change(limit.value, 2025), 6) == limit.value
    assert [one.id for one in limits.catalogue().values() if one.kind is LimitKind.TRIGGER] == [
        "cn-qh.nonferrous.flue_gas_so2.trigger"
    ]


def test_every_limit_says_how_well_it_was_read() -> None:
    assert all(limit.mark is not None for limit in limits.catalogue().values())


CORRECTED = {
    "fesi.smelting.gb21341-2022": "ore_grade",
    "hcfecr.smelting.gb21341-2022": "ore_grade",
    "chargefecr.smelting.gb21341-2022": "ore_grade",
    "mlcfecr.smelting.gb21341-2022": "ore_grade",
    "cement.comprehensive.gb16780-2021": "clinker_share",
    "steel.sinter.comprehensive.gb21256-2025": "share share share",
    "steel.pellet.comprehensive.gb21256-2025": "share share share",
    "steel.blast_furnace.comprehensive.gb21256-2025": "share share share feed_grade",
    "steel.converter.comprehensive.gb21256-2025": "share",
}
HIGH = {"clinker.comprehensive", "clinker.electricity", "clinker.coal", "cement.comprehensive"}


def test_the_limits_that_move_are_those_of_the_standards_and_no_others() -> None:
    expected = {
        f"cn.{key}.level-{level}": kinds.split()
        for key, kinds in CORRECTED.items()
        for level in (1, 2, 3)
    }
    for key in HIGH:
        expected.setdefault(f"cn.{key}.gb16780-2021.level-3", []).append("altitude")
    found = {
        one.id: [each.kind.value for each in one.correction]
        for one in limits.catalogue().values()
        if one.correction
    }
    assert found == expected


def test_the_targets_for_furnaces_and_kiln_stand_to_the_standards_as_the_notes_say() -> None:
    def level(key: str, number: int) -> Decimal:
        return limits.find(f"cn.{key}.level-{number}").value

    assert Decimal(7500) < level("fesi.smelting.gb21341-2022", 1)
    assert Decimal(2800) < level("hcfecr.smelting.gb21341-2022", 1)
    assert Decimal(100) == level("clinker.comprehensive.gb16780-2021", 1)


def test_quotations_stand_in_their_documents_to_the_letter() -> None:
    folder = Path(__file__).resolve().parents[3] / "shared"
    if not folder.is_dir():
        pytest.skip("the source documents are not beside this checkout (../shared/seeds)")
    rows: list[limits.Limit | limits.Unnumbered] = [
        *limits.catalogue().values(),
        *limits.unnumbered().values(),
    ]
    quoted = [one for one in rows if one.source.startswith(limits.SEEDS)]
    assert len(quoted) == len(ROWS) + len(UNNUMBERED)
    for one in quoted:
        assert one.quote is not None
        assert one.quote in (folder / one.source).read_text("utf-8"), one.id


def test_the_document_explains_every_row_and_every_key() -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = (docs / "limits.md").read_text("utf-8")
    for row, (key, *_) in ROWS.items():
        assert f"| {row} | `cn-qh.{key}` |" in text, row
    assert {key for key in UNNUMBERED.values() if f"`cn-qh.{key}`" not in text} == set()
    assert {key for key in limits._LimitTable.model_fields if f"`{key}`" not in text} == set()
    pages = "\n".join(page.read_text("utf-8") for page in docs.glob("*.md"))
    computing = {one.id for one in indicators.catalogue().values() if one.computes}
    assert {key for key in computing if f"`{key}`" not in pages} == set()
