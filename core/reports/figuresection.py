"""The part of a report on one figure: a unit's indicator in one period, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from core import limits, periods
from core.limits import Force
from core.reports import judged, printing, words
from core.reports.document import (
    Chart,
    Column,
    Day,
    Facts,
    Figure,
    Instant,
    Section,
    Sentence,
    Series,
    Style,
    Table,
    Text,
    Tone,
    count,
    exact,
    figure,
    percent,
    plain,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.indicators import Indicator
    from core.plant import Site, Unit
    from core.reports.document import Block, Value
    from core.reports.judged import Item

MOST_LINES: Final = 3  # limit lines of one chart: more cannot be told apart
ENERGY_PLACES: Final = 0
OUTPUT_PLACES: Final = 1
COMPLETENESS_PLACES: Final = 2
FLAGS_SHOWN: Final = 3  # of a day in a table; all stand in the JSON


@dataclass(frozen=True, slots=True)
class UnitFigure:
    """A unit's figure of one indicator in the period, and what belongs to it, as the API tells.

    `item` None: nothing is stored of it. `parts` are shorter periods inside it, in order of time.
    """

    site: Site
    unit: Unit
    indicator: Indicator
    item: Item | None
    parts: Sequence[Item] = ()
    versions: Sequence[Item] = ()
    alerts: Sequence[Item] = ()

    @property
    def key(self) -> str:
        """Return its section's name."""
        return f"{self.unit.id}.{self.indicator.id}".replace(".", "-")

    @property
    def name(self) -> Text:
        """Return what a person calls it."""
        unit, indicator = text(self.unit.name), text(self.indicator.name)
        return Text(f"{unit.zh}·{indicator.zh}", f"{unit.en} – {indicator.en}")

    @property
    def places(self) -> int:
        """Return the places of its intensity."""
        return printing.places_of(self.indicator.unit)


def section(of: UnitFigure) -> Section:
    """Return the section on one figure."""
    if of.item is None:
        nothing = Sentence(
            Text("本期间没有该指标的计算结果。", "No figure of this period is stored."), Tone.DOUBT
        )
        return Section(of.key, of.name, (nothing,), own_page=True)
    blocks: list[Block] = [headline(of, of.item), facts(of, of.item), verdict_table(of, of.item)]
    blocks += charts(of, of.item)
    if len(of.versions) > 1:
        blocks.append(_versions(of))
    if of.alerts:
        blocks.append(_alerts(of))
    if of.parts:
        blocks.append(_days(of))
    return Section(of.key, of.name, tuple(blocks), own_page=True)


def headline(of: UnitFigure, item: Item) -> Sentence:
    """Return what a hurried reader needs: the figure and where it stands to what binds."""
    row = judged.leading(item)
    value = item["intensity"]["value"]
    unit = of.indicator.unit
    if value is None:
        return Sentence(
            Text(
                "单耗未知：能耗或产量不全。", "The figure is unknown: energy or output is missing."
            ),
            Tone.DOUBT,
        )
    shown = printing.rounded(value, of.places)
    doubt = item["intensity"]["uncertainty"]
    if doubt is not None:
        shown += f" ± {printing.rounded(doubt, of.places)}"
    if row is None:
        return Sentence(Text(f"{shown} {unit}，无适用限额。", f"{shown} {unit}; no limit applies."))
    mark = words.verdict(row["verdict"], row["force"])
    force = words.force(row["force"], row["level"], lapsed=row["lapsed"])
    bound = bound_text(of, row)
    away = judged.deviation(item, row)
    off = "" if away is None else f" ({printing.number(_ratio(away))})"
    return Sentence(
        Text(
            f"{shown} {unit}，对{force.zh}限额 {bound}：{mark.words.zh}{off}。",
            f"{shown} {unit} against {bound} ({force.en}): {mark.words.en}{off}.",
        ),
        mark.tone,
    )


def _ratio(value: Fraction) -> Figure:
    found = percent(value, 2, signed=True)
    assert found is not None, "a known value has a figure"  # noqa: S101 - a belief
    return found


def bound_text(of: UnitFigure, row: Item) -> str:
    """Return a limit as `≤ 12 750`."""
    return f"{words.cmp(row['cmp'])} {printing.plain(_trimmed(row['limit_value'], of.places))}"


