"""What a request may say beside its path: time ranges, page sizes, cursors, a bounded body.

Times are RFC 3339 with an offset, ranges are half-open, cursors are opaque to the caller: base64
of the last item's key. A wrong value is a 422 that names its parameter.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec
from fastapi import Depends, Query, Request

from api import problems
from core import periods
from core.clock import from_us, to_us
from core.periods import Period

DEFAULT_LIMIT: Final = 500
MOST_LIMIT: Final = 5000
MOST_CURSOR_CHARS: Final = 512
EARLIEST_US: Final = to_us(datetime(1970, 1, 1, tzinfo=UTC))
LATEST_US: Final = to_us(datetime(2200, 1, 1, tzinfo=UTC))
# A `+` that nobody escaped arrives as a space; nothing else can stand there.
_LOST_PLUS: Final = re.compile(r" (?=\d\d:\d\d$)")

Limit = Annotated[int, Query(ge=1, le=MOST_LIMIT, description="Items of one page, at most 5000.")]
Cursor = Annotated[
    str | None,
    Query(max_length=MOST_CURSOR_CHARS, description="`next` of the page before, as it was given."),
]
From = Annotated[
    str | None,
    Query(alias="from", description="RFC 3339 with offset; default: start of this month."),
]
To = Annotated[
    str | None,
    Query(description="RFC 3339 with offset, exclusive; default: end of this month."),
]
AsOf = Annotated[
    str | None,
    Query(description="RFC 3339 with offset: answer with what the store knew at that instant."),
]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of time in microseconds."""

    from_us: int
    until_us: int


def instant(parameter: str, text: str) -> int:
    """Read an instant; raises the 422 that names the parameter."""
    try:
        at_us = periods.parse_instant(_LOST_PLUS.sub("+", text.strip()))
    except (ValueError, OverflowError) as error:
        raise problems.bad_parameter(
            parameter,
            f"{text[:40]!r} is not a time with an offset: write 2026-10-01T00:00:00+08:00"
            " (in an address `+` is %2B) or 2026-09-30T16:00:00Z",
        ) from error
    if not EARLIEST_US <= at_us <= LATEST_US:
        raise problems.bad_parameter(parameter, f"{text[:40]!r} is not between 1970 and 2200")
    return at_us


def as_of(text: str | None, now_us: int, parameter: str = "as_of") -> int | None:
    """Read the instant to answer as of, None without one; raises the 400 for one that is ahead."""
    if text is None:
        return None
    at_us = instant(parameter, text)
    if at_us > now_us:
        raise problems.ProblemError(
            400,
            f"`{parameter}` {text[:40]!r} lies ahead of {periods.render_utc(now_us)}: nobody knows"
            " what will be known then; leave it out for what is known now",
            "as_of_ahead",
            extra={"errors": [{"parameter": parameter, "message": "lies in the future"}]},
        )
    return at_us


def span(from_text: str | None, to_text: str | None, now_us: int, zone: str) -> Span:
    """Return the range asked for; what is left out is the current month's, in plant time."""
    month_start, month_end = periods.period_at(Period.MONTH, now_us, zone)
    from_us = month_start if from_text is None else instant("from", from_text)
    until_us = max(month_end, from_us) if to_text is None else instant("to", to_text)
    if until_us < from_us:
        raise problems.bad_parameter("to", "lies before `from`: swap them or widen the range")
    return Span(from_us, until_us)


@dataclass(frozen=True, slots=True)
class Window:
    """A page of a range of time, as it was asked for and not yet read."""

    from_text: str | None
    to_text: str | None
    limit: int
    cursor: str | None

    def span(self, now_us: int, zone: str) -> Span:
        """Return the range; see `span`."""
        return span(self.from_text, self.to_text, now_us, zone)

    def resumed(self, now_us: int, zone: str) -> Span:
        """Return what is left of the range for a list whose cursor is an instant."""
        asked = self.span(now_us, zone)
        after = decode_cursor(self.cursor, int)
        if after is None:
            return asked
        return Span(max(asked.from_us, min(after[0], LATEST_US)), asked.until_us)


def window(
    from_: From = None, to: To = None, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Window:
    """Collect `from`, `to`, `limit` and `cursor` of a request."""
    return Window(from_, to, limit, cursor)


Windowed = Annotated[Window, Depends(window)]


async def body(request: Request, most_bytes: int, advice: str) -> bytes:
    """Return the body, at most so many bytes of it; raises 413 with the advice beyond."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise problems.ProblemError(
                413, f"The body is larger than {most_bytes} bytes: {advice}."
            )
        parts.append(chunk)
    return b"".join(parts)


def encode_cursor(*key: Any) -> str:
    """Return the opaque cursor of the last item's key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def decode_cursor(cursor: str | None, *kinds: type) -> Sequence[Any] | None:
    """Return the key inside a cursor, or None without one; raises the 422 on a forged one."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.DecodeError) as error:
        raise _foreign_cursor() from error
    if not isinstance(key, list) or [type(part) for part in key] != list(kinds):
        raise _foreign_cursor()
    if any(isinstance(part, int) and abs(part) >= 2**63 for part in key):
        raise _foreign_cursor()
    return key


def created_key(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Return the key inside the cursor of a list that is sorted by when its items were made."""
    key = decode_cursor(cursor, int, str)
    if key is None:
        return None
    try:
        return from_us(key[0]), UUID(key[1])
    except (ValueError, OverflowError) as error:
        raise _foreign_cursor() from error


def _foreign_cursor() -> problems.ProblemError:
    return problems.bad_parameter(
        "cursor", "is not one of ours: use `next` of the page before, as it was given"
    )


def page_of_ids(
    items: Iterable[T], ids: Sequence[str], limit: int, cursor: str | None
) -> tuple[list[T], str | None]:
    """Cut a page out of items sorted by their ids, which run beside them."""
    after = decode_cursor(cursor, str)
    found: list[T] = []
    last = ""
    for identifier, item in zip(ids, items, strict=True):
        if after is not None and identifier <= after[0]:
            continue
        if len(found) == limit:
            return found, encode_cursor(last)
        found.append(item)
        last = identifier
    return found, None


def page_of_periods(
    period: Period, asked: Window, now_us: int, zone: str
) -> tuple[list[tuple[int, int]], str | None]:
    """Return one page of periods that begin in the range and not after now, oldest first."""
    left = asked.resumed(now_us, zone)
    limit = asked.limit
    bounds: list[tuple[int, int]] = []
    start, end = periods.period_at(period, left.from_us, zone)
    if start < left.from_us:
        start, end = periods.period_at(period, end, zone)
    while start < left.until_us and start <= now_us:
        if len(bounds) == limit:
            return bounds, encode_cursor(start)
        bounds.append((start, end))
        start, end = periods.period_at(period, end, zone)
    return bounds, None
