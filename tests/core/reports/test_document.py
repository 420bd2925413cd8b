"""Promises of a document: exact values, bounds, one shape; both languages say something."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from core.errors import Rejected
from core.reports import document
from core.reports.document import (
    MOST_ROWS,
    Chart,
    Column,
    Day,
    Facts,
    Section,
    Series,
    Table,
    Text,
    figure,
    same,
)
from tests.core.reports import sample

COLUMN = Column("one", same("one"))


def _with(block: document.Block) -> document.Document:
    found = sample.document()
    return replace(found, sections=(Section("only", same("only"), (block,)),))


def test_a_figure_is_the_exact_value_and_unknown_stays_unknown() -> None:
    assert figure(Fraction(-1, 8)) == document.Figure("-0.125")
    assert figure(Fraction(1, 3)) == document.Figure("0.333333333333")
    assert figure(Fraction(0)) == document.Figure("0")
    assert figure(None) is None
    with pytest.raises(ValueError, match="decimal"):
        figure("NaN")


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (Table("t", same("t"), (COLUMN,), ((None, None),)), "as many values as columns"),
        (Table("t", same("t"), (COLUMN,), ((None,),) * (MOST_ROWS + 1)), "rows, at most"),
        (
            Chart("c", same("c"), "%", 0, (Day("2026-10-01"),), (Series("s", same("s"), ()),)),
            "as many values as labels",
        ),
        (
            Chart("c", same("c"), "%", 0, ("x",) * 401, (Series("s", same("s"), ("1",) * 401),)),
            "over 400 labels",
        ),
    ],
)
def test_what_cannot_be_set_is_refused_with_its_place(block: document.Block, said: str) -> None:
    with pytest.raises(Rejected, match=said):
        document.check(_with(block))


def test_two_parts_of_one_name_are_refused() -> None:
    facts = Facts("twice", ())
    section = Section("only", same("only"), (facts, facts))
    with pytest.raises(Rejected, match="'twice' is there twice"):
        document.check(replace(sample.document(), sections=(section,)))


def test_every_text_of_a_report_is_there_in_both_languages() -> None:
    for text in document.texts(sample.with_all()):
        assert bool(text.zh) == bool(text.en), text


def test_texts_are_found_wherever_they_stand() -> None:
    found = {one.en for one in document.texts(sample.with_all())}
    assert {"Monthly report on energy limits", "Deviation", "exceeds", "late readings"} <= found
    assert Text("示例铝厂", "Demo Aluminium").en in found