def _trimmed(value: str, places: int) -> str:
    """Return a limit with its own places where they are few, else a rounded one."""
    own = len(value.partition(".")[2])
    if own <= places + 1:
        return value
    return printing.rounded(value, places).replace(printing.THIN_SPACE, "")


def facts(of: UnitFigure, item: Item) -> Facts:
    """Return what the figure is made of, exact where the law compares it."""
    energy, output, found = item["energy"], item["output"], item["intensity"]
    row = judged.leading(item)
    over = None if row is None else judged.excess(of.indicator, item, row)
    rows: list[tuple[Text, Value]] = [
        (Text("单耗（未修约）", "Figure, unrounded"), _exact(found["value"], found["unit"])),
        (
            Text("不确定度 U (k = 2)", "Uncertainty U (k = 2)"),
            _exact(found["uncertainty"], found["unit"]),
        ),
        (Text("能耗", "Energy"), _exact(energy["value"], energy["unit"])),
        (Text("其中估算", "of it estimated"), _exact(energy["estimated"], energy["unit"])),
        (Text("产量", "Output"), _exact(output["value"], output["unit"])),
        (Text("数据完整率", "Completeness"), completeness(item)),
        (Text("标记", "Flags"), words.listed(words.FLAGS, item["flags"])),
    ]
    if over is not None:
        rows.insert(
            5,
            (
                Text("超出限额的能耗", "Energy over the limit"),
                figure(over, ENERGY_PLACES, energy["unit"], signed=True),
            ),
        )
    rows += _provenance(of, item)
    return Facts("figure", tuple(rows))


def _exact(value: str | None, unit: str | None) -> Value:
    """Return a stored figure with every place that it is stored with."""
    places = len((value or "").partition(".")[2])
    return None if value is None else Figure(value, places, unit or "")


def completeness(item: Item) -> Figure | None:
    """Return an item's completeness; nearly complete never reads as complete."""
    return percent(item["completeness"], COMPLETENESS_PLACES, down=True)


def _provenance(of: UnitFigure, item: Item) -> list[tuple[Text, Value]]:
    version = "—" if not item["version"] else str(item["version"])
    known = item.get("known_from") or item["computed_at"]
    return [
        (Text("统计边界", "Boundary"), text(of.indicator.boundary)),
        (
            Text("公式", "Formula"),
            f"{of.indicator.formula} (v{item['formula_version']})",
        ),
        (Text("结果版本", "Version of the result"), version),
        (Text("形成时间", "Known from"), at(known, of.site.timezone)),
        (Text("变更原因", "Cause"), words.listed(words.CAUSES, item.get("causes", ()))),
        (Text("结果编号", "Result"), item["result"]),
        (Text("单元编号", "Unit id"), of.unit.id),
        (Text("指标编号", "Indicator id"), of.indicator.id),
    ]


def at(rendered: str | None, timezone: str) -> Instant | None:
    """Return an instant of an item."""
    return None if rendered is None else Instant(periods.parse_instant(rendered), timezone)


def verdict_table(of: UnitFigure, item: Item) -> Table:
    """Return the verdict against every limit that applies, with force, clause and source."""
    rows = judged.applying(item)
    aside = len(item["verdicts"]) - len(rows)
    note = Text(
        f"不适用于本厂或本期间的另有 {aside} 项。",
        f"{aside} more {'limit' if aside == 1 else 'limits'} of this indicator"
        f" {'does' if aside == 1 else 'do'} not apply to this site and period.",
    )
    columns = (
        Column("limit", Text("限额与出处", "Limit and source"), width=3.4),
        Column("force", Text("效力", "Force"), width=1.2),
        Column("bound", Text("限额值", "Limit"), of.indicator.unit, numeric=True, width=1.1),
        Column("deviation", Text("偏差", "Deviation"), numeric=True, width=0.9),
        Column("verdict", Text("判定", "Verdict"), width=1.2),
    )
    return Table(
        "verdicts",
        Text("各项限额判定", "Verdict against every limit"),
        columns,
        tuple(_verdict_row(of, item, row) for row in rows),
        note if aside else None,
    )


