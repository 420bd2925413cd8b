"""Promises of benchmarking: ranks, quartiles, who leads and lags, and who sees what of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import benchmarking, benchmarkrules, indicators
from core.benchmarking import Position, Question
from core.plantfigures import PlantFigure, Why

RULES = benchmarkrules.shipped()
LIQUID = indicators.find("al.liquid.ac")
QUESTION = Question(LIQUID, "cn-qh", "2026-10")
SECRET = b"s" * 32
WITHIN = {1: "within", 2: "within", 3: "within"}
BEYOND_ENTRY = {1: "exceeds", 2: "exceeds", 3: "within"}


def plant(
    site: str,
    value: str | int | None,
    uncertainty: int = 0,
    levels: dict[int, str] | None = None,
    why: Why | None = None,
) -> PlantFigure:
    return PlantFigure(
        site,
        why,
        (f"{site}.line-1",),
        None if value is None else Fraction(value),
        Fraction(uncertainty),
        Fraction(1),
        (),
        2,
        BEYOND_ENTRY if levels is None else levels,
        (f"r-{site}",),
        closed=True,
    )


def ranked(*figures: PlantFigure, question: Question = QUESTION) -> dict[str, benchmarking.Row]:
    found = benchmarking.benchmark(question, figures, RULES)
    return {row.figure.site: row for row in found.rows}


EIGHT = [plant(f"p{n}", 12_900 + 50 * n, levels=WITHIN if n < 3 else None) for n in range(8)]


def test_ranks_count_from_the_best_and_equal_figures_share_one() -> None:
    rows = ranked(plant("a", 2), plant("b", 1), plant("c", 2), plant("d", 3))
    assert {site: row.rank for site, row in rows.items()} == {"b": 1, "a": 2, "c": 2, "d": 4}
    assert list(rows) == ["b", "a", "c", "d"]


def test_the_best_quartile_within_the_entry_level_leads_and_the_worst_lags() -> None:
    rows = ranked(*EIGHT)
    positions = [rows[f"p{n}"].position for n in range(8)]
    assert positions[:2] == [Position.LEADER, Position.LEADER]
    assert positions[2:6] == [Position.MIDDLE] * 4
    assert positions[6:] == [Position.LAGGARD, Position.LAGGARD]
    assert [rows[f"p{n}"].quartile for n in range(8)] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert rows["p7"].gap == 350 - Fraction(350, 4)


def test_the_best_quartile_beyond_the_entry_level_does_not_lead() -> None:
    rows = ranked(*(replace(one, levels=BEYOND_ENTRY) for one in EIGHT))
    assert Position.LEADER not in {row.position for row in rows.values()}
    assert not rows["p0"].doubtful
    unsure = ranked(*(replace(one, levels={2: "indeterminate"}) for one in EIGHT))
    assert unsure["p0"].position is Position.MIDDLE
    assert unsure["p0"].doubtful


def test_who_keeps_the_entry_level_does_not_lag_wherever_it_stands() -> None:
    rows = ranked(*(replace(one, levels=WITHIN) for one in EIGHT))
    assert Position.LAGGARD not in {row.position for row in rows.values()}


def test_who_exceeds_the_limit_lags_however_few_are_ranked() -> None:
    rows = ranked(plant("a", 13_400, levels={3: "exceeds"}), plant("b", 13_000))
    assert rows["a"].position is Position.LAGGARD
    assert rows["a"].quartile is None
    assert rows["b"].position is Position.MIDDLE


def test_uncertainty_speaks_for_the_plant() -> None:
    sure = ranked(*EIGHT)["p7"]
    unsure = ranked(*EIGHT[:7], replace(EIGHT[7], uncertainty=Fraction(200)))["p7"]
    assert (sure.position, sure.doubtful) == (Position.LAGGARD, False)
    assert (unsure.position, unsure.doubtful) == (Position.MIDDLE, True)
    assert (unsure.rank, unsure.rank_best, unsure.rank_worst) == (8, 4, 8)


def test_plants_that_are_all_alike_neither_lead_nor_lag() -> None:
    rows = ranked(*(plant(f"p{n}", 13_100) for n in range(9)))
    assert {row.position for row in rows.values()} == {Position.MIDDLE}
    assert {row.rank for row in rows.values()} == {1}


def test_three_plants_have_no_quartiles() -> None:
    found = benchmarking.benchmark(QUESTION, EIGHT[:3], RULES)
    assert found.quartiles is None
    assert {row.position for row in found.rows} == {Position.MIDDLE}


def test_of_a_recovery_more_is_better() -> None:
    recovery = Question(indicators.find("salt_lake.lithium_recovery"), "cn-qh", "2026-10")
    assert benchmarking.is_higher_better(recovery.indicator)
    assert not benchmarking.is_higher_better(LIQUID)
    rows = ranked(*(plant(f"p{n}", 70 + n, levels={}) for n in range(8)), question=recovery)
    assert rows["p7"].rank == 1
    assert rows["p7"].position is Position.LEADER
    assert rows["p0"].position is Position.LAGGARD
    whole = benchmarking.benchmark(
        recovery, [plant(f"p{n}", 70 + n, levels={}) for n in range(8)], RULES
    )
    assert whole.quartiles is not None
    assert whole.quartiles.first > whole.quartiles.third


def test_those_not_ranked_stand_below_with_their_reason() -> None:
    rows = ranked(
        *EIGHT,
        plant("late", 13_000, why=Why.INCOMPLETE),
        plant("gone", None, why=Why.NO_DATA),
        PlantFigure("called", Why.NOT_CONNECTED),
    )
    assert list(rows)[8:] == ["late", "called", "gone"]
    assert rows["late"].position is Position.NOT_COMPARABLE
    assert rows["gone"].position is rows["called"].position is Position.NON_PARTICIPANT
    assert rows["late"].rank is None


def test_reward_and_sanction_follow_with_their_clause() -> None:
    found = benchmarking.benchmark(
        QUESTION, [*EIGHT, PlantFigure("called", Why.NOT_CONNECTED)], RULES
    )
    item = benchmarking.whole(found).item()
    follows = {one["site"]: (one["follows"], one["clause"]) for one in item["plants"]}
    assert follows["p0"] == ("reward", "B03")
    assert follows["p7"] == follows["called"] == ("sanction", "B04")
    assert follows["p4"] == (None, None)
    quoted = {one["clause_id"]: one["quote"] for one in item["clauses"]}
    assert "在未完成技术改造前" in quoted["B04"]
    assert item["counts"] == {
        "plants": 9,
        "took_part": 8,
        "ranked": 8,
        "leader": 2,
        "middle": 4,
        "laggard": 2,
        "not_comparable": 0,
        "non_participant": 1,
    }


@pytest.mark.parametrize("jurisdiction", ["cn-nx", "cn"])
def test_elsewhere_plants_are_ranked_and_nothing_follows(jurisdiction: str) -> None:
    asked = Question(LIQUID, jurisdiction, "2026-10")
    item = benchmarking.whole(benchmarking.benchmark(asked, EIGHT, RULES)).item()
    assert item["clauses"] == []
    assert {one["follows"] for one in item["plants"]} == {None}
    assert item["plants"][0]["position"] == "leader"


FIGURES = st.lists(
    st.tuples(st.integers(12_000, 14_000), st.integers(0, 150)), min_size=1, max_size=25
)


@given(FIGURES)
def test_a_rank_is_one_more_than_how_many_are_better(pairs: list[tuple[int, int]]) -> None:
    figures = [plant(f"p{n:02}", value, doubt) for n, (value, doubt) in enumerate(pairs)]
    for row in benchmarking.benchmark(QUESTION, figures, RULES).rows:
        value = row.figure.value
        assert value is not None
        assert row.rank == 1 + sum(one.value < value for one in figures if one.value is not None)
        assert row.rank_best is not None
        assert row.rank_worst is not None
        assert row.rank_best <= row.rank <= row.rank_worst
        low, high = _bounds(row.figure)
        others = [_bounds(one) for one in figures if one.site != row.figure.site]
        assert row.rank_best == 1 + sum(most < low for _, most in others)
        assert row.rank_worst == len(figures) - sum(least > high for least, _ in others)


def _bounds(figure: PlantFigure) -> tuple[Fraction, Fraction]:
    value, doubt = figure.value or Fraction(0), figure.uncertainty or Fraction(0)
    return value - doubt, value + doubt


@given(FIGURES, st.randoms())
def test_the_ranking_does_not_depend_on_the_order_of_the_plants(
    pairs: list[tuple[int, int]], random: object
) -> None:
    figures = [plant(f"p{n:02}", value, doubt) for n, (value, doubt) in enumerate(pairs)]
    shuffled = list(figures)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = benchmarking.benchmark(QUESTION, figures, RULES)
    assert one == benchmarking.benchmark(QUESTION, shuffled, RULES)


def test_a_plant_sees_itself_and_concealed_quartiles_and_no_name_of_another() -> None:
    found = benchmarking.benchmark(QUESTION, EIGHT, RULES)
    view = benchmarking.part(found, lambda site: site == "p3", SECRET)
    item = view.item()
    (own,) = item["plants"]
    assert (own["site"], own["rank"], own["quartile"]) == ("p3", 4, 2)
    assert own["gap_to_best_quartile"] is own["rank_best"] is own["rank_worst"] is None
    assert item["quartiles"]["concealed"] is True
    text = str(item)
    for other in ("p0", "p1", "p2", "p4", "p5", "p6", "p7"):
        assert other not in text
    for figure in EIGHT:
        if figure.site != "p3":
            assert str(figure.value) not in text


def test_among_few_plants_no_quartiles_are_shown_to_a_plant() -> None:
    found = benchmarking.benchmark(QUESTION, EIGHT[:7], RULES)
    assert found.quartiles is not None
    assert benchmarking.part(found, lambda site: site == "p3", SECRET).item()["quartiles"] is None


def test_without_national_levels_there_is_no_range_to_conceal_in() -> None:
    alumina = indicators.find("al.alumina")
    assert benchmarking.reference_range(alumina) is None
    found = benchmarking.benchmark(Question(alumina, "cn-qh", "2026-10"), EIGHT, RULES)
    assert benchmarking.part(found, lambda _: False, SECRET).quartiles is None


def test_the_regulator_sees_every_plant_and_exact_quartiles() -> None:
    item = benchmarking.whole(benchmarking.benchmark(QUESTION, EIGHT, RULES)).item()
    assert [one["site"] for one in item["plants"]] == [f"p{n}" for n in range(8)]
    assert item["quartiles"] == {
        "first": "12987.5",
        "median": "13075",
        "third": "13162.5",
        "concealed": False,
    }


def test_it_is_closed_only_when_every_figure_is() -> None:
    assert benchmarking.benchmark(QUESTION, EIGHT, RULES).is_closed
    opened = [*EIGHT[:7], replace(EIGHT[7], closed=False)]
    assert not benchmarking.benchmark(QUESTION, opened, RULES).is_closed
    nobody = [PlantFigure("called", Why.NOT_CONNECTED)]
    assert not benchmarking.benchmark(QUESTION, nobody, RULES).is_closed
