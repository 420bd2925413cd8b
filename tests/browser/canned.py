"""Canned plants for the page's tests: deterministic, invented, in the exact shapes of the API.

Only the shapes are promises; no figure here is a limit of any standard.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, TypeAlias
from uuid import NAMESPACE_URL, uuid5

Json: TypeAlias = dict[str, Any]

#: The plant's present when the server starts: 14:30 in plant time, mid-month.
START: Final = datetime(2026, 11, 21, 6, 30, tzinfo=UTC)
DAY: Final = timedelta(days=1)
PLANT: Final = timezone(timedelta(hours=8))
#: The daily history has a hole on these days of November.
LOST_DAYS: Final = frozenset({9, 10})


@dataclass(frozen=True, slots=True)
class Kind:
    """What units of one kind have in common."""

    kind: str
    product: str
    indicator: str
    indicator_name: tuple[str, str]
    unit: str
    energy_unit: str
    limits: tuple[tuple[str, str, str, int | None, bool], ...]


POTLINE: Final = Kind(
    kind="potline",
    product="aluminium_liquid",
    indicator="al.liquid.ac",
    indicator_name=("铝液交流电耗", "AC electricity of liquid aluminium"),
    unit="kWh/t",
    energy_unit="kWh",
    limits=(
        ("cn.al.liquid.ac.level-3", "mandatory", "13350", 3, False),
        ("cn.al.liquid.ac.level-2", "reference", "13000", 2, False),
        ("cn.al.liquid.ac.level-1", "reference", "12950", 1, False),
        ("cn-qh.al.liquid.ac.target-2020", "target", "12750", None, True),
    ),
)
FURNACE: Final = Kind(
    kind="submerged_arc_furnace",
    product="ferrosilicon",
    indicator="fa.fesi.smelting",
    indicator_name=("硅铁冶炼电耗", "Smelting electricity of ferrosilicon"),
    unit="kWh/t",
    energy_unit="kWh",
    limits=(("cn.fa.fesi.smelting.level-3", "mandatory", "8300", 3, False),),
)
KILN: Final = Kind(
    kind="kiln",
    product="clinker",
    indicator="cem.clinker.comprehensive",
    indicator_name=("水泥熟料综合能耗", "Comprehensive energy of clinker"),
    unit="kgce/t",
    energy_unit="kgce",
    limits=(
        ("cn.cem.clinker.level-3", "mandatory", "117", 3, False),
        ("cn-qh.cem.clinker.target-2020", "target", "100", None, True),
    ),
)
KILN_ELECTRICITY: Final = Kind(
    kind="kiln",
    product="clinker",
    indicator="cem.clinker.electricity",
    indicator_name=("水泥熟料综合电耗", "Electricity of clinker"),
    unit="kWh/t",
    energy_unit="kWh",
    limits=(("cn.cem.clinker.electricity.level-3", "mandatory", "61", 3, False),),
)
CHROME: Final = Kind(
    kind="submerged_arc_furnace",
    product="ferrochrome",
    indicator="fa.hcfecr.smelting",
    indicator_name=("高碳铬铁冶炼电耗", "Smelting electricity of ferrochrome"),
    unit="kWh/t",
    energy_unit="kWh",
    limits=(
        ("cn.fa.hcfecr.level-3", "mandatory", "3500", 3, False),
        ("cn-qh.fa.hcfecr.target-2027", "target", "3300", None, False),
    ),
)
#: A pot is judged as its potline is, without the target: six hundred would exceed it.
POT: Final = replace(POTLINE, kind="pot", limits=POTLINE.limits[:3])
KINDS: Final = (POTLINE, FURNACE, KILN, KILN_ELECTRICITY, CHROME)
LIMIT_NAMES: Final = {
    "level-3": ("示例标准 3级（限定值）", "Example standard, level 3 (limit)"),
    "level-2": ("示例标准 2级（准入值）", "Example standard, level 2 (entry)"),
    "level-1": ("示例标准 1级（先进值）", "Example standard, level 1 (advanced)"),
    "target-2020": ("示例省级目标（2020）", "Example provincial target (2020)"),
    "target-2027": ("示例省级目标（2027）", "Example provincial target (2027)"),
}


@dataclass(frozen=True, slots=True)
class Unit:
    """One canned unit: where it stands against its leading limit."""

    unit: str
    name: tuple[str, str]
    kind: Kind
    deviation: float
    power_kw: float
    uncertainty_share: float = 0.006
    completeness: float = 0.9987
    parent: str | None = None
    silent_s: int = 0
    more: tuple[Kind, ...] = ()


SITES: Final = {
    "gh-al": ("示例铝厂", "Demo Aluminium"),
    "qh-fa": ("示例铁合金厂", "Demo Ferroalloy"),
    "dl-cem": ("示例水泥厂", "Demo Cement"),
}
MAIN_UNITS: Final = (
    Unit("gh-al.potline-1", ("电解一系列", "Potline 1"), POTLINE, -0.0405, 441_234.1),
    Unit("gh-al.potline-2", ("电解二系列", "Potline 2"), POTLINE, 0.0162, 452_871.4),
    Unit("qh-fa.furnace-1", ("1 号矿热炉", "Furnace 1"), FURNACE, -0.0031, 24_310.2, 0.002),
    Unit("qh-fa.furnace-2", ("2 号矿热炉", "Furnace 2"), FURNACE, 0.0046, 25_022.8, 0.012),
    Unit(
        "qh-fa.furnace-3",
        ("3 号矿热炉", "Furnace 3"),
        FURNACE,
        -0.012,
        23_907.0,
        completeness=0.913,
        silent_s=1_260,
    ),
    Unit(
        "dl-cem.kiln-1",
        ("1 号回转窑", "Kiln 1"),
        KILN,
        -0.1021,
        8_842.6,
        0.009,
        0.874,
        more=(KILN_ELECTRICITY,),
    ),
    Unit("gh-al.potline-3", ("电解三系列", "Potline 3"), POTLINE, -0.02, 447_010.6),
    Unit("qh-fa.furnace-4", ("4 号矿热炉", "Furnace 4"), CHROME, -0.03, 21_480.3),
)


def pots(count: int) -> tuple[Unit, ...]:
    """Return `count` pots as children of the two potlines, some of them abnormal."""
    made = []
    for n in range(count):
        line = 1 if n < count // 2 else 2
        number = f"{line}{n % max(1, count // 2) + 1:03d}"
        swing = math.sin(n * 12.9898) * 0.012 - 0.016
        deviation = 0.021 if n % 53 == 17 else swing
        silent = 900 if n % 71 == 30 else 0
        made.append(
            Unit(
                f"gh-al.pot-{number}",
                (f"{number} 号槽", f"Pot {number}"),
                POT,
                deviation,
                1_690.0 + 9 * math.sin(n),
                parent=f"gh-al.potline-{line}",
                silent_s=silent,
            )
        )
    return tuple(made)


def stamp(at: datetime) -> str:
    """Return an instant as RFC 3339 with `Z`."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# What corrections of a limit, and a limit that began inside the period, add to its verdict.
