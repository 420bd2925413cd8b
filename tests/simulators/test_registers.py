"""Words that the simulated meter writes are those that the edge reads."""

from __future__ import annotations

from decimal import Decimal

import pytest

from edge import registers as maps
from edge.registers import Kind, Quantity
from simulators import registers


@pytest.mark.parametrize(
    ("kind", "order", "value", "words"),
    [
        (Kind.INT32, "ABCD", -2, [0xFFFF, 0xFFFE]),
        (Kind.UINT32, "CDAB", 0x12345678, [0x5678, 0x1234]),
        (Kind.UINT32, "BADC", 0x12345678, [0x3412, 0x7856]),
        (Kind.UINT32, "DCBA", 0x12345678, [0x7856, 0x3412]),
        (Kind.UINT64, "ABCDEFGH", 1, [0, 0, 0, 1]),
        (Kind.UINT16, "AB", 65535, [0xFFFF]),
        (Kind.BCD32, "ABCD", 12345678, [0x1234, 0x5678]),
        (Kind.INT48, "ABCDEF", -1, [0xFFFF, 0xFFFF, 0xFFFF]),
    ],
)
def test_whole_counts_stand_in_the_registers_in_the_order_of_the_map(
    kind: Kind, order: str, value: int, words: list[int]
) -> None:
    quantity = Quantity("q", 0, kind, order=order, counter=True)
    assert registers.words(quantity, value) == words
    assert maps.decode(quantity, words) == value


def test_a_float_counter_shows_count_times_resolution() -> None:
    quantity = Quantity(
        "q", 0, Kind.FLOAT64, order="ABCDEFGH", counter=True, resolution=Decimal("0.5")
    )
    assert registers.words(quantity, 3) == [0x3FF8, 0, 0, 0]
    assert maps.decode(quantity, registers.words(quantity, 3)) == 3


def test_a_scaled_value_is_rounded_to_the_register() -> None:
    quantity = Quantity("q", 0, Kind.UINT16, order="AB", scale=Decimal("0.1"))
    assert registers.words(quantity, 230.06) == [2301]


@pytest.mark.parametrize(
    ("kind", "value"), [(Kind.UINT16, 65536), (Kind.UINT16, -1), (Kind.BCD16, 10_000)]
)
def test_what_does_not_fit_is_refused(kind: Kind, value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        registers.words(Quantity("q", 0, kind, order="AB", counter=True), value)
