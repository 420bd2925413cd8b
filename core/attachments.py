"""What may be attached to a case: a few kinds of document, known by their content, bounded. Pure.

The first bytes decide what a file is, not what its sender calls it: what is served later under a
media type really is of that type.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Final

from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES: Final = 5 * 1024 * 1024  # a scan of some pages; the table checks it too
MOST_OF_A_CASE: Final = 20
MOST_NAME_CHARS: Final = 200
PDF: Final = "application/pdf"
PNG: Final = "image/png"
JPEG: Final = "image/jpeg"
CSV: Final = "text/csv"
TEXT: Final = "text/plain"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MAGIC: Final[Mapping[str, bytes]] = {
    PDF: b"%PDF-",
    PNG: b"\x89PNG\r\n\x1a\n",
    JPEG: b"\xff\xd8\xff",
}
_INSIDE: Final[Mapping[str, str]] = {XLSX: "xl/workbook.xml", DOCX: "word/document.xml"}
KINDS: Final = (PDF, PNG, JPEG, XLSX, DOCX, CSV, TEXT)
_UNSEEN: Final = frozenset("/\\")


def name(given: str) -> str:
    """Return a file's name without what no name needs; raises Rejected where nothing is left."""
    last = given.replace("\\", "/").rpartition("/")[2]
    shown = "".join(each for each in last if each.isprintable() and each not in _UNSEEN).strip()
    if not shown.strip(". ") or len(shown) > MOST_NAME_CHARS:
        raise Rejected(f"the file's name is empty or over {MOST_NAME_CHARS} characters: rename it")
    return shown


def check(media_type: str, content: bytes) -> str:
    """Return the media type where the content is of it; raises Rejected with what to do."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise Rejected(
            f"{kind[:80] or 'nothing'} cannot be attached: use one of {', '.join(KINDS)}"
        )
    if not content:
        raise Rejected("the file is empty: choose another one")
    if len(content) > MOST_BYTES:
        raise Rejected(f"the file is larger than {MOST_BYTES} bytes: split or compress it")
    if not _is(kind, content):
        raise Rejected(f"the file is no {kind}, whatever it is called: save it again as one")
    return kind


def _is(kind: str, content: bytes) -> bool:
    if kind in _MAGIC:
        return content.startswith(_MAGIC[kind])
    if kind in _INSIDE:
        return _holds(content, _INSIDE[kind])
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(each in "\t\r\n" or ord(each) >= ord(" ") for each in text)


def _holds(content: bytes, member: str) -> bool:
    """Tell whether a zip archive lists a member and no macros; nothing is unpacked."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, RuntimeError):  # newer than it can read
        return False
    macros = any(each.lower().endswith("vbaproject.bin") for each in names)
    return {"[Content_Types].xml", member} <= names and not macros
