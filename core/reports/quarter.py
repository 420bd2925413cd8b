"""The quarterly summary: what the three months were, what the quarter is as one, what has changed.

A quarter's figure is computed from its own energy and output by the functions that compute a
month's, never a mean of months. Promise: it says that a quarter is a statistic; months and years
are what the law judges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core.limits import Force
from core.reports import compliance, figuresection, judged, words
from core.reports.document import (
    Chart,
    Column,
    Day,
    Document,
    Kind,
    Mark,
    Section,
    Sentence,
    Series,
    Style,
    Table,
    Text,
    Tone,
    check,
    exact,
    figure,
    percent,
)
from core.reports.figuresection import ENERGY_PLACES, OUTPUT_PLACES, UnitFigure
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from core.reports.compliance import About
    from core.reports.document import Block, Value
    from core.reports.judged import Item

LEAST_COMPLETENESS: Final = 0.9  # below it a period is no measure of change


@dataclass(frozen=True, slots=True)
class Quarter:
    """A figure of the quarter (its parts are its months) and what it is compared with.

    `before` is the quarter before, `year_ago` the same one a year earlier, `year` the year up to
    the quarter's end; `trail` are the months that its chart shows, the quarter's own the last.
    """

    figure: UnitFigure
    before: Item | None
    year_ago: Item | None
    year: Item | None
    trail: Sequence[Item]


def build(about: About, quarters: Sequence[Quarter]) -> Document:
    """Return the report; raises Rejected where it is too large."""
    figures = [one.figure for one in quarters]
    months = [part for one in figures for part in one.parts]
    sections = [_summary(about, quarters), *(_section(one) for one in quarters)]
    sections.append(compliance.sources(figures))
    return check(
        Document(
            Kind.QUARTER,
            Text("单位产品能耗季度汇总", "Quarterly summary of energy intensity"),
            about.period,
            about.subject,
            tuple(sections),
            about.made_us,
            about.timezone,
            compliance.basis(about),
            about.as_of_us,
            bad_news=any(judged.is_breach(month) for month in months),
        )
    )


def _summary(about: About, quarters: Sequence[Quarter]) -> Section:
    months = [part for one in quarters for part in one.figure.parts]
    over = sum(1 for month in months if judged.is_breach(month))
    zh = (
        f"共 {len(quarters)} 项指标、{len(months)} 个月度数值，其中 {over} 个月度数值超过有效限额。"
    )
    en = (
        f"{len(quarters)} figures with {len(months)} months; {over} of these months exceed a limit"
        " that is in force."
    )
    early = Sentence(
        Text("季度未结束，以下为预警，不是结论。", "The quarter is not over: early warnings only."),
        Tone.WARN,
    )
    blocks: list[Block] = [Sentence(Text(zh, en), Tone.WARN if over else Tone.CALM)]
    if not about.closed:
        blocks.append(early)
    blocks.append(_table(quarters))
    chart = _changes(quarters)
    if chart is not None:
        blocks.append(chart)
    return Section("summary", Text("摘要", "Summary"), tuple(blocks))


def _table(quarters: Sequence[Quarter]) -> Table:
    columns = (
        Column("unit", Text("单元", "Unit"), width=1.6),
        Column("indicator", Text("指标", "Indicator"), width=1.9),
        Column("value", Text("季度单耗", "Quarter"), numeric=True),
        Column("before", Text("环比", "On quarter"), numeric=True),
        Column("year_ago", Text("同比", "On year"), numeric=True),
        Column("year", Text("年累计", "Year to date"), numeric=True),
        Column("deviation", Text("偏差", "Deviation"), numeric=True),
        Column("months", Text("月度判定", "Months"), width=1.5),
    )
    several = len({one.figure.site.id for one in quarters}) > 1
    rows = tuple(_row(one, several=several) for one in quarters)
    note = Text(
        "环比、同比：与上季度、去年同季度之差，两期完整率均不低于 90% 时给出。",
        "On quarter, on year: change against the quarter before and the same one a year ago, where"
        " both are at least 90% complete.",
    )
    return Table("figures", Text("各项指标", "Every figure"), columns, rows, note)


def _row(one: Quarter, *, several: bool) -> tuple[Value, ...]:
    of, item = one.figure, one.figure.item
    row = judged.leading(item)
    value = None if item is None else item["intensity"]["value"]
    return (
        compliance.unit_name(of, several=several),
        Text(
            f"{of.indicator.name['zh']}\n{of.indicator.unit}",
            f"{of.indicator.name['en']}\n{of.indicator.unit}",
        ),
        figure(value, of.places),
        percent(change(item, one.before), signed=True),
        percent(change(item, one.year_ago), signed=True),
        None if one.year is None else figure(one.year["intensity"]["value"], of.places),
        None if item is None or row is None else percent(judged.deviation(item, row), signed=True),
        _months_mark(of.parts),
    )


def change(item: Item | None, before: Item | None) -> Fraction | None:
    """Return value / value before - 1; None where either is not known well enough."""
    if item is None or before is None:
        return None
    if min(item["completeness"], before["completeness"]) < LEAST_COMPLETENESS:
        return None
    now, then = (judged.number(one["intensity"]["value"]) for one in (item, before))
    return None if now is None or not then else now / then - 1


def _months_mark(months: Sequence[Item]) -> Mark:
    """Return how many months stand well: what the law judges of a quarter."""
    rows = [judged.leading(month) for month in months]
    over = [row for row in rows if row is not None and row["verdict"] == Verdict.EXCEEDS]
    doubt = [
        row
        for row in rows
        if row is not None and row["verdict"] in {Verdict.INDETERMINATE, Verdict.INCOMPLETE}
    ]
    if over:
        loud = max(over, key=lambda row: row["force"] == Force.MANDATORY)
        tone = words.verdict("exceeds", loud["force"]).tone
        return Mark("exceeds", Text(f"超限 {len(over)} 个月", _months(len(over), "exceed")), tone)
    if doubt or not rows or None in rows:
        count = sum(1 for row in rows if row is None) + len(doubt)
        said = Text(f"未定 {count} 个月", _months(count, "open"))
        return Mark("indeterminate", said, Tone.DOUBT)
    return Mark("within", Text("均达标", "all within"))


def _months(count: int, what: str) -> str:
    return f"{count} {'month' if count == 1 else 'months'} {what}"


def _changes(quarters: Sequence[Quarter]) -> Chart | None:
    found = [
        (away, one) for one in quarters if (away := change(one.figure.item, one.before)) is not None
    ]
    if not found:
        return None
    found.sort(key=lambda pair: (-pair[0], pair[1].figure.key))
    shown = found[: compliance.MOST_BARS]
    values = tuple(exact(away * 100) for away, _ in shown)
    several = len({one.figure.site.id for one in quarters}) > 1
    return Chart(
        "changes",
        Text("与上季度相比（正为升高）", "Change on the quarter before (positive is a rise)"),
        "%",
        1,
        tuple(compliance.bar_name(one.figure, several=several) for _, one in shown),
        (Series("change", Text("环比", "change"), values, Style.COLUMN, Tone.WARN),),
        horizontal=True,
        from_zero=True,
    )


def _section(one: Quarter) -> Section:
    of, item = one.figure, one.figure.item
    if item is None:
        return figuresection.section(of)
    aside = Sentence(
        Text(
            "季度数值是统计，不作结论；法定判定以月、年为准。",
            "A quarter's figure is a statistic, no finding: months and years are judged.",
        )
    )
    blocks: list[Block] = [figuresection.headline(of, item), aside, _months_table(one)]
    if one.trail:
        blocks.append(_trail_chart(one))
        excess = _excess_chart(one)
        blocks += [] if excess is None else [excess]
    blocks += [figuresection.facts(of, item), figuresection.verdict_table(of, item)]
    return Section(of.key, of.name, tuple(blocks), own_page=True)


def _months_table(one: Quarter) -> Table:
    of = one.figure
    columns = (
        Column("period", Text("期间", "Period"), width=1.4),
        Column("energy", Text("能耗", "Energy"), of.indicator.energy_unit, numeric=True),
        Column("output", Text("产量", "Output"), of.indicator.output_unit, numeric=True),
        Column("intensity", Text("单耗", "Figure"), of.indicator.unit, numeric=True),
        Column("uncertainty", Text("U", "U"), of.indicator.unit, numeric=True),
        Column("completeness", Text("完整率", "Complete"), numeric=True),
        Column("limit", Text("限额", "Limit"), width=1.5),
        Column("deviation", Text("偏差", "Deviation"), numeric=True),
        Column("verdict", Text("判定", "Verdict"), width=1.2),
    )
    rows = [_period_row(of, month, Text(*(2 * [month["period_start"][:7]]))) for month in of.parts]
    totals = []
    for name, item in (
        (Text("本季度", "Quarter"), of.item),
        (Text("年累计", "Year to date"), one.year),
        (Text("上季度", "Quarter before"), one.before),
        (Text("去年同季度", "A year ago"), one.year_ago),
    ):
        if item is not None and item["intensity"]["value"] is not None:
            totals.append(_period_row(of, item, name))
    title = Text("逐月与累计", "Months, quarter, year")
    return Table("months", title, columns, tuple(rows + totals), totals=len(totals))


def _period_row(of: UnitFigure, item: Item, name: Text) -> tuple[Value, ...]:
    row = judged.leading(item)
    return (
        name,
        figure(item["energy"]["value"], ENERGY_PLACES),
        figure(item["output"]["value"], OUTPUT_PLACES),
        figure(item["intensity"]["value"], of.places),
        figure(item["intensity"]["uncertainty"], of.places),
        figuresection.completeness(item),
        None if row is None else compliance.limit_words(of, row),
        None if row is None else percent(judged.deviation(item, row), signed=True),
        None if row is None else words.verdict(row["verdict"], row["force"]),
    )


def _trail_chart(one: Quarter) -> Chart:
    of, item = one.figure, one.figure.item
    monthly = Series(
        "intensity",
        Text("月单耗", "monthly figure"),
        tuple(month["intensity"]["value"] for month in one.trail),
    )
    rows = figuresection.lines_of(item) if item is not None else []
    lines = tuple(figuresection.limit_line(of, row, one.trail) for row in rows)
    return Chart(
        "trend",
        Text(f"逐月{of.indicator.name['zh']}", f"{of.indicator.name['en']} by month"),
        of.indicator.unit,
        of.places,
        _labels(one),
        (monthly, *lines),
    )


def _excess_chart(one: Quarter) -> Chart | None:
    of = one.figure
    row = judged.leading(of.item)
    if row is None or not judged.is_plain_ratio(of.indicator):
        return None
    values = figuresection.excess_values(of, row, one.trail)
    bound = figuresection.bound_text(of, row)
    return Chart(
        "excess",
        Text(f"逐月超出限额（{bound}）的能耗", f"Energy over the limit ({bound}) by month"),
        of.indicator.energy_unit,
        ENERGY_PLACES,
        _labels(one),
        (Series("excess", Text("超出", "over"), values, Style.COLUMN, Tone.WARN),),
        from_zero=True,
    )


def _labels(one: Quarter) -> tuple[Day, ...]:
    return tuple(figuresection.day(month) for month in one.trail)
