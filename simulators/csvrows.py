"""Recorded CSV files as readings, by a map: every problem with its file and line, none skipped.

Reading is a stream; a first pass checks the whole file, so that nothing of a bad one is sent.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from core import decimals
from core.errors import Misconfigured, Problem
from core.reading import Reading
from simulators.mapping import StampReader

if TYPE_CHECKING:
    from _csv import Reader
    from collections.abc import Iterator
    from pathlib import Path

    from simulators.mapping import ColumnTable, MapFile

MOST_PROBLEMS: Final = 100
MOST_ROWS: Final = 50_000_000
MOST_COUNT: Final = 2**53

Readings = tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open bounds of what is replayed [us]; None is open."""

    from_us: int | None = None
    until_us: int | None = None

    def holds(self, at_us: int) -> bool:
        """Tell whether the instant lies within."""
        return (self.from_us is None or at_us >= self.from_us) and (
            self.until_us is None or at_us < self.until_us
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """A recorded file and its map."""

    path: Path
    mapping: MapFile
    span: Span = Span()

    def check(self) -> int:
        """Read the whole file and return its rows within the span; raises Misconfigured."""
        problems: list[Problem] = []
        rows = 0
        for item in self._rows():
            if isinstance(item, Problem):
                problems.append(item)
                if len(problems) >= MOST_PROBLEMS:
                    problems.append(
                        Problem(str(self.path), "more problems follow: fix these first")
                    )
                    break
            else:
                rows += self._wanted(item)
        if problems:
            raise Misconfigured(problems)
        return rows

    def rows(self) -> Iterator[Readings]:
        """Yield the readings of each row within the span, in file order."""
        for item in self._rows():
            if isinstance(item, Problem):
                raise Misconfigured([item])
            if self._wanted(item):
                yield item

    def _wanted(self, readings: Readings) -> bool:
        return self.span.holds(readings[0].measured_us)

    def _rows(self) -> Iterator[Readings | Problem]:
        file = self.mapping.file
        try:
            with self.path.open(encoding=file.encoding, newline="") as stream:
                for _ in range(file.skip):
                    stream.readline()
                yield from self._parsed(csv.reader(stream, delimiter=file.delimiter, strict=True))
        except OSError as error:
            yield Problem(str(self.path), f"the file can not be read: {error.strerror}")
        except UnicodeError:
            yield Problem(
                str(self.path), f"the file is not written in {file.encoding}: set file.encoding"
            )

    def _parsed(self, lines: Reader) -> Iterator[Readings | Problem]:
        line = self.mapping.file.skip
        try:
            header = [name.strip() for name in next(lines, [])]
            columns, problems = self._columns(header, line + 1)
            yield from problems
            if problems:
                return
            stamps = StampReader(self.mapping.time)
            for count, fields in enumerate(lines):
                line = self.mapping.file.skip + lines.line_num
                if count >= MOST_ROWS:
                    yield Problem(f"{self.path}:{line}", f"more than {MOST_ROWS} rows: split it")
                    return
                if fields:
                    yield self._row(fields, columns, stamps, line)
        except csv.Error as error:
            line = self.mapping.file.skip + lines.line_num
            yield Problem(f"{self.path}:{line}", f"not CSV: {error}")

    def _columns(
        self, header: list[str], line: int
    ) -> tuple[list[tuple[int, ColumnTable | None]], list[Problem]]:
        wanted: list[tuple[str, ColumnTable | None]] = [(self.mapping.time.column, None)]
        wanted += [(column.name, column) for column in self.mapping.column]
        missing = [name for name, _ in wanted if name not in header]
        problems = [
            Problem(
                f"{self.path}:{line}",
                f"there is no column {name!r}: the file has {', '.join(header)[:300] or 'none'}",
            )
            for name in missing
        ]
        found = [(header.index(name), column) for name, column in wanted if name in header]
        return found, problems

    def _row(
        self,
        fields: list[str],
        columns: list[tuple[int, ColumnTable | None]],
        stamps: StampReader,
        line: int,
    ) -> Readings | Problem:
        measured_us = 0
        readings: list[Reading] = []
        for position, column in columns:
            text = fields[position].strip() if position < len(fields) else ""
            name = column.name if column else self.mapping.time.column
            try:
                if not text:
                    raise ValueError("is empty: give a value or remove the row")  # noqa: TRY301 - one place prints it
                if column is None:
                    measured_us = stamps.read(text)
                else:
                    readings.append(Reading(column.point, measured_us, _value(text, column)))
            except ValueError as error:
                return Problem(f"{self.path}:{line}", f"column {name!r}: {error}")
        return tuple(readings)


def _value(text: str, column: ColumnTable) -> int | float:
    value = decimals.parse(text)
    if column.resolution is None:
        return float(value)
    count = value / column.resolution
    if count != count.to_integral_value():
        raise ValueError(f"{text[:40]} is no whole number of {column.resolution}: see `resolution`")
    if abs(count) > MOST_COUNT:
        raise ValueError(f"{text[:40]} is beyond 2^53 counts of {column.resolution}")
    return int(Decimal(count))
