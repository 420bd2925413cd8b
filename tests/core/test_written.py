"""Tables as they are written: a mistake of shape hides no mistake of meaning but its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import definition, indicators, tomlfile, written
from core.definition import IndicatorFile, IndicatorTable
from core.errors import Misconfigured
from core.written import Unread, Written

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = """\
[indicator."x"]
name = { zh = "甲", en = "x" }
unit = "kWh/t"
energy_unit = "kWh"
carriers = ["electricity"]
output = ["tapping"]
product = "x"
source = "GB 0"
boundary = { zh = "界", en = "b" }
formula = "x"
"""
# Mistakes that do not touch one another: what to replace, by what, and what is said of it.
MISTAKES = (
    ('name = { zh = "甲", en = "x" }', "name = 3", "x.name: "),
    ('source = "GB 0"', "", "x.source: is required"),
    ('formula = "x"', 'formula = "x"\nlater = { zh = "待" }', "says in `later`"),
    ('product = "x"', 'product = "x"\nmark = "hearsay"', "x.mark: "),
    ('["electricity"]', '["electricity", "power"]', "unknown carrier 'power'"),
    ('"kWh/t"', '"kWh/kg"', "kWh over t is not kWh/kg"),
    ('boundary = { zh = "界", en = "b" }', 'requires = [["coke"]]', "coke is not among"),
    ('["tapping"]', '["tapping"]\nbasis = "primary"', "a basis is that of kgce"),
)


@settings(deadline=None, max_examples=60)
@given(st.sets(st.sampled_from(MISTAKES), min_size=1))
def test_each_mistake_is_told_whatever_else_is_wrong(
    planted: set[tuple[str, str, str]],
) -> None:
    text = ROW
    for old, new, _ in planted:
        text = text.replace(old, new, 1)
    with pytest.raises(Misconfigured) as caught:
        indicators.parse(text, "mine.toml")
    said = str(caught.value)
    assert [says for _, _, says in planted if says not in said] == []
    # Without its line for the boundary, a row lacks it besides.
    more = any(old.startswith("boundary") for old, _, _ in planted)
    assert len(caught.value.problems) == len(planted) + more


def row_of(text: str) -> Written:
    document = tomlfile.parse(text, "mine.toml")
    _, _, wrong = written.shape(document, IndicatorFile)
    (row,) = written.rows(document, "indicator", IndicatorTable, wrong)
    return row


def test_a_key_that_is_not_written_has_the_default_of_its_model() -> None:
    row = row_of(ROW)
    assert (row["computes"], row["metered"], row["output_unit"]) == (True, "sum", "t")
    assert row["product"] == "x"


def test_what_has_the_wrong_shape_is_not_given_to_a_check() -> None:
    row = row_of(ROW.replace('["electricity"]', '["electricity", 3]'))
    with pytest.raises(Unread):
        row["carriers"]
    assert row.has("carriers")

    def check(one: Written) -> Iterator[str]:
        yield str(one["product"])
        yield str(one["carriers"])

    assert list(written.told(check, row)) == ["x"]


@pytest.mark.parametrize("text", ["indicator = 3", '[indicator]\nx = "y"', "[other]"])
def test_what_is_no_table_of_rows_is_a_mistake_of_shape(text: str) -> None:
    document = tomlfile.parse(text, "mine.toml")
    table, problems, wrong = written.shape(document, IndicatorFile)
    assert table is None
    assert problems
    assert definition.problems(document, wrong) == []
