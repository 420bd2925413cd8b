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

from edge import registers
from edge.registers import Kind, Quantity

CASES = Path(__file__).parents[3] / "shared" / "data" / "cases" / "modbus_decode_cases.json"


def recorded_cases() -> list[Any]:
    if not CASES.is_file():
        return []
    cases = json.loads(CASES.read_text("utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases]


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
            length=len(words) if kind == "string" else 0,
            zero_within=Decimal(case.get("zero_suppress", 0)),
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
    if case["type"] == "string":
        data = struct.pack(f">{len(words)}H", *words)
        assert registers.text(quantity, data) == case["expect"]
        return
    value = registers.decode(quantity, words)
    assert value is not None
    if "round" in case:
        value = round(value, case["round"])
    tolerance = 1e-6 if case["type"] == "float32" else 1e-15
    assert math.isclose(value, case["expect"], rel_tol=tolerance, abs_tol=1e-300)


@pytest.mark.skipif(not CASES.is_file(), reason="the recorded cases are not beside this checkout")
def test_no_recorded_case_is_left_out() -> None:
    assert len(recorded_cases()) == len(json.loads(CASES.read_text("utf-8"))["cases"]) >= 60


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


@given(st.integers(-(1 << 31) + 1, (1 << 31) - 1))
def test_sign_and_magnitude_give_back_every_number(number: int) -> None:
    quantity = Quantity("x", 0, Kind.SIGNED32)
    word = abs(number) | (1 << 31 if number < 0 else 0)
    assert registers.decode(quantity, [word >> 16, word & 0xFFFF]) == number


@given(st.integers(0, (1 << 32) - 1), st.integers(-3, 6), st.integers(-3, 6))
def test_a_count_stays_the_same_energy_when_the_meter_changes_its_scale(
    raw: int, first: int, second: int
) -> None:
    """The oracle multiplies the register by its scale, as the display does."""
    helper = Quantity("n", 9, Kind.INT16)
    energy = Quantity("e", 0, Kind.UINT32, counter=True, exponent="n", least=-3)
    for exponent in (first, second):
        count = registers.combined(energy, raw, {"n": (helper, exponent)})
        assert count is not None
        assert int(count) * energy.unit_per_count == Decimal(raw).scaleb(exponent)


def test_a_text_ends_at_its_first_nul() -> None:
    quantity = Quantity("serial", 0, Kind.STRING, length=4, order="AB")
    assert registers.text(quantity, b"AB12\0\0xx") == "AB12"
