"""Promises of the dashboards: every question is answered by the reader's own account, read only."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import conninfo, sql

from deploy.grafana import commands
from deploy.grafana.boards import DASHBOARDS
from deploy.grafana.panels import WIDTH, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.postgres
#: What Grafana puts in place of its macros and variables.
VALUES = {"$indicator": "al.liquid.ac", "$unit": "gh-al.potline-1"}
RANGE = r"\1 between '2026-10-31T16:00:00Z' and '2026-12-01T00:00:00Z'"


def expanded(text: str) -> str:
    """Return a question as Grafana sends it."""
    text = re.sub(r"\$__timeFilter\(([a-z._]+)\)", RANGE, text)
    for name, value in VALUES.items():
        text = text.replace(name, value)
    assert "$" not in text
    return text


@pytest.fixture
def reader(database_url: str, tokens: dict[str, str]) -> Iterator[psycopg.Connection]:
    """Make the reader as the printed SQL says and connect as it."""
    assert tokens  # the world is built
    with psycopg.connect(database_url, autocommit=True) as owner:
        for statement in commands.reader_sql().split(";\n"):
            if statement and not statement.startswith("--"):
                owner.execute(statement.encode())
        owner.execute("alter role danhao_reader password 'a-test-secret'")
    account = conninfo.make_conninfo(database_url, user="danhao_reader", password="a-test-secret")
    try:
        with psycopg.connect(account, autocommit=True) as link:
            yield link
    finally:
        with psycopg.connect(database_url, autocommit=True) as owner:
            owner.execute("drop owned by danhao_reader")
            owner.execute("drop role danhao_reader")


def test_every_panel_is_answered_with_rows_of_the_ledger(reader: psycopg.Connection) -> None:
    answered = {}
    for board in DASHBOARDS:
        for panel in board.panels:
            cursor = reader.execute(expanded(panel.sql).encode())
            names = [column.name for column in cursor.description or ()]
            if panel.kind is Kind.SERIES:
                assert names[:2] == ["time", "metric"]
                assert len(names) == 3
            answered[panel.title] = len(cursor.fetchall())
        for variable in board.variables:
            assert reader.execute(variable.sql.encode()).fetchall()
    silent = {title for title, rows in answered.items() if rows == 0}
    assert silent <= {
        "Alerts that are not over 未解除报警",
        "What waits to be delivered 待送达通知",
        "Meters that are silent 无数据计量点",
    }


def test_the_reader_writes_nothing_and_sees_no_secret(reader: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.execute("delete from result")
    reader.execute("set default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("delete from result")
    for table in ("access_token", "session", "audit"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(sql.SQL("select * from {}").format(sql.Identifier(table)))


def test_a_dashboard_bridges_no_gap_and_lays_its_panels_side_by_side() -> None:
    assert len({board.uid for board in DASHBOARDS}) == len(DASHBOARDS)
    for board in DASHBOARDS:
        document = board.document()
        taken: set[tuple[int, int]] = set()
        for panel in document["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert all(0 <= x < WIDTH for x, _ in cells)
            taken |= cells
            if panel["type"] == "timeseries":
                assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False


def test_written_files_are_what_provisioning_reads(tmp_path: Path) -> None:
    for path, text in commands.files(tmp_path).items():
        assert path.is_relative_to(tmp_path)
        if path.suffix == ".json":
            assert json.loads(text)["uid"] == path.stem
        else:
            assert text.startswith(("apiVersion: 1\n", "#"))
            assert "password: $DANHAO_READER_PASSWORD" in text or "datasources" not in text
