"""Severities through the schemes of those who are told."""

from __future__ import annotations

import pytest

from core import severities
from core.errors import Misconfigured

GOOD = """
[scheme.one]
name = { zh = "一", en = "one" }
source = "the tests"
standing = "own"
mapping = "own"

[[scheme.one.tier]]
severities = [0, 1, 2, 3, 4]
code = "x"
name = { zh = "一", en = "one" }
colour = "red"
"""


def test_national_and_city_grades_run_opposite_ways() -> None:
    """Domain 3.5: tier one is the gravest of the one, the mildest of the other."""
    schemes = severities.catalogue()
    nation, city = schemes["cn-barometer"], schemes["cn-city-2010"]
    assert (nation.tier(4).code, nation.tier(0).code) == ("一级", "三级")
    assert (city.tier(4).code, city.tier(1).code) == ("三级", "一级")
    assert nation.tier(4).colour == city.tier(4).colour == "red"
    assert nation.tier(0).colour == city.tier(0).colour == "green"


def test_every_scheme_shows_every_severity_with_its_source() -> None:
    for scheme in severities.catalogue().values():
        assert len(scheme.tiers) == len(severities.SEVERITIES)
        assert scheme.source
        assert set(scheme.name) == {"zh", "en"}


def test_no_scheme_shows_a_graver_matter_in_a_milder_colour() -> None:
    order = ["green", "blue", "yellow", "orange", "red"]
    for scheme in severities.catalogue().values():
        colours = [order.index(tier.colour) for tier in scheme.tiers]
        assert colours == sorted(colours), scheme.id


def test_the_page_shows_three_and_four_as_its_first_priority() -> None:
    codes = [tier.code for tier in severities.catalogue()["page"].tiers]
    assert codes == ["E", "P3", "P2", "P1", "P1"]  # design 4.6


def test_a_grade_in_json_names_its_scheme() -> None:
    assert severities.shown("page", 2) == {
        "scheme": "page",
        "code": "P2",
        "name": {"zh": "尽快处理", "en": "soon"},
        "colour": "orange",
    }


def test_what_a_scheme_leaves_out_or_has_twice_is_told_at_once() -> None:
    twice = GOOD.replace("[0, 1, 2, 3, 4]", "[0, 1, 1, 2]")
    missing = GOOD.replace("scheme.one", "scheme.two").replace("[0, 1, 2, 3, 4]", "[0]")
    with pytest.raises(Misconfigured) as caught:
        severities.parse(twice + missing, "schemes.toml")
    told = [str(problem) for problem in caught.value.problems]
    assert told == [
        (
            "schemes.toml:9: scheme.one.tier.0.severities: severity 1 has a tier already:"
            " name it once"
        ),
        "schemes.toml:2: scheme.one: shows no severity 3, 4: add it to a tier",
        "schemes.toml:14: scheme.two: shows no severity 1, 2, 3, 4: add it to a tier",
    ]


def test_a_scheme_without_a_source_is_refused() -> None:
    with pytest.raises(Misconfigured, match="source: is required"):
        severities.parse(GOOD.replace('source = "the tests"\n', ""), "schemes.toml")
