"""Promises of exported tables: three forms hold the same rows, exactly."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from api.exports import DECIMAL, Encoder, Form, decimals, instants, of_millionths

ZONE = "Asia/Shanghai"
SCHEMA = pa.schema([("at", instants(ZONE)), ("value", DECIMAL), ("name", pa.string())])


def column(*at_us: int) -> Any:
    return pa.array(at_us, pa.int64()).cast(pa.timestamp("us", "UTC")).cast(instants(ZONE))


BATCHES = (
    [column(1_764_300_000_000_000, 1_764_300_000_250_000), decimals(["1.25", None]), ["a,b", None]],
    [column(1_764_300_001_000_000), of_millionths([-3]), ['say "x"']],
)


def written(form: Form) -> bytes:
    encoder = Encoder(form, SCHEMA)
    parts = [encoder.begin()]
    for at, value, name in BATCHES:
        parts.append(encoder.put([at, value, pa.array(name, pa.string())]))
        assert parts[-1], "each batch leaves at once"
    return b"".join([*parts, encoder.end()])


def test_csv_prints_plant_time_and_exact_figures() -> None:
    assert list(csv.reader(io.StringIO(written(Form.CSV).decode()))) == [
        ["at", "value", "name"],
        ["2025-11-28T11:20:00.000000+08:00", "1.250000", "a,b"],
        ["2025-11-28T11:20:00.250000+08:00", "", ""],
        ["2025-11-28T11:20:01.000000+08:00", "-0.000003", 'say "x"'],
    ]


@pytest.mark.parametrize("form", [Form.PARQUET, Form.ARROW])
def test_binary_forms_hold_instants_with_their_zone_and_exact_decimals(form: Form) -> None:
    data = pa.BufferReader(written(form))
    table = (
        parquet.read_table(data) if form is Form.PARQUET else pa.ipc.open_stream(data).read_all()
    )
    assert table.schema.field("at").type == instants(ZONE)
    assert table.column("value").to_pylist() == [Decimal("1.25"), None, Decimal("-0.000003")]
    assert table.column("name").to_pylist() == ["a,b", None, 'say "x"']


@pytest.mark.parametrize("form", list(Form))
def test_a_table_without_rows_is_still_a_table(form: Form) -> None:
    encoder = Encoder(form, SCHEMA)
    data = encoder.begin() + encoder.end()
    if form is Form.CSV:
        assert data == b"at,value,name\n"
    elif form is Form.PARQUET:
        assert parquet.read_table(pa.BufferReader(data)).num_rows == 0
    else:
        assert pa.ipc.open_stream(pa.BufferReader(data)).read_all().schema == SCHEMA


def _streamed(data: Any) -> Any:
    return pa.ipc.open_stream(data).read_all()
