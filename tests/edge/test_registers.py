"""What register maps promise: words to values, counts exact, blocks few and whole."""

from __future__ import annotations

import json
import math
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Misconfigured
from edge import registers
from edge.registers import Block, Kind, Quantity

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases" / "modbus_decode_cases.json"
SKIPPED = {"string"}


def recorded_cases() -> list[Any]:
    if not CASES.is_file():
        return []
    cases = json.loads(CASES.read_text("utf-8"))["cases"]
    return [
        pytest.param(case, id=case["id"])
        for case in cases
        if case["type"] not in SKIPPED and "zero_suppress" not in case
    ]


def quantity_of(case: dict[str, Any]) -> tuple[Quantity, list[int]]:
    """Return the quantity and the words of a case; an index counts bits, bytes or registers."""
    words = [int(word, 16) for word in case["registers"]]
    kind, index, bit = case["type"], case.get("index", 0), case.get("bit", 0)
    if kind == "bit":
        register, bit = divmod(index, 16) if "index" in case else (0, bit)
        words = words[register:]
    elif kind == "uint8":
        kind = ("uint8_low", "uint8_high")[index % 2]
        words = words[index // 2 :]
    else:
        words = words[index:]
    return (
        Quantity(
            "x",
            0,
            Kind(kind),
            order="" if kind.endswith(("_low", "_high")) else case["order"],
            scale=Decimal(str(case["scale"])),
            offset=Decimal(str(case["offset"])),
            bit=bit,
        ),
        words,
    )


@pytest.mark.skipif(not CASES.is_file(), reason="the recorded cases are not beside this checkout")
@pytest.mark.parametrize("case", recorded_cases())
def test_every_recorded_case_decodes_as_its_origin_says(case: dict[str, Any]) -> None:
    quantity, words = quantity_of(case)
    if case.get("error") == "range":
        with pytest.raises(ValueError, match="registers"):
            registers.decode(quantity, words)
        return
    value = registers.decode(quantity, words)
    assert value is not None
    if "round" in case:
        value = round(value, case["round"])
    tolerance = 1e-6 if case["type"] == "float32" else 1e-15
    assert math.isclose(value, case["expect"], rel_tol=tolerance, abs_tol=1e-300)


@pytest.mark.parametrize(
    ("kind", "order", "words", "count"),
    [
        ("uint16", "AB", [0xFFFF], 65_535),
        ("int16", "BA", [0x00FF], -256),
        ("uint32", "ABCD", [0x0001, 0x0002], 65_538),
        ("uint32", "CDAB", [0x0002, 0x0001], 65_538),
        ("uint32", "BADC", [0x0100, 0x0200], 65_538),
        ("uint32", "DCBA", [0x0200, 0x0100], 65_538),
        ("int48", "ABCDEF", [0xFFFF, 0xFFFF, 0xFFFE], -2),
        ("uint48", "EFCDAB", [1, 0, 0x8000], 0x8000_0000_0001),
        ("int64", "ABCDEFGH", [0x001F, 0xFFFF, 0xFFFF, 0xFFFF], (1 << 53) - 1),
        ("uint64", "GHEFCDAB", [1, 0, 0, 0x0020], (1 << 53) + 1),
        ("bcd16", "AB", [0x1234], 1_234),
        ("bcd32", "ABCD", [0x1234, 0x5678], 12_345_678),
        ("bcd48", "ABCDEF", [0x0000, 0x1234, 0x5678], 12_345_678),
        ("bcd64", "GHEFCDAB", [0x7890, 0x3456, 0x0012, 0x0000], 1_234_567_890),
    ],
)
def test_a_counter_is_the_exact_integer_of_its_register(
    kind: str, order: str, words: list[int], count: int
) -> None:
    quantity = Quantity("x", 0, Kind(kind), order=order, counter=True, scale=Decimal("0.01"))
    value = registers.decode(quantity, words)
    assert value == count
    assert isinstance(value, int)


@given(st.integers(0, (1 << 53) - 1))
def test_a_float64_counter_gives_back_every_count(count: int) -> None:
    quantity = Quantity("x", 0, Kind.FLOAT64, counter=True, resolution=Decimal("0.5"))
    words = struct.unpack(">4H", struct.pack(">d", count / 2))
    assert registers.decode(quantity, words) == count


def test_a_float_counter_is_rounded_to_its_resolution_half_to_even() -> None:
    quantity = Quantity("x", 0, Kind.FLOAT32, counter=True, resolution=Decimal("0.01"))

    def count(value: float) -> object:
        return registers.decode(quantity, struct.unpack(">2H", struct.pack(">f", value)))

    assert count(12_345.6) == 1_234_560
    assert count(0.125) == 12
    assert count(0.375) == 38
    assert count(-0.125) == -12


@pytest.mark.parametrize("order", ["ABCD", "CDAB"])
def test_what_the_meter_calls_not_available_is_no_value(order: str) -> None:
    markers = frozenset({0x7FFF_FFFF, 0x8000_0000})
    quantity = Quantity("x", 0, Kind.INT32, order=order, not_available=markers)
    high, low = (0x7FFF, 0xFFFF) if order == "ABCD" else (0xFFFF, 0x7FFF)
    assert registers.decode(quantity, [high, low]) is None
    assert registers.decode(quantity, [0, 0]) == 0.0


@pytest.mark.parametrize("counter", [True, False])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_that_is_no_number_is_no_value(value: float, *, counter: bool) -> None:
    quantity = Quantity("x", 0, Kind.FLOAT32, counter=counter)
    words = struct.unpack(">2H", struct.pack(">f", value))
    assert registers.decode(quantity, words) is None


def test_a_broken_digit_and_a_count_beyond_the_wire_are_no_value() -> None:
    assert registers.decode(Quantity("x", 0, Kind.BCD16), [0x12A4]) is None
    huge = Quantity("x", 0, Kind.UINT64, counter=True)
    assert registers.decode(huge, [0x8000, 0, 0, 0]) is None
    assert registers.decode(huge, [0x7FFF, 0xFFFF, 0xFFFF, 0xFFFF]) == (1 << 63) - 1
    float_counter = Quantity("x", 0, Kind.FLOAT64, counter=True)
    assert registers.decode(float_counter, struct.unpack(">4H", struct.pack(">d", 1e300))) is None


def test_a_gauge_is_the_nearest_float_of_the_exact_figure() -> None:
    tenth = Quantity("x", 0, Kind.UINT16, scale=Decimal("0.1"))
    assert registers.decode(tenth, [3]) == 0.3  # 3 * 0.1 would be 0.30000000000000004


spans = st.lists(
    st.builds(
        Quantity,
        st.uuids().map(str),
        st.integers(0, 600),
        st.sampled_from([Kind.UINT16, Kind.INT32, Kind.INT48, Kind.FLOAT64]),
        st.sampled_from([3, 4]),
    ),
    min_size=1,
    max_size=40,
)


@given(spans, st.integers(4, 125), st.integers(0, 125))
def test_blocks_hold_every_quantity_whole_once_and_within_the_limits(
    quantities: list[Quantity], most: int, gap: int
) -> None:
    blocks = registers.plan_blocks(quantities, most, gap)
    inside = [quantity for block in blocks for quantity in block.quantities]
    assert sorted(q.name for q in inside) == sorted(q.name for q in quantities)
    for block in blocks:
        assert 1 <= block.count <= most
        covered = set[int]()
        for quantity in block.quantities:
            assert quantity.function == block.function
            assert block.address <= quantity.address
            assert quantity.address + quantity.words <= block.address + block.count
            covered.update(range(quantity.address, quantity.address + quantity.words))
        if gap == 0:
            assert len(covered) == block.count


@given(spans, st.integers(4, 125))
def test_no_plan_has_fewer_blocks(quantities: list[Quantity], most: int) -> None:
    """The least number by another method: shortest path over the sorted values."""
    blocks = registers.plan_blocks(quantities, most)
    least = 0
    for function in (3, 4):
        rows = sorted(
            (q.address, q.address + q.words) for q in quantities if q.function == function
        )
        best = [0] * (len(rows) + 1)
        for i in range(len(rows) - 1, -1, -1):
            best[i] = len(rows)
            end = 0
            for j in range(i, len(rows)):
                gap = rows[j][0] - end if j > i else 0
                end = max(end, rows[j][1])
                if end - rows[i][0] > most or gap > registers.MOST_REGISTERS:
                    break
                best[i] = min(best[i], 1 + best[j + 1])
        least += best[0]
    assert len(blocks) == least


def test_a_short_answer_is_refused() -> None:
    block = Block(3, 10, 2, (Quantity("x", 10, Kind.UINT16), Quantity("y", 11, Kind.UINT16)))
    decode = registers.block_decoder(block)
    assert decode([1, 2]) == {"x": 1.0, "y": 2.0}
    with pytest.raises(ValueError, match="1 registers came"):
        decode([1])


def test_all_mistakes_of_a_map_are_told_at_once_with_their_lines() -> None:
    text = """\
title = "T"
source = ""
[quantity.a]
address = 65536
type = "int31"
[quantity.b]
address = 65535
type = "float32"
order = "ABDC"
counter = true
surprise = 1
[quantity.c]
address = 1
type = "int16"
scale = "0"
resolution = "0.1"
modulus = 10
bit = 3
"""
    with pytest.raises(Misconfigured) as caught:
        registers.parse(text, "meter.toml")
    where = {problem.where for problem in caught.value.problems}
    assert {
        "meter.toml:1: firmware",
        "meter.toml:2: source",
        "meter.toml:4: quantity.a.address",
        "meter.toml:5: quantity.a.type",
        "meter.toml:11: quantity.b.surprise",
        "meter.toml:12: quantity.c",
    } <= where
    told = str(caught.value)
    for part in ("scale must not be 0", "resolution belongs", "modulus belongs", "bit belongs"):
        assert part in told


def test_a_float_counter_without_resolution_and_a_wrong_order_are_mistakes() -> None:
    head = 'title = "T"\nsource = "S"\nfirmware = "F"\n[quantity.b]\naddress = 1\n'
    with pytest.raises(Misconfigured, match="needs resolution"):
        registers.parse(head + 'type = "float32"\ncounter = true\n', "m.toml")
    with pytest.raises(Misconfigured, match="ABCD, CDAB, BADC, DCBA"):
        registers.parse(head + 'type = "float32"\norder = "ABDC"\n', "m.toml")


def test_an_unknown_model_is_told_with_the_known_ones() -> None:
    for name in ("nobody_x1", "../secrets", "_blueprint"):
        with pytest.raises(Misconfigured, match="acrel_adw300"):
            registers.builtin(name)
