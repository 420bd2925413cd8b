"""The ledger seen whole: read to be checked, copied, emptied and put back; for checks and drills.

For small databases of one's own, never for a plant's: `put_back` and `clear` leave nothing of what
was there. Promise: an image put back is the ledger as it was, under a new store id (design 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from store import agents

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from psycopg import Connection

    from core.progress import Progress
    from store.agents import Epoch

# What readings and their figures consist of; declarations and accounts stay as they are.
TABLES: Final = (
    "reading",
    "touched",
    "touched_unit",
    "slot_energy",
    "point_latest",
    "agent_epoch",
    "agent_status",
    "agent_lease",
    "ingest_worker",
    "ingest_worker",
    "dead_letter",
)
# Before the server's own functions, so that a drill can tell its programs what time it is.
CLOCK_PATH: Final = "drill,pg_catalog,public"
_CLOCK: Final = """
create schema if not exists drill;
create table if not exists drill.clock (at timestamptz not null);
truncate drill.clock;
insert into drill.clock values ('epoch');
create or replace function drill.clock_timestamp() returns timestamptz
    language sql stable as 'select at from drill.clock';
create or replace function drill.now() returns timestamptz
    language sql stable as 'select at from drill.clock';
"""
_US: Final = "(extract(epoch from {}) * 1000000)::bigint"


@dataclass(frozen=True, slots=True)
class Slot:
    """What one slot of a point is worth, as stored; `energy_e6` is None where it is unknown."""

    energy_e6: int | None
    estimated_e6: int
    measured_us: int


@dataclass(frozen=True, slots=True)
class Image:
    """The rows of every table of `TABLES`, as COPY writes them."""

    tables: Mapping[str, bytes]


def install_clock(link: Connection[Any]) -> None:
    """Make a clock that stands where `set_clock` puts it, for sessions with CLOCK_PATH."""
    link.execute(_CLOCK)


def hurry(link: Connection[Any]) -> None:
    """Let this session's commits not wait for the disk: nothing in a drill outlives the server."""
    link.execute("set synchronous_commit = off")


def set_clock(link: Connection[Any], at: datetime) -> None:
    """Put the clock of a drill to an instant."""
    link.execute("update drill.clock set at = %s", (at,))


def clear(link: Connection[Any], *, thoroughly: bool = False) -> None:
    """Empty the ledger; `thoroughly` also gives back the room, and takes longer."""
    verb = sql.SQL("truncate {}") if thoroughly else sql.SQL("delete from {}")
    for table in TABLES:
        link.execute(verb.format(sql.Identifier(table)))


def take(link: Connection[Any]) -> Image:
    """Return the ledger as it is now."""
    tables: dict[str, bytes] = {}
    for table in TABLES:
        statement = sql.SQL("copy (select * from {}) to stdout").format(sql.Identifier(table))
        with link.cursor() as cursor, cursor.copy(statement) as copy:
            tables[table] = b"".join(bytes(part) for part in copy)
    return Image(tables)


def put_back(link: Connection[Any], image: Image) -> str:
    """Make the ledger what the image shows; returns the id of the store that it now is."""
    clear(link)
    for table, content in image.tables.items():
        statement = sql.SQL("copy {} from stdin").format(sql.Identifier(table))
        with link.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(content)
    row = link.execute(
        "update store_identity set store = gen_random_uuid() returning store::text"
    ).fetchone()
    assert row is not None, "the first migration creates the identity"  # noqa: S101 - a belief
    return str(row[0])


def readings(link: Connection[Any]) -> list[tuple[str, int, float, int]]:
    """Return (point, measured_us, value, quality) of every stored row, in order."""
    return link.execute(
        f"select p.point, {_US.format('r.ts')}, r.value, r.quality from reading r"  # noqa: S608 - constants only
        " join point p using (point_id) order by p.point, r.ts"
    ).fetchall()


def absent(link: Connection[Any], keys: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Return which of these (point, measured_us) are not stored."""
    wanted = list(keys)
    return link.execute(
        "select k.point, k.us from unnest(%s::text[], %s::bigint[]) as k(point, us)"
        " where not exists (select 1 from reading r join point p using (point_id)"
        " where p.point = k.point"
        " and r.ts = 'epoch'::timestamptz + k.us * interval '1 microsecond')",
        ([point for point, _ in wanted], [us for _, us in wanted]),
    ).fetchall()


def slots(link: Connection[Any]) -> dict[tuple[str, int], Slot]:
    """Return every stored slot by (point, slot start)."""
    rows = link.execute(
        f"select p.point, {_US.format('slot_start')}, energy_e6, estimated_e6, measured_us"  # noqa: S608 - constants only
        " from slot_energy join point p using (point_id)"
    )
    return {(row[0], row[1]): Slot(*row[2:]) for row in rows}


def epochs(link: Connection[Any]) -> dict[Epoch, Progress]:
    """Return how far every outbox's life is durable."""
    rows = link.execute(
        "select site, agent, epoch, committed, missing, lost, oldest from agent_epoch"
    )
    return dict(agents._row(row) for row in rows)  # noqa: SLF001 - the same rows of the same table


def letters(link: Connection[Any]) -> list[tuple[str, str | None, str]]:
    """Return (reason, point, detail) of every dead letter, the oldest first."""
    return link.execute(
        "select reason, point, detail from dead_letter order by dead_letter_id"
    ).fetchall()


def marks(link: Connection[Any]) -> int:
    """Return how many spans wait for their slots."""
    row = link.execute("select count(*) from touched").fetchone()
    return int(row[0]) if row else 0
