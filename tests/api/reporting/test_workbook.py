"""Promises of workbooks: numbers stay numbers, charts are native, heads frozen, pages A4."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from openpyxl import load_workbook

from api.reporting import workbook
from core.reports import document as documents
from core.reports.document import Language
from tests.core.reports import sample

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

ZH, EN = Language.ZH, Language.EN


def opened(language: Language = EN) -> Workbook:
    return load_workbook(BytesIO(workbook.render(sample.with_all(), language)))


def column(sheet: Worksheet, head: str) -> list[object]:
    heads = [str(cell.value) for cell in sheet[1]]
    at = next(number for number, one in enumerate(heads) if one.startswith(head))
    return [row[at].value for row in sheet.iter_rows(min_row=2)]


def test_every_section_has_a_sheet_and_long_tables_their_own() -> None:
    assert opened().sheetnames == [
        "Summary",
        "2 Potline 1 – AC electricity of",
        "2 Day by day",
        "3 Month close",
        "4 Where the limits come from",
        "Chart data",
    ]
    assert opened(ZH).sheetnames[0] == "摘要"


def test_the_days_are_the_figures_of_the_store_as_numbers() -> None:
    sheet = opened()["2 Day by day"]
    energies = column(sheet, "Energy")
    wanted = [one["energy"]["value"] for one in sample.days()]
    assert energies[:31] == [float(one) if one else "—" for one in wanted]
    assert energies[31] == 128840684.998848
    assert sheet.cell(2, 2).number_format.startswith("#,##0")
    assert isinstance(sheet.cell(2, 1).value, datetime)


def test_heads_are_frozen_and_repeated_and_a_sheet_prints_one_page_wide_on_a4() -> None:
    book = opened()
    days = book["2 Day by day"]
    assert days.freeze_panes == "B2"
    assert days.print_title_rows == "$1:$1"
    for sheet in book.worksheets:
        assert sheet.page_setup.paperSize == 9
        assert sheet.page_setup.fitToWidth in {None, 1}  # one is what is meant by none
        scaled, foot = sheet.sheet_properties.pageSetUpPr, sheet.oddFooter
        assert scaled is not None
        assert scaled.fitToPage
        assert foot is not None
        assert foot.right.text == "&P / &N"


def test_charts_are_native_and_draw_what_the_last_sheet_holds() -> None:
    book = opened()
    assert [len(sheet._charts) for sheet in book.worksheets] == [1, 3, 0, 0, 0, 0]  # type: ignore[attr-defined]
    data = book["Chart data"]
    values = [row[1] for row in data.iter_rows(values_only=True)]
    daily = next(number for number, one in enumerate(values) if one == "daily figure")
    days = values[daily + 1 : daily + 32]
    wanted = [one["intensity"]["value"] for one in sample.days()]
    assert days == [None if one is None else float(one) for one in wanted]


@pytest.mark.parametrize("language", Language)
def test_the_same_report_makes_the_same_bytes(language: Language) -> None:
    assert workbook.render(sample.with_all(), language) == workbook.render(
        sample.with_all(), language
    )


def test_no_text_becomes_a_formula() -> None:
    bad = documents.Facts("x", ((documents.same("=1+1"), "=cmd()"),))
    section = documents.Section("s", documents.same("=A1"), (bad,))
    report = replace(sample.document(), sections=(section,))
    sheet = load_workbook(BytesIO(workbook.render(report, EN))).worksheets[0]
    types = {cell.data_type for row in sheet.iter_rows() for cell in row}
    assert "f" not in types


def test_sheet_names_are_allowed_and_unique_whatever_sections_are_called() -> None:
    name = documents.same("a/b[c]: " + "炉" * 40)
    sections = tuple(documents.Section(f"s{n}", name, ()) for n in range(12))
    report = replace(sample.document(), sections=sections)
    names = load_workbook(BytesIO(workbook.render(report, EN))).sheetnames
    assert len(set(names)) == 12
    assert all(len(one) <= 31 and not set(one) & set("[]:*?/\\") for one in names)
