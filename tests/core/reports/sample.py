"""A month of one potline as the API tells it, made by hand: days, a gap, late changes, an alert."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from core import decimals, indicators, plant
from core.periods import parse_instant
from core.reports import compliance
from core.reports.compliance import About
from core.reports.document import Document, Text
from core.reports.figuresection import UnitFigure

ZONE = "Asia/Shanghai"
MANDATORY = "cn.al.liquid.ac.gb21346-2022.level-3"
TARGET = "cn-qh.al.liquid.ac.target-2020"
INDICATOR = indicators.find("al.liquid.ac")
MADE_US = parse_instant("2026-11-03T12:00:00+08:00")
BOUND_US = (
    parse_instant("2026-10-01T00:00:00+08:00"),
    parse_instant("2026-11-01T00:00:00+08:00"),
)
GAP_DAY = 12
PLANT = plant.parse(
    """
[site.gh-al]
name = { zh = "示例铝厂", en = "Demo Aluminium" }
jurisdiction = "cn-qh"
[site.gh-al.unit.potline-1]
name = { zh = "电解一系列", en = "Potline 1" }
kind = "potline"
indicators = ["al.liquid.ac"]
""",
    "plant.toml",
)


def verdict(limit: str, value: str, word: str, *, lapsed: bool = False) -> dict[str, Any]:
    """Return a verdict as a figure carries it."""
    mandatory = limit == MANDATORY
    return {
        "limit": limit,
        "force": "mandatory" if mandatory else "target",
        "level": 3 if mandatory else None,
        "cmp": "<=",
        "limit_value": value,
        "verdict": word,
        "lapsed": lapsed,
    }


def item(
    start: str,
    energy: str | None,
    output: str,
    *,
    words: tuple[str, str] = ("exceeds", "exceeds"),
    period: str = "day",
) -> dict[str, Any]:
    """Return a period item: its intensity is energy over output, U is one per cent of it."""
    value = None if energy is None else Fraction(energy) / Fraction(output)
    known = value is not None
    return {
        "unit": "gh-al.potline-1",
        "indicator": INDICATOR.id,
        "period": period,
        "period_start": start,
        "period_end": start,
        "closed": True,
        "energy": {"value": energy, "estimated": "0", "unit": "kWh"},
        "output": {"value": output, "unit": "t"},
        "intensity": {
            "value": None if value is None else decimals.show(value),
            "unit": "kWh/t",
            "uncertainty": None if value is None else decimals.show(value / 100),
        },
        "completeness": 0.99996 if known else 0.0,
        "flags": ["rollover"] if known else [],
        "verdicts": [
            verdict(TARGET, "12750", words[1] if known else "incomplete", lapsed=True),
            verdict(MANDATORY, "13350", words[0] if known else "incomplete"),
            verdict("cn-nx.none", "1", "not_applicable"),
        ],
        "formula_version": 2,
        "version": 1,
        "computed_at": "2026-11-01T00:05:00Z",
        "result": "0d5c2f52-3f3e-4a0d-8f1b-2f8f6d0c9a11",
        "known_from": "2026-11-01T00:05:00Z",
        "causes": ["period_end"],
        "close": None,
    }


def days() -> list[dict[str, Any]]:
    """Return the days of October; one of them was not measured."""
    return [
        item(
            f"2026-10-{number:02d}T00:00:00+08:00",
            None if number == GAP_DAY else str(4_000_000 + number * 1000),
            "300",
        )
        for number in range(1, 32)
    ]


def month(words: tuple[str, str] = ("exceeds", "exceeds")) -> dict[str, Any]:
    """Return the month: 13 858.307518 kWh/t and 9 297 t."""
    return item(
        "2026-10-01T00:00:00+08:00", "128840684.998848", "9297", words=words, period="month"
    )


def figure(**more: Any) -> UnitFigure:
    """Return the potline's figure with what belongs to it."""
    told = {"item": month(), "parts": days()} | more
    unit = PLANT.units["gh-al.potline-1"]
    return UnitFigure(PLANT.sites["gh-al"], unit, INDICATOR, **told)


def about(**more: Any) -> About:
    """Return what the sample's report rests on."""
    told: dict[str, Any] = {
        "subject": Text("示例铝厂", "Demo Aluminium"),
        "period": "2026-10",
        "bound_us": BOUND_US,
        "timezone": ZONE,
        "made_us": MADE_US,
        "catalogue": "c9f6201e" * 8,
        "program": "1.0",
        "closes": {"gh-al": None},
    }
    return About(**(told | more))


def document(**more: Any) -> Document:
    """Return the sample's monthly report."""
    return compliance.build(about(**more), [figure()])


def with_all() -> Document:
    """Return a report with every part that a report may have."""
    late = month() | {"version": 2, "causes": ["late_readings"]}
    versions = [
        {"version": 1, "known_from": "2026-11-01T00:05:00Z", "cause": {"kinds": ["period_end"]}},
        {"version": 2, "known_from": "2026-11-02T09:30:00Z", "cause": {"kinds": ["late_readings"]}},
    ]
    alert = {
        "severity": 4,
        "period": "month",
        "limit": MANDATORY,
        "state": "firing",
        "raised_at": "2026-10-20T03:00:00Z",
        "acknowledged_by": "shift A",
    }
    close = {
        "number": 7,
        "signed": True,
        "differing": 2,
        "flipped": 1,
        "closed_at": "2026-11-02T01:00:00Z",
        "closed_by": "chief engineer",
        "sha256": "ab" * 32,
    }
    told = figure(
        item=late,
        versions=[one | {"item": month()} for one in versions],
        alerts=[alert],
    )
    return compliance.build(about(closes={"gh-al": close}), [told])
