"""Register maps as data: a TOML file of `edge/devices` to a RegisterMap, all its mistakes at once.

Copy `edge/devices/_blueprint.toml` to add a meter; it explains every key.
"""

from __future__ import annotations

from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core import tomlfile
from core.errors import Misconfigured
from edge.registers import (
    ADDRESSES,
    BIT_FUNCTIONS,
    MOST_EXPONENT,
    MOST_REGISTERS,
    Form,
    Kind,
    Limits,
    Quantity,
    RegisterMap,
    orders,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_STRING_REGISTERS: Final = 32
_PROTOCOLS: Final = ("_", "dlt645")  # how files of the folder begin that are no register maps


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
        if name.endswith(".toml") and not name.startswith(_PROTOCOLS)
    )


def parse(text: str, name: str) -> RegisterMap:
    """Read a map; raises Misconfigured with all its mistakes, each with file, line, key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _Map)
    limits = Limits(table.most_registers, table.most_gap, table.whole_block, table.first_block)
    quantities = {key: _quantity(key, row, table) for key, row in table.quantity.items()}
    problems = [
        document.problem(("quantity", key), fault)
        for key, quantity in quantities.items()
        for fault in _faults(quantity, quantities, limits)
    ]
    if problems:
        raise Misconfigured(problems)
    title = name.rpartition("/")[2].removesuffix(".toml")
    return RegisterMap(title, table.title, table.source, table.firmware, quantities, limits)


def _faults(
    quantity: Quantity, quantities: Mapping[str, Quantity], limits: Limits
) -> Iterator[str]:
    """Find what a row can not see of itself: its helpers and the meter's limits."""
    for name in quantity.helpers:
        helper = quantities.get(name)
        if helper is None:
            yield f"there is no quantity {name!r} in this map"
        elif helper.helpers or helper.kind is Kind.STRING or helper.counter:
            yield f"{name!r} has to be a plain number of its own: no counter, string or helper"
    if quantity.address < 0:
        yield "a list that counts from 1 has no register 0"
    if quantity.function in BIT_FUNCTIONS:
        return
    if quantity.words > limits.most_registers:
        yield f"the value is longer than the {limits.most_registers} registers of one read"
    if limits.whole_block:
        within = (quantity.address - limits.first_block) % limits.whole_block
        if quantity.address < limits.first_block or within + quantity.words > limits.whole_block:
            yield f"the value does not lie in one block of {limits.whole_block} registers"


def _quantity(name: str, row: _Row, table: _Map) -> Quantity:
    default = "AB" if row.type is Kind.STRING else orders(row.type.words)[0]
    return Quantity(
        name,
        row.address - table.list_base,
        row.type,
        row.function,
        row.order or default,
        row.scale,
        row.offset,
        row.unit,
        row.counter,
        Decimal(1) if row.resolution is None else row.resolution,
        row.modulus,
        frozenset(int(marker, 16) for marker in row.not_available),
        row.bit or 0,
        row.length or 0,
        row.form,
        row.zero_within,
        row.factor,
        row.exponent,
        -MOST_EXPONENT if row.least is None else row.least,
        row.minus,
    )


_Hex = Annotated[str, Field(pattern=r"^0x[0-9A-Fa-f]{1,16}$")]
_Exact = Annotated[Decimal, Field(allow_inf_nan=False, max_digits=30)]
_Exponent = Annotated[int, Field(ge=-MOST_EXPONENT, le=MOST_EXPONENT, strict=True)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    address: Annotated[int, Field(ge=0, lt=ADDRESSES, strict=True)]
    type: Kind
    function: Annotated[int, Field(ge=1, le=4, strict=True)] = 3
    order: str = ""
    scale: _Exact = Decimal(1)
    offset: _Exact = Decimal(0)
    unit: str = ""
    counter: Annotated[bool, Field(strict=True)] = False
    resolution: Annotated[_Exact, Field(gt=0)] | None = None
    modulus: Annotated[int, Field(gt=1, strict=True)] | None = None
    not_available: tuple[_Hex, ...] = ()
    bit: Annotated[int, Field(ge=0, le=15, strict=True)] | None = None
    length: Annotated[int, Field(ge=1, le=MOST_STRING_REGISTERS, strict=True)] | None = None
    form: Form = Form.PLAIN
    zero_within: Annotated[_Exact, Field(ge=0)] = Decimal(0)
    factor: str = ""
    exponent: str = ""
    least: _Exponent | None = None
    minus: str = ""
    source: str = ""
    note: str = ""

    @property
    def words(self) -> int:
        return self.length or self.type.words

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wrong = [text for is_wrong, text in (*self._shape(), *self._meaning()) if is_wrong]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _shape(self) -> Iterator[tuple[bool, str]]:
        is_text = self.type is Kind.STRING
        allowed = ("AB", "BA") if is_text else orders(self.type.words)
        yield (
            self.order not in ("", *allowed),
            f"order of {self.type} is one of {', '.join(allowed)}",
        )
        yield self.address + self.words > ADDRESSES, "the value ends beyond register 65535"
        yield is_text and self.length is None, "a string needs length, in registers"
        yield self.length is not None and not is_text, "length belongs to strings only"
        yield (
            self.bit is not None and (self.type is not Kind.BIT or self.function in BIT_FUNCTIONS),
            "bit belongs to type bit of a register only",
        )
        yield (
            self.function in BIT_FUNCTIONS and self.type is not Kind.BIT,
            "functions 1 and 2 give bits: type is bit",
        )

    def _meaning(self) -> Iterator[tuple[bool, str]]:
        float_counter = self.counter and self.type.is_float
        reshaped = self.form is not Form.PLAIN or bool(self.zero_within)
        helped = bool(self.factor or self.exponent or self.minus)
        yield self.scale == 0, "scale must not be 0"
        yield (
            float_counter and self.resolution is None,
            "a float counter needs resolution, the step of its register, as text",
        )
        yield (
            self.resolution is not None and not float_counter,
            "resolution belongs to float counters only: an integer register counts itself",
        )
        yield self.counter and self.offset != 0, "a counter has no offset"
        yield self.counter and self.type is Kind.STRING, "a string counts nothing"
        yield (
            self.modulus is not None and not self.counter,
            "modulus belongs to counters only",
        )
        yield (
            self.counter and (reshaped or bool(self.minus)),
            "a counter travels as it stands: no form, zero_within or minus",
        )
        yield (
            reshaped and helped,
            "form and zero_within do not go with factor, exponent or minus",
        )
        yield (
            self.counter and bool(self.exponent) and self.least is None,
            "a counter with an exponent needs least, the lowest exponent that its meter can have",
        )
        yield self.least is not None and not self.exponent, "least belongs to exponent"


class _Map(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=1)]
    source: Annotated[str, Field(min_length=1)]
    firmware: Annotated[str, Field(min_length=1)]
    list_base: Annotated[int, Field(ge=0, le=1, strict=True)] = 0
    most_registers: Annotated[int, Field(ge=4, le=MOST_REGISTERS, strict=True)] = MOST_REGISTERS
    most_gap: Annotated[int, Field(ge=0, le=MOST_REGISTERS, strict=True)] = MOST_REGISTERS
    whole_block: Annotated[int, Field(ge=0, le=MOST_REGISTERS, strict=True)] = 0
    first_block: Annotated[int, Field(ge=0, lt=ADDRESSES, strict=True)] = 0
    quantity: Annotated[dict[str, _Row], Field(min_length=1)]
