"""What may be attached: known by its content, whatever it is called."""

from __future__ import annotations

import contextlib
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import attachments
from core.attachments import CSV, DOCX, JPEG, PDF, PNG, TEXT, XLSX
from core.errors import Rejected


def archive(*names: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        for name in names:
            file.writestr(name, "<x/>")
    return sink.getvalue()


SHEET = archive("[Content_Types].xml", "xl/workbook.xml")
LETTER = archive("[Content_Types].xml", "word/document.xml")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%PDF-1.7", PDF),
        (b"\x89PNG\r\n\x1a\n...", PNG),
        (b"\xff\xd8\xff\xe0", JPEG),
        (SHEET, XLSX),
        (LETTER, DOCX),
        ("日期,千瓦时\r\n2026-11-01,1\n".encode(), CSV),
        (b"words", "text/plain; charset=utf-8"),
    ],
)
def test_documents_of_the_list_pass(content: bytes, kind: str) -> None:
    assert attachments.check(kind.upper(), content) == kind.partition(";")[0]


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b"<html>", PDF, "is no application/pdf"),
        (b"<html>", "text/html", "cannot be attached"),
        (b"%PDF-1.7", PNG, "is no image/png"),
        (b"\xff\xfe", CSV, "is no text/csv"),
        (b"a\x00b", TEXT, "is no text/plain"),
        (b"", TEXT, "is empty"),
        (b"x" * (attachments.MOST_BYTES + 1), TEXT, "larger than"),
        (archive("a.txt"), XLSX, "is no application/vnd"),
        (LETTER, XLSX, "is no application/vnd"),
        (SHEET[: len(SHEET) // 2], XLSX, "is no application/vnd"),
        (
            archive("[Content_Types].xml", "xl/workbook.xml", "xl/vbaProject.bin"),
            XLSX,
            "is no application/vnd",
        ),
        (b"PK\x03\x04", DOCX, "is no application/vnd"),
        (b"%PDF-1.7", "", "nothing cannot be attached"),
    ],
)
def test_all_else_is_refused_with_what_to_do(content: bytes, kind: str, says: str) -> None:
    with pytest.raises(Rejected, match=says):
        attachments.check(kind, content)


@given(content=st.binary(max_size=200), kind=st.sampled_from(attachments.KINDS))
def test_whatever_comes_is_taken_or_refused_and_nothing_else_happens(
    content: bytes, kind: str
) -> None:
    with contextlib.suppress(Rejected):
        assert attachments.check(kind, content) == kind


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("scan.pdf", "scan.pdf"),
        ("C:\\scans\\证明 1.pdf", "证明 1.pdf"),
        ("../../etc/passwd", "passwd"),
        ("a\r\nX-Evil: 1.pdf", "aX-Evil: 1.pdf"),
    ],
)
def test_a_name_is_a_name_and_no_path(given_name: str, shown: str) -> None:
    assert attachments.name(given_name) == shown


@pytest.mark.parametrize("given_name", ["", " ", "..", "/", "\r\n", "x" * 201])
def test_what_is_no_name_is_refused(given_name: str) -> None:
    with pytest.raises(Rejected, match="rename it"):
        attachments.name(given_name)