def _verdict_row(of: UnitFigure, item: Item, row: Item) -> tuple[Value, ...]:
    limit = limits.catalogue().get(row["limit"])
    name: Value = row["limit"]
    if limit is not None:
        named = text(limit.name)
        name = Text(f"{named.zh}\n{limit.clause}", f"{named.en}\n{limit.clause}")
    bound: Value = bound_text(of, row)
    if row.get("missing"):
        bound = Text("修正参数未申报", "inputs undeclared")
    return (
        name,
        words.force(row["force"], row["level"], lapsed=row["lapsed"]),
        bound,
        percent(judged.deviation(item, row), 2, signed=True),
        words.verdict(row["verdict"], row["force"]),
    )


def charts(of: UnitFigure, item: Item) -> list[Block]:
    """Return the charts of the days: the figure with its limits, the excess, the coverage."""
    if not of.parts:
        return []
    labels = tuple(day(part) for part in of.parts)
    found: list[Block] = [_trend(of, item, labels)]
    row = judged.leading(item)
    if row is not None and judged.is_plain_ratio(of.indicator):
        found.append(_excesses(of, row, labels))
    values = tuple(exact(Fraction(repr(part["completeness"])) * 100) for part in of.parts)
    coverage = Series("completeness", Text("完整率", "completeness"), values, Style.COLUMN)
    title = Text("每日数据完整率", "Completeness by day")
    found.append(Chart("quality", title, "%", 1, labels, (coverage,), from_zero=True))
    return found


def day(part: Item) -> Day:
    """Return the day that a shorter period begins on."""
    return Day(part["period_start"][:10])


def _trend(of: UnitFigure, item: Item, labels: tuple[Day, ...]) -> Chart:
    daily = Series(
        "intensity",
        Text("日单耗", "daily figure"),
        tuple(part["intensity"]["value"] for part in of.parts),
    )
    lines = tuple(limit_line(of, row, of.parts) for row in lines_of(item))
    return Chart(
        "trend",
        Text(f"每日{of.indicator.name['zh']}", f"{of.indicator.name['en']} by day"),
        of.indicator.unit,
        of.places,
        labels,
        (daily, *lines),
        note=Text(
            "缺数之日不连线。日值仅供预警，月值为准。",
            "A day without a figure breaks the line. Days warn; the month decides.",
        ),
    )


def lines_of(item: Item) -> list[Item]:
    """Return the limits that a chart shows: what leads, and the other binding ones."""
    first = judged.leading(item)
    rows = [row for row in judged.applying(item) if not row.get("missing")]
    ordered = sorted(rows, key=lambda row: (row is not first, row["force"] == "reference"))
    return ordered[:MOST_LINES]


def limit_line(of: UnitFigure, row: Item, parts: Sequence[Item]) -> Series:
    """Return where a limit stood in each of the shorter periods."""
    values = []
    for part in parts:
        own = judged.of_limit(part, row["limit"])
        told = None if own is None or judged.limit_value(own) is None else own["limit_value"]
        values.append(told)
    force = words.force(row["force"], row["level"], lapsed=row["lapsed"])
    bound = bound_text(of, row)
    name = Text(f"{force.zh} {bound}", f"{force.en} {bound}")
    tone = Tone.OVER if row["force"] == Force.MANDATORY else Tone.CALM
    return Series(row["limit"], name, tuple(values), Style.LIMIT, tone)


def excess_values(of: UnitFigure, row: Item, parts: Sequence[Item]) -> tuple[str | None, ...]:
    """Return the energy over a limit in each of the shorter periods."""
    values = []
    for part in parts:
        own = judged.of_limit(part, row["limit"])
        values.append(None if own is None else plain(judged.excess(of.indicator, part, own)))
    return tuple(values)


def _excesses(of: UnitFigure, row: Item, labels: tuple[Day, ...]) -> Chart:
    values = excess_values(of, row, of.parts)
    bound = bound_text(of, row)
    return Chart(
        "excess",
        Text(f"每日超出限额（{bound}）的能耗", f"Energy over the limit ({bound}) by day"),
        of.indicator.energy_unit,
        ENERGY_PLACES,
        labels,
        (Series("excess", Text("超出", "over"), values, Style.COLUMN, Tone.WARN),),
        from_zero=True,
    )