MOVED: Final[dict[str, Json]] = {
    "cn.cem.clinker.level-3": {
        "own_value": "114.9",
        "part": {
            "from": "2026-11-10T00:00:00+08:00",
            "until": "2026-12-01T00:00:00+08:00",
            "energy": "1000000",
            "output": "9500",
            "value": "105.263",
            "uncertainty": "1.2",
            "completeness": 1.0,
        },
    },
    "cn-qh.cem.clinker.target-2020": {
        "own_value": "100",
        "missing": ["clinker_share", "brand_new"],
    },
}


def verdicts(kind: Kind, value: float | None, spread: float, *, complete: bool) -> list[Json]:
    """Return the verdicts of a value against every limit of its kind."""
    made = []
    for limit, force, figure, level, lapsed in kind.limits:
        bound = float(figure)
        if value is None or not complete:
            word = "incomplete"
        elif value + spread <= bound:
            word = "within"
        else:
            word = "exceeds" if value - spread > bound else "indeterminate"
        made.append(
            {
                "limit": limit,
                "force": force,
                "limit_value": figure,
                "cmp": "<=",
                "level": level,
                "verdict": word,
                "lapsed": lapsed,
                **MOVED.get(limit, {}),
            }
        )
    return made


def closes(site: str) -> list[Json]:
    """Return the month closes of a site, the first one first; of the kiln's there is none."""
    if site == "dl-cem":
        return []
    months = (("2026-09", 0, 0), ("2026-10", 3, 1))
    return [
        {
            "close": f"00000000-0000-4000-8000-00000000000{number}",
            "site": site,
            "number": number,
            "month": month,
            "closed_at": f"2026-{9 + number:02d}-02T01:30:00Z",
            "signed": True,
            "figures": 12,
            "differing": differing,
            "flipped": flipped,
        }
        for number, (month, differing, flipped) in enumerate(months, start=1)
    ]


