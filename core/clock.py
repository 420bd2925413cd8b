"""The one place that reads the clock; programs hand its result, or itself, to everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Return the present instant, aware and in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the single allowed reader


def to_us(at: datetime) -> int:
    """Return microseconds since 1970-01-01T00:00Z of an aware instant, exactly."""
    delta = at.astimezone(UTC) - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_us(instant_us: int) -> datetime:
    """Return the aware UTC instant of microseconds since 1970-01-01T00:00Z, exactly."""
    seconds, micro = divmod(instant_us, 1_000_000)
    days, seconds = divmod(seconds, 86_400)
    return _EPOCH + timedelta(days=days, seconds=seconds, microseconds=micro)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
