"""`danhao limits list|show|check|try`: the catalogue of limits on the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import limits
from core.errors import Misconfigured, Rejected

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `limits`."""
    parser = commands.add_parser("limits", help="the catalogue of limits: list, show, check, try")
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
    _add_try(actions)


def _add_try(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    trying = actions.add_parser(
        "try",
        help="hold a draft file against the closed months and years of a store",
        description="Hold the rows of FILE against stored closed months and years, as if they had"
        " always been in force; nothing is written. Exit 1 where a figure would exceed.",
    )
    trying.add_argument("file", metavar="FILE", type=Path)
    trying.add_argument("--site", metavar="SITE", help="of this site only")
    trying.add_argument("--from", dest="since", metavar="TIME", help="RFC 3339 with an offset")
    trying.add_argument("--to", dest="until", metavar="TIME", help="RFC 3339 with an offset")
    trying.add_argument(
        "--as-dated", action="store_true", help="only where valid_from and valid_to say so"
    )
    trying.add_argument(
        "--database-url", metavar="URL", help="postgresql://user:password@host/name"
    )
    trying.add_argument(
        "--data-dir", metavar="DIR", type=Path, help="the data directory of a running `danhao up`"
    )
    trying.add_argument("--json", action="store_true")
    trying.set_defaults(run=_try)


def _list(options: argparse.Namespace) -> int:
    rows = [limit.item() for limit in limits.catalogue().values()]
    unnumbered = [row.item() for row in limits.unnumbered().values()]
    if options.json:
        _print_json({"items": rows, "next": None, "unnumbered": unnumbered})
        return 0
    for row in rows:
        sys.stdout.write(_line(row) + "\n")
    for row in unnumbered:
        told = f"no number: {row['refers_to']['en']}"
        sys.stdout.write(f"{row['id']:<58} {told}\n")
    return 0


def _line(row: Mapping[str, Any]) -> str:
    kind = "" if row["kind"] == "limit" else f"{row['kind']}, "
    computes = kind + ("computes" if row["computes"] else f"later: {row['later']['en']}")
    until = row["valid_to"] or ""
    moved = "".join(f", moved by {one['kind']}" for one in row["correction"])
    return (
        f"{row['id']:<58} {row['cmp']:>2} {row['value']:>8} {row['unit']:<8}"
        f" {row['force']:<10} {row['jurisdiction']:<6} {row['valid_from']} {until:<10}"
        f" {row['policy']:<8} {computes}{moved}"
    )


def _show(options: argparse.Namespace) -> int:
    try:
        row = limits.find(options.id).item()
    except Rejected as error:
        raise Misconfigured(str(error)) from error
    if options.json:
        _print_json(row)
    else:
        for key, value in row.items():
            for words in _told(key, value):
                sys.stdout.write(f"{key:<13} {words}\n")
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


def _try(options: argparse.Namespace) -> int:
    from deploy import trial  # noqa: PLC0415 - only this action needs a store

    return trial.run(options)


def _told(key: str, value: Any) -> Iterator[str]:
    """Yield the lines that show one key of a limit."""
    if key == "policy":
        yield f"{value}: {limits.POLICY_WORDS[limits.Policy(value)]}"
    elif key == "correction":
        yield from (_words(one) for one in value)
    elif value is not None:
        yield _words(value)


def _words(value: object) -> str:
    """Print a table of languages or fields on one line."""
    if isinstance(value, dict):
        return "; ".join(f"{key}: {one}" for key, one in value.items())
    return str(value)


def _print_json(value: object) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")
