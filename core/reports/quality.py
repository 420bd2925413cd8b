"""The data-quality report: the score of each site, its six indices, every rule and what breaks it.

Promise: a finding stands beside the rule it breaks, its paragraph and how well that was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core.intensity import PER_CENT
from core.qualityrules import INDEX_NAMES, Index
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
    count,
    figure,
    percent,
    plain,
    same,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.qualityscore import Checked, Score
    from core.reports.document import Block, Value

MOST_FINDINGS: Final = 500  # of one site in print; the rest are counted
_MARKS: Final[Mapping[str, Text]] = {
    "verified": Text("原文", "read in the source"),
    "third_party": Text("转录", "read in a transcription"),
    "from_memory": Text("凭记忆", "from memory"),
    "proposal": Text("建议值", "our proposal"),
}
_UNCHECKED: Final[Mapping[str, Text]] = {
    "archived": Text("读数已归档", "readings are archived"),
    "too_much": Text("点数过多，未逐刻检查", "too many points to look at each quarter"),
    "not_over": Text("期间未开始", "nothing has elapsed"),
    "known_of_now_only": Text("仅知当前时钟", "clocks are known as of now only"),
    "nothing_to_see": Text("无对象", "nothing that it is about"),
}


@dataclass(frozen=True, slots=True)
class About:
    """Whose report it is, when it was made, and what its sites are called."""

    subject: Text
    period: str
    timezone: str
    made_us: int
    names: Mapping[str, Text] = field(default_factory=dict)

    def name(self, site: str) -> Text:
        """Return what a site is called, its id where nobody said."""
        return self.names.get(site, same(site))


def build(scores: Sequence[Score], about: About) -> Document:
    """Return the report on these scores, the lowest first."""
    ordered = sorted(scores, key=lambda one: (one.value is None, one.value or 0, one.seen.site))
    sections = [_overview(ordered, about), *(_site(one, about) for one in ordered)]
    if ordered:
        sections.append(_sources(ordered[0]))
    closed = all(one.seen.bound_us[1] <= one.seen.now_us for one in scores)
    return Document(
        Kind.QUALITY,
        Text("能耗在线监测数据质量报告", "Data-quality report"),
        about.period,
        about.subject,
        tuple(sections),
        about.made_us,
        about.timezone,
        (
            (
                Text("评价框架", "Frame"),
                Text(
                    "DB53/T 1116-2022 六项指数，等权平均（权重为建议值）",
                    "six indices of DB53/T 1116-2022, each weighing the same (our proposal)",
                ),
            ),
            (
                Text("期间", "Period"),
                Text("已结束", "has ended") if closed else Text("未结束", "still runs"),
            ),
        ),
        bad_news=any(one.findings for one in scores),
    )


def _overview(scores: Sequence[Score], about: About) -> Section:
    columns = (
        Column("site", Text("用能单位", "Site"), width=1.8),
        Column("score", Text("综合指数", "Score"), numeric=True),
        *(Column(index.value, text(INDEX_NAMES[index]), numeric=True) for index in Index),
        Column("findings", Text("问题数", "Findings"), numeric=True, width=0.7),
    )
    rows = tuple(
        (
            about.name(one.seen.site),
            figure(one.value, 1),
            *(_hundredths(one, index) for index in Index),
            count(len(one.findings)),
        )
        for one in scores
    )
    labels = tuple(about.name(one.seen.site) for one in scores)
    values = tuple(plain(one.value) for one in scores)
    title = Text("综合指数", "Score")
    blocks: tuple[Block, ...] = (Table("scores", Text("得分", "Scores"), columns, rows),)
    if scores:
        series = (Series("score", title, values, Style.COLUMN),)
        blocks += (Chart("chart", title, "%", 1, labels, series, horizontal=True, from_zero=True),)
    return Section("overview", Text("总览", "Overview"), blocks)


def _hundredths(score: Score, index: Index) -> Value:
    share = score.indices[index]
    return None if share is None else figure(share * PER_CENT, 1)


def _site(score: Score, about: About) -> Section:
    blocks: list[Block] = [_rules(score)]
    found = score.findings
    if found:
        blocks.append(_findings(score))
        if len(found) > MOST_FINDINGS:
            more = len(found) - MOST_FINDINGS
            said = Text(f"另有 {more} 个问题未列出。", f"{more} more findings are not listed.")
            blocks.append(Sentence(said, Tone.WARN))
    else:
        blocks.append(Sentence(Text("未发现违反规则的数据。", "Nothing breaks a rule.")))
    return Section(f"site_{score.seen.site}", about.name(score.seen.site), tuple(blocks))


def _rules(score: Score) -> Table:
    columns = (
        Column("rule", Text("规则", "Rule"), width=1.6),
        Column("state", Text("结果", "Result"), width=0.9),
        Column("share", Text("符合率", "Kept by"), numeric=True, width=0.7),
        Column("findings", Text("问题数", "Findings"), numeric=True, width=0.7),
        Column("paragraph", Text("条款", "Paragraph"), width=1.5),
    )
    rows = tuple(
        (
            text(one.rule.name),
            _state(one),
            percent(one.share, 2),
            count(len(one.findings)),
            one.rule.paragraph,
        )
        for one in score.checked
    )
    return Table("rules", Text("规则", "Rules"), columns, rows)


def _sources(score: Score) -> Section:
    """Return where each rule is written, in its own words as far as they were read."""
    columns = (
        Column("rule", Text("规则", "Rule"), width=1.3),
        Column("paragraph", Text("条款", "Paragraph"), width=1.2),
        Column("source", Text("出处", "Source"), width=2.2),
        Column("quote", Text("原文", "Words of the source"), width=2.6),
        Column("mark", Text("依据", "How it was read"), width=0.9),
    )
    rows = tuple(
        (
            text(one.rule.name),
            one.rule.paragraph,
            one.rule.source,
            one.rule.quote,
            _MARKS[one.rule.mark],
        )
        for one in score.checked
    )
    table = Table("sources", Text("规则的出处", "Where the rules are written"), columns, rows)
    return Section("rules", Text("规则", "Rules"), (table,))


def _state(checked: Checked) -> Mark:
    if checked.is_kept is None:
        why = _UNCHECKED.get(checked.unchecked or "", same(checked.unchecked or ""))
        words = Text(f"未检查：{why.zh}", f"not checked: {why.en}")
        return Mark("unchecked", words, Tone.DOUBT)
    if checked.is_kept:
        return Mark("kept", Text("符合", "kept"))
    return Mark("broken", Text("不符合", "broken"), Tone.WARN)


def _findings(score: Score) -> Table:
    names = {one.rule.id: one.rule for one in score.checked}
    columns = (
        Column("rule", Text("规则", "Rule"), width=1.4),
        Column("paragraph", Text("条款", "Paragraph"), width=1.3),
        Column("subject", Text("对象", "What"), width=1.6),
        Column("text", Text("问题", "Finding"), width=3.6),
    )
    rows = tuple(
        (
            text(names[one.rule].name),
            names[one.rule].paragraph,
            one.subject,
            text(one.text),
        )
        for one in score.findings[:MOST_FINDINGS]
    )
    return Table("findings", Text("问题清单", "Findings"), columns, rows)
