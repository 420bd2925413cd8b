"""Every meter model that ships: documented words give the figure its display shows."""

from __future__ import annotations

import csv
import struct
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge import blocks, registermaps, registers

if TYPE_CHECKING:
    from edge.registers import Quantity, Raw

FOLDER = Path(registers.__file__).parent / "devices"


def f32(value: float) -> tuple[int, ...]:
    return struct.unpack(">2H", struct.pack(">f", value))


def f64(value: float) -> tuple[int, ...]:
    return struct.unpack(">4H", struct.pack(">d", value))


WEIGHERS = ("siemens_bw500",)
MOST_BLOCKS = {"dzg_dvh4013": 3, "schneider_iem3000": 2}  # what its address list makes necessary
LISTED = Path(__file__).parents[3] / "shared" / "data" / "meters" / "register_maps.csv"
LISTED_AS = {
    "Eastron SDM630 / SMART X96-1A": "eastron_sdm630",
    "Janitza B23": "janitza_b23",
    "ABB A/B series (B23)": "abb_b23",
    "Schneider iEM3000 series (iEM3155/3255)": "schneider_iem3000",
    "Chint DTSU666": "chint_dtsu666",
    "Acrel ADW300": "acrel_adw300",
    "Siemens PAC2200": "siemens_pac2200",
    "Carlo Gavazzi EM/ET 330/340, EM24-E1": "carlo_gavazzi_em340",
    "Inepro PRO380 / WAGO 879-30xx": "inepro_pro380",
    "ORNO WE-516/517": "orno_we516",
    "Lovato DMG610": "lovato_dmg610",
    "Saia Burgess ALE3": "saia_ale3",
    "DZG DVH4013": "dzg_dvh4013",
    "Finder 7M.38": "finder_7m38",
    "DTSD422-D3 (Solarman smart meter)": "solarman_dtsd422",
}

