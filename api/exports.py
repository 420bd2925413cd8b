"""Tables that leave as CSV, Parquet or an Arrow stream, batch by batch, however long they are.

Promise: memory holds one batch. In CSV times are RFC 3339 in plant time and figures decimal text;
in the other two times are instants with the plant's zone and figures exact decimals. Unknown is
empty or null, never zero.
"""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Sequence

# 38 digits hold every figure: of 128 bits, six places after the point.
DECIMAL: Final = pa.decimal128(38, 6)
_CSV_TIME: Final = "%Y-%m-%dT%H:%M:%S%Ez"


class Form(StrEnum):
    """How a table is written."""

    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"


MEDIA_TYPES: Final = {
    Form.CSV: "text/csv; charset=utf-8",
    Form.PARQUET: "application/vnd.apache.parquet",
    Form.ARROW: "application/vnd.apache.arrow.stream",
}


def instants(zone: str) -> Any:
    """Return the type of a column of instants that print in a plant's time."""
    return pa.timestamp("us", zone)


def decimals(values: Sequence[str | Decimal | None]) -> Any:
    """Return a column of exact figures with six places; raises where one has more."""
    return pa.array([None if each is None else Decimal(each) for each in values], DECIMAL)


def of_millionths(values: Sequence[int | None]) -> Any:
    """Return a column of exact figures from integers of millionths."""
    return pa.array(
        [None if each is None else Decimal(each).scaleb(-6) for each in values], DECIMAL
    )


class Encoder:
    """Writes one table: `begin`, `put` for each batch, `end`; each returns bytes to send."""

    def __init__(self, form: Form, schema: Any) -> None:
        self._form = form
        self._schema = schema
        self._sink = _Sink()
        self._writer: Any = None

    def begin(self) -> bytes:
        """Return what stands before the first row."""
        if self._form is Form.CSV:
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(self._schema.names)
            return line.getvalue().encode()
        if self._form is Form.PARQUET:
            self._writer = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        else:
            self._writer = pa.ipc.new_stream(self._sink, self._schema)
        return self._sink.taken()

    def put(self, columns: Sequence[Any]) -> bytes:
        """Return the rows of these columns, which are of the schema's types."""
        table = pa.Table.from_arrays(list(columns), schema=self._schema)
        if self._form is Form.CSV:
            arrow_csv.write_csv(_printed(table), self._sink, _ROWS_ONLY)
        else:
            self._writer.write_table(table)
        return self._sink.taken()

    def end(self) -> bytes:
        """Return what stands after the last row."""
        if self._writer is not None:
            self._writer.close()
        return self._sink.taken()


_ROWS_ONLY: Final = arrow_csv.WriteOptions(include_header=False, quoting_style="needed")


def _printed(table: Any) -> Any:
    """Return the table with times as text in plant time."""
    columns = [
        pc.strftime(column, format=_CSV_TIME) if pa.types.is_timestamp(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.schema.names)


class _Sink(io.RawIOBase):
    """A file that only grows at its end, and hands out what was written since the last time."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._size += len(part)
        return len(part)

    def tell(self) -> int:
        return self._size

    def close(self) -> None:
        """Stay open: writers close what they write to, and what they wrote is still to be sent."""

    def taken(self) -> bytes:
        """Return what was written since, and forget it."""
        found = b"".join(self._parts)
        self._parts.clear()
        return found
