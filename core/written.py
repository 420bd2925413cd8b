"""A table of a data file as it is written, right or wrong, for checks of what it means.

A file's mistakes of shape (a missing key, a word for a number) must not hide those of meaning (a
unit that does not fit). `shape` tells the first; `Written` gives the rest of a table to the checks:
what has the wrong shape is `Unread`, which ends the one check that asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from core import tomlfile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from core.errors import Problem
    from core.tomlfile import Document, Path

Model = TypeVar("Model", bound=BaseModel)
Checked = TypeVar("Checked")


class Unread(Exception):  # noqa: N818 - not a failure: a check that cannot be made
    """What was asked for has the wrong shape, which is told already."""


def shape(document: Document, model: type[Model]) -> tuple[Model | None, list[Problem], set[Path]]:
    """Check a document's shape: the table or None, the problems, and the keys that have them."""
    try:
        return model.model_validate(document.data), [], set()
    except ValidationError as error:
        found = tomlfile.places(document, error)
        return None, [problem for _, problem in found], {path for path, _ in found}


@dataclass(frozen=True, slots=True)
class Written:
    """A table at `path`: its keys as written, or with the defaults of its model."""

    path: Path
    data: Mapping[str, Any]
    model: type[BaseModel]
    wrong: set[Path]

    def __getitem__(self, key: str) -> Any:
        """Return a key's value; raises Unread where it, or something in it, is told already."""
        spot = (*self.path, key)
        if any(path[: len(spot)] == spot for path in self.wrong):
            raise Unread
        return self._value(key)

    def has(self, key: str) -> bool:
        """Tell whether a key holds anything, be it right or wrong."""
        return bool(self._value(key))

    def tables(self, key: str, model: type[BaseModel]) -> Iterator[Written]:
        """Yield the tables of a list, or of a single one; what is no table is left out."""
        yield from _tables((*self.path, key), self._value(key), model, self.wrong)

    def lists(self, key: str, model: type[BaseModel]) -> Iterator[tuple[str, list[Written]]]:
        """Yield the lists of tables that a key holds by name."""
        value = self._value(key)
        for name, rows in value.items() if isinstance(value, dict) else ():
            yield name, list(_tables((*self.path, key, name), rows, model, self.wrong))

    def _value(self, key: str) -> Any:
        field = self.model.model_fields[key]
        name = field.alias or key
        if name in self.data:
            return self.data[name]
        return None if field.is_required() else field.get_default(call_default_factory=True)


def rows(document: Document, key: str, model: type[BaseModel], wrong: set[Path]) -> list[Written]:
    """Return the tables below a key of the file, by name."""
    table = document.data.get(key)
    if not isinstance(table, dict):
        return []
    return [
        Written((key, name), row, model, wrong)
        for name, row in table.items()
        if isinstance(row, dict)
    ]


def told(check: Callable[[Written], Iterator[Checked]], row: Written) -> Iterator[Checked]:
    """Yield what a check says of a row until it asks for what has the wrong shape."""
    try:
        yield from check(row)
    except Unread:
        return


def _tables(
    path: Path, value: object, model: type[BaseModel], wrong: set[Path]
) -> Iterator[Written]:
    for position, row in enumerate(value if isinstance(value, list) else ()):
        if isinstance(row, dict):
            yield Written((*path, position), row, model, wrong)
