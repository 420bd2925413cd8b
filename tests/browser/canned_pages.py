"""Canned answers for the pages beside the overview: trouble that a healthy plant never shows.

In the exact shapes of the API; every figure is invented.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.browser.canned import Json, month_of, stamp

if TYPE_CHECKING:
    from datetime import datetime

SITE = "gh-al"
RUNS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")


def answer(path: str, now: datetime) -> Json | None:
    """Return the answer to a path below `/api/v1/`, or None where it is not one of these pages."""
    if path == f"sites/{SITE}/checks":
        return listed([run(RUNS[0], now, [drift(now)]), run(RUNS[1], now - timedelta(days=7), [])])
    if path == "agents":
        return listed(agents(now))
    if path == "dead-letters":
        return listed([letter(now)])
    if path == "units/gh-al.potline-1/forecast":
        return unforeseen(now)
    return None


def listed(items: list[Json]) -> Json:
    """Return one page of a list."""
    return {"items": items, "next": None}


def run(number: str, at: datetime, findings: list[Json]) -> Json:
    """Return one run of the checks on the site's meters."""
    return {
        "check": number,
        "site": SITE,
        "from": stamp(at - timedelta(days=90)),
        "until": stamp(at),
        "checked_at": stamp(at),
        "findings": findings,
        "unchecked": [
            {
                "subject": "gh-al.potline-3",
                "reason": "no_production",
                "text": {"zh": "没有产量", "en": "there is no production"},
            }
        ],
        "sharpness": [
            {"point": "gh-al.potline-1.ac-import", "found_from": 0.01, "named_from": 0.02}
        ],
        "checked": {"meters": 40, "balances": 3, "pairs": 12, "gauges": 8, "figures": 6},
    }


def drift(now: datetime) -> Json:
    """Return a meter that shows two per cent too much and more each day."""
    meter = "gh-al.potline-2.ac-import"
    return {
        "kind": "drift",
        "subject": meter,
        "named": meter,
        "candidates": [],
        "since": stamp(now - timedelta(days=20)),
        "until": None,
        "sure": 0.97,
        "error": 0.021,
        "doubt": 0.004,
        "factor": None,
        "explained": [{"cause": "current_transformer", "factor": 1.02}],
        "excess_kwh": 123456,
        "grows": True,
        "witnesses": ["balance", "production"],
        "detail": {},
        "text": {"zh": f"{meter} 多计 2.1 %", "en": f"{meter} shows 2.1 % too much"},
    }


def agents(now: datetime) -> list[Json]:
    """Return agents in every condition: well, silent though it says online, lossy, never heard."""
    well: Json = {
        "agent": f"{SITE}/gw-01",
        "site": SITE,
        "state": "online",
        "state_at": stamp(now),
        "epoch": "e",
        "depth": 0,
        "oldest_at": None,
        "clock_offset_ms": 12.0,
        "last_seen_at": stamp(now),
        "committed": 900,
        "missing": 0,
        "missing_ranges": [],
        "missing_since": None,
        "lost": 0,
    }
    long_ago = stamp(now - timedelta(minutes=10))
    waiting = stamp(now - timedelta(minutes=12))
    silent = {"agent": f"{SITE}/gw-02", "last_seen_at": long_ago, "state_at": long_ago}
    lossy = {"missing": 3, "missing_ranges": [[41, 43]], "lost": 7, "clock_offset_ms": -64_000.0}
    names = ("state_at", "epoch", "depth", "clock_offset_ms", "last_seen_at", "committed")
    unknown = dict.fromkeys((*names, "missing", "missing_ranges", "lost"))
    return [
        well,
        well | silent | {"depth": 5, "oldest_at": waiting},
        well | {"agent": f"{SITE}/gw-03"} | lossy,
        well | {"agent": f"{SITE}/scale-01", "state": "unknown"} | unknown,
    ]


def letter(now: datetime) -> Json:
    """Return a reading that was not admitted."""
    return {
        "id": 7,
        "recorded_at": stamp(now),
        "reason": "unknown_point",
        "topic": f"danhao/v1/{SITE}/gw-01/readings",
        "site": SITE,
        "agent": "gw-01",
        "point": "gh-al.potline-9.ac-import",
        "measured_at": stamp(now),
        "detail": "no point of this id is declared",
        "payload_bytes": 80,
        "state": "waiting",
        "mended_at": None,
        "replayed_at": None,
        "replayed_by": None,
        "outcome": None,
    }


def unforeseen(now: datetime) -> Json:
    """Return the answer where too few days are known to foresee anything."""
    start, end = month_of(now)
    return {
        "unit": "gh-al.potline-1",
        "indicator": "al.liquid.ac",
        "period": "month",
        "period_start": start.isoformat(),
        "period_end": end.isoformat(),
        "known_until": start.isoformat(),
        "days_known": 0.0,
        "reasons": ["too_few_days"],
        "so_far": None,
        "ahead": None,
        "forecast": None,
        "limits": [],
        "cost": None,
        "sentence": {"zh": "", "en": ""},
        "computed_at": stamp(now),
        "as_of": None,
    }
