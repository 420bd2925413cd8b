"""Every trap of the collected list of meters that misbehave: handled, or named as not claimed."""

from __future__ import annotations

import csv
import math
import struct
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.errors import Misconfigured
from edge import blocks, registermaps, registers
from edge.modbus import look

if TYPE_CHECKING:
    from edge.registers import Quantity, Raw, RegisterMap, Value

ROOT = Path(__file__).parents[2]
QUIRKS = ROOT.parent / "shared" / "data" / "meters" / "quirks.csv"
HEAD = 'title = "T"\nsource = "the collected list of quirks"\nfirmware = "not stated"\n'


def meter(text: str, head: str = "") -> RegisterMap:
    return registermaps.parse(HEAD + head + text, "meter.toml")


def f32(value: float) -> tuple[int, ...]:
    return struct.unpack(">2H", struct.pack(">f", value))


def value_of(found: RegisterMap, name: str, *words: int, **helpers: Raw) -> Value:
    """Return a quantity's value from its words and its helpers' bare numbers."""
    quantity = found.quantities[name]
    raw = registers.decode(quantity, words)
    if not quantity.helpers:
        return raw
    known: dict[str, tuple[Quantity, Raw]] = {
        helper: (found.quantities[helper], number) for helper, number in helpers.items()
    }
    return registers.combined(quantity, raw, known)


def test_schneider_pm5500() -> None:
    found = meter(
        """
[quantity.power_factor]
address = 3084
type = "float32"
form = "four_quadrant"
[quantity.current]
address = 3000
type = "uint32"
not_available = ["0xFFFFFFFF"]
[quantity.offset]
address = 3200
type = "int16"
not_available = ["0x8000"]
""",
        "list_base = 1\n",
    )
    assert found.quantities["power_factor"].address == 3083
    shown = {0.95: 0.95, -0.95: -0.95, 1.2: 0.8, -1.2: -0.8, 2.0: 0.0, 1.0: 1.0, -1.0: -1.0}
    for held, power_factor in shown.items():
        assert value_of(found, "power_factor", *f32(held)) == pytest.approx(power_factor, abs=1e-6)
    assert value_of(found, "power_factor", *f32(math.nan)) is None
    assert value_of(found, "current", 0xFFFF, 0xFFFF) is None
    assert value_of(found, "offset", 0x8000) is None
    assert value_of(found, "offset", 0x8001) == -32_767.0


def test_schneider_pm1200() -> None:
    row = '[quantity.{}]\naddress = {}\ntype = "float32"\norder = "CDAB"\n'
    wide = [("volts", 3901), ("amps", 3911), ("energy", 3961)]
    text = "".join(row.format(*each) for each in wide)
    found = meter(text, "list_base = 1\nwhole_block = 20\nfirst_block = 3900\n")
    high, low = f32(230.5)
    assert value_of(found, "volts", low, high) == 230.5
    plan = blocks.plan(found.quantities.values(), found.limits)
    assert [(block.address, block.count) for block in plan] == [(3900, 20), (3960, 20)]
    assert blocks.smaller(plan[0], found.limits) == []  # a part of a block would be refused too
    with pytest.raises(Misconfigured, match="in one block of 20"):
        meter(row.format("split", 3920), "list_base = 1\nwhole_block = 20\nfirst_block = 3900\n")


def test_schneider_pm700() -> None:
    found = meter(
        """
[quantity.power_exponent]
address = 4107
type = "int16"
[quantity.power]
address = 4005
type = "int16"
unit = "kW"
exponent = "power_exponent"
[quantity.power_factor]
address = 4031
type = "signed16"
scale = "0.001"
"""
    )
    assert value_of(found, "power", 1_234, power_exponent=-2) == 12.34
    assert value_of(found, "power", 1_234, power_exponent=3) == 1_234_000.0
    assert value_of(found, "power", 1_234, power_exponent=None) is None
    assert value_of(found, "power", 1_234, power_exponent=99) is None
    assert value_of(found, "power_factor", 950 + 32_768) == -0.95
    assert value_of(found, "power_factor", 950) == 0.95


def test_schneider_pm8000() -> None:
    """Its list does not say the word order: the check says which one would be likely."""
    row = '[quantity.voltage]\naddress = 3027\ntype = "float32"\nunit = "V"\norder = "ABCD"\n'
    quantity = meter(row).quantities["voltage"]
    high, low = f32(230.5)
    assert look.suspected(quantity, struct.pack(">2H", high, low)) == ""
    told = look.suspected(quantity, struct.pack(">2H", low, high))
    assert told == "wrong word order suspected: with order CDAB it would show 230.5 V"


def test_ion6200() -> None:
    """Scales are programmable: they are read with every poll, so a change shows at once."""
    found = meter(
        """
[quantity.power_scale]
address = 4013
type = "uint16"
scale = "0.001"
[quantity.power]
address = 4023
type = "int16"
unit = "kW"
factor = "power_scale"
"""
    )
    assert value_of(found, "power", 500, power_scale=100) == 50.0
    assert value_of(found, "power", 500, power_scale=1_000) == 500.0


