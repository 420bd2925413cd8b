"""The rules of cases: the shipped file, and every mistake of one at once."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from core import caserules
from core.cases import Closes
from core.errors import Misconfigured

TEXT = (resources.files("core") / "data" / "cases.toml").read_text("utf-8")


def test_the_times_are_those_of_the_notes_on_the_law() -> None:
    terms = caserules.shipped().terms
    assert (terms[0].repair, terms[1].acknowledge) == (3, 2)
    assert (terms[2].acknowledge, terms[2].explain) == (1, 10)
    assert terms[3].acknowledge == 0
    formal = terms[4]
    assert (formal.acknowledge, formal.explain, formal.plan, formal.answer) == (None,) * 4


def test_a_regulator_closes_with_the_plant_what_is_told_to_it() -> None:
    closes = [caserules.shipped().terms[each].closes for each in caserules.SEVERITIES]
    assert closes == [Closes.RECOVERY, Closes.PLANT, Closes.BOTH, Closes.BOTH, Closes.BOTH]


def test_every_cause_has_two_names_and_what_needs_proof_says_so_in_both() -> None:
    for cause in caserules.shipped().causes.values():
        assert set(cause.name) == {"zh", "en"}
        assert cause.proof is ("附" in cause.name["zh"])
        assert cause.proof is bool(re.search(r"\(with ", cause.name["en"]))


def test_a_wrong_file_tells_everything_that_is_wrong() -> None:
    text = TEXT.replace("[severity.1]\ncloses", "[severity.1]\nrepair = 3\ncloses")
    text = text.replace("escalates_to = 3", "escalates_to = 1", 1)
    start, end = text.index("[severity.3]"), text.index("# Formal procedure")
    text = text[:start] + text[end:]
    start = text.index("[severity.4]")
    text = text[:start] + text[start:].replace('"both"', '"plant"', 1)
    with pytest.raises(Misconfigured) as caught:
        caserules.parse(text, "cases.toml")
    told = "\n".join(map(str, caught.value.problems))
    assert len(caught.value.problems) == 4
    for words in (
        "severity.3: is a severity and not there",
        "severity.1.repair: is for cases that end with their alert",
        "severity.2.escalates_to: is less grave than 2",
        "severity.4.closes: is less than what a lesser severity asks for",
    ):
        assert words in told
    assert re.search(r"cases\.toml:\d+: severity\.2", told)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("repair = 3", "repair = -1"),
        ("repair = 3", 'repair = "three"'),
        ("repair = 3", "repiar = 3"),
        ('mark = "third_party"', 'mark = "guessed"'),
        ("most_plan_days = 183", "most_plan_days = 4000"),
        ("[cause.other]", "[cause.Other]"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_line(line: str, wrong: str) -> None:
    assert line in TEXT
    with pytest.raises(Misconfigured, match=r"cases\.toml:\d+"):
        caserules.parse(TEXT.replace(line, wrong, 1), "cases.toml")
