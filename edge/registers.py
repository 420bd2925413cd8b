"""Modbus register maps as data, words to values, and the fewest blocks to read. Pure.

A map is a TOML file of `edge/devices` (copy `_blueprint.toml` to add a meter). A counter decodes
to an int: an integer register as it stands, a float register as round(register / resolution), so
one count is worth `unit_per_count`; scale and transformer ratios are the server's (design 4.2).
Everything else decodes to a float in the map's unit. What a meter calls not available, a NaN, a
broken BCD digit or a count that no wire can carry decodes to None.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from operator import itemgetter
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core import tomlfile
from core.errors import Misconfigured

Raw = int | float | None
Value = int | float | None
Decoder = Callable[[bytes], Value]

MOST_REGISTERS: Final = 125  # of one read, Modbus Application Protocol 1.1b3, 6.3 and 6.4
ADDRESSES: Final = 1 << 16
_COUNTS: Final = range(-(1 << 63), 1 << 63)  # what the wire's sint64 carries


class Kind(StrEnum):
    """How the words of a register are to be read."""

    BIT = "bit"
    INT8_HIGH = "int8_high"
    INT8_LOW = "int8_low"
    UINT8_HIGH = "uint8_high"
    UINT8_LOW = "uint8_low"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT48 = "int48"
    UINT48 = "uint48"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT16 = "float16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BCD16 = "bcd16"
    BCD32 = "bcd32"
    BCD48 = "bcd48"
    BCD64 = "bcd64"

    @property
    def words(self) -> int:
        """Return how many registers a value takes."""
        digits = "".join(filter(str.isdigit, self.value.partition("_")[0]))
        return max(1, int(digits or 1) // 16)

    @property
    def is_float(self) -> bool:
        """Tell whether the register holds a floating-point number."""
        return self.value.startswith("float")


def orders(words: int) -> tuple[str, ...]:
    """Return the byte orders a value may have: big, word swap, byte swap, little.

    A is the value's highest byte; letters stand in the order in which bytes arrive.
    """
    big = "ABCDEFGH"[: 2 * words]
    pairs = [big[i : i + 2] for i in range(0, 2 * words, 2)]
    swapped = "".join(reversed(pairs))
    return tuple(dict.fromkeys((big, swapped, "".join(pair[::-1] for pair in pairs), big[::-1])))


@dataclass(frozen=True, slots=True)
class Quantity:
    """One value of a meter: where it stands (0-based address on the wire) and how it is read.

    `resolution` belongs to float counters and is in the register's own unit; `modulus` is in
    counts, None where the vendor states none; `not_available` holds unsigned words.
    """

    name: str
    address: int
    kind: Kind
    function: int = 3
    order: str = ""
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    unit: str = ""
    counter: bool = False
    resolution: Decimal = Decimal(1)
    modulus: int | None = None
    not_available: frozenset[int] = frozenset()
    bit: int = 0

    @property
    def words(self) -> int:
        """Return how many registers the value takes."""
        return self.kind.words

    @property
    def unit_per_count(self) -> Decimal:
        """Return what one count of a counter is worth in `unit`, transformers apart."""
        return self.scale * self.resolution


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """A meter model: its quantities by name, and what it refuses to be asked.

    `most_gap` is how many unlisted registers one read may pass over.
    """

    name: str
    title: str
    source: str
    firmware: str
    quantities: Mapping[str, Quantity]
    most_registers: int = MOST_REGISTERS
    most_gap: int = MOST_REGISTERS


@dataclass(frozen=True, slots=True)
class Block:
    """One read: a function, a span of registers, and the quantities inside it."""

    function: int
    address: int
    count: int
    quantities: tuple[Quantity, ...]


def plan_blocks(
    quantities: Iterable[Quantity],
    most_registers: int = MOST_REGISTERS,
    most_gap: int = MOST_REGISTERS,
) -> list[Block]:
    """Return the fewest reads that hold every quantity whole, none longer than allowed.

    Walking spans by their start and extending a block while the next value still ends inside is
    optimal: each block begins at the first value that no earlier block could hold.
    """
    blocks: list[Block] = []
    inside: list[Quantity] = []
    end = 0
    for quantity in sorted(quantities, key=lambda q: (q.function, q.address, q.words)):
        quantity_end = quantity.address + quantity.words
        if inside and (
            quantity.function != inside[0].function
            or max(end, quantity_end) - inside[0].address > most_registers
            or quantity.address - end > most_gap
        ):
            blocks.append(_block(inside, end))
            inside = []
        end = max(end, quantity_end) if inside else quantity_end
        inside.append(quantity)
    if inside:
        blocks.append(_block(inside, end))
    return blocks


def _block(inside: Sequence[Quantity], end: int) -> Block:
    first = inside[0]
    return Block(first.function, first.address, end - first.address, tuple(inside))


def block_decoder(block: Block) -> Callable[[Sequence[int]], dict[str, Value]]:
    """Return the function from the registers of a block to the values of its quantities.

    Build it once per block and call it per poll; it raises ValueError on a short answer.
    """
    pack = struct.Struct(f">{block.count}H").pack
    spans = [2 * (quantity.address - block.address) for quantity in block.quantities]
    steps = [
        (quantity.name, low, low + 2 * quantity.words, decoder(quantity))
        for quantity, low in zip(block.quantities, spans, strict=True)
    ]

    def decode_block(registers: Sequence[int]) -> dict[str, Value]:
        if len(registers) != block.count:
            raise ValueError(f"{len(registers)} registers came, {block.count} were asked for")
        data = pack(*registers)
        return {name: step(data[low:high]) for name, low, high, step in steps}

    return decode_block


def decode(quantity: Quantity, words: Sequence[int]) -> Value:
    """Return the value of the words of one quantity; raises ValueError where they are too few."""
    if len(words) < quantity.words:
        raise ValueError(f"{quantity.kind} takes {quantity.words} registers, not {len(words)}")
    return decoder(quantity)(struct.pack(f">{quantity.words}H", *words[: quantity.words]))


@lru_cache(maxsize=8192)
def decoder(quantity: Quantity) -> Decoder:
    """Return the function from the bytes of a quantity's words to its value."""
    raw = _raw(quantity.kind, quantity.order, quantity.bit)
    finish = _count(quantity) if quantity.counter else _measure(quantity)
    markers = quantity.not_available
    if not markers:
        return lambda data: finish(raw(data))
    arrange = _arrange(quantity.order)

    def with_markers(data: bytes) -> Value:
        if int.from_bytes(arrange(data), "big") in markers:
            return None
        return finish(raw(data))

    return with_markers


