"""Readings as Parquet: what archives and backups keep, and any tool for columns can open.

Columns point (dictionary), measured_at and recorded_at (UTC, microseconds), value (double),
quality (0 good, 1 uncertain, 2 bad). Promise: what is written is read back to the bit; a row
group holds one block, so neither way needs more memory than one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from core.errors import Misconfigured, first_line
from store.blocks import Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType
    from typing import Self

_INSTANT: Final = pa.timestamp("us", "UTC")
SCHEMA: Final = pa.schema(
    [
        pa.field("point", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("measured_at", _INSTANT, nullable=False),
        pa.field("recorded_at", _INSTANT, nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("quality", pa.int16(), nullable=False),
    ]
)
# Instants that rise by a second take a few bits as differences; the bytes of doubles apart from
# one another compress, for their upper ones hardly change.
_HOW: Final[dict[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": ["point", "quality"],
    "column_encoding": {
        "measured_at": "DELTA_BINARY_PACKED",
        "recorded_at": "DELTA_BINARY_PACKED",
        "value": "BYTE_STREAM_SPLIT",
    },
}


class Writer:
    """Writes blocks to one file, or to anything that takes bytes."""

    def __init__(self, sink: Any, names: Mapping[int, str]) -> None:
        self._names = names
        self._file = parquet.ParquetWriter(sink, SCHEMA, **_HOW)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, block: Block) -> None:
        """Write one block as one row group."""
        numbers, place = np.unique(block.point_id, return_inverse=True)
        points = [self._names[number] for number in numbers.tolist()]
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(place.astype(np.int32)), pa.array(points)),
            pa.array(block.ts_us, pa.int64()).cast(_INSTANT),
            pa.array(block.recorded_us, pa.int64()).cast(_INSTANT),
            pa.array(block.value, from_pandas=False),
            pa.array(block.quality.astype(np.int16)),
        ]
        self._file.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))


def read(source: Any, ids: Mapping[str, int], where: str) -> Iterator[Block]:
    """Yield the blocks of a file, or of bytes, with the numbers that these points have here.

    Raises Misconfigured where it is no such file, or speaks of a point that is not declared.
    """
    try:
        file = parquet.ParquetFile(source)
    except (pa.ArrowInvalid, OSError) as error:
        raise Misconfigured(f"{where}: is damaged: {first_line(error)}") from error
    if not file.schema_arrow.equals(SCHEMA):
        raise Misconfigured(f"{where}: is no file of readings: its columns are others")
    for group in range(file.num_row_groups):
        try:
            table = file.read_row_group(group)
        except (pa.ArrowInvalid, OSError) as error:
            raise Misconfigured(f"{where}: is damaged: {first_line(error)}") from error
        yield _block(table.combine_chunks(), ids, where)


def buffer() -> Any:
    """Return a sink in memory; `getvalue` gives its bytes."""
    return pa.BufferOutputStream()


def source(data: bytes) -> Any:
    """Return bytes as something to read from."""
    return pa.BufferReader(data)


def _block(table: Any, ids: Mapping[str, int], where: str) -> Block:
    point = table.column("point").chunk(0)
    names = point.dictionary.to_pylist()  # one a point, not one a reading
    unknown = [name for name in names if name not in ids]
    if unknown:
        raise Misconfigured(
            f"{where}: holds readings of {unknown[0]!r}, which was never declared here: apply the"
            " plant file that declares it"
        )
    number = np.array([ids[name] for name in names], np.int64)
    return Block(
        number[point.indices.to_numpy()],
        table.column("measured_at").chunk(0).cast(pa.int64()).to_numpy(),
        table.column("recorded_at").chunk(0).cast(pa.int64()).to_numpy(),
        table.column("value").chunk(0).to_numpy(),
        table.column("quality").chunk(0).to_numpy(),
    )