def item(
    unit: Unit,
    period: str,
    bounds: tuple[datetime, datetime],
    now: datetime,
    kind: Kind | None = None,
) -> Json:
    """Return one period item of a unit; its figures depend on the unit and the start only."""
    start, end = bounds
    kind = kind or unit.kind
    closed = end <= now
    local = start.astimezone(PLANT)
    lost = period == "day" and local.day in LOST_DAYS and local.month == 11
    wave = 0.0 if period == "month" else math.sin(local.day * 2.4 + len(unit.unit)) * 0.004
    drift = 0.0 if period == "month" else (local.day - 14) * 0.0006
    base = float(kind.limits[0][2])
    value = None if lost else base * (1 + unit.deviation + wave + drift)
    spread = base * unit.uncertainty_share
    hours = (min(end, max(now, start)) - start).total_seconds() / 3600
    load = 1 + 0.03 * math.sin(start.timestamp() / 7_200)
    energy = unit.power_kw * load * hours
    completeness = 0.0 if lost else unit.completeness
    if period == "day" and local.day == 16:
        completeness = 0.71
    tonnes = None if value is None else energy / value
    return {
        "indicator": kind.indicator,
        "period": period,
        "period_start": start.astimezone(PLANT).isoformat(),
        "period_end": end.astimezone(PLANT).isoformat(),
        "closed": closed,
        "energy": {
            "value": None if lost else f"{energy * completeness:.6f}",
            "estimated": "0",
            "unit": kind.energy_unit,
        },
        "output": {"value": None if tonnes is None else f"{tonnes:.3f}", "unit": "t"},
        "intensity": {
            "value": None if value is None else f"{value:.6f}",
            "unit": kind.unit,
            "uncertainty": None if value is None else f"{spread:.6f}",
        },
        "completeness": completeness,
        "flags": [],
        "verdicts": verdicts(kind, value, spread, complete=completeness >= 0.9),
        "version": 1 if closed else None,
        "computed_at": stamp(now),
        "result": None,
    }


