"""Every meter model that ships: documented words give the figure its display shows."""

from __future__ import annotations

import struct
from decimal import Decimal
from pathlib import Path

import pytest

from edge import registers

FOLDER = Path(registers.__file__).parent / "devices"


def f32(value: float) -> tuple[int, ...]:
    return struct.unpack(">2H", struct.pack(">f", value))


def f64(value: float) -> tuple[int, ...]:
    return struct.unpack(">4H", struct.pack(">d", value))


WEIGHERS = ("siemens_bw500",)

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
    quantity = registers.builtin(model).quantities[name]
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
    assert registers.models() == sorted({row[0] for row in SHOWN})


@pytest.mark.parametrize("model", registers.models())
def test_a_map_names_its_source_and_has_a_counter(model: str) -> None:
    meter = registers.builtin(model)
    assert meter.name == model
    assert meter.title
    assert "register list" in meter.source or "template" in meter.source
    main = "total_1" if model in WEIGHERS else "import_active_energy"
    counter = meter.quantities[main]
    assert counter.counter
    assert counter.unit == ("t" if model in WEIGHERS else "kWh")
    assert Decimal("0.0001") <= counter.unit_per_count <= 1


@pytest.mark.parametrize("model", registers.models())
def test_a_whole_map_is_read_in_few_blocks(model: str) -> None:
    meter = registers.builtin(model)
    blocks = registers.plan_blocks(meter.quantities.values(), meter.most_registers, meter.most_gap)
    assert len(blocks) <= 2


def test_the_blueprint_is_a_valid_map() -> None:
    text = (FOLDER / "_blueprint.toml").read_text("utf-8")
    meter = registers.parse(text, "_blueprint.toml")
    assert meter.quantities["export_active_energy"].unit_per_count == Decimal("0.001")