# model, quantity, wire address, function, words as they arrive, count or value, what is displayed
SHOWN = [
    ("acrel_adw300", "voltage_l1", 20, 3, (2_304,), 230.4, "230.4"),
    ("acrel_adw300", "current_l3", 28, 3, (12_345,), 123.45, "123.45"),
    ("acrel_adw300", "power_total", 36, 3, (0xFFFF, 0xFF9C), -100.0, "-100"),
    ("acrel_adw300", "import_active_energy", 62, 3, (0x0012, 0xD687), 1_234_567, "12345.67"),
    ("acrel_adw300", "import_active_energy", 62, 3, (0x7FFF, 0xFFFF), 2**31 - 1, "21474836.47"),
    ("acrel_adw300", "import_active_energy", 62, 3, (0x8000, 0), -(2**31), "-21474836.48"),
    ("eastron_sdm630", "voltage_l1", 0, 4, (0x4366, 0x3334), 230.20001220703125, "230.2"),
    ("eastron_sdm630", "power_total", 52, 4, f32(4_500.0), 4_500.0, "4500"),
    ("eastron_sdm630", "import_active_energy", 72, 4, f32(12_345.6), 1_234_560, "12345.60"),
    ("chint_dtsu666", "voltage_l1", 8198, 3, f32(2_304.0), 230.4, "230.4"),
    ("chint_dtsu666", "frequency", 8260, 3, f32(5_001.0), 50.01, "50.01"),
    ("chint_dtsu666", "import_active_energy", 4126, 3, f32(99.5), 9_950, "99.50"),
    (
        "siemens_pac2200",
        "import_active_energy",
        801,
        4,
        f64(1_234_567_890.0),
        1_234_567_890,
        "1234567.890",
    ),
    ("siemens_pac2200", "power_total", 65, 4, f32(-12.5), -12.5, "-12.5"),
    ("schneider_iem3000", "power_total", 3059, 3, f32(1.5), 1_500.0, "1500"),
    (
        "schneider_iem3000",
        "import_active_energy",
        3203,
        3,
        (0, 0, 0x0012, 0xD687),
        1_234_567,
        "1234.567",
    ),
    ("carlo_gavazzi_em340", "voltage_l1", 0, 4, (0x0900, 0x0000), 230.4, "230.4"),
    ("carlo_gavazzi_em340", "power_total", 40, 4, (0xFF9C, 0xFFFF), -10.0, "-10"),
    ("carlo_gavazzi_em340", "import_active_energy", 52, 4, (0xD687, 0x0012), 1_234_567, "123456.7"),
    ("janitza_b23", "voltage_l1", 19000, 3, f32(231.5), 231.5, "231.5"),
    ("janitza_b23", "frequency", 19050, 3, f32(50.0), 50.0, "50"),
    ("janitza_b23", "import_active_energy", 19068, 3, f32(1_234_567.0), 1_234_567, "1234.567"),
    ("janitza_b23", "import_active_energy", 19068, 3, f32(20_000_002.0), 20_000_002, "20000.002"),
    ("abb_b23", "voltage_l1", 23296, 3, (0, 2_304), 230.4, "230.4"),
    ("abb_b23", "power_total", 23316, 3, (0xFFFF, 0xD8F0), -100.0, "-100"),
    ("abb_b23", "frequency", 23340, 3, (5_001,), 50.01, "50.01"),
    ("abb_b23", "power_factor_total", 23354, 3, (0xFC18,), -1.0, "-1"),
    ("abb_b23", "import_active_energy", 20480, 3, (0, 0, 0x0012, 0xD687), 1_234_567, "12345.67"),
    ("inepro_pro380", "power_total", 20498, 3, f32(1.5), 1_500.0, "1500"),
    ("inepro_pro380", "frequency", 20488, 3, f32(50.0), 50.0, "50"),
    ("inepro_pro380", "import_active_energy", 24588, 3, f32(99.5), 9_950, "99.50"),
    ("orno_we516", "power_total", 28, 3, f32(-0.25), -250.0, "-250"),
    ("orno_we516", "import_active_energy", 264, 3, f32(12_345.6), 1_234_560, "12345.60"),
    ("lovato_dmg610", "voltage_l1", 1, 4, (0, 23_040), 230.4, "230.4"),
    ("lovato_dmg610", "current_l1", 7, 4, (0x0001, 0xE240), 12.3456, "12.3456"),
    ("lovato_dmg610", "frequency", 49, 4, (0, 50_010), 50.01, "50.01"),
    ("lovato_dmg610", "import_active_energy", 6943, 4, (0, 0, 18, 0xD687), 1_234_567, "12345.67"),
    ("saia_ale3", "voltage_l1", 35, 3, (231,), 231.0, "231"),
    ("saia_ale3", "power_total", 50, 3, (150,), 1_500.0, "1500"),
    ("saia_ale3", "import_active_energy", 27, 3, (0x0012, 0xD687), 1_234_567, "12345.67"),
    ("dzg_dvh4013", "voltage_l1", 4, 3, (0, 23_040), 230.4, "230.4"),
    ("dzg_dvh4013", "import_power", 0, 3, (0, 15_000), 1_500.0, "1500"),
    ("dzg_dvh4013", "import_active_energy", 16384, 3, (18, 0xD687), 1_234_567, "1234.567"),
    ("finder_7m38", "power_total", 2536, 4, f32(4_500.0), 4_500.0, "4500"),
    ("finder_7m38", "import_active_energy", 2752, 4, f32(1_234_567.0), 1_234_567, "1234.567"),
    ("solarman_dtsd422", "voltage_ct1", 1, 3, (2_304,), 230.4, "230.4"),
    ("solarman_dtsd422", "power_factor_ct1", 38, 3, (0xFC18,), -1.0, "-1"),
    ("solarman_dtsd422", "total_positive_energy_ct1", 62, 3, (18, 0xD687), 1_234_567, "12345.67"),
    ("eastron_sdm72", "power_total", 52, 4, f32(4_500.0), 4_500.0, "4500"),
    ("eastron_sdm72", "import_active_energy", 72, 4, f32(12_345.6), 1_234_560, "12345.60"),
    ("eastron_sdm230", "power_total", 12, 4, f32(230.5), 230.5, "230.5"),
    ("eastron_sdm230", "import_active_energy", 72, 4, f32(12_345.6), 1_234_560, "12345.60"),
    ("eastron_sdm54", "voltage_l3", 4, 4, f32(229.5), 229.5, "229.5"),
    ("eastron_sdm54", "import_active_energy_l2", 348, 4, f32(99.5), 9_950, "99.50"),
    ("siemens_bw500", "rate", 1009, 3, (0, 7_345), 7.345, "7.345"),
    ("siemens_bw500", "total_1", 1015, 3, (0x0012, 0xD687), 1_234_567, "1234.567"),
    ("siemens_bw500", "total_2", 1017, 3, (0x05F5, 0xE0FF), 99_999_999, "99999.999"),
]


