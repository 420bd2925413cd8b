"""Documents that people attach to cases: append-only, bounded in size and number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import attachments
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.cases import Side


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was attached; its content is read apart."""

    id: UUID
    case: UUID
    at: datetime
    who: str
    side: str
    name: str
    media_type: str
    sha256: bytes
    size_bytes: int


_SELECT = (
    "select attachment, alert_case, at, who, side, name, media_type, sha256, length(content)"
    " from case_attachment"
)


async def add(
    connection: AsyncConnection[Any],
    case: UUID,
    by: tuple[str, Side],
    document: tuple[str, str, bytes],
    at: datetime,
) -> tuple[Document, bool]:
    """Attach a document (name, media type, content) and tell whether it is new to the case.

    The same content again is the document that is there. Raises Rejected beyond the bound. The
    caller has locked the case and checked the content.
    """
    name, media_type, content = document
    sha256 = hashlib.sha256(content).digest()
    known = await of_case(connection, case)
    for one in known:
        if one.sha256 == sha256:
            return one, False
    if len(known) >= attachments.MOST_OF_A_CASE:
        raise Rejected(
            f"a case holds at most {attachments.MOST_OF_A_CASE} documents: put several into one",
            "too_many",
        )
    who, side = by
    await connection.execute(
        "insert into case_attachment (alert_case, at, who, side, name, media_type, sha256, content)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (case, at, who, side.value, name, media_type, sha256, content),
    )
    cursor = await connection.execute(
        f"{_SELECT} where alert_case = %s and sha256 = %s", (case, sha256)
    )
    row = await cursor.fetchone()
    assert row is not None, "it was written a line above"  # noqa: S101 - a belief
    return Document(*row), True


async def of_case(connection: AsyncConnection[Any], case: UUID) -> list[Document]:
    """Return the documents of a case, the oldest first."""
    cursor = await connection.execute(
        f"{_SELECT} where alert_case = %s order by at, attachment", (case,)
    )
    return [Document(*row) for row in await cursor.fetchall()]


async def content(
    connection: AsyncConnection[Any], case: UUID, attachment: UUID
) -> tuple[Document, bytes] | None:
    """Return one document of a case with its content, None where the case has no such one."""
    cursor = await connection.execute(
        f"{_SELECT.replace(' from', ', content from')} where alert_case = %s and attachment = %s",
        (case, attachment),
    )
    row = await cursor.fetchone()
    return None if row is None else (Document(*row[:-1]), bytes(row[-1]))


async def missing(
    connection: AsyncConnection[Any], case: UUID, wanted: Iterable[UUID], side: Side
) -> list[UUID]:
    """Return which of these are no documents that this side attached to the case."""
    found = {each.id for each in await of_case(connection, case) if each.side == side.value}
    return [each for each in wanted if each not in found]
