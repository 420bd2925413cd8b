"""What data conditions see of points, meters, days, deliveries and the service: one look each.

A look answers with what it saw of the subjects that are not well, or may not be; a subject that is
not in the answer is well. Promise: what we could not hear is unknown, not silent. While nothing
reaches us at all, no look at silence says anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from core import indicators, names
from core.clock import to_us
from core.conditions import LANGUAGES, Seen, Subject, SubjectKind, Watch
from core.meterchecks import findings, words
from core.plantfile import DEFAULT_MAX_GAP_S
from ingest import agentsights
from ingest.asking import DAY, HOUR, PROOF, growing, seconds, utc
from store import circuits, meterchecks, watched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from core.plant import Plant, Point
    from ingest.asking import Asking

    Look = Callable[["Asking"], Awaitable[list[Seen] | None]]

TRACKED: Final = timedelta(minutes=5)  # points quieter than this are looked at
MOST_SAID: Final = 2  # findings of one meter that its sentence names


@dataclass(slots=True)
class Points:
    """Points that are quiet, each with its newest reading and when that was seen to change.

    A point whose newest reading is old but goes on is not silent: it is being caught up with.
    """

    _known: dict[int, tuple[datetime, datetime | None]] = field(default_factory=dict)
    _looked_at: datetime | None = None

    async def look(self, asking: Asking) -> list[Seen] | None:
        """Return how long each quiet point has been so; one that was never heard is not quiet."""
        if asking.heard_since is None:
            return None
        quiet = await watched.quiet_points(asking.connection, asking.now - TRACKED)
        self._known = {
            number: self._compared(number, newest, asking.now) for number, newest in quiet.items()
        }
        self._looked_at = asking.now
        return [
            self._seen(point, self._known[number], asking)
            for point_id, number in asking.point_ids.items()
            for point in [asking.plant.points.get(point_id)]
            if point is not None and number in quiet and _is_late(point, quiet[number], asking.now)
        ]

    def _compared(
        self, number: int, newest: datetime, now: datetime
    ) -> tuple[datetime, datetime | None]:
        known = self._known.get(number)
        if known is not None:
            return known if known[0] >= newest else (newest, now)
        # It was not among the quiet ones: a reading so old has just come.
        is_old = self._looked_at is not None and newest < self._looked_at - TRACKED
        return newest, now if is_old else None

    @staticmethod
    def _seen(point: Point, known: tuple[datetime, datetime | None], asking: Asking) -> Seen:
        newest, went_on = known
        is_caught_up_with = went_on is not None and asking.now - went_on < PROOF
        proven = None if is_caught_up_with else asking.quiet(newest)
        return Seen(
            Subject(SubjectKind.POINT, point.id),
            None if proven is None else seconds(asking.now - _covers(point, newest)),
            facts={"newest_reading_at": utc(newest)},
        )


def _covers(point: Point, newest: datetime) -> datetime:
    """Return until when a reading tells what was: an interval's until the interval ends."""
    return newest + timedelta(microseconds=point.interval_us or 0)


def _is_late(point: Point, newest: datetime, now: datetime) -> bool:
    """Tell whether a point that may be quiet for long, by its declaration, has been for longer."""
    is_slow = point.max_gap_us > DEFAULT_MAX_GAP_S * 1_000_000
    return not is_slow or to_us(now) - to_us(_covers(point, newest)) > point.max_gap_us


async def letters(asking: Asking) -> list[Seen] | None:
    """Return how many dead letters of each site came within the hour."""
    return [
        Seen(
            Subject(SubjectKind.SITE, each.site),
            Decimal(each.letters),
            words={"reason": each.reason},
            facts={"reason": each.reason},
        )
        for each in await watched.letters(asking.connection, asking.now - HOUR)
        if each.site in asking.plant.sites
    ]


async def meters(asking: Asking) -> list[Seen] | None:
    """Return what the newest checks of meters found, by the meter named or what was looked at."""
    found: dict[tuple[str, str], list[findings.Finding]] = {}
    newest = await meterchecks.newest(asking.connection, list(asking.plant.sites))
    for site, kept in newest.items():
        for item in kept.report["findings"]:
            one = findings.of_item(item)
            if one.until_us is None:
                found.setdefault((site, one.named or one.subject), []).append(one)
    return [
        Seen(
            _subject_of(subject, asking.plant),
            Decimal(len(own)),
            words={"finding": _sentences(own, asking.plant.sites[site].timezone)},
            facts={"findings": [one.kind.value for one in own]},
        )
        for (site, subject), own in found.items()
    ]


