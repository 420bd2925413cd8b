"""The benchmarking report: rankings of plants by indicator, who leads and lags, what follows.

It shows what a view shows: the regulator of the jurisdiction every plant, a plant itself and
quartiles that give nobody away. Promise: reward and sanction stand beside the source's own words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from core import limits, spans
from core.benchmarking import POSITION_WORDS, Position
from core.benchmarkrules import ClauseKind
from core.eligibility import Eligibility
from core.limits import LimitKind
from core.plantfigures import WHY_WORDS
from core.reports.document import (
    Chart,
    Column,
    Document,
    Facts,
    Instant,
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
    from fractions import Fraction

    from core.benchmarking import Row, View
    from core.eligibility import Standing
    from core.indicators import Indicator
    from core.limits import Limit
    from core.reports.document import Block, Value

PLACES: Final = 1  # of a figure; its unit says per tonne
_TONES: Final[Mapping[Position, Tone]] = {
    Position.LEADER: Tone.CALM,
    Position.MIDDLE: Tone.CALM,
    Position.LAGGARD: Tone.OVER,
    Position.NOT_COMPARABLE: Tone.DOUBT,
    Position.NON_PARTICIPANT: Tone.OVER,
}
_KINDS: Final[Mapping[ClauseKind, Text]] = {
    ClauseKind.DUTY: Text("义务", "duty"),
    ClauseKind.REWARD: Text("奖励", "reward"),
    ClauseKind.SANCTION: Text("限制", "sanction"),
}
_LEVELS: Final = {
    1: Text("1级（先进值）", "level 1 (advanced)"),
    2: Text("2级（准入值）", "level 2 (entry)"),
    3: Text("3级（限定值）", "level 3 (limit)"),
}


@dataclass(frozen=True, slots=True)
class About:
    """Whose report it is, when it was made, and what its plants are called."""

    subject: Text
    period: str
    timezone: str
    made_us: int
    names: Mapping[str, Text] = field(default_factory=dict)
    as_of_us: int | None = None

    def name(self, site: str) -> Text:
        """Return what a plant is called, its id where nobody said."""
        return self.names.get(site, same(site))


def build(views: Sequence[View], about: About, standings: Sequence[Standing] = ()) -> Document:
    """Return the report on these rankings, and on how plants stand by what was recorded."""
    sections = [_ranking(view, about) for view in views]
    if standings:
        sections.append(_standings(standings, about))
    sections.append(_basis(views))
    sanctioned = any(
        _follows(view, row) is ClauseKind.SANCTION for view in views for row in view.rows
    )
    return Document(
        Kind.BENCHMARK,
        Text("能效对标报告", "Benchmarking report"),
        about.period,
        about.subject,
        tuple(sections),
        about.made_us,
        about.timezone,
        _rests_on(views),
        about.as_of_us,
        bad_news=sanctioned,
    )


def _rests_on(views: Sequence[View]) -> tuple[tuple[Text, Value], ...]:
    closed = all(view.benchmark.is_closed for view in views)
    whole = all(view.is_whole for view in views)
    return (
        (
            Text("数据状态", "Figures"),
            Text("期间已结束", "of a period that has ended")
            if closed
            else Text(
                "期间未结束或数据未齐，仅供预警", "not all of them closed: early warning only"
            ),
        ),
        (
            Text("可见范围", "What is shown"),
            Text("全部企业", "every plant")
            if whole
            else Text(
                "本企业及经保护的四分位数", "your own plants, and quartiles that conceal others"
            ),
        ),
    )


def _ranking(view: View, about: About) -> Section:
    found, indicator = view.benchmark, view.benchmark.question.indicator
    blocks: list[Block] = [_facts(view)]
    ranked = [row for row in view.rows if row.rank is not None]
    if ranked and view.is_whole:
        blocks.append(_chart(view, ranked, about))
    if ranked:
        blocks.append(_ranked(view, ranked, about))
    rest = [row for row in view.rows if row.rank is None]
    if rest:
        blocks.append(_unranked(view, rest, about))
    if not view.rows:
        blocks.append(
            Sentence(Text("没有可显示的企业。", "There is no plant to show."), Tone.DOUBT)
        )
    if any(row.doubtful for row in view.rows):
        blocks.append(
            Sentence(
                Text(
                    "带“存疑”的企业因测量不确定度未被列为领先或落后。",
                    "In doubt: it would lead or lag but for the uncertainty of its figure.",
                ),
                Tone.DOUBT,
            )
        )
    key = indicator.id.replace(".", "_")
    return Section(
        f"ranking_{key}_{found.question.jurisdiction}", text(indicator.name), tuple(blocks)
    )


def _facts(view: View) -> Facts:
    found, indicator = view.benchmark, view.benchmark.question.indicator
    counts, shown = found.counts(), view.quartiles
    rows: list[tuple[Text, Value]] = [
        (Text("适用地区", "Jurisdiction"), found.question.jurisdiction),
        (Text("指标", "Indicator"), indicator.id),
        (Text("产品", "Product"), indicator.product),
        (Text("企业总数", "Plants"), count(counts["plants"])),
        (Text("参与对标", "Took part"), count(counts["took_part"])),
        (Text("未参与对标", "Took no part"), count(counts["non_participant"])),
        (Text("列入排名", "Ranked"), count(counts["ranked"])),
        (Text("领先", "Leaders"), count(counts["leader"])),
        (Text("落后", "Laggards"), count(counts["laggard"])),
    ]
    if shown is None:
        why = Text("企业过少，不显示", "too few plants to show any")
        rows.append((Text("四分位数", "Quartiles"), why))
    else:
        rows += [
            (Text("最好四分位界", "Best quartile up to"), _shown(shown.first, indicator)),
            (Text("中位数", "Median"), _shown(shown.median, indicator)),
            (Text("最差四分位界", "Worst quartile from"), _shown(shown.third, indicator)),
        ]
        if not view.is_whole:
            note = Text("经保护，非任何企业的实际数值", "concealed: no plant's own figure")
            rows.append((Text("四分位数", "Quartiles"), note))
    return Facts("facts", tuple(rows))


def _chart(view: View, ranked: Sequence[Row], about: About) -> Chart:
    indicator = view.benchmark.question.indicator
    labels = tuple(about.name(row.figure.site) for row in ranked)
    series = [
        Series(
            "figure",
            text(indicator.name),
            tuple(plain(row.figure.value) for row in ranked),
            Style.POINT,
        )
    ]
    for limit in _national(indicator, about):
        assert limit.level is not None  # noqa: S101 - only such are national ones
        series.append(
            Series(
                f"level_{limit.level}",
                _LEVELS[limit.level],
                tuple(f"{limit.value:f}" for _ in ranked),
                Style.LIMIT,
                Tone.OVER if limit.level == max(_LEVELS) else Tone.WARN,
            )
        )
    title = Text("排名", "Ranking")
    return Chart("chart", title, indicator.unit, PLACES, labels, tuple(series))


def _national(indicator: Indicator, about: About) -> list[Limit]:
    """Return the national levels in force at the end of the period, the best one first."""
    span = spans.parse(about.period)
    year, month = int(span.first[:4]), int(span.first[5:]) + span.months - 1
    return sorted(
        (
            one
            for one in limits.of_indicator(indicator.id)
            if one.level is not None
            and one.kind is LimitKind.LIMIT
            and (one.valid_from.year, one.valid_from.month) <= (year, month)
            and (one.valid_to is None or (one.valid_to.year, one.valid_to.month) > (year, month))
        ),
        key=lambda one: one.level or 0,
    )


def _ranked(view: View, ranked: Sequence[Row], about: About) -> Table:
    """Return the ranked plants; how sure a rank is and exact gaps are for who sees all of them."""
    unit, whole = view.benchmark.question.indicator.unit, view.is_whole
    columns = (
        Column("rank", Text("名次", "Rank"), numeric=True, width=0.5),
        Column("plant", Text("企业", "Plant"), width=1.6),
        Column("value", Text("单耗", "Figure"), unit, numeric=True),
        Column("uncertainty", Text("不确定度", "Uncertainty"), unit, numeric=True),
        Column("quartile", Text("四分位", "Quartile"), numeric=True, width=0.6),
        Column("position", Text("结果", "Result"), width=1.0),
        Column("follows", Text("后果", "What follows"), width=1.0),
        *(_for_the_regulator(unit) if whole else ()),
    )
    rows = tuple(
        (
            count(row.rank or 0),
            about.name(row.figure.site),
            figure(row.figure.value, PLACES),
            figure(row.figure.uncertainty, PLACES),
            None if row.quartile is None else count(row.quartile),
            _mark(row),
            _consequence(view, row),
            *(_sureness(row) if whole else ()),
        )
        for row in ranked
    )
    return Table("ranked", Text("列入排名的企业", "Plants that are ranked"), columns, rows)


def _sureness(row: Row) -> tuple[Value, ...]:
    return f"{row.rank_best}-{row.rank_worst}", figure(row.gap, PLACES, signed=True)


def _for_the_regulator(unit: str) -> tuple[Column, ...]:
    return (
        Column("ranks", Text("可能名次", "Rank may be"), width=0.7),
        Column("gap", Text("距最好四分位", "Off best quartile"), unit, numeric=True),
    )


def _unranked(view: View, rest: Sequence[Row], about: About) -> Table:
    columns = (
        Column("plant", Text("企业", "Plant"), width=1.6),
        Column("completeness", Text("完整率", "Completeness"), numeric=True, width=0.8),
        Column("position", Text("结果", "Result"), width=1.0),
        Column("why", Text("原因", "Reason"), width=1.6),
        Column("follows", Text("后果", "What follows"), width=1.0),
    )
    rows = tuple(
        (
            about.name(row.figure.site),
            percent(row.figure.completeness) if row.figure.results else None,
            _mark(row),
            None if row.figure.why is None else text(WHY_WORDS[row.figure.why]),
            _consequence(view, row),
        )
        for row in rest
    )
    return Table("unranked", Text("未列入排名的企业", "Plants that are not ranked"), columns, rows)


def _mark(row: Row) -> Mark:
    words = text(POSITION_WORDS[row.position])
    if row.doubtful:
        words = Text(f"{words.zh}（存疑）", f"{words.en} (in doubt)")
        return Mark(row.position.value, words, Tone.DOUBT)
    return Mark(row.position.value, words, _TONES[row.position])


def _follows(view: View, row: Row) -> ClauseKind | None:
    clause = view.benchmark.clause(row)
    return None if clause is None else clause.kind


def _consequence(view: View, row: Row) -> Value:
    clause = view.benchmark.clause(row)
    if clause is None:
        return None
    words = _KINDS[clause.kind]
    said = Text(f"{words.zh}（{clause.id}）", f"{words.en} ({clause.id})")
    tone = Tone.OVER if clause.kind is ClauseKind.SANCTION else Tone.CALM
    return Mark(clause.kind.value, said, tone)


def _standings(standings: Sequence[Standing], about: About) -> Section:
    columns = (
        Column("plant", Text("企业", "Plant"), width=1.6),
        Column("state", Text("财政资金及优惠政策", "Public funds, preferences"), width=1.2),
        Column("since", Text("自", "Since"), width=1.0),
        Column("finding", Text("依据", "By"), width=1.6),
        Column("lifted", Text("解除依据", "Lifted by"), width=1.6),
    )
    rows: list[tuple[Value, ...]] = []
    for one in standings:
        barring = one.barring
        lifted = [each for found in one.findings if (each := one.lifted_by(found)) is not None]
        rows.append(
            (
                about.name(one.site),
                _state(one.eligibility),
                Instant(barring[0].recorded_us, about.timezone) if barring else None,
                "; ".join(f"{each.indicator} {each.period}" for each in barring) or None,
                "; ".join(sorted({each.document for each in lifted})) or None,
            )
        )
    table = Table("standings", Text("记录在案的状态", "As recorded"), columns, tuple(rows))
    return Section("standings", Text("财政资金及优惠政策资格", "Eligibility"), (table,))


def _state(state: Eligibility) -> Mark:
    if state is Eligibility.BARRED:
        return Mark(state.value, Text("不得享受", "barred"), Tone.OVER)
    return Mark(state.value, Text("无限制", "clear"))


def _basis(views: Sequence[View]) -> Section:
    clauses = {one.id: one for view in views for one in view.benchmark.clauses}
    columns = (
        Column("id", Text("编号", "No."), width=0.5),
        Column("kind", Text("性质", "Kind"), width=0.6),
        Column("quote", Text("原文", "Words of the source"), width=3.2),
        Column("source", Text("出处", "Source"), width=1.8),
    )
    rows = tuple(
        (one.id, _KINDS[one.kind], one.quote, f"{one.source} {one.clause}")
        for one in clauses.values()
    )
    blocks: list[Block] = []
    if rows:
        title = Text("依据条款", "Clauses")
        blocks.append(Table("clauses", title, columns, rows))
    else:
        blocks.append(
            Sentence(
                Text(
                    "所载条款不适用于该地区或行业：仅列排名，无奖惩。",
                    "No clause holds here for this industry: plants are ranked, nothing follows.",
                )
            )
        )
    if views:
        blocks.append(_numbers(views[0]))
    return Section("basis", Text("依据", "Basis"), tuple(blocks))


def _numbers(view: View) -> Table:
    rule = view.benchmark.rules.rule
    columns = (
        Column("what", Text("判定数值", "Number"), width=2.6),
        Column("value", Text("取值", "Value"), width=3.0),
    )
    rows: tuple[tuple[Value, ...], ...] = (
        (
            Text("可比：完整率不低于", "comparable: completeness at least"),
            percent(f"{rule.least_completeness:f}"),
        ),
        (
            Text("计算四分位所需企业数", "ranked plants that quartiles need"),
            count(rule.least_ranked),
        ),
        (
            Text("领先：居最好四分位且达到", "a leader is in the best quartile and keeps"),
            _LEVELS[rule.leader_keeps_level],
        ),
        (Text("落后：超过", "a laggard exceeds"), _LEVELS[rule.laggard_exceeds_level]),
        (
            Text("或：居最差四分位且未达到", "or is in the worst quartile and does not keep"),
            _LEVELS[rule.laggard_spared_by_level],
        ),
    )
    note = Text(
        "原文未给数值，以上为本系统建议，须与主管部门商定。",
        "The source sets no numbers: these are a proposal, to be agreed with the regulator.",
    )
    return Table("rule", Text("判定数值", "Numbers of the rule"), columns, rows, note)


def _shown(value: Fraction, indicator: Indicator) -> Value:
    return figure(value, PLACES, indicator.unit)
