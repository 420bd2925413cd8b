"""Panels of a dashboard as data, and the JSON that Grafana provisions from them. Pure.

A gap stays a gap: no panel bridges nulls, and where rows are missing for longer than a panel's
step a null is put between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

SCHEMA_VERSION: Final = 39  # of Grafana 11; newer ones read it
DATA_SOURCE: Final = {"type": "grafana-postgresql-datasource", "uid": "danhao"}
WIDTH: Final = 24  # of Grafana's grid


class Kind(StrEnum):
    """How a panel shows its rows."""

    SERIES = "timeseries"
    TABLE = "table"
    STAT = "stat"


@dataclass(frozen=True, slots=True)
class Panel:
    """One question and how its answer is shown; `step_s` is how far apart its points may be."""

    title: str
    kind: Kind
    sql: str
    unit: str = "none"
    width: int = 12
    height: int = 9
    step_s: int | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """What a viewer chooses above the panels: the rows of a question, as `$name` in the others."""

    name: str
    label: str
    sql: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of panels."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    since: str = "now-30d"
    tags: tuple[str, ...] = field(default=("danhao",))

    def document(self) -> dict[str, Any]:
        """Return what Grafana reads."""
        return {
            "uid": self.uid,
            "title": self.title,
            "tags": list(self.tags),
            "timezone": "browser",
            "schemaVersion": SCHEMA_VERSION,
            "refresh": "1m",
            "editable": True,
            "time": {"from": self.since, "to": "now"},
            "templating": {"list": [_variable(each) for each in self.variables]},
            "panels": _laid_out(self.panels),
        }


def _variable(one: Variable) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.label,
        "type": "query",
        "datasource": DATA_SOURCE,
        "query": one.sql,
        "refresh": 2,
        "sort": 1,
    }


def _laid_out(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    """Return the panels in rows, each from the left as far as there is room."""
    found: list[dict[str, Any]] = []
    x = y = row_height = 0
    for number, panel in enumerate(panels, start=1):
        if x + panel.width > WIDTH:
            x, y, row_height = 0, y + row_height, 0
        place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        found.append(_panel(number, panel, place))
        x, row_height = x + panel.width, max(row_height, panel.height)
    return found


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    form = "time_series" if panel.kind is Kind.SERIES else "table"
    custom: dict[str, Any] = {}
    if panel.kind is Kind.SERIES:
        gap = False if panel.step_s is None else panel.step_s * 1000
        custom = {"spanNulls": False, "insertNulls": gap, "lineWidth": 1, "showPoints": "auto"}
    return {
        "id": number,
        "title": panel.title,
        "type": panel.kind.value,
        "gridPos": place,
        "datasource": DATA_SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
        "options": {},
        "targets": [
            {
                "refId": "A",
                "datasource": DATA_SOURCE,
                "editorMode": "code",
                "rawQuery": True,
                "format": form,
                "rawSql": panel.sql,
            }
        ],
    }
