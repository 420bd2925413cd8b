"""Tells of alerts: one notification a channel, in the deciding transaction, unless it is kept back.

The one door for every notice of an alert. Promise: the bytes that a receiver gets are fixed when
it is decided to tell, so that every attempt sends the same; what a silence or another alert keeps
back is told by `again` once nothing does any more, if it still holds.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID, uuid4

from core import folding, limits, periods, severities
from core.alerts import Notice
from core.clock import to_us
from core.folding import Event, Known
from ingest import covers
from store import alerts, cases, folds, notifications, silences

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from core.folding import Cover, Standing, Step
    from core.plant import Plant
    from core.silences import Place, Silence
    from ingest.channels import Channel
    from store.alerts import Kept
    from store.folds import Waiting

BODY_VERSION: Final = 1


async def tell(
    connection: AsyncConnection[Any],
    channels: Iterable[Channel],
    plant: Plant,
    kept: Kept,
    told: Notice,
    now: datetime,
    extra: Mapping[str, Any] | None = None,
) -> int:
    """Tell every channel that the alert concerns, or keep it back; return how many were told.

    `extra` stands in the body beside the alert: which clock ran out, why it was withdrawn.
    """
    shipped = covers.shipped()
    before = await folds.lock(connection, kept, new=told is Notice.FIRING)
    cover = await shipped.of_one(connection, plant, kept, now)
    quiet = shipped.rules.quiet(shipped.watch(kept.condition))
    step = folding.take(before, told, cover, now, quiet)
    await folds.save(connection, kept.id, before, step, now)
    if told is Notice.RESOLVED and step.standing.known is Known.UNKNOWN:
        await _follow(connection, plant, kept, told, now)  # over before anybody was told
    return await _say(connection, channels, plant, kept, step, now, extra)


class Released(NamedTuple):
    """How many were told by a pass; where the next one goes on, None: this one saw everything."""

    told: int
    after: UUID | None


async def again(
    connection: AsyncConnection[Any],
    channels: Sequence[Channel],
    plant: Plant,
    now: datetime,
    after: UUID | None = None,
) -> Released:
    """Tell what nothing keeps back any more, and what stayed over, of alerts by ids after one."""
    shipped = covers.shipped()
    in_force = await silences.in_force(connection, now)
    waiting = await folds.waiting(connection, after, silenced=bool(in_force))
    found = await shipped.of_all(connection, plant, waiting, in_force, now)
    written = 0
    for one, cover in zip(waiting, found, strict=True):
        if not _is_declared(one.place, plant):
            continue  # it stays owed: nobody could be told of whom
        quiet = shipped.rules.quiet(shipped.watch(one.condition))
        step = folding.wait(one.standing, cover, now, quiet, raised=one.raised)
        if step is None or not await folds.still(connection, one):
            continue
        await folds.save(connection, one.place.alert, one.standing, step, now)
        silence = await _silence(connection, step.standing.cover or one.standing.cover)
        if step.event is Event.SILENCED and silence is not None:
            await _suppress(connection, one, silence, now)
        elif step.told is not None:
            written += await _release(connection, channels, plant, one, step, silence, now)
    is_full = len(waiting) == folds.MOST_WAITING
    return Released(written, waiting[-1].place.alert if is_full else None)


def _is_declared(place: Place, plant: Plant) -> bool:
    site, unit = place.site, place.unit
    return (site is None or site in plant.sites) and (unit is None or unit in plant.units)


async def _suppress(
    connection: AsyncConnection[Any], one: Waiting, silence: Silence, now: datetime
) -> None:
    """Stop the clock of the case while somebody has asked for quiet."""
    who, role = silence.created_by, silence.created_role
    detail = silences.item(silence, now)
    await cases.suppress(connection, one.place.alert, now, who, role, detail)


async def _release(
    connection: AsyncConnection[Any],
    channels: Iterable[Channel],
    plant: Plant,
    one: Waiting,
    step: Step,
    silence: Silence | None,
    now: datetime,
) -> int:
    kept = await alerts.find(connection, one.place.alert)
    assert kept is not None, "its row is locked"  # noqa: S101 - a belief
    if one.standing.known is Known.STALE:
        await cases.resume(connection, kept.id, now)
    held = _held(one.standing, silence)
    return await _say(connection, channels, plant, kept, step, now, held)


async def _silence(connection: AsyncConnection[Any], cover: Cover | None) -> Silence | None:
    if cover is None or cover.silence is None:
        return None
    return await silences.find(connection, cover.silence)


async def _follow(
    connection: AsyncConnection[Any], plant: Plant, kept: Kept, told: Notice, now: datetime
) -> dict[str, str]:
    """Have the alert's case follow what is told, and return what a body says of it."""
    site = None if kept.site is None else plant.sites[kept.site]
    case = await cases.follow(connection, kept, told, now, site)
    return {} if case is None else {"case": str(case)}


async def _say(
    connection: AsyncConnection[Any],
    channels: Iterable[Channel],
    plant: Plant,
    kept: Kept,
    step: Step,
    now: datetime,
    extra: Mapping[str, Any] | None,
) -> int:
    if step.told is None:
        return 0
    case = await _follow(connection, plant, kept, step.told, now)
    written = 0
    for channel in channels:
        if _concerns(channel, plant, kept):
            identity = uuid4()
            tier = severities.shown(channel.scheme, kept.alert.severity)
            more = {**case, **(extra or {}), "tier": tier}
            text = body(str(identity), step.told, kept, plant, now, more)
            content = (identity, text)
            await notifications.add(connection, kept, step.told, channel.name, content, now)
            written += 1
    return written


def _held(before: Standing, silence: Silence | None) -> dict[str, Any] | None:
    """Return what kept a word back until now, as its body shows it."""
    cover = before.cover
    if cover is None or before.since is None:
        return None
    return {
        "held": {
            "kind": cover.kind.value,
            "since": periods.render_utc(to_us(before.since)),
            "alert": None if cover.alert is None else str(cover.alert),
            "document": None if silence is None else silence.document,
            "reason": None if silence is None else silence.reason,
        }
    }


def _concerns(channel: Channel, plant: Plant, kept: Kept) -> bool:
    """Tell whether a channel hears of the alert; of the store's own whoever hears of all sites."""
    sites = plant.sites.values() if kept.site is None else [plant.sites[kept.site]]
    return all(channel.concerns(site.jurisdiction, kept.alert.severity) for site in sites)


def body(
    identity: str,
    told: Notice,
    kept: Kept,
    plant: Plant,
    now: datetime,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """Return the JSON that a receiver gets: what happened, the alert, and the law it rests on."""
    item = alerts.describe(kept, plant)
    for key in ("deliveries", "quiet"):  # how others are told is not the receiver's matter
        del item[key]
    limit = limits.catalogue().get(kept.key.limit or "")
    law = None
    if limit is not None:
        law = {
            "scheme": limit.scheme,
            "jurisdiction": limit.jurisdiction,
            "source": limit.source,
            "clause": limit.clause,
            "quote": limit.quote,
        }
    return json.dumps(
        {
            "version": BODY_VERSION,
            "id": identity,
            "type": f"alert.{told}",
            "at": periods.render_utc(to_us(now)),
            "alert": item,
            "law": law,
            **(extra or {}),
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )
