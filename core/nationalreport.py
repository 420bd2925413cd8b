"""Names and codes of the national system of key energy users, as data, and messages made of them.

The standard's text was not read: each name says how well it is known (`mark`), and a person who has
the text replaces the file, not this program. Promise: no name or code of a message stands in the
program; what the file lacks is told with its line; a period is labelled by its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from core import periods, tomlfile, units
from core.carriers import ExactText
from core.clock import from_us
from core.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from core.errors import Problem
    from core.tomlfile import Document

FILE: Final = "core/data/national_report.toml"
VERIFIED: Final = "verified"
ENERGY_PART: Final = "energy"
# What each operation must name: (of its request, of its reply, of one row of its request).
OPERATIONS: Final[Mapping[str, tuple[frozenset[str], frozenset[str], frozenset[str]]]] = {
    "register": (
        frozenset({"enterprise", "device", "key", "sent_at"}),
        frozenset({"address", "session"}),
        frozenset(),
    ),
    "tables": (
        frozenset({"enterprise", "session"}),
        frozenset({"version", "energies"}),
        frozenset(),
    ),
    "meters": (
        frozenset({"enterprise", "session", "rows"}),
        frozenset(),
        frozenset({"name", "model", "serial", "accuracy", "verified_until"}),
    ),
    "data": (
        frozenset({"enterprise", "session", "upload", "sent_at", "rows"}),
        frozenset(),
        frozenset({"item", "value", "unit", "period", "label", "input", "validity"}),
    ),
    "beat": (frozenset({"enterprise", "session", "sent_at"}), frozenset({"version"}), frozenset()),
}
CODES: Final[Mapping[str, frozenset[str]]] = {
    "period": frozenset({"slot", "day", "month"}),
    "input": frozenset({"auto", "manual"}),
    "validity": frozenset({"measured", "estimated"}),
    "reply": frozenset({"accepted", "refused", "unknown_session", "busy"}),
    "carrier": frozenset(),  # an open list
}
UNITS: Final = frozenset({"energy", "mass", "volume", "coal_equivalent"})
LAYOUTS: Final = frozenset({"instant", "label"})
REPLY: Final = frozenset({"code", "message"})
_STRICT: Final = ConfigDict(extra="forbid", frozen=True)


class _Known(BaseModel):
    model_config = _STRICT
    mark: Literal["verified", "from_memory", "proposal"]
    source: Annotated[str, Field(min_length=1)]
    note: str | None = None


class _Term(_Known):
    value: Annotated[str, Field(min_length=1, max_length=100)]


class _Part(_Known):
    name: Annotated[str, Field(pattern=r"^[a-z]+$")]
    digits: Annotated[int, Field(ge=1, le=20)]


class _UnitTable(_Known):
    ours: str
    scale: Annotated[ExactText, Field(gt=0)]
    printed: Annotated[str, Field(min_length=1, max_length=20)]


class _Operation(BaseModel):
    model_config = _STRICT
    path: _Term
    request: dict[str, _Term]
    reply: dict[str, _Term] = {}
    row: dict[str, _Term] = {}


class _File(BaseModel):
    model_config = _STRICT
    edition: Annotated[str, Field(min_length=1)]
    source: dict[str, Annotated[str, Field(min_length=3)]]
    layout: dict[str, _Term]
    unit: dict[str, _UnitTable]
    part: Annotated[tuple[_Part, ...], Field(min_length=1, max_length=20)]
    code: dict[str, dict[str, _Term]]
    reply: dict[str, _Term]
    operation: dict[str, _Operation]


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of the protocol: its path, and the platform's name of each of our words."""

    path: str
    request: Mapping[str, str]
    reply: Mapping[str, str]
    row: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ToldUnit:
    """The unit that a quantity is told in: `ours` divided by `scale`, called `printed`."""

    ours: str
    scale: Fraction
    printed: str

    def amount(self, amount: Fraction, unit: str) -> Fraction:
        """Return an amount in `unit` as it is told."""
        return units.convert(amount, unit, self.ours) / self.scale


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an item's composed code."""

    name: str
    digits: int


@dataclass(frozen=True, slots=True)
class Names:
    """The platform's names, codes and layouts; `marks` tells how well each is known, by its key."""

    edition: str
    instant: str
    parts: tuple[Part, ...]
    units: Mapping[str, ToldUnit]
    codes: Mapping[str, Mapping[str, str]]
    reply: Mapping[str, str]
    operations: Mapping[str, Operation]
    marks: Mapping[str, str]

    @property
    def unverified(self) -> tuple[str, ...]:
        """Return the keys of what was not read in a source."""
        return tuple(sorted(key for key, mark in self.marks.items() if mark != VERIFIED))

    def unit_of(self, unit: str) -> ToldUnit:
        """Return the unit in which amounts of `unit` are told; an intensity stays in its own."""
        kind = units.quantity(unit)
        return self.units.get(kind or "") or ToldUnit(unit, Fraction(1), unit)

    def item_code(self, given: Mapping[str, str], carrier: str | None) -> str:
        """Return an item's composed code; raises ValueError where a part does not fit.

        A carrier's code fills its part from the left; the rest of that part is zeros.
        """
        parts = dict(given)
        if carrier is not None:
            parts[ENERGY_PART] = self._energy(carrier, parts)
        known = {part.name for part in self.parts}
        if set(parts) != known:
            odd = ", ".join(sorted(set(parts) ^ known))
            raise ValueError(f"the code's parts are {', '.join(sorted(known))}: look at {odd}")
        for part in self.parts:
            text = parts[part.name]
            if len(text) != part.digits or not (text.isascii() and text.isalnum()):
                raise ValueError(f"{part.name} is {text!r}: write {part.digits} digits")
        return "".join(parts[part.name] for part in self.parts)

    def _energy(self, carrier: str, given: Mapping[str, str]) -> str:
        if ENERGY_PART in given:
            return given[ENERGY_PART]
        code = self.codes["carrier"].get(carrier)
        if code is None:
            raise ValueError(f"{carrier} has no code in the mapping: give `energy` yourself")
        digits = next((part.digits for part in self.parts if part.name == ENERGY_PART), 0)
        return code.ljust(digits, "0")

    def render(self, at: datetime, zone_name: str) -> str:
        """Print an instant in plant time as the platform wants it."""
        return at.astimezone(periods.zone(zone_name)).strftime(self.instant)

    def label(self, start_us: int, zone_name: str) -> str:
        """Print the start of a period: the label that the upload rules ask for."""
        return self.render(from_us(start_us), zone_name)

    def message(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request in the platform's names; raises KeyError for a word it has not."""
        names = self.operations[operation].request
        assert set(given) == set(names), operation  # noqa: S101 - the caller knows the operation
        return {names[word]: value for word, value in given.items()}

    def row(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return one row of a request in the platform's names."""
        names = self.operations[operation].row
        assert set(given) == set(names), operation  # noqa: S101 - the caller knows the operation
        return {names[word]: value for word, value in given.items()}


def parse(text: str, name: str) -> Names:
    """Read a mapping; raises Misconfigured with every problem, its file, line and key."""
    document = tomlfile.parse(text, name)
    table = tomlfile.validate(document, _File)
    problems = [*_lacking(document, table), *_twice(document, table), *_unknown(document, table)]
    problems += [*_units(document, table), *_layouts(document, table)]
    if problems:
        raise Misconfigured(problems)
    return Names(
        edition=table.edition,
        instant=table.layout["instant"].value,
        parts=tuple(Part(part.name, part.digits) for part in table.part),
        units={
            key: ToldUnit(each.ours, Fraction(each.scale), each.printed)
            for key, each in table.unit.items()
        },
        codes={kind: _values(terms) for kind, terms in table.code.items()},
        reply=_values(table.reply),
        operations={
            key: Operation(
                each.path.value, _values(each.request), _values(each.reply), _values(each.row)
            )
            for key, each in table.operation.items()
        },
        marks={".".join(map(str, path)): known.mark for path, known in _all(table)},
    )


@lru_cache(maxsize=1)
def shipped() -> Names:
    """Return the mapping that ships: most of it is not verified."""
    path = resources.files("core") / "data" / "national_report.toml"
    return parse(path.read_text("utf-8"), FILE)


def _values(terms: Mapping[str, _Term]) -> dict[str, str]:
    return {word: term.value for word, term in terms.items()}


def _groups(table: _File) -> Iterator[tuple[tuple[str, ...], Mapping[str, _Term], frozenset[str]]]:
    """Yield (path, terms, the words that must be there) of every group of names or codes."""
    yield ("layout",), table.layout, LAYOUTS
    yield ("reply",), table.reply, REPLY
    for kind, terms in table.code.items():
        yield ("code", kind), terms, CODES.get(kind, frozenset())
    for key, each in table.operation.items():
        wanted = OPERATIONS.get(key, (frozenset(), frozenset(), frozenset()))
        for part, words in zip(("request", "reply", "row"), wanted, strict=True):
            yield ("operation", key, part), getattr(each, part), words


def _all(table: _File) -> Iterator[tuple[tuple[str | int, ...], _Known]]:
    for path, terms, _ in _groups(table):
        for word, term in terms.items():
            yield (*path, word), term
    for key, each in table.operation.items():
        yield ("operation", key, "path"), each.path
    for key, unit in table.unit.items():
        yield ("unit", key), unit
    for place, part in enumerate(table.part):
        yield ("part", place), part


def _lacking(document: Document, table: _File) -> Iterator[Problem]:
    for kinds, found, where in (
        (set(OPERATIONS), set(table.operation), "operation"),
        (set(CODES), set(table.code), "code"),
        (UNITS, set(table.unit), "unit"),
    ):
        for key in sorted(kinds ^ found):
            told = "is required and is not there: add it" if key in kinds else "is not known here"
            yield document.problem((where, key), told)
    for path, terms, wanted in _groups(table):
        missing = sorted(wanted - set(terms))
        # An operation's words are a closed list: a name that nothing fills would never be sent.
        odd = sorted(set(terms) - wanted) if path != ("code", "carrier") else []
        if missing:
            yield document.problem(path, f"lacks {', '.join(missing)}: add what it is called")
        if odd:
            yield document.problem(path, f"{', '.join(odd)} is nothing that is sent: remove it")


def _twice(document: Document, table: _File) -> Iterator[Problem]:
    for path, terms, _ in _groups(table):
        values: Sequence[str] = [term.value for term in terms.values()]
        for value in sorted({value for value in values if values.count(value) > 1}):
            if path[0] != "layout":
                yield document.problem(path, f"{value!r} stands for two things: mend one")
    names = [part.name for part in table.part]
    if len(set(names)) < len(names):
        yield document.problem(("part",), "two parts have one name: mend one")


def _unknown(document: Document, table: _File) -> Iterator[Problem]:
    for path, known in _all(table):
        if known.source not in table.source:
            yield document.problem(path, f"{known.source!r} is no key of [source]: add it there")


def _units(document: Document, table: _File) -> Iterator[Problem]:
    for key, each in table.unit.items():
        if units.quantity(each.ours) != key:
            yield document.problem(("unit", key, "ours"), f"{each.ours!r} is no unit of {key}")


def _layouts(document: Document, table: _File) -> Iterator[Problem]:
    label, instant = table.layout.get("label"), table.layout.get("instant")
    if label is not None and label.value != "start":
        message = 'only "start" can be sent: the upload rules label a period by its start'
        yield document.problem(("layout", "label"), message)
    if instant is not None and not _keeps(instant.value):
        message = "loses year, month, day, hour or minute: write it like %Y-%m-%d %H:%M:%S"
        yield document.problem(("layout", "instant"), message)


def _keeps(form: str) -> bool:
    """Tell whether an instant can be read back from what this form prints."""
    afternoon = datetime(2026, 11, 2, 15, 45)  # noqa: DTZ001 - plant time
    try:
        return datetime.strptime(afternoon.strftime(form), form) == afternoon  # noqa: DTZ007 - as above
    except ValueError:
        return False