async def verifications(asking: Asking) -> list[Seen] | None:
    """Return how many days the verification of each meter still holds; negative: it is over."""
    return [
        Seen(
            Subject(SubjectKind.POINT, point.id),
            Decimal((point.verified_until - asking.now.astimezone(zone).date()).days),
            words={"day": point.verified_until.isoformat()},
            facts={"verified_until": point.verified_until.isoformat()},
        )
        for point in asking.plant.points.values()
        if point.verified_until is not None
        for zone in [ZoneInfo(asking.plant.sites[point.site].timezone)]
    ]


async def days(asking: Asking) -> list[Seen] | None:
    """Return how completely each metered unit's newest closed day was measured."""
    plant = asking.plant
    known = indicators.catalogue()
    figures = [
        (unit.id, name)
        for unit in plant.units.values()
        for name in unit.indicators
        if name in known and plant.counted(unit.id, known[name].counts)
    ]
    ends = {site: asking.midnight(site) for site in plant.sites}
    if not figures:
        return []
    since = min(ends.values()) - 2 * DAY
    found = await watched.days(asking.connection, figures, since, max(ends.values()))
    return [
        Seen(
            Subject(SubjectKind.UNIT, unit.id),
            None if one is None or one.completeness is None else Decimal(str(one.completeness)),
            words={"day": "" if one is None else one.start.astimezone(zone).date().isoformat()},
            facts={} if one is None else {"day": one.start.astimezone(zone).date().isoformat()},
        )
        for unit in [plant.units[each] for each in sorted({unit for unit, _ in figures})]
        for one in [found.get(unit.id)]
        for zone in [ZoneInfo(plant.sites[unit.site].timezone)]
    ]


async def channels(asking: Asking) -> list[Seen] | None:
    """Return for how long deliveries to each channel have failed."""
    return [
        Seen(
            Subject(SubjectKind.CHANNEL, name),
            seconds(asking.now - each.failing_since),
            words={"failures": str(each.failures), "detail": each.detail},
            facts={"failures": each.failures, "detail": each.detail},
        )
        for name, each in (await circuits.states(asking.connection)).items()
        if each.failing_since is not None and name in asking.channels
    ]


async def bounds(asking: Asking) -> list[Seen] | None:
    """Return how often each bound was hit within the hour."""
    rows = await watched.bounds(asking.connection)
    found = {Subject(SubjectKind.STORE, each.bound): each for each in rows}
    counts = {subject: each.hits for subject, each in found.items()}
    details = {subject: each.detail for subject, each in found.items()}
    return await growing(asking, Watch.BOUND_HITS, counts, HOUR, details)


async def reports(asking: Asking) -> list[Seen] | None:
    """Return how old the oldest figure is that a platform lacks, by site the worst platform."""
    worst: dict[str, watched.ReportSeen] = {}
    for each in await watched.reports(asking.connection):
        known = worst.get(each.site)
        if each.site in asking.plant.sites and (known is None or each.oldest_at < known.oldest_at):
            worst[each.site] = each
    return [
        Seen(
            Subject(SubjectKind.SITE, site),
            seconds(asking.now - each.oldest_at),
            words={"destination": each.destination, "waiting": str(each.waiting)},
            facts={"destination": each.destination, "waiting": each.waiting},
        )
        for site, each in worst.items()
    ]


def _subject_of(identifier: str, plant: Plant) -> Subject:
    if names.is_point(identifier):
        return Subject(SubjectKind.POINT, identifier)
    kind = SubjectKind.UNIT if identifier in plant.units else SubjectKind.SITE
    return Subject(kind, identifier if kind is SubjectKind.UNIT else names.site_of(identifier))


def _sentences(found: list[findings.Finding], zone: str) -> dict[str, str]:
    said = {
        language: [words.sentence(one, language, zone) for one in found[:MOST_SAID]]
        for language in LANGUAGES
    }
    return {"zh": "；".join(said["zh"]), "en": "; ".join(said["en"])}


LOOKS: Final[Mapping[Watch, Look]] = {
    Watch.SITE_SILENCE: agentsights.sites_silent,
    Watch.AGENT_SILENCE: agentsights.agents_silent,
    Watch.CLOCK_OFFSET: agentsights.clocks,
    Watch.OUTBOX_AGE: agentsights.outboxes,
    Watch.ENVELOPES_LOST: agentsights.lost,
    Watch.ENVELOPES_ASIDE: agentsights.set_aside,
    Watch.ENVELOPES_MISSING: agentsights.holes,
    Watch.AGENT_DISK: agentsights.disks,
    Watch.READINGS_WITHHELD: agentsights.withheld,
    Watch.DEAD_LETTERS: letters,
    Watch.METER_FINDINGS: meters,
    Watch.METER_VERIFICATION: verifications,
    Watch.COMPLETENESS: days,
    Watch.CHANNEL_SILENCE: channels,
    Watch.BOUND_HITS: bounds,
    Watch.REPORT_AGE: reports,
}
