"""`danhao limits list|show|check`: the catalogue of limits on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from core import limits
from core.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    import argparse


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


def _list(options: argparse.Namespace) -> int:
    rows = [limit.item() for limit in limits.catalogue().values()]
    unnumbered = [row.item() for row in limits.unnumbered().values()]
    if options.json:
        _print_json({"items": rows, "next": None, "unnumbered": unnumbered})
        return 0
    for row in rows:
        kind = "" if row["kind"] == "limit" else f"{row['kind']}, "
        computes = kind + ("computes" if row["computes"] else f"later: {row['later']['en']}")
        sys.stdout.write(
            f"{row['id']:<58} {row['cmp']:>2} {row['value']:>8} {row['unit']:<8}"
            f" {row['force']:<10} {row['jurisdiction']:<6} {row['valid_from']}  {computes}\n"
        )
    for row in unnumbered:
        told = f"no number: {row['refers_to']['en']}"
        sys.stdout.write(f"{row['id']:<58} {told}\n")
    return 0


def _show(options: argparse.Namespace) -> int:
    try:
        row = limits.find(options.id).item()
    except Rejected as error:
        raise Misconfigured(str(error)) from error
    if options.json:
        _print_json(row)
    else:
        for key, value in row.items():
            if value is not None:
                sys.stdout.write(f"{key:<13} {_words(value)}\n")
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


def _words(value: object) -> str:
    """Print a table of languages or fields on one line."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {one}" for key, one in value.items())
    return str(value)


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")
