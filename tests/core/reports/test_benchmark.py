"""Promises of the benchmarking report: what a view shows, nothing more, in both languages."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from core import benchmarking, benchmarkrules, eligibility, indicators
from core.benchmarking import Position, Question, View
from core.eligibility import Found
from core.plantfigures import PlantFigure, Why
from core.reports import benchmark, document
from core.reports.benchmark import About
from core.reports.document import Chart, Kind, Language, Table, Text

if TYPE_CHECKING:
    from core.reports.document import Document

LIQUID = indicators.find("al.liquid.ac")
RULES = benchmarkrules.shipped()
ABOUT = About(
    Text("青海省", "Qinghai"),
    "2026-10",
    "Asia/Shanghai",
    1_793_500_000_000_000,
    {f"p{n}": Text(f"示例{n}厂", f"Plant {n}") for n in range(8)},
)
WITHIN, BEYOND = {2: "within", 3: "within"}, {2: "exceeds", 3: "within"}


def figure(n: int) -> PlantFigure:
    return PlantFigure(
        f"p{n}",
        None,
        (f"p{n}.line-1",),
        Fraction(12_900 + 50 * n),
        Fraction(20),
        Fraction(1),
        levels=WITHIN if n < 3 else BEYOND,
        results=(f"r-{n}",),
        closed=True,
    )


def ranking(jurisdiction: str = "cn-qh") -> benchmarking.Benchmark:
    figures = [*map(figure, range(8)), PlantFigure("gone", Why.NOT_CONNECTED)]
    return benchmarking.benchmark(Question(LIQUID, jurisdiction, "2026-10"), figures, RULES)


def made(*views: View, **more: object) -> Document:
    return document.check(benchmark.build(views, ABOUT, **more))  # type: ignore[arg-type]


def table(found: Document, key: str) -> Table:
    (one,) = [
        block
        for _, block in document.blocks(found)
        if isinstance(block, Table) and block.key == key
    ]
    return one


def words(found: Document) -> str:
    return " ".join(one.en for one in document.texts(found)) + repr(found)


def test_the_regulator_s_report_ranks_every_plant_and_says_what_follows() -> None:
    found = made(benchmarking.whole(ranking()))
    assert (found.kind, found.period, found.bad_news) == (Kind.BENCHMARK, "2026-10", True)
    rows = table(found, "ranked").rows
    assert [row[1] for row in rows] == [ABOUT.names[f"p{n}"] for n in range(8)]
    assert [getattr(row[5], "code", None) for row in rows] == [
        "leader",
        "leader",
        *["middle"] * 4,
        "laggard",
        "laggard",
    ]
    assert [getattr(row[6], "code", None) for row in rows][::7] == ["reward", "sanction"]
    (absent,) = table(found, "unranked").rows
    assert absent[0] == Text("gone", "gone")
    assert getattr(absent[2], "code", None) == "non_participant"


def test_reward_and_sanction_stand_with_the_words_of_the_source() -> None:
    quotes = {row[0]: row[2] for row in table(made(benchmarking.whole(ranking())), "clauses").rows}
    for clause in RULES.clauses.values():
        assert quotes[clause.id] == clause.quote


def test_the_chart_shows_the_figures_and_the_levels_in_force() -> None:
    found = made(benchmarking.whole(ranking()))
    (chart,) = [block for _, block in document.blocks(found) if isinstance(block, Chart)]
    assert [one.key for one in chart.series] == ["figure", "level_1", "level_2", "level_3"]
    assert chart.series[0].values == tuple(str(12_900 + 50 * n) for n in range(8))
    assert {one.values[0] for one in chart.series[1:]} == {"12950", "13000", "13350"}


@pytest.mark.parametrize("period", ["2023-10", "2023", "2023-Q3"])
def test_the_levels_are_those_of_their_time(period: str) -> None:
    about = About(ABOUT.subject, period, ABOUT.timezone, ABOUT.made_us)
    found = benchmark.build([benchmarking.whole(ranking())], about)
    (chart,) = [block for _, block in document.blocks(found) if isinstance(block, Chart)]
    assert {one.values[0] for one in chart.series[1:]} == {"12650", "12750", "13700"}


def test_a_plant_s_report_names_no_other_plant_and_no_other_s_figure() -> None:
    view = benchmarking.part(ranking(), lambda site: site == "p3", b"s" * 32)
    text = words(made(view))
    for n in range(8):
        said = f"Plant {n}" in text or f"p{n}" in text or str(12_900 + 50 * n) in text
        # 12,950 and 13,000 are levels of the law as well, but a plant's report has no chart.
        assert said is (n == 3), n
    assert "gone" not in text
    assert "concealed" in text
    assert [one.key for one in table(made(view), "ranked").columns][-1] == "follows"


def test_elsewhere_nothing_follows_and_the_report_says_so() -> None:
    found = made(benchmarking.whole(ranking("cn-nx")))
    assert not found.bad_news
    assert "nothing follows" in words(found)
    assert {row[6] for row in table(found, "ranked").rows} == {None}


def test_what_is_recorded_of_plants_stands_in_a_section_of_its_own() -> None:
    barred = Found(
        "b-1", "p7", LIQUID.id, "cn-qh", "2026-09", 1, Position.LAGGARD, 1_793_000_000_000_000, "qh"
    )
    found = made(
        benchmarking.whole(ranking()),
        standings=[
            eligibility.standing("p7", [barred], []),
            eligibility.standing("p0", [], []),
        ],
    )
    rows = table(found, "standings").rows
    assert [getattr(row[1], "code", None) for row in rows] == ["barred", "clear"]
    assert rows[0][3] == "al.liquid.ac 2026-09"
    assert rows[1][2] is None


def test_a_ranking_without_a_plant_says_so() -> None:
    view = benchmarking.part(ranking(), lambda _: False, b"s" * 32)
    assert "no plant to show" in words(made(view))


def test_everything_is_said_in_both_languages() -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    for one in document.texts(made(benchmarking.whole(ranking()))):
        assert one.say(Language.ZH)
        assert not chinese.search(one.say(Language.EN)), one
