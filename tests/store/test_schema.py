"""One schema, whichever way a database came to it: from nothing, or from one that held readings."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from store import migrate
from store.engine import Engine
from tests.fixtures import timescale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

# What makes a table what it is; spans of readings come and go and are left out.
CATALOG = {
    "tables": "select c.relname, c.relkind, c.relpersistence, pg_get_partkeydef(c.oid),"
    " c.reloptions from pg_class c where c.relnamespace = current_schema()::regnamespace"
    " and c.relkind in ('r', 'p', 'v', 'S') and not c.relispartition"
    " and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')"
    " order by 1",
    "columns": "select c.relname, a.attnum - (select count(*) from pg_attribute g"
    "  where g.attrelid = a.attrelid and g.attisdropped and g.attnum between 1 and a.attnum),"
    " a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,"
    " a.attgenerated, pg_get_expr(d.adbin, d.adrelid) from pg_class c join pg_attribute a"
    " on a.attrelid = c.oid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum"
    " where c.relnamespace = current_schema()::regnamespace and c.relkind in ('r', 'p', 'v')"
    " and not c.relispartition and a.attnum > 0 and not a.attisdropped"
    " and not exists (select from pg_depend x where x.objid = c.oid and x.deptype = 'e')"
    " order by 1, 2",
    "constraints": "select r.relname, c.conname, pg_get_constraintdef(c.oid) from pg_constraint c"
    " join pg_class r on r.oid = c.conrelid where r.relnamespace ="
    " current_schema()::regnamespace and not r.relispartition order by 1, 2",
    "indexes": "select r.relname, pg_get_indexdef(i.indexrelid) from pg_index i join pg_class r"
    " on r.oid = i.indrelid where r.relnamespace = current_schema()::regnamespace"
    " and not r.relispartition order by 1, 2",
    "triggers": "select r.relname, pg_get_triggerdef(t.oid) from pg_trigger t join pg_class r"
    " on r.oid = t.tgrelid where r.relnamespace = current_schema()::regnamespace"
    " and not t.tgisinternal and not r.relispartition order by 1, 2",
    "functions": "select p.proname, pg_get_functiondef(p.oid) from pg_proc p"
    " where p.pronamespace = current_schema()::regnamespace and p.prokind in ('f', 'p')"
    " and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')"
    " order by 1, 2",
    "engine": "select engine, span_days from store_engine",
}
OF_ENGINE = {
    Engine.TIMESCALE: {
        "hypertables": "select hypertable_name, num_dimensions, compression_enabled from"
        " timescaledb_information.hypertables where hypertable_schema = current_schema()",
        "dimensions": "select hypertable_name, column_name, time_interval from"
        " timescaledb_information.dimensions where hypertable_schema = current_schema()",
        "columnstore": "select segmentby, orderby from"
        " timescaledb_information.hypertable_columnstore_settings"
        " where hypertable = 'reading'::regclass",
    },
    Engine.CITUS: {
        "distribution": "select table_name::text, citus_table_type, distribution_column,"
        " shard_count from citus_tables where table_name::text !~ '_[0-9]{8}$' order by 1",
        "side by side": "select count(distinct colocation_id) from citus_tables",
    },
}
READINGS = (
    "insert into reading select timestamptz '2018-03-01Z' + g * interval '5 hours', now(), g, p,"
    " g %% 3 from generate_series(0, %(steps)s) g, generate_series(1, 5) p"
)
ALL = "select ts, recorded_at, value, point_id, quality from reading order by point_id, ts"


def dump(link: Connection[Any], engine: Engine) -> dict[str, list[Any]]:
    queries = {**CATALOG, **OF_ENGINE.get(engine, {})}
    return {name: link.execute(query).fetchall() for name, query in queries.items()}


@contextlib.contextmanager
def other_database(engine: Engine, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield a second empty database of the engine."""
    if engine is not Engine.PLAIN:
        with timescale.database(engine) as url:
            yield url
        return
    server = request.getfixturevalue("postgres_url")
    name = "danhao_second"
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(f"create database {name}")
    yield timescale.url_of(server, name)
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(f"drop database {name} with (force)")


@pytest.mark.parametrize("steps", [0, 100])
def test_a_database_that_held_readings_gets_the_schema_of_a_new_one_and_loses_nothing(
    empty_database_url: str, engine: Engine, request: pytest.FixtureRequest, steps: int
) -> None:
    files = migrate.read_files(engine=engine)
    migrate.migrate(empty_database_url, files[:2])
    with psycopg.connect(empty_database_url) as link:
        link.execute(READINGS, {"steps": steps})
        link.execute("insert into slot_energy values (3, '2018-03-01Z', 7, 0, 900000000, 0, now())")
        before = link.execute(ALL).fetchall()
    assert migrate.migrate(empty_database_url) == [file.name for file in files[2:]]
    with other_database(engine, request) as new:
        assert migrate.migrate(new) == [file.name for file in files]
        with psycopg.connect(new) as link:
            wanted = dump(link, engine)
    with psycopg.connect(empty_database_url) as link:
        assert dump(link, engine) == wanted
        assert link.execute(ALL).fetchall() == before
        assert link.execute("select sum(energy_e6) from slot_energy").fetchone() == (7,)
    assert wanted["tables"]


def test_the_readings_of_every_engine_have_the_same_columns_and_key(
    database_url: str, engine: Engine
) -> None:
    with psycopg.connect(database_url) as link:
        found = dump(link, engine)
    reading = [row[2:5] for row in found["columns"] if row[0] == "reading"]
    assert reading == [
        ("ts", "timestamp with time zone", True),
        ("recorded_at", "timestamp with time zone", True),
        ("value", "double precision", True),
        ("point_id", "integer", True),
        ("quality", "smallint", True),
    ]
    assert ("reading", "reading_pkey", "PRIMARY KEY (point_id, ts)") in found["constraints"]
    assert [row[0] for row in found["indexes"]].count("reading") == 1
