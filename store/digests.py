"""Digests of what stands behind a closed month: readings by point, facts by unit, as of an instant.

Promise: they depend on content only, not on the order of arrival, the engine, or on what was
recorded after the instant; anybody can compute them again from an archive (docs/figures.md).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core import periods
from core.clock import from_us, to_us
from core.facts import MOST_TOLERANCE_H, reach
from store import arrays

if TYPE_CHECKING:
    from datetime import datetime

    from psycopg import AsyncConnection

CHUNK_US: Final = 86_400_000_000  # a day of readings at once: 16 MB at ten a second
# One reading: microseconds since 1970, value, quality; little-endian, without gaps.
_ROW: Final = np.dtype([("ts", "<i8"), ("value", "<f8"), ("quality", "<i2")])
# What of a fact its digest holds beside id, revision, kind, instant, amount and grades, by the
# format of the body.
_MORE: Final = {1: "", 2: ", stream, amount_unit"}


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows there are, and the SHA-256 over them in order."""

    count: int
    sha256: str


def canonical(data: object) -> str:
    """Return JSON that is the same for the same content: sorted keys, no spaces, no escapes."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sha256(data: object) -> str:
    """Return the SHA-256 of the canonical JSON, hexadecimal."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


async def readings(
    connection: AsyncConnection[Any], point_id: int, span_us: tuple[int, int], known_at: datetime
) -> Digest:
    """Return the digest of a point's readings measured in a span and recorded until an instant."""
    digest, count = hashlib.sha256(), 0
    for begin_us in range(span_us[0], span_us[1], CHUNK_US):
        cursor = arrays.read_columns(connection.cursor())
        await cursor.execute(
            "select array_agg(ts order by ts), array_agg(value order by ts),"
            " array_agg(quality order by ts) from reading where point_id = %s and ts >= %s"
            " and ts < %s and recorded_at <= %s",
            (
                point_id,
                from_us(begin_us),
                from_us(min(begin_us + CHUNK_US, span_us[1])),
                known_at,
            ),
            binary=True,
        )
        row = await cursor.fetchone()
        if row is None or row[0] is None:
            continue
        rows = np.empty(len(row[0]), _ROW)
        rows["ts"], rows["quality"] = row[0], row[2]
        # One NaN and one zero: their other forms do not survive every way through a file.
        rows["value"] = np.where(np.isnan(row[1]), np.nan, row[1] + 0.0)
        digest.update(rows.tobytes())
        count += len(rows)
    return Digest(count, digest.hexdigest())


async def facts(
    connection: AsyncConnection[Any],
    unit: str,
    span_us: tuple[int, int],
    known_at: datetime,
    form: int,
) -> Digest:
    """Return the digest of a unit's facts that counted in a span, as known at an instant.

    `form` is the format of the body that names it. In 1 a fact counted where it lay; from 2 on
    also wherever it may change a period, as stock-taking before the span does.
    """
    margin = timedelta(0) if form == 1 else timedelta(hours=MOST_TOLERANCE_H)
    cursor = await connection.execute(
        f"select id, revision, kind, at, mass_e6, grades{_MORE[form]} from output_fact o"  # noqa: S608 - constants only
        " where unit = %(unit)s and at < %(until)s and (at >= %(from)s or %(bases)s"
        " and kind = 'base') and recorded_at <= %(at)s"
        " and not exists (select from output_fact r where r.site = o.site and r.id = o.id"
        '  and r.revision > o.revision and r.recorded_at <= %(at)s) order by id collate "C"',
        {
            "unit": unit,
            "from": from_us(span_us[0]) - margin,
            "until": from_us(span_us[1]) + margin,
            "at": known_at,
            "bases": form > 1,
        },
    )
    rows = [
        [*row[:3], periods.render_utc(to_us(row[3])), *row[4:]]
        for row in await cursor.fetchall()
        if form == 1 or _counts(span_us, reach(row[2], to_us(row[3]), row[5]))
    ]
    return Digest(len(rows), sha256(rows))


def _counts(span_us: tuple[int, int], reached: tuple[int, int]) -> bool:
    return span_us[0] < reached[1] and reached[0] < span_us[1]
