"""Values into Modbus words (pure): the meter's side, written apart from the edge's decoding.

Two implementations of one map: a mistake in one can not be hidden by the same one in the other.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edge.registers import Quantity

_FLOATS: Final = {"float16": ">e", "float32": ">f", "float64": ">d"}
_BITS_PER_WORD: Final = 16


def words(quantity: Quantity, value: float) -> list[int]:
    """Return the registers in which a quantity shows a value.

    A counter is given in counts (a float register shows count x resolution), everything else in
    the map's unit. Raises ValueError where the number does not fit the register.
    """
    kind = str(quantity.kind)
    exact = Decimal(value) if quantity.counter else Decimal(repr(value))
    if quantity.counter:
        raw = exact * quantity.resolution if kind in _FLOATS else exact
    else:
        raw = (exact - quantity.offset) / quantity.scale
    return _arrive(_big_endian(kind, raw), quantity.order)


def _big_endian(kind: str, raw: Decimal) -> bytes:
    if kind in _FLOATS:
        return struct.pack(_FLOATS[kind], float(raw))
    name = kind.rstrip("0123456789")
    bits = kind[len(name) :]
    if name == "signed":
        magnitude = abs(int(raw.to_integral_value())) | (int(raw < 0) << int(bits) - 1)
        return magnitude.to_bytes(int(bits) // 8, "big")
    if name not in ("int", "uint", "bcd") or int(bits or 1) % _BITS_PER_WORD:
        raise ValueError(f"the simulated meter does not speak {kind}")
    size = int(bits) // 8
    number = int(raw.to_integral_value())
    if name == "bcd":
        digits = f"{number:0{2 * size}d}"
        if number < 0 or len(digits) > 2 * size:
            raise ValueError(f"{number} does not fit {kind}")
        return bytes.fromhex(digits)
    try:
        return number.to_bytes(size, "big", signed=name == "int")
    except OverflowError as error:
        raise ValueError(f"{number} does not fit {kind}") from error


def _arrive(big_endian: bytes, order: str) -> list[int]:
    """Put bytes into the order in which they arrive: A is the highest, order "CDAB" swaps words."""
    letters = order or "ABCDEFGH"[: len(big_endian)]
    arriving = [big_endian["ABCDEFGH".index(letter)] for letter in letters]
    return [high << 8 | low for high, low in zip(arriving[::2], arriving[1::2], strict=True)]
