"""numpy columns to and from PostgreSQL's binary format, without a Python object per value.

Promise: int4, int2, float8 and timestamptz columns travel as they are; instants are microseconds
since 1970 UTC on our side. NULL does not exist here: queries coalesce.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import psycopg
from psycopg import pq
from psycopg.adapt import Dumper, Loader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from psycopg import AsyncCursor
    from psycopg.abc import Buffer

PG_EPOCH_US: Final = 946_684_800_000_000  # 2000-01-01T00:00Z, where PostgreSQL's clock begins
_HEADER_BYTES: Final = 20
_COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + b"\0" * 8
_COPY_TRAILER: Final = b"\xff\xff"

_READING: Final = np.dtype(
    [
        ("fields", ">i2"),
        ("ts_bytes", ">i4"), ("ts", ">i8"),
        ("recorded_bytes", ">i4"), ("recorded", ">i8"),
        ("value_bytes", ">i4"), ("value", ">f8"),
        ("point_bytes", ">i4"), ("point", ">i4"),
        ("quality_bytes", ">i4"), ("quality", ">i2"),
    ]
)  # fmt: skip


class Column:
    """A numpy column as one array parameter; the subclass says of which type."""

    element_oid: ClassVar[int]
    element: ClassVar[np.dtype[Any]]

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values

    def stored(self) -> NDArray[Any]:
        """Return the values as the server counts them."""
        return self.values


class Int4s(Column):
    """A column of int4."""

    element_oid = 23
    element = np.dtype(">i4")


class Int8s(Column):
    """A column of int8."""

    element_oid = 20
    element = np.dtype(">i8")


class Int2s(Column):
    """A column of int2."""

    element_oid = 21
    element = np.dtype(">i2")


class Float8s(Column):
    """A column of float8."""

    element_oid = 701
    element = np.dtype(">f8")


class Instants(Column):
    """A column of timestamptz, given in microseconds since 1970 UTC."""

    element_oid = 1184
    element = np.dtype(">i8")

    def stored(self) -> NDArray[Any]:
        """Return microseconds since PostgreSQL's epoch."""
        return self.values - PG_EPOCH_US


class _ColumnDumper(Dumper):
    format = pq.Format.BINARY

    def dump(self, obj: Column) -> Buffer:
        """Return the binary form of a one-dimensional array without NULL."""
        element = obj.element
        body = np.empty(len(obj.values), np.dtype([("bytes", ">i4"), ("value", element)]))
        body["bytes"] = element.itemsize
        body["value"] = obj.stored()
        header = struct.pack(">iiIii", 1, 0, obj.element_oid, len(obj.values), 1)
        return header + body.tobytes()


def _register(column: type[Column], array_oid: int) -> None:
    dumper = type(f"_{column.__name__}Dumper", (_ColumnDumper,), {"oid": array_oid})
    psycopg.adapters.register_dumper(column, dumper)


_register(Int4s, 1007)
_register(Int8s, 1016)
_register(Int2s, 1005)
_register(Float8s, 1022)
_register(Instants, 1185)


def _decoder(element: str, array_oid: int, shift: int = 0) -> tuple[int, type[Loader]]:
    stride = np.dtype([("bytes", ">i4"), ("value", element)])

    class ColumnLoader(Loader):
        format = pq.Format.BINARY

        def load(self, data: Buffer) -> NDArray[Any]:
            """Return the values of an array without NULL in this machine's byte order."""
            if len(data) <= _HEADER_BYTES:
                return np.empty(0, stride["value"].newbyteorder("="))
            values = np.frombuffer(data, stride, offset=_HEADER_BYTES)["value"]
            native = values.astype(values.dtype.newbyteorder("="))
            return native + shift if shift else native

    return array_oid, ColumnLoader


_LOADERS: Final[Mapping[int, type[Loader]]] = dict(
    [
        _decoder(">i4", 1007),
        _decoder(">i8", 1016),
        _decoder(">i2", 1005),
        _decoder(">f8", 1022),
        _decoder(">i8", 1185, PG_EPOCH_US),
    ]
)


def read_columns(cursor: AsyncCursor[Any]) -> AsyncCursor[Any]:
    """Make a cursor hand over arrays as numpy columns; execute with `binary=True`."""
    for oid, loader in _LOADERS.items():
        cursor.adapters.register_loader(oid, loader)
    return cursor


def copy_body(
    ts_us: NDArray[np.int64],
    recorded_us: int | NDArray[np.int64],
    value: NDArray[np.float64],
    point_id: NDArray[np.int64],
    quality: NDArray[np.int16],
) -> bytes:
    """Return the body of COPY reading (ts, recorded_at, value, point_id, quality) in binary."""
    rows = np.empty(len(ts_us), _READING)
    rows["fields"] = 5
    rows["ts_bytes"] = rows["recorded_bytes"] = rows["value_bytes"] = 8
    rows["point_bytes"] = 4
    rows["quality_bytes"] = 2
    rows["ts"] = ts_us - PG_EPOCH_US
    rows["recorded"] = recorded_us - PG_EPOCH_US
    rows["value"] = value
    rows["point"] = point_id
    rows["quality"] = quality
    return _COPY_HEADER + rows.tobytes() + _COPY_TRAILER
