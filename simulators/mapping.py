"""The map of a recorded file (MAP of `danhao simulate replay`): which column is which point.

Read with line numbers, all mistakes at once. The map says what files themselves leave open: the
zone of their stamps, whether a stamp begins or ends its interval, whose midnight 00:00 is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core import names, periods, plantfile, tomlfile
from core.clock import to_us

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_STRICT = ConfigDict(extra="forbid", frozen=True)
_SECOND_US: Final = 1_000_000


class Stamps(StrEnum):
    """What a stamp marks: the begin or the end of its interval."""

    BEGIN = "begin"
    END = "end"


class Midnight(StrEnum):
    """Which day a 00:00 row is dated by: the day it opens, or the day it ends."""

    NEXT_DAY = "next_day"
    SAME_DAY_END = "same_day_end"


class FileTable(BaseModel):
    """How the file is written."""

    model_config = _STRICT
    encoding: str = "utf-8-sig"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    skip: Annotated[int, Field(ge=0, le=1000)] = 0

    @model_validator(mode="after")
    def _readable(self) -> FileTable:
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ValueError(f"no encoding is called {self.encoding!r}") from error
        return self


class TimeTable(BaseModel):
    """How a stamp becomes an instant."""

    model_config = _STRICT
    column: str
    format: str
    zone: str = "Asia/Shanghai"
    stamps: Stamps = Stamps.BEGIN
    interval_s: Annotated[int, Field(gt=0, le=366 * 86_400)] | None = None
    shift_s: Annotated[int, Field(ge=-366 * 86_400, le=366 * 86_400)] = 0
    midnight: Midnight = Midnight.NEXT_DAY

    @model_validator(mode="after")
    def _fits(self) -> TimeTable:
        periods.zone(self.zone)
        if self.stamps is Stamps.END and self.interval_s is None:
            raise ValueError('stamps = "end" needs interval_s, the length of the interval')
        return self


class ColumnTable(BaseModel):
    """One column: its point; with `resolution` [unit per count] it is a counter of whole counts."""

    model_config = _STRICT
    name: str
    point: Annotated[str, Field(pattern=names.POINT_PATTERN)]
    resolution: plantfile.Positive | None = None


class MapFile(BaseModel):
    """The whole map."""

    model_config = _STRICT
    agent: Annotated[str, Field(pattern=names.SITE_PATTERN)] = "replay-01"
    file: FileTable = Field(default_factory=FileTable)
    time: TimeTable
    column: Annotated[tuple[ColumnTable, ...], Field(min_length=1, max_length=1000)]

    @model_validator(mode="after")
    def _one_site(self) -> MapFile:
        points = [column.point for column in self.column]
        if len({names.site_of(point) for point in points}) > 1:
            raise ValueError("the columns' points belong to several sites: write one map for each")
        if len(set(points)) < len(points):
            raise ValueError("two columns have the same point: give each its own")
        return self

    @property
    def site(self) -> str:
        """Return the site that all columns belong to."""
        return names.site_of(self.column[0].point)


def parse(text: str, name: str) -> MapFile:
    """Read a map; raises Misconfigured with every problem, its file, line and key."""
    return tomlfile.validate(tomlfile.parse(text, name), MapFile)


@dataclass(slots=True)
class StampReader:
    """Turns the stamps of a file, in file order, into instants [us].

    File order matters only for the hour that a zone repeats in autumn: its second pass is told by
    the stamps falling back.
    """

    table: TimeTable
    _zone: ZoneInfo
    _last_us: int | None

    def __init__(self, table: TimeTable) -> None:
        self.table = table
        self._zone = periods.zone(table.zone)
        self._last_us = None

    def read(self, text: str) -> int:
        """Return the instant the reading was measured at; raises ValueError with one sentence."""
        local = self._local(text)
        instant_us = self._instant(local)
        self._last_us = instant_us
        table = self.table
        if table.stamps is Stamps.END and table.interval_s is not None:
            instant_us -= table.interval_s * _SECOND_US
        return instant_us + table.shift_s * _SECOND_US

    def _local(self, text: str) -> datetime:
        try:
            stamp = datetime.strptime(text, self.table.format)  # noqa: DTZ007 - the zone follows
        except ValueError as error:
            raise ValueError(
                f"the stamp {text[:40]!r} is not of the form {self.table.format!r}"
            ) from error
        if stamp.tzinfo is not None:
            return stamp
        midnight = stamp.hour == stamp.minute == stamp.second == 0
        if midnight and self.table.midnight is Midnight.SAME_DAY_END:
            stamp += timedelta(days=1)
        return stamp

    def _instant(self, local: datetime) -> int:
        if local.tzinfo is not None:
            return to_us(local)
        early = to_us(local.replace(tzinfo=self._zone, fold=0))
        late = to_us(local.replace(tzinfo=self._zone, fold=1))
        if early == late:
            return early
        if early > late:
            raise ValueError(f"the stamp {local} does not exist in {self.table.zone}")
        return late if self._last_us is not None and early <= self._last_us else early
