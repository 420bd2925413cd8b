"""`danhao limits list|show|check`: the catalogue of limits on the command line."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import decimals, limits
from core.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    import argparse

    from core.limits import Limit


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `limits`."""
    parser = commands.add_parser("limits", help="the catalogue of limits: list, show, check")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="every limit, a line each")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=_list)
    showing = actions.add_parser("show", help="one limit with its source and quotation")
    showing.add_argument("id")
    showing.add_argument("--json", action="store_true")
    showing.set_defaults(run=_show)
    checking = actions.add_parser(
        "check", help="check a catalogue file, by default the shipped one"
    )
    checking.add_argument("file", nargs="?", type=Path)
    checking.add_argument("--json", action="store_true")
    checking.set_defaults(run=_check)


def item(limit: Limit) -> dict[str, Any]:
    """Return a limit as JSON carries it: exact strings, ISO days."""
    data = dataclasses.asdict(limit)
    data["value"] = decimals.show(limit.value)
    data["completeness"] = decimals.show(limit.completeness)
    for key in ("valid_from", "valid_to", "due"):
        data[key] = None if data[key] is None else data[key].isoformat()
    return data


def _list(options: argparse.Namespace) -> int:
    rows = [item(limit) for limit in limits.catalogue().values()]
    if options.json:
        _print_json({"items": rows, "next": None})
        return 0
    for row in rows:
        sys.stdout.write(
            f"{row['id']:<48} {row['cmp']:>2} {row['value']:>8} {row['unit']:<8}"
            f" {row['force']:<10} {row['jurisdiction']:<6} {row['valid_from']}\n"
        )
    return 0


def _show(options: argparse.Namespace) -> int:
    try:
        row = item(limits.find(options.id))
    except Rejected as error:
        raise Misconfigured(str(error)) from error
    if options.json:
        _print_json(row)
    else:
        for key, value in row.items():
            if value is not None:
                sys.stdout.write(f"{key:<13} {value}\n")
    return 0


def _check(options: argparse.Namespace) -> int:
    if options.file is None:
        checked, name = limits.catalogue(), "the shipped catalogue"
    else:
        try:
            text = options.file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Misconfigured(f"{options.file} cannot be read: {error}") from error
        checked, name = limits.parse(text, str(options.file)), str(options.file)
    if options.json:
        _print_json({"limits": len(checked), "problems": []})
    else:
        sys.stdout.write(f"{name}: {len(checked)} limits, every one with a source, no problem\n")
    return 0


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")
