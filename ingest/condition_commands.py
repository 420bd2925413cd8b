"""`danhao alerts conditions`: what people are told of beside limits; whether a file of it works."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from core import conditionfile, decimals
from core.conditions import ALWAYS, MINUTES_A_DAY, show
from ingest.config import Conditions
from store import settings

if TYPE_CHECKING:
    import argparse

    from core.conditions import Condition, Schedule

WELL: Final = 0


def add_conditions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the action `conditions` to the command `alerts`."""
    parser = actions.add_parser(
        "conditions",
        help="what people are told of beside limits",
        description="List the conditions in force, or what they would be with FILE; every mistake"
        " of the file is told at once.",
    )
    parser.add_argument(
        "file", metavar="FILE", type=Path, nargs="?", help="default: of danhao.toml"
    )
    parser.add_argument("--config", type=Path, help="default: DANHAO_CONFIG, else danhao.toml")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_list)


def read(file: Path | None, config: Path | None) -> dict[str, Condition]:
    """Return the conditions of a file over the shipped ones, else those that danhao.toml asks for.

    Raises Misconfigured with every problem.
    """
    if file is not None:
        return Conditions(file=file).read()
    document = settings.read_file(os.environ, config)
    return settings.section(document, "conditions", Conditions, {}).read()


def item(condition: Condition, shipped: Condition | None) -> dict[str, Any]:
    """Return a condition as JSON carries it; `own` tells that a file changed or added it."""
    return {
        "condition": condition.id,
        "watch": condition.watch.value,
        "subject": condition.watching.subject.value,
        "raise_at": decimals.show(condition.raise_at),
        "clear_at": decimals.show(condition.clear_at),
        "measure": condition.watching.measure.value,
        "hold_s": condition.rule.hold.total_seconds(),
        "keep_s": condition.rule.keep.total_seconds(),
        "severity": condition.rule.open_severity,
        "schedule": None if condition.schedule == ALWAYS else _schedule(condition.schedule),
        "force": None if condition.force is None else condition.force.value,
        "period": None if condition.period is None else condition.period.value,
        "name": dict(condition.name),
        "source": condition.source,
        "own": condition != shipped,
    }


def line(condition: Condition) -> str:
    """Return a condition as a person reads it."""
    measure = condition.watching.measure
    bounds = " / ".join(show(at, measure, "en") for at in (condition.raise_at, condition.clear_at))
    when = "" if condition.schedule == ALWAYS else f"  {_words(condition.schedule)}"
    subject, severity = condition.watching.subject, condition.rule.open_severity
    return f"{condition.id:24} {severity}  {subject:8} {bounds:28} {condition.name['en']}{when}"


def _list(options: argparse.Namespace) -> int:
    shipped = conditionfile.catalogue()
    found = read(options.file, options.config)
    ended = [name for name in shipped if name not in found]
    if options.json:
        items = [item(one, shipped.get(name)) for name, one in found.items()]
        sys.stdout.write(json.dumps({"items": items, "off": ended}, ensure_ascii=False) + "\n")
        return WELL
    for one in found.values():
        sys.stdout.write(line(one) + "\n")
    if ended:
        sys.stdout.write(f"off: {', '.join(ended)}\n")
    return WELL


def _schedule(schedule: Schedule) -> dict[str, Any]:
    days = [conditionfile.WEEK[day].value for day in sorted(schedule.weekdays)]
    return {"hours": _hours(schedule), "weekdays": days}


def _words(schedule: Schedule) -> str:
    days = [conditionfile.WEEK[day].value for day in sorted(schedule.weekdays)]
    return f"{_hours(schedule)} {','.join(days)}"


def _hours(schedule: Schedule) -> str:
    ends = (schedule.begin_min, min(schedule.end_min, MINUTES_A_DAY))
    return "-".join(f"{minutes // 60:02}:{minutes % 60:02}" for minutes in ends)
