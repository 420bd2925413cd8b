"""Steps the alerts of a unit by its verdicts and writes what must be told of it.

Promise: all of it happens in the transaction that writes the results, so that a finding, the
state it leads to and the notification are there together or not at all. Delivering is the
notifier's matter: decide and tell are apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core import alerts as rules
from core import limits, periods
from core.alerts import Alert, Finding, Observation
from core.clock import from_us, to_us
from core.limits import Force
from core.periods import Period
from core.verdicts import Verdict
from ingest import telling, withdrawing
from store import alerts, watched
from store.alerts import Key, Watched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

    from psycopg import AsyncConnection

    from core.alerts import Rule, Rules
    from core.plant import Plant, Unit
    from ingest.channels import Channel
    from store.alerts import Kept


@dataclass(frozen=True, slots=True)
class Computed:
    """Figures of one period as they were just written; `changed` tells that they are new."""

    indicator: str
    period: Period
    start_us: int
    closed: bool
    changed: bool
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One verdict that an alert may learn from, with the figure it speaks of."""

    key: Key
    observation: Observation
    rule: Rule
    figure: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a data condition's subject, by which rule, with what its item shows."""

    finding: Finding
    rule: Rule
    figure: Mapping[str, Any]


class Alerting:
    """Decides on alerts; `channels` are who must be told."""

    def __init__(self, channels: Sequence[Channel] = (), known: Rules | None = None) -> None:
        self._channels = tuple(channels)
        self._rules = rules.rules() if known is None else known
        self.periods = frozenset(period for _, period in self._rules)
        self.changes = 0
        self.notifications = 0
        self.passes_cut = 0  # that did not see all of what is kept back
        self._kept_back_after: UUID | None = None

    @property
    def channel_names(self) -> frozenset[str]:
        """Return the names of the channels that are told."""
        return frozenset(channel.name for channel in self._channels)

    async def judge(
        self,
        connection: AsyncConnection[Any],
        plant: Plant,
        unit: Unit,
        computed: Iterable[Computed],
        now: datetime,
    ) -> None:
        """Step the unit's alerts by the verdicts of these periods, oldest period first.

        A closed period counts when its figures are new, an open one each time it is computed.
        """
        seen = [one for each in computed for one in self._seen(plant, unit, each, now)]
        if not seen:
            return
        kept = await alerts.of_unit(connection, unit.id)
        for one in sorted(seen, key=lambda each: each.observation.period_start):
            known = kept.get(one.key)
            before = known.alert if known is not None else Alert()
            after = rules.observe(before, one.observation, now, one.rule)
            if after != before:
                figure = await self._figure(connection, one)
                kept[one.key] = await self._write(
                    connection, plant, one.key, before, after, figure, now
                )
            if one.observation.closed and one.key in kept:
                self.notifications += await withdrawing.reconsider(
                    connection, self._channels, plant, kept[one.key], one.observation, now
                )

    async def tick(self, connection: AsyncConnection[Any], plant: Plant, now: datetime) -> None:
        """Step the alerts that time alone moves: a closed period's finding goes on by itself."""
        for kept in await alerts.waiting(connection):
            rule = self._rule_of(kept.key)
            if rule is None or not alerts.is_declared(kept, plant):
                continue
            after = rules.tick(kept.alert, now, rule)
            if after != kept.alert:
                await self._write(connection, plant, kept.key, kept.alert, after, kept.figure, now)
        await self._release(connection, plant, now)

    async def _release(self, connection: AsyncConnection[Any], plant: Plant, now: datetime) -> None:
        """Tell what was kept back and is no more, and say so where there is too much of it."""
        after = self._kept_back_after
        released = await telling.again(connection, self._channels, plant, now, after)
        self.notifications += released.told
        self._kept_back_after = released.after
        if released.after is None:
            return
        self.passes_cut += 1
        detail = "more alerts are kept back than one pass looks at: some are told a pass later"
        await watched.hit(connection, bound="alerts-kept-back", hits=1, detail=detail, at=now)

    async def watch(
        self,
        connection: AsyncConnection[Any],
        plant: Plant,
        about: Watched,
        known: Kept | None,
        sight: Sight,
        now: datetime,
    ) -> Kept | None:
        """Step the alert of a data condition by what was seen; return it where it changed.

        `known` is the alert as it is kept and locked, None before its first finding.
        """
        before = Alert() if known is None else known.alert
        after = rules.watch(before, sight.finding, now, sight.rule)
        if after == before:
            return None
        return await self._write(connection, plant, about, before, after, sight.figure, now)

    def _rule_of(self, key: Key | Watched) -> Rule | None:
        if isinstance(key, Watched):
            return None  # its present is looked at again and again: time alone moves nothing
        limit = limits.catalogue().get(key.limit)
        return self._rules.get((limit.force, Period(key.period))) if limit else None

    def _seen(self, plant: Plant, unit: Unit, each: Computed, now: datetime) -> Iterator[_Seen]:
        if each.closed and not each.changed:
            return
        start = from_us(each.start_us)
        for verdict in each.figures["verdicts"]:
            rule = self._rules.get((Force(verdict["force"]), each.period))
            found = rules.finding(Verdict(verdict["verdict"]))
            if rule is None or found is Finding.UNKNOWN:
                continue
            key = Key(unit.id, each.indicator, each.period.value, verdict["limit"])
            zone = plant.sites[unit.site].timezone
            figure = _figure(each, verdict, zone, now)
            yield _Seen(key, Observation(found, start, each.closed), rule, figure)

    async def _figure(self, connection: AsyncConnection[Any], one: _Seen) -> Mapping[str, Any]:
        start = one.observation.period_start
        return {**one.figure, "result": await alerts.result_id(connection, one.key, start)}

    async def _write(
        self,
        connection: AsyncConnection[Any],
        plant: Plant,
        key: Key | Watched,
        before: Alert,
        after: Alert,
        figure: Mapping[str, Any],
        now: datetime,
    ) -> Kept:
        kept = await alerts.save(connection, key, after, figure, now)
        told = rules.notice(before, after)
        if told is not None or after.state is not before.state:
            self.changes += 1
            await alerts.record(connection, kept, before.state, told, now)
        if told is not None:
            self.notifications += await telling.tell(
                connection, self._channels, plant, kept, told, now
            )
        return kept


def _figure(each: Computed, verdict: Mapping[str, Any], zone: str, now: datetime) -> dict[str, Any]:
    """Return what the alert's item shows of the figure, of the part in which the limit holds."""
    intensity = each.figures["intensity"]
    compared = verdict.get("part", {**intensity, "completeness": each.figures["completeness"]})
    return {
        "force": verdict["force"],
        "level": verdict["level"],
        "cmp": verdict["cmp"],
        "limit_value": verdict["limit_value"],
        "lapsed": verdict["lapsed"],
        "verdict": verdict["verdict"],
        "value": compared["value"],
        "uncertainty": compared["uncertainty"],
        "value_unit": intensity["unit"],
        "completeness": compared["completeness"],
        "figure_period_start": periods.render(each.start_us, zone),
        "figure_closed": each.closed,
        "computed_at": periods.render_utc(to_us(now)),
    }