def _versions(of: UnitFigure) -> Table:
    columns = (
        Column("version", Text("版本", "Version"), numeric=True, width=0.6),
        Column("known_from", Text("形成时间", "Known from"), width=2.2),
        Column("cause", Text("变更原因", "Cause"), width=2.4),
        Column("intensity", Text("单耗", "Figure"), of.indicator.unit, numeric=True),
        Column("verdict", Text("判定", "Verdict"), width=1.0),
    )
    rows = []
    for version in of.versions:
        item = version["item"]
        leads = judged.leading(item)
        rows.append(
            (
                count(version["version"]),
                at(version["known_from"], of.site.timezone),
                words.listed(words.CAUSES, (version["cause"] or {}).get("kinds", ())),
                figure(item["intensity"]["value"], of.places + 1),
                None if leads is None else words.verdict(leads["verdict"], leads["force"]),
            )
        )
    return Table(
        "versions", Text("结果版本与迟到变更", "Versions and late changes"), columns, tuple(rows)
    )


def _alerts(of: UnitFigure) -> Table:
    columns = (
        Column("priority", Text("等级", "Priority"), width=0.6),
        Column("period", Text("期间", "Period"), width=0.8),
        Column("limit", Text("限额", "Limit"), width=2.6),
        Column("state", Text("状态", "State"), width=0.9),
        Column("raised", Text("触发时间", "Raised"), width=1.9),
        Column("acknowledged", Text("人工确认", "Acknowledged"), width=1.6),
    )
    rows = tuple(_alert_row(of, alert) for alert in of.alerts)
    return Table("alerts", Text("预警与报警", "Alerts"), columns, rows)


_PERIODS: Final = {
    "hour": Text("时", "hour"),
    "shift": Text("班", "shift"),
    "day": Text("日", "day"),
    "month": Text("月", "month"),
    "year": Text("年", "year"),
}


def _alert_row(of: UnitFigure, alert: Item) -> tuple[Value, ...]:
    limit = limits.catalogue().get(alert["limit"])
    return (
        words.PRIORITIES.get(alert["severity"], printing.MISSING),
        words.word(_PERIODS, alert["period"]),
        alert["limit"] if limit is None else text(limit.name),
        words.word(words.ALERT_STATES, alert["state"]),
        at(alert["raised_at"], of.site.timezone),
        alert["acknowledged_by"],
    )


def _days(of: UnitFigure) -> Table:
    columns = (
        Column("day", Text("日期", "Day"), width=1.2),
        Column("energy", Text("能耗", "Energy"), of.indicator.energy_unit, numeric=True, width=1.2),
        Column("output", Text("产量", "Output"), of.indicator.output_unit, numeric=True),
        Column("intensity", Text("单耗", "Figure"), of.indicator.unit, numeric=True),
        Column("uncertainty", Text("U", "U"), of.indicator.unit, numeric=True, width=0.8),
        Column("completeness", Text("完整率", "Completeness"), numeric=True),
        Column("flags", Text("标记", "Flags"), width=2.2),
    )
    rows = tuple(_day_row(of, part) for part in of.parts)
    total = () if of.item is None else (_total_row(of, of.item),)
    return Table("days", Text("逐日数据", "Day by day"), columns, rows + total, totals=len(total))


def _day_row(of: UnitFigure, part: Item) -> tuple[Value, ...]:
    flags = part["flags"]
    shown = words.listed(words.FLAGS, flags[:FLAGS_SHOWN]) if flags else Text("", "")
    if len(flags) > FLAGS_SHOWN:
        more = len(flags) - FLAGS_SHOWN
        shown = Text(f"{shown.zh} +{more}", f"{shown.en} +{more}")
    return (day(part), *_amounts(of, part), shown)


def _total_row(of: UnitFigure, item: Item) -> tuple[Value, ...]:
    return (Text("全期间", "Whole period"), *_amounts(of, item), Text("", ""))


def _amounts(of: UnitFigure, item: Item) -> tuple[Value, ...]:
    return (
        figure(item["energy"]["value"], ENERGY_PLACES),
        figure(item["output"]["value"], OUTPUT_PLACES),
        figure(item["intensity"]["value"], of.places),
        figure(item["intensity"]["uncertainty"], of.places),
        completeness(item),
    )
