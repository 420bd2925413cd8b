"""Data identifiers: digits to counts and measures, blocks, and a table's mistakes all at once."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Misconfigured
from edge.dlt645 import freeze, items
from edge.dlt645.items import Item, Read

TABLE = items.builtin().items


def digits(value: int, size: int) -> bytes:
    return bytes.fromhex(f"{value:0{2 * size}d}")[::-1]


@given(st.integers(0, 99_999_999))
def test_energy_is_counted_as_the_display_shows_it(count: int) -> None:
    energy = TABLE["forward_active_energy"]
    assert energy.decode(digits(count, 4), 0) == count
    assert energy.unit_per_count == Decimal("0.01")
    assert energy.modulus == 100_000_000


@given(st.integers(-799_999, 799_999))
def test_the_highest_bit_of_a_signed_item_is_its_sign(tenths: int) -> None:
    raw = bytearray(digits(abs(tenths), 3))
    raw[-1] |= 0x80 if tenths < 0 else 0
    assert TABLE["active_power_total"].decode(bytes(raw), 0) == tenths / 10_000


@pytest.mark.parametrize(
    "raw", ["FFFFFFFF", "FFFFFF7F", "0A000000", "12345F67", "", "123456", "00FFFFFF"]
)
def test_what_is_no_number_is_no_value(raw: str) -> None:
    assert TABLE["forward_active_energy"].decode(bytes.fromhex(raw), 0) is None
    assert TABLE["combined_active_energy"].decode(bytes.fromhex(raw), 0) is None


@pytest.mark.parametrize(
    ("name", "identifier", "raw", "shown"),
    [
        # domain.md 3.3 and table A.3; the digits are those of the format written backwards
        ("forward_active_energy", 0x00010000, "90785634", 34567890),
        ("reverse_active_energy", 0x00020000, "01000000", 1),
        ("forward_active_energy_t1", 0x00010100, "00100000", 1000),
        ("forward_active_energy_t4", 0x00010400, "00100000", 1000),
        ("active_power_total", 0x02030000, "563412", 12.3456),
        ("active_power_total", 0x02030000, "563492", -12.3456),
        ("reactive_power_total", 0x02040000, "010000", 0.0001),
        ("voltage_b", 0x02010200, "0522", 220.5),
        ("current_c", 0x02020300, "563412", 123.456),
        ("power_factor_total", 0x02060000, "9889", -0.998),
        ("frequency", 0x02800002, "0250", 50.02),
        ("active_demand", 0x02800004, "000100", 0.01),
        ("forward_active_demand_peak", 0x01010000, "563412 0510 211126", 12.3456),
        ("daily_forward_active_energy", 0x05060101, "78563412", 12345678),
    ],
)
def test_an_item_reads_as_the_standard_writes_it(
    name: str, identifier: int, raw: str, shown: float
) -> None:
    item = TABLE[name]
    assert item.identifier == identifier
    assert item.decode(bytes.fromhex(raw), item.offset) == shown
    assert isinstance(shown, int) is item.counter


def test_the_tariffs_of_a_freeze_stand_behind_one_another() -> None:
    answer = b"".join(digits(count, 4) for count in (1000, 100, 200, 300, 400))
    names = ["daily_forward_active_energy", *(f"daily_forward_active_energy_t{n}" for n in "1234")]
    counts = [TABLE[name].decode(answer, TABLE[name].offset) for name in names]
    assert counts == [1000, 100, 200, 300, 400]
    assert {TABLE[name].identifier for name in names} == {0x05060101}
    assert freeze.numbered(0x05060101, 7) == 0x05060107


def test_values_of_one_block_are_one_read_and_one_value_is_asked_alone() -> None:
    points = {"a": "voltage_a", "b": "voltage_b", "c": "current_a", "e": "forward_active_energy"}
    reads = items.plan({point: TABLE[name] for point, name in points.items()})
    assert [(f"{read.identifier:08X}", read.is_block) for read in reads] == [
        ("00010000", False),
        ("0201FF00", True),
        ("02020100", False),
    ]
    block = reads[1]
    raw = digits(2201, 2) + digits(2202, 2) + digits(2203, 2)
    assert [part.item.decode(raw, part.offset) for part in block.parts] == [220.1, 220.2]
    assert [f"{read.identifier:08X}" for read in items.pieces(block)] == ["02010100", "02010200"]


def test_two_points_may_show_one_item() -> None:
    (read,) = items.plan({"a": TABLE["frequency"], "b": TABLE["frequency"]})
    assert [part.point for part in read.parts] == ["a", "b"]
    assert not read.is_block


@given(st.sets(st.sampled_from(sorted(TABLE)), min_size=1, max_size=40))
def test_every_point_is_brought_by_exactly_one_read(names: set[str]) -> None:
    points = {f"p-{name}": TABLE[name] for name in names}

    def brought(reads: list[Read]) -> list[str]:
        return [part.point for read in reads for part in read.parts]

    assert sorted(brought(items.plan(points)) + brought(items.frozen(points))) == sorted(points)
    single = [piece for read in items.plan(points) for piece in items.pieces(read)]
    assert sorted(brought(single) + brought(items.frozen(points))) == sorted(points)
    for read in items.plan(points):
        for part in read.parts:
            assert part.offset + part.item.size <= 63 * 8 + 8


def test_every_row_says_where_it_comes_from_and_no_tariff_hides_another_item() -> None:
    assert "DL/T 645-2007" in items.builtin().source
    assert len(TABLE) > 150
    own = [item for item in TABLE.values() if not item.frozen]
    assert len({item.identifier for item in own}) == len(own)


def test_all_mistakes_of_a_table_are_told_at_once_with_line_and_key() -> None:
    text = """\
title = "t"
source = "s"
[item.a]
di = "0001"
format = "XXX"
[item.b]
di = "00010000"
format = "XX.XX"
modulus = 100
block_position = 2
[item.c]
format = "XX"
colour = "red"
"""
    with pytest.raises(Misconfigured) as wrong:
        items.parse(text, "mine.toml")
    told = "\n".join(map(str, wrong.value.problems))
    for part in (
        "mine.toml:4: item.a.di",
        "mine.toml:6: item.b",
        "modulus belongs to counters only; block_position needs a block",
        "mine.toml:11: item.c.di: is required",
        "mine.toml:13: item.c.colour",
    ):
        assert part in told
    odd = text.replace('"0001"', '"00010001"').split("[item.b]")[0]
    with pytest.raises(Misconfigured, match="odd number of digits"):
        items.parse(odd, "mine.toml")


def test_a_tariff_that_takes_another_items_name_is_told() -> None:
    text = 'title = "t"\nsource = "s"\n'
    text += '[item.e]\ndi = "00010000"\nformat = "XX"\ntariffs = 1\n'
    text += '[item.e_t1]\ndi = "00010100"\nformat = "XX"\n'
    with pytest.raises(Misconfigured, match=r"mine.toml:3: item.e: .*'e_t1'"):
        items.parse(text, "mine.toml")


def test_a_wrong_name_is_answered_with_near_ones() -> None:
    assert "forward_active_energy" in items.builtin().suggest("forward_energy")
    assert items.builtin().suggest("zzz")


def test_an_item_without_digits_is_none() -> None:
    assert Item("x", 1, 2).decode(b"\x12", 0) is None
    assert items.bcd(b"") is None
