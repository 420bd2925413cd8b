"""Modbus words to values. Pure.

A counter decodes to an int: an integer register as it stands, a float register as
round(register / resolution), so one count is worth `unit_per_count`; scale and transformer ratios
are the server's (design 4.2). Everything else decodes to a float in the map's unit. What a meter
calls not available, a NaN, a broken BCD digit or a count that no wire can carry decodes to None.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from operator import itemgetter
from typing import Final

Raw = int | float | None
Value = int | float | None
Finish = Callable[[int | float], Value]
Decoder = Callable[[bytes], Value]

COILS: Final = 1
DISCRETE_INPUTS: Final = 2
HOLDING_REGISTERS: Final = 3
INPUT_REGISTERS: Final = 4
BIT_FUNCTIONS: Final = frozenset({COILS, DISCRETE_INPUTS})
MOST_REGISTERS: Final = 125  # of one read, Modbus Application Protocol 1.1b3, 6.3 and 6.4
MOST_BITS: Final = 2_000  # of one read, as above, 6.1 and 6.2
ADDRESSES: Final = 1 << 16
MOST_EXPONENT: Final = 12  # of a scale register: 10^12 makes W of a count of TW
_EXACT_FACTOR: Final = 1 << 29
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
    SIGNED16 = "signed16"  # sign and magnitude: the highest bit is the sign
    SIGNED32 = "signed32"
    FLOAT16 = "float16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BCD16 = "bcd16"
    BCD32 = "bcd32"
    BCD48 = "bcd48"
    BCD64 = "bcd64"
    STRING = "string"

    @property
    def words(self) -> int:
        """Return how many registers a value takes; a string says so itself."""
        digits = "".join(filter(str.isdigit, self.value.partition("_")[0]))
        return max(1, int(digits or 1) // 16)

    @property
    def is_float(self) -> bool:
        """Tell whether the register holds a floating-point number."""
        return self.value.startswith("float")


class Form(StrEnum):
    """What is done to a value before scale and offset."""

    PLAIN = "plain"
    FOUR_QUADRANT = "four_quadrant"  # power factor of -2..2: beyond 1 it leads, and is 2 - v


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
    counts, None where the vendor states none; `not_available` holds unsigned words. `factor`,
    `exponent` and `minus` name other quantities of the map: the value is multiplied by the first,
    by 10 to the power of the second, and the third is taken away. One count of a counter with an
    exponent is worth 10^least: it stays the same when the meter changes its scale.
    """

    name: str
    address: int
    kind: Kind
    function: int = HOLDING_REGISTERS
    order: str = ""
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    unit: str = ""
    counter: bool = False
    resolution: Decimal = Decimal(1)
    modulus: int | None = None
    not_available: frozenset[int] = frozenset()
    bit: int = 0
    length: int = 0
    form: Form = Form.PLAIN
    zero_within: Decimal = Decimal(0)
    factor: str = ""
    exponent: str = ""
    least: int = -MOST_EXPONENT
    minus: str = ""

    @property
    def words(self) -> int:
        """Return how many addresses the value takes: registers, or bits of functions 1 and 2."""
        return self.length or self.kind.words

    @property
    def helpers(self) -> tuple[str, ...]:
        """Return the quantities without which this one says nothing."""
        return tuple(name for name in (self.factor, self.exponent, self.minus) if name)

    @property
    def unit_per_count(self) -> Decimal:
        """Return what one count of a counter is worth in `unit`, transformers apart."""
        step = self.scale * self.resolution
        return step.scaleb(self.least) if self.exponent else step


@dataclass(frozen=True, slots=True)
class Limits:
    """What a meter refuses to be asked.

    `most_gap` is how many unlisted registers one read may pass over. With `whole_block`, reads are
    whole blocks of that many registers, the first of which begins at `first_block`.
    """

    most_registers: int = MOST_REGISTERS
    most_gap: int = MOST_REGISTERS
    whole_block: int = 0
    first_block: int = 0


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """A meter model: its quantities by name, and what it refuses to be asked."""

    name: str
    title: str
    source: str
    firmware: str
    quantities: Mapping[str, Quantity]
    limits: Limits = Limits()


def decode(quantity: Quantity, words: Sequence[int]) -> Value:
    """Return the value of the words of one quantity; raises ValueError where they are too few."""
    if len(words) < quantity.words:
        raise ValueError(f"{quantity.kind} takes {quantity.words} registers, not {len(words)}")
    return decoder(quantity)(struct.pack(f">{quantity.words}H", *words[: quantity.words]))


def text(quantity: Quantity, data: bytes) -> str:
    """Return what a string's bytes say, up to the first NUL; each word's bytes in the order."""
    swapped = quantity.order.startswith("B")
    pairs = [data[i : i + 2] for i in range(0, len(data), 2)]
    arranged = b"".join(pair[::-1] if swapped else pair for pair in pairs)
    return arranged.partition(b"\0")[0].decode("latin-1").strip()


