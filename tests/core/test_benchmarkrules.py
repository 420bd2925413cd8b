"""Promises of what benchmarking rests on: the source to the letter, our numbers marked as ours."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import pytest

from core import benchmarkrules, indicators
from core.benchmarkrules import FILE, ClauseKind
from core.errors import Misconfigured

TEXT = (resources.files("core") / "data" / "benchmarking.toml").read_text("utf-8")
SEEDS = Path(__file__).resolve().parents[3] / "shared" / "seeds"


def test_reward_and_sanction_are_clauses_with_quotations() -> None:
    rules = benchmarkrules.shipped()
    kinds = [clause.kind for clause in rules.clauses.values()]
    assert kinds == [ClauseKind.DUTY, ClauseKind.DUTY, ClauseKind.REWARD, ClauseKind.SANCTION]
    assert "资金奖励" in rules.clauses["B03"].quote
    assert "在未完成技术改造前" in rules.clauses["B04"].quote


def test_quotations_stand_in_their_source_to_the_letter() -> None:
    if not SEEDS.is_dir():
        pytest.skip("the source documents are not beside this checkout (../shared/seeds)")
    for clause in benchmarkrules.shipped().clauses.values():
        source = (SEEDS / clause.source.removeprefix("seeds/")).read_text("utf-8")
        assert clause.quote in source, clause.id


def test_numbers_of_ours_are_marked_as_a_proposal() -> None:
    assert benchmarkrules.shipped().rule.mark == "proposal"
    assert "领先" in benchmarkrules.shipped().rule.note


def test_every_product_of_a_sector_has_an_indicator() -> None:
    rules = benchmarkrules.shipped()
    made = {one.product for one in indicators.catalogue().values()}
    assert {product for each in rules.sectors.values() for product in each} <= made


@pytest.mark.parametrize(
    ("jurisdiction", "product", "count"),
    [
        ("cn-qh", "aluminium_liquid", 4),
        ("cn-qh-xn", "clinker", 4),
        ("cn-qhx", "clinker", 0),
        ("cn", "clinker", 0),
        ("cn-sx", "aluminium_liquid", 0),
        ("cn-qh", "crude_steel", 0),
    ],
)
def test_clauses_hold_in_their_jurisdiction_for_the_industries_they_name(
    jurisdiction: str, product: str, count: int
) -> None:
    assert len(benchmarkrules.shipped().clauses_for(jurisdiction, product)) == count


def test_mistakes_are_told_with_their_lines() -> None:
    text = TEXT.replace('"stock_not_taken"', '"stock_mistaken"')
    with pytest.raises(Misconfigured, match=r"benchmarking\.toml:\d+: rule\.refused_flags: .*mist"):
        benchmarkrules.parse(text, FILE)
    both = TEXT.replace("least_ranked = 4", "least_ranked = 3").replace(
        'noise_budget = "4"', 'noise_budget = "0"'
    )
    with pytest.raises(Misconfigured) as error:
        benchmarkrules.parse(both, FILE)
    assert len(error.value.problems) == 2
    assert all(re.search(r"benchmarking\.toml:\d+", str(one)) for one in error.value.problems)