def test_veris_e50() -> None:
    found = meter(
        """
[quantity.energy_exponent]
address = 130
type = "int16"
[quantity.import_active_energy]
address = 1
function = 4
type = "uint32"
unit = "kWh"
counter = true
exponent = "energy_exponent"
least = -3
[quantity.power]
address = 147
type = "int16"
not_available = ["0x8000"]
[quantity.power_float]
address = 261
type = "float32"
""",
        "list_base = 1\n",
    )
    energy = found.quantities["import_active_energy"]
    assert energy.unit_per_count == Decimal("0.001")
    coarse = value_of(found, "import_active_energy", 0, 1_234, energy_exponent=1)
    fine = value_of(found, "import_active_energy", 0xBC, 0x4B90, energy_exponent=-3)
    assert (coarse, fine) == (12_340_000, 12_340_112)  # 12,340 kWh and 12,340.112 kWh
    assert isinstance(coarse, int)
    assert value_of(found, "import_active_energy", 0, 1, energy_exponent=-4) is None
    assert value_of(found, "power", 0x8000) is None
    assert value_of(found, "power_float", *f32(math.nan)) is None
    assert {q.function for q in found.quantities.values()} == {3, 4}


def test_abb_m1m() -> None:
    """What can not be read lies outside the listed values, which no block ever leaves."""
    rows = [("first", 0x1000, "uint16", "FFFF"), ("last", 0x8EFE, "int16", "7FFF")]
    text = "".join(
        f'[quantity.{name}]\naddress = {address}\ntype = "{kind}"\nnot_available = ["0x{na}"]\n'
        for name, address, kind, na in rows
    )
    found = meter(text)
    assert value_of(found, "first", 0xFFFF) is None
    assert value_of(found, "last", 0x7FFF) is None
    assert value_of(found, "last", 0xFFFF) == -1.0
    for block in blocks.plan(found.quantities.values(), found.limits):
        assert block.address >= 0x1000
        assert block.address + block.count <= 0x8F00


def test_carlo_gavazzi_em111() -> None:
    text = "".join(
        f'[quantity.q{address}]\naddress = {address}\ntype = "int32"\norder = "CDAB"\n'
        for address in range(0, 120, 2)
    )
    found = meter(text, "most_registers = 50\n")
    plan = blocks.plan(found.quantities.values(), found.limits)
    assert [block.count for block in plan] == [50, 50, 20]
    assert value_of(found, "q0", 0xD687, 0x0012) == 1_234_567.0


def test_contrel_emc() -> None:
    """At most 32 registers, and no value in two reads: a block ends one register early."""
    text = "".join(
        f'[quantity.q{address}]\naddress = {address}\ntype = "float32"\n'
        for address in range(1, 81, 2)
    )
    found = meter(text + '[quantity.q0]\naddress = 0\ntype = "uint16"\n', "most_registers = 32\n")
    plan = blocks.plan(found.quantities.values(), found.limits)
    assert [(block.address, block.count) for block in plan] == [(0, 31), (31, 32), (63, 18)]


def test_e650_through_a_gateway() -> None:
    """Four meters in one list behind one unit id: four devices with a shift each."""
    text = '[quantity.energy]\naddress = 40016\ntype = "uint32"\ncounter = true\n'
    quantity = meter(text).quantities["energy"]
    assert [quantity.address + shift for shift in (0, 200, 400, 600)] == [
        40_016,
        40_216,
        40_416,
        40_616,
    ]


def test_etactica_em() -> None:
    found = meter(
        '[quantity.energy]\naddress = 8232\ntype = "int64"\nunit = "kWh"\n'
        'scale = "0.000001"\ncounter = true\n'
    )
    count = value_of(found, "energy", 0, 0x0011, 0xF71F, 0xB070)
    assert count == 77_160_493_168
    assert 77_160_493_168 * found.quantities["energy"].unit_per_count == Decimal("77160.493168")


def test_wem3080t() -> None:
    found = meter(
        '[quantity.energy]\naddress = 1\ntype = "uint32"\nunit = "kWh"\n'
        'scale = "0.00125"\ncounter = true\n'
    )
    assert value_of(found, "energy", 0, 8_000) == 8_000
    assert 8_000 * found.quantities["energy"].unit_per_count == 10


def test_acrel_dtsd1352() -> None:
    """The list gives no scale: the count travels raw, and the plant file says what it is worth."""
    found = meter('[quantity.energy]\naddress = 10\ntype = "uint32"\ncounter = true\n')
    assert value_of(found, "energy", 0x0012, 0xD687) == 1_234_567


HANDLED = {
    "Schneider PM5500 (PM5560..)": test_schneider_pm5500,
    "Schneider PM1200": test_schneider_pm1200,
    "Schneider PM200/PM700/PM750": test_schneider_pm700,
    "Schneider PM8000": test_schneider_pm8000,
    "ION6200": test_ion6200,
    "Veris E50": test_veris_e50,
    "ABB M1M/M4M": test_abb_m1m,
    "Carlo Gavazzi EM111": test_carlo_gavazzi_em111,
    "Contrel EMC": test_contrel_emc,
    "E650 via MarCom gateway": test_e650_through_a_gateway,
    "eTactica EM": test_etactica_em,
    "WEM3080T": test_wem3080t,
    "Acrel DTSD1352-C": test_acrel_dtsd1352,
}
NOT_CLAIMED = {"GE EPM 6000"}


@pytest.mark.skipif(not QUIRKS.is_file(), reason="the list of quirks is not beside this checkout")
def test_every_listed_quirk_is_tested_here_or_named_as_not_claimed() -> None:
    with QUIRKS.open(encoding="utf-8") as file:
        listed = {row["meter"] for row in csv.DictReader(file)}
    assert listed == HANDLED.keys() | NOT_CLAIMED
    told = (ROOT / "docs" / "meters.md").read_text("utf-8")
    for name in NOT_CLAIMED:
        assert name in told.partition("## Not claimed")[2]