def _count(quantity: Quantity) -> Callable[[Raw], Value]:
    up, down = quantity.resolution.as_integer_ratio()

    def finish(raw: Raw) -> Value:
        if raw is None:
            return None
        if isinstance(raw, float):
            part, whole = raw.as_integer_ratio()
            raw = _half_even(part * down, whole * up)
        return raw if raw in _COUNTS else None

    return finish


def _half_even(part: int, whole: int) -> int:
    count, rest = divmod(part, whole)
    if 2 * rest > whole or (2 * rest == whole and count % 2):
        count += 1
    return count


def _measure(quantity: Quantity) -> Callable[[Raw], Value]:
    """Scale exactly: one division of whole numbers, so the float is the nearest there is."""
    up, down = quantity.scale.as_integer_ratio()
    shift_up, shift_down = quantity.offset.as_integer_ratio()
    plain = quantity.scale == 1 and quantity.offset == 0
    factor, summand, below = up * shift_down, shift_up * down, down * shift_down

    def finish(raw: Raw) -> Value:
        if raw is None or plain:
            return None if raw is None else float(raw)
        part, whole = raw.as_integer_ratio()
        try:
            return (part * factor + summand * whole) / (whole * below)
        except OverflowError:
            return None

    return finish


def _raw(kind: Kind, order: str, bit: int) -> Callable[[bytes], Raw]:
    arrange = _arrange(order)
    if kind is Kind.BIT:
        return lambda data: int.from_bytes(arrange(data), "big") >> bit & 1
    if kind in _BYTES:
        position, signed = _BYTES[kind]
        return lambda data: int.from_bytes(
            arrange(data)[position : position + 1], "big", signed=signed
        )
    if kind.is_float:
        unpack = struct.Struct({16: ">e", 32: ">f", 64: ">d"}[16 * kind.words]).unpack
        return lambda data: _finite(unpack(arrange(data))[0])
    if kind.startswith("bcd"):
        return lambda data: _digits(arrange(data).hex())
    signed = kind.startswith("int")
    return lambda data: int.from_bytes(arrange(data), "big", signed=signed)


