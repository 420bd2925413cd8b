"""The monthly compliance report: every figure of the sites held against every limit that applies.

Promise: figures, verdicts and versions are those of the store, digit for digit; an open month says
that it is an early warning; each limit stands with clause, source and, where at hand, its words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from core import limits
from core.clock import from_us
from core.limits import Force
from core.periods import zone
from core.reports import figuresection, judged, printing, words
from core.reports.document import (
    Chart,
    Column,
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
    same,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.plant import Site
    from core.reports.document import Block, Value
    from core.reports.figuresection import UnitFigure
    from core.reports.judged import Item

MOST_BARS: Final = 40  # of the summary's chart: more names cannot be read
DIGEST_SHOWN: Final = 16  # digits of a digest in print; JSON has it whole
COUNTED: Final = ("within", "exceeds", "indeterminate", "incomplete")
_COUNTED_EN: Final = {"exceeds": "over a limit"}


@dataclass(frozen=True, slots=True)
class About:
    """What a report is about and rests on; `closes` are month closes by site as the API has them.

    `closed` tells whether the period had ended at `as_of_us`, else at `made_us`.
    """

    subject: Text
    period: str
    bound_us: tuple[int, int]
    timezone: str
    made_us: int
    catalogue: str
    program: str
    closes: Mapping[str, Item | None]
    as_of_us: int | None = None

    @property
    def closed(self) -> bool:
        """Tell whether the period has ended."""
        seen = self.made_us if self.as_of_us is None else self.as_of_us
        return self.bound_us[1] <= seen


def build(about: About, figures: Sequence[UnitFigure]) -> Document:
    """Return the report; raises Rejected where it is too large."""
    sections = [summary(about, figures)]
    sections += [figuresection.section(one) for one in figures]
    if any(about.closes.values()):
        sections.append(closes(about, figures))
    sections.append(sources(figures, closed=any(about.closes.values())))
    return check(
        Document(
            Kind.INTENSITY,
            Text("单位产品能耗限额执行月报", "Monthly report on energy limits"),
            about.period,
            about.subject,
            tuple(sections),
            about.made_us,
            about.timezone,
            basis(about),
            about.as_of_us,
            bad_news=any(judged.is_breach(one.item) for one in figures),
        )
    )


def basis(about: About) -> tuple[tuple[Text, Value], ...]:
    """Return what the report rests on, for its first page."""
    begin, end = (
        from_us(each).astimezone(zone(about.timezone)).strftime("%Y-%m-%d %H:%M")
        for each in about.bound_us
    )
    state = (
        Text("已结束", "has ended")
        if about.closed
        else Text("未结束，仅供预警", "not over: early warning, no finding")
    )
    return (
        (Text("期间", "Period"), f"[{begin}, {end}) {about.timezone}"),
        (Text("期间状态", "State"), state),
        (
            Text("判定规则", "Rule"),
            Text(
                "U = 2 × 合成标准不确定度；值 + U 不超限为达标，值 − U 超限为超限，其间为不确定",
                "U = 2 × combined standard uncertainty; within if value + U keeps the limit,"
                " exceeds if value − U breaks it, else indeterminate",
            ),
        ),
        (Text("限额目录", "Catalogue of limits"), f"sha256 {about.catalogue[:DIGEST_SHOWN]}…"),
        (Text("程序", "Program"), f"danhao {about.program}"),
    )


def summary(about: About, figures: Sequence[UnitFigure]) -> Section:
    """Return the first page: how many figures stand how, each in a line, and how far off."""
    blocks: list[Block] = [_verdict_of_all(about, figures), _summary_table(figures)]
    chart = _deviations(figures)
    if chart is not None:
        blocks.append(chart)
    return Section("summary", Text("摘要", "Summary"), tuple(blocks))


def _verdict_of_all(about: About, figures: Sequence[UnitFigure]) -> Sentence:
    if not figures:
        return Sentence(Text("没有申报指标的单元。", "No unit declares an indicator."), Tone.DOUBT)
    leads = [judged.leading(one.item) for one in figures]
    counts = {code: sum(1 for row in leads if row and row["verdict"] == code) for code in COUNTED}
    unjudged = len(figures) - sum(counts.values())
    parts_zh = [f"{words.VERDICTS[code].zh} {n} 项" for code, n in counts.items() if n]
    parts_en = [
        f"{n} {_COUNTED_EN.get(code, words.VERDICTS[code].en)}" for code, n in counts.items() if n
    ]
    if unjudged:
        parts_zh.append(f"未判定 {unjudged} 项")
        parts_en.append(f"{unjudged} not judged")
    breach = any(judged.is_breach(one.item) for one in figures)
    over = breach and any(
        row["force"] == Force.MANDATORY and judged.is_over(row)
        for one in figures
        for row in judged.applying(one.item)
    )
    early = not about.closed
    zh = f"共 {len(figures)} 项指标：{'，'.join(parts_zh)}。"
    en = f"{len(figures)} {'figure' if len(figures) == 1 else 'figures'}: {', '.join(parts_en)}."
    if early:
        zh += "期间未结束，以下为预警，不是结论。"
        en += " The period is not over: these are early warnings, not findings."
    tone = Tone.OVER if over else Tone.WARN if breach or early else Tone.CALM
    return Sentence(Text(zh, en), tone)


def _summary_table(figures: Sequence[UnitFigure]) -> Table:
    columns = (
        Column("unit", Text("单元", "Unit"), width=1.7),
        Column("indicator", Text("指标", "Indicator"), width=2.6),
        Column("value", Text("单耗 ± U", "Figure ± U"), numeric=True, width=1.9),
        Column("limit", Text("限额", "Limit"), width=1.5),
        Column("deviation", Text("偏差", "Deviation"), numeric=True, width=1.0),
        Column("completeness", Text("完整率", "Complete"), numeric=True, width=1.0),
        Column("verdict", Text("判定", "Verdict"), width=1.0),
    )
    several = len({one.site.id for one in figures}) > 1
    rows = tuple(_summary_row(one, several=several) for one in figures)
    note = Text(
        "限额一列：超限者列最严重的一项，其余列约束力最强的一项；效力与出处见各节。",
        "Limit: of an exceedance the gravest, else the one that binds most; each figure's own"
        " section has all of them with force and source.",
    )
    return Table("figures", Text("各项指标", "Every figure"), columns, rows, note)


def unit_name(one: UnitFigure, *, several: bool) -> Text:
    """Return a unit's name, with its site's under it where there are several."""
    name, site = text(one.unit.name), text(one.site.name)
    return Text(f"{name.zh}\n{site.zh}", f"{name.en}\n{site.en}") if several else name


def _summary_row(one: UnitFigure, *, several: bool) -> tuple[Value, ...]:
    item = one.item
    row = judged.leading(item)
    value: Value = None
    if item is not None and item["intensity"]["value"] is not None:
        shown = printing.rounded(item["intensity"]["value"], one.places)
        doubt = item["intensity"]["uncertainty"]
        value = f"{shown} ± {printing.rounded(doubt, one.places)}" if doubt is not None else shown
    return (
        unit_name(one, several=several),
        Text(
            f"{one.indicator.name['zh']}\n{one.indicator.unit}",
            f"{one.indicator.name['en']}\n{one.indicator.unit}",
        ),
        value,
        None if row is None else limit_words(one, row),
        None if item is None or row is None else percent(judged.deviation(item, row), signed=True),
        None if item is None else figuresection.completeness(item),
        Mark("none", Text("未判定", "not judged"), Tone.DOUBT)
        if row is None
        else words.verdict(row["verdict"], row["force"]),
    )


def limit_words(one: UnitFigure, row: Item) -> Text:
    """Return a limit with what it binds to."""
    force = words.force(row["force"], row["level"], lapsed=row["lapsed"])
    bound = figuresection.bound_text(one, row)
    return Text(f"{bound}\n{force.zh}", f"{bound}\n{force.en}")


def _deviations(figures: Sequence[UnitFigure]) -> Chart | None:
    found = []
    for one in figures:
        row = judged.leading(one.item)
        away = None if one.item is None or row is None else judged.deviation(one.item, row)
        if away is not None:
            found.append((away, one))
    if not found:
        return None
    several = len({one.site.id for one in figures}) > 1
    found.sort(key=lambda pair: (-pair[0], pair[1].key))
    shown = found[:MOST_BARS]
    labels = tuple(bar_name(one, several=several) for _, one in shown)
    values = tuple(exact(away * 100) for away, _ in shown)
    left = len(found) - len(shown)
    note = Text(
        f"另有 {left} 项偏差更小，未画出。", f"{left} more that stand better are not drawn."
    )
    return Chart(
        "deviations",
        Text("与所列限额的偏差（正为差）", "Deviation from the limit shown (positive is worse)"),
        "%",
        1,
        labels,
        (Series("deviation", Text("偏差", "deviation"), values, Style.COLUMN, Tone.WARN),),
        horizontal=True,
        from_zero=True,
        note=note if left else None,
    )


def bar_name(one: UnitFigure, *, several: bool) -> Text:
    """Return what a bar of a figure is called."""
    name, site = one.name, text(one.site.name)
    return Text(f"{site.zh} {name.zh}", f"{site.en}, {name.en}") if several else name


def closes(about: About, figures: Sequence[UnitFigure]) -> Section:
    """Return the month closes of the sites: their seal, and what moved since."""
    columns = (
        Column("site", Text("厂区", "Site"), width=1.4),
        Column("number", Text("序号", "Number"), numeric=True, width=0.6),
        Column("closed", Text("月结时间与经办", "Closed at, by"), width=2.2),
        Column("sha256", Text("快照 sha256", "sha256 of the snapshot"), width=2.6),
        Column("moved", Text("此后变更", "Moved since"), width=1.6),
    )
    sites = {one.site.id: one.site for one in figures}
    rows = tuple(
        _close_row(sites[site], close) for site, close in sorted(about.closes.items()) if close
    )
    return Section(
        "closes",
        Text("月结", "Month close"),
        (Table("closes", Text("月结快照", "Snapshots"), columns, rows),),
        own_page=True,
    )


def _close_row(site: Site, close: Item) -> tuple[Value, ...]:
    signed = Text("已签名", "signed") if close["signed"] else Text("未签名", "not signed")
    differing, flipped = close["differing"], close["flipped"]
    moved = Mark("none", Text("无", "nothing"))
    if differing:
        moved = Mark(
            "moved",
            Text(
                f"{differing} 项，判定翻转 {flipped} 项",
                f"{differing}; verdicts of {flipped} flipped",
            ),
            Tone.WARN if flipped else Tone.DOUBT,
        )
    closed = figuresection.at(close["closed_at"], site.timezone)
    assert closed is not None, "a close has its instant"  # noqa: S101 - a belief
    shown = printing.instant(closed)
    return (
        text(site.name),
        figure(str(close["number"])),
        Text(
            f"{shown}\n{close['closed_by']}，{signed.zh}",
            f"{shown}\n{close['closed_by']}, {signed.en}",
        ),
        close["sha256"],
        moved,
    )


def sources(figures: Sequence[UnitFigure], *, closed: bool = False) -> Section:
    """Return where each limit that applies comes from, with the words of the source.

    Where month closes stand before it, it shares their page.
    """
    used = {row["limit"] for one in figures for row in judged.applying(one.item)}
    columns = (
        Column("limit", Text("限额", "Limit"), width=2.6),
        Column("source", Text("出处与条款", "Source and clause"), width=2.3),
        Column("validity", Text("实施", "In force"), width=1.1),
        Column("quote", Text("原文", "In its own words"), width=2.6),
    )
    rows = tuple(_source_row(limit) for limit in sorted(used))
    note = Text(
        "无原文者，原件未随目录保存。", "Where no words are given the catalogue does not hold them."
    )
    return Section(
        "sources",
        Text("限额出处", "Where the limits come from"),
        (Table("limits", Text("适用限额", "Limits that apply"), columns, rows, note),),
        own_page=not closed,
    )


def _source_row(limit_id: str) -> tuple[Value, ...]:
    limit = limits.catalogue().get(limit_id)
    if limit is None:
        return limit_id, None, None, None
    validity = f"{limit.valid_from.isoformat()} –"
    if limit.valid_to is not None:
        validity += f" {limit.valid_to.isoformat()}"
    said = same(validity)
    if limit.due is not None:
        due = limit.due.isoformat()
        said = Text(f"{validity}\n目标年限 {due}", f"{validity}\ndue {due}")
    name = text(limit.name)
    return (
        Text(f"{name.zh}\n{limit.id}", f"{name.en}\n{limit.id}"),
        same(f"{limit.source}\n{limit.clause}"),
        said,
        limit.quote,
    )
