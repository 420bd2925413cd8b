"""The fewest legal reads of a meter's quantities, and a read's bytes to their values. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from edge import registers
from edge.registers import BIT_FUNCTIONS, MOST_BITS, Kind, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edge.registers import Finish, Quantity, Value

    _Finish = Callable[[Any], Value] | None

# What `struct` reads of bytes that arrive highest first.
_CODES: Final = {
    Kind.INT16: "h",
    Kind.UINT16: "H",
    Kind.INT32: "i",
    Kind.UINT32: "I",
    Kind.INT64: "q",
    Kind.UINT64: "Q",
    Kind.FLOAT32: "f",
    Kind.FLOAT64: "d",
}


@dataclass(frozen=True, slots=True)
class Block:
    """One read: a function, a span of addresses, and the quantities inside it."""

    function: int
    address: int
    count: int
    quantities: tuple[Quantity, ...]

    @property
    def bytes(self) -> int:
        """Return how many bytes of data answer it."""
        return -(-self.count // 8) if self.function in BIT_FUNCTIONS else 2 * self.count


def plan(quantities: Iterable[Quantity], limits: Limits = Limits()) -> list[Block]:  # noqa: B008 - frozen
    """Return the fewest reads that hold every quantity whole, none longer than allowed.

    Walking spans by their start and extending a block while the next value still ends inside is
    optimal: each block begins at the first value that no earlier block could hold.
    """
    blocks: list[Block] = []
    inside: list[Quantity] = []
    end = 0
    for quantity in sorted(quantities, key=lambda q: (q.function, q.address, q.words)):
        quantity_end = quantity.address + quantity.words
        if inside and not _holds(inside[0], end, quantity, limits):
            blocks.append(_block(inside, end, limits))
            inside = []
        end = max(end, quantity_end) if inside else quantity_end
        inside.append(quantity)
    if inside:
        blocks.append(_block(inside, end, limits))
    return blocks


def smaller(block: Block, limits: Limits) -> list[Block]:
    """Return the reads to try in the place of one that a meter refused; none where it is the least.

    First without passing over registers that are not listed, then by halves.
    """
    if limits.whole_block or len(block.quantities) == 1:
        return []
    without_gaps = plan(block.quantities, Limits(limits.most_registers, most_gap=0))
    if len(without_gaps) > 1:
        return without_gaps
    half = len(block.quantities) // 2
    parts = (block.quantities[:half], block.quantities[half:])
    return [part for inside in parts for part in plan(inside, limits)]


def _holds(first: Quantity, end: int, quantity: Quantity, limits: Limits) -> bool:
    if quantity.function != first.function:
        return False
    if limits.whole_block:
        return _whole(first, limits) == _whole(quantity, limits)
    most, gap = limits.most_registers, limits.most_gap
    if quantity.function in BIT_FUNCTIONS:
        most = gap = MOST_BITS
    last = max(end, quantity.address + quantity.words)
    return last - first.address <= most and quantity.address - end <= gap


def _whole(quantity: Quantity, limits: Limits) -> int:
    return (quantity.address - limits.first_block) // limits.whole_block


def _block(inside: Sequence[Quantity], end: int, limits: Limits) -> Block:
    first = inside[0]
    if limits.whole_block and first.function not in BIT_FUNCTIONS:
        address = limits.first_block + _whole(first, limits) * limits.whole_block
        return Block(first.function, address, limits.whole_block, tuple(inside))
    return Block(first.function, first.address, end - first.address, tuple(inside))


def decoder(block: Block) -> Callable[[bytes], list[Value]]:
    """Return the function from the bytes of a read to the values of its quantities, in order.

    Build it once per block and call it per poll; it raises ValueError on a short answer.
    """
    if block.function in BIT_FUNCTIONS:
        return _bits(block)
    picked = [_picked(quantity, block) for quantity in block.quantities]
    layout = [low for low, _, _ in picked]
    size = block.bytes
    overlapping = any(
        low + 2 * quantity.words > following
        for low, quantity, following in zip(
            layout, block.quantities, [*layout[1:], size], strict=True
        )
    )
    if overlapping:
        return _sliced(block)
    at, format_ = 0, ">"
    for (low, code, _), quantity in zip(picked, block.quantities, strict=True):
        format_ += f"{low - at}x{code}"
        at = low + 2 * quantity.words
    unpack = struct.Struct(f"{format_}{size - at}x").unpack
    if all(code in _CODES.values() for _, code, _ in picked):
        return _at_once(block, unpack, [finish for _, _, finish in picked])
    return _one_by_one(block, unpack, [finish for _, _, finish in picked])


def _one_by_one(
    block: Block, unpack: Callable[[bytes], tuple[Any, ...]], finishes: Sequence[_Finish]
) -> Callable[[bytes], list[Value]]:
    def decode(data: bytes) -> list[Value]:
        _check(block, data)
        return [
            raw if finish is None else finish(raw)
            for finish, raw in zip(finishes, unpack(data), strict=True)
        ]

    return decode


def _at_once(
    block: Block, unpack: Callable[[bytes], tuple[Any, ...]], finishes: Sequence[_Finish]
) -> Callable[[bytes], list[Value]]:
    """Return the decoder of a block of plain numbers: most need no call of their own.

    A sum is finite only where every summand is; where it is not, each is looked at by itself.
    """
    carefully = _one_by_one(block, unpack, finishes)
    steps = [
        (position, finish)
        for position, finish in enumerate(finishes)
        if finish is not None and finish is not _finite
    ]

    def decode(data: bytes) -> list[Value]:
        _check(block, data)
        values: list[Value] = list(unpack(data))
        if not isfinite(sum(values)):  # type: ignore[arg-type]  # numbers, as unpacked
            return carefully(data)
        for position, finish in steps:
            values[position] = finish(values[position])
        return values

    return decode


def _picked(quantity: Quantity, block: Block) -> tuple[int, str, _Finish]:
    """Return where a quantity begins, how it is unpacked, and what makes its value of that."""
    low = 2 * (quantity.address - block.address)
    code = _CODES.get(quantity.kind)
    is_plain = not quantity.order or registers.is_natural(quantity.order)
    if code is None or not is_plain or (quantity.not_available and quantity.kind.is_float):
        return low, f"{2 * quantity.words}s", registers.decoder(quantity)
    finish = registers.finisher(quantity)
    if quantity.kind.is_float:
        return low, code, _finite if finish is float else _if_finite(finish)
    if quantity.not_available:
        bits = 16 * quantity.words
        signed = quantity.kind.startswith("int")
        markers = frozenset(
            marker - (1 << bits) if signed and marker >> (bits - 1) else marker
            for marker in quantity.not_available
        )
        return low, code, _if_available(finish, markers)
    return low, code, finish


def _finite(raw: float) -> Value:
    return raw if isfinite(raw) else None


def _if_finite(finish: Finish | None) -> Finish:
    def finished(raw: float) -> Value:
        if not isfinite(raw):
            return None
        return raw if finish is None else finish(raw)

    return finished


def _if_available(finish: Finish | None, markers: frozenset[int]) -> Finish:
    def finished(raw: float) -> Value:
        if raw in markers:
            return None
        return raw if finish is None else finish(raw)

    return finished


def _sliced(block: Block) -> Callable[[bytes], list[Value]]:
    """Two quantities show the same registers: take each apart from the others."""
    steps = [
        (low := 2 * (q.address - block.address), low + 2 * q.words, registers.decoder(q))
        for q in block.quantities
    ]

    def decode(data: bytes) -> list[Value]:
        _check(block, data)
        return [step(data[low:high]) for low, high, step in steps]

    return decode


def _bits(block: Block) -> Callable[[bytes], list[Value]]:
    """Functions 1 and 2: the first address is the lowest bit of the first byte."""
    spots = [divmod(quantity.address - block.address, 8) for quantity in block.quantities]
    finishes = [registers.finisher(quantity) or float for quantity in block.quantities]

    def decode(data: bytes) -> list[Value]:
        _check(block, data)
        return [
            finish(data[byte] >> bit & 1)
            for finish, (byte, bit) in zip(finishes, spots, strict=True)
        ]

    return decode


def _check(block: Block, data: bytes) -> None:
    if len(data) != block.bytes:
        raise ValueError(f"{len(data)} bytes came, {block.bytes} were asked for")
