"""TOML that knows its lines: values by the standard library, places by a scan of the same text.

Every mistake of a person's file is reported as `file:line: key: what to do`, all at once.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from core.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
Path = tuple[str | int, ...]

MOST_FILE_CHARS: Final = 4_000_000
_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*(\.|$|=|\])""")
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed file: its data, its name, and the line on which each key stands."""

    name: str
    data: dict[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)

    def where(self, path: Sequence[str | int]) -> str:
        """Return `name:line: dotted.key` of the key, or of its nearest ancestor that has a line."""
        spot = tuple(path)
        while spot and spot not in self.lines:
            spot = spot[:-1]
        line = self.lines.get(spot, 1)
        key = ".".join(str(part) for part in path)
        return f"{self.name}:{line}: {key}" if key else f"{self.name}:{line}"

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """Return a problem that stands at this key."""
        return Problem(self.where(path), message)


def parse(text: str, name: str) -> Document:
    """Parse TOML text; raises Misconfigured naming the file and the line of a syntax error."""
    if len(text) > MOST_FILE_CHARS:
        message = f"the file is longer than {MOST_FILE_CHARS} characters: split it"
        raise Misconfigured([Problem(name, message)])
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _TOML_LINE.search(str(error))
        line = found.group(1) if found else "end of file"
        message = _TOML_LINE.sub("", str(error)).strip()
        raise Misconfigured([Problem(f"{name}:{line}", f"not TOML: {message}")]) from error
    except (ValueError, RecursionError) as error:
        # What the grammar allows and the parser cannot hold: endless digits, endless nesting.
        message = "a number is too long or tables are nested too deep: shorten it"
        raise Misconfigured([Problem(name, message)]) from error
    return Document(name, data, dict(_places(text)))


def validate(document: Document, model: type[Model]) -> Model:
    """Check a document against a model; raises Misconfigured with all problems and their lines."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise Misconfigured(problems(document, error)) from error


def problems(document: Document, error: ValidationError, prefix: Path = ()) -> list[Problem]:
    """Turn the errors of a model into problems with file, line and key."""
    return [problem for _, problem in places(document, error, prefix)]


def places(
    document: Document, error: ValidationError, prefix: Path = ()
) -> list[tuple[Path, Problem]]:
    """Return the same problems, each with the path of its key."""
    paths = [(prefix + _data_path(document, prefix, one), one) for one in error.errors()]
    return [(path, document.problem(path, _sentence(one))) for path, one in paths]


def _data_path(document: Document, prefix: Path, detail: ErrorDetails) -> Path:
    """Drop from a model's path what is no key of the data, such as the name of a union's branch."""
    path: list[str | int] = []
    node: Any = document.data
    for part in prefix:
        node = node[part]
    last = len(detail["loc"]) - 1
    for position, part in enumerate(detail["loc"]):
        within = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if within or (isinstance(node, dict) and part in node):
            node = node[part]
        elif position < last or detail["type"] not in {"missing", "extra_forbidden"}:
            continue
        path.append(part)
    return tuple(path)


def _sentence(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "missing":
        return "is required and is not there: add it"
    if kind == "extra_forbidden":
        return "is not a key of this table: check the spelling or remove it"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{message} (found {_shown(detail['input'])})"


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return "a number too long to print"
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004 - fits a terminal line


def _places(text: str) -> Iterator[tuple[Path, int]]:
    """Yield (path of a table or key, line), nearest enough for a person; never raises."""
    table: Path = ()
    counts: dict[Path, int] = {}
    skip = _Skip()
    # Only a line feed ends a line of TOML; splitlines() knows more ends and would miscount.
    for number, line in enumerate(text.split("\n"), start=1):
        inside = skip.feed(line)
        bare = line.strip()
        if inside or not bare or bare.startswith("#"):
            continue
        if bare.startswith("[["):
            base = _resolve(_parts(bare[2:]), counts)
            counts[base] = counts.get(base, -1) + 1
            table = (*base, counts[base])
            yield table, number
        elif bare.startswith("["):
            table = _resolve(_parts(bare[1:]), counts)
            yield table, number
        else:
            keys = _parts(bare)
            for length in range(1, len(keys) + 1):
                yield table + keys[:length], number


def _resolve(keys: Path, counts: Mapping[Path, int]) -> Path:
    """Put the current index after each array of tables that a header passes through."""
    path: Path = ()
    for position, key in enumerate(keys):
        path = (*path, key)
        if position < len(keys) - 1 and path in counts:
            path = (*path, counts[path])
    return path


def _parts(text: str) -> Path:
    keys: list[str] = []
    position = 0
    while (match := _PART.match(text, position)) is not None:
        keys.append(next(group for group in match.groups()[:3] if group is not None))
        position = match.end()
        if match.group(4) != ".":
            break
    return tuple(keys)


class _Skip:
    """Follows multi-line strings and brackets so that only real key lines are read as such."""

    def __init__(self) -> None:
        self._quote = ""
        self._depth = 0

    def feed(self, line: str) -> bool:
        """Take the next line; tell whether it began inside a multi-line value."""
        inside = bool(self._quote) or self._depth > 0
        position = 0
        header = not inside and line.lstrip().startswith("[")
        while position < len(line):
            position = self._step(line, position, header=header)
        return inside

    def _step(self, line: str, position: int, *, header: bool) -> int:
        rest = line[position:]
        if self._quote:
            return self._in_string(rest, position)
        if rest.startswith("#"):
            return len(line)
        for quote in ('"""', "'''"):
            if rest.startswith(quote):
                self._quote = quote
                return position + 3
        if rest[0] in "\"'":
            return position + _string_end(rest)
        if not header:
            self._depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(rest[0], 0)
        return position + 1

    def _in_string(self, rest: str, position: int) -> int:
        if self._quote == '"""' and rest.startswith("\\"):
            return position + 2
        if rest.startswith(self._quote):
            length = len(self._quote)
            self._quote = ""
            return position + length
        return position + 1


def _string_end(rest: str) -> int:
    quote, position = rest[0], 1
    while position < len(rest) and rest[position] != quote:
        position += 2 if quote == '"' and rest[position] == "\\" else 1
    return position + 1