@pytest.mark.parametrize(
    ("model", "name", "address", "function", "words", "value", "display"), SHOWN
)
def test_words_give_the_figure_on_the_display(
    model: str,
    name: str,
    address: int,
    function: int,
    words: tuple[int, ...],
    value: float,
    display: str,
) -> None:
    quantity = registermaps.builtin(model).quantities[name]
    assert (quantity.address, quantity.function) == (address, function)
    found = registers.decode(quantity, words)
    assert found == pytest.approx(value, rel=1e-12)
    assert found is not None
    if quantity.counter:
        assert isinstance(found, int)
        assert str(found * quantity.unit_per_count) == display
    else:
        assert f"{found:.6g}" == display


def test_every_model_that_ships_is_tested() -> None:
    assert registermaps.models() == sorted({row[0] for row in SHOWN})


@pytest.mark.parametrize("model", registermaps.models())
def test_a_map_names_its_source_and_has_a_counter(model: str) -> None:
    meter = registermaps.builtin(model)
    assert meter.name == model
    assert meter.title
    assert "register list" in meter.source or "template" in meter.source
    main = "total_1" if model in WEIGHERS else "import_active_energy"
    counter = meter.quantities[main]
    assert counter.counter
    assert counter.unit == ("t" if model in WEIGHERS else "kWh")
    assert Decimal("0.0001") <= counter.unit_per_count <= 1


@pytest.mark.parametrize("model", registermaps.models())
def test_a_whole_map_is_read_in_few_blocks(model: str) -> None:
    meter = registermaps.builtin(model)
    plan = blocks.plan(meter.quantities.values(), meter.limits)
    assert len(plan) <= MOST_BLOCKS.get(model, 2)


def test_the_blueprint_is_a_valid_map() -> None:
    text = (FOLDER / "_blueprint.toml").read_text("utf-8")
    meter = registermaps.parse(text, "_blueprint.toml")
    assert meter.quantities["export_active_energy"].unit_per_count == Decimal("0.001")


@pytest.mark.skipif(not LISTED.is_file(), reason="the collected lists are not beside this checkout")
def test_every_collected_register_stands_in_its_models_map_as_listed() -> None:
    with LISTED.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["meter"] for row in rows} == set(LISTED_AS)
    for row in rows:
        quantity = registermaps.builtin(LISTED_AS[row["meter"]]).quantities[row["quantity"]]
        order = {"-": "AB", "CDAB": "CDAB"}.get(row["word_order"])
        found = (quantity.address, quantity.function, str(quantity.kind), quantity.unit)
        listed = (int(row["address_dec"]), int(row["function"]), row["type"], row["unit"])
        assert found == listed, row
        assert quantity.scale == Decimal(row["scale"]), row
        assert quantity.order == (order or "ABCDEFGH"[: 2 * quantity.words]), row


@pytest.mark.parametrize("name", ["voltage_l1", "frequency", "power_total", "import_active_energy"])
def test_what_an_abb_meter_marks_as_not_available_is_no_value(name: str) -> None:
    quantity = registermaps.builtin("abb_b23").quantities[name]
    high = 0x7FFF if quantity.kind.startswith("int") else 0xFFFF
    assert registers.decode(quantity, [high, 0xFFFF, 0xFFFF, 0xFFFF][: quantity.words]) is None


def test_power_of_two_unsigned_registers_is_signed() -> None:
    meter = registermaps.builtin("dzg_dvh4013")
    power, export = meter.quantities["power_total"], meter.quantities["export_power"]
    helpers: dict[str, tuple[Quantity, Raw]] = {"export_power": (export, 15_000)}
    assert registers.combined(power, 500, helpers) == -1_450.0
    helpers = {"export_power": (export, None)}
    assert registers.combined(power, 500, helpers) is None
