"""What the plan of reads promises: few, legal, whole; and what a refused one becomes."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import blocks, registers
from edge.blocks import Block
from edge.registers import Kind, Limits, Quantity

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
    plan = blocks.plan(quantities, Limits(most, gap))
    inside = [quantity for block in plan for quantity in block.quantities]
    assert sorted(q.name for q in inside) == sorted(q.name for q in quantities)
    for block in plan:
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
    plan = blocks.plan(quantities, Limits(most))
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
    assert len(plan) == least


def test_a_short_answer_is_refused() -> None:
    block = Block(3, 10, 2, (Quantity("x", 10, Kind.UINT16), Quantity("y", 11, Kind.UINT16)))
    decode = blocks.decoder(block)
    assert decode(b"\0\1\0\2") == [1.0, 2.0]
    with pytest.raises(ValueError, match="2 bytes came"):
        decode(b"\0\1")


ODD_WORDS = st.sampled_from([0, 0x7FFF, 0xFFFF, 0x7F80, 0xFF80, 0x7FC0])
WORDS = st.one_of(ODD_WORDS, st.integers(0, 65_535))
KINDS = [kind for kind in Kind if kind not in (Kind.STRING, Kind.BIT)]


@st.composite
def read(draw: st.DrawFn) -> tuple[Block, bytes]:
    """Draw a block of any quantities, some of which share registers, and what it holds."""
    quantities = []
    for number in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(KINDS))
        counter = draw(st.booleans())
        quantities.append(
            Quantity(
                f"q{number}",
                draw(st.integers(0, 20)),
                kind,
                order=draw(st.sampled_from(["", *registers.orders(kind.words)])),
                scale=Decimal(draw(st.sampled_from(["1", "0.1", "0.001", "10", "0.00125"]))),
                offset=Decimal(0 if counter else draw(st.sampled_from(["0", "-40"]))),
                counter=counter,
                resolution=Decimal(draw(st.sampled_from(["1", "0.01", "0.5", "10"]))),
                not_available=frozenset(draw(st.sets(st.sampled_from([0, 0x7FFF, 0xFFFF])))),
            )
        )
    (block,) = blocks.plan(quantities)
    words = draw(st.lists(WORDS, min_size=block.count, max_size=block.count))
    return block, struct.pack(f">{block.count}H", *words)


@given(read())
def test_a_block_gives_what_each_of_its_values_gives_alone(drawn: tuple[Block, bytes]) -> None:
    block, data = drawn
    found = blocks.decoder(block)(data)
    for quantity, value in zip(block.quantities, found, strict=True):
        low = 2 * (quantity.address - block.address)
        alone = registers.decoder(quantity)(data[low : low + 2 * quantity.words])
        assert value == alone
        assert type(value) is type(alone)


@given(st.floats(width=32), st.sampled_from(["1", "0.1", "0.01", "0.001", "0.5", "10", "0.3"]))
def test_a_float_count_is_the_nearest_whole_number_of_steps(held: float, step: str) -> None:
    """The oracle divides exactly, as fractions, and rounds half to even."""
    resolution = Decimal(step)
    quantity = Quantity("x", 0, Kind.FLOAT32, counter=True, resolution=resolution)
    count = registers.decoder(quantity)(struct.pack(">f", held))
    if not math.isfinite(held):
        assert count is None
        return
    exact = round(Fraction(held) / Fraction(resolution))
    assert count == (exact if -(1 << 63) <= exact < 1 << 63 else None)


def test_a_refused_read_is_first_tried_without_gaps_and_then_by_halves() -> None:
    near = [Quantity(f"q{a}", a, Kind.UINT16) for a in (0, 1, 2, 10)]
    limits = Limits()
    (block,) = blocks.plan(near, limits)
    without_gaps = blocks.smaller(block, limits)
    assert [(part.address, part.count) for part in without_gaps] == [(0, 3), (10, 1)]
    halves = blocks.smaller(without_gaps[0], limits)
    assert [(part.address, part.count) for part in halves] == [(0, 1), (1, 2)]
    assert blocks.smaller(halves[0], limits) == []


def test_bits_are_read_two_thousand_at_a_time_lowest_first() -> None:
    bits = [Quantity(f"b{a}", a, Kind.BIT, function=1) for a in (0, 9, 1_999, 2_000)]
    first, second = blocks.plan(bits)
    assert (first.count, second.count) == (2_000, 1)
    data = bytearray(first.bytes)
    data[1] = 0b10
    assert blocks.decoder(first)(bytes(data)) == [0.0, 1.0, 0.0]
