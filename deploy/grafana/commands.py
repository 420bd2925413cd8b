"""`danhao grafana write FOLDER`, `danhao grafana reader`: what a Grafana needs to show the ledger.

Nothing is started and nobody is connected to: the files go where Grafana provisions from, and the
SQL is for whoever owns the database.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import Misconfigured
from deploy.grafana.boards import DASHBOARDS
from deploy.grafana.panels import DATA_SOURCE

if TYPE_CHECKING:
    import argparse

WELL: Final = 0
# Tables with secrets, or with what people wrote about each other, are not among them.
READABLE: Final = (
    "agent_epoch", "agent_status", "alert", "dead_letter", "notification", "output_fact", "point",
    "point_latest", "reading", "result", "site", "slot_energy",
)  # fmt: skip
_SOURCE: Final = """\
# The address and the account of the reader come from Grafana's environment:
# DANHAO_READER_HOST (host:port), DANHAO_READER_DATABASE, DANHAO_READER_PASSWORD.
apiVersion: 1
datasources:
  - name: Danhao
    uid: {uid}
    type: {type}
    access: proxy
    url: $DANHAO_READER_HOST
    user: danhao_reader
    secureJsonData:
      password: $DANHAO_READER_PASSWORD
    jsonData:
      database: $DANHAO_READER_DATABASE
      sslmode: verify-full
      postgresVersion: 1500
      timescaledb: false
"""
_PROVIDER: Final = """\
apiVersion: 1
providers:
  - name: Danhao
    type: file
    options:
      path: {path}
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `grafana` with its leaves."""
    program = commands.add_parser("grafana", help="Grafana over the ledger: write, reader")
    leaves = program.add_subparsers(dest="leaf", required=True, metavar="COMMAND")
    leaf = leaves.add_parser("write", help="write data source and dashboards for provisioning")
    leaf.add_argument("folder", type=Path, help="Grafana's provisioning folder, or a new one")
    leaf.set_defaults(run=_write)
    leaf = leaves.add_parser("reader", help="print the SQL that lets Grafana read, and only read")
    leaf.set_defaults(run=_reader)


def files(folder: Path) -> dict[Path, str]:
    """Return every file by its path below the provisioning folder."""
    boards = folder / "dashboards" / "danhao"
    found = {
        folder / "datasources" / "danhao.yaml": _SOURCE.format(**DATA_SOURCE),
        folder / "dashboards" / "danhao.yaml": _PROVIDER.format(path=boards.absolute()),
    }
    for board in DASHBOARDS:
        text = json.dumps(board.document(), ensure_ascii=False, indent=1) + "\n"
        found[boards / f"{board.uid}.json"] = text
    return found


def reader_sql() -> str:
    """Return the statements that make the reader's account; its password is set apart."""
    tables = ", ".join(READABLE)
    return (
        "create role danhao_reader login connection limit 10;\n"
        "alter role danhao_reader set default_transaction_read_only = on;\n"
        "alter role danhao_reader set statement_timeout = '30s';\n"
        f"grant select on {tables} to danhao_reader;\n"
        "-- then, in psql: \\password danhao_reader\n"
    )


def _write(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    for path, text in files(folder).items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        except OSError as error:
            raise Misconfigured(
                f"{path} cannot be written ({error.strerror}): choose a folder that may be"
            ) from error
        sys.stdout.write(f"{path}\n")
    return WELL


def _reader(_options: argparse.Namespace) -> int:
    sys.stdout.write(reader_sql())
    return WELL
