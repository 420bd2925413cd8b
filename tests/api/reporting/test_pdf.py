"""Promises of pages: A4, embedded text that can be searched, figures of the store, one foot."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdfium2 import PdfDocument

from api.reporting import face, pdf
from core.errors import Misconfigured
from core.reports import document as documents
from core.reports.document import Language
from tests.core.reports import sample

if TYPE_CHECKING:
    from pathlib import Path

ZH, EN = Language.ZH, Language.EN
A4 = (595, 842)  # points


@cache
def made(language: Language) -> bytes:
    return pdf.render(sample.with_all(), language, face.path({}))


def pages(file: bytes) -> list[str]:
    """Return the text of each page, as the engine of a browser reads it."""
    return [page.get_textpage().get_text_range() for page in PdfDocument(file)]


def test_every_page_is_a4_and_has_its_number_of_all() -> None:
    found = PdfDocument(made(EN))
    texts = pages(made(EN))
    for number, (page, text) in enumerate(zip(found, texts, strict=True), start=1):
        assert tuple(round(side) for side in page.get_size()) == A4
        assert f"{number} / {len(texts)}" in text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (ZH, ("单位产品能耗限额执行月报", "电解一系列", "超限", "示例铝厂", "表计翻转")),
        (EN, ("Monthly report on energy limits", "Potline 1", "exceeds", "meter rolled over")),
    ],
)
def test_the_text_can_be_searched_in_its_language(
    language: Language, words: tuple[str, ...]
) -> None:
    text = "\n".join(pages(made(language)))
    assert [word for word in words if word not in text] == []


def test_the_figures_are_those_of_the_store() -> None:
    text = re.sub(r"\s", "", "".join(pages(made(EN))))
    month = sample.month()
    for value in (month["intensity"]["value"], month["energy"]["value"]):
        assert value in text
    for day in sample.days():
        if day["energy"]["value"] is not None:
            assert day["period_start"][:10] + day["energy"]["value"] in text


def test_the_only_font_is_embedded() -> None:
    fonts = set(re.findall(rb"/FontName /(\S+)", made(ZH)))
    assert len(fonts) == 1
    assert b"NotoSansSC" in fonts.pop()
    assert made(ZH).count(b"/FontFile3") == 1


def test_sections_are_bookmarks_and_the_language_is_told() -> None:
    titles = [one.get_title() for one in PdfDocument(made(ZH)).get_toc()]
    assert titles == ["摘要", "电解一系列·铝液交流电耗", "月结", "限额出处"]
    assert b"/Lang (zh-CN)" in made(ZH)
    assert b"/Lang (en)" in made(EN)


@pytest.mark.parametrize("language", Language)
def test_the_same_report_makes_the_same_bytes(language: Language) -> None:
    assert pdf.render(sample.with_all(), language, face.path({})) == made(language)


def test_another_instant_of_making_changes_only_what_says_so() -> None:
    later = replace(sample.with_all(), made_us=sample.MADE_US + 3_600_000_000)
    again = pages(pdf.render(later, EN, face.path({})))
    changed = [
        after
        for old, new in zip(pages(made(EN)), again, strict=True)
        for before, after in zip(old.splitlines(), new.splitlines(), strict=True)
        if before != after
    ]
    assert len(changed) == 1
    assert "13:00:00+08:00" in changed[0]


def test_a_font_that_is_not_there_is_told_with_its_variable(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.otf")
    with pytest.raises(Misconfigured, match=f"{face.FONT_VARIABLE}: no font file"):
        face.path({face.FONT_VARIABLE: missing})


def test_a_long_table_repeats_its_head_on_every_page() -> None:
    column = documents.Column("c", documents.same("Head of it"))
    table = documents.Table(
        "t", documents.same("t"), (column,), tuple((f"row-{n}",) for n in range(200))
    )
    section = documents.Section("s", documents.same("s"), (table,))
    report = replace(sample.document(), sections=(section,))
    found = pages(pdf.render(report, EN, face.path({})))
    assert len(found) > 2
    assert all("Head of it" in text for text in found)
    rows = "\n".join(found).split()
    assert [n for n in range(200) if f"row-{n}" not in rows] == []


@given(st.text(st.sampled_from("单耗限额，。（）GB 21346-2022 kWh/t. "), max_size=80))
def test_lines_lose_no_character_and_none_begins_with_a_closing_mark(text: str) -> None:
    widths = {ord(char): 0.5 for char in " -./0123456789GBkWht"}

    def measure(part: str) -> float:
        return face.width(part, 1, widths)

    lines = face.wrap(text, 8.0, measure)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(measure(line) <= 8.0 for line in lines)