@lru_cache(maxsize=8192)
def decoder(quantity: Quantity) -> Decoder:
    """Return the function from the bytes of a quantity's words to its value.

    Of a quantity with helpers it is the bare number, which `combined` makes the value.
    """
    raw = _raw(quantity.kind, quantity.order, quantity.bit)
    finish = finisher(quantity) or _as_it_is
    markers = quantity.not_available
    arrange = _arrange(quantity.order)

    def decoded(data: bytes) -> Value:
        if markers and int.from_bytes(arrange(data), "big") in markers:
            return None
        number = raw(data)
        return None if number is None else finish(number)

    return decoded


def finisher(quantity: Quantity) -> Finish | None:
    """Return the function from the register's number to the value; None where they are the same."""
    if quantity.helpers:
        return None
    if quantity.counter:
        return _count(quantity)
    return _measure(quantity)


def combined(quantity: Quantity, raw: Raw, helpers: Mapping[str, tuple[Quantity, Raw]]) -> Value:
    """Return the value of a quantity from its own number and its helpers'; None where one is not.

    Exact to the last division; a count is an int.
    """
    if raw is None or any(helpers[name][1] is None for name in quantity.helpers):
        return None
    exact = Fraction(raw)
    if quantity.factor:
        exact *= _exact(helpers[quantity.factor])
    if quantity.exponent:
        exponent = _exact(helpers[quantity.exponent])
        if exponent.denominator != 1 or not quantity.least <= exponent <= MOST_EXPONENT:
            return None
        exact *= Fraction(10) ** int(exponent)
    if quantity.counter:
        step = Fraction(quantity.resolution) * (
            Fraction(10) ** quantity.least if quantity.exponent else 1
        )
        count = round(exact / step)
        return count if count in _COUNTS else None
    exact = exact * Fraction(quantity.scale) + Fraction(quantity.offset)
    if quantity.minus:
        exact -= _exact(helpers[quantity.minus])
    return _float(exact)


def _exact(helper: tuple[Quantity, Raw]) -> Fraction:
    quantity, raw = helper
    return Fraction(raw or 0) * Fraction(quantity.scale) + Fraction(quantity.offset)


def _float(exact: Fraction) -> float | None:
    try:
        return exact.numerator / exact.denominator
    except OverflowError:
        return None


def _as_it_is(raw: float) -> Value:
    return raw


def _count(quantity: Quantity) -> Finish | None:
    if not quantity.kind.is_float:
        return None if quantity.kind is not Kind.UINT64 else _wire_count
    up, down = quantity.resolution.as_integer_ratio()
    if quantity.kind is Kind.FLOAT32 and up == 1 and down < _EXACT_FACTOR:
        # 24 bits of the register and 29 of the factor are exact together in a float of 53.
        return lambda raw: _wire_count(round(raw * down))

    def finish(raw: float) -> Value:
        part, whole = raw.as_integer_ratio()
        count = _half_even(part * down, whole * up)
        return count if count in _COUNTS else None

    return finish


def _wire_count(raw: float) -> Value:
    return raw if raw in _COUNTS else None


def _half_even(part: int, whole: int) -> int:
    count, rest = divmod(part, whole)
    if 2 * rest > whole or (2 * rest == whole and count % 2):
        count += 1
    return count


def _measure(quantity: Quantity) -> Finish:
    """Scale exactly: one division of whole numbers, so the float is the nearest there is."""
    scaled = _scaled(quantity)
    within = float(quantity.zero_within)
    if quantity.form is Form.PLAIN and not within:
        return scaled

    def finish(raw: float) -> Value:
        if quantity.form is Form.FOUR_QUADRANT:
            raw = raw if -1 <= raw <= 1 else math.copysign(2, raw) - raw
        value = scaled(raw)
        return 0.0 if value is not None and abs(value) <= within else value

    return finish


def _scaled(quantity: Quantity) -> Finish:
    up, down = quantity.scale.as_integer_ratio()
    shift_up, shift_down = quantity.offset.as_integer_ratio()
    if quantity.scale == 1 and quantity.offset == 0:
        return float
    if quantity.offset == 0 and not quantity.kind.is_float:
        return lambda raw: raw * up / down
    factor, summand, below = up * shift_down, shift_up * down, down * shift_down

    def finish(raw: float) -> Value:
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
    if kind.startswith("signed"):
        return lambda data: _signed(int.from_bytes(arrange(data), "big"), 8 * len(data) - 1)
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
    if not order or is_natural(order):
        return _as_is
    pick = itemgetter(*(order.index(letter) for letter in sorted(order)))
    return lambda data: bytes(pick(data))


def arranged(quantity: Quantity, data: bytes) -> bytes:
    """Return a value's bytes, highest first."""
    return _arrange(quantity.order)(data)


def is_natural(order: str) -> bool:
    """Tell whether bytes arrive with the highest first."""
    return list(order) == sorted(order)


def _as_is(data: bytes) -> bytes:
    return data


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _digits(digits: str) -> int | None:
    return int(digits) if digits.isdecimal() else None


def _signed(number: int, sign_bit: int) -> int:
    magnitude = number & ((1 << sign_bit) - 1)
    return -magnitude if number >> sign_bit else magnitude