def periods(period: str, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """Return the bounds of the periods that start in [since, until), in plant time."""
    width = {"slot": timedelta(minutes=15), "hour": timedelta(hours=1), "day": timedelta(days=1)}
    step = width[period]
    local = since.astimezone(PLANT)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight + step * math.ceil((local - midnight) / step)
    made = []
    while start < until:
        made.append((start, start + step))
        start += step
    return made


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """Return the bounds of the plant's open month."""
    start = now.astimezone(PLANT).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, (start + timedelta(days=32)).replace(day=1)


def change(unit: Unit, now: datetime, *, figures: bool) -> Json:
    """Return what the live stream says of a unit: its newest reading, or its figures as well."""
    whole = view(unit, now)
    names = ("unit", "live", "current", "today") if figures else ("unit", "live")
    return {name: whole[name] for name in names}


def view(unit: Unit, now: datetime) -> Json:
    """Return a unit as `/units` gives it."""
    site = unit.unit.split(".")[0]
    day = now.astimezone(PLANT).replace(hour=0, minute=0, second=0, microsecond=0)
    measured = now - timedelta(seconds=unit.silent_s or 1)
    power = unit.power_kw * (1 + 0.002 * math.sin(now.timestamp() / 3))
    zh, en = SITES[site]
    kinds = (unit.kind, *unit.more)
    return {
        "unit": unit.unit,
        "site": site,
        "site_name": {"zh": zh, "en": en},
        "timezone": "Asia/Shanghai",
        "jurisdiction": "cn-qh",
        "name": {"zh": unit.name[0], "en": unit.name[1]},
        "kind": unit.kind.kind,
        "product": unit.kind.product,
        "parent": unit.parent,
        "indicators": [kind.indicator for kind in kinds],
        "live": {
            "measured_at": stamp(measured),
            "power_kw": f"{power:.1f}",
            "allowed_age_s": 30,
        },
        "current": [item(unit, "month", month_of(now), now, kind) for kind in kinds],
        "today": [item(unit, "day", (day, day + DAY), now, kind) for kind in kinds],
    }


def alerts(units: tuple[Unit, ...], now: datetime) -> dict[str, Json]:
    """Return a raised alert for each mandatory limit and target that a unit's month exceeds."""
    made: dict[str, Json] = {}
    for unit in units:
        month = item(unit, "month", month_of(now), now)
        for verdict in month["verdicts"]:
            if verdict["verdict"] == "exceeds" and verdict["force"] != "reference":
                one = alert(unit, month, verdict, now - timedelta(minutes=25 + 7 * len(made)))
                made[one["id"]] = one
    return made


def alert(unit: Unit, month: Json, verdict: Json, at: datetime) -> Json:
    """Return one alert as `/alerts` gives it, raised and delivered."""
    key = f"{unit.unit} {verdict['limit']}"
    number = str(uuid5(NAMESPACE_URL, key))
    severity = 3 if verdict["force"] == "mandatory" else 1 if verdict["lapsed"] else 2
    receipt = {"channel": "regulator", "state": "delivered", "attempts": 1, "receipt": number[:8]}
    return {
        "id": number,
        "kind": "exceedance",
        "severity": severity,
        "state": "firing",
        "unit": unit.unit,
        "indicator": month["indicator"],
        "period": "month",
        "limit": verdict["limit"],
        "period_start": month["period_start"],
        "stage": "early_warning",
        "raised_at": stamp(at),
        "delivered_at": stamp(at + timedelta(seconds=3)),
        "acknowledged_at": None,
        "acknowledged_by": None,
        "resolved_at": None,
        "evidence": None,
        "deliveries": [receipt],
        "force": verdict["force"],
        "level": verdict["level"],
        "cmp": verdict["cmp"],
        "limit_value": verdict["limit_value"],
        "lapsed": verdict["lapsed"],
        "verdict": verdict["verdict"],
        "value": month["intensity"]["value"],
        "uncertainty": month["intensity"]["uncertainty"],
        "value_unit": month["intensity"]["unit"],
    }


def indicators() -> list[Json]:
    """Return `/indicators`."""
    return [
        {
            "id": kind.indicator,
            "name": {"zh": kind.indicator_name[0], "en": kind.indicator_name[1]},
            "unit": kind.unit,
        }
        for kind in KINDS
    ]


def limits() -> list[Json]:
    """Return `/limits`."""
    made = []
    for kind in KINDS:
        for limit, force, value, level, lapsed in kind.limits:
            zh, en = LIMIT_NAMES[limit.rsplit(".", 1)[1]]
            made.append(
                {
                    "id": limit,
                    "indicator": kind.indicator,
                    "name": {"zh": zh, "en": en},
                    "value": value,
                    "cmp": "<=",
                    "unit": kind.unit,
                    "force": force,
                    "level": level,
                    "jurisdiction": "cn-qh" if lapsed else "cn",
                    "valid_from": "2024-01-01",
                    "valid_to": None,
                    "due": "2020-12-31" if lapsed else None,
                    "source": "example",
                    "clause": "五（二）" if lapsed else "4.1",
                    "quote": None,
                }
            )
    return made