_BYTES: Final[dict[Kind, tuple[int, bool]]] = {
    Kind.INT8_HIGH: (0, True),
    Kind.INT8_LOW: (1, True),
    Kind.UINT8_HIGH: (0, False),
    Kind.UINT8_LOW: (1, False),
}


def _arrange(order: str) -> Callable[[bytes], bytes]:
    """Return what puts arriving bytes into the value's order, highest first."""
    if not order or list(order) == sorted(order):
        return _as_is
    pick = itemgetter(*(order.index(letter) for letter in sorted(order)))
    return lambda data: bytes(pick(data))


def _as_is(data: bytes) -> bytes:
    return data


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _digits(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def builtin(model: str) -> RegisterMap:
    """Return the map of a model that this package ships, `acrel_adw300` for one."""
    if model not in models():
        raise Misconfigured(
            f"there is no meter model {model!r}: take one of {', '.join(models())},"
            " or write the path of a map of your own, which ends in .toml"
        )
    file = resources.files("edge") / "devices" / f"{model}.toml"
    return parse(file.read_text("utf-8"), f"{model}.toml")


def models() -> list[str]:
    """Return the names of the models that this package ships."""
    names = (file.name for file in (resources.files("edge") / "devices").iterdir())
    return sorted(
        name.removesuffix(".toml")
        for name in names
        if name.endswith(".toml") and not name.startswith("_")
    )


def parse(text: str, name: str) -> RegisterMap:
    """Read a map; raises Misconfigured with all its mistakes, each with file, line, key."""
    table = tomlfile.validate(tomlfile.parse(text, name), _Map)
    return RegisterMap(
        name.rpartition("/")[2].removesuffix(".toml"),
        table.title,
        table.source,
        table.firmware,
        {key: _quantity(key, row) for key, row in table.quantity.items()},
        table.most_registers,
        table.most_gap,
    )


def _quantity(name: str, row: _Row) -> Quantity:
    return Quantity(
        name,
        row.address,
        row.type,
        row.function,
        row.order or orders(row.type.words)[0],
        row.scale,
        row.offset,
        row.unit,
        row.counter,
        Decimal(1) if row.resolution is None else row.resolution,
        row.modulus,
        frozenset(int(marker, 16) for marker in row.not_available),
        row.bit or 0,
    )


_Hex = Annotated[str, Field(pattern=r"^0x[0-9A-Fa-f]{1,16}$")]
_Exact = Annotated[Decimal, Field(allow_inf_nan=False, max_digits=30)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Annotated[int, Field(ge=0, lt=ADDRESSES, strict=True)]
    type: Kind
    function: Annotated[int, Field(ge=3, le=4, strict=True)] = 3
    order: str = ""
    scale: _Exact = Decimal(1)
    offset: _Exact = Decimal(0)
    unit: str = ""
    counter: Annotated[bool, Field(strict=True)] = False
    resolution: Annotated[_Exact, Field(gt=0)] | None = None
    modulus: Annotated[int, Field(gt=1, strict=True)] | None = None
    not_available: tuple[_Hex, ...] = ()
    bit: Annotated[int, Field(ge=0, le=15, strict=True)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        float_counter = self.counter and self.type.is_float
        faults = (
            (
                self.order not in ("", *orders(self.type.words)),
                f"order of {self.type} is one of {', '.join(orders(self.type.words))}",
            ),
            (self.address + self.type.words > ADDRESSES, "the value ends beyond register 65535"),
            (self.scale == 0, "scale must not be 0"),
            (
                float_counter and self.resolution is None,
                "a float counter needs resolution, the step of its register, as text",
            ),
            (
                self.resolution is not None and not float_counter,
                "resolution belongs to float counters only: an integer register counts itself",
            ),
            (self.counter and self.offset != 0, "a counter has no offset"),
            (self.modulus is not None and not self.counter, "modulus belongs to counters only"),
            (self.bit is not None and self.type is not Kind.BIT, "bit belongs to type bit only"),
        )
        wrong = [text for is_wrong, text in faults if is_wrong]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


class _Map(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    firmware: Annotated[str, Field(min_length=1)]
    most_registers: Annotated[int, Field(ge=4, le=MOST_REGISTERS, strict=True)] = MOST_REGISTERS
    most_gap: Annotated[int, Field(ge=0, le=MOST_REGISTERS, strict=True)] = MOST_REGISTERS
    quantity: Annotated[dict[str, _Row], Field(min_length=1)]
