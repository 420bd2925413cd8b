"""DL/T 645 data identifiers as data: BCD to counts and measures, and the fewest reads. Pure.

A table is a TOML file (`edge/devices/dlt645_2007.toml`; a meter with identifiers of its own gets a
copy). A counter decodes to an int, its digits as they stand: 000123.45 kWh is 12345 counts of
0.01 kWh, and CT x PT stay the server's (design 4.2). Everything else decodes to a float in the
item's unit. FFH in every byte, or a digit that is none, decodes to None: quality bad, no value.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core import tomlfile
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BUILTIN: Final = "dlt645_2007"
MOST_TARIFFS: Final = 63  # DL/T 645-2007, table A.1
MOST_ITEM_BYTES: Final = 8  # 16 digits: what the wire's sint64 carries for certain
MOST_SUGGESTIONS: Final = 4
_DI1: Final = 0x100  # the byte of an identifier in which tariffs count
_FORMAT = re.compile(r"^X+(?:\.X+)?$")


@dataclass(frozen=True, slots=True)
class Item:
    """One value of a meter: its identifier, and where in the answer its digits stand.

    `block` is an identifier that brings this value among others, at byte `block_offset`.
    """

    name: str
    identifier: int
    size: int
    scale: Decimal = Decimal(1)
    unit: str = ""
    signed: bool = False
    counter: bool = False
    modulus: int | None = None
    offset: int = 0
    block: int | None = None
    block_offset: int = 0
    frozen: bool = False

    @property
    def unit_per_count(self) -> Decimal:
        """Return what one count of a counter is worth in `unit`, transformers apart."""
        return self.scale

    def display(self, value: float | None) -> str | None:
        """Return what the meter's own display should show for a value, None where it has none."""
        if value is None:
            return None
        return str(int(value) * self.scale) if self.counter else f"{value:.6g}"

    def decode(self, data: bytes, offset: int) -> int | float | None:
        """Return the value at a byte of an answer's data; None where there is none."""
        digits = bcd(data[offset : offset + self.size], signed=self.signed)
        if digits is None or len(data) < offset + self.size:
            return None
        if self.counter:
            return digits
        up, down = self.scale.as_integer_ratio()
        return digits * up / down


@dataclass(frozen=True, slots=True)
class Table:
    """The identifiers that a kind of meter answers."""

    name: str
    title: str
    source: str
    items: Mapping[str, Item]

    def suggest(self, name: str) -> str:
        """Return the names that a wrong one may have meant, for a person."""
        close = difflib.get_close_matches(name, self.items, MOST_SUGGESTIONS, 0.4)
        return ", ".join(close) if close else ", ".join(sorted(self.items)[:MOST_SUGGESTIONS])


@dataclass(frozen=True, slots=True)
class Part:
    """One value inside an answer: the point it belongs to, its item, its first byte."""

    point: str
    item: Item
    offset: int


@dataclass(frozen=True, slots=True)
class Read:
    """One identifier to ask for, and what its answer holds; `is_block` may be asked in pieces."""

    identifier: int
    parts: tuple[Part, ...]
    is_block: bool = False


def bcd(data: bytes, *, signed: bool = False) -> int | None:
    """Return the number of BCD bytes that came lowest first, None where they hold none.

    `signed` takes the highest bit as the sign (DL/T 645-2007, notes of tables A.1 and A.3).
    """
    if not data or data.count(0xFF) == len(data):
        return None
    high_first = bytearray(data[::-1])
    negative = signed and bool(high_first[0] & 0x80)
    if signed:
        high_first[0] &= 0x7F
    digits = high_first.hex()
    if not digits.isdecimal():
        return None
    return -int(digits) if negative else int(digits)


def plan(points: Mapping[str, Item]) -> list[Read]:
    """Return the fewest reads that bring every point's item; frozen items are not among them.

    Two values or more of one block are one read; a meter that does not know the block is asked in
    `pieces` of it.
    """
    wanted = {point: item for point, item in points.items() if not item.frozen}
    members: dict[int, set[int]] = {}
    for item in wanted.values():
        if item.block is not None:
            members.setdefault(item.block, set()).add(item.identifier)
    reads: dict[tuple[int, bool], list[Part]] = {}
    for point, item in wanted.items():
        if item.block is not None and len(members[item.block]) > 1:
            part = Part(point, item, item.block_offset)
            reads.setdefault((item.block, True), []).append(part)
        else:
            part = Part(point, item, item.offset)
            reads.setdefault((item.identifier, False), []).append(part)
    return [Read(key, tuple(parts), is_block) for (key, is_block), parts in sorted(reads.items())]


def pieces(read: Read) -> list[Read]:
    """Return the reads that bring what a block would have brought, one for each identifier."""
    parts: dict[int, list[Part]] = {}
    for part in read.parts:
        single = Part(part.point, part.item, part.item.offset)
        parts.setdefault(part.item.identifier, []).append(single)
    return [Read(identifier, tuple(each)) for identifier, each in sorted(parts.items())]


def frozen(points: Mapping[str, Item]) -> list[Read]:
    """Return the reads that bring the frozen items, of the latest freeze."""
    parts: dict[int, list[Part]] = {}
    for point, item in points.items():
        if item.frozen:
            parts.setdefault(item.identifier, []).append(Part(point, item, item.offset))
    return [Read(identifier, tuple(each)) for identifier, each in sorted(parts.items())]


@lru_cache(maxsize=1)
def builtin() -> Table:
    """Return the table of the standard, which this package ships."""
    file = resources.files("edge") / "devices" / f"{BUILTIN}.toml"
    return parse(file.read_text("utf-8"), f"{BUILTIN}.toml")


def parse(text: str, name: str) -> Table:
    """Read a table; raises Misconfigured with all mistakes, each with file, line and key."""
    document = tomlfile.parse(text, name)
    found = tomlfile.validate(document, _Table)
    problems = [
        document.problem(("item", key), f"its tariff {item.name!r} is another item's name")
        for key, row in found.item.items()
        for item in _expanded(key, row)[1:]
        if item.name in found.item
    ]
    if problems:
        raise Misconfigured(problems)
    items = {item.name: item for key, row in found.item.items() for item in _expanded(key, row)}
    return Table(name.removesuffix(".toml"), found.title, found.source, items)


def _expanded(name: str, row: _Row) -> Sequence[Item]:
    """Return an item and its tariffs: `name_t1` is the identifier's DI1 one higher, and so on.

    A frozen item's tariffs stand behind one another in the answer to one identifier instead.
    """
    found = [row.item(name, 0)]
    found += [row.item(f"{name}_t{tariff}", tariff) for tariff in range(1, row.tariffs + 1)]
    return found


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    di: Annotated[str, Field(pattern=r"^[0-9A-F]{8}$")]
    format: Annotated[str, Field(pattern=_FORMAT.pattern)]
    unit: str = ""
    signed: bool = False
    counter: bool = False
    modulus: Annotated[int, Field(ge=2, strict=True)] | None = None
    tariffs: Annotated[int, Field(ge=0, le=MOST_TARIFFS, strict=True)] = 0
    block: Annotated[str, Field(pattern=r"^[0-9A-F]{8}$")] | None = None
    block_position: Annotated[int, Field(ge=0, le=MOST_TARIFFS, strict=True)] = 0
    frozen: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        faults = (
            (self._digits % 2 == 1, "format has an odd number of digits: bytes hold two each"),
            (self._digits > 2 * MOST_ITEM_BYTES, f"format has over {2 * MOST_ITEM_BYTES} digits"),
            (self.modulus is not None and not self.counter, "modulus belongs to counters only"),
            (self.frozen and self.block is not None, "a frozen item has no block"),
            (self.block is None and self.block_position > 0, "block_position needs a block"),
        )
        wrong = [text for is_wrong, text in faults if is_wrong]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def _digits(self) -> int:
        return self.format.count("X")

    def item(self, name: str, tariff: int) -> Item:
        """Return the item, or one of its tariffs."""
        size = self._digits // 2
        own = int(self.di, 16)
        return Item(
            name=name,
            identifier=own if self.frozen else own + tariff * _DI1,
            size=size,
            scale=Decimal(1).scaleb(-len(self.format.partition(".")[2])),
            unit=self.unit,
            signed=self.signed,
            counter=self.counter,
            modulus=self.modulus,
            offset=tariff * size if self.frozen else 0,
            block=None if self.block is None else int(self.block, 16),
            block_offset=(self.block_position + tariff) * size,
            frozen=self.frozen,
        )


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    item: Annotated[dict[str, _Row], Field(min_length=1)]


def identifiers(items: Iterable[Item]) -> frozenset[int]:
    """Return the identifiers that items are read by."""
    return frozenset(item.identifier for item in items)
